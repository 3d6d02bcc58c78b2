//! Values of the command line in the place of a scenario's own.

use std::time::Duration;

use clap::Args;
use dsbench_core::scenario::{Asked, Override};

use crate::error::BenchError;
use crate::load;

/// What is the same wherever a scenario is read.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Values")]
pub(crate) struct ValueArgs {
    /// Change a value of the scenario: a path and a TOML value (repeatable); at a path of the matrix, only this value is run
    #[arg(long = "set", value_name = "PATH=VALUE")]
    pub(crate) set: Vec<String>,
    /// Run it with each of these values, besides or instead of the scenario's matrix (repeatable: every combination)
    #[arg(long = "matrix", value_name = "PATH=V1,V2")]
    pub(crate) matrix: Vec<String>,
    /// Only this case of the scenario (repeatable)
    #[arg(long = "case", value_name = "NAME")]
    pub(crate) cases: Vec<String>,
    /// Leave the faults out, and what looks for their consequences: is the cluster sound without them?
    #[arg(long)]
    pub(crate) no_faults: bool,
    /// The longest that a run may take, instead of what the scenario says
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    pub(crate) timeout: Option<Duration>,
}

impl ValueArgs {
    /// The same as the language says it.
    pub(crate) fn asked(&self) -> Result<Asked, BenchError> {
        let mut set = load::overrides(&self.set)?;
        if let Some(timeout) = self.timeout {
            let text = format!("timeout={}", humantime::format_duration(timeout));
            set.push(Override::parse(&text).expect("a path and a value"));
        }
        Ok(Asked { cases: self.cases.clone(), set, matrix: load::axes(&self.matrix)?, without_faults: self.no_faults })
    }
}

/// A length of time that is not zero.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err("a length of time has a unit: 90s, 5m, \"1h 30m\"".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::{ValueArgs, parse_duration};

    #[test]
    fn a_timeout_is_a_value_like_any_other() {
        let args = ValueArgs { timeout: Some(std::time::Duration::from_secs(90)), ..ValueArgs::default() };
        let set: Vec<_> = args.asked().unwrap().set.iter().map(ToString::to_string).collect();
        assert_eq!(set, ["timeout=1m 30s"]);
        assert!(parse_duration("5").is_err() && parse_duration("0s").is_err() && parse_duration("5m").is_ok());
    }

    #[test]
    fn what_is_no_value_is_told_with_an_example() {
        let args = |set: &[&str], matrix: &[&str]| ValueArgs {
            set: set.iter().map(|text| (*text).to_owned()).collect(),
            matrix: matrix.iter().map(|text| (*text).to_owned()).collect(),
            ..ValueArgs::default()
        };
        for args in [args(&["nodes.count"], &[]), args(&[], &["nodes.count="]), args(&[], &["nodes.count=3,,5"])] {
            let why = args.asked().unwrap_err();
            assert_eq!(why.exit_code(), 2);
            assert!(why.to_string().contains("as in nodes.count="), "{why}");
        }
    }
}
