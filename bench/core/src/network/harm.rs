//! A network fault with everything decided: on which links, doing what. As an action it is recorded, as a rule it is in force.

use super::{Effect, Filter, Link, Paths, Rule, cut_off};
use crate::observation::{Action, ActionVerb, Name};

/// A network fault that is about to be done.
#[derive(Debug, Clone, PartialEq)]
pub struct Harm {
    /// What is recorded as done.
    pub verb: ActionVerb,
    /// Whom it is said to be done to, sorted: whoever is cut off, else whoever is named.
    pub nodes: Vec<Name>,
    /// The links; none where a cable is pulled.
    pub links: Option<Paths>,
    /// Which frames; none for all.
    pub only: Option<Filter>,
    /// What becomes of them.
    pub effect: Effect,
}

impl Harm {
    /// These links are cut, among so many nodes.
    pub fn partition(links: Paths, among: &[Name]) -> Self {
        let cut = links.links();
        let is_cut = |from: &Name, to: &Name| cut.contains(&Link { from: from.clone(), to: to.clone() });
        let among: Vec<&Name> = among.iter().collect();
        let off = cut_off(&among, is_cut, |_| false);
        let nodes = if off.is_empty() { links.nodes().into_iter().collect() } else { off };
        let effect = Effect { cut: true, ..Effect::default() };
        Self { verb: ActionVerb::Partition, nodes: sorted(nodes), links: Some(links), only: None, effect }
    }

    /// This happens to those frames on these links.
    pub fn link(links: Paths, effect: Effect, only: Option<Filter>) -> Self {
        let nodes = sorted(links.nodes());
        Self { verb: ActionVerb::Link, nodes, links: Some(links), only, effect }
    }

    /// The cables of these are pulled.
    pub fn unplug(nodes: &[Name]) -> Self {
        let nodes = sorted(nodes);
        Self { verb: ActionVerb::Unplug, nodes, links: None, only: None, effect: Effect::default() }
    }

    /// The rule that does it, called by the observation of its action; none where a cable is pulled.
    pub fn rule(&self, id: u64) -> Option<Rule> {
        let links = self.links.as_ref()?.links();
        Some(Rule { id, links, only: self.only.clone(), effect: self.effect.clone() })
    }

    /// What is recorded of it.
    pub fn action(&self) -> Action {
        let with = (self.verb == ActionVerb::Link).then(|| self.words());
        Action { links: self.links.clone(), with, ..Action::new(self.verb, self.nodes.clone(), Vec::new()) }
    }

    /// What it does to which frames, in people's words.
    fn words(&self) -> String {
        match &self.only {
            Some(only) => format!("{}; only {only}", self.effect),
            None => self.effect.to_string(),
        }
    }
}

fn sorted<'n>(nodes: impl IntoIterator<Item = &'n Name>) -> Vec<Name> {
    let mut nodes: Vec<Name> = nodes.into_iter().cloned().collect();
    nodes.sort();
    nodes.dedup();
    nodes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(of: &[&str]) -> Vec<Name> {
        of.iter().map(|name| Name::from(*name)).collect()
    }

    #[test]
    fn a_partition_is_done_to_whoever_is_cut_off_or_to_all_if_nobody_is() {
        let all = names(&["c", "b", "a"]);
        let done_to = |groups: &[&[&str]]| {
            let groups = groups.iter().map(|group| names(group)).collect();
            Harm::partition(Paths::Apart(groups), &all).action().nodes.concat()
        };
        assert_eq!(done_to(&[&["a"], &["b", "c"]]), "a");
        assert_eq!(done_to(&[&["a", "c"], &["b", "c"]]), "ab".to_owned() + "c");
        assert_eq!(done_to(&[&["a"], &["b"], &["c"]]), "abc");
    }

    #[test]
    fn an_action_tells_what_a_link_does_and_a_cable_has_no_rule() {
        let effect = Effect { duplicate: 0.5, ..Effect::default() };
        let link = Harm::link(Paths::Among(names(&["b", "a"])), effect, None);
        assert_eq!(link.action().whom(), "among b, a (duplicate 50%)");
        assert_eq!(link.rule(7).map(|rule| (rule.id, rule.links.len())), Some((7, 2)));
        assert_eq!(Harm::unplug(&names(&["b", "a"])).rule(7), None);
    }
}
