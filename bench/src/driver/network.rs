//! The network faults in force: each is a rule (or a pulled cable), all of them together one set, which is replaced as a whole.

use dsbench_core::network::{Harm, Rule, RuleSet, Traffic};
use dsbench_core::observation::{Action, ActionVerb, Name, Origin, What};
use dsbench_core::time::RunTime;

use super::Driver;
use super::undo::Lasts;

/// The network faults in force, in the order in which they were done.
#[derive(Debug, Default)]
pub(super) struct Network(Vec<InForce>);

#[derive(Debug)]
struct InForce {
    /// The observation of its action.
    number: u64,
    origin: Origin,
    verb: ActionVerb,
    nodes: Vec<Name>,
    rule: Option<Rule>,
}

impl Network {
    /// All at once: frames pass each rule that has their link.
    fn rules(&self) -> RuleSet {
        RuleSet { rules: self.0.iter().filter_map(|fault| fault.rule.clone()).collect() }
    }

    fn is_unplugged(&self, node: &str) -> bool {
        self.0.iter().any(|fault| fault.verb == ActionVerb::Unplug && fault.nodes.iter().any(|out| &**out == node))
    }

    fn has(&self, number: u64) -> bool {
        self.0.iter().any(|fault| fault.number == number)
    }

    /// Takes out of force whatever is meant.
    fn end(&mut self, is_meant: impl Fn(&InForce) -> bool) -> Vec<InForce> {
        self.0.extract_if(.., |fault| is_meant(fault)).collect()
    }
}

/// A host has no network to be broken; the scenario's reader sees to it that nobody asks.
const NO_LAB: &str = "this run has no network of its own (a bug in dsbench)";

impl Driver<'_> {
    /// Puts a network fault in force, in the place of the partition that was, if it is one. Gives the observation of it.
    pub(super) fn break_network(&mut self, harm: Harm, lasts: Lasts, origin: Origin) -> Result<u64, String> {
        let number = self.recorder.history().next_number();
        let replaced =
            self.network.end(|fault| harm.verb == ActionVerb::Partition && fault.verb == ActionVerb::Partition);
        let (verb, nodes, rule) = (harm.verb, harm.nodes.clone(), harm.rule(number));
        self.network.0.push(InForce { number, origin, verb, nodes: nodes.clone(), rule });
        let at = if verb == ActionVerb::Unplug { self.plug(&nodes, false)? } else { self.put_in_force()? };
        let action = self.on_network(harm.action(), &replaced).asked_by(origin);
        let recorded = self.record_action_at(at, action);
        debug_assert_eq!(recorded, number, "a rule is called by the observation of its action");
        self.count_of(&replaced);
        if let Some(by) = verb.undone_by() {
            self.undo_later(number, origin, lasts, by, Vec::new());
        }
        Ok(number)
    }

    /// Undoes what a `for` is over of, if it is still in force.
    pub(super) fn undo_on_network(&mut self, number: u64, by: ActionVerb, origin: Origin) {
        if self.network.has(number)
            && let Err(why) = self.mend_network(by, Some(number), origin, |fault| fault.0 == number)
        {
            self.warn(why);
        }
    }

    /// Undoes network faults, told by their observations and by who asked for them.
    pub(super) fn mend_network(
        &mut self,
        verb: ActionVerb,
        undoes: Option<u64>,
        origin: Origin,
        is_meant: impl Fn((u64, Origin)) -> bool,
    ) -> Result<(), String> {
        let ended = self.network.end(|fault| is_meant((fault.number, fault.origin)));
        let mut nodes: Vec<Name> = ended.iter().flat_map(|fault| fault.nodes.iter().cloned()).collect();
        nodes.sort();
        nodes.dedup();
        let out = ended.iter().filter(|fault| fault.verb == ActionVerb::Unplug).flat_map(|fault| fault.nodes.clone());
        let back: Vec<Name> = out.filter(|node| !self.network.is_unplugged(node)).collect();
        let mut at = self.put_in_force()?;
        if !back.is_empty() {
            at = self.plug(&back, true)?;
        }
        let action = self.on_network(Action::new(verb, nodes, Vec::new()), &ended).asked_by(origin);
        self.record_action_at(at, Action { undoes, ..action });
        self.count_of(&ended);
        Ok(())
    }

    /// Everything that is in force goes: nodes that say goodbye shall be heard.
    pub(super) fn mend_all_of_network(&mut self) {
        if !self.network.0.is_empty()
            && let Err(why) = self.mend_network(ActionVerb::Heal, None, Origin::Bench, |_| true)
        {
            self.warn(why);
        }
    }

    /// Records all that the network's rules did, and what went over the links.
    pub(super) fn count_traffic(&mut self) {
        if let Some(traffic) = self.world.traffic() {
            let now = self.now();
            self.record(now, What::Traffic(Box::new(traffic)));
        }
    }

    /// Records what the rules of these faults did, now that they do nothing more.
    fn count_of(&mut self, ended: &[InForce]) {
        let Some(traffic) = self.world.traffic() else { return };
        let is_over = |rule: u64| ended.iter().any(|fault| fault.number == rule && fault.rule.is_some());
        let rules: Vec<_> = traffic.rules.into_iter().filter(|rule| is_over(rule.rule)).collect();
        if !rules.is_empty() {
            let now = self.now();
            self.record(now, What::Traffic(Box::new(Traffic { rules, links: Vec::new(), ..traffic })));
        }
    }

    /// With whoever is there to suffer it, and what is over with it.
    fn on_network(&self, action: Action, ended: &[InForce]) -> Action {
        let keys = self.processes_of(&action.nodes);
        let hit = if action.verb.is_fault() { self.lives(&keys) } else { Vec::new() };
        Action { hit, ends: ended.iter().map(|fault| fault.number).collect(), ..action }
    }

    fn put_in_force(&mut self) -> Result<RunTime, String> {
        let rules = self.network.rules();
        self.world.set_rules(&rules).ok_or_else(|| NO_LAB.to_owned())
    }

    fn plug(&mut self, nodes: &[Name], is_in: bool) -> Result<RunTime, String> {
        let mut at = None;
        for node in nodes {
            at = Some(self.world.plug(node, is_in).ok_or_else(|| NO_LAB.to_owned())?);
        }
        Ok(at.unwrap_or_else(|| self.now()))
    }
}
