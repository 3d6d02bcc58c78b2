//! The live screen of a terminal: a line per node, one for the step, one for the time and the faults in force.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use dsbench_core::observation::{
    Action, ActionVerb, Change, Fields, Name, Observation, Phase, StepChange, StepState, What,
};
use dsbench_core::stage::Stage;
use dsbench_core::time::RunTime;

use super::block::{Block, Size};
use super::nemesis::NemesisLine;
use super::workload::WorkloadLines;
use super::{Cast, Live};
use crate::report::tell::{StepText, bytes, exit_text, fields};
use crate::report::terminal::clean;

/// How often the screen is drawn: often enough to look immediate, seldom enough to cost nothing.
const EVERY: Duration = Duration::from_millis(100);

pub(super) struct States {
    cast: Cast,
    block: Block,
    nodes: BTreeMap<Name, NodeLine>,
    step: String,
    nemesis: NemesisLine,
    workloads: WorkloadLines,
    /// Since when a node is under a fault of a kind.
    faults: BTreeMap<(&'static str, Name), RunTime>,
    /// The network faults in force, by their observations: what is done to whom, since when.
    network: BTreeMap<u64, (String, RunTime)>,
    last_rate: RunTime,
}

#[derive(Debug)]
struct NodeLine {
    state: &'static str,
    said: String,
    /// Its newest event, instead of `said`. Put into words when the screen is drawn: a flood of events must not cost a flood of words.
    newest: Option<Fields>,
    log_bytes: u64,
    log_rate: u64,
}

impl States {
    pub(super) fn new(cast: Cast) -> Self {
        let waits = || NodeLine { state: "waits", said: String::new(), newest: None, log_bytes: 0, log_rate: 0 };
        let nodes = cast.nodes.iter().map(|node| (node.clone(), waits())).collect();
        let block = Block::beside_a_run();
        let (nemesis, workloads) = (NemesisLine::default(), WorkloadLines::default());
        let (faults, network) = (BTreeMap::new(), BTreeMap::new());
        Self { cast, block, nodes, step: String::new(), nemesis, workloads, faults, network, last_rate: RunTime::START }
    }

    fn process(&mut self, node: &Name, change: &Change) {
        let Some(line) = self.nodes.get_mut(node) else { return };
        if matches!(change, Change::Started { .. } | Change::NotStarted { .. } | Change::Exited { .. }) {
            line.newest = None;
        }
        match change {
            Change::Started { .. } => (line.state, line.said) = ("starts", String::new()),
            Change::Ready => line.state = "up",
            Change::NotStarted { why } => (line.state, line.said) = ("EXITED", why.clone()),
            Change::Exited { exit, expected: false } => (line.state, line.said) = ("EXITED", exit_text(*exit)),
            // Killed and stopped nodes are called that already.
            Change::Exited { .. } if matches!(line.state, "killed" | "stopped") => line.said.clear(),
            Change::Exited { .. } => (line.state, line.said) = ("ended", String::new()),
            Change::NotReady { .. } | Change::Leaking { .. } | Change::Empty => {}
        }
    }

    fn acted(&mut self, number: u64, action: &Action, at: RunTime) {
        if action.verb.is_network() {
            action.ends.iter().for_each(|ended| _ = self.network.remove(ended));
            if action.verb.is_fault() {
                self.network.insert(number, (format!("{} {}", action.verb.key(), action.whom()), at));
            }
            return;
        }
        let (fault, ends): (_, &[_]) = match action.verb {
            ActionVerb::Kill => (Some("killed"), &[]),
            ActionVerb::Stop => (Some("stopped"), &[]),
            ActionVerb::Pause => (Some("paused"), &[]),
            ActionVerb::Resume => (None, &["paused"]),
            ActionVerb::Start | ActionVerb::Restart => (None, &["killed", "stopped", "paused"]),
            _ => return,
        };
        for node in &action.nodes {
            for ended in ends {
                self.faults.remove(&(*ended, node.clone()));
            }
            if let Some(fault) = fault {
                self.faults.insert((fault, node.clone()), at);
            }
            if let Some(line) = self.nodes.get_mut(node) {
                line.state = match (fault, line.state) {
                    (Some(fault), _) => fault,
                    (None, "paused") => "up",
                    (None, state) => state,
                };
            }
        }
    }

    fn stepped(&mut self, change: &StepChange) {
        let Some(text) = self.cast.steps.get(change.step) else { return };
        let StepText { stage, number, words } = text;
        let all = self.cast.steps.iter().filter(|step| step.stage == *stage).count();
        let name = match stage {
            Stage::Main => number.to_string(),
            stage => stage.label(*number),
        };
        let next = self.cast.steps.get(change.step + 1).filter(|next| next.stage == *stage);
        self.step = match (&change.state, next, stage) {
            (StepState::Begun | StepState::Bound { .. }, ..) => format!("{name} of {all}: {words}"),
            (_, Some(next), _) => format!("{name} of {all} is over, next: {}", next.words),
            (_, None, Stage::Main) => format!("{name} of {all} is over; waiting for what must still be seen"),
            (_, None, Stage::Setup) => format!("{name} of {all} is over; the run begins"),
            (_, None, Stage::Teardown) => format!("{name} of {all} is over; the nodes are being stopped"),
        };
    }

    fn measure(&mut self, now: RunTime, log_bytes: &BTreeMap<Name, u64>) {
        let passed = now.since(self.last_rate).as_secs_f64();
        // A rate over less than a second jumps too much to be read.
        if passed < 1.0 {
            return;
        }
        self.last_rate = now;
        self.workloads.measure(now);
        for (node, line) in &mut self.nodes {
            let total = log_bytes.get(node).copied().unwrap_or(line.log_bytes);
            line.log_rate = (total.saturating_sub(line.log_bytes) as f64 / passed).round() as u64;
            line.log_bytes = total;
        }
    }

    /// The lines that fit a terminal; of many nodes the first.
    fn lines(&self, now: RunTime, size: Size) -> Vec<String> {
        let nemesis = self.nemesis.text();
        let widest = self.cast.nodes.iter().map(|node| node.chars().count()).max().unwrap_or(0);
        let width = widest.max(if nemesis.is_some() { "nemesis" } else { "step" }.len());
        let width = self.workloads.lines().map(|(name, _)| name.chars().count()).max().unwrap_or(0).max(width);
        // Below the nodes: the step, the nemesis, the time, and the row in which the cursor waits.
        let room = size.rows.saturating_sub(3 + usize::from(nemesis.is_some()) + self.workloads.len()).max(1);
        let shown = if self.cast.nodes.len() <= room { self.cast.nodes.len() } else { room - 1 };
        let mut lines: Vec<_> = self.cast.nodes[..shown].iter().map(|node| self.node_line(node, width)).collect();
        if shown < self.cast.nodes.len() {
            lines.push(format!("  ... and {} more nodes", self.cast.nodes.len() - shown));
        }
        lines.push(format!("  {:<width$}  {}", "step", printable(&self.step)));
        lines.extend(nemesis.map(|text| format!("  {:<width$}  {}", "nemesis", printable(&text))));
        for (name, text) in self.workloads.lines() {
            lines.push(format!("  {name:<width$}  {}", printable(&text)));
        }
        let left = self.cast.timeout.saturating_sub(now.elapsed()).as_secs();
        lines.push(format!("  {:<width$}  {now}, at most {left}s more   {}", "time", self.faults_in_force()));
        lines
    }

    fn node_line(&self, node: &Name, width: usize) -> String {
        let line = &self.nodes[node];
        let style = state_style(line.state);
        let said = match &line.newest {
            Some(event) => Cow::Owned(format!("{}{}", event.shape().name, fields(event))),
            None => Cow::Borrowed(&*line.said),
        };
        let rate = if line.log_rate > 0 { format!("  ({}/s of log)", bytes(line.log_rate)) } else { String::new() };
        format!("  {node:<width$}  {style}{:<8}{style:#} {}{rate}", line.state, printable(&said))
    }

    /// `peer1, peer2 killed since T+1.048s`
    fn faults_in_force(&self) -> String {
        let mut told: Vec<(&str, RunTime, String)> = Vec::new();
        for ((fault, node), since) in &self.faults {
            match told.last_mut() {
                Some((last, at, nodes)) if last == fault && at == since => {
                    nodes.push_str(", ");
                    nodes.push_str(node);
                }
                _ => told.push((fault, *since, node.to_string())),
            }
        }
        let processes = told.iter().map(|(fault, since, nodes)| format!("{nodes} {fault} since {since}"));
        let network = self.network.values().map(|(fault, since)| format!("{} since {since}", printable(fault)));
        processes.chain(network).collect::<Vec<_>>().join("; ")
    }
}

impl Live for States {
    fn observed(&mut self, observation: &Observation) {
        self.nemesis.observe(&observation.what);
        self.workloads.observe(observation);
        match &observation.what {
            What::Process(process) => self.process(&process.of.node, &process.change),
            What::Event(event) => {
                if let Some(line) = self.nodes.get_mut(&event.of.node) {
                    line.newest = Some(event.fields.clone());
                }
            }
            What::Action(action) => self.acted(observation.number, action, observation.at),
            What::Step(step) => self.stepped(step),
            What::Run(Phase::Started) => self.step = "the nodes are being started".to_owned(),
            What::Run(Phase::Ended { .. }) => self.step = "the nodes are being stopped".to_owned(),
            What::Nemesis(_) | What::Operation(_) | What::Workload(_) => {}
            What::Run(_) | What::Sample(_) | What::Traffic(_) | What::Stall(_) | What::Answer(_) => {}
        }
    }

    fn tick(&mut self, now: RunTime, log_bytes: &BTreeMap<Name, u64>) {
        self.measure(now, log_bytes);
        self.block.draw(self.lines(now, Block::size()));
    }

    fn every(&self) -> Option<Duration> {
        Some(EVERY)
    }

    fn told(&mut self, text: &str) {
        self.block.above(&clean(text));
    }

    fn close(&mut self) {
        // The final screen says it all; half-drawn state would only stand above it.
        self.block.clear();
    }
}

/// How the state of a node looks.
pub(crate) fn state_style(state: &str) -> Style {
    match state {
        "up" => AnsiColor::Green.on_default(),
        "EXITED" => AnsiColor::Red.on_default(),
        "killed" | "stopped" | "paused" | "cut off" => AnsiColor::Yellow.on_default(),
        _ => Style::new(),
    }
}

/// Text of a scenario or a program: one line, and nothing that moves the cursor.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use dsbench_core::observation::{Exit, Life, ProcessChange};

    use super::*;

    fn states(nodes: &[&str]) -> States {
        let nodes = nodes.iter().map(|node| Name::from(*node)).collect();
        States::new(Cast {
            nodes,
            steps: vec![StepText { stage: Stage::Main, number: 1, words: "kill leader".into() }],
            timeout: Duration::from_secs(60),
        })
    }

    fn changed(node: &str, change: Change) -> What {
        What::Process(ProcessChange { of: Life { node: node.into(), process: "main".into(), life: 1 }, change })
    }

    fn seen(states: &mut States, what: impl IntoIterator<Item = What>) {
        for (number, what) in what.into_iter().enumerate() {
            states.observed(&Observation { number: number as u64, at: RunTime(1_000_000_000), what });
        }
    }

    fn shown(states: &States, rows: usize) -> Vec<String> {
        let lines = states.lines(RunTime(2_000_000_000), Size { rows, columns: 80 });
        lines.iter().map(|line| anstream::adapter::strip_str(line).to_string()).collect()
    }

    #[test]
    fn a_killed_node_is_called_that_until_it_is_started_again() {
        let mut states = states(&["a", "b"]);
        let act = |verb| What::Action(Action::new(verb, vec!["a".into()], Vec::new()).into());
        seen(&mut states, [changed("a", Change::Ready), act(ActionVerb::Kill)]);
        seen(&mut states, [changed("a", Change::Exited { exit: Exit::Signal(9), expected: true })]);
        let lines = shown(&states, 24);
        assert_eq!(lines[0].trim_end(), "  a     killed");
        assert!(lines[3].ends_with("at most 58s more   a killed since T+1.000s"), "{lines:?}");
        seen(&mut states, [act(ActionVerb::Restart), changed("a", Change::Started { pid: 7 })]);
        let lines = shown(&states, 24);
        assert_eq!(lines[0].trim_end(), "  a     starts");
        assert!(lines[3].ends_with("more   "), "{lines:?}");
    }

    #[test]
    fn a_node_that_ends_by_itself_stands_out() {
        let mut states = states(&["a"]);
        seen(&mut states, [changed("a", Change::Exited { exit: Exit::Code(3), expected: false })]);
        assert_eq!(shown(&states, 24)[0], "  a     EXITED   exit code 3");
    }

    #[test]
    fn more_nodes_than_rows_are_counted() {
        let states = states(&["a", "b", "c", "d", "e", "f", "g", "h"]);
        let lines = shown(&states, 8);
        assert_eq!(lines.len(), 7);
        assert_eq!(lines[4], "  ... and 4 more nodes");
    }
}
