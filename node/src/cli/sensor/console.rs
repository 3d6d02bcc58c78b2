//! What a person can ask of a sensor peer: `status`, `help`, `quit`.

use std::collections::BTreeSet;

use dsbench_protocol::Sensor;
use dsbench_wire::NodeId;

use crate::emit::Escaped;
use crate::runtime::{Commands, Reply};
use crate::transport::Traffic;

const HELP: &str = "\
status   role, term, leader, members, who is suspected, and the state of the network
help     this list
quit     leave gracefully, as Ctrl-C, Ctrl-D and SIGTERM do";

impl Commands for Sensor {
    fn command(&self, line: &str, me: &NodeId, traffic: Traffic) -> Reply {
        match line {
            "" => Reply::Nothing,
            "status" => Reply::Answer(status(self, me, traffic)),
            "help" => Reply::Answer(HELP.to_owned()),
            "quit" | "exit" => Reply::Leave,
            unknown => {
                let unknown: String = unknown.chars().take(40).collect();
                Reply::Answer(format!("unknown command `{}` (there are: status, help, quit)", Escaped(&unknown)))
            }
        }
    }
}

fn status(sensor: &Sensor, me: &NodeId, traffic: Traffic) -> String {
    let role = match sensor.leader() {
        Some(leader) if leader == me => "leader",
        Some(_) => "follower",
        None => "electing",
    };
    let leader = sensor.leader().map_or("none", NodeId::as_str);
    let Traffic { connected, ignored, dropped } = traffic;
    format!(
        "status role={role} term={} leader={leader} connected={connected} ignored={ignored} dropped={dropped}",
        sensor.term()
    )
}

/// `peer1,peer2`, or `none`: a value without a space.
pub(super) fn list(ids: &BTreeSet<NodeId>) -> String {
    if ids.is_empty() {
        return "none".to_owned();
    }
    ids.iter().map(NodeId::as_str).collect::<Vec<_>>().join(",")
}
