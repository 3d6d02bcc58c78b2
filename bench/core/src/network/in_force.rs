//! The network faults in force at one moment of a run: folded from actions, so that the driver and a check see the same.

use std::collections::BTreeSet;

use super::{Harm, Link, Paths};
use crate::observation::{Action, ActionVerb, Name};

/// The network faults in force.
#[derive(Debug, Clone, Default)]
pub struct InForce(Vec<Fault>);

#[derive(Debug, Clone)]
struct Fault {
    /// The observation of its action.
    number: u64,
    verb: ActionVerb,
    nodes: Vec<Name>,
    links: BTreeSet<Link>,
}

impl InForce {
    /// Takes in the next action, with its observation's number.
    pub fn acted(&mut self, number: u64, action: &Action) {
        self.0.retain(|fault| !action.ends.contains(&fault.number));
        if action.verb.is_network() && action.verb.is_fault() {
            let links = action.links.as_ref().map(Paths::links).unwrap_or_default();
            self.0.push(Fault { number, verb: action.verb, nodes: action.nodes.clone(), links });
        }
    }

    /// The same with one fault more: a partition takes the place of the one that is there.
    pub fn with(&self, harm: &Harm) -> Self {
        let mut then = self.clone();
        then.0.retain(|fault| harm.verb != ActionVerb::Partition || fault.verb != ActionVerb::Partition);
        then.acted(u64::MAX, &harm.action());
        then
    }

    /// True if nothing that `from` sends reaches `to`.
    pub fn is_cut(&self, from: &Name, to: &Name) -> bool {
        if self.cuts_nothing() {
            return false;
        }
        let link = Link { from: from.clone(), to: to.clone() };
        let is_cut = |fault: &Fault| fault.verb == ActionVerb::Partition && fault.links.contains(&link);
        self.is_unplugged(from) || self.is_unplugged(to) || self.0.iter().any(is_cut)
    }

    /// True if the node's cable is out.
    pub fn is_unplugged(&self, node: &str) -> bool {
        self.0.iter().any(|fault| fault.verb == ActionVerb::Unplug && fault.nodes.iter().any(|out| &**out == node))
    }

    /// True if no fault is in force.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// True if everybody reaches everybody, more or less well.
    pub fn cuts_nothing(&self) -> bool {
        !self.0.iter().any(|fault| matches!(fault.verb, ActionVerb::Partition | ActionVerb::Unplug))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(verb: ActionVerb, ends: &[u64]) -> Action {
        let groups = vec![vec!["a".into()], vec!["b".into()]];
        let links = (verb == ActionVerb::Partition).then_some(Paths::Apart(groups));
        Action { links, ends: ends.to_vec(), ..Action::new(verb, vec!["a".into()], Vec::new()) }
    }

    #[test]
    fn a_fault_is_in_force_until_an_action_ends_it() {
        let (a, b): (Name, Name) = ("a".into(), "b".into());
        let mut network = InForce::default();
        network.acted(3, &action(ActionVerb::Partition, &[]));
        network.acted(4, &action(ActionVerb::Unplug, &[]));
        network.acted(5, &action(ActionVerb::Heal, &[3]));
        assert!(network.is_cut(&a, &b) && network.is_unplugged("a") && !network.is_unplugged("b"));
        network.acted(6, &action(ActionVerb::Partition, &[]));
        network.acted(7, &action(ActionVerb::Plug, &[4]));
        assert!(network.is_cut(&b, &a) && !network.is_unplugged("a"));
        network.acted(8, &action(ActionVerb::Heal, &[6]));
        assert!(network.cuts_nothing());
    }
}
