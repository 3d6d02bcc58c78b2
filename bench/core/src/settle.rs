//! Following the history until a cluster is at rest: every fault is undone, every node is up, no operation is open, and for a while nothing
//! happens.

use std::time::Duration;

use crate::check::disturbance::disturbs;
use crate::check::quiescence::{Calm, unrest};
use crate::cluster::ClusterState;
use crate::observation::{Name, Observation, What};
use crate::scenario::Settle;
use crate::time::RunTime;

/// Follows the history of a run.
#[derive(Debug, Clone)]
pub struct Resting {
    quiet: Duration,
    events: Vec<Name>,
    calm: Calm,
    /// When an event of these happened for the last time.
    since: RunTime,
    /// What that was, if it was an event: its name, and at which node.
    last: Option<(Name, Name)>,
}

impl Resting {
    /// Nothing has happened yet. Feed it the history from its beginning.
    pub fn new(settle: &Settle) -> Self {
        Self {
            quiet: settle.quiet,
            events: settle.events.clone(),
            calm: Calm::default(),
            since: RunTime::START,
            last: None,
        }
    }

    /// Takes in the next observation.
    pub fn observe(&mut self, observation: &Observation) {
        self.calm.observe(observation);
        match &observation.what {
            What::Event(event) if self.events.is_empty() || self.events.contains(&event.name) => {
                self.since = self.since.max(observation.at);
                self.last = Some((event.name.clone(), event.of.node.clone()));
            }
            _ if disturbs(observation) => self.last = None,
            _ => {}
        }
    }

    /// When the cluster will have been at rest for long enough, if nothing happens until then.
    ///
    /// # Errors
    ///
    /// Why it cannot come to rest as it is, for people.
    pub fn rests_at(&self, state: &ClusterState) -> Result<RunTime, String> {
        let members: Vec<Name> = state.nodes().iter().filter(|node| state.has_run(node)).cloned().collect();
        match unrest(&members, state).or_else(|| self.calm.open_operation()) {
            Some(why) => Err(why),
            None => Ok(self.calm.known_quiet_at(self.since, self.quiet)),
        }
    }

    /// What does not let it rest, for people.
    pub fn missing(&self, state: &ClusterState) -> String {
        let quiet = humantime::format_duration(self.quiet);
        match (self.rests_at(state), &self.last) {
            (Err(why), _) => why,
            (Ok(_), Some((event, node))) => {
                format!("it was not quiet for {quiet}: `{event}` at {node} was the last that came")
            }
            (Ok(_), None) => format!("it was not quiet for {quiet}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::OperationKind;
    use crate::stories::{Story, ms};

    fn follow(story: &Story, events: &[&str]) -> (Result<RunTime, String>, String) {
        let events = events.iter().map(|event| Name::from(*event)).collect();
        let settle = Settle { quiet: Duration::from_secs(2), within: Duration::from_secs(20), events };
        let mut resting = Resting::new(&settle);
        let nodes: Vec<Name> = ["a", "b", "never"].map(Name::from).to_vec();
        let main = [Name::from(crate::observation::MAIN)];
        let mut state = ClusterState::new(nodes.iter().map(|node| (node, &main[..])), &[]);
        for observation in story.history.observations() {
            state.observe(observation);
            resting.observe(observation);
        }
        (resting.rests_at(&state), resting.missing(&state))
    }

    #[test]
    fn a_cluster_rests_once_all_are_up_and_nothing_happens_any_more() {
        let mut story = Story::of(&["a", "b"]);
        story.at(1000).delivers("a", "m1", 1, 1).at(3000).leads("b", 1);
        // What was written just before may be on its way for 100 ms.
        let from = |at: u64| Ok(ms(at + 100) + Duration::from_nanos(1));
        assert_eq!(follow(&story, &[]).0, from(5000));
        assert_eq!(follow(&story, &["delivered"]).0, from(3000));
        assert_eq!(follow(&story, &[]).1, "it was not quiet for 2s: `leads` at b was the last that came");
        story.at(4000).kill("a");
        assert_eq!(follow(&story, &[]).0, Err("a is down".into()));
        story.at(6000).restart("a");
        assert_eq!(follow(&story, &["delivered"]).0, from(8000));
        story.at(7000).pause("b");
        assert_eq!(follow(&story, &[]).0, Err("b is frozen".into()));
    }

    #[test]
    fn a_cluster_does_not_rest_while_an_operation_is_open_or_the_bench_cannot_see_it() {
        let mut story = Story::of(&["a", "b"]);
        story.at(1000).delivers("a", "m1", 1, 1).asks(0, "say", 1);
        assert_eq!(
            follow(&story, &[]),
            (Err("`say` of client1 has not ended".into()), "`say` of client1 has not ended".into())
        );
        story.at(1500).told(0, OperationKind::Info).at(2400).stall(2000);
        assert_eq!(follow(&story, &[]).0, Ok(ms(3500) + Duration::from_nanos(1)));
    }
}
