//! A node's own corner of the disk, and the environment that it sees.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, lchown};
use std::path::{Component, Path, PathBuf};

use crate::error::WorldError;
use crate::lab::User;

/// A file that a node finds in its data directory before its first start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSpec {
    /// Where, relative to the data directory.
    pub path: PathBuf,
    /// What.
    pub text: String,
    /// Its permissions (0o644 is usual, 0o400 for keys).
    pub mode: u32,
}

/// Creates a node's data directory (for its owner only) and writes its files: once per run, before the first start.
///
/// The directory must not exist, so there is no link in it that could lead a file elsewhere; its parents are created where missing.
pub fn prepare_node(data_dir: &Path, files: &[FileSpec]) -> Result<(), WorldError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source: io::Error| WorldError::Create { path, source }
    };
    if let Some(parent) = data_dir.parent() {
        fs::create_dir_all(parent).map_err(failed(parent))?;
    }
    DirBuilder::new().mode(0o700).create(data_dir).map_err(failed(data_dir))?;
    for file in files {
        if !file.path.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
            return Err(WorldError::Outside { path: file.path.clone() });
        }
        let path = data_dir.join(&file.path);
        if let Some(parent) = path.parent() {
            DirBuilder::new().mode(0o700).recursive(true).create(parent).map_err(failed(parent))?;
        }
        write_new(&path, file).map_err(failed(&path))?;
    }
    Ok(())
}

/// Gives a node's new data directory, with all that is in it, to the user that the node runs as.
///
/// # Errors
/// If this process may not: only root may give files away.
pub fn give_node(data_dir: &Path, user: &User) -> Result<(), WorldError> {
    user.check()?;
    let failed = |source: io::Error| WorldError::Create { path: data_dir.to_owned(), source };
    give(data_dir, user).map_err(failed)
}

/// What is inside first: once a directory is somebody else's, so is what happens in it.
fn give(path: &Path, user: &User) -> io::Result<()> {
    if path.symlink_metadata()?.is_dir() {
        for entry in fs::read_dir(path)? {
            give(&entry?.path(), user)?;
        }
    }
    lchown(path, Some(user.uid()), Some(user.gid()))
}

/// `create_new` never follows a link, and the mode is set on the open file, so that neither a umask nor a race can change it.
fn write_new(path: &Path, file: &FileSpec) -> io::Result<()> {
    let mut written = OpenOptions::new().write(true).create_new(true).mode(file.mode).open(path)?;
    written.write_all(file.text.as_bytes())?;
    written.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(file.mode))
}

/// What the environment of one life depends on.
#[derive(Debug, Clone, Copy)]
pub struct NodeEnv<'a> {
    /// The node's name, as `DSBENCH_NODE`.
    pub node: &'a str,
    /// Which life, as `DSBENCH_LIFE`.
    pub life: u32,
    /// The run's token, as `DSBENCH_RUN`: two runs on one machine can keep apart by it.
    pub run: &'a str,
    /// The run's seed, as `DSBENCH_SEED`, for programs that want to draw the same each time.
    pub seed: u64,
    /// The data directory, as `HOME`.
    pub data_dir: &'a Path,
    /// True hands on the bench's own environment below all this.
    pub inherit: bool,
}

/// The environment of a node: the bench's `PATH`, a home of its own, one locale, UTC, who it is - and then what the scenario says.
///
/// Sorted by name, each name once. Without `inherit` nothing of the bench's environment but `PATH` is in it, so that a scenario does
/// not pass on one machine because of a variable that is missing on the next.
pub fn node_env(about: NodeEnv<'_>, given: &[(String, String)]) -> Vec<(OsString, OsString)> {
    let mut env = std::collections::BTreeMap::new();
    if about.inherit {
        env.extend(std::env::vars_os());
    }
    let path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
    let own: [(&str, OsString); 8] = [
        ("PATH", path),
        ("HOME", about.data_dir.into()),
        ("LANG", "C.UTF-8".into()),
        ("TZ", "UTC".into()),
        ("DSBENCH_NODE", about.node.into()),
        ("DSBENCH_LIFE", about.life.to_string().into()),
        ("DSBENCH_RUN", about.run.into()),
        ("DSBENCH_SEED", about.seed.to_string().into()),
    ];
    env.extend(own.map(|(name, value)| (OsString::from(name), value)));
    env.extend(given.iter().map(|(name, value)| (OsString::from(name), OsString::from(value))));
    env.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, symlink};

    fn file(path: &str, mode: u32) -> FileSpec {
        FileSpec { path: path.into(), text: "x = 1\n".into(), mode }
    }

    #[test]
    fn files_get_their_text_and_exact_mode_in_a_private_directory() {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("deep/peer1");
        prepare_node(&data, &[file("a.conf", 0o666), file("keys/k", 0o400)]).unwrap();
        assert_eq!(data.metadata().unwrap().mode() & 0o7777, 0o700);
        assert_eq!(data.join("a.conf").metadata().unwrap().mode() & 0o7777, 0o666);
        assert_eq!(data.join("keys/k").metadata().unwrap().mode() & 0o7777, 0o400);
        assert_eq!(fs::read_to_string(data.join("keys/k")).unwrap(), "x = 1\n");
    }

    #[test]
    fn files_cannot_leave_the_data_directory() {
        let dir = tempfile::tempdir().unwrap();
        for (i, path) in ["../x", "/tmp/x", "a/../../x"].into_iter().enumerate() {
            let data = dir.path().join(i.to_string());
            assert!(matches!(prepare_node(&data, &[file(path, 0o644)]), Err(WorldError::Outside { .. })), "{path}");
        }
        let data = dir.path().join("linked");
        symlink("/tmp", &data).unwrap();
        assert!(prepare_node(&data, &[]).is_err(), "a link in place of the data directory is refused");
    }

    #[test]
    fn the_environment_is_clean_unless_it_is_inherited_and_the_scenario_has_the_last_word() {
        let about = NodeEnv { node: "peer1", life: 2, run: "r", seed: 7, data_dir: Path::new("/d"), inherit: false };
        let clean = node_env(about, &[("TZ".into(), "CET".into())]);
        let names: Vec<_> = clean.iter().map(|(name, _)| name.to_str().unwrap()).collect();
        assert_eq!(
            names,
            ["DSBENCH_LIFE", "DSBENCH_NODE", "DSBENCH_RUN", "DSBENCH_SEED", "HOME", "LANG", "PATH", "TZ"]
        );
        assert_eq!(clean[7].1, "CET");
        assert_eq!(clean[4].1, "/d");
        let inherited = node_env(NodeEnv { inherit: true, ..about }, &[]);
        assert!(inherited.len() >= clean.len());
        assert!(std::env::vars_os().all(|(name, _)| inherited.iter().any(|(n, _)| *n == name)));
    }
}
