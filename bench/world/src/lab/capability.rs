//! Becoming a user, and keeping chosen capabilities across exec.
#![expect(unsafe_code, reason = "capset has no wrapper")]

use nix::errno::Errno;
use nix::unistd::{Gid, Uid, getgid, getuid, setgroups, setresgid, setresuid};

use super::Owner;

/// The capabilities of Linux by their numbers, without `CAP_`. See capabilities(7).
pub const CAPABILITIES: &[&str] = &[
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
];

/// Makes this process, which has every capability of its laboratory and is about to exec, the user's, with these capabilities.
///
/// Root keeps all that it has there. The parent-death signal is lost when the user changes: set it afterwards.
pub(crate) fn become_user(owner: Option<&Owner>, caps: u64) -> nix::Result<()> {
    let changed = owner.filter(|owner| (getuid().as_raw(), getgid().as_raw()) != (owner.uid, owner.gid));
    if let Some(Owner { uid, gid, groups }) = changed {
        // Or all of them are gone with user 0.
        Errno::result(prctl(libc::PR_SET_KEEPCAPS, 1))?;
        setgroups(&groups.iter().map(|gid| Gid::from_raw(*gid)).collect::<Vec<_>>())?;
        let (uid, gid) = (Uid::from_raw(*uid), Gid::from_raw(*gid));
        setresgid(gid, gid, gid)?;
        setresuid(uid, uid, uid)?;
    }
    if getuid().is_root() {
        return Ok(());
    }
    capset(caps)?;
    for number in (0..64).filter(|number| caps & (1 << number) != 0) {
        Errno::result(ambient(number))?;
    }
    Ok(())
}

/// Has these, and may have them after exec too.
fn capset(caps: u64) -> nix::Result<()> {
    #[repr(C)]
    struct Header {
        version: u32,
        pid: i32,
    }
    const VERSION_3: u32 = 0x2008_0522;
    let header = Header { version: VERSION_3, pid: 0 };
    let low = caps as u32;
    let high = (caps >> 32) as u32;
    // Effective, permitted, inheritable; the lower half of each, then the upper.
    let data = [low, low, low, high, high, high];
    // SAFETY: both live until the call returns, and are what version 3 says.
    Errno::result(unsafe { libc::syscall(libc::SYS_capset, &raw const header, data.as_ptr()) }).map(drop)
}

fn prctl(option: libc::c_int, value: libc::c_ulong) -> libc::c_int {
    // SAFETY: these options take numbers only.
    unsafe { libc::prctl(option, value, 0, 0, 0) }
}

fn ambient(number: libc::c_ulong) -> libc::c_int {
    // SAFETY: numbers only.
    unsafe { libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_RAISE as libc::c_ulong, number, 0, 0) }
}
