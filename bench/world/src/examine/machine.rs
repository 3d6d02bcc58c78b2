//! How much there is of what runs share: open files, processes, disk, and the processor's attention.

use std::fs;
use std::io;
use std::path::Path;
use std::time::Duration;

use nix::poll::{PollTimeout, poll};
use nix::sys::resource::{Resource, getrlimit};
use nix::sys::statvfs::statvfs;
use nix::unistd::getuid;

use crate::clock::Monotonic;
use crate::process::tree;

/// How many there may be, and how many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// None: as many as one likes.
    pub most: Option<u64>,
    /// So many are there already.
    pub now: u64,
}

impl Limit {
    /// How many more there may be.
    pub fn room(self) -> u64 {
        self.most.map_or(u64::MAX, |most| most.saturating_sub(self.now))
    }
}

/// What a run can use up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Files that dsbench itself may have open (it lifts its limit as far as it is allowed to).
    pub open_files: Limit,
    /// Processes and threads of this user (`ulimit -u`).
    pub processes: Limit,
    /// Processes and threads of this control group: what a container may have. None if it is not said.
    pub group: Option<Limit>,
}

/// Looks the limits up.
///
/// # Errors
/// If the system does not say.
pub fn limits() -> io::Result<Limits> {
    let finite = |most: u64| (most != u64::MAX).then_some(most);
    let (_, files) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let (processes, _) = getrlimit(Resource::RLIMIT_NPROC)?;
    let open = fs::read_dir("/proc/self/fd")?.count() as u64;
    // The kernel lets root have as many as it likes, whatever the limit says.
    let processes = finite(processes).filter(|_| !getuid().is_root());
    Ok(Limits {
        open_files: Limit { most: finite(files), now: open },
        processes: Limit { most: processes, now: own_threads() },
        group: group(),
    })
}

/// Threads of this user's processes: what counts against the limit of processes.
fn own_threads() -> u64 {
    let user = getuid().as_raw();
    let is_own = |pid: i32| {
        use std::os::unix::fs::MetadataExt as _;
        fs::metadata(format!("/proc/{pid}")).is_ok_and(|process| process.uid() == user)
    };
    tree::all().iter().filter(|process| is_own(process.pid)).map(tree::Process::threads).sum()
}

/// The nearest limit of processes of the control group (version 2) that this process is in, or of one above it.
fn group() -> Option<Limit> {
    let own = fs::read_to_string("/proc/self/cgroup").ok()?;
    let path = own.lines().find_map(|line| line.strip_prefix("0::"))?.trim_start_matches('/');
    let root = Path::new("/sys/fs/cgroup");
    let mut dir = root.join(path);
    let mut nearest: Option<Limit> = None;
    loop {
        let number = |name: &str| fs::read_to_string(dir.join(name)).ok()?.trim().parse::<u64>().ok();
        if let (Some(most), Some(now)) = (number("pids.max"), number("pids.current")) {
            let limit = Limit { most: Some(most), now };
            nearest = nearest.filter(|nearest| nearest.room() <= limit.room()).or(Some(limit));
        }
        if dir == root || !dir.pop() || !dir.starts_with(root) {
            return nearest;
        }
    }
}

/// What is free on a disk, for whoever asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Bytes.
    pub bytes: u64,
    /// Files; none if the file system does not count them.
    pub files: Option<u64>,
}

/// What is free where this directory is.
///
/// # Errors
/// If there is no such directory.
pub fn space(dir: &Path) -> io::Result<Space> {
    let stat = statvfs(dir)?;
    let files = (stat.files() > 0).then(|| stat.files_available());
    Ok(Space { bytes: stat.blocks_available().saturating_mul(stat.fragment_size()), files })
}

/// How late this process is woken after a wait: the accuracy of everything that a run measures here and now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lateness {
    /// Half of the waits were no later.
    pub median: Duration,
    /// None was later.
    pub worst: Duration,
}

/// Waits some milliseconds, many times; takes about a tenth of a second.
pub fn lateness() -> Lateness {
    const WAIT: Duration = Duration::from_millis(2);
    let late = |_| {
        let since = Monotonic::now();
        let _ = poll(&mut [], PollTimeout::try_from(WAIT).expect("two milliseconds are a time"));
        Monotonic::now().since(since).saturating_sub(WAIT)
    };
    let mut all: Vec<Duration> = (0..50).map(late).collect();
    all.sort_unstable();
    Lateness { median: all[all.len() / 2], worst: all[all.len() - 1] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_has_limits_and_space_that_make_sense() {
        let limits = limits().unwrap();
        assert!(limits.open_files.now > 2 && limits.open_files.room() > 0);
        assert!(limits.processes.now >= 1, "at least this test");
        assert!(space(Path::new(".")).unwrap().bytes > 0);
        assert!(space(Path::new("/nowhere/at/all")).is_err());
        let lateness = lateness();
        assert!(lateness.median <= lateness.worst);
    }
}
