//! Shapes of partitions that leave a choice: halves, a bridge, a ring. Who stands where follows from the randomness alone.

use super::Paths;
use crate::observation::Name;
use crate::random::Keyed;

/// Two halves; of an odd number one is a minority.
pub fn halves(nodes: &[Name], random: &mut Keyed) -> Paths {
    let (minority, majority) = in_two(nodes, random);
    Paths::Apart(vec![minority, majority])
}

/// Two halves of the others, both of which reach the bridge; they do not reach each other.
pub fn bridge(nodes: &[Name], bridge: &[Name], random: &mut Keyed) -> Paths {
    let others: Vec<Name> = nodes.iter().filter(|node| !bridge.contains(node)).cloned().collect();
    let (one, other) = in_two(&others, random);
    Paths::Apart([one, other].into_iter().map(|side| in_order(nodes, [&side, bridge].concat())).collect())
}

/// Each node reaches its two neighbours in a ring, and nobody else.
pub fn ring(nodes: &[Name], random: &mut Keyed) -> Paths {
    let mut around = nodes.to_vec();
    random.shuffle(&mut around);
    let pair = |index: usize| vec![around[index].clone(), around[(index + 1) % around.len()].clone()];
    Paths::Apart((0..around.len()).map(|index| in_order(nodes, pair(index))).collect())
}

/// The fewest nodes of which a ring cuts a link: three are all neighbours.
pub const SMALLEST_RING: usize = 4;

/// Chosen at random, told in their order; the first half is not the larger one.
fn in_two(nodes: &[Name], random: &mut Keyed) -> (Vec<Name>, Vec<Name>) {
    let mut shuffled = nodes.to_vec();
    random.shuffle(&mut shuffled);
    let rest = shuffled.split_off(shuffled.len() / 2);
    (in_order(nodes, shuffled), in_order(nodes, rest))
}

fn in_order(order: &[Name], mut some: Vec<Name>) -> Vec<Name> {
    some.sort_by_key(|node| order.iter().position(|other| other == node));
    some
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_shape_has_everybody_and_cuts_both_ways(count in 0..9_usize, seed in any::<u64>()) {
            let nodes: Vec<Name> = (0..count).map(|n| format!("n{n}").into()).collect();
            let random = || Keyed::new(seed, "test");
            let bridged = bridge(&nodes, &nodes[..count.min(1)], &mut random());
            for paths in [halves(&nodes, &mut random()), bridged, ring(&nodes, &mut random())] {
                prop_assert_eq!(paths.nodes().len(), count);
                let links = paths.links();
                prop_assert!(links.iter().all(|link| links.iter().any(|back| back.from == link.to && back.to == link.from)));
                let Paths::Apart(groups) = paths else { panic!("groups") };
                prop_assert!(groups.iter().all(|group| group.is_sorted()));
            }
            let reached = |node: &Name| {
                let cut = ring(&nodes, &mut random()).links();
                nodes.iter().filter(|other| *other != node && !cut.iter().any(|link| link.from == *node && link.to == **other)).count()
            };
            if count >= SMALLEST_RING {
                prop_assert!(nodes.iter().all(|node| reached(node) == 2));
            }
        }
    }
}
