//! `total_order`: all nodes deliver the same messages in the same order.
//!
//! Total order broadcast (Hadzilacos & Toueg, A Modular Approach to Fault-Tolerant Broadcasts and Related Problems, 1994; Défago, Schiper &
//! Urbán, Total Order Broadcast and Multicast Algorithms, ACM Computing Surveys 36(4), 2004), in the form without gaps: there is one
//! sequence, and what each life of a node delivers is one piece of it - nothing left out, nothing twice. Where a piece may begin is said by
//! `joins`: with the first message (every node tells a prefix), or elsewhere. A node that is restarted goes on at most one after the
//! highest that it had told: it may have crashed between telling and remembering, or it replays; it never skips.
//!
//! With `prefix = false` nodes may leave messages out, and only the order of those that they deliver is compared: the pairs that some life
//! delivers one after the other form no cycle.
//!
//! With `per` the order is one within each view (or whatever else deliveries belong to): partitionable group communication, in which the
//! two sides of a partition legally deliver different messages. Where the field is one of another event, a delivery belongs to the last
//! such event of its life.
//!
//! Where lines tell their place in the order (`position`), that is compared: one message at each place, and one place for each message.
//!
//! A line that does not tell what it should may have told what seems to be left out: then only the order of the others is compared.

mod chain;
mod cycle;
mod explain;
mod paths;
mod places;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use self::chain::Chain;
use self::explain::Fault;
use self::paths::Paths;
use self::places::Places;
use super::delivery::{self, Begins, Entry, Interner, JOINS, JUMPS, Joins, Numbers, Streams, Teller};
use super::said::{OF_AT_THE_END, Said, WHERE};
use super::{Check, CheckKind, counted};
use crate::history::{History, Seen};
use crate::names::{EventField, FieldKind, Names};
use crate::observation::{Event, Name, Value};
use crate::table::{Key, Kind, Table};
use crate::verdict::Finding;

pub(super) const KIND: CheckKind = CheckKind {
    name: "total_order",
    keys: &[
        Key::required("event", Kind::Event, "The event by which a node says that it delivers a message."),
        Key::required("message", Kind::Text, "The field that names the message."),
        Key::new(
            "position",
            Kind::Text,
            "A field, an int, with the message's place in the order, which then is compared too and rises by one.",
        ),
        Key::new(
            "prefix",
            Kind::Bool,
            "True: nothing is left out (as if not said); false: only the order of what is delivered is compared.",
        ),
        JOINS,
        JUMPS,
        Key::new(
            "per",
            Kind::EventField,
            "Compares within each value of this field only: of the last such event of the same node, or of the delivery itself.",
        ),
        Key::new(
            "sent",
            Kind::EventField,
            "An event and its field that names what was sent; nothing else is delivered.",
        ),
        OF_AT_THE_END,
        WHERE,
    ],
    short: None,
    doc: "All nodes deliver the same messages in the same order, none left out and none twice.",
    parse,
};

/// To what a delivery belongs.
#[derive(Debug)]
enum Per {
    /// The last event of this kind that its life told: its field.
    Last(EventField),
    /// A field of its own.
    Own(Name),
}

impl Per {
    /// The event that says it, if it is another one.
    fn last(&self) -> Option<&EventField> {
        if let Self::Last(field) = self { Some(field) } else { None }
    }

    /// What people call it: `view`, of `view_change.view` as of `view.id`.
    fn kind(&self) -> String {
        match self {
            Self::Last(EventField { event, field, .. }) if &**field == "id" => event.to_string(),
            Self::Last(EventField { field, .. }) | Self::Own(field) => field.to_string(),
        }
    }
}

#[derive(Debug)]
struct TotalOrder {
    said: Said,
    message: Name,
    position: Option<Name>,
    /// Whether nothing may be left out.
    prefix: bool,
    begins: Begins,
    per: Option<Per>,
    sent: Option<EventField>,
}

fn parse(table: &Table<'_, '_>, names: &Names<'_>) -> Option<Box<dyn Check>> {
    let event = table.required("event", Table::text).and_then(|event| names.event(&event));
    let said = Said::parse(event.as_ref(), table, names);
    let field = table.required("message", Table::text).zip(event.as_ref());
    let message = field.and_then(|(field, event)| names.field_of_kind(event, &field, FieldKind::SINGLE));
    let position = super::optional(table, "position", |item| {
        let event = event.as_ref()?;
        names.field_of_kind(event, &item.text()?, &[FieldKind::Int])
    });
    let prefix = super::optional(table, "prefix", |item| Some(item.boolean()?.value));
    let begins = Begins::parse(table, names);
    let per = super::optional(table, "per", |item| names.event_field_of_kind(&item.text()?, FieldKind::SINGLE));
    let sent = delivery::messages(table, "sent", names, message.as_ref());
    let prefix = prefix?.unwrap_or(true);
    delivery::refuse_without_prefix(table, prefix)?;
    let (said, per) = (said?, per?);
    let per = per.map(|field| if field.event == said.event { Per::Own(field.field) } else { Per::Last(field) });
    let position = position?.map(|field| field.field);
    Some(Box::new(TotalOrder { said, message: message?.field, position, prefix, begins: begins?, per, sent: sent? }))
}

/// A delivery in the order of its node.
#[derive(Debug, Clone, Copy)]
struct Delivery {
    number: u64,
    /// Its place in the order, if lines tell that.
    place: i64,
    /// The message, in its view.
    message: u32,
    view: u32,
    /// Lives and what lies between two jumps, counted for each node.
    run: u32,
    /// The run began with a jump.
    has_jumped: bool,
}

/// What all nodes told.
#[derive(Default)]
struct Told<'h> {
    messages: Interner<'h>,
    views: Interner<'h>,
    /// Messages in their views, by number; of no use without `per`.
    in_view: Numbers,
    tellers: Vec<Teller<'h>>,
    lines: u64,
    /// Lines that lack a field.
    without: u64,
    /// The same of those by which messages are sent.
    without_sent: u64,
    /// And of those by which views are installed.
    without_view: u64,
    /// Deliveries before the first view of their life.
    homeless: u64,
    /// Whether nothing may be left out, as far as is told what was delivered.
    prefix: bool,
    /// A message that nobody sent.
    unsent: Option<Seen<'h, Event>>,
    unsents: u64,
    is_per_view: bool,
    /// What people call what deliveries belong to.
    kind_of_view: String,
}

impl<'h> Told<'h> {
    /// The name of a message.
    fn name(&self, message: u32) -> &'h Value {
        let message = if self.is_per_view { self.in_view.pair(message).1 as u32 } else { message };
        self.messages.value(message)
    }

    /// How many messages there are, each view's its own.
    fn len(&self) -> usize {
        if self.is_per_view { self.in_view.len() } else { self.messages.len() }
    }

    fn views(&self) -> usize {
        self.views.len().max(1)
    }

    /// ` in view 4`, if deliveries belong to views.
    fn of_view(&self, view: u32) -> String {
        match self.is_per_view {
            true => format!(" in {} {}", self.kind_of_view, self.views.value(view)),
            false => String::new(),
        }
    }
}

impl TotalOrder {
    fn told<'h>(&self, history: &'h History) -> (Told<'h>, Vec<Vec<Delivery>>) {
        let kind_of_view = self.per.as_ref().map(Per::kind).unwrap_or_default();
        let mut told = Told { is_per_view: self.per.is_some(), kind_of_view, ..Told::default() };
        let mut streams = Streams::default();
        if let Some(Per::Last(EventField { event, field, .. })) = &self.per {
            streams.take(history.events(event), |seen| {
                let view = seen.what.field(field).map(|view| told.views.number(view));
                told.without_view += u64::from(view.is_none());
                Some(Entry::Installed(view.unwrap_or(UNKNOWN)))
            });
        }
        for jump in &self.begins.jumps {
            streams.take(history.events(jump), |_| Some(Entry::Jumped));
        }
        let mut sent = 0;
        if let Some(EventField { event, field, .. }) = &self.sent {
            for seen in history.events(event) {
                match seen.what.field(field) {
                    Some(value) => _ = told.messages.number(value),
                    None => told.without_sent += 1,
                }
            }
            sent = told.messages.len();
        }
        streams.take(self.said.by_members(history, &self.said.members(history)), |seen| {
            told.lines += 1;
            let entry = self.entry(seen, &mut told);
            told.without += u64::from(entry.is_none());
            let (message, entry) = entry?;
            if self.sent.is_some() && told.without_sent == 0 && message as usize >= sent {
                told.unsents += 1;
                told.unsent = told.unsent.filter(|first| first.at <= seen.at).or(Some(seen));
            }
            Some(entry)
        });
        told.tellers = streams.tellers();
        let tellers = std::mem::take(&mut told.tellers);
        let deliveries = tellers.iter().map(|teller| self.deliveries(teller, &mut told)).collect();
        told.tellers = tellers;
        told.prefix = self.prefix && told.without + told.without_view + told.homeless == 0;
        (told, deliveries)
    }

    /// What a line tells: the number of its message, and that in its view if it says so itself. None if a field is missing.
    fn entry<'h>(&self, seen: Seen<'h, Event>, told: &mut Told<'h>) -> Option<(u32, Entry)> {
        let message = seen.what.field(&self.message)?;
        let place = match &self.position {
            Some(position) => Some(int(seen.what, position)?),
            None => None,
        };
        let view = match &self.per {
            Some(Per::Own(field)) => Some(told.views.number(seen.what.field(field)?)),
            Some(Per::Last(_)) | None => None,
        };
        let message = told.messages.number(message);
        let delivered = view.map_or(message, |view| told.in_view.number((view.into(), message.into())));
        let entry = place.map_or(Entry::Delivered(delivered), |place| Entry::DeliveredAt(delivered, place));
        Some((message, entry))
    }

    /// The deliveries of a node in the order of its lives. One that has no known order tells none.
    fn deliveries(&self, teller: &Teller<'_>, told: &mut Told<'_>) -> Vec<Delivery> {
        let lives = teller.lives.iter().filter(|_| teller.torn.is_none());
        let mut deliveries = Vec::with_capacity(lives.clone().map(|(_, lines)| lines.len()).sum());
        let mut run = 0;
        for (_, lines) in lives {
            run += 1;
            let (mut installed, mut has_jumped) = (None, false);
            for line in lines {
                match line.entry {
                    Entry::Installed(view) => installed = Some(view),
                    Entry::Jumped => (run, has_jumped) = (run + 1, true),
                    Entry::Delivered(message) | Entry::DeliveredAt(message, _) => {
                        let place = if let Entry::DeliveredAt(_, place) = line.entry { place } else { 0 };
                        let (message, view) = match (&self.per, installed) {
                            (None, _) => (message, 0),
                            (Some(Per::Own(_)), _) => (message, told.in_view.pair(message).0 as u32),
                            (Some(Per::Last(_)), Some(UNKNOWN)) => continue,
                            (Some(Per::Last(_)), Some(view)) => {
                                (told.in_view.number((view.into(), message.into())), view)
                            }
                            (Some(Per::Last(_)), None) => {
                                told.homeless += 1;
                                continue;
                            }
                        };
                        deliveries.push(Delivery { number: line.number, place, message, view, run, has_jumped });
                    }
                    Entry::Sent(_) => {}
                }
            }
        }
        deliveries
    }

    /// The messages that at least two nodes delivered.
    fn shared(told: &Told<'_>, deliveries: &[Vec<Delivery>]) -> u64 {
        let mut first = vec![u32::MAX; told.len()];
        let mut shared = 0;
        for (of, deliveries) in (0_u32..).zip(deliveries) {
            for delivery in deliveries {
                let first = &mut first[delivery.message as usize];
                match *first {
                    SHARED => {}
                    u32::MAX => *first = of,
                    other if other != of => (*first, shared) = (SHARED, shared + 1),
                    _ => {}
                }
            }
        }
        shared
    }

    /// True if what nodes delivered could contradict each other: two delivered the same two messages, or each of several one that the next
    /// delivered too, round to the first. (Nodes and messages, joined where a node delivered a message, are then no forest.)
    fn could_differ(told: &Told<'_>, deliveries: &[Vec<Delivery>]) -> bool {
        let messages = told.len() as u32;
        let mut paths = Paths::new(0..messages);
        let mut of_node = vec![u32::MAX; told.len()];
        (0_u32..).zip(deliveries).any(|(node, own)| {
            let mut in_view: BTreeMap<u32, u32> = BTreeMap::new();
            own.iter().any(|delivery| {
                let is_new = std::mem::replace(&mut of_node[delivery.message as usize], node) != node;
                let here = *in_view.entry(delivery.view).or_insert_with(|| paths.add());
                is_new && !paths.join(here, delivery.message)
            })
        })
    }

    fn held(told: &Told<'_>, deliveries: u64, nodes: usize) -> Finding {
        let order = match told.is_per_view {
            false => "in one order".to_owned(),
            true if told.views() == 1 => format!("in one order within 1 {}", told.kind_of_view),
            true => format!("in one order within each {} ({} of them)", told.kind_of_view, told.views()),
        };
        let (messages, nodes) = (counted(told.len(), "message"), counted(nodes, "node"));
        Finding::held(deliveries, format!("{messages}, delivered {deliveries} times by {nodes}, {order}"))
    }
}

/// The view of a line that does not tell it.
const UNKNOWN: u32 = u32::MAX;

/// Told by more than one node.
const SHARED: u32 = u32::MAX - 1;

fn int(event: &Event, field: &Name) -> Option<i64> {
    match event.field(field) {
        Some(Value::Int(number)) => Some(*number),
        _ => None,
    }
}

/// What was found of the order itself.
struct Found {
    violations: u64,
    first: Option<Fault>,
    /// Why it could not be decided.
    undecided: Option<(String, Vec<u64>)>,
}

impl Check for TotalOrder {
    fn judge(&self, history: &History) -> Finding {
        let (told, deliveries) = self.told(history);
        let checked = deliveries.iter().map(|deliveries| deliveries.len() as u64).sum();
        let found = match &self.position {
            Some(_) => Places { check: self, history, told: &told }.found(&deliveries),
            None => Chain::of(self, history, &told, &deliveries).found(),
        };
        let when = |number: u64| history.get(number).map_or(crate::time::RunTime::START, |seen| seen.at);
        let unsent =
            told.unsent.filter(|unsent| found.first.as_ref().is_none_or(|first| unsent.at <= when(first.number())));
        if let Some(Seen { number, at, what }) = unsent {
            let name = what.field(&self.message).map(ToString::to_string).unwrap_or_default();
            let sent = self.sent.as_ref().map_or("sent", |sent| &sent.event);
            let summary = format!("{} delivered {name}, and nobody sent it (no {sent} of it)", what.of.node);
            return Finding::violated(checked, told.unsents + found.violations, at, summary).showing(number);
        }
        if let Some(first) = found.first {
            let (summary, evidence) = explain::explain(&first, self, &told, &deliveries, history);
            let violations = found.violations + told.unsents;
            let finding = Finding::violated(checked, violations, when(first.number()), summary);
            return evidence.into_iter().fold(finding, Finding::showing);
        }
        let event = &self.said.event;
        if told.lines == 0 {
            return Finding::never_exercised(format_args!("no {event} occurred"));
        }
        if told.without > 0 {
            let fields = [Some(&self.message), self.position.as_ref()].into_iter().flatten();
            let own = self.per.iter().filter_map(|per| if let Per::Own(field) = per { Some(field) } else { None });
            let fields: Vec<_> = fields.chain(own).map(|field| format!("`{field}`")).collect();
            let summary =
                format!("{} of {} {event} do not tell their {}", told.without, told.lines, fields.join(" and "));
            return Finding::unknown(checked, summary);
        }
        let others =
            [(told.without_sent, self.sent.as_ref()), (told.without_view, self.per.as_ref().and_then(Per::last))];
        for (without, field) in others {
            if let Some(EventField { event, field, .. }) = field.filter(|_| without > 0) {
                return Finding::unknown(checked, format!("{without} {event} do not tell their `{field}`"));
            }
        }
        if let Some((teller, torn)) = told.tellers.iter().find_map(|teller| Some((teller, teller.torn?))) {
            return Finding::unknown(checked, teller.why_torn(event)).showing(torn.0).showing(torn.1);
        }
        if told.homeless > 0 {
            let view = match &self.per {
                Some(Per::Last(EventField { event, .. })) => event,
                Some(Per::Own(_)) | None => "view",
            };
            let summary = format!("{} of {} {event} come before any {view} of their node", told.homeless, told.lines);
            return Finding::unknown(checked, summary);
        }
        if let Some((why, shown)) = found.undecided {
            return shown.into_iter().fold(Finding::unknown(checked, why), Finding::showing);
        }
        if Self::shared(&told, &deliveries) == 0 {
            return Finding::never_exercised("no message was delivered by two nodes");
        }
        // Where all begin with the same message, that it is the same one is an order.
        let begin_together = self.prefix && self.begins.joins == Joins::Start;
        if !begin_together && !Self::could_differ(&told, &deliveries) {
            return Finding::never_exercised("no two messages were delivered by the same two nodes");
        }
        let with_deliveries = told.tellers.iter().zip(&deliveries).filter(|(_, of_node)| !of_node.is_empty());
        let nodes: BTreeSet<&Name> = with_deliveries.map(|(teller, _)| teller.node).collect();
        Self::held(&told, checked, nodes.len())
    }
}
