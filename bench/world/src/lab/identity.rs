//! Who programs are: the map of users between the laboratory and the host, and the users by name.
//!
//! The map is the identity. A program sees the user who it is, and one of an ordinary user has no capability after exec: PostgreSQL and
//! others refuse to run as user 0. Only root may map more than itself.

use std::ffi::CString;
use std::fs;
use std::io;

use nix::errno::Errno;
use nix::unistd::{Pid, getegid, geteuid, getgrouplist};
use serde::{Deserialize, Serialize};

use super::LabError;

/// A user of this system.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    name: String,
    owner: Owner,
}

/// Whose a process or a file is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Owner {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) groups: Vec<u32>,
}

impl User {
    /// The user of this name; none if there is none.
    ///
    /// # Errors
    /// If the system's list of users cannot be read.
    pub fn named(name: &str) -> io::Result<Option<Self>> {
        Ok(nix::unistd::User::from_name(name)?.map(Self::of))
    }

    /// Who has called `sudo` to start dsbench as root; none if nobody did (or if that was root).
    pub fn behind_sudo() -> Option<Self> {
        let uid: u32 = std::env::var("SUDO_UID").ok()?.parse().ok()?;
        let gid: u32 = std::env::var("SUDO_GID").ok()?.parse().ok()?;
        if uid == 0 || !geteuid().is_root() {
            return None;
        }
        let known = nix::unistd::User::from_uid(uid.into()).ok().flatten().map(Self::of);
        // A user without an entry in the list: numbers are enough.
        Some(known.unwrap_or_else(|| Self { name: uid.to_string(), owner: Owner { uid, gid, groups: vec![gid] } }))
    }

    fn of(user: nix::unistd::User) -> Self {
        let name = CString::new(user.name.clone()).unwrap_or_default();
        let groups = getgrouplist(&name, user.gid).unwrap_or_else(|_| vec![user.gid]);
        let groups = groups.into_iter().map(nix::unistd::Gid::as_raw).collect();
        Self { name: user.name, owner: Owner { uid: user.uid.as_raw(), gid: user.gid.as_raw(), groups } }
    }

    /// Whether this process can become it, or give it something.
    pub(crate) fn check(&self) -> Result<(), LabError> {
        let own = geteuid();
        if own.is_root() || own.as_raw() == self.uid() {
            return Ok(());
        }
        let why = "only root can run programs as somebody else: start dsbench with sudo".to_owned();
        Err(LabError::User { user: self.name.clone(), why })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its number, as on the host.
    pub fn uid(&self) -> u32 {
        self.owner.uid
    }

    /// The number of its group, as on the host.
    pub fn gid(&self) -> u32 {
        self.owner.gid
    }

    pub(crate) fn owner(&self) -> &Owner {
        &self.owner
    }
}

/// How many users a laboratory has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Mapped {
    /// All that the host has.
    All,
    /// The one that started dsbench.
    One,
}

/// Maps users and groups of a process's new user namespace to the same numbers outside. Called in the parent namespace.
pub(super) fn map(process: Pid) -> nix::Result<Mapped> {
    if geteuid().is_root() && map_all(process).is_ok() {
        return Ok(Mapped::All);
    }
    let write = |file: &str, text: String| write(process, file, &text);
    // The kernel wants the first before the last, from whoever has no right to it anyway.
    write("setgroups", "deny".to_owned())?;
    let (uid, gid) = (geteuid(), getegid());
    write("uid_map", format!("{uid} {uid} 1"))?;
    write("gid_map", format!("{gid} {gid} 1"))?;
    Ok(Mapped::One)
}

fn map_all(process: Pid) -> nix::Result<()> {
    for file in ["uid_map", "gid_map"] {
        write(process, file, &identity(&fs::read_to_string(format!("/proc/self/{file}")).unwrap_or_default()))?;
    }
    Ok(())
}

/// Each number that exists here, mapped to itself. This may be a namespace too (a container), so not every number does.
fn identity(own: &str) -> String {
    let line = |line: &str| {
        let mut fields = line.split_whitespace();
        let (first, count) = (fields.next()?, fields.nth(1)?);
        Some(format!("{first} {first} {count}\n"))
    };
    own.lines().filter_map(line).collect()
}

fn write(process: Pid, file: &str, text: &str) -> nix::Result<()> {
    // In one piece: the kernel takes a map once.
    fs::write(format!("/proc/{process}/{file}"), text)
        .map_err(|error| error.raw_os_error().map_or(Errno::EIO, Errno::from_raw))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_number_that_exists_is_mapped_to_itself() {
        assert_eq!(identity("         0          0 4294967295\n"), "0 0 4294967295\n");
        assert_eq!(identity("0 1000 1\n1 100000 65536\n"), "0 0 1\n1 1 65536\n");
        assert_eq!(identity(""), "");
    }

    #[test]
    fn root_is_known_and_nobody_knows_a_user_without_a_name() {
        let root = User::named("root").unwrap().unwrap();
        assert_eq!((root.name(), root.uid(), root.gid()), ("root", 0, 0));
        assert!(root.owner().groups.contains(&0));
        assert_eq!(User::named("no such user").unwrap(), None);
    }
}
