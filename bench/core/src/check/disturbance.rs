//! What disturbs a cluster: whatever after which it has to find itself again.

use crate::history::History;
use crate::observation::{ActionVerb, Change, Observation, Phase, What};
use crate::time::RunTime;

/// True for what the bench does to nodes (a fault or the undoing of one, but not a line of input), for a process that starts, becomes
/// ready or ends, and for the cluster's being ready.
pub(crate) fn disturbs(observation: &Observation) -> bool {
    match &observation.what {
        What::Action(action) => action.verb != ActionVerb::Input,
        What::Process(process) => {
            matches!(process.change, Change::Started { .. } | Change::Ready | Change::Exited { .. })
        }
        What::Run(Phase::Ready) => true,
        _ => false,
    }
}

/// The last disturbance of a run: its observation and time.
pub(super) fn last(history: &History) -> Option<(u64, RunTime)> {
    let disturbances = history.judged().filter(|observation| disturbs(observation));
    disturbances.map(|observation| (observation.number, observation.at)).last()
}
