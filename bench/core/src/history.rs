//! The history: every observation of a run, in order, with the indexes that checks need.
//!
//! It only grows. What lies after [`Phase::Ended`] is kept but not indexed, because nothing of it is judged as the cluster's doing.
//!
//! It lies in memory as a whole, so it is counted: [`History::bytes`] says how much it takes, and whoever fills it ends the run before it
//! eats the machine. Of the texts of lines it keeps only the first [`TEXT_BYTES_MAX`] (a crash is always told): they are for people, no
//! check compares them, and the stored history has them all.

use std::collections::BTreeMap;

use crate::event::Words;
use crate::network::Traffic;
use crate::observation::{
    Action, ActionVerb, Answer, Change, Ending, Event, Exit, Life, Name, NemesisChange, Observation, PANIC, Phase,
    ProcessChange, Sample, Stall, StepChange, What,
};
use crate::operation::WorkloadChange;
use crate::paired::{Pairs, Performed};
use crate::time::RunTime;

/// Bytes of lines' texts that are kept.
pub const TEXT_BYTES_MAX: usize = 8 << 20;

/// An append-only list of observations.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// The number of the first observation that is held.
    first: u64,
    observations: Vec<Observation>,
    events: BTreeMap<Name, Vec<Index>>,
    actions: Vec<Index>,
    steps: Vec<Index>,
    nemesis: Vec<Index>,
    operations: Pairs,
    workloads: Vec<Index>,
    /// What became of the steps of the teardown.
    teardown: Vec<Index>,
    samples: Vec<Index>,
    traffic: Vec<Index>,
    stalls: Vec<Index>,
    answers: Vec<Index>,
    nodes: BTreeMap<Name, BTreeMap<(Name, u32), LifeSpan>>,
    started: Option<RunTime>,
    ready: Option<(u64, RunTime)>,
    ended: Option<Ended>,
    last: RunTime,
    /// Bytes of the texts that were kept, and of everything beside the observations' own size.
    text_bytes: usize,
    heap_bytes: usize,
    words: Words,
}

/// A place in the list of observations: half as large as a `usize`, because there are as many of them.
type Index = u32;

fn place(index: usize) -> Index {
    // So many observations would take hundreds of gigabytes.
    Index::try_from(index).expect("a history has fewer than 2^32 observations")
}

/// One observation of a known kind.
#[derive(Debug)]
pub struct Seen<'h, T> {
    /// Its number in the history.
    pub number: u64,
    /// When the bench saw or did it.
    pub at: RunTime,
    /// What it is.
    pub what: &'h T,
}

impl<T> Clone for Seen<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Seen<'_, T> {}

/// The end of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// The observation's number.
    pub number: u64,
    /// Its time.
    pub at: RunTime,
    /// Why it ended.
    pub because: Ending,
}

/// One life of a process, from its start to its exit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LifeSpan {
    /// Whose life it is.
    pub of: Life,
    /// The observation of its start.
    pub number: u64,
    /// When it started.
    pub started: RunTime,
    /// When its readiness probe answered.
    pub ready: Option<RunTime>,
    /// How it ended; none while it lives.
    pub exited: Option<Exited>,
    /// When it was frozen (SIGSTOP), in order; the last may be open.
    pub pauses: Vec<Pause>,
}

/// The end of a life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exited {
    /// The observation of it.
    pub number: u64,
    /// When.
    pub at: RunTime,
    /// How.
    pub exit: Exit,
    /// True if the bench had asked for it.
    pub expected: bool,
}

/// A time in which a process was frozen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pause {
    /// Since when.
    pub from: RunTime,
    /// Until when; none while it is frozen.
    pub until: Option<RunTime>,
}

impl LifeSpan {
    /// True if it has begun and not ended at this instant, frozen or not.
    pub fn is_up(&self, at: RunTime) -> bool {
        self.started <= at && self.exited.is_none_or(|exited| at < exited.at)
    }

    /// True if it is frozen at this instant.
    pub fn is_paused(&self, at: RunTime) -> bool {
        // Pauses are few in a life, but the last one decides nearly always.
        self.pauses.iter().rev().any(|pause| pause.from <= at && pause.until.is_none_or(|until| at < until))
    }
}

impl History {
    /// An empty history with room for so many observations.
    pub fn with_capacity(observations: usize) -> Self {
        Self { observations: Vec::with_capacity(observations), ..Self::default() }
    }

    /// What comes after the first so many observations, which nobody needs any more.
    pub fn after(observations: u64) -> Self {
        Self { first: observations, ..Self::default() }
    }

    /// Adds what was seen, with the next number.
    pub fn push(&mut self, at: RunTime, mut what: What) -> &Observation {
        if let What::Event(event) = &mut what {
            self.weigh(event);
        }
        if let What::Operation(operation) = &what {
            self.heap_bytes += operation.heap_bytes();
        }
        let index = self.observations.len();
        self.observations.push(Observation { number: self.first + index as u64, at, what });
        self.last = self.last.max(at);
        // By number, not by time: the teardown begins at the very instant of the end.
        if self.ended.is_some() && matches!(self.observations[index].what, What::Step(_)) {
            self.teardown.push(place(index));
            return &self.observations[index];
        }
        // The answer of a check program comes when the run is over, and is about all of it.
        if self.is_judged(at) || matches!(self.observations[index].what, What::Answer(_)) {
            self.index(index);
        }
        &self.observations[index]
    }

    /// Counts what an event takes, and leaves out its text if enough are kept. That depends on nothing but what came before, so a stored
    /// history that is read again is the same.
    fn weigh(&mut self, event: &mut Event) {
        let text_bytes = event.log.text.len();
        if self.text_bytes + text_bytes > TEXT_BYTES_MAX && &*event.name != PANIC {
            event.log.text = Box::default();
        } else {
            self.text_bytes += text_bytes;
        }
        self.heap_bytes += event.settle(&mut self.words);
    }

    /// About how many bytes of memory it takes.
    pub fn bytes(&self) -> usize {
        self.observations.len() * (size_of::<Observation>() + size_of::<Index>()) + self.heap_bytes
    }

    /// The event that occurred most often, and how often.
    pub fn most_frequent_event(&self) -> Option<(&Name, usize)> {
        let counts = self.events.iter().map(|(name, list)| (name, list.len()));
        // The first by name of equal ones.
        counts.rev().max_by_key(|(_, count)| *count)
    }

    /// True if the text of a line was left out.
    pub fn lacks_text(&self, number: u64) -> bool {
        self.get(number).is_some_and(|seen| matches!(&seen.what, What::Event(event) if event.log.text.is_empty()))
    }

    /// Puts back the text of a line that was left out, for people to read.
    pub fn tell_text(&mut self, number: u64, text: Box<str>) {
        let index = number.checked_sub(self.first).and_then(|index| usize::try_from(index).ok());
        let observation = index.and_then(|index| self.observations.get_mut(index));
        if let Some(Observation { what: What::Event(event), .. }) = observation {
            event.log.text = text;
        }
    }

    fn is_judged(&self, at: RunTime) -> bool {
        self.ended.as_ref().is_none_or(|ended| at <= ended.at)
    }

    fn index(&mut self, index: usize) {
        let observation = &self.observations[index];
        let at = observation.at;
        let index = place(index);
        match &observation.what {
            What::Event(event) => match self.events.get_mut(&event.name) {
                Some(list) => list.push(index),
                None => drop(self.events.insert(event.name.clone(), vec![index])),
            },
            What::Run(Phase::Started) => self.started = self.started.or(Some(at)),
            What::Run(Phase::Ready) => self.ready = self.ready.or(Some((observation.number, at))),
            What::Run(Phase::StepsDone) => {}
            What::Run(Phase::Ended { because }) => {
                let ended = Ended { number: observation.number, at, because: because.clone() };
                self.ended.get_or_insert(ended);
            }
            What::Process(process) => track_process(&mut self.nodes, observation.number, at, process),
            What::Action(action) => {
                track_pause(&mut self.nodes, at, action);
                self.actions.push(index);
            }
            What::Step(_) => self.steps.push(index),
            What::Nemesis(_) => self.nemesis.push(index),
            What::Operation(operation) => self.operations.observe(index, operation),
            What::Workload(_) => self.workloads.push(index),
            What::Sample(_) => self.samples.push(index),
            What::Traffic(_) => self.traffic.push(index),
            What::Stall(_) => self.stalls.push(index),
            What::Answer(_) => self.answers.push(index),
        }
    }

    /// All of it, by number.
    pub fn observations(&self) -> &[Observation] {
        &self.observations
    }

    /// What is judged, by number: all but what came after the end.
    pub fn judged(&self) -> impl Iterator<Item = &Observation> {
        let end = self.ended.as_ref().map_or(u64::MAX, |ended| ended.number);
        self.observations.iter().filter(move |seen| seen.number <= end || self.is_judged(seen.at))
    }

    /// The observation with this number.
    pub fn get(&self, number: u64) -> Option<&Observation> {
        self.observations.get(usize::try_from(number.checked_sub(self.first)?).ok()?)
    }

    /// The number that the next observation will have.
    pub fn next_number(&self) -> u64 {
        self.first + self.observations.len() as u64
    }

    /// The occurrences of an event, by number.
    pub fn events<'h>(
        &'h self,
        name: &str,
    ) -> impl DoubleEndedIterator<Item = Seen<'h, Event>> + ExactSizeIterator + Clone + use<'h> {
        let list = self.events.get(name).map_or(&[][..], Vec::as_slice);
        self.pick(list, |what| if let What::Event(event) = what { Some(event) } else { None })
    }

    /// What the bench did to nodes, by number.
    pub fn actions(&self) -> impl DoubleEndedIterator<Item = Seen<'_, Action>> + ExactSizeIterator {
        self.pick(&self.actions, |what| if let What::Action(action) = what { Some(&**action) } else { None })
    }

    /// What became of the steps, by number.
    pub fn steps(&self) -> impl DoubleEndedIterator<Item = Seen<'_, StepChange>> + ExactSizeIterator {
        self.pick(&self.steps, |what| if let What::Step(step) = what { Some(step) } else { None })
    }

    /// What became of the nemesis, by number.
    pub fn nemesis(&self) -> impl DoubleEndedIterator<Item = Seen<'_, NemesisChange>> + ExactSizeIterator {
        self.pick(&self.nemesis, |what| if let What::Nemesis(nemesis) = what { Some(nemesis) } else { None })
    }

    /// The operations of the clients, each with its end, by the number of its invocation.
    pub fn operations(&self) -> impl DoubleEndedIterator<Item = Performed<'_>> + ExactSizeIterator + Clone {
        let seen = |index: Index| {
            let Observation { number, at, what } = &self.observations[index as usize];
            let What::Operation(operation) = what else { unreachable!("an index holds one kind of observation") };
            Seen { number: *number, at: *at, what: &**operation }
        };
        self.operations
            .all()
            .iter()
            .map(move |(invoked, ended)| Performed { invoked: seen(*invoked), ended: ended.map(seen) })
    }

    /// What became of the workloads, by number.
    pub fn workloads(&self) -> impl DoubleEndedIterator<Item = Seen<'_, WorkloadChange>> + ExactSizeIterator {
        self.pick(&self.workloads, |what| if let What::Workload(workload) = what { Some(&**workload) } else { None })
    }

    /// What became of the steps after the end of the run, by number. Nothing of it is the cluster's doing.
    pub fn teardown(&self) -> impl DoubleEndedIterator<Item = Seen<'_, StepChange>> + ExactSizeIterator {
        self.pick(&self.teardown, |what| if let What::Step(step) = what { Some(step) } else { None })
    }

    /// The resources of processes, by number.
    pub fn samples(&self) -> impl DoubleEndedIterator<Item = Seen<'_, Sample>> + ExactSizeIterator {
        self.pick(&self.samples, |what| if let What::Sample(sample) = what { Some(sample) } else { None })
    }

    /// What the network's rules did, each with all that they did before, by number.
    pub fn traffic(&self) -> impl DoubleEndedIterator<Item = Seen<'_, Traffic>> + ExactSizeIterator {
        self.pick(&self.traffic, |what| if let What::Traffic(traffic) = what { Some(&**traffic) } else { None })
    }

    /// When the bench was late, by number.
    pub fn stalls(&self) -> impl DoubleEndedIterator<Item = Seen<'_, Stall>> + ExactSizeIterator {
        self.pick(&self.stalls, |what| if let What::Stall(stall) = what { Some(stall) } else { None })
    }

    /// The answers of `exec` checks, by number.
    pub fn answers(&self) -> impl DoubleEndedIterator<Item = Seen<'_, Answer>> + ExactSizeIterator {
        self.pick(&self.answers, |what| if let What::Answer(answer) = what { Some(answer) } else { None })
    }

    fn pick<'h, T: 'h>(
        &'h self,
        list: &'h [Index],
        kind: impl Fn(&'h What) -> Option<&'h T> + Clone,
    ) -> impl DoubleEndedIterator<Item = Seen<'h, T>> + ExactSizeIterator + Clone {
        list.iter().map(move |&index| {
            let Observation { number, at, what } = &self.observations[index as usize];
            Seen { number: *number, at: *at, what: kind(what).expect("an index holds one kind of observation") }
        })
    }

    /// Every node of which a process has run, by name.
    pub fn nodes(&self) -> impl Iterator<Item = &Name> {
        self.nodes.keys()
    }

    /// The lives of a node's processes: by process, then in order.
    pub fn lives(&self, node: &str) -> impl Iterator<Item = &LifeSpan> {
        self.nodes.get(node).into_iter().flat_map(BTreeMap::values)
    }

    /// One life.
    pub fn life(&self, of: &Life) -> Option<&LifeSpan> {
        self.nodes.get(&of.node)?.get(&(of.process.clone(), of.life))
    }

    /// When the first process was about to be started.
    pub fn started(&self) -> Option<RunTime> {
        self.started
    }

    /// When all nodes were ready.
    pub fn ready(&self) -> Option<RunTime> {
        self.ready.map(|(_, at)| at)
    }

    /// The observation that all nodes were ready, with its time.
    pub(crate) fn ready_observation(&self) -> Option<(u64, RunTime)> {
        self.ready
    }

    /// The end of the run, if it has come.
    pub fn ended(&self) -> Option<&Ended> {
        self.ended.as_ref()
    }

    /// Up to when the cluster was watched: the end of the run, or the latest observation.
    pub fn horizon(&self) -> RunTime {
        self.ended.as_ref().map_or(self.last, |ended| ended.at)
    }
}

fn track_process(
    nodes: &mut BTreeMap<Name, BTreeMap<(Name, u32), LifeSpan>>,
    number: u64,
    at: RunTime,
    process: &ProcessChange,
) {
    let of = &process.of;
    let key = (of.process.clone(), of.life);
    if let Change::Started { .. } = process.change {
        let span = LifeSpan { of: of.clone(), number, started: at, ready: None, exited: None, pauses: Vec::new() };
        nodes.entry(of.node.clone()).or_default().entry(key).or_insert(span);
        return;
    }
    let Some(span) = nodes.get_mut(&of.node).and_then(|lives| lives.get_mut(&key)) else {
        return;
    };
    match process.change {
        Change::Ready => span.ready = span.ready.or(Some(at)),
        Change::Exited { exit, expected } => {
            span.exited.get_or_insert(Exited { number, at, exit, expected });
        }
        Change::Started { .. } | Change::NotStarted { .. } | Change::NotReady { .. } => {}
        Change::Leaking { .. } | Change::Empty => {}
    }
}

fn track_pause(nodes: &mut BTreeMap<Name, BTreeMap<(Name, u32), LifeSpan>>, at: RunTime, action: &Action) {
    for of in &action.hit {
        let lives = nodes.get_mut(&of.node);
        let Some(span) = lives.and_then(|lives| lives.get_mut(&(of.process.clone(), of.life))) else {
            continue;
        };
        let open = span.pauses.last_mut().filter(|pause| pause.until.is_none());
        match (action.verb, open) {
            (ActionVerb::Pause, None) => {
                let from = span.pauses.last().and_then(|pause| pause.until).map_or(at, |until| until.max(at));
                span.pauses.push(Pause { from, until: None });
            }
            (ActionVerb::Resume, Some(pause)) => pause.until = Some(at.max(pause.from)),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::{LogLine, MAIN};

    fn life(node: &str, life: u32) -> Life {
        Life { node: node.into(), process: MAIN.into(), life }
    }

    fn process(node: &str, nth: u32, change: Change) -> What {
        What::Process(ProcessChange { of: life(node, nth), change })
    }

    fn action(verb: ActionVerb, node: &str, nth: u32) -> What {
        What::Action(Action::new(verb, vec![node.into()], vec![life(node, nth)]).into())
    }

    fn ms(ms: u64) -> RunTime {
        RunTime(ms * 1_000_000)
    }

    #[test]
    fn numbers_are_consecutive() {
        let mut history = History::default();
        assert_eq!(history.push(ms(5), What::Run(Phase::Started)).number, 0);
        assert_eq!(history.push(ms(3), What::Run(Phase::Ready)).number, 1);
        assert_eq!((history.started(), history.ready(), history.horizon()), (Some(ms(5)), Some(ms(3)), ms(5)));
    }

    #[test]
    fn a_life_knows_when_it_was_up_and_when_it_was_frozen() {
        let mut history = History::default();
        history.push(ms(1), process("a", 1, Change::Started { pid: 7 }));
        history.push(ms(2), action(ActionVerb::Pause, "a", 1));
        history.push(ms(4), action(ActionVerb::Resume, "a", 1));
        let exit = Change::Exited { exit: Exit::Signal(9), expected: true };
        history.push(ms(6), process("a", 1, exit));
        history.push(ms(8), process("a", 2, Change::Started { pid: 9 }));

        let first = history.life(&life("a", 1)).unwrap();
        assert_eq!([0, 1, 5, 6].map(|at| first.is_up(ms(at))), [false, true, true, false]);
        assert_eq!([1, 2, 3, 4].map(|at| first.is_paused(ms(at))), [false, true, true, false]);
        assert_eq!(history.lives("a").map(|span| span.of.life).collect::<Vec<_>>(), [1, 2]);
        assert!(history.lives("b").next().is_none());
    }

    #[test]
    fn what_comes_after_the_end_is_kept_and_not_judged() {
        let mut history = History::default();
        history.push(ms(1), process("a", 1, Change::Started { pid: 7 }));
        history.push(ms(9), What::Run(Phase::Ended { because: Ending::Complete }));
        history.push(ms(10), process("a", 1, Change::Exited { exit: Exit::Code(0), expected: true }));
        assert_eq!(history.observations().len(), 3);
        assert_eq!(history.life(&life("a", 1)).unwrap().exited, None);
        assert_eq!(history.horizon(), ms(9));
    }

    fn said(name: &str, text: &str) -> What {
        let log = LogLine { offset: 1, line: 1, text: text.into() };
        What::Event(Event { log, ..Event::new(name, life("a", 1), Vec::new()) })
    }

    #[test]
    fn texts_are_kept_up_to_a_bound_and_crashes_beyond_it() {
        let mut history = History::default();
        let text = "x".repeat(1 << 20);
        (0..12).for_each(|_| _ = history.push(ms(1), said("led", &text)));
        history.push(ms(2), said(PANIC, &text));
        let lacking: Vec<_> = (0..13).filter(|number| history.lacks_text(*number)).collect();
        assert_eq!(lacking, [8, 9, 10, 11]);
        let bytes = history.bytes();
        assert!((9 << 20..(9 << 20) + 4096).contains(&bytes), "{bytes}");
        history.tell_text(9, "put back".into());
        assert!(!history.lacks_text(9) && history.lacks_text(10));
        assert_eq!(history.most_frequent_event().map(|(name, count)| (&**name, count)), Some(("led", 12)));
    }
}
