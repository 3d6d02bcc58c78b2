//! `fifo`: the messages of one sender are delivered in the order in which it sent them.
//!
//! FIFO broadcast (Hadzilacos & Toueg 1994): if a process sends a message before another, nobody delivers the second without having
//! delivered the first. The order of a sender is that in which it tells that it sends (`sent`), over all of its lives; or its messages carry
//! numbers that rise by one, and a field of the delivery names the sender (`sender`). What each life of a node delivers of a sender is one
//! piece of its messages, and where a piece begins is said by `joins`, as in `total_order`. With `prefix = false` messages may be left out,
//! and only the order is compared: where a request may be refused after it was sent, or where a killed sender took the line with it that
//! tells of a message. What nobody tells to have sent is then not compared.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use super::delivery::{
    self, Begins, Break, DELIVERED, Entry, Interner, JOINS, JUMPS, Numbers, Place, Runs, Streams, line,
};
use super::said::{OF_AT_THE_END, Said, WHERE};
use super::{Check, CheckKind, counted};
use crate::history::{History, Seen};
use crate::names::{EventField, FieldKind, Names};
use crate::observation::{Event, Name, Value};
use crate::table::{Key, Kind, Need, Table};
use crate::time::RunTime;
use crate::verdict::Finding;

pub(super) const KIND: CheckKind = CheckKind {
    name: "fifo",
    keys: &[
        DELIVERED,
        Key::new(
            "sent",
            Kind::EventField,
            "The event by which a node says that it sends a message, and its field that names the message: the order of these lines is the order.",
        )
        .with(Need::OneOf("how the order of a sender is known")),
        Key::new(
            "sender",
            Kind::Text,
            "The field of the delivery that names the sender; what `delivered` names is then an int that rises by one.",
        )
        .with(Need::OneOf("how the order of a sender is known")),
        Key::new(
            "prefix",
            Kind::Bool,
            "True: nothing is left out (as if not said); false: only the order of what is delivered is compared.",
        ),
        JOINS,
        JUMPS,
        OF_AT_THE_END,
        WHERE,
    ],
    short: None,
    doc: "The messages of one sender are delivered in the order in which it sent them, none left out.",
    parse,
};

/// How the order of a sender is known.
#[derive(Debug)]
enum Order {
    /// By the lines in which it says that it sends.
    Told(EventField),
    /// By the numbers of its messages; the field of the delivery that names it.
    Numbered(Name),
}

#[derive(Debug)]
struct Fifo {
    said: Said,
    message: Name,
    order: Order,
    prefix: bool,
    begins: Begins,
}

fn parse(table: &Table<'_, '_>, names: &Names<'_>) -> Option<Box<dyn Check>> {
    let is_numbered = table.has("sender") && !table.has("sent");
    let delivered = match is_numbered {
        true => table
            .required(DELIVERED.name, Table::text)
            .and_then(|text| names.event_field_of_kind(&text, &[FieldKind::Int])),
        false => delivery::required_messages(table, DELIVERED.name, names),
    };
    let said = Said::parse(delivered.as_ref().map(|delivered| &delivered.event), table, names);
    let order = table.exactly_one(&["sent", "sender"], "order of a sender", "sent = \"EVENT.FIELD\" or sender = FIELD");
    // Two that exclude each other are reported, and are no order.
    let order = order.filter(|_| !(table.has("sent") && table.has("sender")));
    let order = order.and_then(|item| match item.key() {
        "sent" => delivery::messages(table, "sent", names, delivered.as_ref())?.map(Order::Told),
        _ => {
            let field = names.field_of_kind(&delivered.as_ref()?.event, &item.text()?, FieldKind::SINGLE)?;
            Some(Order::Numbered(field.field))
        }
    });
    let prefix = super::optional(table, "prefix", |item| Some(item.boolean()?.value));
    let begins = Begins::parse(table, names);
    let prefix = prefix?.unwrap_or(true);
    delivery::refuse_without_prefix(table, prefix)?;
    Some(Box::new(Fifo { said: said?, message: delivered?.field, order: order?, prefix, begins: begins? }))
}

/// Who sent what, in which order.
#[derive(Default)]
struct Senders<'h> {
    messages: Interner<'h>,
    /// The sender of each message and its place among its messages, from 0.
    places: Vec<(u32, i64)>,
    /// The messages of each sender, in order.
    by_sender: Vec<(String, Vec<u32>)>,
    /// Why nothing is known of a sender.
    torn: Option<(String, (u64, u64))>,
    without: u64,
}

impl<'h> Senders<'h> {
    fn of(sent: &EventField, history: &'h History) -> Self {
        let mut this = Self::default();
        let mut streams = Streams::default();
        streams.take(history.events(&sent.event), |seen| {
            let message = seen.what.field(&sent.field).map(|value| this.messages.number(value));
            this.without += u64::from(message.is_none());
            message.map(Entry::Sent)
        });
        this.places = vec![(u32::MAX, 0); this.messages.len()];
        for (index, teller) in (0_u32..).zip(streams.tellers()) {
            this.torn = this.torn.take().or(teller.torn.map(|torn| (teller.why_torn(&sent.event), torn)));
            let mut order = Vec::new();
            for line in teller.lives.iter().flat_map(|(_, lines)| lines) {
                // Sent again, it is still the same message.
                if let Entry::Sent(message) = line.entry
                    && this.places[message as usize].0 == u32::MAX
                {
                    this.places[message as usize] = (index, order.len() as i64);
                    order.push(message);
                }
            }
            this.by_sender.push((teller.node.to_string(), order));
        }
        this
    }
}

/// What was found.
#[derive(Default)]
struct Found {
    lines: u64,
    without: u64,
    /// Deliveries of messages that nobody said to have sent.
    unsent: u64,
    compared: u64,
    violations: u64,
    /// The first: in whose messages, and how.
    first: Option<(RunTime, u32, Break)>,
    torn: Option<(String, (u64, u64))>,
    senders: u64,
}

impl Found {
    fn broken(&mut self, history: &History, sender: u32, broken: Break) {
        self.violations += 1;
        let at = history.get(broken.number()).map_or(RunTime::START, |seen| seen.at);
        let is_first = |(first, _, other): &(RunTime, u32, Break)| (at, broken.number()) < (*first, other.number());
        if self.first.as_ref().is_none_or(is_first) {
            self.first = Some((at, sender, broken));
        }
    }
}

impl Fifo {
    /// The sender of a delivery and its place, for each line; none if it does not tell it, or nobody sent it.
    fn found<'h>(&self, history: &'h History, senders: &Senders<'h>, names: &mut Interner<'h>) -> Found {
        let mut found = Found::default();
        let mut placed = Numbers::default();
        let mut streams = Streams::default();
        for jump in &self.begins.jumps {
            streams.take(history.events(jump), |_| Some(Entry::Jumped));
        }
        streams.take(self.said.by_members(history, &self.said.members(history)), |seen: Seen<'h, Event>| {
            found.lines += 1;
            let place = match &self.order {
                Order::Told(_) => {
                    let known = |value| senders.messages.known(value).map(|message| senders.places[message as usize]);
                    seen.what.field(&self.message).map(known)
                }
                Order::Numbered(sender) => match (seen.what.field(sender), seen.what.field(&self.message)) {
                    (Some(sender), Some(Value::Int(number))) => Some(Some((names.number(sender), *number))),
                    _ => None,
                },
            };
            found.without += u64::from(place.is_none());
            let place = place?;
            found.unsent += u64::from(place.is_none());
            let (sender, at) = place?;
            Some(Entry::Delivered(placed.number((sender.into(), at.cast_unsigned()))))
        });
        // A line that does not tell its message may have told what seems to be left out.
        let prefix = self.prefix && found.without == 0;
        let mut lowest: BTreeMap<u32, i64> = BTreeMap::new();
        let mut firsts = Vec::new();
        for teller in streams.tellers() {
            if let Some(torn) = teller.torn {
                found.torn.get_or_insert_with(|| (teller.why_torn(&self.said.event), torn));
                continue;
            }
            let mut runs: BTreeMap<u32, Runs> = BTreeMap::new();
            let mut run = 0;
            for (_, lines) in &teller.lives {
                run += 1;
                let mut has_jumped = false;
                for line in lines {
                    let Entry::Delivered(place) = line.entry else {
                        (run, has_jumped) = (run + 1, true);
                        continue;
                    };
                    let (sender, at) = placed.pair(place);
                    let (sender, at) = (sender as u32, at.cast_signed());
                    let place = Place { number: line.number, at };
                    let of_sender = runs.entry(sender).or_default();
                    found.compared += u64::from(of_sender.has_begun());
                    let had_first = of_sender.first.is_some();
                    if let Some(broken) = of_sender.take(place, run, has_jumped, &self.begins, prefix) {
                        found.broken(history, sender, broken);
                    }
                    firsts.extend(of_sender.first.filter(|_| !had_first).map(|first| (sender, first)));
                    let lowest = lowest.entry(sender).or_insert(at);
                    *lowest = at.min(*lowest);
                }
            }
        }
        found.senders = lowest.len() as u64;
        for (sender, with) in firsts {
            let must = match self.order {
                Order::Told(_) => 0,
                Order::Numbered(_) => lowest[&sender],
            };
            if with.at != must {
                found.broken(history, sender, Break::Start { with, must });
            }
        }
        found
    }

    fn violated(
        &self,
        history: &History,
        found: &Found,
        senders: &Senders<'_>,
        names: &Interner<'_>,
    ) -> Option<Finding> {
        let (at, sender, broken) = found.first?;
        let (of, message): (String, Box<dyn Fn(i64) -> String>) = match &self.order {
            Order::Told(_) => {
                let (of, order) = &senders.by_sender[sender as usize];
                let name = |place: i64| {
                    order.get(usize::try_from(place).ok()?).map(|message| senders.messages.value(*message).to_string())
                };
                (of.clone(), Box::new(move |place| name(place).unwrap_or_default()))
            }
            Order::Numbered(_) => (names.value(sender).to_string(), Box::new(|place| place.to_string())),
        };
        let node = &line(history, broken.number())?.what.of.node;
        let (summary, shown) = match broken {
            Break::Start { with, must } => {
                let summary =
                    format!("{node} begins with {} of {of}, and its first is {}", message(with.at), message(must));
                (summary, vec![with.number])
            }
            Break::Gap { from, to, restarted } => {
                let how = if restarted { " after a restart" } else { "" };
                let left_out = match to.at.saturating_sub(from.at) {
                    2 => message(from.at + 1),
                    count => format!("{} and {} more", message(from.at + 1), count - 2),
                };
                let (to_name, from_name) = (message(to.at), message(from.at));
                let summary =
                    format!("{node} left out {left_out} of {of}{how}: it delivered {to_name} next after {from_name}");
                (summary, vec![from.number, to.number])
            }
            Break::Back { from, to } if from.at == to.at => {
                (format!("{node} delivered {} of {of} twice", message(to.at)), vec![from.number, to.number])
            }
            Break::Back { from, to } => {
                let summary = format!(
                    "{node} delivered {} of {of} after {}, which was sent later",
                    message(to.at),
                    message(from.at)
                );
                (summary, vec![from.number, to.number])
            }
        };
        let finding = Finding::violated(found.compared.max(1), found.violations, at, summary);
        Some(shown.into_iter().fold(finding, Finding::showing))
    }
}

impl Check for Fifo {
    fn judge(&self, history: &History) -> Finding {
        let senders = match &self.order {
            Order::Told(sent) => Senders::of(sent, history),
            Order::Numbered(_) => Senders::default(),
        };
        let mut names = Interner::default();
        let mut found = Found::default();
        // What is sent in an unknown order is delivered in an unknown order.
        if senders.torn.is_none() {
            found = self.found(history, &senders, &mut names);
        }
        if let Some(finding) = self.violated(history, &found, &senders, &names) {
            return finding;
        }
        let (event, checked) = (&self.said.event, found.compared);
        if let Some((why, torn)) = senders.torn.as_ref().or(found.torn.as_ref()) {
            return Finding::unknown(checked, why.clone()).showing(torn.0).showing(torn.1);
        }
        if found.lines == 0 {
            return Finding::never_exercised(format_args!("no {event} occurred"));
        }
        if found.without > 0 {
            let sender = match &self.order {
                Order::Numbered(sender) => format!(" and `{sender}`"),
                Order::Told(_) => String::new(),
            };
            let summary =
                format!("{} of {} {event} do not tell their `{}`{sender}", found.without, found.lines, self.message);
            return Finding::unknown(checked, summary);
        }
        if let Order::Told(sent) = &self.order {
            if senders.without > 0 {
                let summary = format!("{} {} do not tell their `{}`", senders.without, sent.event, sent.field);
                return Finding::unknown(checked, summary);
            }
            // Where nothing may be left out, a message without a place is a gap or none.
            if found.unsent > 0 && self.prefix {
                let summary = format!(
                    "{} of {} {event} are of messages that no {} tells of",
                    found.unsent, found.lines, sent.event
                );
                return Finding::unknown(checked, summary);
            }
        }
        match checked {
            0 => Finding::never_exercised("no node delivered two messages of one sender"),
            _ => {
                let senders = counted(found.senders, "sender");
                let compared = found.lines - found.unsent;
                let unsent = match (&self.order, found.unsent) {
                    (Order::Told(sent), 1..) => {
                        format!("; not compared: {} of messages that no {} tells of", found.unsent, sent.event)
                    }
                    _ => String::new(),
                };
                Finding::held(checked, format!("{compared} deliveries of {senders}, each in its order{unsent}"))
            }
        }
    }
}
