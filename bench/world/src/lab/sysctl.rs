//! Settings of the kernel that belong to a network namespace.

use std::fs;

use nix::unistd::getegid;

use super::identity::Mapped;

/// Lets everybody bind every port: nodes may use their production ports. False if the system does not let us.
pub(super) fn open_low_ports() -> bool {
    set("net/ipv4/ip_unprivileged_port_start", "0")
}

/// What makes a machine quiet and ready at once; not worth a failure.
pub(super) fn calm(users: Mapped) {
    // No second's wait before an address may be used: nobody else can have it.
    set("net/ipv6/conf/default/accept_dad", "0");
    // No questions to routers, which do not exist.
    set("net/ipv6/conf/default/router_solicitations", "0");
    set("net/ipv6/conf/default/accept_ra", "0");
    // `ping` works for everybody, as it does on common distributions.
    let groups = match users {
        Mapped::All => "0 2147483647".to_owned(),
        Mapped::One => format!("{gid} {gid}", gid = getegid()),
    };
    set("net/ipv4/ping_group_range", &groups);
}

/// The switch's side sees every frame, and must not take part.
pub(super) fn mute() {
    set("net/ipv6/conf/all/disable_ipv6", "1");
    set("net/ipv6/conf/default/disable_ipv6", "1");
}

fn set(name: &str, value: &str) -> bool {
    fs::write(format!("/proc/sys/{name}"), value).is_ok()
}
