//! What people see while a run goes on: node states on a terminal, plain timestamped lines elsewhere.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::time::Duration;

use anstream::eprintln;
use dsbench_core::observation::{Action, ActionVerb, Change, Name, Observation, StepState, What};
use dsbench_core::plan::Plan;
use dsbench_core::time::RunTime;
use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::tell::{fields, tell};

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
    fn warned(&mut self, text: &str) {
        eprintln!("warning: {text}");
    }
    /// The run is over; leaves the screen clean.
    fn close(&mut self) {}
}

/// What a live screen is told before the run.
#[derive(Debug, Clone)]
pub struct Cast {
    /// The nodes, in order.
    pub nodes: Vec<Name>,
    /// The steps in people's words, in order.
    pub steps: Vec<String>,
    /// The run ends at the latest after this.
    pub timeout: Duration,
}

impl Cast {
    /// The cast of a plan.
    pub fn of(plan: &Plan) -> Self {
        Self {
            nodes: plan.scenario.nodes.iter().map(|node| node.name.clone()).collect(),
            steps: plan.scenario.steps.iter().map(|step| step.verb.to_string()).collect(),
            timeout: plan.scenario.timeout,
        }
    }
}

/// The screen that fits standard error: states on a terminal, lines elsewhere, nothing when `quiet`.
pub fn screen(cast: Cast, quiet: bool) -> Box<dyn Live> {
    if quiet {
        Box::new(Silent)
    } else if std::io::stderr().is_terminal() {
        Box::new(States::new(cast))
    } else {
        Box::new(Lines::new(cast.steps))
    }
}

/// Shows nothing.
#[derive(Debug, Clone, Copy)]
pub struct Silent;

impl Live for Silent {
    fn observed(&mut self, _: &Observation) {}
}

/// More event lines than this in one second are counted, not shown.
const EVENT_LINES_PER_SECOND: u32 = 50;

/// One plain line per observation.
struct Lines {
    steps: Vec<String>,
    second: u64,
    events_in_second: u32,
}

impl Lines {
    fn new(steps: Vec<String>) -> Self {
        Self { steps, second: 0, events_in_second: 0 }
    }

    /// A node that matches a million lines must not drown the log of a CI job.
    fn has_room(&mut self, observation: &Observation) -> bool {
        if !matches!(observation.what, What::Event(_)) {
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

    fn report_hidden(&self) {
        if let hidden @ 1.. = self.events_in_second.saturating_sub(EVENT_LINES_PER_SECOND) {
            eprintln!(
                "{:>10}  {hidden} more events in this second (all are in the history)",
                RunTime(self.second * 1_000_000_000).to_string()
            );
        }
    }
}

impl Live for Lines {
    fn observed(&mut self, observation: &Observation) {
        if is_routine(&observation.what) || !self.has_room(observation) {
            return;
        }
        if let Some((who, what)) = tell(observation, &self.steps) {
            eprintln!("{:>10}  {who:<8} {what}", observation.at.to_string());
        }
    }

    fn close(&mut self) {
        self.report_hidden();
    }
}

/// True for what only repeats a line that was shown before.
fn is_routine(what: &What) -> bool {
    match what {
        What::Process(process) => process.change == Change::Empty,
        What::Step(step) => step.state == StepState::Done,
        What::Sample(_) => true,
        _ => false,
    }
}

/// One line per node, one for the step, one for the faults in force and the time left.
struct States {
    cast: Cast,
    screen: MultiProgress,
    nodes: BTreeMap<Name, NodeLine>,
    step: ProgressBar,
    footer: ProgressBar,
    faults: BTreeMap<(Name, &'static str), RunTime>,
    last_tick: RunTime,
}

struct NodeLine {
    bar: ProgressBar,
    state: &'static str,
    said: String,
    log_bytes: u64,
    log_rate: u64,
}

impl States {
    fn new(cast: Cast) -> Self {
        let screen = MultiProgress::new();
        let plain = ProgressStyle::with_template("{prefix} {wide_msg}").expect("the template is constant");
        let line = |prefix: String| {
            let bar = screen.add(ProgressBar::new_spinner().with_style(plain.clone()));
            bar.set_prefix(prefix);
            bar
        };
        let width = cast.nodes.iter().map(|node| node.len()).max().unwrap_or(4).max(6);
        let nodes = cast
            .nodes
            .iter()
            .map(|node| {
                let bar = line(format!("  {node:<width$}"));
                (node.clone(), NodeLine { bar, state: "waits", said: String::new(), log_bytes: 0, log_rate: 0 })
            })
            .collect();
        let step = line(format!("  {:<width$}", "step"));
        let footer = line(format!("  {:<width$}", "time"));
        Self { cast, screen, nodes, step, footer, faults: BTreeMap::new(), last_tick: RunTime::START }
    }

    fn acted(&mut self, action: &Action, at: RunTime) {
        for node in &action.nodes {
            let (key, begins) = match action.verb {
                ActionVerb::Kill | ActionVerb::Stop => ("down", true),
                ActionVerb::Pause => ("paused", true),
                ActionVerb::Resume => ("paused", false),
                ActionVerb::Start | ActionVerb::Restart => ("down", false),
                ActionVerb::Signal | ActionVerb::Input => continue,
            };
            match begins {
                true => _ = self.faults.insert((node.clone(), key), at),
                false => _ = self.faults.remove(&(node.clone(), key)),
            }
            if let Some(line) = self.nodes.get_mut(node) {
                line.state = if begins { key } else { "up" };
            }
        }
    }

    fn draw(&self, node: &Name) {
        if let Some(line) = self.nodes.get(node) {
            let rate = indicatif::HumanBytes(line.log_rate);
            line.bar.set_message(format!("{:<8} {:>12}/s of log  {}", line.state, rate.to_string(), line.said));
        }
    }
}

impl Live for States {
    fn observed(&mut self, observation: &Observation) {
        match &observation.what {
            What::Process(process) => {
                if let Some(line) = self.nodes.get_mut(&process.of.node) {
                    match &process.change {
                        Change::Started { .. } => line.state = "starts",
                        Change::Ready => line.state = "up",
                        Change::Exited { .. } | Change::NotStarted { .. } => {
                            (line.state, line.said) = ("down", String::new())
                        }
                        Change::NotReady { .. } | Change::Leaking { .. } | Change::Empty => {}
                    }
                }
                self.draw(&process.of.node);
            }
            What::Event(event) => {
                if let Some(line) = self.nodes.get_mut(&event.of.node) {
                    line.said = format!("{}{}", event.name, fields(&event.fields));
                }
                self.draw(&event.of.node);
            }
            What::Action(action) => {
                self.acted(action, observation.at);
                action.nodes.iter().for_each(|node| self.draw(node));
            }
            What::Step(step) => {
                let text = self.cast.steps.get(step.step).map_or("", String::as_str);
                self.step.set_message(format!("{} of {}: {text}", step.step + 1, self.cast.steps.len()));
            }
            What::Run(_) | What::Sample(_) | What::Stall(_) | What::Answer(_) => {}
        }
    }

    fn tick(&mut self, now: RunTime, log_bytes: &BTreeMap<Name, u64>) {
        let passed = now.since(self.last_tick).as_secs_f64().max(0.001);
        self.last_tick = now;
        for (node, line) in &mut self.nodes {
            let total = log_bytes.get(node).copied().unwrap_or(line.log_bytes);
            line.log_rate = (total.saturating_sub(line.log_bytes) as f64 / passed).round() as u64;
            line.log_bytes = total;
        }
        for node in self.nodes.keys() {
            self.draw(node);
        }
        let faults: Vec<String> =
            self.faults.iter().map(|((node, what), since)| format!("{node} {what} since {since}")).collect();
        let left = self.cast.timeout.saturating_sub(now.elapsed());
        let faults = if faults.is_empty() { "no fault in force".to_owned() } else { faults.join(", ") };
        self.footer.set_message(format!("{now}  at most {}s more  {faults}", left.as_secs()));
    }

    fn every(&self) -> Option<Duration> {
        Some(Duration::from_millis(200))
    }

    fn warned(&mut self, text: &str) {
        self.screen.suspend(|| eprintln!("warning: {text}"));
    }

    fn close(&mut self) {
        // The final screen says it all; half-drawn state would only stand above it.
        let _ = self.screen.clear();
    }
}
