//! A process and all its descendants, as /proc shows them.
//!
//! /proc cannot be read in one instant, and processes fork while it is read. So nothing here is proof: callers repeat until waitpid says
//! that no child is left (kill), or until nothing new is found among processes that can no longer fork (freeze).

use std::fs::{self, File};
use std::io::Read;

use nix::fcntl::{OFlag, openat};
use nix::sys::stat::Mode;
use nix::unistd::Pid;

use super::sys::PidFd;

/// Most command names that a report carries.
const NAMES_MAX: usize = 16;

/// One process, at the moment it was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    pub(crate) parent: i32,
    /// R, S, D, T, t, Z, X ...
    pub(crate) state: u8,
    /// Its command name: at most 15 bytes, whatever the program chose.
    pub(crate) name: String,
    /// User and system time in clock ticks.
    pub(crate) cpu_ticks: u64,
    pub(crate) rss_pages: u64,
    threads: u64,
    /// Start time in clock ticks; with the pid it tells a process from a later one of the same number.
    started: u64,
}

impl Process {
    /// True if it has ended and only waits to be reaped. A zombie with threads is none: only its first thread has ended.
    pub(crate) fn is_dead(&self) -> bool {
        matches!(self.state, b'Z' | b'X') && self.threads <= 1
    }

    /// How many threads it has.
    pub(crate) fn threads(&self) -> u64 {
        self.threads
    }

    /// Sends a signal to exactly this process. False if it no longer is, or may not be signalled.
    pub(crate) fn signal(&self, signal: i32) -> bool {
        self.open().is_some_and(|process| process.signal(signal).is_ok())
    }

    /// Opens a lasting handle. Between the look and the opening, the number may have gone to another process: so look again.
    ///
    /// It is opened where it was seen: in a laboratory /proc may be that of the host, with other numbers than this process's own.
    pub(crate) fn open(&self) -> Option<PidFd> {
        let handle = PidFd::seen(&format!("/proc/{}", self.pid)).ok()?;
        let stat = openat(&handle, "stat", OFlag::O_RDONLY | OFlag::O_CLOEXEC, Mode::empty()).ok()?;
        let mut text = Vec::new();
        File::from(stat).read_to_end(&mut text).ok()?;
        parse(&text).is_some_and(|now| now.started == self.started).then_some(handle)
    }

    /// True if no thread of it runs: every one is stopped or dead, or, if a stop `is_due`, in an uninterruptible wait.
    ///
    /// The group's state alone is only that of its first thread. A wait that cannot be interrupted (a vfork whose child was stopped
    /// before its exec) may last until the thaw; with a stop due, the thread will stop before it sees user code again.
    pub(crate) fn is_stopped(&self, is_due: bool) -> bool {
        let Ok(threads) = fs::read_dir(format!("/proc/{}/task", self.pid)) else { return true };
        threads.flatten().all(|thread| {
            let stat = fs::read(thread.path().join("stat")).unwrap_or_default();
            parse(&stat).is_none_or(|thread| match thread.state {
                b'T' | b't' | b'Z' | b'X' => true,
                b'D' => is_due,
                _ => false,
            })
        })
    }
}

/// This process's number in /proc. (In a laboratory that may refuse a /proc of its own, it is not what getpid(2) says.)
pub(crate) fn me() -> Pid {
    let own = fs::read_link("/proc/self").ok().and_then(|link| link.to_str()?.parse().ok());
    own.map_or_else(nix::unistd::getpid, Pid::from_raw)
}

/// The parent of the process whose /proc/PID/stat this is.
pub(crate) fn parent(stat: &[u8]) -> Option<i32> {
    parse(stat).map(|process| process.parent)
}

/// All processes that can be seen.
pub(crate) fn all() -> Vec<Process> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    entries.flatten().filter_map(|entry| look(entry.file_name().to_str()?.parse().ok()?)).collect()
}

/// All descendants of `root`, parents before their children.
pub(crate) fn descendants(root: i32) -> Vec<Process> {
    let all = all();
    below(root, &all).into_iter().cloned().collect()
}

/// Those of `processes` that descend from `root`, parents before their children.
pub(crate) fn below(root: i32, processes: &[Process]) -> Vec<&Process> {
    let mut found: Vec<&Process> = Vec::new();
    let mut parent = root;
    let mut next = 0;
    loop {
        found.extend(processes.iter().filter(|process| process.parent == parent));
        match found.get(next) {
            Some(process) => parent = process.pid,
            None => return found,
        }
        next += 1;
    }
}

/// The command names of those that are alive, for people.
pub(crate) fn names(processes: &[Process]) -> Vec<String> {
    processes.iter().filter(|process| !process.is_dead()).take(NAMES_MAX).map(|process| process.name.clone()).collect()
}

/// Looks at one process.
fn look(pid: i32) -> Option<Process> {
    parse(&fs::read(format!("/proc/{pid}/stat")).ok()?)
}

/// Parses /proc/PID/stat. The name may hold anything, parentheses and spaces too, so it ends at the *last* parenthesis.
fn parse(stat: &[u8]) -> Option<Process> {
    let open = stat.iter().position(|byte| *byte == b'(')?;
    let close = stat.iter().rposition(|byte| *byte == b')')?;
    let pid = std::str::from_utf8(&stat[..open]).ok()?.trim().parse().ok()?;
    let name = String::from_utf8_lossy(stat.get(open + 1..close)?).into_owned();
    let rest = std::str::from_utf8(&stat[close + 1..]).ok()?;
    // Numbered as in proc(5), where the state is field 3.
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    Some(Process {
        pid,
        parent: fields.get(1)?.parse().ok()?,
        state: *fields.first()?.as_bytes().first()?,
        name,
        cpu_ticks: number(14)? + number(15)?,
        rss_pages: number(24)?,
        threads: number(20)?,
        started: number(22)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn process(pid: i32, parent: i32) -> Process {
        Process {
            pid,
            parent,
            state: b'S',
            name: format!("p{pid}"),
            cpu_ticks: 0,
            rss_pages: 0,
            threads: 1,
            started: 0,
        }
    }

    #[test]
    fn names_with_parentheses_and_spaces_are_read() {
        let stat = b"42 (a) (b c) T 7 42 42 0 -1 0 1 2 3 4 11 22 0 0 20 0 1 0 9999 1000 55 18446744073709551615 1";
        let seen = parse(stat).unwrap();
        assert_eq!((seen.pid, seen.name.as_str(), seen.state, seen.parent), (42, "a) (b c", b'T', 7));
        assert_eq!((seen.cpu_ticks, seen.rss_pages, seen.started), (33, 55, 9999));
        assert_eq!(parse(b""), None);
        assert_eq!(parse(b")("), None);
    }

    #[test]
    fn a_process_whose_first_thread_has_ended_is_not_dead() {
        let with_threads = |threads| Process { state: b'Z', threads, ..process(2, 1) };
        assert!(with_threads(1).is_dead());
        assert!(!with_threads(2).is_dead());
    }

    #[test]
    fn descendants_are_found_at_any_depth_and_nobody_else() {
        let all = vec![process(9, 8), process(8, 2), process(2, 1), process(3, 1), process(1, 0), process(7, 3)];
        let pids = |root| below(root, &all).iter().map(|p| p.pid).collect::<Vec<_>>();
        assert_eq!(pids(2), [8, 9]);
        assert_eq!(pids(1), [2, 3, 8, 7, 9]);
        assert_eq!(pids(9), [0; 0]);
    }

    #[test]
    fn this_process_is_seen() {
        let me = i32::try_from(std::process::id()).unwrap();
        let seen = all().into_iter().find(|process| process.pid == me).unwrap();
        assert!(seen.rss_pages > 0);
        assert!(!seen.is_dead());
        assert!(seen.signal(0));
        let mut other = seen.clone();
        other.started += 1;
        assert!(!other.signal(0), "a later process of the same number is not it");
    }
}
