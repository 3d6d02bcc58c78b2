//! Which scenario files a command line means.

use std::path::{Path, PathBuf};

use crate::error::BenchError;

/// The files, in order: a file as it is, a directory as its `*.toml` sorted by name, nothing as `./scenarios`.
pub(super) fn scenarios(given: &[PathBuf]) -> Result<Vec<PathBuf>, BenchError> {
    let default = [PathBuf::from("scenarios")];
    let given = match given {
        [] if default[0].is_dir() => &default[..],
        [] => {
            return Err(BenchError::NothingSelected(
                "no scenario was named, and there is no directory ./scenarios here (try: dsbench run FILE.toml)".into(),
            ));
        }
        given => given,
    };
    let mut files = Vec::new();
    for path in given {
        if path.is_dir() {
            files.extend(in_directory(path)?);
        } else if path.exists() {
            files.push(path.clone());
        } else {
            return Err(BenchError::Usage(format!("no such file: {}{}", path.display(), nearby(path))));
        }
    }
    if files.is_empty() {
        let shown: Vec<_> = given.iter().map(|path| path.display().to_string()).collect();
        return Err(BenchError::NothingSelected(format!("no scenario (*.toml) in {}", shown.join(", "))));
    }
    Ok(files)
}

fn in_directory(dir: &Path) -> Result<Vec<PathBuf>, BenchError> {
    let entries = std::fs::read_dir(dir).map_err(BenchError::file("read", dir))?;
    let mut files: Vec<_> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|ext| ext == "toml"))
        .collect();
    files.sort();
    Ok(files)
}

/// The scenarios that lie where the missing file was looked for.
fn nearby(path: &Path) -> String {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    match in_directory(dir) {
        Ok(files) if !files.is_empty() => {
            let names: Vec<_> = files.iter().take(8).map(|file| file.display().to_string()).collect();
            format!(" (there are: {})", names.join(", "))
        }
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::scenarios;

    #[test]
    fn a_directory_means_its_toml_files_by_name_and_an_empty_one_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(scenarios(&[dir.path().into()]).unwrap_err().exit_code(), 4);
        for name in ["b.toml", "a.toml", "notes.md"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        assert_eq!(scenarios(&[dir.path().into()]).unwrap(), [dir.path().join("a.toml"), dir.path().join("b.toml")]);
        let missing = scenarios(&[dir.path().join("c.toml")]).unwrap_err();
        assert!(missing.to_string().contains("a.toml"), "{missing}");
        assert_eq!(missing.exit_code(), 2);
    }
}
