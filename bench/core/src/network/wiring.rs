//! A set of rules, made ready for the links of one network.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::fabric::Endpoint;
use super::rule::{OnLink, Ready};
use super::{Link, RuleSet};
use crate::observation::Name;

/// Knows the endpoints by their names. It makes rules ready where there is time for it, so that the switch only exchanges them.
#[derive(Debug, Clone)]
pub struct Wiring {
    seed: u64,
    numbers: BTreeMap<Name, usize>,
}

/// A set of rules that is ready to be put in force.
#[derive(Debug, Default)]
pub struct ReadyRules {
    /// The rules' names. The place of each is its slot in `links`, until the switch has given it one of its own.
    pub(super) ids: Vec<u64>,
    /// For each directed link that has any (from, to): its rules in their order.
    pub(super) links: BTreeMap<(usize, usize), Vec<OnLink>>,
}

impl Wiring {
    /// Of the endpoints in their order, with the seed of all choices.
    pub fn new(seed: u64, endpoints: &[Endpoint]) -> Self {
        // No rule touches an endpoint that is exempt.
        let touchable = endpoints.iter().enumerate().filter(|(_, endpoint)| !endpoint.is_exempt);
        Self { seed, numbers: touchable.map(|(number, endpoint)| (endpoint.name.clone(), number)).collect() }
    }

    /// The number of an endpoint.
    pub fn number(&self, name: &str) -> Option<usize> {
        self.numbers.get(name).copied()
    }

    /// Makes rules ready. Links between endpoints that do not exist are passed over.
    pub fn ready(&self, rules: &RuleSet) -> ReadyRules {
        let mut ready = ReadyRules::default();
        for (slot, rule) in rules.rules.iter().enumerate() {
            ready.ids.push(rule.id);
            let shared = Arc::new(Ready::new(rule.id, rule.only.clone(), rule.effect.clone()));
            for link in &rule.links {
                let Link { from, to } = link;
                if let (Some(from), Some(to)) = (self.number(from), self.number(to))
                    && from != to
                {
                    let on_link = OnLink::new(shared.clone(), slot, self.seed, link);
                    ready.links.entry((from, to)).or_default().push(on_link);
                }
            }
        }
        ready
    }
}
