//! One observation in people's words: a line of the live log and of `dsbench show`.

use dsbench_core::network::{RuleTraffic, Traffic};
use dsbench_core::observation::{
    Action, ActionVerb, Change, Ending, Exit, Fields, Life, NemesisChange, Observation, Origin, Phase, StepChange,
    StepState, Value, What,
};

use dsbench_core::operation::{Datum, Operation, OperationKind, WorkloadState};
use dsbench_core::plan::Plan;
use dsbench_core::scenario::Step;
use dsbench_core::stage::Stage;

use super::terminal::{clean, clean_line};

/// Longer keys and values are cut.
const DATUM_WIDTH: usize = 80;

/// A step in people's words.
#[derive(Debug, Clone)]
pub struct StepText {
    /// The stage that it belongs to.
    pub stage: Stage,
    /// Its number there, from 1.
    pub number: usize,
    /// What it does: `kill leader`.
    pub words: String,
}

impl StepText {
    /// Every step of a plan, as they are counted.
    pub fn all(plan: &Plan) -> Vec<Self> {
        let text = |step: &Step| Self {
            stage: step.place.stage,
            number: step.place.number,
            words: clean_line(&step.words()).into_owned(),
        };
        plan.scenario.all_steps().map(text).collect()
    }

    /// What it is called by its number: `step 3`, `setup 1`.
    pub fn label(&self) -> String {
        self.stage.label(self.number)
    }
}

/// Who and what, for one line; `None` for what people need not read (resource samples).
///
/// Nothing in it commands a terminal, whatever a node, a scenario or an edited history says.
pub(crate) fn tell(observation: &Observation, steps: &[StepText]) -> Option<(String, String)> {
    let (who, what) = told(observation, steps)?;
    Some((clean_line(&who).into_owned(), clean(&what).into_owned()))
}

fn told(observation: &Observation, steps: &[StepText]) -> Option<(String, String)> {
    let bench = || String::from("dsbench");
    Some(match &observation.what {
        What::Run(Phase::Ready) if steps.iter().any(|step| step.stage == Stage::Setup) => {
            (bench(), "all nodes are ready, and the setup is done".into())
        }
        What::Run(phase) => (bench(), run_phase(phase)),
        What::Process(process) => (who(&process.of), change(&process.change, process.of.life)),
        What::Event(event) => (who(&event.of), format!("{}{}", event.name, fields(&event.fields))),
        What::Action(action) => (bench(), did(action)),
        What::Step(StepChange { step, state }) => {
            let text = steps.get(*step);
            let label = text.map_or_else(|| Stage::Main.label(step.saturating_add(1)), StepText::label);
            (label, step_state(state, text.map_or("", |text| &text.words)))
        }
        What::Nemesis(nemesis) => (String::from("nemesis"), nemesis_change(nemesis)),
        What::Operation(operation) => (operation.client.to_string(), performed(operation)),
        What::Workload(change) => (change.name.to_string(), workload_state(&change.state)),
        What::Sample(_) => return None,
        What::Traffic(traffic) => (String::from("network"), counted(traffic)?),
        What::Stall(stall) => {
            let late = observation.at.since(stall.since);
            (bench(), format!("was itself late by {} ({}): not the cluster's fault", seconds(late), stall.of))
        }
        What::Answer(answer) => (bench(), format!("`{}` {}", answer.command.join(" "), answered(answer.exit))),
    })
}

/// `570 B`, `2.2 KiB`
pub(crate) fn bytes(count: u64) -> String {
    match count {
        0..1024 => format!("{count} B"),
        1024..1_048_576 => format!("{:.1} KiB", count as f64 / 1024.0),
        _ => format!("{:.1} MiB", count as f64 / 1_048_576.0),
    }
}

/// `0.84s`.
pub(crate) fn seconds(duration: std::time::Duration) -> String {
    format!("{:.2}s", duration.as_secs_f64())
}

/// `peer1`, or `redis1/sentinel` for a further process.
pub(crate) fn who(life: &Life) -> String {
    match &*life.process {
        "main" => life.node.to_string(),
        process => format!("{}/{process}", life.node),
    }
}

/// ` term=3 leader=peer2`
pub(crate) fn fields(fields: &Fields) -> String {
    fields.iter().map(|(name, value)| format!(" {name}={}", shown(value))).collect()
}

fn shown(value: &Value) -> String {
    match value {
        Value::Int(n) => n.to_string(),
        Value::Float(x) => x.to_string(),
        Value::Text(text) | Value::Node(text) => text.escape_debug().to_string(),
        Value::Nodes(nodes) => nodes.iter().map(|node| node.escape_debug().to_string()).collect::<Vec<_>>().join(","),
    }
}

fn run_phase(phase: &Phase) -> String {
    match phase {
        Phase::Started => "starts the nodes".into(),
        Phase::Ready => "all nodes are ready".into(),
        Phase::StepsDone => "all steps are done".into(),
        Phase::Ended { because } => format!("ends the run: {}", ending(because)),
    }
}

pub(crate) fn ending(because: &Ending) -> &'static str {
    match because {
        Ending::Complete => "everything was seen",
        Ending::EndStep => "a step said so",
        Ending::Abandoned => "a step could not go on",
        Ending::Timeout => "its time is over",
        Ending::TooMuch => "the history is as large as it may become",
        Ending::Interrupted { .. } => "interrupted",
        Ending::Environment => "the cluster could not be started",
        Ending::ByHand => "asked to",
    }
}

fn change(change: &Change, life: u32) -> String {
    match change {
        Change::Started { pid } if life == 1 => format!("started (pid {pid})"),
        Change::Started { pid } => format!("started again, life {life} (pid {pid})"),
        Change::NotStarted { why } => format!("not started: {why}"),
        Change::Ready => "ready".into(),
        Change::NotReady { why } => format!("not ready: {why}"),
        Change::Exited { exit, expected: true } => format!("ended ({})", exit_text(*exit)),
        Change::Exited { exit, expected: false } => format!("EXITED by itself ({})", exit_text(*exit)),
        Change::Leaking { children } => {
            format!("its main program ended, but children live on: {}", clean_line(&children.join(", ")))
        }
        Change::Empty => "nothing of it is left".into(),
    }
}

/// `exit code 1`, `SIGKILL`.
pub(crate) fn exit_text(exit: Exit) -> String {
    match exit {
        Exit::Code(code) => format!("exit code {code}"),
        Exit::Signal(number) => dsbench_world::signal_name(number),
    }
}

fn answered(exit: Option<Exit>) -> String {
    match exit {
        Some(Exit::Code(0)) => "says it holds".into(),
        Some(Exit::Code(1)) => "says it is violated".into(),
        Some(Exit::Code(3)) => "cannot tell".into(),
        Some(exit) => format!("ended with {}", exit_text(exit)),
        None => "did not run".into(),
    }
}

/// Where a port of a node can be reached.
pub(crate) fn exposed(node: &str, port: &str, addr: &str) -> String {
    format!("{node}: its port `{port}` is {addr} on this machine")
}

/// What was done, to whom, and who asked for it: `kill peer2 by the nemesis (fault 3)`.
pub(crate) fn did(action: &Action) -> String {
    format!("{}{}", acted(action), asked(action))
}

/// What was done, to whom: `kill peer2`.
pub(crate) fn acted(action: &Action) -> String {
    let verb = action.verb.key();
    if action.verb.is_network() {
        let whom = if action.ends.is_empty() && !action.verb.is_fault() { "nothing".into() } else { action.whom() };
        return format!("{verb} {whom}");
    }
    let nodes = action.nodes.join(", ");
    let with = action.with.as_ref().map(|with| format!(" {}", with.escape_debug())).unwrap_or_default();
    // To start what is not alive is the point of a start.
    let hits_nothing = action.hit.is_empty() && !matches!(action.verb, ActionVerb::Start | ActionVerb::Restart);
    let nothing = if hits_nothing { " (nothing of it was alive)" } else { "" };
    format!("{verb}{with} {nodes}{nothing}")
}

/// What rules did to frames; at the end, when each has been told, only what went over the links. Nothing if there was nothing.
fn counted(traffic: &Traffic) -> Option<String> {
    if !traffic.links.is_empty() {
        let (frames, dropped) = traffic.links.iter().fold((0_u64, 0_u64), |(all, lost), link| {
            (all.saturating_add(link.frames), lost.saturating_add(link.dropped))
        });
        return Some(format!("{frames} frames over {} links, {dropped} of them lost to faults", traffic.links.len()));
    }
    let rule = |rule: &RuleTraffic| {
        let did = [
            (rule.dropped, "dropped"),
            (rule.delayed, "delayed"),
            (rule.duplicated, "sent twice"),
            (rule.reordered, "overtaken"),
            (rule.corrupted, "changed"),
            (rule.reset, "connections reset"),
        ];
        let did: Vec<String> =
            did.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
        let did = if did.is_empty() { "nothing done".to_owned() } else { did.join(", ") };
        format!("fault #{} met {} frames: {did}", rule.rule, rule.matched)
    };
    let rules: Vec<String> = traffic.rules.iter().map(rule).collect();
    (!rules.is_empty()).then(|| rules.join("; "))
}

/// ` by the nemesis (fault 3)`, ` by hand`, ` in the setup`; nothing for a step, whose own lines stand around it.
pub(crate) fn asked(action: &Action) -> String {
    match action.origin() {
        _ if action.setup => " in the setup".to_owned(),
        Origin::Step(_) | Origin::Bench => String::new(),
        origin => format!(" {origin}"),
    }
}

/// `say 1000017 at chat2`, `INFO say 1000017 at chat2: no answer within 5s`.
fn performed(operation: &Operation) -> String {
    let Operation { kind, op, node, key, value, why, process, .. } = operation;
    let mark = match kind {
        OperationKind::Invoke => "",
        OperationKind::Ok => "ok ",
        OperationKind::Fail => "FAIL ",
        OperationKind::Info => "INFO ",
    };
    let datum =
        |datum: &Datum| datum.to_string().chars().take(DATUM_WIDTH).collect::<String>().escape_debug().to_string();
    let key = key.as_ref().map(|key| format!(" key {}", datum(key))).unwrap_or_default();
    let value = value.as_ref().map(|value| format!(" {}", datum(value))).unwrap_or_default();
    let node = node.as_ref().map(|node| format!(" at {node}")).unwrap_or_default();
    let why = why.as_ref().map(|why| format!(": {}", clean_line(why))).unwrap_or_default();
    format!("{mark}{op}{key}{value}{node} [process {process}]{why}")
}

/// What has become of a workload, for its name.
pub(crate) fn workload_state(state: &WorkloadState) -> String {
    match state {
        WorkloadState::Waiting => "has not begun".into(),
        WorkloadState::Begun => "begins".into(),
        WorkloadState::Stopped { behind: 0 } => "begins no more operations".into(),
        WorkloadState::Stopped { behind } => format!("begins no more operations; {behind} that were due had not begun"),
        WorkloadState::Over => "all of its operations have ended".into(),
        WorkloadState::ClientStarted { client, life: 1, pid } => format!("{client} started (pid {pid})"),
        WorkloadState::ClientStarted { client, life, pid } => {
            format!("{client} started again, life {life} (pid {pid})")
        }
        WorkloadState::ClientEnded { client, why, .. } => format!("{client} ended: {}", clean_line(why)),
    }
}

/// What has become of the nemesis, for the name `nemesis`.
pub(crate) fn nemesis_change(change: &NemesisChange) -> String {
    match change {
        NemesisChange::Waiting => "has not begun".into(),
        NemesisChange::Begun => "begins".into(),
        NemesisChange::PassedOver { fault, why, .. } => {
            format!("passes fault {} over: {why}", fault.saturating_add(1))
        }
        NemesisChange::NotBack { fault, why } => format!("NOT BACK after fault {}: {why}", fault.saturating_add(1)),
        NemesisChange::Stopped { never_came: None } => "stops".into(),
        NemesisChange::Stopped { never_came: Some(event) } => format!("stops; it waited for {event}, which never came"),
        NemesisChange::Healed => "has undone everything".into(),
    }
}

fn step_state(state: &StepState, step: &str) -> String {
    match state {
        StepState::Begun => step.to_owned(),
        StepState::Done => format!("done: {step}"),
        StepState::WaitMissed { why } | StepState::ExpectMissed { why } => format!("MISSED {step}: {why}"),
        StepState::Failed { why } => format!("FAILED {step}: {why}"),
        StepState::NotBack { why } => format!("NOT BACK after {step}: {why}"),
        StepState::Bound { name, to } => format!("{name} is {}", to.join(", ")),
        StepState::Cut { why } => format!("CUT {step}: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dsbench_core::time::RunTime;

    #[test]
    fn an_action_that_no_step_asked_for_says_who_did() {
        let told = |origin| {
            let action = Action::new(ActionVerb::Pause, vec!["a".into()], Vec::new()).asked_by(origin);
            tell(&Observation { number: 0, at: RunTime::START, what: What::Action(action.into()) }, &[]).unwrap().1
        };
        assert_eq!(told(Origin::Step(1)), "pause a (nothing of it was alive)");
        assert_eq!(told(Origin::Nemesis(2)), "pause a (nothing of it was alive) by the nemesis (fault 3)");
        assert_eq!(told(Origin::Hand), "pause a (nothing of it was alive) by hand");
    }
}
