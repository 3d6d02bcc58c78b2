//! The summary of a run for machines, and the verdict's own file.

use std::path::Path;
use std::time::{Duration, SystemTime};

use dsbench_core::judgement::Judgement;
use dsbench_core::verdict::Verdict;

use super::Order;
use crate::load::seed_text;
use crate::store::{End, Environment, Exposed, RunFile, VERSION, peak_memory, rounded_seconds, utc};

/// What is known when a run begins.
pub(crate) fn begun(order: &Order, started: SystemTime, scenario_dir: &Path) -> RunFile {
    let scenario = &order.plan.scenario;
    RunFile {
        v: VERSION,
        dsbench: env!("CARGO_PKG_VERSION").into(),
        scenario: scenario.name.to_string(),
        label: order.label.clone(),
        file: order.source.path.display().to_string(),
        scenario_dir: scenario_dir.display().to_string(),
        seed: seed_text(order.plan.seed),
        case: order.choice.case.as_deref().map(str::to_owned),
        no_faults: order.choice.without_faults,
        set: order.set(),
        started: utc(started),
        nodes: scenario.nodes.iter().map(|node| node.name.to_string()).collect(),
        clients: order.plan.client_programs().map(ToString::to_string).collect(),
        up: false,
        exposed: Exposed::new(),
        environment: Environment::here(scenario.network.is_lab(), order.jobs),
        end: None,
    }
}

/// What is known at its end.
pub(crate) fn end(
    order: &Order,
    verdict: &Verdict,
    judgement: Judgement,
    took: Duration,
    survivors: Vec<String>,
) -> End {
    End {
        result: judgement.word().into(),
        exit_code: judgement.exit_code(),
        seconds: rounded_seconds(took),
        reproduce: reproduce(order),
        bench_rss_bytes_max: peak_memory(),
        survivors,
        artifacts: None,
        verdict: verdict.clone(),
    }
}

/// The command line that does the same again.
pub(super) fn reproduce(order: &Order) -> String {
    let case: String = order.choice.case.iter().map(|case| format!(" --case {}", quoted(case))).collect();
    let set: String = order.set().iter().map(|set| format!(" --set {}", quoted(set))).collect();
    let no_faults = if order.choice.without_faults { " --no-faults" } else { "" };
    format!(
        "dsbench run {}{case}{set}{no_faults} --seed {}",
        quoted(&order.source.path.display().to_string()),
        seed_text(order.plan.seed)
    )
}

/// As a shell takes it.
fn quoted(text: &str) -> String {
    let is_plain = !text.is_empty() && text.chars().all(|c| c.is_alphanumeric() || "-_./:=,@%+".contains(c));
    if is_plain { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}
