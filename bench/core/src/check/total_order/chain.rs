//! The sequence, pieced together from what nodes deliver one after the other.
//!
//! Each message has one next message and one before it, whoever delivers them, and following the next ones never leads back: then there is
//! a sequence of which every life delivers one piece, and else there is none. Where every node begins with the first message, the first
//! that a later life delivers and that its node had not told before comes next after the highest that it had told, because the lives
//! before told everything up to there. Where nodes begin elsewhere that is only so if nothing tells otherwise.

use super::cycle::{Edge, cycle};
use super::explain::Fault;
use super::paths::Paths;
use super::{Delivery, Found, Told, TotalOrder};
use crate::check::delivery::{Begin, Joins};
use crate::history::History;
use crate::time::RunTime;

/// No message.
const NONE: u32 = u32::MAX;
/// The beginning of the sequence, as what comes before a message.
const BEGINNING: u32 = u32::MAX - 1;

/// A neighbour of a message, and the line that made it one.
#[derive(Debug, Clone, Copy)]
struct Link {
    message: u32,
    /// The line by which the later of the two was delivered.
    number: u64,
}

const NO_LINK: Link = Link { message: NONE, number: 0 };

pub(super) struct Chain<'h, 'c> {
    check: &'c TotalOrder,
    history: &'h History,
    told: &'c Told<'h>,
    deliveries: &'c [Vec<Delivery>],
    next: Vec<Link>,
    before: Vec<Link>,
    /// The first message of each view.
    first: Vec<Link>,
    /// In which run each message was told last; runs are counted over all nodes.
    run_of: Vec<u32>,
    /// Where it is not clear by itself that a life left nothing out.
    open: Vec<Open>,
    /// With `prefix = false`: further messages that were delivered right after another.
    others: Vec<Edge>,
    violations: u64,
    worst: Option<(RunTime, Fault)>,
}

/// A life that begins with a message that its node had not told before.
struct Open {
    /// The last messages of the runs before.
    ends: Vec<u32>,
    begins: Delivery,
}

/// What one node has told in one view.
#[derive(Default, Clone)]
struct Track {
    /// The run and message of its last delivery.
    last: Option<(u32, u32)>,
    /// The last message that it had not told before.
    highest: Option<u32>,
    /// The last messages of its runs.
    ends: Vec<u32>,
    /// What it told is not one piece from the beginning on.
    is_broken: bool,
}

impl<'h, 'c> Chain<'h, 'c> {
    pub(super) fn of(
        check: &'c TotalOrder,
        history: &'h History,
        told: &'c Told<'h>,
        deliveries: &'c [Vec<Delivery>],
    ) -> Self {
        let messages = told.len();
        Self {
            check,
            history,
            told,
            deliveries,
            next: vec![NO_LINK; messages],
            before: vec![NO_LINK; messages],
            first: vec![NO_LINK; told.views()],
            run_of: vec![0; messages],
            open: Vec::new(),
            others: Vec::new(),
            violations: 0,
            worst: None,
        }
    }

    pub(super) fn found(mut self) -> Found {
        let mut runs = 0;
        for of_node in self.deliveries {
            let begun = runs;
            runs = self.node(of_node, begun);
        }
        if self.told.prefix { self.close() } else { self.acyclic() }
    }

    /// Takes in what a node delivered; `begun` is the number of the last run of the nodes before. Gives the number of its last one.
    fn node(&mut self, deliveries: &[Delivery], begun: u32) -> u32 {
        let mut tracks: std::collections::BTreeMap<u32, Track> = std::collections::BTreeMap::new();
        let mut track = Track::default();
        let mut view = 0;
        let mut last_run = begun;
        for delivery in deliveries {
            if delivery.view != view {
                tracks.insert(view, std::mem::take(&mut track));
                view = delivery.view;
                track = tracks.remove(&view).unwrap_or_default();
            }
            let run = begun + delivery.run;
            last_run = run;
            self.deliver(delivery, run, begun, &mut track);
        }
        last_run
    }

    fn deliver(&mut self, delivery: &Delivery, run: u32, begun: u32, track: &mut Track) {
        let told_in = std::mem::replace(&mut self.run_of[delivery.message as usize], run);
        let is_new = told_in <= begun;
        if told_in == run {
            return self.fault(Fault::Again { number: delivery.number, message: delivery.message });
        }
        match track.last.replace((run, delivery.message)) {
            Some((of, from)) if of == run => {
                self.link(from, delivery);
                if let Some(end) = track.ends.last_mut().filter(|_| self.keeps_ends()) {
                    *end = delivery.message;
                }
            }
            before if self.told.prefix => {
                self.begin(delivery, before.is_none(), is_new, track);
                if self.keeps_ends() {
                    track.ends.push(delivery.message);
                }
            }
            _ => {}
        }
        if is_new {
            track.highest = Some(delivery.message);
        }
    }

    /// Only where nodes begin elsewhere it matters where each of their runs ended.
    fn keeps_ends(&self) -> bool {
        self.check.begins.joins == Joins::Late || !self.check.begins.jumps.is_empty()
    }

    /// The first delivery of a run.
    fn begin(&mut self, delivery: &Delivery, is_first: bool, is_new: bool, track: &mut Track) {
        let begin = if delivery.has_jumped { Begin::Anywhere } else { self.check.begins.of(is_first) };
        match (begin, track.highest) {
            (Begin::Anywhere, _) => track.is_broken = true,
            (Begin::First, _) => self.link(BEGINNING, delivery),
            (Begin::On, Some(highest)) if is_new && !track.is_broken => self.link(highest, delivery),
            (Begin::On, Some(_)) if is_new => self.open.push(Open { ends: track.ends.clone(), begins: *delivery }),
            // It tells again what it has told.
            (Begin::On, _) => {}
        }
    }

    /// A message is delivered right after another.
    fn link(&mut self, from: u32, delivery: &Delivery) {
        let Delivery { number, message: to, view, .. } = *delivery;
        let next = if from == BEGINNING { &mut self.first[view as usize] } else { &mut self.next[from as usize] };
        if next.message == to {
            return;
        }
        if next.message != NONE {
            let (one, from) = (next.number, (from != BEGINNING).then_some(from));
            match self.told.prefix {
                true => self.fault(Fault::Fork { from, one, other: number }),
                false => self.others.push(Edge { from: from.unwrap_or_default(), to, number }),
            }
            return;
        }
        *next = Link { message: to, number };
        let before = &mut self.before[to as usize];
        match before.message {
            NONE => *before = Link { message: from, number },
            _ if self.told.prefix => {
                let one = before.number;
                self.fault(Fault::Meet { one, other: number });
            }
            _ => {}
        }
    }

    fn fault(&mut self, fault: Fault) {
        self.violations += 1;
        let at = self.history.get(fault.number()).map_or(RunTime::START, |seen| seen.at);
        let is_first = |(worst_at, worst): &(RunTime, Fault)| (at, fault.number()) < (*worst_at, worst.number());
        if self.worst.as_ref().is_none_or(is_first) {
            self.worst = Some((at, fault));
        }
    }

    /// Every link, as edges of a graph.
    fn edges(&self) -> Vec<Edge> {
        let linked = (0_u32..).zip(&self.next).filter(|(_, link)| link.message != NONE);
        let edges = linked.map(|(from, link)| Edge { from, to: link.message, number: link.number });
        edges.chain(self.others.iter().copied()).collect()
    }

    /// Without the gap rule: whatever was delivered one after the other, in any number of ways, leads never back.
    fn acyclic(mut self) -> Found {
        if let Some(cycle) = cycle(self.next.len(), &self.edges()) {
            self.fault(Fault::Cycle(cycle));
        }
        Found { violations: self.violations, first: self.worst.map(|(_, fault)| fault), undecided: None }
    }

    /// With the gap rule: what is left to be seen once everything is told.
    fn close(mut self) -> Found {
        if self.violations == 0
            && let Some(cycle) = self.leads_back()
        {
            self.fault(Fault::Cycle(cycle));
        }
        let open = std::mem::take(&mut self.open);
        let mut guesses = Vec::new();
        if self.violations == 0 && !open.is_empty() {
            let places = self.places();
            for Open { ends, begins } in &open {
                let (path, place) = places[begins.message as usize];
                let known: Vec<_> = ends.iter().map(|end| (places[*end as usize], *end)).collect();
                let is_on = |end: &((u32, u32), u32)| end.0.0 == path && place <= end.0.1 + 1;
                if known.iter().any(is_on) {
                    continue;
                }
                if known.iter().all(|((other, _), _)| *other == path) {
                    let highest = known.iter().max_by_key(|((_, place), _)| *place).map(|(_, end)| *end);
                    self.fault(Fault::Skip { from: highest.unwrap_or_default(), to: begins.number });
                } else if let Some((_, end)) = known.iter().rfind(|((other, _), _)| *other != path) {
                    guesses.push((*end, *begins));
                }
            }
        }
        let undecided = if self.violations == 0 { self.undecided(&guesses) } else { None };
        Found { violations: self.violations, first: self.worst.map(|(_, fault)| fault), undecided }
    }

    /// Nothing tells what lies between the end of a life and the beginning of the next. If each may be the next message of the other there
    /// is such a sequence; else it is not known.
    fn undecided(&mut self, guesses: &[(u32, Delivery)]) -> Option<(String, Vec<u64>)> {
        if guesses.is_empty() {
            return None;
        }
        let mut paths = Paths::new(self.places().into_iter().map(|(path, _)| path));
        for (end, begins) in guesses {
            let is_free = |next: Link| next.message == NONE || next.message == begins.message;
            let before = self.before[begins.message as usize].message;
            let mut fits = is_free(self.next[*end as usize]) && (before == NONE || before == *end);
            if fits && before == NONE {
                // The end of a path before its own beginning leads back.
                fits = paths.join(*end, begins.message);
                self.next[*end as usize] = Link { message: begins.message, number: begins.number };
                self.before[begins.message as usize] = Link { message: *end, number: begins.number };
            }
            if !fits {
                let node = self.history.get(begins.number).map(|seen| match &seen.what {
                    crate::observation::What::Event(event) => event.of.node.to_string(),
                    _ => String::new(),
                });
                let name = self.told.name(begins.message);
                let node = node.unwrap_or_default();
                let why = format!(
                    "it is not known if {node} left anything out before {name}, where it went on: nobody tells what comes before that"
                );
                return Some((why, vec![begins.number]));
            }
        }
        None
    }

    /// The path on which each message lies, and its place there. No path leads back.
    fn places(&self) -> Vec<(u32, u32)> {
        let mut places = vec![(NONE, 0); self.next.len()];
        for head in 0..self.next.len() as u32 {
            if !matches!(self.before[head as usize].message, NONE | BEGINNING) {
                continue;
            }
            let (mut at, mut place) = (head, 0);
            while at != NONE {
                places[at as usize] = (head, place);
                place += 1;
                at = self.next[at as usize].message;
            }
        }
        places
    }

    /// A way that leads back, if there is one. Only asked where every message has at most one next and one before it.
    fn leads_back(&self) -> Option<Vec<Edge>> {
        let places = self.places();
        let start = places.iter().position(|(path, _)| *path == NONE)? as u32;
        let mut edges = Vec::new();
        let mut from = start;
        loop {
            let Link { message: to, number } = self.next[from as usize];
            if to == NONE {
                return None;
            }
            edges.push(Edge { from, to, number });
            from = to;
            if from == start {
                return Some(edges);
            }
        }
    }
}
