//! A series of runs: which, how often, an audience that is told of each, and what they come to together.

mod audience;
mod filter;
mod housekeeper;
mod kinds;
mod memory;
mod selected;
mod tally;

use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use dsbench_core::judgement::Judgement;
use dsbench_world::{Clock, Signals};

pub use audience::Audience;
pub use filter::{Filter, Pattern, Shard, Tag};
pub use housekeeper::Housekeeper;
pub use kinds::{Kind, Kinds};
pub use memory::{Failed, Memory};
pub use selected::{Selected, distinguish};
pub use tally::{Record, Tally};

use crate::error::BenchError;
use crate::run::{KeepUp, Order, Outcome, run as run_one};
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
    // Also between two runs a signal ends the series, and not dsbench before its last word.
    let signals = Signals::block();
    let clock = Clock::start();
    let mut tally = Tally::new(series);
    audience.begins(series);
    'rounds: for round in 1.. {
        for (index, selected) in series.runs.iter().enumerate() {
            if !series.goes_on(round, clock.now().elapsed()) {
                break 'rounds;
            }
            if let Some(signal) = Signals::take_pending() {
                tally.interrupted(signal);
                break 'rounds;
            }
            // Made just before it is run: a series of any length holds one plan at a time.
            let order = Order { keep: series.keep, pcap: series.pcap, ..selected.order(&series.logs, index, round) };
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
                    if !matches!(error, BenchError::Environment(_) | BenchError::File { .. }) {
                        break 'rounds;
                    }
                    Judgement::Environment
                }
            };
            let stops = series.stops_early && judgement != Judgement::Pass;
            if stops || matches!(judgement, Judgement::Interrupted { .. }) {
                break 'rounds;
            }
        }
        if series.runs.is_empty() {
            break;
        }
    }
    // A reader that is stuck must not keep the last word, and dsbench with it.
    drop(signals);
    audience.ended(&tally);
    tally
}
