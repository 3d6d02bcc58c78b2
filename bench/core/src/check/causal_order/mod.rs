//! `causal_order`: nobody delivers a message without those that it may have come from.
//!
//! Causal broadcast (Birman, Schiper & Stephenson, Lightweight Causal and Atomic Group Multicast, ACM TOCS 1991; Hadzilacos & Toueg 1994): a
//! message depends on whatever its sender had sent or delivered before it sent it, and on what that depends on in turn (Lamport's
//! happens-before, 1978). That is rebuilt from the lines in which nodes tell what they send and deliver, and never from clocks that the
//! system keeps itself, and it is that of all nodes, whichever are looked at (`of`). What a life sends depends on what that same life sent and delivered: what an earlier one did, it may have forgotten.
//!
//! A node that delivers a message has delivered all that it depends on, in whatever life; with `prefix = false` it may have left some of
//! that out, but does not deliver it later. Of its own messages a node is asked only if it delivers its own at all. A node that joins late
//! or jumps is asked of each sender only for what comes after the first message that it then delivers of it.

#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, VecDeque};

use super::delivery::{self, Begins, DELIVERED, Entry, Interner, JOINS, JUMPS, Joins, Streams, Teller, line};
use super::said::{OF_AT_THE_END, Said};
use super::{Check, CheckKind};
use crate::history::{History, Seen};
use crate::names::{EventField, Names};
use crate::observation::{Event, Name};
use crate::table::{Key, Kind, Table};
use crate::time::RunTime;
use crate::verdict::Finding;

pub(super) const KIND: CheckKind = CheckKind {
    name: "causal_order",
    keys: &[
        Key::required(
            "sent",
            Kind::EventField,
            "The event by which a node says that it sends a message, and its field that names the message.",
        ),
        DELIVERED,
        Key::new(
            "prefix",
            Kind::Bool,
            "True: nothing that a message depends on is left out (as if not said); false: it is not delivered later.",
        ),
        JOINS,
        JUMPS,
        OF_AT_THE_END,
    ],
    short: None,
    doc: "A message is delivered after all those that its sender had sent or delivered before it.",
    parse,
};

#[derive(Debug)]
struct CausalOrder {
    sent: EventField,
    said: Said,
    message: Name,
    prefix: bool,
    begins: Begins,
}

fn parse(table: &Table<'_, '_>, names: &Names<'_>) -> Option<Box<dyn Check>> {
    let delivered = delivery::required_messages(table, DELIVERED.name, names);
    table.required("sent", |table, key| table.item(key));
    let sent = delivery::messages(table, "sent", names, delivered.as_ref());
    let of = super::scope::Scope::parse(table, OF_AT_THE_END.name, names);
    let prefix = super::optional(table, "prefix", |item| Some(item.boolean()?.value));
    let begins = Begins::parse(table, names);
    let prefix = prefix?.unwrap_or(true);
    delivery::refuse_without_prefix(table, prefix)?;
    let delivered = delivered?;
    let said = Said::at(delivered.event, of?.unwrap_or(super::scope::Scope::all()), names);
    Some(Box::new(CausalOrder { sent: sent??, said, message: delivered.field, prefix, begins: begins? }))
}

/// Clocks hold this many numbers together at most: 256 MB.
const CELLS_MOST: usize = 64 << 20;

/// A sending: the life that sent it, by index, and its place among those of that life, from 1. And its line.
#[derive(Debug, Clone, Copy)]
struct Sending {
    by: u32,
    nth: u32,
    number: u64,
}

/// Of each sender, how many messages: a vector clock.
type Clock = Box<[u32]>;

/// Someone's place in its lines.
struct Cursor<'h, 't> {
    teller: &'t Teller<'h>,
    is_asked: bool,
    life: usize,
    line: usize,
    /// What the present life has sent or delivered, and what that depends on.
    clock: Clock,
    /// Of each sender, up to which message all is delivered; none while nothing is asked of it.
    has: Vec<Option<u32>>,
    delivered: Vec<bool>,
    /// With `prefix = false`: what the messages that it delivered depend on.
    passed: Clock,
    /// It delivers its own messages.
    takes_its_own: bool,
}

/// What was found.
#[derive(Default)]
struct Found {
    checked: u64,
    violations: u64,
    first: Option<Violation>,
    /// What each message depends on, itself included.
    clocks: Vec<Option<Clock>>,
}

/// A delivery without what it depends on.
#[derive(Debug, Clone, Copy)]
struct Violation {
    at: RunTime,
    /// The line that shows it.
    number: u64,
    /// The message that depends on the other; none if it is to be looked for.
    later: Option<u32>,
    /// The one on which it does.
    earlier: u32,
}

struct Book<'h> {
    messages: Interner<'h>,
    /// Of each message that was sent.
    sendings: Vec<Option<Sending>>,
    /// The messages of each life that sent any, in order.
    by_sender: Vec<Vec<u32>>,
    tellers: Vec<Teller<'h>>,
    /// Of each whether it is asked: it is one of those that are meant, and tells the message of each of its deliveries.
    is_asked: Vec<bool>,
    lines: u64,
    without: u64,
    unsent: u64,
}

impl CausalOrder {
    fn book<'h>(&self, history: &'h History) -> Book<'h> {
        let mut messages = Interner::default();
        let mut streams = Streams::default();
        let (mut lines, mut without, mut unsent) = (0, 0, 0);
        let members = self.said.members(history);
        let mut unclear: BTreeSet<&Name> = BTreeSet::new();
        streams.take(history.events(&self.sent.event), |seen: Seen<'h, Event>| {
            let message = seen.what.field(&self.sent.field).map(|value| Entry::Sent(messages.number(value)));
            without += u64::from(message.is_none());
            message
        });
        let sent = messages.len() as u32;
        for jump in &self.begins.jumps {
            streams.take(history.events(jump), |_| Some(Entry::Jumped));
        }
        // Also those of nodes that are not asked: what they send depends on what they delivered.
        streams.take(history.events(&self.said.event), |seen| {
            let node = &seen.what.of.node;
            let message = seen.what.field(&self.message).map(|value| messages.number(value));
            if message.is_none() {
                without += 1;
                unclear.insert(node);
            }
            if members.has(node) {
                lines += 1;
                unsent += u64::from(message.is_some_and(|message| message >= sent));
            }
            message.map(Entry::Delivered)
        });
        let tellers = streams.tellers();
        let is_asked = |teller: &Teller<'_>| members.has(teller.node) && !unclear.contains(teller.node);
        let is_asked = tellers.iter().map(is_asked).collect();
        let mut sendings = vec![None; messages.len()];
        let mut by_sender: Vec<Vec<u32>> = Vec::new();
        for (_, lines) in tellers.iter().flat_map(|teller| &teller.lives) {
            let mut own = Vec::new();
            for line in lines {
                if let Entry::Sent(message) = line.entry
                    && sendings[message as usize].is_none()
                {
                    own.push(message);
                    let nth = own.len() as u32;
                    sendings[message as usize] = Some(Sending { by: by_sender.len() as u32, nth, number: line.number });
                }
            }
            if !own.is_empty() {
                by_sender.push(own);
            }
        }
        Book { messages, sendings, by_sender, tellers, is_asked, lines, without, unsent }
    }

    fn cursor<'h, 't>(&self, (teller, is_asked): (&'t Teller<'h>, bool), book: &Book<'h>) -> Cursor<'h, 't> {
        let senders = book.by_sender.len();
        let lines = || teller.lives.iter().flat_map(|(_, lines)| lines);
        let own: Vec<u32> =
            lines().filter_map(|line| if let Entry::Sent(own) = line.entry { Some(own) } else { None }).collect();
        let mut is_own = vec![false; book.messages.len()];
        own.iter().for_each(|message| is_own[*message as usize] = true);
        let takes_its_own =
            lines().any(|line| matches!(line.entry, Entry::Delivered(message) if is_own[message as usize]));
        let none = || vec![0; senders].into_boxed_slice();
        let has = vec![(self.begins.joins == Joins::Start).then_some(0); senders];
        let delivered = vec![false; book.messages.len()];
        Cursor { teller, is_asked, life: 0, line: 0, clock: none(), has, delivered, passed: none(), takes_its_own }
    }

    /// Follows all nodes at once, each until it delivers what was not sent yet. None if the lines contradict each other.
    fn found(&self, history: &History, book: &Book<'_>) -> Option<Found> {
        let mut found = Found::default();
        let mut clocks: Vec<Option<Clock>> = vec![None; book.messages.len()];
        let mut waiting: Vec<Vec<u32>> = vec![Vec::new(); book.messages.len()];
        let mut cursors: Vec<_> =
            book.tellers.iter().zip(book.is_asked.iter().copied()).map(|of| self.cursor(of, book)).collect();
        let mut ready: VecDeque<u32> = (0..cursors.len() as u32).collect();
        let mut ended = 0;
        while let Some(index) = ready.pop_front() {
            let cursor = &mut cursors[index as usize];
            loop {
                let Some((_, lines)) = cursor.teller.lives.get(cursor.life) else {
                    ended += 1;
                    break;
                };
                if cursor.line == 0 {
                    cursor.clock.fill(0);
                    if self.begins.joins == Joins::Anywhere {
                        cursor.has.fill(None);
                    }
                }
                let Some(line) = lines.get(cursor.line) else {
                    (cursor.life, cursor.line) = (cursor.life + 1, 0);
                    continue;
                };
                match line.entry {
                    Entry::Delivered(message) if book.sendings[message as usize].is_some() => {
                        let Some(clock) = &clocks[message as usize] else {
                            waiting[message as usize].push(index);
                            break;
                        };
                        self.deliver(cursor, message, line.number, clock, book, history, &mut found);
                    }
                    Entry::Sent(message) => {
                        let sending = book.sendings[message as usize].filter(|sending| sending.number == line.number);
                        if let Some(Sending { by, nth, .. }) = sending {
                            cursor.clock[by as usize] = nth;
                            clocks[message as usize] = Some(cursor.clock.clone());
                            if !cursor.takes_its_own {
                                cursor.take(message, by, nth, book);
                            }
                            ready.extend(waiting[message as usize].drain(..));
                        }
                    }
                    Entry::Jumped => cursor.has.fill(None),
                    Entry::Delivered(_) | Entry::DeliveredAt(..) | Entry::Installed(_) => {}
                }
                cursor.line += 1;
            }
        }
        found.clocks = clocks;
        (ended == cursors.len()).then_some(found)
    }

    #[expect(clippy::too_many_arguments, reason = "the state of one delivery")]
    fn deliver(
        &self,
        cursor: &mut Cursor<'_, '_>,
        message: u32,
        number: u64,
        clock: &Clock,
        book: &Book<'_>,
        history: &History,
        found: &mut Found,
    ) {
        let Some(Sending { by, nth, .. }) = book.sendings[message as usize] else { return };
        // What it depends on is its clock without itself.
        let past = |sender: usize| clock[sender] - u32::from(sender == by as usize);
        if !cursor.is_asked {
            return cursor.clock.iter_mut().zip(clock).for_each(|(own, other)| *own = (*own).max(*other));
        }
        found.checked += u64::from((0..clock.len()).any(|sender| past(sender) > 0));
        let earlier = match self.prefix {
            true => (0..clock.len()).find_map(|sender| {
                let has = cursor.has[sender]?;
                (past(sender) > has).then(|| (Some(message), book.by_sender[sender][has as usize]))
            }),
            // It comes after one that depends on it, and was not delivered before.
            false if nth <= cursor.passed[by as usize] && !cursor.delivered[message as usize] => Some((None, message)),
            false => None,
        };
        if let Some((later, earlier)) = earlier {
            found.violations += 1;
            let at = history.get(number).map_or(RunTime::START, |seen| seen.at);
            let violation = Violation { at, number, later, earlier };
            if found.first.is_none_or(|first| (at, number) < (first.at, first.number)) {
                found.first = Some(violation);
            }
        }
        cursor.take(message, by, nth, book);
        if !self.prefix {
            (0..clock.len()).for_each(|sender| cursor.passed[sender] = cursor.passed[sender].max(past(sender)));
        }
        cursor.clock.iter_mut().zip(clock).for_each(|(own, other)| *own = (*own).max(*other));
    }

    fn violated(&self, history: &History, book: &Book<'_>, found: &Found) -> Option<Finding> {
        let violation = found.first?;
        let at_line = line(history, violation.number)?;
        let node = &at_line.what.of.node;
        let teller =
            book.tellers.iter().find(|teller| teller.node == node && *teller.process == at_line.what.of.process)?;
        let lines = || teller.lives.iter().flat_map(|(_, lines)| lines);
        let earlier = violation.earlier;
        let delivers =
            |message: u32| lines().find(|line| line.entry == Entry::Delivered(message)).map(|line| line.number);
        // Without the gap rule, the one that it delivered too early is looked for: the first that depends on this one.
        let later = match violation.later {
            None => Self::dependent(book, found, teller, violation)?,
            Some(later) => later,
        };
        let [first, second] = [earlier, later].map(|message| book.messages.value(message));
        let how = match delivers(earlier) {
            Some(_) => "before",
            None => "without",
        };
        let summary = format!("{node} delivered {second} {how} {first}, on which it depends");
        let mut finding = Finding::violated(found.checked, found.violations, violation.at, summary);
        for (message, name) in [(earlier, first), (later, second)] {
            let sending = book.sendings[message as usize]?;
            finding = finding.showing_as(sending.number, format!("{name} is sent"));
        }
        let of_node = [delivers(later).map(|number| (number, second)), delivers(earlier).map(|number| (number, first))];
        Some(
            of_node
                .into_iter()
                .flatten()
                .fold(finding, |finding, (number, name)| finding.showing_as(number, format!("{node} delivers {name}"))),
        )
    }

    /// The first message that a node delivered although it depends on one that it delivers only now.
    fn dependent(book: &Book<'_>, found: &Found, teller: &Teller<'_>, violation: Violation) -> Option<u32> {
        let Sending { by, nth, .. } = book.sendings[violation.earlier as usize]?;
        let before =
            teller.lives.iter().flat_map(|(_, lines)| lines).take_while(|line| line.number != violation.number);
        let delivered = before.filter_map(|line| match line.entry {
            Entry::Delivered(message) => Some(message),
            _ => None,
        });
        let depends =
            |message: &u32| found.clocks[*message as usize].as_ref().is_some_and(|clock| clock[by as usize] >= nth);
        delivered.filter(|message| *message != violation.earlier).find(depends)
    }
}

impl Cursor<'_, '_> {
    /// It has a message now.
    fn take(&mut self, message: u32, by: u32, nth: u32, book: &Book<'_>) {
        self.delivered[message as usize] = true;
        let has = self.has[by as usize].get_or_insert(nth);
        let of_sender = &book.by_sender[by as usize];
        while of_sender.get(*has as usize).is_some_and(|next| self.delivered[*next as usize]) {
            *has += 1;
        }
    }
}

impl Check for CausalOrder {
    fn judge(&self, history: &History) -> Finding {
        let book = self.book(history);
        let event = &self.said.event;
        if book.lines == 0 {
            return Finding::never_exercised(format_args!("no {event} occurred"));
        }
        let torn = book.tellers.iter().find_map(|teller| Some((teller, teller.torn?)));
        if let Some((teller, torn)) = torn {
            let why = teller.why_torn(&format!("{} and {event}", self.sent.event));
            return Finding::unknown(0, why).showing(torn.0).showing(torn.1);
        }
        let sent = book.by_sender.iter().map(Vec::len).sum::<usize>();
        if sent.saturating_mul(book.by_sender.len()) > CELLS_MOST {
            let summary = format!("{sent} messages of {} lives are more than can be compared", book.by_sender.len());
            return Finding::unknown(0, summary);
        }
        let Some(found) = self.found(history, &book) else {
            let summary = "messages are delivered before they are sent: the lines contradict each other";
            return Finding::unknown(0, summary);
        };
        if let Some(finding) = self.violated(history, &book, &found) {
            return finding;
        }
        if book.without > 0 {
            let (sent, message) = (&self.sent, &self.message);
            let summary = format!(
                "{} {} and {event} do not tell their `{}` and `{message}`",
                book.without, sent.event, sent.field
            );
            return Finding::unknown(found.checked, summary);
        }
        // Where nothing may be left out, it is unknown what such a message depends on.
        if book.unsent > 0 && self.prefix {
            let (unsent, lines) = (book.unsent, book.lines);
            let summary = format!("{unsent} of {lines} {event} are of messages that no {} tells of", self.sent.event);
            return Finding::unknown(found.checked, summary);
        }
        match found.checked {
            0 => Finding::never_exercised("no message that was delivered depends on another"),
            checked => {
                let unsent = match book.unsent {
                    0 => String::new(),
                    unsent => format!("; not compared: {unsent} of messages that no {} tells of", self.sent.event),
                };
                let deliveries = if checked == 1 { "1 delivery," } else { &format!("{checked} deliveries, each") };
                Finding::held(checked, format!("{deliveries} after all that it depends on{unsent}"))
            }
        }
    }
}
