//! What people see while a run goes on: node states on a terminal, plain timestamped lines elsewhere.

pub(crate) mod block;
mod nemesis;
mod states;
mod voice;
mod workload;

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::time::Duration;

use dsbench_core::observation::{Change, Name, Observation, StepState, What};
use dsbench_core::operation::OperationKind;
use dsbench_core::plan::Plan;
use dsbench_core::time::RunTime;

use self::states::States;
pub(crate) use self::states::state_style;
use self::voice::Voice;
pub(crate) use self::workload::counted;
use super::tell::{StepText, tell};
use super::terminal::{clean, say};

/// Follows a run. Only shows; never changes what happens.
pub trait Live {
    /// Something was seen or done.
    fn observed(&mut self, observation: &Observation);
    /// Time has passed; `log_bytes` is how much each node has written so far.
    fn tick(&mut self, _now: RunTime, _log_bytes: &BTreeMap<Name, u64>) {}
    /// How often [`tick`](Self::tick) is wanted; none for never.
    fn every(&self) -> Option<Duration> {
        None
    }
    /// Something that is no observation, for the person who watches.
    fn told(&mut self, text: &str) {
        say!("{}", clean(text));
    }
    /// So many observations could not be handed on: whoever should have taken them was too slow.
    fn missing(&mut self, _count: u64) {}
    /// The run is over; leaves the screen clean.
    fn close(&mut self) {}
}

/// Several who follow the same run.
impl Live for Vec<Box<dyn Live>> {
    fn observed(&mut self, observation: &Observation) {
        self.iter_mut().for_each(|one| one.observed(observation));
    }

    fn tick(&mut self, now: RunTime, log_bytes: &BTreeMap<Name, u64>) {
        self.iter_mut().for_each(|one| one.tick(now, log_bytes));
    }

    fn every(&self) -> Option<Duration> {
        self.iter().filter_map(|one| one.every()).min()
    }

    fn told(&mut self, text: &str) {
        self.iter_mut().for_each(|one| one.told(text));
    }

    fn missing(&mut self, count: u64) {
        self.iter_mut().for_each(|one| one.missing(count));
    }

    fn close(&mut self) {
        self.iter_mut().for_each(|one| one.close());
    }
}

/// What a live screen is told before the run.
#[derive(Debug, Clone)]
pub struct Cast {
    /// The nodes, in order.
    pub nodes: Vec<Name>,
    /// The steps in people's words, in order.
    pub steps: Vec<StepText>,
    /// The run ends at the latest after this.
    pub timeout: Duration,
}

impl Cast {
    /// The cast of a plan.
    pub fn of(plan: &Plan) -> Self {
        Self {
            nodes: plan.scenario.nodes.iter().map(|node| node.name.clone()).collect(),
            steps: StepText::all(plan),
            timeout: plan.scenario.timeout,
        }
    }
}

/// How much people want to see of a run while it goes on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Detail {
    /// Only its result.
    Result,
    /// The states of the nodes on a terminal, a line for what matters elsewhere.
    #[default]
    Usual,
    /// A line for everything.
    Everything,
}

/// The screen that fits standard error and the reader.
pub fn screen(cast: Cast, detail: Detail) -> Box<dyn Live> {
    match detail {
        Detail::Result => Box::new(Silent),
        Detail::Usual if is_terminal() => Box::new(States::new(cast)),
        Detail::Usual | Detail::Everything => Box::new(Lines::new(cast.steps, detail)),
    }
}

/// True if standard error is a screen that can be drawn on.
pub fn is_terminal() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("TERM").is_some_and(|term| term != "dumb")
}

/// Shows nothing.
#[derive(Debug, Clone, Copy)]
pub struct Silent;

impl Live for Silent {
    fn observed(&mut self, _: &Observation) {}
}

/// More event lines than this in one second are counted, not shown.
const EVENT_LINES_PER_SECOND: u32 = 200;

/// One plain line per observation.
struct Lines {
    steps: Vec<StepText>,
    detail: Detail,
    second: u64,
    events_in_second: u32,
    voice: Voice,
    /// How many lines were left out because nobody takes them.
    left_out: u64,
}

impl Lines {
    fn new(steps: Vec<StepText>, detail: Detail) -> Self {
        Self { steps, detail, second: 0, events_in_second: 0, voice: Voice::default(), left_out: 0 }
    }

    /// A node that matches a million lines must not drown the log of a CI job.
    fn has_room(&mut self, observation: &Observation) -> bool {
        if !matches!(observation.what, What::Event(_) | What::Operation(_)) {
            return true;
        }
        let second = observation.at.0 / 1_000_000_000;
        if second != self.second {
            self.report_hidden();
            (self.second, self.events_in_second) = (second, 0);
        }
        self.events_in_second += 1;
        self.events_in_second <= EVENT_LINES_PER_SECOND
    }

    fn say(&mut self, line: &str) {
        if !self.voice.has_room() {
            self.left_out += 1;
            return;
        }
        self.report_left_out();
        self.voice.say(line);
    }

    fn report_left_out(&mut self) {
        if let left_out @ 1.. = std::mem::take(&mut self.left_out) {
            self.voice
                .say(&format!("{:>10}  {left_out} lines were left out: nobody took them (all: dsbench show)", "..."));
        }
    }

    fn report_hidden(&mut self) {
        if let hidden @ 1.. = self.events_in_second.saturating_sub(EVENT_LINES_PER_SECOND) {
            let (from, to) = (self.second, self.second + 1);
            self.say(&format!("{:>10}  {hidden} more events between T+{from}s and T+{to}s (all: dsbench show)", "..."));
        }
    }
}

impl Live for Lines {
    fn observed(&mut self, observation: &Observation) {
        let is_shown =
            self.detail == Detail::Everything || !is_routine(&observation.what) && self.has_room(observation);
        if !is_shown {
            return;
        }
        if let Some((who, what)) = tell(observation, &self.steps) {
            self.say(&format!("{:>10}  {who:<8} {what}", observation.at.to_string()));
        }
    }

    fn told(&mut self, text: &str) {
        self.say(&clean(text));
    }

    fn close(&mut self) {
        self.report_hidden();
        self.report_left_out();
        self.voice.close();
    }
}

/// True for what only repeats a line that was shown before.
pub(crate) fn is_routine(what: &What) -> bool {
    match what {
        What::Process(process) => process.change == Change::Empty,
        What::Step(step) => step.state == StepState::Done,
        What::Sample(_) => true,
        // What went as it should is counted.
        What::Operation(operation) => matches!(operation.kind, OperationKind::Invoke | OperationKind::Ok),
        _ => false,
    }
}
