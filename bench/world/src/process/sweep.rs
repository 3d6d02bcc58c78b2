//! Killing a tree that does not want to die.

use nix::sys::signal::Signal;
use nix::unistd::Pid;

use super::sys::PidFd;
use super::tree;

/// Kills all descendants of a process that can be seen.
///
/// First everything is stopped, again and again until nothing new appears, so that no parent can replace its killed children; then
/// everything is killed.
pub(super) fn sweep(root: Pid) {
    const ROUNDS_MAX: usize = 50;
    let mut caught: Vec<(i32, PidFd)> = Vec::new();
    for _ in 0..ROUNDS_MAX {
        let known = caught.len();
        for process in tree::descendants(root.as_raw()) {
            if process.is_dead() || caught.iter().any(|(pid, _)| *pid == process.pid) {
                continue;
            }
            if let Some(handle) = process.open() {
                let _ = handle.signal(Signal::SIGSTOP as i32);
                caught.push((process.pid, handle));
            }
        }
        if caught.len() == known {
            break;
        }
    }
    for (_, process) in &caught {
        let _ = process.signal(Signal::SIGKILL as i32);
    }
}
