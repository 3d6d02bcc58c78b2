//! `dsbench show`: a stored run again - verdict, evidence, timeline.

use anstream::{eprintln, print, println};
use clap::Args;

use super::{LOGS, stored::Stored};
use crate::error::BenchError;
use crate::report::screen::{Screen, headline};
use crate::report::tell::tell;

/// Print a stored run: verdict, evidence, timeline
#[derive(Debug, Args)]
#[command(after_help = "\
RUN is the last run, or: a directory, a scenario's name (its last run), the start of a run's name or seed, -1 for the last run, -2 for the one before.")]
pub(super) struct ShowArgs {
    /// Which run [default: the last]
    #[arg(value_name = "RUN", allow_hyphen_values = true)]
    run: Option<String>,
}

pub(super) fn show(args: &ShowArgs) -> Result<u8, BenchError> {
    let stored = Stored::open(LOGS.as_ref(), args.run.as_deref())?;
    let verdict = stored.judge();
    if let Some(torn) = stored.torn {
        eprintln!("warning: the history ends in the middle of line {torn}: dsbench was killed, or the disk was full");
    }
    println!("{}", headline(&stored.file, verdict.judgement));
    let steps = stored.steps();
    let screen = Screen {
        file: &stored.file,
        history: &stored.history,
        verdict: &verdict,
        store: &stored.store,
        steps: &steps,
        logs: stored.shown_logs(),
    };
    print!("{}", screen.render());
    println!("  timeline:");
    for observation in stored.history.observations() {
        if let Some((who, what)) = tell(observation, &steps) {
            println!("    {:>10}  {who:<8} {}", observation.at.to_string(), what.replace('\n', "\n      "));
        }
    }
    Ok(0)
}
