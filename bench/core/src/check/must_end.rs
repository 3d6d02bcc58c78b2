//! Processes that must end by themselves within a time of their start: a part of the check of processes.

use std::collections::BTreeSet;
use std::fmt;
use std::time::Duration;

use super::moment::{bound, known_until};
use super::process::name;
use super::spans::Spans;
use crate::expected::Expectations;
use crate::history::History;
use crate::observation::{ActionVerb, Life, Name};
use crate::time::RunTime;

/// A life that must end by itself and did not in time, or not yet.
#[derive(Debug)]
pub(super) struct End<'h> {
    of: &'h Life,
    within: Duration,
    /// The observation of its start.
    pub(super) started: u64,
    /// When its time is over; what the bench took from it, by freezing it or by being late, does not count.
    pub(super) until: RunTime,
    /// It is over, and the process had not ended.
    pub(super) is_overdue: bool,
}

impl fmt::Display for End<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let had = if self.is_overdue { "had not ended" } else { "had ended" };
        write!(f, "{} {had} by itself ({} from its start)", name(self.of), bound(self.within))
    }
}

/// What is overdue or still open, by the time at which it is over. A life whose end the bench has asked for owes none.
pub(super) fn ends<'h>(expected: &Expectations, history: &'h History, admits: impl Fn(&Name) -> bool) -> Vec<End<'h>> {
    let stalls = Spans::stalls(history);
    let is_end = |verb: ActionVerb| !matches!(verb, ActionVerb::Pause | ActionVerb::Resume | ActionVerb::Input);
    let ended_by_bench: BTreeSet<&Life> =
        history.actions().filter(|action| is_end(action.what.verb)).flat_map(|action| &action.what.hit).collect();
    let mut ends = Vec::new();
    for (node, process, expected) in expected.iter() {
        let Some(within) = expected.exits.within().filter(|_| admits(node)) else { continue };
        for life in history.lives(node).filter(|life| life.of.process == *process) {
            let pauses = Spans::pauses(life, history.horizon());
            let taken = stalls.union_within(&pauses, life.started, history.horizon());
            let until = taken.after_uncovered(life.started, within);
            let is_met = life.exited.is_some_and(|exited| exited.at <= until);
            if !is_met && !ended_by_bench.contains(&life.of) {
                let is_overdue = life.exited.is_some() || known_until(history) > until;
                ends.push(End { of: &life.of, within, started: life.number, until, is_overdue });
            }
        }
    }
    ends.sort_by_key(|end| (end.until, end.started));
    ends
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::expected::{Exits, Expected};
    use crate::observation::{Exit, MAIN};
    use crate::stories::{Story, ms};

    /// Whether each life of `a`, which must end within 300 ms, is overdue; nothing for those that are not.
    fn judged(story: &Story) -> Vec<bool> {
        let mut expected = Expectations::default();
        let exits = Exits::With { codes: vec![0], within: Some(Duration::from_millis(300)) };
        expected.add("a".into(), MAIN.into(), Expected { exits, ..Expected::default() });
        ends(&expected, &story.history, |_| true).iter().map(|end| end.is_overdue).collect()
    }

    #[test]
    fn what_must_end_is_in_time_late_or_still_open() {
        let ended = |at: u64| {
            let mut story = Story::of(&["a", "b"]);
            story.at(at).exit("a", Exit::Code(0), false).at(2000).end();
            judged(&story)
        };
        assert_eq!((ended(300), ended(301)), (vec![], vec![true]));
        let never = |end: u64| {
            let mut story = Story::of(&["a"]);
            story.at(end).end();
            judged(&story)
        };
        assert_eq!((never(350), never(401)), (vec![false], vec![true]));
    }

    #[test]
    fn what_the_bench_took_from_it_does_not_count() {
        let mut frozen = Story::of(&["a"]);
        frozen.at(100).pause("a").at(500).resume("a").at(700).exit("a", Exit::Code(0), false).at(2000).end();
        assert_eq!(judged(&frozen), Vec::<bool>::new());
        let mut late = Story::of(&["a"]);
        late.at(600).stall(100).at(790).exit("a", Exit::Code(0), false).at(2000).end();
        assert_eq!(judged(&late), Vec::<bool>::new());
        let mut killed = Story::of(&["a"]);
        killed.at(100).kill("a").at(400).restart("a").at(2000).end();
        assert_eq!(judged(&killed), [true], "its next life owes an end of its own");
        assert_eq!(ms(700), ms(400) + Duration::from_millis(300));
    }
}
