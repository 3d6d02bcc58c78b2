//! A series of runs: one after the other, an audience told of each, and what they come to together.

mod audience;
mod tally;

use dsbench_core::judgement::Judgement;

pub use audience::Audience;
pub use tally::{Judged, Tally};

use crate::error::BenchError;
use crate::report::screen::headline;
use crate::run::{Order, run as run_one};

/// Makes the runs, in order. Whatever happens, the audience is told of each and of the end.
///
/// One scenario that cannot run here does not hide what the others find; a world that cannot be controlled ends the series.
pub fn run(orders: &[Order], audience: &mut dyn Audience) -> Tally {
    let mut tally = Tally { planned: orders.len(), ..Tally::default() };
    audience.begins(orders.len());
    for order in orders {
        audience.run_begins(order);
        match run_one(order, audience.live(order)) {
            Ok(outcome) => {
                audience.run_ended(order, &outcome);
                let judgement = outcome.judgement;
                tally.judged.push(Judged { headline: headline(&outcome.file, judgement), judgement });
                if let Judgement::Interrupted { .. } = judgement {
                    break;
                }
            }
            Err(error) => {
                audience.cannot_run(order, &error);
                let goes_on = matches!(error, BenchError::Environment(_) | BenchError::File { .. });
                tally.impossible.push(error);
                if !goes_on {
                    break;
                }
            }
        }
    }
    audience.ended(&tally);
    tally
}
