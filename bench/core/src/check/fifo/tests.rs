//! `fifo` against the smallest histories it accepts and refuses, and against its definition.

use std::collections::BTreeMap;

use super::super::delivery::Joins;
use super::super::delivery::testing::{ALL, Act, Drawn, SLICE, Script};
use super::super::testing::check;
use crate::stories::Story;
use crate::verdict::Outcome;

const TOLD: &str = "fifo = { delivered = 'delivered.msg', sent = 'sent.msg' }";
const NUMBERED: &str = "fifo = { delivered = 'delivered.seq', sender = 'from' }";

/// a sends three messages; b delivers these.
fn story(delivered: &str) -> Story {
    let mut story = Story::of(&["a", "b", "c"]);
    ["a/1", "a/2", "a/3"].iter().for_each(|message| _ = story.tells_of("a", "sent", message));
    for message in delivered.split(' ').filter(|message| !message.is_empty()) {
        match message {
            "restart" => story.kill("b").restart("b"),
            "jump" => story.says("b", "snapshot", &[]),
            message => story.delivers("b", message, message[2..].parse().expect("a number"), 1),
        };
    }
    story
}

#[test]
fn the_order_of_the_sender_is_accepted_and_another_refused() {
    for (delivered, told, numbered) in [
        ("a/1 a/2 a/3", "3 deliveries of 1 sender, each in its order", "3 deliveries of 1 sender, each in its order"),
        (
            "a/1 a/2 restart a/2 a/3",
            "4 deliveries of 1 sender, each in its order",
            "4 deliveries of 1 sender, each in its order",
        ),
        (
            "a/1 a/3",
            "b left out a/2 of a: it delivered a/3 next after a/1",
            "b left out 2 of a: it delivered 3 next after 1",
        ),
        ("a/1 a/2 a/2", "b delivered a/2 of a twice", "b delivered 2 of a twice"),
        (
            "a/1 a/2 a/1",
            "b delivered a/1 of a after a/2, which was sent later",
            "b delivered 1 of a after 2, which was sent later",
        ),
        (
            "a/1 restart a/3",
            "b left out a/2 of a after a restart: it delivered a/3 next after a/1",
            "b left out 2 of a after a restart: it delivered 3 next after 1",
        ),
        ("a/2 a/3", "b begins with a/2 of a, and its first is a/1", "2 deliveries of 1 sender, each in its order"),
        (
            "a/1",
            "never exercised: no node delivered two messages of one sender",
            "never exercised: no node delivered two messages of one sender",
        ),
        ("", "never exercised: no delivered occurred", "never exercised: no delivered occurred"),
    ] {
        let history = story(delivered).history;
        assert_eq!(check(TOLD).judge(&history).summary, told, "{delivered}");
        assert_eq!(check(NUMBERED).judge(&history).summary, numbered, "{delivered}");
    }
}

#[test]
fn what_may_be_left_out_and_where_one_may_begin_is_said() {
    let judged = |keys: &str, delivered: &str| {
        check(&TOLD.replace(" }", &format!(", {keys} }}"))).judge(&story(delivered).history).outcome
    };
    assert_eq!(judged("prefix = false", "a/1 a/3"), Outcome::Held);
    assert_eq!(judged("prefix = false", "a/3 a/1"), Outcome::Violated);
    assert_eq!(judged("joins = 'late'", "a/2 a/3"), Outcome::Held);
    assert_eq!(judged("joins = 'late'", "a/1 restart a/3"), Outcome::Violated);
    assert_eq!(judged("joins = 'anywhere'", "a/1 restart a/3"), Outcome::Held);
    assert_eq!(judged("jumps = 'snapshot'", "a/1 jump a/3"), Outcome::Held);
}

#[test]
fn what_nobody_says_to_have_sent_has_no_order() {
    let finding = check(TOLD).judge(&story("a/1 a/2 c/7").history);
    assert_eq!(finding.summary, "1 of 3 delivered are of messages that no sent tells of");
    assert_eq!(finding.outcome, Outcome::Unknown);
}

#[test]
fn where_messages_may_be_left_out_those_that_nobody_says_to_have_sent_are_not_compared() {
    let check = check(&TOLD.replace(" }", ", prefix = false }"));
    let finding = check.judge(&story("a/1 c/7 a/2").history);
    assert_eq!(
        finding.summary,
        "2 deliveries of 1 sender, each in its order; not compared: 1 of messages that no sent tells of"
    );
    assert_eq!(check.judge(&story("a/2 c/7 a/1").history).outcome, Outcome::Violated);
    assert_eq!(check.judge(&story("c/7 c/8").history).outcome, Outcome::Unknown, "nothing was compared");
}

#[test]
fn the_first_of_two_sendings_counts_and_every_sender_has_its_own_order() {
    let mut story = story("a/1 a/2");
    story
        .tells_of("a", "sent", "a/1")
        .tells_of("c", "sent", "c/1")
        .delivers("b", "c/1", 1, 1)
        .delivers("b", "a/3", 3, 1);
    let finding = check(TOLD).judge(&story.history);
    assert_eq!(finding.summary, "4 deliveries of 2 senders, each in its order");
}

/// The places of what was delivered, and whether they come after a jump.
type Piece = (bool, Vec<i64>);

/// The definition, for each node and sender: what each life delivers is a piece of what was sent.
fn expected(script: &Script, Asked { by_number, prefix, joins, jumps }: Asked) -> Outcome {
    let sent: Vec<u8> = script
        .0
        .iter()
        .filter_map(|(_, act)| if let Act::Sends(message) = act { Some(*message) } else { None })
        .collect();
    let place = |message: u8, at: i64| match by_number {
        true => at,
        false => sent
            .iter()
            .filter(|other| **other % 3 == message % 3)
            .position(|other| *other == message)
            .map_or(-1, |at| at as i64),
    };
    let mut told: Vec<BTreeMap<u8, Vec<Piece>>> = Vec::new();
    let mut is_told = true;
    for node in 0..3 {
        let mut of_senders: BTreeMap<u8, Vec<Piece>> = BTreeMap::new();
        for life in script.lives(node) {
            for (nth, piece) in life.split(|act| jumps && *act == Act::Jumps).enumerate() {
                let mut of_piece: BTreeMap<u8, Vec<i64>> = BTreeMap::new();
                for act in piece {
                    let Act::Delivers(message, at, _) = *act else { continue };
                    match by_number || sent.contains(&message) {
                        true => of_piece.entry(message % 3).or_default().push(place(message, at)),
                        false => is_told = false,
                    }
                }
                let of_piece = of_piece.into_iter();
                of_piece.for_each(|(sender, places)| of_senders.entry(sender).or_default().push((nth > 0, places)));
            }
        }
        told.push(of_senders);
    }
    let all = |sender: u8| {
        told.iter().filter_map(move |of| of.get(&sender)).flatten().flat_map(|(_, places)| places).copied()
    };
    let is_fifo = told.iter().flatten().all(|(sender, pieces)| {
        let first = if by_number { all(*sender).min().unwrap_or_default() } else { 0 };
        let mut highest = None;
        pieces.iter().enumerate().all(|(nth, (has_jumped, places))| {
            let rises = places.windows(2).all(|pair| if prefix { pair[1] == pair[0] + 1 } else { pair[1] > pair[0] });
            let begins = match (joins, nth) {
                _ if !prefix || *has_jumped => true,
                (Joins::Anywhere, _) | (Joins::Late, 0) => true,
                (Joins::Start, 0) => places[0] == first,
                _ => places[0] <= highest.unwrap_or_default() + 1,
            };
            highest = highest.max(places.iter().max().copied());
            rises && begins
        })
    });
    let is_compared =
        told.iter().flat_map(BTreeMap::values).any(|of| of.iter().map(|(_, told)| told.len()).sum::<usize>() > 1);
    match is_fifo {
        false => Outcome::Violated,
        true if !is_compared || prefix && !is_told => Outcome::Unknown,
        true => Outcome::Held,
    }
}

#[derive(Debug, Clone, Copy)]
struct Asked {
    by_number: bool,
    prefix: bool,
    joins: Joins,
    jumps: bool,
}

fn compare(numbers: std::ops::Range<u64>) -> [u64; 3] {
    let mut asked = Vec::new();
    for (by_number, text) in [(false, TOLD), (true, NUMBERED)] {
        let order = Asked { by_number, prefix: false, joins: Joins::Start, jumps: false };
        asked.push((order, check(&text.replace(" }", ", prefix = false }"))));
        for (joins, word) in [(Joins::Start, "start"), (Joins::Late, "late"), (Joins::Anywhere, "anywhere")] {
            for (jumps, keys) in [(false, ""), (true, ", jumps = 'snapshot'")] {
                let check = check(&text.replace(" }", &format!(", joins = '{word}'{keys} }}")));
                asked.push((Asked { by_number, prefix: true, joins, jumps }, check));
            }
        }
    }
    let mut outcomes = [0; 3];
    for number in numbers {
        let (asked, check) = &asked[number as usize % asked.len()];
        let script = Drawn { messages: 3 + number % 7, sends: true, views: false, jumps: asked.jumps }.script(number);
        let finding = check.judge(&script.history());
        outcomes[finding.outcome as usize] += 1;
        assert_eq!(finding.outcome, expected(&script, *asked), "{number} {asked:?}: {finding:?}\n{script:?}");
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
