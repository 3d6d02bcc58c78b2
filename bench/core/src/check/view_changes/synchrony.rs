//! What is delivered in which view: same-view delivery and virtual synchrony (Chockler, Keidar & Vitenberg 2001).
//!
//! A delivery belongs to the last view that its life installed, or to the one that a field of it names; what comes before the first view of
//! a life belongs to none. **Same-view delivery**: whoever delivers a message delivers it in the same view. **Virtual synchrony**: two nodes
//! that pass from one view to the same next one have delivered the same messages in the first. What a node delivered in a view counts over
//! its lives, because a node that goes on after a restart tells the rest; but only a life that installs both views passes from one to the
//! other. The view in which a node jumps (it has installed a snapshot), or that it installs next, is not asked of it; nor is a node that does
//! not tell all of what it should.

use std::collections::{BTreeMap, BTreeSet};

use super::ViewChanges;
use super::views::{Fault, Found};
use crate::check::delivery::{Entry, Interner, Line, Numbers, Streams, Teller, line};
use crate::check::moment::Moment;
use crate::diagnostic::{self, Diagnostic};
use crate::history::{History, Seen};
use crate::names::{EventField, FieldKind, Names};
use crate::observation::{Event, Name};
use crate::table::Table;
use crate::time::RunTime;

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
    /// How often two nodes passed from one view, in which one of them delivered something, to the same next one.
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

/// The view of a line that does not tell it.
const UNKNOWN: u32 = u32::MAX;

/// What a node has delivered in a view: each message once, in its order.
#[derive(Debug, Default)]
struct InView {
    messages: Vec<u32>,
    /// Equal for equal sets, whatever their order.
    sum: u128,
    has_jumped: bool,
}

impl InView {
    fn take(&mut self, message: u32) {
        self.messages.push(message);
        self.sum = self.sum.wrapping_add(spread(message));
    }
}

/// A life installs a view right after another one.
#[derive(Debug)]
struct Passage {
    teller: usize,
    /// The line by which it installs the next one.
    number: u64,
    /// What its node had delivered in the first up to then: so many messages of this list, with this sum.
    list: usize,
    messages: usize,
    sum: u128,
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
        // Those of whom a line does not tell its view or message.
        let mut unclear: BTreeSet<&Name> = BTreeSet::new();
        let mut streams = Streams::default();
        let members = check.said.members(history);
        streams.take(check.said.by_members(history, &members), |seen| {
            let view = seen.what.field(&check.id);
            if view.is_none() {
                unclear.insert(&seen.what.of.node);
            }
            Some(Entry::Installed(view.map_or(UNKNOWN, |view| views.number(view))))
        });
        for jump in &deliveries.jumps {
            streams.take(history.events(jump), |_| Some(Entry::Jumped));
        }
        let Deliveries { delivered, in_view, .. } = deliveries;
        streams.take(members.events(history, &delivered.event), |seen| {
            this.lines += 1;
            let message = seen.what.field(&delivered.field);
            let view = in_view.as_ref().map(|field| seen.what.field(field));
            let is_told = message.is_some() && view.is_none_or(|view| view.is_some());
            if !is_told {
                this.without += 1;
                unclear.insert(&seen.what.of.node);
            }
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
            unclear: &unclear,
            first: vec![None; messages.len()],
            lists: Vec::new(),
            in_list: Numbers::default(),
            passages: BTreeMap::new(),
            this,
        };
        for (index, teller) in tellers.iter().enumerate() {
            match teller.torn {
                None => book.teller(index, teller),
                Some((one, other)) => {
                    let what = format!("{} and {}", check.said.event, delivered.event);
                    let at = line(history, other).map_or(RunTime::START, |seen| Moment::of(&seen).latest);
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
    unclear: &'b BTreeSet<&'h Name>,
    first: Vec<Option<First>>,
    /// What each node has delivered in each of its views.
    lists: Vec<InView>,
    /// Messages by the list in which they are.
    in_list: Numbers,
    passages: BTreeMap<(u32, u32), Vec<Passage>>,
    this: Synchrony,
}

impl<'h> Book<'h, '_> {
    fn teller(&mut self, index: usize, teller: &Teller<'h>) {
        let mut of_views: BTreeMap<u32, usize> = BTreeMap::new();
        let is_clear = !self.unclear.contains(teller.node);
        for (_, lines) in &teller.lives {
            let (mut installed, mut jumped) = (None, false);
            for line in lines {
                match line.entry {
                    Entry::Installed(UNKNOWN) => installed = None,
                    Entry::Installed(view) => {
                        let list = self.list(&mut of_views, view);
                        self.lists[list].has_jumped |= std::mem::take(&mut jumped);
                        if let Some(before) = installed.replace(view).filter(|before| is_clear && *before != view) {
                            let list = self.list(&mut of_views, before);
                            self.pass(index, line.number, (before, view), list);
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
                        let list = self.list(&mut of_views, view);
                        let known = self.in_list.len();
                        self.in_list.number((list as u64, message.into()));
                        if self.in_list.len() > known {
                            self.lists[list].take(message);
                        }
                        self.deliver(message, First { view, number: line.number, teller: index });
                    }
                    // It may be told before or after the view in which it happens.
                    Entry::Jumped => {
                        jumped = true;
                        if let Some(view) = installed {
                            let list = self.list(&mut of_views, view);
                            self.lists[list].has_jumped = true;
                        }
                    }
                    Entry::Sent(_) | Entry::DeliveredAt(..) => {}
                }
            }
        }
    }

    fn list(&mut self, of_views: &mut BTreeMap<u32, usize>, view: u32) -> usize {
        let lists = &mut self.lists;
        *of_views.entry(view).or_insert_with(|| {
            lists.push(InView::default());
            lists.len() - 1
        })
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

    fn pass(&mut self, teller: usize, number: u64, views: (u32, u32), list: usize) {
        let InView { messages, sum, has_jumped } = &self.lists[list];
        if !has_jumped {
            let (messages, sum) = (messages.len(), *sum);
            self.passages.entry(views).or_default().push(Passage { teller, number, list, messages, sum });
        }
    }

    /// What was delivered before a passage, sorted.
    fn set(&self, passage: &Passage) -> Vec<u32> {
        let mut set = self.lists[passage.list].messages[..passage.messages].to_vec();
        set.sort_unstable();
        set
    }

    /// Those that pass from one view to the same next one. Only of the first two that differ it is looked for what one lacks.
    fn compare(&mut self, tellers: &[Teller<'h>]) {
        let at = |number: u64| line(self.history, number).map(|seen| seen.at);
        let passages = std::mem::take(&mut self.passages);
        let mut first_of_all = None::<(Option<RunTime>, (u32, u32), [&Passage; 2])>;
        for (views, passages) in &passages {
            let Some((first, others)) = passages.split_first() else { continue };
            for other in others {
                let is_exercised = first.messages + other.messages > 0;
                self.this.passages += u64::from(other.teller != first.teller && is_exercised);
                if (first.messages, first.sum) == (other.messages, other.sum) {
                    continue;
                }
                self.this.found.violations += 1;
                let when = at(first.number).max(at(other.number));
                if first_of_all.as_ref().is_none_or(|(first, ..)| when < *first) {
                    first_of_all = Some((when, *views, [first, other]));
                }
            }
        }
        if let Some((Some(at), views, pair)) = first_of_all
            && let Some(fault) = self.lacking(tellers, at, views, pair)
        {
            self.this.found.violations -= 1;
            self.this.found.violated(at, || fault);
        }
    }

    /// What one has delivered, and the other has not.
    fn lacking(
        &self,
        tellers: &[Teller<'h>],
        at: RunTime,
        (from, to): (u32, u32),
        pair: [&Passage; 2],
    ) -> Option<Fault> {
        let [first, other] = pair;
        let sets = pair.map(|passage| self.set(passage));
        let lacks = |a: &[u32], b: &[u32]| a.iter().find(|message| b.binary_search(message).is_err()).copied();
        let (has, lacks, message) = match lacks(&sets[0], &sets[1]) {
            Some(message) => (first, other, message),
            None => (other, first, lacks(&sets[1], &sets[0])?),
        };
        let names = [has, lacks].map(|passage| tellers[passage.teller].node);
        let (name, [from, to]) = (self.messages.value(message), [from, to].map(|view| self.views.value(view)));
        // The delivery itself, of whoever has it.
        let delivered = |line: &&Line| line.entry == Entry::Delivered(message) && line.number <= has.number;
        let shown = tellers[has.teller].lives.iter().flat_map(|(_, lines)| lines).find(delivered);
        let shown: Vec<u64> = shown.map(|line| line.number).into_iter().chain([has.number, lacks.number]).collect();
        let summary = format!(
            "{} and {} pass from view {from} to view {to}, and only {} has delivered {name} in view {from}",
            names[0], names[1], names[0]
        );
        Some(Fault::new(at, summary, &shown))
    }
}

/// A number of 128 bits for a message, so that equal sums are sums of equal sets (the odds against it are beyond reckoning). Two rounds
/// of SplitMix64 (Steele, Lea & Flood 2014).
fn spread(message: u32) -> u128 {
    let mixed = |seed: u64| {
        let mut mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    };
    let message = 2 * u64::from(message) + 1;
    u128::from(mixed(message)) << 64 | u128::from(mixed(message + 1))
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
        let named = judged(&with("delivered_in = 'in'"), &["1 9 m1 2", "1 9 m1 2", "1 2 m1"]);
        assert_eq!(named.outcome, Outcome::Held, "{named:?}");
    }

    #[test]
    fn a_restart_is_no_passage_and_what_was_told_before_counts() {
        assert_eq!(judged(LAST, &["1 m1 m2 2", "1 m1 ! 1 m2 2", "1"]).outcome, Outcome::Held);
        let memory = judged(LAST, &["1 m1 m2 2", "1 m1 ! 2", "1"]);
        assert_eq!(
            memory.summary,
            "never exercised: no two nodes passed from one view with deliveries to the same next one"
        );
        let jumped = ["1 m1 m2 2", "1 ^ m2 2", "1 m1 m2 2"];
        assert_eq!(judged(LAST, &jumped).outcome, Outcome::Violated);
        assert_eq!(judged(&with("jumps = 'snapshot'"), &jumped).outcome, Outcome::Held);
    }

    #[test]
    fn what_does_not_tell_its_message_or_view_is_not_missed() {
        let mut story = story(&["1 m1 m2 2", "1 m1", "1"]);
        story.says("b", "delivered", &[]).view("b", 2, &NODES);
        let finding = check(LAST).judge(&story.history);
        assert_eq!(finding.summary, "1 of 4 delivered do not tell their `msg`");
        let mut story = self::story(&["1 m1 2 m2 3", "1 m1 2 m2", "1"]);
        story.says("b", "view", &[]).view("b", 3, &NODES);
        assert_eq!(check(LAST).judge(&story.history).outcome, Outcome::Unknown);
    }

    #[test]
    fn a_node_is_meant_with_all_that_it_told() {
        let mut story = story(&["1 m1 m2 2", "1 m1", "1"]);
        story.act(crate::observation::ActionVerb::Kill, "b", true).delivers("b", "m2", 0, 9);
        story
            .exit("b", crate::observation::Exit::Signal(9), true)
            .begin_life("b")
            .view("b", 1, &NODES)
            .view("b", 2, &NODES);
        let finding = check(&with("of = '!killed'")).judge(&story.history);
        assert_eq!(finding.outcome, Outcome::Held, "{finding:?}");
    }

    #[test]
    fn what_shows_nothing_is_told() {
        assert_eq!(judged(LAST, &["1", "1", "1"]).summary, "never exercised: no delivered occurred");
        assert_eq!(judged(LAST, &["m1 1", "1", "1"]).summary, "1 of 1 delivered come before any view of their node");
        let alone = judged(LAST, &["1 m1 2", "1 2", "1 2"]);
        assert_eq!(alone.outcome, Outcome::Violated, "{alone:?}");
        let empty = judged(LAST, &["1 2 m1", "1 2 m1", "1"]);
        assert_eq!(
            empty.summary,
            "never exercised: no two nodes passed from one view with deliveries to the same next one"
        );
        let apart = judged(LAST, &["1 m1", "2 m2", "3 m3"]);
        assert_eq!(apart.summary, "never exercised: no message was delivered by two nodes");
    }

    /// The definition: each message in one view; whoever installs two views one after the other in a life has delivered in the first, in
    /// whatever life up to then, what all others have who do so too.
    fn expected(script: &Script, by_field: bool, jumps: bool) -> Outcome {
        let mut in_views: Vec<(u8, i64)> = Vec::new();
        let mut of_nodes: Vec<BTreeSet<u8>> = Vec::new();
        let mut is_homeless = false;
        let mut passages: Vec<((i64, i64), BTreeSet<u8>, usize)> = Vec::new();
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
                            let view = if by_field { Some(named) } else { views(at) };
                            is_homeless |= view.is_none();
                            delivered.extend(view.map(|view| (message, view)));
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
                                passages.push(((before, view), set.collect(), node));
                            }
                        }
                        _ => {}
                    }
                }
            }
            of_nodes.push(delivered.iter().map(|(message, _)| *message).collect());
            in_views.extend(delivered);
        }
        let one_view = in_views.iter().all(|a| in_views.iter().all(|b| a.0 != b.0 || a.1 == b.1));
        let pairs = || passages.iter().flat_map(|a| passages.iter().map(move |b| (a, b))).filter(|(a, b)| a.0 == b.0);
        let is_shared = (0..3).any(|one| (one + 1..3).any(|other| !of_nodes[one].is_disjoint(&of_nodes[other])));
        match one_view && pairs().all(|(a, b)| a.1 == b.1) {
            false => Outcome::Violated,
            true if is_homeless || !is_shared => Outcome::Unknown,
            true if pairs().any(|(a, b)| a.2 != b.2 && !a.1.is_empty()) => Outcome::Held,
            true => Outcome::Unknown,
        }
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
            assert_eq!(finding.outcome, expected(&script, *by_field, *jumps), "{number}: {finding:?}\n{script:?}");
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
