//! Who is where: the switch answers ARP and neighbour discovery itself.
//!
//! All addresses are known beforehand, so nobody must ask the others. If they had to, a partition would leave failed entries behind, and
//! healing would wait for the kernel's timers. What hosts tell routers (that they look for one, which groups they are in) ends at the switch
//! too: there is no router. So the frames on a link are those of the programs, and their numbers do not depend on the kernel's timers.
//!
//! An address that may move from node to node (that of a virtual router) is the exception: it belongs to whoever says so last, and what is
//! said about it passes the links with all their faults, as between real machines.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::frames::Envelope;
use super::head::{ARP, ETHERNET_BYTES, Head, ICMPV6, IGMP, IPV6, Mac, array, be16};

/// What becomes of a frame before any link is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Manners {
    /// It goes its way.
    Pass,
    /// It ends here.
    End,
    /// It ends here, and its sender gets this.
    Answer(Vec<u8>),
    /// It claims an address of another endpoint.
    Forged,
}

/// Addresses and whose they are.
#[derive(Debug, Clone, Default)]
pub(super) struct Neighbours {
    /// The number of the endpoint and its Ethernet address.
    known: BTreeMap<IpAddr, (usize, Mac)>,
    /// Addresses that anybody may have.
    movable: BTreeSet<IpAddr>,
}

impl Neighbours {
    /// The table of all endpoints: number, Ethernet address, IP addresses.
    pub(super) fn new<'e>(
        endpoints: impl IntoIterator<Item = (usize, Mac, &'e [IpAddr])>,
        movable: BTreeSet<IpAddr>,
    ) -> Self {
        let mut known = BTreeMap::new();
        for (number, mac, addresses) in endpoints {
            let link_local = IpAddr::from(super::frames::link_local(mac));
            known.extend(addresses.iter().copied().chain([link_local]).map(|address| (address, (number, mac))));
        }
        known.retain(|address, _| !movable.contains(address));
        Self { known, movable }
    }

    /// True if an address belongs to another endpoint than this one.
    fn is_of_another(&self, address: IpAddr, endpoint: usize) -> bool {
        self.known.get(&address).is_some_and(|(owner, _)| *owner != endpoint)
    }

    /// What becomes of a frame of this endpoint.
    pub(super) fn judge(&self, endpoint: usize, head: &Head, frame: &[u8]) -> Manners {
        match (head.ethertype, &head.ip) {
            (ARP, _) => self.arp(endpoint, head, frame),
            (_, Some(ip)) if self.is_of_another(ip.from, endpoint) => Manners::Forged,
            (IPV6, Some(ip)) if ip.number == ICMPV6 && !ip.is_fragment => {
                self.discovery(endpoint, head, &frame[ip.segment..ip.end])
            }
            (_, Some(ip)) if ip.number == IGMP => Manners::End,
            _ => Manners::Pass,
        }
    }

    fn arp(&self, endpoint: usize, head: &Head, frame: &[u8]) -> Manners {
        let at = ETHERNET_BYTES;
        // Ethernet and IPv4.
        if array(frame, at) != Some([0, 1, 8, 0, 6, 4]) {
            return Manners::End;
        }
        let (Some(operation), Some(says), Some(sender), Some(target)) =
            (be16(frame, at + 6), array::<6>(frame, at + 8), array::<4>(frame, at + 14), array::<4>(frame, at + 24))
        else {
            return Manners::End;
        };
        let (sender, target) = (Ipv4Addr::from(sender), Ipv4Addr::from(target));
        if says != head.from || self.is_of_another(sender.into(), endpoint) {
            return Manners::Forged;
        }
        if self.movable.contains(&target.into()) || self.movable.contains(&sender.into()) {
            return Manners::Pass;
        }
        match self.known.get(&IpAddr::from(target)) {
            // Asking whether somebody else has one's own address must stay without an answer (RFC 5227).
            Some((owner, mac)) if operation == 1 && *owner != endpoint => {
                Manners::Answer(arp_reply(*mac, target, head.from, sender))
            }
            _ => Manners::End,
        }
    }

    fn discovery(&self, endpoint: usize, head: &Head, message: &[u8]) -> Manners {
        let target = array::<16>(message, 8).map(|target| IpAddr::from(Ipv6Addr::from(target)));
        match (message.first(), target) {
            // A solicitation that is no test for a double of one's own address.
            (Some(135), Some(target)) => match self.known.get(&target) {
                Some((owner, mac)) if *owner != endpoint => self.advertise(head, target, *mac),
                Some(_) => Manners::End,
                None => Manners::Pass,
            },
            (Some(136), Some(target)) if self.is_of_another(target, endpoint) => Manners::Forged,
            (Some(136), Some(target)) if self.known.contains_key(&target) => Manners::End,
            // Looking for routers, and membership of groups, old and new.
            (Some(130..=133 | 143), _) => Manners::End,
            _ => Manners::Pass,
        }
    }

    fn advertise(&self, head: &Head, target: IpAddr, mac: Mac) -> Manners {
        let Some(asked_by) = head.ip.map(|ip| ip.from).filter(|from| !from.is_unspecified()) else {
            return Manners::End;
        };
        let IpAddr::V6(address) = target else { return Manners::End };
        let back = Envelope { from_mac: mac, to_mac: head.from, from: target, to: asked_by };
        // The target and its Ethernet address; solicited, and to replace what was known.
        let mut rest = Vec::with_capacity(24);
        rest.extend(address.octets());
        rest.extend([2, 1]);
        rest.extend(mac);
        Manners::Answer(back.icmp(136, 0, [0x60, 0, 0, 0], &rest))
    }
}

fn arp_reply(mac: Mac, address: Ipv4Addr, to_mac: Mac, to: Ipv4Addr) -> Vec<u8> {
    let mut frame = Vec::with_capacity(42);
    frame.extend(to_mac);
    frame.extend(mac);
    frame.extend(ARP.to_be_bytes());
    frame.extend([0, 1, 8, 0, 6, 4, 0, 2]);
    frame.extend(mac);
    frame.extend(address.octets());
    frame.extend(to_mac);
    frame.extend(to.octets());
    frame
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, proptest};

    use super::*;
    use crate::network::frames::{Made, is_sound, link_local, mac};

    fn v4(endpoint: u8) -> Ipv4Addr {
        Ipv4Addr::new(10, 77, 0, endpoint)
    }

    fn table() -> Neighbours {
        let addresses: Vec<[IpAddr; 2]> = (1..=3_u16)
            .map(|number| [v4(number as u8).into(), Made { v6: true, ..Made::default() }.address(number)])
            .collect();
        let endpoints = addresses.iter().enumerate().map(|(index, own)| (index, mac(index as u16 + 1), own.as_slice()));
        Neighbours::new(endpoints, BTreeSet::from([v4(100).into()]))
    }

    fn arp(from: u16, operation: u8, sender: Ipv4Addr, target: Ipv4Addr) -> Vec<u8> {
        let mut frame = arp_reply(mac(from), sender, [0xff; 6], target);
        frame[ETHERNET_BYTES + 7] = operation;
        frame
    }

    fn judge(endpoint: u16, frame: &[u8]) -> Manners {
        table().judge(usize::from(endpoint) - 1, &Head::parse(frame).unwrap(), frame)
    }

    #[test]
    fn a_question_for_a_known_address_is_answered_at_once() {
        let Manners::Answer(reply) = judge(1, &arp(1, 1, v4(1), v4(2))) else { panic!("no answer") };
        assert_eq!(reply, arp_reply(mac(2), v4(2), mac(1), v4(1)));
        assert_eq!(judge(1, &arp(1, 1, v4(1), v4(77))), Manners::End);
    }

    #[test]
    fn nobody_is_told_that_his_own_address_is_taken() {
        assert_eq!(judge(1, &arp(1, 1, Ipv4Addr::UNSPECIFIED, v4(1))), Manners::End);
        assert_eq!(judge(1, &arp(1, 1, v4(1), v4(1))), Manners::End);
    }

    #[test]
    fn nobody_may_claim_the_address_of_another() {
        assert_eq!(judge(1, &arp(1, 1, v4(2), v4(2))), Manners::Forged);
        assert_eq!(judge(2, &arp(2, 1, v4(1), v4(2))), Manners::Forged);
        for v6 in [false, true] {
            let frame = Made { v6, from: 2, to: 3 }.udp(1, 2, b"x");
            assert_eq!(judge(2, &frame), Manners::Pass);
            assert_eq!(judge(1, &frame), Manners::Forged);
        }
    }

    #[test]
    fn what_is_said_about_an_address_that_may_move_passes_the_links() {
        assert_eq!(judge(1, &arp(1, 1, v4(100), v4(100))), Manners::Pass);
        assert_eq!(judge(2, &arp(2, 1, v4(2), v4(100))), Manners::Pass);
        assert_eq!(judge(3, &arp(3, 2, v4(100), v4(2))), Manners::Pass);
    }

    fn solicitation(from: IpAddr, target: IpAddr) -> Vec<u8> {
        let IpAddr::V6(target) = target else { panic!("IPv6 only") };
        let to = "ff02::1:ff00:2".parse().unwrap();
        let envelope = Envelope { from_mac: mac(1), to_mac: [0x33, 0x33, 0xff, 0, 0, 2], from, to };
        envelope.icmp(135, 0, [0; 4], &target.octets())
    }

    #[test]
    fn neighbour_discovery_is_answered_at_once() {
        let made = Made { v6: true, ..Made::default() };
        for target in [made.address(2), link_local(mac(2)).into()] {
            let frame = solicitation(made.address(1), target);
            let Manners::Answer(reply) = judge(1, &frame) else { panic!("no answer") };
            assert!(is_sound(&reply));
            let ip = Head::parse(&reply).unwrap().ip.unwrap();
            assert_eq!((ip.from, ip.to, reply[ip.segment]), (target, made.address(1), 136));
            assert_eq!(&reply[reply.len() - 6..], &mac(2));
        }
        // A test for a double of one's own address.
        let double = solicitation(Ipv6Addr::UNSPECIFIED.into(), made.address(1));
        assert_eq!(judge(1, &double), Manners::End);
    }

    #[test]
    fn what_hosts_tell_routers_ends_here() {
        let made = Made { v6: true, ..Made::default() };
        assert_eq!(judge(1, &made.envelope().icmp(133, 0, [0; 4], &[])), Manners::End);
        assert_eq!(judge(1, &made.envelope().icmp(143, 0, [0; 4], &[])), Manners::End);
        assert_eq!(judge(1, &made.envelope().icmp(128, 0, [0; 4], b"ping")), Manners::Pass);
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_strange_to_be_judged(mut frame in prop::collection::vec(any::<u8>(), 14..90), kind in 0_usize..3) {
            let start: [&[u8]; 3] = [&[8, 6, 0, 1, 8, 0, 6, 4], &[0x86, 0xdd, 0x60], &[8, 0, 0x45]];
            let start = &start[kind][..start[kind].len().min(frame.len() - 12)];
            frame[12..12 + start.len()].copy_from_slice(start);
            judge(1, &frame);
        }
    }
}
