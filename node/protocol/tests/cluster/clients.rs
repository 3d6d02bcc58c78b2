//! Clients that outlive nodes: each asks for one thing after the other, and asks again, anywhere, until it has its answer.

use std::time::Duration;

use dsbench_protocol::{Answer, Asker};
use dsbench_wire::{NodeId, RequestId};

use crate::chance::Chance;

/// All clients of a cluster.
#[derive(Debug, Default)]
pub(crate) struct Clients {
    clients: Vec<Client>,
    is_over: bool,
}

#[derive(Debug)]
struct Client {
    name: String,
    serial: u64,
    /// It waits for the answer to its last request.
    is_waiting: bool,
    asked: Duration,
    chance: Chance,
    /// What it was told: the request, and its number among all deliveries.
    done: Vec<(RequestId, u64)>,
    /// Answers that it should never get.
    odd: Vec<Answer>,
}

/// What to ask of whom, and when to look again.
type Turn = (Option<(NodeId, RequestId, String)>, Duration);

/// Without an answer for so long, a client asks another node.
const PATIENCE: Duration = Duration::from_millis(350);

impl Clients {
    pub(crate) fn add(&mut self, seed: u64, count: usize) {
        for n in 0..count {
            let name = format!("client{n}");
            let chance = Chance::of(seed, &name);
            let asked = Duration::ZERO;
            let client =
                Client { name, serial: 0, is_waiting: false, asked, chance, done: Vec::new(), odd: Vec::new() };
            self.clients.push(client);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.clients.len()
    }

    /// Nothing new is asked for any more.
    pub(crate) fn ask_no_more(&mut self) {
        self.is_over = true;
    }

    pub(crate) fn answered(&mut self, asker: Asker, answer: &Answer, _now: Duration) {
        let Some(client) = asker.0.checked_sub(1).and_then(|n| self.clients.get_mut(n as usize)) else { return };
        match answer {
            Answer::Acknowledged { id, seq, .. } => {
                client.is_waiting &= id.serial != client.serial;
                client.done.push((id.clone(), *seq));
            }
            // A node that leaves lets go of what it was asked, and refuses it or knows nothing.
            Answer::Refused { .. } | Answer::Unknown { .. } if answer.to_string().ends_with("leaving") => {}
            // It has asked this node very often.
            Answer::Unknown { .. } if answer.to_string().ends_with("busy") => {}
            // A node that was away may answer late what another has answered long ago, and honestly does not know any more.
            Answer::Unknown { id, .. } if id.serial < client.serial || !client.is_waiting => {}
            odd => client.odd.push(odd.clone()),
        }
    }

    pub(crate) fn due(&mut self, n: usize, now: Duration, ids: &[NodeId]) -> Option<Turn> {
        let is_over = self.is_over;
        let client = self.clients.get_mut(n)?;
        let next = now + client.chance.between(Duration::from_millis(20), Duration::from_millis(250));
        if client.is_waiting && now < client.asked + PATIENCE {
            return Some((None, next));
        }
        if !client.is_waiting {
            if is_over {
                return None;
            }
            client.serial += 1;
            client.is_waiting = true;
        }
        client.asked = now;
        let id = RequestId { client: client.name.parse().expect("a name"), serial: client.serial };
        let node = client.chance.pick(ids).clone();
        let text = format!("{id}");
        Some((Some((node, id, text)), next))
    }

    /// Who still waits.
    pub(crate) fn waiting(&self) -> Vec<String> {
        self.clients.iter().filter(|client| client.is_waiting).map(|c| format!("{}/{}", c.name, c.serial)).collect()
    }

    /// Everything that was acknowledged.
    pub(crate) fn done(&self) -> impl Iterator<Item = &(RequestId, u64)> {
        self.clients.iter().flat_map(|client| &client.done)
    }

    /// Answers that no client should get that asks for one thing after the other.
    pub(crate) fn odd(&self) -> impl Iterator<Item = &Answer> {
        self.clients.iter().flat_map(|client| &client.odd)
    }
}
