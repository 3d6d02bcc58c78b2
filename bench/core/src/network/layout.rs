//! Where everybody is in a laboratory: the addresses of the nodes and of the bench, decided before anything exists.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::observation::Name;

/// A network of IPv4 addresses: `10.77.0.0/24`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subnet {
    base: u32,
    prefix: u8,
}

impl Subnet {
    /// The network of a laboratory that says nothing, for so many endpoints: classroom programs broadcast to x.y.z.255, so it is as
    /// small as it can be.
    pub fn for_endpoints(count: usize) -> Self {
        Self { base: u32::from(Ipv4Addr::new(10, 77, 0, 0)), prefix: if count > 250 { 16 } else { 24 } }
    }

    /// Reads `10.77.0.0/24`; none if it is no network of at least four addresses, or has bits beside its prefix.
    pub fn parse(text: &str) -> Option<Self> {
        let (base, prefix) = text.split_once('/')?;
        let base = u32::from(base.parse::<Ipv4Addr>().ok()?);
        // `+24` and `024` are numbers, and no prefixes.
        let prefix: u8 = prefix.parse().ok().filter(|number: &u8| number.to_string() == prefix)?;
        let subnet = Self { base, prefix };
        ((8..=30).contains(&prefix) && base & (subnet.size() - 1) == 0).then_some(subnet)
    }

    /// How many bits all of its addresses share.
    pub fn prefix(self) -> u8 {
        self.prefix
    }

    /// How many nodes have room in it, beside the bench.
    pub fn room(self) -> usize {
        // Without the network's own address, the broadcast address and the bench.
        usize::try_from(self.size() - 3).unwrap_or(usize::MAX)
    }

    /// True if the address is one that a node could have.
    pub fn has(self, address: Ipv4Addr) -> bool {
        let offset = u32::from(address).wrapping_sub(self.base);
        offset > 0 && offset < self.size() - 1
    }

    fn size(self) -> u32 {
        1 << (32 - self.prefix)
    }

    fn nth(self, index: u32) -> Ipv4Addr {
        Ipv4Addr::from(self.base + index)
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", Ipv4Addr::from(self.base), self.prefix)
    }
}

/// Somebody with a place of its own on the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// Its name.
    pub name: Name,
    /// Its address.
    pub ip4: Ipv4Addr,
    /// Its address of version 6, in a /64.
    pub ip6: Ipv6Addr,
    /// Its hardware address.
    pub mac: [u8; 6],
}

/// Everybody on the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// The network.
    pub subnet: Subnet,
    /// The nodes, in the order of the scenario.
    pub endpoints: Vec<Machine>,
    /// The bench itself, which no fault touches.
    pub bench: Machine,
}

/// What the bench is called on the network.
const BENCH: &str = "dsbench";

impl Layout {
    /// The nodes from the first address on, the bench at the last one.
    pub fn new<'n>(subnet: Subnet, nodes: impl IntoIterator<Item = &'n Name>) -> Self {
        let endpoints = nodes.into_iter().zip(1..).map(|(name, index)| endpoint(subnet, name.clone(), index)).collect();
        let bench = endpoint(subnet, BENCH.into(), subnet.size() - 2);
        Self { subnet, endpoints, bench }
    }
}

fn endpoint(subnet: Subnet, name: Name, index: u32) -> Machine {
    let [_, _, high, low] = index.to_be_bytes();
    let ip6 = Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, (index >> 16) as u16, u16::from_be_bytes([high, low]));
    // Locally administered, unicast.
    let [_, middle, ..] = index.to_be_bytes();
    Machine { name, ip4: subnet.nth(index), ip6, mac: [2, 0, 0, middle, high, low] }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_come_first_and_the_bench_last() {
        let nodes: Vec<Name> = (1..=300).map(|id| format!("peer{id}").into()).collect();
        let layout = Layout::new(Subnet::for_endpoints(3), &nodes[..3]);
        let third = &layout.endpoints[2];
        assert_eq!((third.ip4.to_string(), third.ip6.to_string()), ("10.77.0.3".into(), "fd77::3".into()));
        assert_eq!(third.mac, [2, 0, 0, 0, 0, 3]);
        assert_eq!((&*layout.bench.name, layout.bench.ip4.to_string()), ("dsbench", "10.77.0.254".into()));

        let layout = Layout::new(Subnet::for_endpoints(300), &nodes);
        assert_eq!(layout.endpoints[299].ip4.to_string(), "10.77.1.44");
        assert_eq!(layout.endpoints[299].ip6.to_string(), "fd77::12c");
        assert_eq!(
            (layout.bench.ip4.to_string(), layout.subnet.to_string()),
            ("10.77.255.254".into(), "10.77.0.0/16".into())
        );
    }

    #[test]
    fn a_subnet_is_written_with_its_prefix_and_nothing_beside_it() {
        let told = |text: &str| Subnet::parse(text).map(|subnet| (subnet.to_string(), subnet.room()));
        assert_eq!(told("192.168.7.0/24"), Some(("192.168.7.0/24".into(), 253)));
        assert_eq!(told("10.0.0.4/30"), Some(("10.0.0.4/30".into(), 1)));
        for wrong in
            ["10.0.0.0", "10.0.0.1/24", "10.0.0.0/31", "0.0.0.0/0", "10.0.0.0/+8", "fd77::/64", "10.0.0/24", "/24"]
        {
            assert_eq!(told(wrong), None, "{wrong}");
        }
        let subnet = Subnet::parse("10.5.0.0/30").unwrap();
        let has = |last| subnet.has(Ipv4Addr::new(10, 5, 0, last));
        assert!(!has(0) && has(1) && has(2) && !has(3) && !has(4) && !subnet.has(Ipv4Addr::new(10, 4, 0, 1)));
    }
}
