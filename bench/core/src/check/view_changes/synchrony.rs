//! What is delivered in which view: same-view delivery and virtual synchrony (Chockler, Keidar & Vitenberg 2001).
//!
//! A delivery belongs to the last view that its life installed, or to the one that a field of it names; what comes before the first view of
//! a life belongs to none. **Same-view delivery**: whoever delivers a message delivers it in the same view. **Virtual synchrony**: two nodes
//! that pass from one view to the same next one have delivered the same messages in the first. What a node delivered in a view counts over
//! its lives, because a node that goes on after a restart tells the rest; but only a life that installs both views passes from one to the
//! other. The view in which a node jumps (it has installed a snapshot), or that it installs next, is not asked of it.

use std::collections::BTreeMap;

use super::ViewChanges;
use super::views::{Fault, Found};
use crate::check::delivery::{Entry, Interner, Streams, Teller, line};
use crate::check::moment::Moment;
use crate::diagnostic::{self, Diagnostic};
use crate::history::{History, Seen};
use crate::names::{EventField, FieldKind, Names};
use crate::observation::{Event, Name};
use crate::table::Table;

/// Which deliveries are looked at.
#[derive(Debug)]
pub(super) struct Deliveries {
    pub(super) delivered: EventField,
    /// The field that names the view; the last view of its life if there is none.
    pub(super) in_view: Option<Name>,
    jumps: Vec<Name>,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Synchrony {
    pub(super) found: Found,
    /// Deliveries that were compared with one at another node.
    pub(super) shared: u64,
    /// How often two nodes passed from one view to the same next one.
    pub(super) passages: u64,
    pub(super) lines: u64,
    pub(super) without: u64,
    /// Deliveries in no view.
    pub(super) homeless: u64,
}

impl Deliveries {
    /// Reads `delivered`, `delivered_in` and `jumps`. The outer `None` means that one is wrong, which is reported.
    pub(super) fn parse(table: &Table<'_, '_>, names: &Names<'_>, id: Option<&EventField>) -> Option<Option<Self>> {
        let delivered = crate::check::delivery::messages(table, "delivered", names, None);
        let in_view = crate::check::optional(table, "delivered_in", |item| {
            let delivered = delivered.as_ref()?.as_ref();
            let Some(delivered) = delivered else { return alone(table, "delivered_in") };
            let text = item.text()?;
            let kinds = id.map_or(FieldKind::SINGLE.to_vec(), |id| vec![id.kind]);
            names.field_of_kind(&delivered.event, &text, &kinds)
        });
        let jumps = crate::check::delivery::jumps(table, names);
        let delivered = delivered?;
        if delivered.is_none() && table.has("jumps") {
            return alone(table, "jumps");
        }
        let (in_view, jumps) = (in_view?.map(|field| field.field), jumps?);
        Some(delivered.map(|delivered| Self { delivered, in_view, jumps }))
    }
}

fn alone<T>(table: &Table<'_, '_>, key: &'static str) -> Option<T> {
    let item = table.item(key)?;
    let message = format!("`{key}` says nothing without `delivered`");
    let label = "no delivery is looked at";
    table.report(Diagnostic::error(diagnostic::NO_MEANING_HERE, message, item.key_span(), label));
    None
}

/// What a node has delivered in a view, and where.
#[derive(Debug, Default, Clone)]
struct InView {
    messages: Vec<u32>,
    has_jumped: bool,
}

/// A life installs a view right after another one.
#[derive(Debug)]
struct Passage {
    teller: usize,
    /// The line by which it installs the next one.
    number: u64,
    /// What its node had delivered in the first, sorted.
    set: Vec<u32>,
}

/// The first delivery of a message, and by whom.
#[derive(Debug, Clone, Copy)]
struct First {
    view: u32,
    number: u64,
    teller: usize,
}

impl Synchrony {
    pub(super) fn of(check: &ViewChanges, deliveries: &Deliveries, history: &History) -> Self {
        let mut this = Self::default();
        let (mut messages, mut views) = (Interner::default(), Interner::default());
        let mut named: Vec<(u64, u32)> = Vec::new();
        let mut streams = Streams::default();
        streams.take(check.said.by_number(history), |seen| {
            Some(Entry::Installed(views.number(seen.what.field(&check.id)?)))
        });
        for jump in &deliveries.jumps {
            streams.take(history.events(jump), |_| Some(Entry::Jumped));
        }
        let Deliveries { delivered, in_view, .. } = deliveries;
        streams.take(check.delivered_by(history, &delivered.event), |seen: Seen<'_, Event>| {
            this.lines += 1;
            let message = seen.what.field(&delivered.field);
            let view = in_view.as_ref().map(|field| seen.what.field(field));
            let is_told = message.is_some() && view.is_none_or(|view| view.is_some());
            this.without += u64::from(!is_told);
            let message = message.filter(|_| is_told)?;
            named.extend(view.flatten().map(|view| (seen.number, views.number(view))));
            Some(Entry::Delivered(messages.number(message)))
        });
        let tellers = streams.tellers();
        let mut book = Book {
            history,
            messages: &messages,
            views: &views,
            named: &named,
            has_field: in_view.is_some(),
            first: vec![None; messages.len()],
            passages: BTreeMap::new(),
            this,
        };
        for (index, teller) in tellers.iter().enumerate() {
            match teller.torn {
                None => book.teller(index, teller),
                Some((one, other)) => {
                    let what = format!("{} and {}", check.said.event, delivered.event);
                    let at = line(history, other).map_or(crate::time::RunTime::START, |seen| Moment::of(&seen).latest);
                    let fault = Fault::new(at, teller.why_torn(&what), &[one, other]);
                    book.this.found.undecided.get_or_insert(fault);
                }
            }
        }
        book.compare(&tellers);
        book.this
    }
}

struct Book<'h, 'b> {
    history: &'h History,
    messages: &'b Interner<'h>,
    views: &'b Interner<'h>,
    /// The view that each delivery names, by number.
    named: &'b [(u64, u32)],
    has_field: bool,
    first: Vec<Option<First>>,
    passages: BTreeMap<(u32, u32), Vec<Passage>>,
    this: Synchrony,
}

impl<'h> Book<'h, '_> {
    fn teller(&mut self, index: usize, teller: &Teller<'h>) {
        let mut of_views: BTreeMap<u32, InView> = BTreeMap::new();
        for (_, lines) in &teller.lives {
            let (mut installed, mut jumped) = (None, false);
            for line in lines {
                match line.entry {
                    Entry::Installed(view) => {
                        if std::mem::take(&mut jumped) {
                            of_views.entry(view).or_default().has_jumped = true;
                        }
                        if let Some(before) = installed.replace(view).filter(|before| *before != view) {
                            self.pass(index, line.number, (before, view), of_views.get(&before));
                        }
                    }
                    Entry::Delivered(message) => {
                        let view = match self.has_field {
                            true => self.named_by(line.number),
                            false => installed,
                        };
                        let Some(view) = view else {
                            self.this.homeless += 1;
                            continue;
                        };
                        of_views.entry(view).or_default().messages.push(message);
                        self.deliver(message, First { view, number: line.number, teller: index });
                    }
                    // It may be told before or after the view in which it happens.
                    Entry::Jumped => {
                        jumped = true;
                        if let Some(view) = installed {
                            of_views.entry(view).or_default().has_jumped = true;
                        }
                    }
                    Entry::Sent(_) | Entry::DeliveredAt(..) => {}
                }
            }
        }
    }

    fn named_by(&self, number: u64) -> Option<u32> {
        let at = self.named.binary_search_by_key(&number, |(number, _)| *number).ok()?;
        Some(self.named[at].1)
    }

    fn deliver(&mut self, message: u32, here: First) {
        let Some(first) = self.first[message as usize] else {
            self.first[message as usize] = Some(here);
            return;
        };
        self.this.shared += u64::from(first.teller != here.teller);
        if first.view == here.view {
            return;
        }
        let lines = (line(self.history, first.number), line(self.history, here.number));
        let (Some(one), Some(other)) = lines else { return };
        let (one, other) = if (other.at, other.number) < (one.at, one.number) { (other, one) } else { (one, other) };
        let (name, views) = (self.messages.value(message), self.views);
        let view =
            |seen: &Seen<'_, Event>| views.value(if seen.number == first.number { first.view } else { here.view });
        let told = |seen: &Seen<'_, Event>| format!("in view {} at {}", view(seen), seen.what.of.node);
        self.this.found.violated(other.at, || {
            let summary = format!("{name} is delivered {} and {}", told(&one), told(&other));
            Fault::new(other.at, summary, &[one.number, other.number])
        });
    }

    fn pass(&mut self, teller: usize, number: u64, views: (u32, u32), in_first: Option<&InView>) {
        let none = InView::default();
        let in_first = in_first.unwrap_or(&none);
        if in_first.has_jumped {
            return;
        }
        let mut set = in_first.messages.clone();
        set.sort_unstable();
        set.dedup();
        self.passages.entry(views).or_default().push(Passage { teller, number, set });
    }

    /// Those that pass from one view to the same next one.
    fn compare(&mut self, tellers: &[Teller<'h>]) {
        for ((from, to), passages) in std::mem::take(&mut self.passages) {
            let Some((first, others)) = passages.split_first() else { continue };
            for other in others {
                self.this.passages += u64::from(other.teller != first.teller);
                if first.set == other.set {
                    continue;
                }
                let lacks = |a: &Passage, b: &Passage| {
                    a.set.iter().find(|message| b.set.binary_search(message).is_err()).copied()
                };
                let (has, lacks, message) = match lacks(first, other) {
                    Some(message) => (first, other, message),
                    None => match lacks(other, first) {
                        Some(message) => (other, first, message),
                        None => continue,
                    },
                };
                let lines = (line(self.history, first.number), line(self.history, other.number));
                let (Some(one), Some(two)) = lines else { continue };
                let at = one.at.max(two.at);
                let names = [has, lacks].map(|passage| tellers[passage.teller].node);
                let (name, [from, to]) = (self.messages.value(message), [from, to].map(|view| self.views.value(view)));
                // The delivery itself, of whoever has it.
                let delivered = |line: &&crate::check::delivery::Line| {
                    line.entry == Entry::Delivered(message) && line.number <= has.number
                };
                let shown = tellers[has.teller].lives.iter().flat_map(|(_, lines)| lines).find(delivered);
                let shown: Vec<u64> =
                    shown.map(|line| line.number).into_iter().chain([has.number, lacks.number]).collect();
                self.this.found.violated(at, || {
                    let summary = format!(
                        "{} and {} pass from view {from} to view {to}, and only {} has delivered {name} in view {from}",
                        names[0], names[1], names[0]
                    );
                    Fault::new(at, summary, &shown)
                });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::super::delivery::testing::{ALL, Act, Drawn, SLICE, Script};
    use super::super::super::testing::check;
    use crate::stories::{NODES, Story};
    use crate::verdict::{Finding, Outcome};

    const LAST: &str = "view_changes = { event = 'view', id = 'id', members = 'members', delivered = 'delivered.msg', per = 'life', ids = 'opaque' }";

    fn with(keys: &str) -> String {
        LAST.replace(" }", &format!(", {keys} }}"))
    }

    /// Each node: `1` installs view 1, `m1` delivers, `!` is restarted, `^` jumps; a delivery names view 9.
    fn story(of_nodes: &[&str]) -> Story {
        let mut story = Story::of(&NODES);
        for (node, acts) in NODES.into_iter().zip(of_nodes) {
            for act in acts.split(' ') {
                match (act, act.parse::<i64>()) {
                    (_, Ok(view)) => story.view(node, view, &NODES),
                    ("!", _) => story.kill(node).restart(node),
                    ("^", _) => story.says(node, "snapshot", &[]),
                    (message, _) => story.delivers(node, message, 0, 9),
                };
            }
        }
        story
    }

    fn judged(text: &str, of_nodes: &[&str]) -> Finding {
        check(text).judge(&story(of_nodes).history)
    }

    #[test]
    fn who_leaves_a_view_together_has_delivered_the_same_in_it() {
        let held = judged(LAST, &["1 m1 m2 2", "1 m2 m1 2 m3", "1 m1"]);
        let summary = "2 views, told 5 times; 6 deliveries, each message in one view, compared in 1 change";
        assert_eq!(held, Finding::held(5, summary));
        let lost = judged(LAST, &["1 m1 m2 2", "1 m1 2", "1 m1"]);
        assert_eq!(lost.summary, "a and b pass from view 1 to view 2, and only a has delivered m2 in view 1");
        assert_eq!((lost.outcome, lost.evidence.len()), (Outcome::Violated, 3));
        // One that goes elsewhere, or nowhere, may have less.
        assert_eq!(judged(LAST, &["1 m1 m2 2", "1 m1 m2 2", "1 m1 3"]).outcome, Outcome::Held);
    }

    #[test]
    fn a_message_is_delivered_in_one_view() {
        let moved = judged(LAST, &["1 m1 2", "1 2 m1", "1"]);
        assert_eq!(moved.summary, "m1 is delivered in view 1 at a and in view 2 at b");
        let named = judged(&with("delivered_in = 'in'"), &["1 m1 2", "1 2 m1", "1 2"]);
        assert_eq!(named.outcome, Outcome::Held, "{named:?}");
    }

    #[test]
    fn a_restart_is_no_passage_and_what_was_told_before_counts() {
        assert_eq!(judged(LAST, &["1 m1 m2 2", "1 m1 ! 1 m2 2", "1"]).outcome, Outcome::Held);
        let memory = judged(LAST, &["1 m1 m2 2", "1 m1 ! 2", "1"]);
        assert_eq!(memory.summary, "never exercised: no two nodes passed from one view to the same next one");
        let jumped = ["1 m1 m2 2", "1 ^ m2 2", "1 m1 m2 2"];
        assert_eq!(judged(LAST, &jumped).outcome, Outcome::Violated);
        assert_eq!(judged(&with("jumps = 'snapshot'"), &jumped).outcome, Outcome::Held);
    }

    #[test]
    fn what_shows_nothing_is_told() {
        assert_eq!(judged(LAST, &["1", "1", "1"]).summary, "never exercised: no delivered occurred");
        assert_eq!(judged(LAST, &["m1 1", "1", "1"]).summary, "1 of 1 delivered come before any view of their node");
        let alone = judged(LAST, &["1 m1 2", "1 2", "1 2"]);
        assert_eq!(alone.outcome, Outcome::Violated, "{alone:?}");
        let apart = judged(LAST, &["1 m1", "2 m2", "3 m3"]);
        assert_eq!(apart.summary, "never exercised: no message was delivered by two nodes");
    }

    /// The definition: each message in one view; whoever installs two views one after the other in a life has delivered in the first, in
    /// whatever life up to then, what all others have who do so too.
    fn is_synchronous(script: &Script, by_field: bool, jumps: bool) -> bool {
        let mut in_views: Vec<(u8, i64)> = Vec::new();
        let mut passages: Vec<((i64, i64), BTreeSet<u8>)> = Vec::new();
        for node in 0..3 {
            let mut delivered: Vec<(u8, i64)> = Vec::new();
            let mut jumped_in: BTreeSet<i64> = BTreeSet::new();
            for life in script.lives(node) {
                for at in 0..life.len() {
                    let views = |until: usize| {
                        let view = |act: &Act| if let Act::Installs(view) = act { Some(*view) } else { None };
                        life[..until].iter().rev().find_map(view)
                    };
                    match life[at] {
                        Act::Delivers(message, _, named) => {
                            delivered
                                .extend(if by_field { Some(named) } else { views(at) }.map(|view| (message, view)));
                        }
                        Act::Jumps if jumps => {
                            let next = life[at..]
                                .iter()
                                .find_map(|act| if let Act::Installs(view) = act { Some(*view) } else { None });
                            jumped_in.extend(views(at).into_iter().chain(next));
                        }
                        Act::Installs(view) => {
                            if let Some(before) =
                                views(at).filter(|before| *before != view && !jumped_in.contains(before))
                            {
                                let set =
                                    delivered.iter().filter(|(_, view)| *view == before).map(|(message, _)| *message);
                                passages.push(((before, view), set.collect()));
                            }
                        }
                        _ => {}
                    }
                }
            }
            in_views.extend(delivered);
        }
        let one_view = in_views.iter().all(|a| in_views.iter().all(|b| a.0 != b.0 || a.1 == b.1));
        one_view && passages.iter().all(|a| passages.iter().all(|b| a.0 != b.0 || a.1 == b.1))
    }

    fn compare(numbers: std::ops::Range<u64>) -> [u64; 3] {
        let checks = [(false, false), (true, false), (false, true), (true, true)].map(|(by_field, jumps)| {
            let field = if by_field { ", delivered_in = 'in'" } else { "" };
            let jump = if jumps { ", jumps = 'snapshot'" } else { "" };
            (
                by_field,
                jumps,
                check(
                    &LAST.replace(", per = 'life', ids = 'opaque' }", &format!(", ids = 'increasing'{field}{jump} }}")),
                ),
            )
        });
        let mut outcomes = [0; 3];
        for number in numbers {
            let (by_field, jumps, check) = &checks[number as usize % 4];
            let mut script =
                Drawn { messages: 2 + number % 3, sends: false, views: true, jumps: *jumps }.script(number);
            // Views that rise, because other rules are not the matter here.
            let mut highest = [0; 3];
            script.0.retain(|(node, act)| match act {
                Act::Installs(view) => {
                    let is_higher = *view > highest[*node];
                    highest[*node] = highest[*node].max(*view);
                    is_higher
                }
                Act::Restarts => {
                    highest[*node] = 0;
                    true
                }
                _ => true,
            });
            let finding = check.judge(&script.history());
            outcomes[finding.outcome as usize] += 1;
            let is_violated = finding.outcome == Outcome::Violated;
            assert_eq!(is_violated, !is_synchronous(&script, *by_field, *jumps), "{number}: {finding:?}\n{script:?}");
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
}
