//! Which requests are done already, with their results: the part of the replicated state that makes a retry harmless.
//!
//! Ongaro's thesis, 6.3. The table changes only when entries are applied, so it is the same on every node, and a request that two
//! leaders have both put into the log is done at its first place.

use std::collections::{BTreeMap, VecDeque};

use dsbench_wire::{ClientId, Position, RequestId};
use serde::{Deserialize, Serialize};

/// The newest results that are kept of a client. A node has no more requests of one client under way.
pub(crate) const RESULTS: usize = 128;
/// Clients that are remembered. Beyond, the one whose last request is the oldest is forgotten.
const CLIENTS: usize = 10_000;

/// Every client's done requests.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sessions {
    clients: BTreeMap<ClientId, Session>,
    /// The client of each newest result, by its index.
    ages: BTreeMap<u64, ClientId>,
}

/// Serials only grow, so the last one tells all that are done or skipped for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Session {
    last: u64,
    at: u64,
    results: VecDeque<Done>,
}

/// How a request was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Done {
    pub(crate) serial: u64,
    pub(crate) seq: u64,
    pub(crate) at: Position,
}

/// What is known of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Not done, and it can still be.
    Open,
    /// Done.
    Done(Done),
    /// Not done, and it cannot be any more: a later one is.
    Skipped,
    /// Too long ago to know.
    Forgotten,
}

impl Sessions {
    pub(crate) fn standing(&self, id: &RequestId) -> Standing {
        let Some(session) = self.clients.get(&id.client).filter(|session| id.serial <= session.last) else {
            return Standing::Open;
        };
        match session.results.binary_search_by_key(&id.serial, |done| done.serial) {
            Ok(place) => Standing::Done(session.results[place]),
            Err(0) if session.results.len() == RESULTS => Standing::Forgotten,
            Err(_) => Standing::Skipped,
        }
    }

    /// Notes the result of an open request.
    pub(crate) fn note(&mut self, client: &ClientId, done: Done) {
        let fresh = || Session { last: 0, at: 0, results: VecDeque::new() };
        let session = self.clients.entry(client.clone()).or_insert_with(fresh);
        self.ages.remove(&session.at);
        self.ages.insert(done.at.index, client.clone());
        (session.last, session.at) = (done.serial, done.at.index);
        if session.results.len() == RESULTS {
            session.results.pop_front();
        }
        session.results.push_back(done);
        if self.clients.len() > CLIENTS
            && let Some((_, oldest)) = self.ages.pop_first()
        {
            self.clients.remove(&oldest);
        }
    }

    /// The last request of `client` that is done; 0 before the first.
    pub(crate) fn last(&self, client: &ClientId) -> u64 {
        self.clients.get(client).map_or(0, |session| session.last)
    }
}

#[cfg(test)]
mod tests {
    use dsbench_wire::Term;

    use super::*;

    fn id(client: &str, serial: u64) -> RequestId {
        RequestId { client: client.parse().unwrap(), serial }
    }

    fn done(serial: u64, index: u64) -> Done {
        Done { serial, seq: index, at: Position { term: Term(1), index } }
    }

    #[test]
    fn a_request_is_open_until_it_or_a_later_one_is_done() {
        let mut sessions = Sessions::default();
        sessions.note(&id("a", 0).client, done(3, 7));
        assert_eq!(sessions.standing(&id("a", 3)), Standing::Done(done(3, 7)));
        assert_eq!(sessions.standing(&id("a", 2)), Standing::Skipped);
        assert_eq!(sessions.standing(&id("a", 4)), Standing::Open);
        assert_eq!(sessions.standing(&id("b", 1)), Standing::Open);
        for serial in 4..=200 {
            sessions.note(&id("a", 0).client, done(serial, serial + 10));
        }
        assert_eq!(sessions.standing(&id("a", 3)), Standing::Forgotten, "honestly");
        assert_eq!(sessions.standing(&id("a", 73)), Standing::Done(done(73, 83)));
    }

    #[test]
    fn of_too_many_clients_the_one_that_is_longest_silent_is_forgotten() {
        let mut sessions = Sessions::default();
        sessions.note(&id("first", 0).client, done(1, 1));
        sessions.note(&id("second", 0).client, done(1, 2));
        sessions.note(&id("first", 0).client, done(2, 3));
        for n in 0..CLIENTS as u64 - 1 {
            sessions.note(&id(&format!("c{n}"), 0).client, done(1, 4 + n));
        }
        assert_eq!(sessions.standing(&id("first", 2)), Standing::Done(done(2, 3)));
        assert_eq!(sessions.standing(&id("second", 1)), Standing::Open);
        assert_eq!((sessions.clients.len(), sessions.ages.len()), (CLIENTS, CLIENTS));
    }
}
