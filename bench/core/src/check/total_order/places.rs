//! Orders whose lines tell the place of each message: one message at each place, one place for each message, and no place left out.

use super::explain::Fault;
use super::{Delivery, Found, Told, TotalOrder};
use crate::check::delivery::{Break, Numbers, Place, Runs};
use crate::history::History;
use crate::time::RunTime;

pub(super) struct Places<'h, 'c> {
    pub(super) check: &'c TotalOrder,
    pub(super) history: &'h History,
    pub(super) told: &'c Told<'h>,
}

/// The first line that told something.
const NOBODY: u64 = u64::MAX;

impl Places<'_, '_> {
    pub(super) fn found(&self, deliveries: &[Vec<Delivery>]) -> Found {
        let mut worst: Option<(RunTime, Fault)> = None;
        let mut violations = 0;
        let mut fault = |fault: Fault| {
            violations += 1;
            let at = self.history.get(fault.number()).map_or(RunTime::START, |seen| seen.at);
            let is_first = |(worst_at, worst): &(RunTime, Fault)| (at, fault.number()) < (*worst_at, worst.number());
            if worst.as_ref().is_none_or(is_first) {
                worst = Some((at, fault));
            }
        };
        let mut places = Numbers::default();
        // The message at each place, and the place of each message, with the first line that told it.
        let mut at_place: Vec<(u32, u64)> = Vec::new();
        let mut of_message: Vec<(i64, u64)> = vec![(0, NOBODY); self.told.len()];
        let mut lowest: Vec<i64> = vec![i64::MAX; self.told.views()];
        let mut firsts: Vec<(u32, Place)> = Vec::new();
        for of_node in deliveries {
            let mut runs: std::collections::BTreeMap<u32, Runs> = std::collections::BTreeMap::new();
            for Delivery { number, place: at, message, view, run, has_jumped } in of_node.iter().copied() {
                let place = places.number((view.into(), at.cast_unsigned())) as usize;
                if place == at_place.len() {
                    at_place.push((message, number));
                    lowest[view as usize] = lowest[view as usize].min(at);
                }
                let (other, one) = at_place[place];
                let (other_place, told) = of_message[message as usize];
                if other != message {
                    fault(Fault::TwoMessages { place: at, one, other: number });
                } else if told != NOBODY && other_place != at {
                    fault(Fault::TwoPlaces { message, one: told, other: number });
                } else if told == NOBODY {
                    of_message[message as usize] = (at, number);
                }
                let place = Place { number, at };
                let of_view = runs.entry(view).or_default();
                let had_first = of_view.first.is_some();
                if let Some(broken) = of_view.take(place, run, has_jumped, &self.check.begins, self.told.prefix) {
                    fault(Fault::Broken(broken));
                }
                firsts.extend(of_view.first.filter(|_| !had_first).map(|first| (view, first)));
            }
        }
        for (view, first) in firsts {
            let must = lowest[view as usize];
            if first.at != must {
                fault(Fault::Broken(Break::Start { with: first, must }));
            }
        }
        Found { violations, first: worst.map(|(_, fault)| fault), undecided: None }
    }
}
