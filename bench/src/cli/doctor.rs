//! `dsbench doctor`: what this machine can do, and what to do about the rest.

use std::path::PathBuf;

use clap::Args;
use dsbench_core::plan::Plan;

use super::select::{self, Found};
use super::{LOGS, ValueArgs};
use crate::doctor::{self, Finding, Patient, Status};
use crate::error::BenchError;
use crate::report::terminal::{self, clean_line};
use crate::requirements;

/// Try what a run needs from this machine, and say how to get what is missing
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dsbench doctor                        what every run needs
  dsbench doctor scenarios              and what these scenarios need besides
  dsbench doctor --json | jq .mode      for programs

Nothing is concluded from a version: each capability is used once, in a place that is removed again. \
Exit code 0 if runs can be made here, 5 if something is missing. Warnings do not count.")]
pub(super) struct DoctorArgs {
    /// Scenario files or directories of them, for what they need besides
    #[arg(value_name = "SCENARIO|DIR")]
    scenarios: Vec<PathBuf>,
    #[command(flatten)]
    values: ValueArgs,
    /// Print a JSON object
    #[arg(long, help_heading = "Output")]
    json: bool,
}

/// What is tried for if no scenario is named.
const USUAL_PROCESSES: u64 = 5;

pub(super) fn doctor(args: &DoctorArgs) -> Result<u8, BenchError> {
    let mut patient =
        Patient { logs: LOGS.into(), processes: USUAL_PROCESSES, wants_lab: false, needs: Default::default() };
    if !args.scenarios.is_empty() {
        let asked = args.values.asked()?;
        let Found { sources, mistake } = select::scenarios(&args.scenarios)?;
        for source in sources {
            let directory = source.directory()?;
            source.suite(&asked, |_, scenario| {
                let processes = scenario.nodes.iter().map(|node| node.processes.len() as u64).sum();
                patient.processes = patient.processes.max(processes);
                patient.wants_lab |= scenario.network.is_lab();
                patient.needs.extend(requirements::needs(&Plan::new(scenario, 0), &directory));
            })?;
        }
        if let Some(mistake) = mistake {
            return Err(mistake);
        }
    }
    let findings = doctor::examine(&patient);
    let mode = doctor::mode(&findings);
    if args.json {
        let json = serde_json::json!({ "dsbench": env!("CARGO_PKG_VERSION"), "mode": mode, "findings": findings });
        terminal::data(|out| writeln!(out, "{json:#}"))?;
    } else {
        terminal::data(|out| findings.iter().try_for_each(|finding| write!(out, "{}", row(finding))))?;
        terminal::data(|out| writeln!(out, "\n{}", conclusion(&findings, mode)))?;
    }
    Ok(if mode.is_some() { 0 } else { 5 })
}

fn row(finding: &Finding) -> String {
    let (word, colour) = match finding.status {
        Status::Fine => ("ok", anstyle::AnsiColor::Green),
        Status::Warning => ("warning", anstyle::AnsiColor::Yellow),
        Status::Missing => ("missing", anstyle::AnsiColor::Red),
    };
    let style = colour.on_default();
    let mut row = format!("{style}{word:<8}{style:#} {:<12} {}\n", finding.name, clean_line(&finding.told));
    if let Some(remedy) = &finding.remedy {
        row.push_str(&format!("{:22}help: {}\n", "", clean_line(remedy)));
    }
    row
}

fn conclusion(findings: &[Finding], mode: Option<&str>) -> String {
    let missing = findings.iter().filter(|finding| finding.status == Status::Missing).count();
    match mode {
        Some("lab") => "A run with faults of the network gets the laboratory: a machine of its own for every node.\n\
                        Every other run gets host mode: processes of this machine on 127.0.0.1."
            .to_owned(),
        Some(_) => "A run gets host mode: processes of this machine on 127.0.0.1, and every process fault.\n\
                    One with faults of the network cannot be made here until the laboratory can be built."
            .to_owned(),
        None if missing == 1 => "No run can be made here until what is missing is there.".to_owned(),
        None => format!("No run can be made here until the {missing} things that are missing are there."),
    }
}

#[cfg(test)]
mod tests {
    use super::{conclusion, row};
    use crate::doctor::{Finding, Status, mode};

    fn finding(status: Status) -> Finding {
        Finding { name: "disk", status, told: "3 MB free".into(), remedy: Some("buy\u{1b}[2J one".into()) }
    }

    #[test]
    fn one_thing_that_is_missing_is_enough_and_a_warning_is_not() {
        assert_eq!(mode(&[finding(Status::Fine), finding(Status::Warning)]), Some("host"));
        assert_eq!(mode(&[finding(Status::Missing), finding(Status::Fine)]), None);
        let laboratory = |status| Finding { name: "laboratory", ..finding(status) };
        assert_eq!(mode(&[laboratory(Status::Fine), finding(Status::Warning)]), Some("lab"));
        assert_eq!(mode(&[laboratory(Status::Warning), finding(Status::Fine)]), Some("host"));
        assert!(conclusion(&[], Some("host")).contains("cannot be made here"));
        assert!(conclusion(&[finding(Status::Missing)], None).contains("No run"));
        let text = anstream::adapter::strip_str(&row(&finding(Status::Missing))).to_string();
        assert_eq!(text, "missing  disk         3 MB free\n                      help: buy\\u{1b}[2J one\n");
    }
}
