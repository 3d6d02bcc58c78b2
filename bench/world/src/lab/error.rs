//! Why there is no laboratory here, and what to do about it.

use std::fs;
use std::io;
use std::time::Duration;

use nix::errno::Errno;

use super::message::Step;

/// A laboratory that cannot be built or used.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// The machine refuses something.
    #[error("{what}: {} ({remedy})", reason.desc())]
    Refused {
        /// What was tried, beginning in lower case.
        what: String,
        /// The system's reason.
        reason: Errno,
        /// What to do about it, for people.
        remedy: String,
    },
    /// The guardian cannot be asked.
    #[error("ask the guardian for a laboratory")]
    Guardian {
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The laboratory's process ended.
    #[error("the process that was to build the laboratory has ended (was it killed?)")]
    Died,
    /// It takes too long.
    #[error("the laboratory was not built within {} s (is the machine overloaded?)", .after.as_secs())]
    Slow {
        /// How long was waited.
        after: Duration,
    },
    /// There are more machines than this process may have files open.
    #[error(
        "{machines} machines need {needed} open files, and {limit} are allowed (`ulimit -Hn` raises it; in a container: --ulimit nofile=65536)"
    )]
    Files {
        /// How many machines.
        machines: u64,
        /// What they take.
        needed: u64,
        /// The hard limit.
        limit: u64,
    },
    /// A program shall run on a machine that does not exist.
    #[error("there is no machine called `{endpoint}` in this laboratory")]
    NoEndpoint {
        /// The name.
        endpoint: String,
    },
    /// A program shall have a capability that does not exist.
    #[error("there is no capability called `{name}` (capabilities(7) lists them; leave out CAP_)")]
    NoCapability {
        /// The name.
        name: String,
    },
    /// A program shall run as a user who cannot be had.
    #[error("run as user `{user}`: {why}")]
    User {
        /// The name.
        user: String,
        /// Why not, for people.
        why: String,
    },
    /// There is no laboratory.
    #[error("there is no laboratory in this run, so a program cannot have a place in it")]
    None,
}

impl LabError {
    pub(super) fn refused(at: Step, what: String, errno: i32) -> Self {
        let reason = Errno::from_raw(errno);
        Self::Refused { what, reason, remedy: remedy(at, reason, &|path| fs::read_to_string(path).ok()) }
    }

    /// What to do about it, if the machine is at fault.
    pub fn remedy(&self) -> Option<&str> {
        match self {
            Self::Refused { remedy, .. } => Some(remedy),
            _ => None,
        }
    }
}

/// In a container nothing else helps.
const CONTAINER: &str = "in a container: docker run --cap-add SYS_ADMIN --cap-add NET_ADMIN --device /dev/net/tun \
                         --security-opt seccomp=unconfined --security-opt apparmor=unconfined";

/// The profile that gives one program what Ubuntu takes from all.
const APPARMOR: &str = "allow it to dsbench alone: write `abi <abi/4.0>, profile dsbench /PATH/OF/dsbench flags=(unconfined) \
                        { userns, }` to /etc/apparmor.d/dsbench and run `sudo apparmor_parser -r /etc/apparmor.d/dsbench`; \
                        or to all: `sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0`; or start dsbench with sudo";

/// Says what to do, by what the kernel's settings are.
fn remedy(at: Step, reason: Errno, read: &dyn Fn(&str) -> Option<String>) -> String {
    let setting = |name: &str| read(&format!("/proc/sys/{name}")).map(|text| text.trim().to_owned());
    match at {
        Step::Users | Step::Map | Step::Mounts | Step::Machine | Step::Network => {
            if setting("kernel/unprivileged_userns_clone").as_deref() == Some("0") {
                return "this kernel lets only root make user namespaces: `sudo sysctl -w kernel.unprivileged_userns_clone=1`, \
                        or start dsbench with sudo"
                    .to_owned();
            }
            if setting("kernel/apparmor_restrict_unprivileged_userns").as_deref() == Some("1") {
                return APPARMOR.to_owned();
            }
            if reason == Errno::ENOSPC {
                let which = if at == Step::Users { "user" } else { "net" };
                return format!(
                    "the limit of namespaces (0: none at all) is reached: `sysctl user.max_{which}_namespaces` shows it, \
                     `sudo sysctl -w user.max_{which}_namespaces=16384` raises it"
                );
            }
            if reason == Errno::EINVAL && at == Step::Users {
                return "this kernel was built without user namespaces (CONFIG_USER_NS): use another kernel, or network.mode = \"host\""
                    .to_owned();
            }
            if at == Step::Mounts && reason == Errno::ENOENT {
                return "create the file, empty if you like: it is covered, never changed".to_owned();
            }
            CONTAINER.to_owned()
        }
        Step::Proc => {
            "runs work without; in a container: docker run --security-opt systempaths=unconfined shows all of /proc".to_owned()
        }
        Step::Ports => {
            "runs work without; in a container: docker run --security-opt systempaths=unconfined opens /proc/sys".to_owned()
        }
        Step::Tap => "`sudo chmod 0666 /dev/net/tun` opens it, as it is on most distributions; `sudo modprobe tun` if it is not there; \
                      in a container: --device /dev/net/tun"
            .to_owned(),
        Step::Packet => format!(
            "/dev/net/tun is closed, and so is the way without it: `sudo chmod 0666 /dev/net/tun` (after `sudo modprobe tun`) opens the \
             first, `sudo modprobe -a veth af_packet` the second; {CONTAINER}"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(at: Step, reason: Errno, settings: &[(&str, &str)]) -> String {
        remedy(at, reason, &|path| {
            let name = path.strip_prefix("/proc/sys/").unwrap();
            settings.iter().find(|(known, _)| *known == name).map(|(_, value)| format!("{value}\n"))
        })
    }

    #[test]
    fn each_refusal_names_the_setting_that_causes_it() {
        let debian = told(Step::Users, Errno::EPERM, &[("kernel/unprivileged_userns_clone", "0")]);
        assert!(debian.contains("kernel.unprivileged_userns_clone=1"), "{debian}");
        let ubuntu = told(Step::Map, Errno::EPERM, &[("kernel/apparmor_restrict_unprivileged_userns", "1")]);
        assert!(ubuntu.contains("apparmor_parser -r") && ubuntu.contains("userns,"), "{ubuntu}");
        let limit = told(Step::Users, Errno::ENOSPC, &[("kernel/apparmor_restrict_unprivileged_userns", "0")]);
        assert!(limit.contains("user.max_user_namespaces"), "{limit}");
        assert!(told(Step::Mounts, Errno::ENOENT, &[]).contains("create the file"));
        assert!(told(Step::Machine, Errno::ENOSPC, &[]).contains("user.max_net_namespaces"));
        assert!(told(Step::Users, Errno::EINVAL, &[]).contains("CONFIG_USER_NS"));
        let docker = told(Step::Users, Errno::EPERM, &[]);
        assert!(docker.contains("--cap-add SYS_ADMIN") && docker.contains("seccomp=unconfined"), "{docker}");
        assert!(told(Step::Tap, Errno::EACCES, &[]).contains("chmod 0666 /dev/net/tun"));
        let neither = told(Step::Packet, Errno::EPERM, &[]);
        assert!(neither.contains("/dev/net/tun") && neither.contains("veth af_packet"), "{neither}");
    }
}
