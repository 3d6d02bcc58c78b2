//! `dsbench recheck`: judge a stored history again.

use clap::Args;

use super::{LOGS, stored::Stored};
use crate::error::BenchError;
use crate::report::terminal::{self, say};
use crate::store::verdict_bytes;

/// Judge a stored run again, from its history alone
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  dsbench recheck                                the last run
  dsbench recheck leader-election                the last run of this scenario

The exit code is that of the verdict, as for `dsbench run`. RUN is named as for `dsbench show`.")]
pub(super) struct RecheckArgs {
    /// Which run [default: the last]
    #[arg(value_name = "RUN", allow_hyphen_values = true)]
    run: Option<String>,
}

pub(super) fn recheck(args: &RecheckArgs) -> Result<u8, BenchError> {
    let mut stored = Stored::open(LOGS.as_ref(), args.run.as_deref())?;
    if stored.was_launched() {
        let run = stored.store.dir().display();
        return Err(BenchError::StoredRun(format!("{run} was launched by `dsbench up`: nothing of it is judged")));
    }
    let verdict = stored.judge();
    let screen = stored.screen(&verdict);
    terminal::page(&screen.render());
    stored.tell_if_torn();
    let before = std::fs::read(stored.store.verdict_path()).ok();
    match before {
        Some(before) if before == verdict_bytes(&verdict) => {
            say!("the same verdict as the run itself, byte for byte")
        }
        Some(_) => {
            say!("NOT the verdict of the run itself: the stored files were changed, or another dsbench judged it")
        }
        None => say!("the run itself has stored no verdict (it was cut short, or its disk was full)"),
    }
    Ok(stored.after_all(&verdict).exit_code())
}
