//! `dsbench show`: a stored run again - verdict, evidence, timeline.

use clap::Args;

use super::{LOGS, stored::Stored};
use crate::error::BenchError;
use crate::report::excerpt::excerpt;
use crate::report::tell::tell;
use crate::report::terminal::{self, clean_line, shown_here};

/// Print a stored run: verdict, evidence, timeline
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dsbench show                                   the last run
  dsbench show leader-election                   the last run of this scenario
  dsbench show -2                                the run before the last
  dsbench show 0x5eed1234                        the run with this seed
  dsbench show -1 --show-logs=50                 with 50 lines of each node's log

RUN is the last run, or: a directory, a scenario's name (its last run), the start of a run's name or seed, -1 for the last run, -2 for the one before.")]
pub(super) struct ShowArgs {
    /// Which run [default: the last]
    #[arg(value_name = "RUN", allow_hyphen_values = true)]
    run: Option<String>,
    /// Show what the nodes' logs say around the moment at which it went wrong: the last N lines of each [default: 20]
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true, default_missing_value = "20")]
    show_logs: Option<usize>,
}

pub(super) fn show(args: &ShowArgs) -> Result<u8, BenchError> {
    let mut stored = Stored::open(LOGS.as_ref(), args.run.as_deref())?;
    let verdict = stored.judge();
    stored.tell_if_torn();
    let steps = stored.steps();
    let screen = stored.screen(&verdict);
    let mut observations: Vec<_> = stored.history.observations().iter().collect();
    // What another thread stamped may stand a little too late in the history; people read by time.
    observations.sort_by_key(|observation| observation.at);
    terminal::data(|out| {
        if stored.was_launched() {
            let run = shown_here(&stored.store.dir().display().to_string());
            writeln!(out, "  launched by `dsbench up`, to be looked at and not to be judged")?;
            writeln!(out, "  run:       {}", clean_line(&run))?;
        } else {
            write!(out, "{}", screen.render())?;
        }
        if let Some(lines) = args.show_logs {
            write!(out, "{}", excerpt(&screen, lines))?;
        }
        writeln!(out, "  timeline:")?;
        for observation in observations {
            if let Some((who, what)) = tell(observation, &steps) {
                writeln!(out, "    {:>10}  {who:<8} {}", observation.at.to_string(), what.replace('\n', "\n      "))?;
            }
        }
        Ok(())
    })?;
    Ok(0)
}
