//! The same namespaces, devices, addresses and routes by the fewest calls that make them, as a measure: one process, raw netlink, and nobody
//! who is told of anything.
#![expect(unsafe_code, reason = "an ioctl")]

use std::fs::{File, OpenOptions};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket};
use nix::unistd::sethostname;

/// What holds a machine up: its device and its namespaces.
pub(crate) struct Bare {
    _tap: File,
    _namespaces: Vec<File>,
}

/// Builds so many machines. This process is in the last of them afterwards.
pub(crate) fn build(count: u16) -> Vec<Bare> {
    unshare(CloneFlags::CLONE_NEWNS).unwrap();
    mount(None::<&str>, "/", None::<&str>, MsFlags::MS_REC | MsFlags::MS_PRIVATE, None::<&str>).unwrap();
    let common = File::open("/proc/self/ns/mnt").unwrap();
    (1..=count).map(|number| machine(number, &common)).collect()
}

fn machine(number: u16, common: &File) -> Bare {
    setns(common, CloneFlags::CLONE_NEWNS).unwrap();
    let kinds =
        CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWUTS | CloneFlags::CLONE_NEWIPC;
    unshare(kinds).unwrap();
    sethostname(format!("n{number}")).unwrap();
    for place in ["/run", "/dev/shm"] {
        mount(Some("bare"), place, Some("tmpfs"), MsFlags::empty(), None::<&str>).unwrap();
    }
    let tap = tap();
    let netlink = netlink();
    let [high, low] = number.to_be_bytes();
    let mac = [2, 0, 0, 0, high, low];
    let ip4 = [10, 77, high, low];
    let mut ip6 = [0; 16];
    ip6[..2].copy_from_slice(&[0xfd, 0x77]);
    ip6[14..].copy_from_slice(&[high, low]);
    // lo is 1 in a new network namespace, and the first device after it 2.
    ask(&netlink, 16, 0, &link(1), &[]);
    ask(&netlink, 16, 0, &link(2), &[(1, &mac), (4, &1500_u32.to_ne_bytes()), (13, &10_000_u32.to_ne_bytes())]);
    ask(&netlink, 20, 0x600, &[2, 16, 0, 0, 2, 0, 0, 0], &[(2, &ip4), (1, &ip4)]);
    ask(&netlink, 24, 0x600, &[2, 0, 0, 0, 254, 3, 253, 1, 0, 0, 0, 0], &[(4, &2_u32.to_ne_bytes())]);
    ask(&netlink, 20, 0x600, &[10, 64, 2, 0, 2, 0, 0, 0], &[(2, &ip6), (1, &ip6)]);
    ask(&netlink, 24, 0x600, &[10, 0, 0, 0, 254, 3, 0, 1, 0, 0, 0, 0], &[(4, &2_u32.to_ne_bytes())]);
    let namespace = |kind| File::open(format!("/proc/self/ns/{kind}")).unwrap();
    Bare { _tap: tap, _namespaces: ["net", "mnt", "uts", "ipc"].map(namespace).into() }
}

fn tap() -> File {
    let tun = OpenOptions::new().read(true).write(true).open("/dev/net/tun").unwrap();
    let mut request = [0_u8; 40];
    request[..4].copy_from_slice(b"eth0");
    request[16..18].copy_from_slice(&0x1002_u16.to_ne_bytes());
    // SAFETY: the request is an ifreq of full length.
    assert_eq!(unsafe { libc::ioctl(tun.as_raw_fd(), libc::TUNSETIFF, request.as_mut_ptr()) }, 0);
    tun
}

fn netlink() -> OwnedFd {
    socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkRoute).unwrap()
}

/// The header of a message that sets a link up.
fn link(index: u32) -> [u8; 16] {
    let mut header = [0; 16];
    header[4..8].copy_from_slice(&index.to_ne_bytes());
    header[8..12].copy_from_slice(&1_u32.to_ne_bytes());
    header[12..].copy_from_slice(&1_u32.to_ne_bytes());
    header
}

fn ask(netlink: &OwnedFd, kind: u16, flags: u16, header: &[u8], attributes: &[(u16, &[u8])]) {
    let mut message = vec![0; 16];
    message.extend_from_slice(header);
    for (kind, value) in attributes {
        message.extend_from_slice(&u16::try_from(value.len() + 4).unwrap().to_ne_bytes());
        message.extend_from_slice(&kind.to_ne_bytes());
        message.extend_from_slice(value);
        message.resize(message.len().next_multiple_of(4), 0);
    }
    let length = u32::try_from(message.len()).unwrap();
    message[..4].copy_from_slice(&length.to_ne_bytes());
    message[4..6].copy_from_slice(&kind.to_ne_bytes());
    message[6..8].copy_from_slice(&(flags | 5).to_ne_bytes());
    send(netlink.as_raw_fd(), &message, MsgFlags::empty()).unwrap();
    let mut answer = [0; 1024];
    recv(netlink.as_raw_fd(), &mut answer, MsgFlags::empty()).unwrap();
    assert_eq!(answer[16..20], [0; 4], "the kernel refuses message {kind}");
}
