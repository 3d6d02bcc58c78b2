//! What a person can ask of a sensor peer: `status`, `help`, `quit`.

use std::collections::{BTreeMap, BTreeSet};

use dsbench_protocol::{Event, Sensor};
use dsbench_wire::NodeId;

use crate::emit::Escaped;
use crate::runtime::{Console, Reply};
use crate::transport::Traffic;

const HELP: &str = "\
status   role, term, leader, members, who is suspected, failed or gone, and the state of the network
help     this list
quit     leave gracefully, as Ctrl-C, Ctrl-D and SIGTERM do";

/// Answers from what the core knows and from what the log has told, so that a status never contradicts the log.
#[derive(Debug)]
pub(super) struct SensorConsole {
    me: NodeId,
    members: BTreeSet<NodeId>,
    trouble: BTreeMap<NodeId, Trouble>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trouble {
    Suspected,
    Failed,
    Left,
}

impl SensorConsole {
    pub(super) fn new(me: NodeId, members: BTreeSet<NodeId>) -> Self {
        Self { me, members, trouble: BTreeMap::new() }
    }

    fn status(&self, sensor: &Sensor, traffic: Traffic) -> String {
        let role = match sensor.leader() {
            Some(leader) if *leader == self.me => "leader",
            Some(_) => "follower",
            None => "electing",
        };
        let term = sensor.term();
        let leader = sensor.leader().map_or("none", NodeId::as_str);
        let members = list(&self.members);
        let [suspected, failed, left] =
            [Trouble::Suspected, Trouble::Failed, Trouble::Left].map(|trouble| list(self.in_trouble(trouble)));
        let Traffic { connected, ignored, dropped } = traffic;
        format!(
            "status role={role} term={term} leader={leader} members={members} suspected={suspected} failed={failed} left={left} \
             connected={connected} ignored={ignored} dropped={dropped}"
        )
    }

    fn in_trouble(&self, trouble: Trouble) -> impl Iterator<Item = &NodeId> {
        self.trouble.iter().filter(move |(_, is)| **is == trouble).map(|(id, _)| id)
    }
}

impl Console<Sensor> for SensorConsole {
    fn told(&mut self, event: &Event) {
        let (peer, trouble) = match event {
            Event::Suspected { peer, .. } => (peer, Trouble::Suspected),
            Event::Failed { peer, .. } => (peer, Trouble::Failed),
            Event::Left { peer, .. } => (peer, Trouble::Left),
            Event::Recovered { peer, .. } => {
                self.trouble.remove(peer);
                return;
            }
            // Under another leader others are watched, and a suspicion that is not watched means nothing any more.
            Event::BecameLeader { .. } | Event::ReceivedCoordinator { .. } | Event::Follows { .. } => {
                self.trouble.retain(|_, trouble| *trouble != Trouble::Suspected);
                return;
            }
            _ => return,
        };
        self.trouble.insert(peer.clone(), trouble);
    }

    fn command(&self, line: &str, sensor: &Sensor, traffic: Traffic) -> Reply {
        match line {
            "" => Reply::Nothing,
            "status" => Reply::Answer(self.status(sensor, traffic)),
            "help" => Reply::Answer(HELP.to_owned()),
            "quit" => Reply::Leave,
            unknown => {
                let unknown: String = unknown.chars().take(40).collect();
                Reply::Answer(format!("unknown command `{}` (there are: status, help, quit)", Escaped(&unknown)))
            }
        }
    }
}

/// `peer1,peer2`, or `none`: a value without a space.
pub(super) fn list<'a>(ids: impl IntoIterator<Item = &'a NodeId>) -> String {
    let ids: Vec<&str> = ids.into_iter().map(NodeId::as_str).collect();
    if ids.is_empty() { "none".to_owned() } else { ids.join(",") }
}

#[cfg(test)]
mod tests {
    use dsbench_protocol::{Config, Founding};
    use dsbench_wire::Term;

    use super::*;

    #[test]
    fn a_status_agrees_with_what_the_log_told() {
        let [me, two, three, four] = ["peer1", "peer2", "peer3", "peer4"].map(|id| id.parse::<NodeId>().unwrap());
        let config = Config::new("127.0.0.1:7001".parse().unwrap(), Founding::Bootstrap);
        let members = [me.clone(), two.clone(), three.clone(), four.clone()].into();
        let mut console = SensorConsole::new(me, members);
        let sensor = Sensor::new(config).unwrap();
        let traffic = Traffic { connected: 2, ignored: 1, dropped: 0 };
        let term = Term(1);
        let told = [
            Event::Suspected { peer: two.clone(), term },
            Event::Suspected { peer: three.clone(), term },
            Event::Failed { peer: three.clone(), term },
            Event::Left { peer: four, term },
        ];
        for event in &told {
            console.told(event);
        }
        assert_eq!(
            console.status(&sensor, traffic),
            "status role=electing term=0 leader=none members=peer1,peer2,peer3,peer4 suspected=peer2 failed=peer3 left=peer4 \
             connected=2 ignored=1 dropped=0"
        );
        console.told(&Event::Recovered { peer: three, term });
        console.told(&Event::Follows { leader: two, term });
        let status = console.status(&sensor, traffic);
        assert!(status.contains("suspected=none failed=none left=peer4"), "{status}");
    }
}
