//! The few system calls that are unsafe to make or that `nix` does not wrap, each behind a safe function that says why it is.
#![expect(unsafe_code, reason = "fork, pidfds and received descriptors have no safe wrapper")]

use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, UnixAddr, recvmsg, sendmsg};
use nix::unistd::{ForkResult, Pid};

/// Runs `child` in a forked process; gives its pid.
///
/// The child never returns into the caller's stack: a panic in it ends it with code 70.
pub(crate) fn fork(child: impl FnOnce() -> i32) -> nix::Result<Pid> {
    // SAFETY: when the process has one thread (guardian and keepers: always) a forked child may do anything. When it has more
    // (a guardian forked from a library user's process), the child may not touch locks that another thread may have held: it
    // allocates, which glibc and musl make safe after fork, and otherwise makes plain system calls.
    match unsafe { nix::unistd::fork() }? {
        ForkResult::Parent { child } => Ok(child),
        ForkResult::Child => {
            let code = std::panic::catch_unwind(std::panic::AssertUnwindSafe(child)).unwrap_or(70);
            exit(code)
        }
    }
}

/// Runs `child` in a forked process that is a child of this one's parent; gives its pid. If it is the first of a new process namespace,
/// all in that die with it.
pub(crate) fn fork_sibling(is_first: bool, child: impl FnOnce() -> i32) -> nix::Result<Pid> {
    let namespace = if is_first { libc::CLONE_NEWPID } else { 0 };
    let args = [u64::from((libc::CLONE_PARENT | namespace).unsigned_abs()), 0, 0, 0, 0, 0, 0, 0];
    // SAFETY: the arguments are the kernel's first version of clone_args: flags and nothing else, so it acts as fork(2) does. This process
    // has one thread, so a forked child may do anything. (The C library does not notice this fork: it goes on believing the
    // thread's number of before, which it uses for nothing but locks between threads.)
    let pid = Errno::result(unsafe { libc::syscall(libc::SYS_clone3, args.as_ptr(), size_of_val(&args)) })?;
    match i32::try_from(pid).expect("numbers of processes are small") {
        0 => {
            let code = std::panic::catch_unwind(std::panic::AssertUnwindSafe(child)).unwrap_or(70);
            exit(code)
        }
        pid => Ok(Pid::from_raw(pid)),
    }
}

/// Ends this process without running anything that was registered for its end: that belongs to the process that it was forked from.
fn exit(code: i32) -> ! {
    // SAFETY: no memory is touched.
    unsafe { libc::_exit(code) }
}

/// Sets every signal to its default action, so that a program is not born with what the bench's runtime, or whoever started dsbench,
/// ignores.
pub(crate) fn reset_signal_actions() {
    const SIGNALS: std::ops::RangeInclusive<libc::c_int> = 1..=64;
    // The kernel's own form of sigaction, all zero: the default action. The C library would refuse the signals that it uses itself.
    let default = [0_u64; 4];
    let no_old = std::ptr::null_mut::<u64>();
    for signal in SIGNALS {
        // SAFETY: the structure is at least as large as the kernel's on every architecture, and no handler is installed. SIGKILL
        // and SIGSTOP refuse, rightly.
        unsafe { libc::syscall(libc::SYS_rt_sigaction, signal, default.as_ptr(), no_old, size_of::<u64>()) };
    }
}

/// Closes every descriptor above standard error but one.
pub(crate) fn close_all_but(kept: &OwnedFd) {
    let kept = kept.as_raw_fd().unsigned_abs();
    close_range(3, kept - 1, 0);
    close_range(kept + 1, u32::MAX, 0);
}

/// Marks every descriptor above standard error as closed by exec.
pub(crate) fn close_on_exec() {
    close_range(3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC);
}

/// Tries the call that the two above make, on a range in which nothing is open.
pub(crate) fn close_range_works() -> nix::Result<()> {
    // SAFETY: no descriptor has this number: the system's limits are far below.
    let done = unsafe { libc::syscall(libc::SYS_close_range, u32::MAX, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    Errno::result(done).map(drop)
}

fn close_range(first: u32, last: u32, flags: u32) {
    if first > last {
        return;
    }
    // SAFETY: called only in a process that was just forked, where nothing but the caller owns descriptors, and the caller has
    // named the one that it goes on using.
    unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) };
}

/// What this starts will have a session of its own, and be killed when the thread that has started it ends, in whatever way.
pub(crate) fn tie(command: &mut std::process::Command) {
    use std::os::unix::process::CommandExt as _;
    let parent = nix::unistd::getpid();
    let become_tied = move || {
        nix::unistd::setsid()?;
        nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL)?;
        // The parent may have ended before the line above.
        if nix::unistd::getppid() != parent {
            return Err(Errno::ESRCH.into());
        }
        Ok(())
    };
    // SAFETY: between fork and exec it makes plain system calls only: no allocation, no lock.
    unsafe { command.pre_exec(become_tied) };
}

/// A handle on a process that never comes to mean another one.
#[derive(Debug)]
pub(crate) struct PidFd(OwnedFd);

impl PidFd {
    /// Opens it; ESRCH if there is none.
    pub(crate) fn open(pid: Pid) -> nix::Result<Self> {
        // SAFETY: no memory is involved; a non-negative result is a new descriptor that nobody else owns.
        unsafe {
            let fd = Errno::result(libc::syscall(libc::SYS_pidfd_open, pid.as_raw(), 0))?;
            Ok(Self(OwnedFd::from_raw_fd(RawFd::try_from(fd).expect("descriptors are small"))))
        }
    }

    /// Opens it by its directory in /proc; ENOENT if there is none. This kind can be signalled, not polled.
    pub(crate) fn seen(path: &str) -> nix::Result<Self> {
        let flags = nix::fcntl::OFlag::O_RDONLY | nix::fcntl::OFlag::O_DIRECTORY | nix::fcntl::OFlag::O_CLOEXEC;
        nix::fcntl::open(path, flags, nix::sys::stat::Mode::empty()).map(Self)
    }

    /// Sends a signal by number (real-time signals have no name).
    pub(crate) fn signal(&self, signal: i32) -> nix::Result<()> {
        let no_info = std::ptr::null::<libc::siginfo_t>();
        // SAFETY: a null siginfo is allowed and means the same as kill(2).
        let sent = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, self.0.as_raw_fd(), signal, no_info, 0) };
        Errno::result(sent).map(drop)
    }
}

impl AsFd for PidFd {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// Sends one message with descriptors. Never raises SIGPIPE.
pub(crate) fn send(socket: &OwnedFd, bytes: &[u8], fds: &[RawFd], flags: MsgFlags) -> nix::Result<()> {
    let rights = [ControlMessage::ScmRights(fds)];
    let control: &[ControlMessage] = if fds.is_empty() { &[] } else { &rights };
    sendmsg::<UnixAddr>(socket.as_raw_fd(), &[IoSlice::new(bytes)], control, flags | MsgFlags::MSG_NOSIGNAL, None)
        .map(drop)
}

/// Receives one message and its descriptors (at most eight) into `buffer`; length 0 is the end. EAGAIN if there is none yet.
pub(crate) fn receive(socket: &OwnedFd, buffer: &mut [u8]) -> nix::Result<(usize, Vec<OwnedFd>)> {
    let mut space = nix::cmsg_space!([RawFd; 8]);
    let mut parts = [IoSliceMut::new(buffer)];
    let message = recvmsg::<UnixAddr>(
        socket.as_raw_fd(),
        &mut parts,
        Some(&mut space),
        MsgFlags::MSG_CMSG_CLOEXEC | MsgFlags::MSG_DONTWAIT,
    )?;
    let mut fds = Vec::new();
    for control in message.cmsgs()? {
        if let ControlMessageOwned::ScmRights(received) = control {
            // SAFETY: the kernel has just made these descriptors for us, and nobody else knows them.
            fds.extend(received.into_iter().map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }));
        }
    }
    Ok((message.bytes, fds))
}
