//! What workloads add to a verdict: one that did nothing has tested nothing, and one that could not keep up has not asked what it should.

use std::collections::BTreeMap;

use crate::history::History;
use crate::judgement::Judgement;
use crate::observation::{Ending, Name};
use crate::operation::{OperationKind, WorkloadState};
use crate::verdict::{Reason, Warning};

/// What became of a workload.
#[derive(Debug, Default)]
struct Summed {
    /// The last word about it, and whether it has begun.
    number: u64,
    has_begun: bool,
    /// Operations by how they ended.
    ok: u64,
    fail: u64,
    info: u64,
    /// Why the first of them did not succeed.
    why: Option<Box<str>>,
}

fn summed(history: &History) -> BTreeMap<&Name, Summed> {
    let mut all = BTreeMap::<&Name, Summed>::new();
    for change in history.workloads() {
        // A workload whose operations are only called never waits and never begins, though its programs may run.
        if matches!(change.what.state, WorkloadState::ClientStarted { .. } | WorkloadState::ClientEnded { .. }) {
            continue;
        }
        let summed = all.entry(&change.what.name).or_default();
        summed.number = change.number;
        summed.has_begun |= change.what.state == WorkloadState::Begun;
    }
    // What steps call is asked by the scenario's author, and shows nothing of the workload.
    for performed in history.operations().filter(|performed| !performed.invoked.what.is_called()) {
        let Some(summed) = all.get_mut(&performed.invoked.what.workload) else { continue };
        match performed.kind() {
            OperationKind::Ok => summed.ok += 1,
            OperationKind::Fail => summed.fail += 1,
            OperationKind::Invoke | OperationKind::Info => summed.info += 1,
        }
        let why = performed.ended.and_then(|ended| ended.what.why.as_ref());
        if let (None, Some(why)) = (&summed.why, why) {
            summed.why = Some(why.clone());
        }
    }
    all
}

/// What speaks against the run.
pub(super) fn reasons(history: &History) -> Vec<Reason> {
    // A run that was cut short has a reason of its own.
    let is_whole = history.ended().is_some_and(|ended| matches!(ended.because, Ending::Complete | Ending::EndStep));
    let reason = |(name, summed): (&Name, Summed)| {
        let Summed { number, has_begun, ok, fail, info, why } = summed;
        let first = why.map(|why| format!(" (first: {why})")).unwrap_or_default();
        let text = match (has_begun, ok, fail + info) {
            (_, 1.., _) => return None,
            (false, _, 0) => format!("the workload `{name}` never began, so nothing was tested by it"),
            (true, _, 0) => {
                format!("the workload `{name}` ended before its first operation, so nothing was tested by it")
            }
            (_, _, all) => format!(
                "no operation of the workload `{name}` succeeded, so nothing was tested by it: of {all}, {fail} certainly did not happen and {info} may have{first}"
            ),
        };
        Some(Reason { judgement: Judgement::Inconclusive, text, line: None, observation: Some(number) })
    };
    summed(history).into_iter().filter(|_| is_whole).filter_map(reason).collect()
}

/// What people should know of, and says nothing about the cluster.
pub(super) fn warnings(history: &History) -> Vec<Warning> {
    let behind = history.workloads().filter_map(|change| match change.what.state {
        WorkloadState::Stopped { behind: behind @ 1.. } => {
            let name = &change.what.name;
            let text = format!(
                "the workload `{name}` could not keep its rate: {behind} operations that were due had not begun when it stopped, because all of its clients waited for answers (more `clients`, or a lower `rate`)"
            );
            Some(Warning { text, line: None, observation: Some(change.number) })
        }
        _ => None,
    });
    behind.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stories::Story;

    fn told(story: &mut Story) -> Vec<String> {
        reasons(&story.at(9).end().history).into_iter().map(|reason| reason.text).collect()
    }

    fn story() -> Story {
        let mut story = Story::of(&["a"]);
        story.workload(WorkloadState::Begun);
        story
    }

    #[test]
    fn a_workload_of_which_an_operation_succeeded_has_tested_something() {
        let mut story = story();
        story.asks(0, "say", 1).told(0, OperationKind::Fail).asks(1, "say", 2).told(1, OperationKind::Ok);
        assert_eq!(told(&mut story), Vec::<String>::new());
    }

    #[test]
    fn a_workload_of_which_none_did_has_not() {
        let mut none = story();
        none.asks(0, "say", 1)
            .told(0, OperationKind::Fail)
            .asks(1, "say", 2)
            .told(1, OperationKind::Info)
            .asks(2, "say", 3);
        let text = &told(&mut none)[0];
        assert!(text.contains("of 3, 1 certainly did not happen and 2 may have (first: because)"), "{text}");
        assert!(told(&mut story())[0].contains("ended before its first operation"));
        let mut waits = Story::of(&["a"]);
        waits.workload(WorkloadState::Waiting);
        assert!(told(&mut waits)[0].contains("never began"));
        assert_eq!(reasons(&story().history), Vec::new(), "a run that has no end has a reason of its own");
    }

    #[test]
    fn what_steps_call_is_not_the_workloads_own() {
        let mut story = story();
        story.asks_by("chat~call1", 0, "say", 1).told(0, OperationKind::Ok);
        assert!(told(&mut story)[0].contains("ended before its first operation"), "{:?}", told(&mut story));
    }

    #[test]
    fn a_rate_that_was_not_kept_is_told() {
        let mut story = story();
        story.workload(WorkloadState::Stopped { behind: 0 });
        assert_eq!(warnings(&story.history), Vec::new());
        story.workload(WorkloadState::Stopped { behind: 7 });
        assert!(warnings(&story.history)[0].text.contains("7 operations that were due"));
    }
}
