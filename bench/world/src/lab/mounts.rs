//! What a machine sees of the disk: all that the host has, but for a few places that machines do not share.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{OFlag, open};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::stat::Mode;

use super::message::Refusal;
use super::spec::LabSpec;

/// Where processes of one machine meet, and those of two must not: locks, process ids, sockets; shared memory.
const PRIVATE: &[&str] = &["/run", "/dev/shm"];

/// Makes this process's mounts its own, and gives them what all machines have in common: the names of all.
pub(super) fn share(spec: &LabSpec) -> Result<(), Refusal> {
    let nothing = None::<&str>;
    mount(nothing, "/", nothing, MsFlags::MS_REC | MsFlags::MS_PRIVATE, nothing)
        .map_err(Refusal::of("make the mounts private"))?;
    // Files for the mounts below; they need the place only until they are mounted.
    tmpfs(Path::new("/run"), "mode=0755")?;
    let covered = cover("/etc/hosts", &hosts(spec)).and_then(|()| {
        match cover("/etc/resolv.conf", "# No name server: /etc/hosts has the names of all machines.\n") {
            // What is not there asks nobody; neither does a link into /run, which leads nowhere in a machine.
            Err(Refusal { errno: Errno::ENOENT, .. }) => Ok(()),
            result => result,
        }
    });
    umount2("/run", MntFlags::MNT_DETACH).map_err(Refusal::of("take a tmpfs from /run"))?;
    covered
}

/// The private places of one machine, in a copy of the mounts above.
pub(super) fn separate(visible: &[PathBuf]) -> Result<(), Refusal> {
    for place in PRIVATE.iter().map(Path::new).filter(|place| place.is_dir()) {
        // Held open, what is about to be covered can still be mounted from.
        let hold = |dir: &Path| open(dir, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty()).ok();
        let kept: Vec<(&PathBuf, OwnedFd)> =
            visible.iter().filter(|dir| dir.starts_with(place)).filter_map(|dir| Some((dir, hold(dir)?))).collect();
        // As writable as /tmp: whoever a program runs as, it may put its lock here.
        tmpfs(place, "mode=1777")?;
        for (dir, old) in kept {
            let what = format!("keep {} visible", dir.display());
            fs::create_dir_all(dir).map_err(|error| Refusal::io(&what, &error))?;
            let old = format!("/proc/self/fd/{}", old.as_raw_fd());
            mount(Some(old.as_str()), dir, None::<&str>, MsFlags::MS_BIND | MsFlags::MS_REC, None::<&str>)
                .map_err(Refusal::of(&what))?;
        }
    }
    own_devices();
    Ok(())
}

/// Shows in /sys the network devices of this process's own network namespace instead of those of the host.
///
/// Only these: a whole /sys of its own would hide what is mounted in it, such as control groups. Containers may refuse it; then programs
/// that look there, few as they are, see the container's devices.
fn own_devices() {
    // One is full of links into the other.
    const DEVICES: [&str; 2] = ["class/net", "devices/virtual/net"];
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC | MsFlags::MS_RDONLY;
    // A machine's /run is a tmpfs of its own already; it hides the rest of this /sys only as long as it takes.
    let place = Path::new("/run");
    if mount(Some("sysfs"), place, Some("sysfs"), flags, None::<&str>).is_ok() {
        for devices in DEVICES {
            let _ = mount(
                Some(&place.join(devices)),
                &Path::new("/sys").join(devices),
                None::<&str>,
                MsFlags::MS_BIND,
                None::<&str>,
            );
        }
        let _ = umount2(place, MntFlags::MNT_DETACH);
    }
}

/// Mounts the processes of this process's own namespace over those of the host. Containers may refuse it.
pub(crate) fn own_proc() -> nix::Result<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("proc"), "/proc", Some("proc"), flags, None::<&str>)
}

fn tmpfs(place: &Path, options: &str) -> Result<(), Refusal> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV;
    mount(Some("dsbench"), place, Some("tmpfs"), flags, Some(options))
        .map_err(Refusal::of(&format!("mount a tmpfs on {}", place.display())))
}

/// Puts a file of this text in place of a file that is there.
fn cover(path: &str, text: &str) -> Result<(), Refusal> {
    let what = format!("put a file in place of {path}");
    let mine = Path::new("/run").join(path.trim_start_matches('/').replace('/', "-"));
    let written = fs::write(&mine, text).and_then(|()| fs::set_permissions(&mine, fs::Permissions::from_mode(0o644)));
    written.map_err(|error: io::Error| Refusal::io(&what, &error))?;
    mount(Some(&mine), path, None::<&str>, MsFlags::MS_BIND, None::<&str>).map_err(Refusal::of(&what))
}

/// `/etc/hosts` of every machine.
fn hosts(spec: &LabSpec) -> String {
    let mut text = "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n".to_owned();
    for endpoint in spec.all() {
        let (host, name) = (&endpoint.hostname, &endpoint.name);
        let names = if host == name { name.clone() } else { format!("{host} {name}") };
        text.push_str(&format!("{} {names}\n{} {names}\n", endpoint.ip4, endpoint.ip6));
    }
    for line in &spec.hosts {
        text.push_str(line);
        text.push('\n');
    }
    text
}
