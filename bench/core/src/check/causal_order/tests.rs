//! `causal_order` against the smallest histories it accepts and refuses, and against its definition.

use std::collections::{BTreeMap, BTreeSet};

use super::super::delivery::testing::{ALL, Act, Drawn, SLICE, Script};
use super::super::testing::check;
use crate::stories::Story;
use crate::verdict::Outcome;

const PLAIN: &str = "causal_order = { sent = 'sent.msg', delivered = 'delivered.msg' }";
const ORDER: &str = "causal_order = { sent = 'sent.msg', delivered = 'delivered.msg', prefix = false }";

/// `a+m` sends and `b-m` delivers; `c!` is restarted, and `c^` jumps.
fn story(acts: &str) -> Story {
    let mut story = Story::of(&["a", "b", "c"]);
    for act in acts.split(' ') {
        let (node, message) = (&act[..1], &act[2..]);
        match &act[1..2] {
            "+" => story.tells_of(node, "sent", message),
            "-" => story.delivers(node, message, 0, 1),
            "!" => story.kill(node).restart(node),
            _ => story.says(node, "snapshot", &[]),
        };
    }
    story
}

#[test]
fn an_answer_that_comes_before_its_question_is_refused() {
    let question = "a+q b-q b+r";
    let judged = |text: &str, rest: &str| check(text).judge(&story(&format!("{question} {rest}")).history);
    let finding = judged(PLAIN, "c-q c-r");
    assert_eq!(
        (finding.outcome, finding.summary.as_str()),
        (Outcome::Held, "1 delivery, after all that it depends on")
    );
    let finding = judged(PLAIN, "c-r c-q");
    assert_eq!(finding.summary, "c delivered r before q, on which it depends");
    let notes: Vec<_> = finding.evidence.iter().filter_map(|shown| shown.note.as_deref()).collect();
    assert_eq!(notes, ["q is sent", "r is sent", "c delivers r", "c delivers q"]);
    assert_eq!(judged(ORDER, "c-r c-q").summary, "c delivered r before q, on which it depends");
    assert_eq!(judged(PLAIN, "c-r").summary, "c delivered r without q, on which it depends");
    assert_eq!(judged(ORDER, "c-r").outcome, Outcome::Held);
    assert_eq!(judged(PLAIN, "c-q").summary, "never exercised: no message that was delivered depends on another");
}

#[test]
fn dependence_goes_through_others_and_along_one_sender() {
    for acts in ["a+x b-x b+y c-y c+z a-z b-z b-y", "a+x a+y b-y b-x", "a+x a+y a+z b-x b-z"] {
        assert_eq!(check(PLAIN).judge(&story(acts).history).outcome, Outcome::Violated, "{acts}");
    }
    // What was sent at the same time may come in any order.
    let concurrent = "a+x b+y c-x c-y a-y a-x b-y b-x a+z c-z";
    assert_eq!(check(PLAIN).judge(&story(concurrent).history).outcome, Outcome::Held);
}

#[test]
fn what_an_earlier_life_did_binds_no_later_one_but_stays_delivered() {
    assert_eq!(check(PLAIN).judge(&story("a+x b-x b! b+y c-y c-x a-x a-y").history).outcome, Outcome::Unknown);
    assert_eq!(check(PLAIN).judge(&story("a+x a+y b-x b! b-y").history).outcome, Outcome::Held);
}

#[test]
fn one_who_joins_late_or_jumps_need_not_have_what_came_before() {
    let late = "a+x a+y a+z b-y b-z";
    assert_eq!(check(PLAIN).judge(&story(late).history).outcome, Outcome::Violated);
    let joins = check(&PLAIN.replace(" }", ", joins = 'late' }"));
    assert_eq!(joins.judge(&story(late).history).outcome, Outcome::Held);
    assert_eq!(joins.judge(&story("a+x a+y a+z b-x b-z").history).outcome, Outcome::Violated);
    let jumps = check(&PLAIN.replace(" }", ", jumps = 'snapshot' }"));
    assert_eq!(jumps.judge(&story("a+x a+y a+z b-x b^ b-z").history).outcome, Outcome::Held);
    let anywhere = check(&PLAIN.replace(" }", ", joins = 'anywhere' }"));
    assert_eq!(anywhere.judge(&story("a+x a+y a+z b-x b! b-z").history).outcome, Outcome::Held);
}

#[test]
fn lines_that_contradict_each_other_decide_nothing() {
    let finding = check(PLAIN).judge(&story("a-y a+x b-x b+y").history);
    assert_eq!(finding.summary, "messages are delivered before they are sent: the lines contradict each other");
    let finding = check(PLAIN).judge(&story("a+x b-x b-w").history);
    assert_eq!(finding.summary, "1 of 2 delivered are of messages that no sent tells of");
    assert_eq!(finding.outcome, Outcome::Unknown);
}

#[test]
fn what_others_delivered_binds_those_who_are_asked() {
    let of = |node: &str| check(&PLAIN.replace(" }", &format!(", of = '{node}' }}")));
    let acts = "a+q b-q b+r a+s c-r c-q c-s";
    let finding = of("c").judge(&story(acts).history);
    assert_eq!(finding.summary, "c delivered r before q, on which it depends");
    assert_eq!(of("b").judge(&story(acts).history).outcome, Outcome::Unknown);
    let finding = of("b").judge(&story(&format!("{acts} b-r b-s")).history);
    assert_eq!((finding.outcome, finding.checked), (Outcome::Held, 2), "{finding:?}");
}

#[test]
fn a_line_that_does_not_tell_its_message_leaves_nothing_out() {
    let mut story = story("a+x a+y");
    story.says("b", "delivered", &[]).delivers("b", "y", 0, 1);
    let finding = check(PLAIN).judge(&story.history);
    assert_eq!(finding.summary, "1 sent and delivered do not tell their `msg` and `msg`");
    story.delivers("c", "y", 0, 1).delivers("c", "x", 0, 1);
    assert_eq!(check(PLAIN).judge(&story.history).summary, "c delivered y before x, on which it depends");
}

/// What each message depends on, by the definition: the closure of what its life had sent or delivered before it. None if a message comes
/// to depend on itself.
fn depends(script: &Script) -> Option<BTreeMap<u8, BTreeSet<u8>>> {
    let mut direct: BTreeMap<u8, BTreeSet<u8>> = BTreeMap::new();
    let sent: BTreeSet<u8> = script
        .0
        .iter()
        .filter_map(|(_, act)| if let Act::Sends(message) = act { Some(*message) } else { None })
        .collect();
    for life in (0..3).flat_map(|node| script.lives(node)) {
        let mut had = BTreeSet::new();
        for act in life {
            match act {
                Act::Sends(message) => {
                    direct.insert(message, had.clone());
                    had.insert(message);
                }
                Act::Delivers(message, ..) if sent.contains(&message) => _ = had.insert(message),
                _ => {}
            }
        }
    }
    loop {
        let wider: BTreeMap<u8, BTreeSet<u8>> = direct
            .iter()
            .map(|(message, on)| (*message, on.iter().flat_map(|on| &direct[on]).chain(on).copied().collect()))
            .collect();
        if wider == direct {
            return direct.iter().all(|(message, on)| !on.contains(message)).then_some(direct);
        }
        direct = wider;
    }
}

/// The definition: whatever a delivered message depends on was delivered before (or is never delivered later).
fn is_causal(script: &Script, depends: &BTreeMap<u8, BTreeSet<u8>>, prefix: bool) -> bool {
    (0..3).all(|node| {
        let acts: Vec<Act> = script.lives(node).into_iter().flatten().collect();
        let own: BTreeSet<u8> =
            acts.iter().filter_map(|act| if let Act::Sends(message) = act { Some(*message) } else { None }).collect();
        let takes_its_own = acts.iter().any(|act| matches!(act, Act::Delivers(message, ..) if own.contains(message)));
        let has = |at: usize, on: u8| {
            acts[..at].iter().any(|act| match act {
                Act::Delivers(message, ..) => *message == on,
                Act::Sends(message) => !takes_its_own && *message == on,
                _ => false,
            })
        };
        (0..acts.len()).all(|at| {
            let Act::Delivers(message, ..) = acts[at] else { return true };
            let Some(on) = depends.get(&message) else { return true };
            if prefix {
                return on.iter().all(|on| has(at, *on));
            }
            // Not delivered for the first time after one that depends on it.
            let is_late = acts[..at].iter().any(|act| {
                matches!(act, Act::Delivers(before, ..) if depends.get(before).is_some_and(|on| on.contains(&message)))
            });
            has(at, message) || !is_late
        })
    })
}

fn compare(numbers: std::ops::Range<u64>) -> [u64; 3] {
    let checks = [(true, check(PLAIN)), (false, check(ORDER))];
    let mut outcomes = [0; 3];
    for number in numbers {
        let (prefix, check) = &checks[number as usize % 2];
        let script = Drawn { messages: 2 + number % 5, sends: true, views: false, jumps: false }.script(number);
        let finding = check.judge(&script.history());
        outcomes[finding.outcome as usize] += 1;
        let delivered =
            || script.0.iter().filter_map(|(_, act)| if let Act::Delivers(of, ..) = act { Some(of) } else { None });
        let expected = match depends(&script) {
            Some(depends) if !is_causal(&script, &depends, *prefix) => Outcome::Violated,
            Some(depends)
                if delivered().any(|of| depends.get(of).is_some_and(|on| !on.is_empty()))
                    && !(*prefix && delivered().any(|of| !depends.contains_key(of))) =>
            {
                Outcome::Held
            }
            _ => Outcome::Unknown,
        };
        assert_eq!(finding.outcome, expected, "{number} {prefix}: {finding:?}\n{script:?}");
    }
    outcomes
}

#[test]
fn it_agrees_with_the_definition() {
    let outcomes = compare(0..SLICE);
    assert!(outcomes.iter().all(|count| *count > SLICE / 50), "{outcomes:?}");
}

#[test]
#[ignore = "a million histories: cargo test --release -p dsbench-core --lib a_million -- --ignored"]
fn it_agrees_with_the_definition_on_a_million_histories() {
    compare(SLICE..ALL);
}
