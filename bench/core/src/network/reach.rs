//! Who is cut off: whom a cluster that needs a majority can do nothing with.

use crate::observation::Name;

/// The nodes that reach, both ways, no majority of them all; a node reaches itself, and nobody reaches who is down.
///
/// A node of a bridge or a ring may see a majority that does not see itself: it is not cut off. Where two halves are equal, all are.
pub fn cut_off<'n>(
    nodes: &[&'n Name],
    is_cut: impl Fn(&Name, &Name) -> bool,
    is_down: impl Fn(&Name) -> bool,
) -> Vec<&'n Name> {
    let hears = |one: &Name, other: &Name| one == other || !is_cut(one, other) && !is_cut(other, one);
    let sees = |one: &Name| nodes.iter().filter(|other| hears(one, other) && !is_down(other)).count();
    nodes.iter().copied().filter(|node| sees(node) <= nodes.len() / 2).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{Link, Paths};

    fn told(paths: &Paths, down: &str) -> String {
        let nodes: Vec<Name> = ["a", "b", "c", "d", "e"].map(Name::from).to_vec();
        let links = paths.links();
        let is_cut = |from: &Name, to: &Name| links.contains(&Link { from: from.clone(), to: to.clone() });
        let nodes: Vec<&Name> = nodes.iter().collect();
        cut_off(&nodes, is_cut, |node| &**node == down).into_iter().map(|node| &**node).collect()
    }

    fn group(letters: &str) -> Vec<Name> {
        letters.chars().map(|letter| letter.to_string().into()).collect()
    }

    #[test]
    fn whoever_sees_no_majority_is_cut_off() {
        assert_eq!(told(&Paths::Apart(vec![group("ab"), group("cde")]), ""), "ab");
        assert_eq!(told(&Paths::Apart(vec![group("abx"), group("cdex")]), ""), "ab");
        assert_eq!(told(&Paths::Apart(vec![group("abc"), group("cde")]), ""), "", "everybody sees three of five");
        assert_eq!(
            told(&Paths::OneWay { from: group("a"), to: group("bcde") }, ""),
            "a",
            "who is only heard sees nobody"
        );
        assert_eq!(told(&Paths::Among(group("abcde")), ""), "abcde");
    }

    #[test]
    fn who_is_down_helps_nobody_to_a_majority() {
        assert_eq!(told(&Paths::Apart(vec![group("ab"), group("cde")]), "e"), "abcde");
        assert_eq!(told(&Paths::Apart(vec![group("abc"), group("cde")]), "c"), "abde", "c sees them all, and is down");
        assert_eq!(told(&Paths::Apart(vec![group("a"), group("bcde")]), "e"), "a");
    }
}
