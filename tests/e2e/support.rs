//! A place for one test's runs: an empty directory, the executable just built, and the proof that nothing of it is left.

#![expect(clippy::disallowed_methods, reason = "a test's patience is not run time")]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use assert_cmd::assert::{Assert, OutputAssertExt as _};

/// Nothing in a test takes longer than this, also on a loaded machine; only a hang does.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// An empty directory in which dsbench runs.
pub(crate) struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a temporary directory") }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a scenario (or any other file) into it.
    pub(crate) fn write(&self, name: &str, text: &str) -> &Self {
        std::fs::write(self.path(name), text).expect("write into the test's directory");
        self
    }

    pub(crate) fn read(&self, name: &str) -> String {
        let bytes = std::fs::read(self.path(name)).unwrap_or_else(|e| panic!("read {name}: {e}"));
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// dsbench with these arguments, started here.
    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dsbench"));
        command.args(args).current_dir(self.dir.path()).stdin(Stdio::null()).env("NO_COLOR", "1");
        // Where the tests run must not change what dsbench says.
        for name in ["CI", "GITHUB_ACTIONS", "GITHUB_WORKSPACE", "GITHUB_STEP_SUMMARY"] {
            command.env_remove(name);
        }
        command
    }

    /// Runs dsbench to its end, and shows that no process of it is left.
    pub(crate) fn dsbench(&self, args: &[&str]) -> Assert {
        let assert = self.beside(args);
        self.wait_until_empty();
        assert
    }

    /// Runs dsbench to its end beside a cluster that is up here. It has ended when nobody holds its output any more.
    pub(crate) fn beside(&self, args: &[&str]) -> Assert {
        let child = self.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("dsbench starts");
        let pid = child.id();
        let (done, over) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let _ = done.send(child.wait_with_output());
        });
        let Ok(output) = over.recv_timeout(PATIENCE) else {
            kill(pid, "KILL");
            panic!("dsbench {args:?} has not ended within {PATIENCE:?}");
        };
        output.expect("dsbench's output").assert()
    }

    /// Starts dsbench and leaves it running; its output goes to the file `out`.
    pub(crate) fn start(&self, args: &[&str]) -> Child {
        let out = std::fs::File::create(self.path("out")).expect("create the output file");
        let err = out.try_clone().expect("duplicate the output file");
        self.command(args).stdout(out).stderr(err).spawn().expect("dsbench starts")
    }

    /// Waits until a condition holds.
    pub(crate) fn wait_until(&self, what: &str, mut holds: impl FnMut(&Self) -> bool) {
        let begun = Instant::now();
        while !holds(self) {
            assert!(
                begun.elapsed() < PATIENCE,
                "still waiting for: {what}\n--- out\n{}",
                std::fs::read_to_string(self.path("out")).unwrap_or_default()
            );
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }

    /// No process has its working directory in here any more: neither a node, nor a guardian, nor dsbench.
    ///
    /// Waits, because the last of them may be on its way out when dsbench itself is gone (after `kill -9`).
    pub(crate) fn wait_until_empty(&self) {
        let begun = Instant::now();
        loop {
            let left = processes_in(self.dir.path());
            if left.is_empty() {
                return;
            }
            assert!(begun.elapsed() < Duration::from_secs(20), "processes are left: {left:?}");
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }

    /// The directory of the only run (or the last).
    pub(crate) fn run_dir(&self) -> PathBuf {
        self.path("logs/runs/latest").canonicalize().expect("a run was stored")
    }

    /// `run.json` of the last run.
    pub(crate) fn run_json(&self) -> serde_json::Value {
        let text = std::fs::read_to_string(self.run_dir().join("run.json")).expect("the run was summed up");
        serde_json::from_str(&text).expect("run.json is JSON")
    }
}

impl Drop for Place {
    /// A test that has failed leaves no cluster behind either.
    fn drop(&mut self) {
        if std::thread::panicking() {
            processes_in(self.dir.path()).iter().for_each(|(pid, _)| kill(*pid, "KILL"));
        }
    }
}

/// Sends a signal by name to one process.
pub(crate) fn kill(pid: u32, signal: &str) {
    let status = Command::new("kill").args([&format!("-{signal}"), &pid.to_string()]).stderr(Stdio::null()).status();
    status.expect("kill exists");
}

/// The id and command of every process whose working directory is in `dir`.
pub(crate) fn processes_in(dir: &Path) -> Vec<(u32, String)> {
    let dir = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    let entries = std::fs::read_dir("/proc").expect("/proc").flatten();
    entries
        .filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok())
        .filter(|pid| std::fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|cwd| cwd.starts_with(&dir)))
        // A zombie is dead; its parent has only not looked yet.
        .filter(|pid| {
            std::fs::read_to_string(format!("/proc/{pid}/stat"))
                .is_ok_and(|stat| !stat.rsplit(')').next().is_some_and(|s| s.trim_start().starts_with('Z')))
        })
        .map(|pid| (pid, std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default().trim().to_owned()))
        .collect()
}

/// The text of the assertion's standard error.
pub(crate) fn stderr(assert: &Assert) -> String {
    String::from_utf8_lossy(&assert.get_output().stderr).into_owned()
}

/// The text of the assertion's standard output.
pub(crate) fn stdout(assert: &Assert) -> String {
    String::from_utf8_lossy(&assert.get_output().stdout).into_owned()
}
