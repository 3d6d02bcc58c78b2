//! A series of runs: one after the other, an audience told of each, and what they come to together.

mod audience;
mod tally;

use dsbench_core::judgement::Judgement;

pub use audience::Audience;
pub use tally::{Judged, Tally};

use crate::error::BenchError;
use crate::report::screen::headline;
use crate::run::{Order, run as run_one};

/// Makes the runs, in order. An error means that dsbench itself cannot go on, or that the only run could not take place.
pub fn run(orders: &[Order], audience: &mut dyn Audience) -> Result<Tally, BenchError> {
    let mut tally = Tally { planned: orders.len(), ..Tally::default() };
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
            // One scenario that cannot run here does not hide what the others find.
            Err(error @ (BenchError::Environment(_) | BenchError::File { .. })) if orders.len() > 1 => {
                audience.cannot_run(order, &error);
                tally.impossible.push(error);
            }
            Err(error) => return Err(error),
        }
    }
    audience.ended(&tally);
    Ok(tally)
}
