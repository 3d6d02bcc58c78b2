//! The network to compare with: two network namespaces and a bridge of the kernel.

use std::net::UdpSocket;
use std::process::{Child, Command, Stdio};

/// Two network namespaces joined by a bridge of the kernel in a third.
pub(super) struct Bridge {
    names: [String; 3],
}

impl Bridge {
    pub(super) fn new() -> Self {
        let names = ["a", "b", "bridge"].map(|name| format!("dsbench-{}-{name}", std::process::id()));
        let bridge = Self { names };
        let [_, _, hub] = &bridge.names;
        bridge.names.iter().for_each(|name| ip(&format!("netns add {name}")));
        ip(&format!("-n {hub} link add br0 type bridge"));
        ip(&format!("-n {hub} link set br0 up"));
        for (number, name) in bridge.names[..2].iter().enumerate() {
            ip(&format!("-n {hub} link add port{number} type veth peer name eth0 netns {name}"));
            ip(&format!("-n {hub} link set port{number} master br0 up"));
            ip(&format!("-n {name} addr add 10.77.0.{}/24 dev eth0", number + 1));
            ip(&format!("-n {name} link set eth0 up"));
        }
        bridge
    }

    /// One frame is one packet from here on.
    pub(super) fn no_offloads(&self) {
        for (name, card) in [(0, "eth0"), (1, "eth0"), (2, "port0"), (2, "port1")] {
            assert!(self.start(name, &["no-offloads", card]).wait().unwrap().success());
        }
    }

    fn start(&self, on: usize, words: &[&str]) -> Child {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.names[on]]).arg(std::env::current_exe().unwrap()).args(words);
        command.stdout(Stdio::piped()).spawn().unwrap()
    }

    pub(super) fn said(&self, server: &[&str], client: &[&str]) -> String {
        let (server, client) = (self.start(0, server), self.start(1, client));
        let said = [client, server].map(|child| String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap());
        format!("{} {}", said[0].trim(), said[1].trim())
    }

    pub(super) fn pair(&self, server: &[&str], client: &[&str]) -> f64 {
        self.said(server, client).trim().parse().unwrap()
    }
}

impl Drop for Bridge {
    fn drop(&mut self) {
        self.names.iter().for_each(|name| ip(&format!("netns del {name}")));
    }
}

fn ip(words: &str) {
    let done = Command::new("ip").args(words.split(' ')).status().expect("iproute2 is installed");
    assert!(done.success(), "ip {words}");
}

#[expect(unsafe_code, reason = "an ioctl that nix does not wrap")]
pub(super) fn no_offloads(card: &str) {
    use std::os::fd::AsRawFd;
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    // ETHTOOL_STSO, SGSO, SGRO, STXCSUM.
    for command in [0x1f_u32, 0x24, 0x2c, 0x17] {
        let mut setting = [command, 0];
        let mut request = [0_u64; 5];
        let name: Vec<u8> = card.bytes().chain(std::iter::repeat(0)).take(16).collect();
        request[0] = u64::from_ne_bytes(name[..8].try_into().unwrap());
        request[1] = u64::from_ne_bytes(name[8..].try_into().unwrap());
        request[2] = setting.as_mut_ptr() as u64;
        // SAFETY: an ifreq of full length, whose pointer names a setting that outlives the call.
        let done = unsafe { libc::ioctl(socket.as_raw_fd(), 0x8946, request.as_mut_ptr()) };
        assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
    }
}
