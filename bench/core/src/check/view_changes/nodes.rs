//! Sets of a cluster's nodes, by index: the members of a million views are compared as numbers.

use std::collections::{BTreeMap, BTreeSet};

use crate::cluster::ClusterState;
use crate::observation::Name;

/// Every node of the cluster with its index.
#[derive(Debug)]
pub(super) struct Nodes {
    names: Vec<Name>,
    index: BTreeMap<Name, usize>,
}

/// The members of a view.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Members {
    pub(super) nodes: Set,
    /// Members that are no nodes of the cluster.
    strangers: BTreeSet<Name>,
}

/// Some nodes of the cluster. Up to 64 of them need no memory of their own.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Set {
    first: u64,
    rest: Vec<u64>,
}

impl Nodes {
    pub(super) fn of(cluster: &ClusterState) -> Self {
        let names = cluster.nodes().to_vec();
        let index = names.iter().enumerate().map(|(index, name)| (name.clone(), index)).collect();
        Self { names, index }
    }

    pub(super) fn len(&self) -> usize {
        self.names.len()
    }

    pub(super) fn name(&self, index: usize) -> &Name {
        &self.names[index]
    }

    pub(super) fn index(&self, name: &Name) -> Option<usize> {
        self.index.get(name).copied()
    }

    pub(super) fn members(&self, names: &[Name]) -> Members {
        let mut members = Members { nodes: Set::default(), strangers: BTreeSet::new() };
        for name in names {
            match self.index(name) {
                Some(index) => members.nodes.insert(index),
                None => _ = members.strangers.insert(name.clone()),
            }
        }
        members
    }
}

impl Set {
    /// Those indexes at which it is true.
    pub(super) fn that(is: &[bool]) -> Self {
        let mut set = Self::default();
        is.iter().enumerate().filter(|(_, is)| **is).for_each(|(index, _)| set.insert(index));
        set
    }

    fn insert(&mut self, index: usize) {
        let bit = 1 << (index % 64);
        match (index / 64).checked_sub(1) {
            None => self.first |= bit,
            Some(word) => {
                if self.rest.len() <= word {
                    self.rest.resize(word + 1, 0);
                }
                self.rest[word] |= bit;
            }
        }
    }

    pub(super) fn has(&self, index: usize) -> bool {
        self.word(index / 64) >> (index % 64) & 1 == 1
    }

    fn word(&self, at: usize) -> u64 {
        match at.checked_sub(1) {
            None => self.first,
            Some(at) => self.rest.get(at).copied().unwrap_or(0),
        }
    }

    /// The nodes of either.
    pub(super) fn or(&self, other: &Self) -> Self {
        self.combine(other, |word, other| word | other)
    }

    /// The nodes of both.
    pub(super) fn and(&self, other: &Self) -> Self {
        self.combine(other, |word, other| word & other)
    }

    /// The nodes that the other has not.
    pub(super) fn without(&self, other: &Self) -> Self {
        self.combine(other, |word, other| word & !other)
    }

    fn combine(&self, other: &Self, with: fn(u64, u64) -> u64) -> Self {
        let mut rest: Vec<u64> =
            (1..=self.rest.len().max(other.rest.len())).map(|at| with(self.word(at), other.word(at))).collect();
        // Equal sets are equal whatever they were made of.
        while rest.last() == Some(&0) {
            rest.pop();
        }
        Self { first: with(self.first, other.first), rest }
    }

    /// Ascending.
    pub(super) fn indexes(&self) -> impl Iterator<Item = usize> {
        (0..=self.rest.len()).flat_map(|at| {
            let word = self.word(at);
            let rest_of = |word: &u64| Some(word & word.wrapping_sub(1));
            std::iter::successors(Some(word), rest_of)
                .take_while(|word| *word != 0)
                .map(move |word| at * 64 + word.trailing_zeros() as usize)
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::btree_set;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn sets_of_any_size_are_sets(a in btree_set(0..200_usize, 0..20), b in btree_set(0..200_usize, 0..20)) {
            let set = |of: &BTreeSet<usize>| {
                let mut set = Set::default();
                of.iter().for_each(|index| set.insert(*index));
                set
            };
            let indexes = |set: Set| set.indexes().collect::<BTreeSet<_>>();
            prop_assert_eq!(indexes(set(&a).or(&set(&b))), &a | &b);
            prop_assert_eq!(indexes(set(&a).and(&set(&b))), &a & &b);
            prop_assert_eq!(indexes(set(&a).without(&set(&b))), &a - &b);
            prop_assert_eq!(set(&a).without(&set(&b)) == Set::default(), a.is_subset(&b));
            prop_assert!((0..200).all(|index| set(&a).has(index) == a.contains(&index)));
        }
    }
}
