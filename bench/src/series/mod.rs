//! A series of runs: which, how often, an audience that is told of each, and what they come to together.

mod audience;
mod filter;
mod housekeeper;
mod kinds;
mod memory;
mod selected;
mod side_by_side;
mod tally;
mod turns;

use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use dsbench_core::judgement::Judgement;
use dsbench_world::Signals;

pub use audience::Audience;
pub use filter::{Filter, Pattern, Shard, Tag};
pub use housekeeper::Housekeeper;
pub use kinds::{Kind, Kinds};
pub use memory::{Failed, Memory};
pub use selected::{Selected, distinguish};
pub use side_by_side::Underway;
pub(crate) use side_by_side::{COMMAND, work};
pub use tally::{Record, Tally};

use self::turns::Turns;
use crate::run::{KeepUp, Outcome, run as run_one};
use crate::store::Keep;

/// What is run, and how often.
#[derive(Debug)]
pub struct Series {
    /// One round: these, in this order.
    pub runs: Vec<Selected>,
    /// How many rounds.
    pub rounds: Rounds,
    /// Stops after the first run that is not a pass.
    pub stops_early: bool,
    /// Where runs are stored; the current directory's `logs`.
    pub logs: PathBuf,
    /// When the data directories of a run's nodes are kept.
    pub keep: Keep,
    /// So many runs are made at the same time, at most.
    pub jobs: usize,
    /// Who takes over the cluster of the first run that is no pass, if anybody does.
    pub(crate) keeper: Option<UnixStream>,
    /// Every packet between nodes is recorded, where they have a network of their own.
    pub pcap: bool,
}

/// How often the selected runs are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rounds {
    /// So many times each.
    Times(u64),
    /// Until this time is over, each at least once; the run in progress is finished.
    For(Duration),
}

impl Series {
    /// How many runs it has; none if time decides.
    pub fn planned(&self) -> Option<u64> {
        match self.rounds {
            Rounds::Times(times) => Some(times.saturating_mul(self.runs.len() as u64)),
            Rounds::For(_) => None,
        }
    }

    /// How many runs are made at the same time: never more than there are.
    pub fn side_by_side(&self) -> usize {
        let planned = self.planned().map_or(usize::MAX, |planned| usize::try_from(planned).unwrap_or(usize::MAX));
        self.jobs.min(planned).max(1)
    }

    /// True if more than one run is made of each.
    pub fn repeats(&self) -> bool {
        self.rounds != Rounds::Times(1)
    }

    /// True if the run after `elapsed`, in this round (from 1), is still wanted.
    fn goes_on(&self, round: u64, elapsed: Duration) -> bool {
        match self.rounds {
            Rounds::Times(times) => round <= times,
            // What was never run would look like what passed.
            Rounds::For(time) => round == 1 || elapsed < time,
        }
    }
}

/// Makes the runs, in order. Whatever happens, the audience is told of each and of the end.
///
/// One scenario that cannot run here does not hide what the others find; a world that cannot be controlled ends the series.
pub fn run(series: &Series, audience: &mut dyn Audience) -> Tally {
    match series.side_by_side() {
        1 => one_by_one(series, audience),
        _ => side_by_side::run(series, audience),
    }
}

fn one_by_one(series: &Series, audience: &mut dyn Audience) -> Tally {
    // Also between two runs a signal ends the series, and not dsbench before its last word.
    let signals = Signals::block();
    let mut tally = Tally::new(series);
    audience.begins(series);
    for order in Turns::of(series) {
        if let Some(signal) = Signals::take_pending() {
            tally.interrupted(signal);
            break;
        }
        audience.run_begins(&order);
        let live = audience.live(&order);
        // Of a run that is kept up everything is told before its cluster is left to people: it is the last one.
        let mut told = |outcome: &Outcome| {
            audience.run_ended(&order, outcome);
            tally.ended(&order, outcome);
            audience.ended(&tally);
        };
        let keeper = series.keeper.as_ref().and_then(|keeper| keeper.try_clone().ok());
        let judgement = match run_one(&order, live, keeper.map(|owner| KeepUp { owner, told: &mut told })) {
            Ok(outcome) if outcome.was_kept => return tally,
            Ok(outcome) => {
                audience.run_ended(&order, &outcome);
                tally.ended(&order, &outcome);
                outcome.judgement
            }
            Err(error) => {
                audience.cannot_run(&order, &error);
                tally.could_not_run(&order, &error);
                if error.ends_series() {
                    break;
                }
                Judgement::Environment
            }
        };
        let stops = series.stops_early && judgement != Judgement::Pass;
        if stops || matches!(judgement, Judgement::Interrupted { .. }) {
            break;
        }
    }
    // A reader that is stuck must not keep the last word, and dsbench with it.
    drop(signals);
    audience.ended(&tally);
    tally
}
