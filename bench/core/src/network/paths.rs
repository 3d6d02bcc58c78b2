//! Which links a network fault is on, as compactly as people think of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::Link;
use crate::observation::Name;

/// A set of directed links between nodes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Paths {
    /// Between any two of these that are in no group together, both ways. Whoever is in several groups reaches all of them.
    Apart(Vec<Vec<Name>>),
    /// From each of the first to each of the second, and not back.
    OneWay {
        /// Who sends.
        from: Vec<Name>,
        /// Who would get it.
        to: Vec<Name>,
    },
    /// Between each of the first and each of the second, both ways.
    Between(Vec<Name>, Vec<Name>),
    /// Between any two of these, both ways.
    Among(Vec<Name>),
}

impl Paths {
    /// The links, each direction by itself. Nobody has a link to itself.
    pub fn links(&self) -> BTreeSet<Link> {
        let pairs: Vec<(&Name, &Name)> = match self {
            Self::Apart(groups) => apart(groups),
            Self::OneWay { from, to } => product(from, to).collect(),
            Self::Between(these, those) => product(these, those).chain(product(those, these)).collect(),
            Self::Among(nodes) => product(nodes, nodes).collect(),
        };
        let pairs = pairs.into_iter().filter(|(from, to)| from != to);
        pairs.map(|(from, to)| Link { from: from.clone(), to: to.clone() }).collect()
    }

    /// Everybody who is named, each once, sorted.
    pub fn nodes(&self) -> BTreeSet<&Name> {
        match self {
            Self::Apart(groups) => groups.iter().flatten().collect(),
            Self::OneWay { from, to } => from.iter().chain(to).collect(),
            Self::Between(these, those) => these.iter().chain(those).collect(),
            Self::Among(nodes) => nodes.iter().collect(),
        }
    }
}

/// Every two that are in no group together.
fn apart(groups: &[Vec<Name>]) -> Vec<(&Name, &Name)> {
    // Large clusters have a million pairs: where somebody stands is looked up once.
    let mut places = BTreeMap::<&Name, Vec<usize>>::new();
    for (place, group) in groups.iter().enumerate() {
        group.iter().for_each(|node| places.entry(node).or_default().push(place));
    }
    let share = |one: &[usize], other: &[usize]| one.iter().any(|place| other.contains(place));
    let mut pairs = Vec::new();
    for (from, here) in &places {
        pairs.extend(places.iter().filter(|(_, there)| !share(here, there)).map(|(to, _)| (*from, *to)));
    }
    pairs
}

fn product<'n>(from: &'n [Name], to: &'n [Name]) -> impl Iterator<Item = (&'n Name, &'n Name)> {
    from.iter().flat_map(move |from| to.iter().map(move |to| (from, to)))
}

impl fmt::Display for Paths {
    /// `{peer1} | {peer2, peer3}`, `peer1 -> peer2`, `peer1 <-> peer2, peer3`, `among peer1, peer2, peer3`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |nodes: &[Name]| nodes.join(", ");
        match self {
            Self::Apart(groups) => {
                let groups: Vec<String> = groups.iter().map(|group| format!("{{{}}}", list(group))).collect();
                f.write_str(&groups.join(" | "))
            }
            Self::OneWay { from, to } => write!(f, "{} -> {}", list(from), list(to)),
            Self::Between(these, those) => write!(f, "{} <-> {}", list(these), list(those)),
            Self::Among(nodes) => write!(f, "among {}", list(nodes)),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn names(of: &[u8]) -> Vec<Name> {
        of.iter().map(|n| format!("n{n}").into()).collect()
    }

    fn link(from: &str, to: &str) -> Link {
        Link { from: from.into(), to: to.into() }
    }

    #[test]
    fn a_node_in_two_groups_is_a_bridge_and_one_in_none_reaches_everybody() {
        let bridge = Paths::Apart(vec![names(&[1, 3]), names(&[2, 3])]);
        assert_eq!(bridge.links(), BTreeSet::from([link("n1", "n2"), link("n2", "n1")]));
        assert_eq!(bridge.to_string(), "{n1, n3} | {n2, n3}");
    }

    #[test]
    fn one_way_is_one_way() {
        let one_way = Paths::OneWay { from: names(&[1]), to: names(&[1, 2]) };
        assert_eq!(one_way.links(), BTreeSet::from([link("n1", "n2")]));
        assert_eq!(one_way.to_string(), "n1 -> n1, n2");
    }

    proptest! {
        #[test]
        fn groups_cut_exactly_those_who_share_none(groups in vec(vec(0..6_u8, 0..4), 0..4)) {
            let links = Paths::Apart(groups.iter().map(|group| names(group)).collect()).links();
            let is_in_some = |n: u8| groups.iter().any(|group| group.contains(&n));
            for from in 0..6_u8 {
                for to in 0..6_u8 {
                    let share = groups.iter().any(|group| group.contains(&from) && group.contains(&to));
                    let cut = from != to && is_in_some(from) && is_in_some(to) && !share;
                    prop_assert_eq!(links.contains(&link(&format!("n{from}"), &format!("n{to}"))), cut, "{} {}", from, to);
                }
            }
        }

        #[test]
        fn both_ways_are_the_two_ways_together(these in vec(0..5_u8, 0..4), those in vec(0..5_u8, 0..4)) {
            let (these, those) = (names(&these), names(&those));
            let there = Paths::OneWay { from: these.clone(), to: those.clone() }.links();
            let back = Paths::OneWay { from: those.clone(), to: these.clone() }.links();
            prop_assert_eq!(Paths::Between(these, those).links(), &there | &back);
        }
    }
}
