//! What the nemesis adds to a verdict: a node that did not come back after a fault, and random faults that were none.
//!
//! A run whose random faults hit nothing has tested what the same run without them would have, and must not pass for more.

use std::collections::BTreeMap;

use crate::history::History;
use crate::judgement::Judgement;
use crate::observation::{Ending, NemesisChange, PassedOver};
use crate::verdict::Reason;

/// What speaks against the run.
pub(super) fn reasons(history: &History) -> Vec<Reason> {
    let not_back = history.nemesis().filter_map(|change| {
        let NemesisChange::NotBack { fault, why } = change.what else { return None };
        let text = format!("a node did not come back after fault {} of the nemesis: {why}", fault.saturating_add(1));
        Some(Reason { judgement: Judgement::Fail, text, line: None, observation: Some(change.number) })
    });
    not_back.chain(idle(history).or_else(|| aimless(history))).collect()
}

/// The event at which the faults were aimed, if it never came.
fn never_came(history: &History) -> Option<(u64, &str)> {
    history.nemesis().find_map(|change| match change.what {
        NemesisChange::Stopped { never_came } => Some((change.number, never_came.as_deref()?)),
        _ => None,
    })
}

/// Faults were to come at an event, and all of them came without it.
fn aimless(history: &History) -> Option<Reason> {
    let (number, event) = never_came(history)?;
    let text = format!("the nemesis was aimed at {event}, which never came: its faults came without it");
    Some(Reason { judgement: Judgement::Inconclusive, text, line: None, observation: Some(number) })
}

/// Why nothing came of it, if nothing did.
fn idle(history: &History) -> Option<Reason> {
    let because = &history.ended()?.because;
    let hits = history.actions().filter(|action| action.what.nemesis.is_some() && action.what.has_hit());
    // A run that was cut short has a reason of its own.
    if !matches!(because, Ending::Complete | Ending::EndStep) || hits.count() > 0 {
        return None;
    }
    let last = history.nemesis().last()?;
    let text = if history.nemesis().all(|change| *change.what == NemesisChange::Waiting) {
        "the nemesis never began, so nothing was tested by it".to_owned()
    } else {
        format!("the nemesis hit nothing, so nothing was tested by it: {}", why_nothing(history))
    };
    Some(Reason { judgement: Judgement::Inconclusive, text, line: None, observation: Some(last.number) })
}

fn why_nothing(history: &History) -> String {
    let mut passed_over = BTreeMap::<_, (u64, &str)>::new();
    for change in history.nemesis() {
        if let NemesisChange::PassedOver { because, why, .. } = change.what {
            passed_over.entry(because).or_insert((0, why)).0 += 1;
        }
    }
    let count = |(because, (count, why)): (&PassedOver, (u64, &str))| {
        let kind = match because {
            PassedOver::MaxDown => "that would have taken too many down",
            PassedOver::Nobody => "that found nobody",
        };
        format!("{count} {kind} (first: {why})")
    };
    let counts: Vec<String> = passed_over.iter().map(|(because, what)| count((because, *what))).collect();
    match (counts.is_empty(), never_came(history)) {
        (false, _) => format!("of its faults it passed over {}", counts.join(" and ")),
        (true, Some((_, event))) => format!("it waited for {event}, which never came"),
        (true, None) => "its time was over before its first fault".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::{Action, ActionVerb, Origin, What};
    use crate::stories::Story;

    fn story(changes: &[NemesisChange]) -> Story {
        let mut story = Story::of(&["a", "b"]);
        for change in changes {
            story.at(5).push(What::Nemesis(change.clone()));
        }
        story
    }

    fn told(story: &mut Story) -> Vec<(Judgement, String)> {
        let reasons = reasons(&story.at(10).end().history);
        reasons.into_iter().map(|reason| (reason.judgement, reason.text)).collect()
    }

    fn inconclusive(text: &str) -> Vec<(Judgement, String)> {
        vec![(Judgement::Inconclusive, text.to_owned())]
    }

    fn passed_over(because: PassedOver) -> NemesisChange {
        NemesisChange::PassedOver { fault: 0, because, why: "why".into() }
    }

    fn stopped() -> NemesisChange {
        NemesisChange::Stopped { never_came: None }
    }

    #[test]
    fn a_nemesis_that_hit_a_process_has_tested_something() {
        let mut story = story(&[NemesisChange::Begun, passed_over(PassedOver::MaxDown)]);
        let kill = Action::new(ActionVerb::Kill, vec!["a".into()], vec![story.life("a")]);
        story.push(What::Action(kill.asked_by(Origin::Nemesis(1)).into())).push(What::Nemesis(stopped()));
        assert_eq!(told(&mut story), []);
    }

    #[test]
    fn one_that_never_began_or_hit_nothing_is_no_pass_and_says_why() {
        let never = told(&mut story(&[NemesisChange::Waiting]));
        assert_eq!(never, inconclusive("the nemesis never began, so nothing was tested by it"));
        let nothing = |why: &str| inconclusive(&format!("the nemesis hit nothing, so nothing was tested by it: {why}"));
        assert_eq!(
            told(&mut story(&[NemesisChange::Begun, stopped()])),
            nothing("its time was over before its first fault")
        );
        let aimed = NemesisChange::Stopped { never_came: Some("`leads`".into()) };
        assert_eq!(
            told(&mut story(&[NemesisChange::Begun, aimed])),
            nothing("it waited for `leads`, which never came")
        );
        let all_over = [PassedOver::MaxDown, PassedOver::Nobody, PassedOver::MaxDown].map(passed_over);
        assert_eq!(
            told(&mut story(&[&[NemesisChange::Begun][..], &all_over].concat())),
            nothing(
                "of its faults it passed over 2 that would have taken too many down (first: why) and 1 that found nobody (first: why)"
            )
        );
    }

    #[test]
    fn faults_that_all_came_without_the_event_at_which_they_were_aimed_are_no_pass() {
        let mut story = story(&[NemesisChange::Begun]);
        let kill = Action::new(ActionVerb::Kill, vec!["a".into()], vec![story.life("a")]);
        story.push(What::Action(kill.asked_by(Origin::Nemesis(0)).into()));
        story.push(What::Nemesis(NemesisChange::Stopped { never_came: Some("`leads`".into()) }));
        let text = "the nemesis was aimed at `leads`, which never came: its faults came without it";
        assert_eq!(told(&mut story), inconclusive(text));
    }

    #[test]
    fn the_faults_of_steps_are_not_the_nemesis_doing() {
        let mut story = story(&[NemesisChange::Begun, stopped()]);
        story.kill("a");
        assert_eq!(told(&mut story).len(), 1);
    }

    #[test]
    fn a_node_that_does_not_come_back_fails_the_run() {
        let mut story = story(&[NemesisChange::Begun]);
        let kill = Action::new(ActionVerb::Kill, vec!["a".into()], vec![story.life("a")]);
        story.push(What::Action(kill.asked_by(Origin::Nemesis(2)).into()));
        story.push(What::Nemesis(NemesisChange::NotBack { fault: 2, why: "a: exit code 3".into() }));
        let text = "a node did not come back after fault 3 of the nemesis: a: exit code 3";
        assert_eq!(told(&mut story), [(Judgement::Fail, text.to_owned())]);
    }

    #[test]
    fn a_run_without_a_nemesis_and_one_that_was_cut_short_have_nothing_to_say() {
        assert_eq!(told(&mut story(&[])), []);
        let mut cut = story(&[NemesisChange::Begun]);
        assert_eq!(reasons(&cut.at(10).end_because(Ending::Timeout).history), []);
    }
}
