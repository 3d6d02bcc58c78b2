//! From findings to the verdict of a run.
//!
//! An invariant says what it found; what the run comes to also depends on its steps, on how it ended, and on whether its faults hit
//! anything. A run in which something was not looked at is not a pass.

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{Check, nemesis, network, process, workload};
use crate::expected::Expectations;
use crate::faults::{Fault, circumstances, faults};
use crate::history::{History, Seen};
use crate::judgement::Judgement;
use crate::observation::{Change, Ending, StepChange, StepState, What};
use crate::source::SourceLine;
use crate::stage::Stage;
use crate::time::RunTime;
use crate::verdict::{Expectation, Finding, InvariantVerdict, Outcome, Reason, Severity, Verdict, Warning};

/// An invariant of a scenario.
#[derive(Debug)]
pub struct Invariant {
    /// Its name.
    pub name: String,
    /// The name of its kind of check.
    pub kind: &'static str,
    /// Its line in the scenario; none if the scenario does not have it.
    pub line: Option<SourceLine>,
    /// What it means if it is not kept.
    pub severity: Severity,
    /// What is expected of it.
    pub expectation: Expectation,
    /// The check.
    pub check: Box<dyn Check>,
}

/// Where a step stands in the scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepPlace {
    /// What it is called by its number: `step 3`, `setup 1`.
    pub label: String,
    /// What it is called by people: its name, or what it does.
    pub name: String,
    /// Its line.
    pub line: SourceLine,
}

/// The invariants, and the implicit one if no other looks at processes: an unexplained crash never passes.
pub fn with_implicit(mut invariants: Vec<Invariant>, expectations: Expectations) -> Vec<Invariant> {
    if !invariants.iter().any(|invariant| invariant.kind == process::KIND.name) {
        invariants.push(Invariant {
            name: "no process crashed".into(),
            kind: process::KIND.name,
            line: None,
            severity: Severity::Fail,
            expectation: Expectation::Hold,
            check: process::implicit(expectations),
        });
    }
    invariants
}

/// Until when the run must go on so that every invariant is decided; `None` when nothing is open. See [`Check::open_until`].
pub fn open_until(invariants: &[Invariant], history: &History) -> Option<RunTime> {
    let open = |invariant: &Invariant| catch_unwind(AssertUnwindSafe(|| invariant.check.open_until(history)));
    invariants.iter().filter_map(|invariant| open(invariant).unwrap_or_default()).max()
}

/// Judges a run. `steps` are all steps of the scenario, in order.
pub fn all(invariants: &[Invariant], steps: &[StepPlace], history: &History) -> Verdict {
    let place = |step: usize| steps.get(step).map(|place| (place.label.clone(), place.line.clone()));
    let invariants: Vec<_> = invariants.iter().map(|invariant| judge(invariant, history, place)).collect();
    let ending = history.ended().map(|ended| ended.because.clone());

    let mut reasons: Vec<Reason> = Vec::new();
    reasons.extend(invariants.iter().filter_map(|invariant| of_invariant(invariant, ending.as_ref())));
    reasons.extend(history.steps().filter_map(|step| of_step(&step, steps)));
    reasons.extend(history.teardown().filter_map(|step| of_cut_teardown(&step, steps)));
    reasons.extend(of_ending(history));
    reasons.extend(of_missed_faults(history, steps));
    reasons.extend(nemesis::reasons(history));
    reasons.extend(network::reasons(history, steps));
    reasons.extend(workload::reasons(history));
    // Stable: among equals the order of the scenario.
    reasons.sort_by_key(|reason| std::cmp::Reverse(reason.judgement));
    let judgement = Judgement::of_all(reasons.iter().map(|reason| reason.judgement));
    let of_teardown = history.teardown().filter_map(|step| of_teardown(&step, steps));
    let warnings = of_teardown.chain(network::warnings(history, steps)).chain(workload::warnings(history)).collect();
    Verdict { judgement, reasons, warnings, invariants, ending }
}

fn judge(
    invariant: &Invariant,
    history: &History,
    place: impl Fn(usize) -> Option<(String, SourceLine)>,
) -> InvariantVerdict {
    // A check that crashes has decided nothing, and must not take the rest of the verdict with it.
    let finding = catch_unwind(AssertUnwindSafe(|| invariant.check.judge(history)));
    let finding = match finding {
        Ok(finding) if finding.outcome == Outcome::Held && finding.checked == 0 => {
            Finding::never_exercised(finding.summary)
        }
        Ok(finding) => finding,
        Err(panic) => {
            let why = panic.downcast_ref::<String>().map(String::as_str);
            let why = why.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
            Finding::unknown(0, format!("the check itself crashed: {why} (this is a bug in dsbench)"))
        }
    };
    let during = finding.at.map(|at| circumstances(history, at, place)).unwrap_or_default();
    InvariantVerdict {
        name: invariant.name.clone(),
        check: invariant.kind.to_owned(),
        line: invariant.line.clone(),
        severity: invariant.severity,
        expectation: invariant.expectation,
        finding,
        during,
    }
}

fn of_invariant(invariant: &InvariantVerdict, ending: Option<&Ending>) -> Option<Reason> {
    let judgement = invariant.judgement();
    // A node that did not come up has exited; that is the environment's failure, and told as such.
    let is_start = ending == Some(&Ending::Environment) && invariant.check == process::KIND.name;
    if judgement == Judgement::Pass || is_start {
        return None;
    }
    let InvariantVerdict { name, finding, expectation, .. } = invariant;
    let text = match (expectation, finding.outcome) {
        (Expectation::BeViolated, Outcome::Held) => {
            format!("{name}: was to be caught being violated, and held ({})", finding.summary)
        }
        (Expectation::BeViolated, _) => format!("{name}: was to be caught being violated: {}", finding.summary),
        _ => format!("{name}: {}", finding.summary),
    };
    let observation = finding.evidence.first().map(|evidence| evidence.observation);
    Some(Reason { judgement, text, line: invariant.line.clone(), observation })
}

fn of_step(step: &Seen<'_, StepChange>, steps: &[StepPlace]) -> Option<Reason> {
    let (judgement, what, why) = match &step.what.state {
        StepState::Begun | StepState::Done | StepState::Bound { .. } | StepState::Cut { .. } => return None,
        StepState::ExpectMissed { why } => (Judgement::Fail, "did not come as expected", why),
        StepState::NotBack { why } => (Judgement::Fail, "did not come back", why),
        StepState::WaitMissed { why } => (Judgement::Inconclusive, "did not come, so the scene was never set", why),
        StepState::Failed { why } => (Judgement::Inconclusive, "could not be done", why),
    };
    let (name, line) = called(step.what.step, steps);
    let text = format!("{name} {what}: {why}");
    Some(Reason { judgement, text, line, observation: Some(step.number) })
}

/// How people call a step - `step 2 (kill peer1)` - and its line.
fn called(step: usize, steps: &[StepPlace]) -> (String, Option<SourceLine>) {
    match steps.get(step) {
        Some(place) => (format!("{} ({})", place.label, place.name), Some(place.line.clone())),
        None => (Stage::Main.label(step.saturating_add(1)), None),
    }
}

/// A teardown that was cut is not all that the scenario asked for. What failed in one says nothing about the cluster: see [`of_teardown`].
fn of_cut_teardown(step: &Seen<'_, StepChange>, steps: &[StepPlace]) -> Option<Reason> {
    let StepState::Cut { why } = &step.what.state else { return None };
    let (name, line) = called(step.what.step, steps);
    let text = format!("the teardown was cut at {name}: {why}");
    Some(Reason { judgement: Judgement::Inconclusive, text, line, observation: Some(step.number) })
}

/// A step of the teardown that did not do what it should: told, and no more. When it runs the cluster has been judged, and it runs on
/// every end: also where the nodes that it needs are down.
fn of_teardown(step: &Seen<'_, StepChange>, steps: &[StepPlace]) -> Option<Warning> {
    let why = match &step.what.state {
        StepState::WaitMissed { why }
        | StepState::ExpectMissed { why }
        | StepState::Failed { why }
        | StepState::NotBack { why } => why,
        StepState::Begun | StepState::Done | StepState::Bound { .. } | StepState::Cut { .. } => return None,
    };
    let (name, line) = called(step.what.step, steps);
    Some(Warning { text: format!("{name} failed: {why}"), line, observation: Some(step.number) })
}

fn of_ending(history: &History) -> Option<Reason> {
    let reason = |judgement, text: String, observation| Some(Reason { judgement, text, line: None, observation });
    let Some(ended) = history.ended() else {
        return reason(Judgement::Inconclusive, "the history has no end: the bench was killed".into(), None);
    };
    let number = Some(ended.number);
    match ended.because {
        Ending::Complete | Ending::EndStep => None,
        Ending::Abandoned => {
            reason(Judgement::Inconclusive, "the run was abandoned before its last step".into(), number)
        }
        Ending::ByHand => {
            let why = "the cluster was launched to be looked at, not to be judged";
            reason(Judgement::Inconclusive, why.into(), number)
        }
        Ending::TooMuch => {
            let most = history.most_frequent_event();
            let most = most.map(|(event, count)| format!(", {count} of {event} among them")).unwrap_or_default();
            let why = format!(
                "the history became too large ({} observations{most}): the run was cut there (make the pattern match fewer lines, or the run shorter)",
                history.observations().len()
            );
            reason(Judgement::Inconclusive, why, number)
        }
        Ending::Timeout => reason(Judgement::Inconclusive, "the run was cut by its timeout".into(), number),
        Ending::Interrupted { signal } => {
            reason(Judgement::Interrupted { signal }, format!("the run was interrupted by signal {signal}"), number)
        }
        Ending::Environment => {
            let (text, number) = failed_start(history).unwrap_or(("the environment failed".into(), ended.number));
            reason(Judgement::Environment, text, Some(number))
        }
    }
}

/// The first node that did not come up, and why: what says why before what only says that.
fn failed_start(history: &History) -> Option<(String, u64)> {
    let first = |told: fn(&Change) -> Option<String>| {
        history.judged().find_map(|observation| {
            let What::Process(process) = &observation.what else { return None };
            Some((format!("{} {}", process.of.node, told(&process.change)?), observation.number))
        })
    };
    let with_reason = first(|change| match change {
        Change::NotStarted { why } => Some(format!("could not be started: {why}")),
        Change::NotReady { why } => Some(format!("did not become ready: {why}")),
        _ => None,
    });
    with_reason.or_else(|| {
        first(|change| match change {
            Change::Exited { exit, expected: false } => Some(format!("ended before the run began: {exit}")),
            _ => None,
        })
    })
}

fn of_missed_faults(history: &History, steps: &[StepPlace]) -> Vec<Reason> {
    let missed = faults(history).filter(Fault::has_missed);
    let reason = |fault: Fault<'_>| {
        let place = fault.action.step.and_then(|step| steps.get(step));
        let (verb, nodes) = (fault.action.verb.key(), fault.action.nodes.join(", "));
        Reason {
            judgement: Judgement::Inconclusive,
            text: format!(
                "{verb} {nodes} at {} hit no process, so {}",
                fault.at,
                match fault.action.setup {
                    true => "the scene was not set as it should be",
                    false => "nothing was tested by it",
                }
            ),
            line: place.map(|place| place.line.clone()),
            observation: Some(fault.number),
        }
    };
    missed.map(reason).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::observation::{ActionVerb, Exit};
    use crate::stories::{Story, wild};

    #[derive(Debug)]
    struct Fixed(Option<Finding>);

    impl Check for Fixed {
        fn judge(&self, _: &History) -> Finding {
            self.0.clone().expect("nothing to say")
        }
    }

    fn invariant(finding: Option<Finding>, severity: Severity, expectation: Expectation) -> Invariant {
        Invariant {
            name: "x".into(),
            kind: "never",
            line: Some(9.into()),
            severity,
            expectation,
            check: Box::new(Fixed(finding)),
        }
    }

    fn held() -> Finding {
        Finding::held(1, "fine")
    }

    fn unknown() -> Finding {
        Finding::unknown(1, "dark")
    }

    fn violated() -> Finding {
        Finding::violated(1, 1, crate::stories::ms(5), "broken")
    }

    fn judged(finding: Finding, severity: Severity, expectation: Expectation) -> Judgement {
        all(&[invariant(Some(finding), severity, expectation)], &[], &complete().history).judgement
    }

    fn complete() -> Story {
        let mut story = Story::of(&["a"]);
        story.at(10).end();
        story
    }

    #[test]
    fn a_violation_fails_unless_it_only_warns_and_the_unknown_is_inconclusive() {
        let hold = |finding, severity| judged(finding, severity, Expectation::Hold);
        assert_eq!(hold(held(), Severity::Fail), Judgement::Pass);
        assert_eq!(hold(unknown(), Severity::Fail), Judgement::Inconclusive);
        assert_eq!(hold(violated(), Severity::Fail), Judgement::Fail);
        assert_eq!(hold(violated(), Severity::Warn), Judgement::Pass);
        assert_eq!(hold(unknown(), Severity::Warn), Judgement::Pass);
    }

    #[test]
    fn a_demonstration_passes_exactly_when_the_named_invariant_is_caught() {
        let demonstrate = |finding| judged(finding, Severity::Fail, Expectation::BeViolated);
        assert_eq!(demonstrate(violated()), Judgement::Pass);
        assert_eq!(demonstrate(held()), Judgement::Fail);
        assert_eq!(demonstrate(unknown()), Judgement::Inconclusive);
        for finding in [held(), unknown(), violated()] {
            assert_eq!(judged(finding, Severity::Fail, Expectation::MayBeViolated), Judgement::Pass);
        }
        let both = [
            invariant(Some(violated()), Severity::Fail, Expectation::BeViolated),
            invariant(Some(violated()), Severity::Fail, Expectation::Hold),
        ];
        assert_eq!(all(&both, &[], &complete().history).judgement, Judgement::Fail);
    }

    #[test]
    fn a_check_that_crashes_or_looked_at_nothing_is_unknown() {
        let crashed = all(&[invariant(None, Severity::Fail, Expectation::Hold)], &[], &complete().history);
        assert_eq!(crashed.judgement, Judgement::Inconclusive);
        assert!(crashed.invariants[0].finding.summary.contains("crashed: nothing to say"), "{crashed:?}");
        let empty = invariant(Some(Finding::held(0, "no one looked")), Severity::Fail, Expectation::Hold);
        let empty = all(&[empty], &[], &complete().history);
        assert_eq!(empty.reasons[0].text, "x: never exercised: no one looked");
        assert_eq!(empty.reasons[0].line, Some(9.into()));
    }

    #[test]
    fn steps_and_endings_weigh_as_the_exit_codes_say() {
        let why = || "no leader".to_owned();
        let judged = |state: Option<StepState>, because: Ending| {
            let mut story = Story::of(&["a"]);
            if let Some(state) = state {
                story.at(5).step(1, state);
            }
            story.at(10).end_because(because);
            let steps =
                ["kill", "expect"].map(|name| StepPlace { label: "step 2".into(), name: name.into(), line: 7.into() });
            all(&[], &steps, &story.history)
        };
        assert_eq!(judged(None, Ending::Complete).judgement, Judgement::Pass);
        assert_eq!(judged(None, Ending::Timeout).judgement, Judgement::Inconclusive);
        assert_eq!(judged(None, Ending::TooMuch).judgement, Judgement::Inconclusive);
        assert_eq!(judged(None, Ending::Abandoned).judgement, Judgement::Inconclusive);
        assert_eq!(judged(None, Ending::ByHand).judgement, Judgement::Inconclusive);
        assert_eq!(judged(None, Ending::Environment).judgement, Judgement::Environment);
        assert_eq!(judged(None, Ending::Interrupted { signal: 2 }).judgement, Judgement::Interrupted { signal: 2 });
        let missed = judged(Some(StepState::ExpectMissed { why: why() }), Ending::Interrupted { signal: 2 });
        assert_eq!(missed.judgement, Judgement::Fail);
        assert_eq!(missed.reasons[0].text, "step 2 (expect) did not come as expected: no leader");
        assert_eq!(missed.reasons[0].line, Some(7.into()));
        let back = judged(Some(StepState::NotBack { why: why() }), Ending::Complete);
        assert_eq!(back.judgement, Judgement::Fail);
        for state in [StepState::WaitMissed { why: why() }, StepState::Failed { why: why() }] {
            assert_eq!(judged(Some(state), Ending::Abandoned).judgement, Judgement::Inconclusive);
        }
        let killed = all(&[], &[], &Story::of(&["a"]).history);
        assert_eq!(killed.judgement, Judgement::Inconclusive);
    }

    #[test]
    fn a_teardown_that_fails_is_a_warning_and_one_that_is_cut_is_inconclusive() {
        let judged = |state: StepState| {
            let mut story = Story::of(&["a"]);
            // At the very instant of the end, too.
            story.at(10).end().step(1, StepState::Begun).step(1, state).at(11).step(0, StepState::Done);
            let steps = ["mark", "dump"].map(|name| StepPlace { label: "x".into(), name: name.into(), line: 7.into() });
            all(&[], &steps, &story.history)
        };
        for state in [StepState::Failed { why: "no".into() }, StepState::WaitMissed { why: "no".into() }] {
            let verdict = judged(state);
            assert_eq!((verdict.judgement, verdict.reasons.len()), (Judgement::Pass, 0));
            assert_eq!(verdict.warnings[0].text, "x (dump) failed: no");
            assert_eq!((verdict.warnings.len(), verdict.warnings[0].line.clone()), (1, Some(7.into())));
        }
        let cut = judged(StepState::Cut { why: "late".into() });
        assert_eq!((cut.judgement, cut.warnings.len()), (Judgement::Inconclusive, 0));
        assert_eq!(cut.reasons[0].text, "the teardown was cut at x (dump): late");
    }

    #[test]
    fn a_node_that_does_not_start_is_the_environment_and_a_later_crash_is_not() {
        let mut story = Story::of(&["a"]);
        story.at(3).exit("a", Exit::Code(1), false);
        let mut crashed = story.clone();
        story.at(4).end_because(Ending::Environment);
        let verdict = all(&with_implicit(Vec::new(), Expectations::default()), &[], &story.history);
        assert_eq!(verdict.judgement, Judgement::Environment);
        assert_eq!(verdict.reasons[0].text, "a ended before the run began: exit code 1");
        crashed.at(4).end();
        assert_eq!(
            all(&with_implicit(Vec::new(), Expectations::default()), &[], &crashed.history).judgement,
            Judgement::Fail
        );
    }

    #[test]
    fn a_fault_that_hit_nothing_is_not_a_pass() {
        let mut story = Story::of(&["a"]);
        story.at(5).act(ActionVerb::Kill, "a", false).at(10).end();
        let steps = [StepPlace { label: "step 1".into(), name: "kill".into(), line: 7.into() }];
        let verdict = all(&[], &steps, &story.history);
        assert_eq!(verdict.judgement, Judgement::Inconclusive);
        assert_eq!(verdict.reasons[0].text, "kill a at T+0.005s hit no process, so nothing was tested by it");
        assert_eq!(verdict.reasons[0].line, Some(7.into()));
    }

    #[test]
    fn a_violation_is_told_with_what_was_being_done() {
        let mut story = Story::of(&["a"]);
        story.at(4).pause("a").at(10).end();
        let steps = [StepPlace { label: "step 1".into(), name: "freeze".into(), line: 7.into() }];
        let verdict = all(&[invariant(Some(violated()), Severity::Fail, Expectation::Hold)], &steps, &story.history);
        let during: Vec<_> = verdict.invariants[0].during.iter().map(ToString::to_string).collect();
        assert_eq!(during, ["pause a since T+0.004s (step 1, line 7)"]);
    }

    proptest! {
        #[test]
        fn the_same_history_gives_the_same_bytes(history in wild()) {
            let invariants = with_implicit(
                vec![invariant(Some(violated()), Severity::Fail, Expectation::Hold)],
                Expectations::default(),
            );
            let first = serde_json::to_vec(&all(&invariants, &[], &history)).unwrap();
            prop_assert_eq!(&first, &serde_json::to_vec(&all(&invariants, &[], &history)).unwrap());
            let again: Verdict = serde_json::from_slice(&first).unwrap();
            prop_assert_eq!(serde_json::to_vec(&again).unwrap(), first);
        }
    }
}
