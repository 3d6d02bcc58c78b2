//! What every test of the world needs: a world in a directory of its own, and shell scripts as nodes.
#![expect(dead_code, reason = "each test file uses a part of it")]
#![expect(clippy::unwrap_used, reason = "test code outside of test functions")]

pub(crate) mod doomed;
pub(crate) mod lab;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use dsbench_core::observation::{Exit, Life};
use dsbench_world::{
    Clock, Ended, FollowSpec, Found, Guardian, Happening, Meaning, NodeEnv, Outside, Patterns, Program, Signals,
    SpawnSpec, World, WorldConfig, node_env,
};
use tempfile::TempDir;

/// Longer than anything takes on a loaded machine; only a failing test waits for it.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A world, its directory, and all that came out of it.
pub(crate) struct Stage {
    pub(crate) world: World,
    pub(crate) dir: TempDir,
    pub(crate) seen: Vec<Outside>,
}

impl Stage {
    pub(crate) fn new() -> Self {
        Self::with(None)
    }

    /// A world that is told of the signals that this process gets. For a process of one thread: any other would still die of them.
    pub(crate) fn with_signals() -> Self {
        Self::with(Some(Signals::block().unwrap()))
    }

    fn with(signals: Option<Signals>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let guardian = Guardian::fork().unwrap();
        let config = WorldConfig {
            log_dir: dir.path().to_owned(),
            signals,
            desk: None,
            lab: None,
            switch: None,
            lifts_limits: true,
            tick: WorldConfig::EXACT,
        };
        Self { world: World::new(guardian, Clock::start(), config).unwrap(), dir, seen: Vec::new() }
    }

    /// A command with the environment of a node and the stage's directory as its own.
    pub(crate) fn program(&self, argv: &[&str]) -> Program {
        let about = NodeEnv { node: "n", life: 1, run: "test", seed: 0, data_dir: self.dir.path(), inherit: false };
        Program {
            argv: argv.iter().map(Into::into).collect(),
            env: node_env(about, &[]),
            cwd: self.dir.path().to_owned(),
        }
    }

    /// Starts a command; does not wait.
    pub(crate) fn spawn(&mut self, life: &Life, argv: &[&str]) {
        let program = self.program(argv);
        let (stdout, stderr) = (words(), words());
        self.world
            .spawn(life.clone(), SpawnSpec { program, stdout, stderr, files: Vec::new(), label: false, place: None })
            .unwrap();
    }

    /// Starts a shell script that writes files of the stage's directory, which are followed; waits until it runs.
    pub(crate) fn sh_writing(&mut self, life: &Life, script: &str, files: &[&str]) {
        let program = self.program(&["sh", "-c", script]);
        let follow = |file: &&str| FollowSpec { dir: self.dir.path().to_owned(), path: file.into(), patterns: words() };
        let files = files.iter().map(follow).collect();
        let spec = SpawnSpec { program, stdout: words(), stderr: words(), files, label: false, place: None };
        self.world.spawn(life.clone(), spec).unwrap();
        self.until(|what| matches!(what, Happening::Started { of, .. } if of == life));
    }

    /// Starts a shell script and waits until it runs; gives its pid.
    pub(crate) fn sh(&mut self, life: &Life, script: &str) -> i32 {
        self.spawn(life, &["sh", "-c", script]);
        match self.until(|what| matches!(what, Happening::Started { of, .. } if of == life)).what {
            Happening::Started { pid, .. } => pid,
            _ => unreachable!(),
        }
    }

    /// Waits for something.
    pub(crate) fn until(&mut self, wanted: impl Fn(&Happening) -> bool) -> Outside {
        let deadline = self.world.clock().now() + PATIENCE;
        while let Some(outside) = self.world.next(deadline) {
            // A loaded machine stalls the bench, which says so; that is not what tests look at.
            if !matches!(outside.what, Happening::Stall { .. }) {
                self.seen.push(outside.clone());
            }
            if wanted(&outside.what) {
                return outside;
            }
        }
        panic!("nothing of the kind came; seen: {:#?}", self.seen)
    }

    /// Waits for a line `say WORD` of a node.
    pub(crate) fn until_said(&mut self, word: &str) -> Outside {
        self.until(|what| matches!(what, Happening::Event(event) if &*event.name == word))
    }

    /// The same, if it was not said before.
    pub(crate) fn until_said_or_seen(&mut self, word: &str) {
        let said = |what: &Happening| matches!(what, Happening::Event(event) if &*event.name == word);
        if !self.seen.iter().any(|outside| said(&outside.what)) {
            self.until(said);
        }
    }

    /// Waits until one life has said a word, if it has not.
    pub(crate) fn until_said_by(&mut self, life: &Life, word: &str) {
        let said =
            |what: &Happening| matches!(what, Happening::Event(event) if &*event.name == word && event.of == *life);
        if !self.seen.iter().any(|outside| said(&outside.what)) {
            self.until(said);
        }
    }

    /// Waits for a life's end, if it was not seen.
    pub(crate) fn until_empty_or_seen(&mut self, life: &Life) {
        let empty = Happening::Empty { of: life.clone() };
        if !self.seen.iter().any(|outside| outside.what == empty) {
            self.until_empty(life);
        }
    }

    pub(crate) fn until_empty(&mut self, life: &Life) -> Outside {
        self.until(|what| *what == Happening::Empty { of: life.clone() })
    }

    pub(crate) fn until_exited(&mut self, life: &Life) -> Exit {
        match self.until(|what| matches!(what, Happening::Exited { of, .. } if of == life)).what {
            Happening::Exited { exit, .. } => exit,
            _ => unreachable!(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Ends the world; everything must be gone.
    pub(crate) fn end(self) -> (Ended, TempDir) {
        let ended = self.world.shutdown(PATIENCE);
        assert_eq!(ended.survivors, [""; 0]);
        (ended, self.dir)
    }
}

pub(crate) fn life(node: &str, life: u32) -> Life {
    Life { node: node.into(), process: "main".into(), life }
}

/// An event `W` for each line `say W`, `ready` for the line `ready`.
pub(crate) fn words() -> Option<Box<dyn Patterns>> {
    Some(Box::new(Words))
}

struct Words;

impl Patterns for Words {
    fn scan(&mut self, lines: &[u8], found: &mut dyn FnMut(Found)) {
        let mut offset = 0;
        for (index, line) in lines.split_inclusive(|byte| *byte == b'\n').enumerate() {
            let text = line.strip_suffix(b"\n").unwrap_or(line);
            let meaning = match text.strip_prefix(b"say ") {
                Some(word) => {
                    Some(Meaning::Event { name: String::from_utf8_lossy(word).as_ref().into(), fields: Vec::new() })
                }
                None if text == b"ready" => Some(Meaning::Ready),
                None => None,
            };
            if let Some(meaning) = meaning {
                found(Found { index, line: offset..offset + text.len(), meaning });
            }
            offset += line.len();
        }
    }
}

/// Whether a process with this pid is there and not a zombie.
pub(crate) fn is_alive(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit(')').next().unwrap_or_default().trim_start().starts_with(['Z', 'X']))
}

/// All processes whose environment holds `NAME=value`.
pub(crate) fn marked(mark: &str) -> Vec<i32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid: &i32| {
            let environ = fs::read(Path::new("/proc").join(pid.to_string()).join("environ")).unwrap_or_default();
            environ.split(|byte| *byte == 0).any(|entry| entry == mark.as_bytes()) && is_alive(*pid)
        })
        .collect()
}
