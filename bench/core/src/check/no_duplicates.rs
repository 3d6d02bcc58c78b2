//! `no_duplicates`: a node delivers no message twice.
//!
//! Uniform integrity (Hadzilacos & Toueg 1994): every message is delivered at most once. Asked of each life of a process, because a node
//! may crash between delivering a message and remembering that it did, and then it cannot but deliver it again; with `per = "node"` of all
//! its lives together. Where lines tell their place in an order (`position`), a later life may deliver a message again, but at the same
//! place: at another one it is a duplicate and no repetition. A life that tells the same on two streams may have told one delivery twice:
//! that is not decided.

use std::collections::BTreeMap;

use super::delivery::{self, DELIVERED, Entry, Interner, Streams, Teller, line};
use super::said::{OF_AT_THE_END, Said, WHERE};
use super::{Check, CheckKind};
use crate::history::{History, Seen};
use crate::names::{EventField, FieldKind, Names};
use crate::observation::{Event, Name, Output};
use crate::table::{Key, Kind, Table};
use crate::verdict::Finding;

pub(super) const PER: Key = Key::new(
    "per",
    Kind::OneOf(&["life", "node"]),
    "\"life\": a restarted node may deliver again what it had delivered (as if not said); \"node\": it may not.",
);
pub(super) const POSITION: Key = Key::new(
    "position",
    Kind::Text,
    "A field of the delivery with its place in the order: a restarted node may deliver again only at the same place.",
);

pub(super) const KIND: CheckKind = CheckKind {
    name: "no_duplicates",
    keys: &[DELIVERED, PER, POSITION, OF_AT_THE_END, WHERE],
    short: Some("delivered"),
    doc: "A node delivers no message twice.",
    parse,
};

fn parse(table: &Table<'_, '_>, names: &Names<'_>) -> Option<Box<dyn Check>> {
    let delivered = delivery::required_messages(table, DELIVERED.name, names);
    let said = Said::parse(delivered.as_ref().map(|delivered| &delivered.event), table, names);
    let check = NoDuplicates::read(table, names, delivered, said);
    check.map(|check| Box::new(check) as Box<dyn Check>)
}

#[derive(Debug)]
pub(super) struct NoDuplicates {
    said: Said,
    message: Name,
    position: Option<Name>,
    over_lives: bool,
}

/// A message that was delivered before, and the line that delivered it then.
#[derive(Debug, Clone, Copy)]
struct Before {
    teller: u32,
    life: u32,
    number: u64,
}

impl NoDuplicates {
    /// The rest of it, where others have read the deliveries and whose they are.
    pub(super) fn read(
        table: &Table<'_, '_>,
        names: &Names<'_>,
        delivered: Option<EventField>,
        said: Option<Said>,
    ) -> Option<Self> {
        let over_lives = super::optional(table, PER.name, |_| Some(table.word(PER.name)?.value == "node"));
        let position = super::optional(table, POSITION.name, |item| {
            names.field_of_kind(&delivered.as_ref()?.event, &item.text()?, FieldKind::SINGLE)
        });
        let (over_lives, position) = (over_lives?.unwrap_or(false), position?.map(|field| field.field));
        Some(Self { said: said?, message: delivered?.field, position, over_lives })
    }

    fn place<'h>(&self, history: &'h History, number: u64) -> Option<&'h crate::observation::Value> {
        line(history, number)?.what.field(self.position.as_ref()?)
    }

    /// True if two lines of a node stand on two streams of one life.
    fn are_apart(history: &History, first: Before, life: u32, number: u64) -> bool {
        first.life == life && output(history, first.number) != output(history, number)
    }

    /// True if the second delivery of a message by a node is a duplicate of the first.
    fn is_duplicate(&self, history: &History, first: Before, life: u32, number: u64) -> bool {
        let has_moved = || self.position.is_some() && self.place(history, first.number) != self.place(history, number);
        self.over_lives || first.life == life || has_moved()
    }

    fn violated(
        &self,
        history: &History,
        (first, number): (u64, u64),
        checked: u64,
        violations: u64,
    ) -> Option<Finding> {
        let (first, again) = (line(history, first)?, line(history, number)?);
        let (node, name) = (&again.what.of.node, again.what.field(&self.message)?);
        let restarted = if first.what.of == again.what.of { "" } else { ", the second time after a restart" };
        let places = match (self.place(history, first.number), self.place(history, number)) {
            (Some(a), Some(b)) if a != b => format!(", at {} {a} and {b}", self.position.as_ref()?),
            _ => String::new(),
        };
        let summary = format!("{node} delivered {name} twice{places}{restarted}");
        let finding = Finding::violated(checked, violations, again.at, summary);
        Some(finding.showing(first.number).showing(again.number))
    }
}

/// The stream on which a line was told.
fn output(history: &History, number: u64) -> Option<&Output> {
    line(history, number).map(|seen| &seen.what.fields.shape().output)
}

impl Check for NoDuplicates {
    fn judge(&self, history: &History) -> Finding {
        let mut messages = Interner::default();
        let (mut lines, mut without) = (0, 0);
        let mut streams = Streams::default();
        streams.take(self.said.by_members(history, &self.said.members(history)), |seen: Seen<'_, Event>| {
            lines += 1;
            let message = seen.what.field(&self.message);
            let is_placed = self.position.as_ref().is_none_or(|position| seen.what.field(position).is_some());
            without += u64::from(message.is_none() || !is_placed);
            Some(Entry::Delivered(messages.number(message.filter(|_| is_placed)?)))
        });
        let mut tellers = streams.tellers();
        let checked = lines - without;
        let (mut violations, mut worst, mut undecided) = (0, None::<(u64, u64)>, None::<(u64, u64)>);
        let mut before: Vec<Option<Before>> = vec![None; messages.len()];
        for (index, Teller { lives, torn, .. }) in (0_u32..).zip(&mut tellers) {
            // One stream of a life after the other: the order between them is not known.
            if torn.is_some() {
                lives.iter_mut().for_each(|(_, lines)| lines.sort_by_key(|line| output(history, line.number)));
            }
            for (life, number, message) in lives
                .iter()
                .flat_map(|(life, lines)| lines.iter().map(move |it| (*life, it)))
                .filter_map(|(life, it)| match it.entry {
                    Entry::Delivered(message) => Some((life, it.number, message)),
                    _ => None,
                })
            {
                let this = Before { teller: index, life, number };
                let before = &mut before[message as usize];
                let first = before.filter(|before| before.teller == index);
                match first.filter(|first| self.is_duplicate(history, *first, life, number)) {
                    Some(first) if torn.is_some() && Self::are_apart(history, first, life, number) => {
                        undecided.get_or_insert((first.number.min(number), first.number.max(number)));
                        *before = Some(this);
                    }
                    Some(first) => {
                        violations += 1;
                        let at = |number: u64| history.get(number).map(|seen| (seen.at, number));
                        if worst.is_none_or(|(_, worst)| at(number) < at(worst)) {
                            worst = Some((first.number, number));
                        }
                    }
                    // The next life is compared with this one.
                    None => *before = Some(this),
                }
            }
        }
        if let Some(finding) = worst.and_then(|worst| self.violated(history, worst, checked, violations)) {
            return finding;
        }
        let event = &self.said.event;
        if lines == 0 {
            return Finding::never_exercised(format_args!("no {event} occurred"));
        }
        if without > 0 {
            let position = self.position.as_ref().map(|position| format!(" and `{position}`")).unwrap_or_default();
            let summary = format!("{without} of {lines} {event} do not tell their `{}`{position}", self.message);
            return Finding::unknown(checked, summary);
        }
        if let Some((one, other)) = undecided {
            let summary = match line(history, one).and_then(|seen| Some((seen, seen.what.field(&self.message)?))) {
                Some((seen, name)) => format!(
                    "{} tells {event} on two streams, and {name} on both: is it the same delivery?",
                    seen.what.of.node
                ),
                None => format!("{event} is told on two streams"),
            };
            return Finding::unknown(checked, summary).showing(one).showing(other);
        }
        let by_node: BTreeMap<_, u64> = tellers.iter().fold(BTreeMap::new(), |mut by_node, teller| {
            *by_node.entry(teller.node).or_default() +=
                teller.lives.iter().map(|(_, lines)| lines.len() as u64).sum::<u64>();
            by_node
        });
        match by_node.values().any(|count| *count > 1) {
            false => Finding::never_exercised("no node delivered two messages"),
            true => Finding::held(checked, format!("{checked} deliveries, none of them twice")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::delivery::testing::{ALL, Act, Drawn, SLICE, Script};
    use super::super::testing::check;
    use crate::stories::Story;
    use crate::verdict::{Finding, Outcome};

    const PER_LIFE: &str = "no_duplicates = 'delivered.msg'";
    const PER_NODE: &str = "no_duplicates = { delivered = 'delivered.msg', per = 'node' }";
    const PLACED: &str = "no_duplicates = { delivered = 'delivered.msg', position = 'seq' }";

    #[test]
    fn different_messages_are_accepted_and_the_same_twice_refused() {
        let mut story = Story::of(&["a", "b"]);
        assert_eq!(check(PER_LIFE).judge(&story.history).summary, "never exercised: no delivered occurred");
        story.delivers("a", "m1", 1, 1).delivers("b", "m1", 1, 1);
        assert_eq!(check(PER_LIFE).judge(&story.history).summary, "never exercised: no node delivered two messages");
        story.delivers("a", "m2", 2, 1);
        assert_eq!(check(PER_LIFE).judge(&story.history), Finding::held(3, "3 deliveries, none of them twice"));
        story.delivers("a", "m1", 3, 1);
        let finding = check(PER_LIFE).judge(&story.history);
        assert_eq!((finding.summary.as_str(), finding.violations), ("a delivered m1 twice", 1));
    }

    #[test]
    fn a_restarted_node_may_repeat_itself_as_the_scenario_says() {
        let mut story = Story::of(&["a", "b"]);
        story.delivers("a", "m1", 1, 1).delivers("a", "m2", 2, 1).kill("a").restart("a").delivers("a", "m2", 2, 1);
        assert_eq!(check(PER_LIFE).judge(&story.history).outcome, Outcome::Held);
        assert_eq!(check(PLACED).judge(&story.history).outcome, Outcome::Held);
        let finding = check(PER_NODE).judge(&story.history);
        assert_eq!(finding.summary, "a delivered m2 twice, the second time after a restart");
        story.delivers("a", "m1", 3, 1);
        assert_eq!(check(PER_LIFE).judge(&story.history).outcome, Outcome::Held);
        let finding = check(PLACED).judge(&story.history);
        assert_eq!(finding.summary, "a delivered m1 twice, at seq 1 and 3, the second time after a restart");
    }

    #[test]
    fn the_same_line_on_two_streams_of_one_life_is_not_decided() {
        let mut story = Story::of(&["a", "b"]);
        story.delivers("a", "m1", 1, 1).on_stderr().delivers("a", "m1", 1, 1);
        let finding = check(PER_LIFE).judge(&story.history);
        assert_eq!((finding.outcome, finding.evidence.len()), (Outcome::Unknown, 2), "{finding:?}");
        assert_eq!(finding.summary, "a tells delivered on two streams, and m1 on both: is it the same delivery?");
        // Twice on one of them is twice.
        story.delivers("a", "m1", 1, 1);
        assert_eq!(check(PER_LIFE).judge(&story.history).outcome, Outcome::Violated);
    }

    /// The definition, pair by pair.
    fn has_duplicates(script: &Script, text: &str) -> bool {
        (0..3).any(|node| {
            let lives = script.lives(node);
            let told = lives.iter().enumerate().flat_map(|(life, acts)| acts.iter().map(move |act| (life, act)));
            let told: Vec<(usize, u8, i64)> =
                told.filter_map(|(life, act)| {
                    if let Act::Delivers(message, at, _) = act { Some((life, *message, *at)) } else { None }
                })
                .collect();
            (0..told.len()).any(|one| {
                told[one + 1..].iter().any(|other| {
                    let same_life = told[one].0 == other.0;
                    let is_moved = text == PLACED && told[one].2 != other.2;
                    told[one].1 == other.1 && (same_life || text == PER_NODE || is_moved)
                })
            })
        })
    }

    fn compare(numbers: std::ops::Range<u64>) -> [u64; 3] {
        let checks = [PER_LIFE, PER_NODE, PLACED].map(|text| (text, check(text)));
        let mut outcomes = [0; 3];
        for number in numbers {
            let (text, check) = &checks[number as usize % 3];
            let script = Drawn { messages: 2 + number % 4, sends: false, views: false, jumps: false }.script(number);
            let finding = check.judge(&script.history());
            outcomes[finding.outcome as usize] += 1;
            assert_eq!(
                finding.outcome == Outcome::Violated,
                has_duplicates(&script, text),
                "{number}: {finding:?}\n{script:?}"
            );
        }
        outcomes
    }

    #[test]
    fn it_agrees_with_the_definition() {
        let [held, _, violated] = compare(0..SLICE);
        assert!(held > SLICE / 10 && violated > SLICE / 10);
    }

    #[test]
    #[ignore = "a million histories: cargo test --release -p dsbench-core --lib a_million -- --ignored"]
    fn it_agrees_with_the_definition_on_a_million_histories() {
        compare(SLICE..ALL);
    }
}
