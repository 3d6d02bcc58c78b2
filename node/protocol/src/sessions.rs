//! Which requests are done already, with their results: the part of the replicated state that makes a retry harmless.
//!
//! Ongaro's thesis, 6.3. The table changes only when entries are applied, so it is the same on every node, and a request that two
//! leaders have both put into the log is done at its first place.
//!
//! What is kept is bounded, and forgotten in three steps, each of them honest: of a client the newest [`RESULTS`] results, of all
//! clients together the newest [`RESULTS_IN_ALL`]; beyond, a retry is still not done again, and is answered "unknown". Of the newest
//! [`CLIENTS`] clients the last serial; beyond, a client is a stranger: **a request that is asked again after so many other clients
//! have done something is done again.** Nobody knows then that it was done before.

use std::collections::{BTreeMap, VecDeque};

use dsbench_wire::{ClientId, Position, RequestId};
use serde::{Deserialize, Serialize};

/// The newest results that are kept of a client. A node has no more requests of one client under way.
pub(crate) const RESULTS: usize = 128;
/// Results of all clients together: 2 MB of a snapshot.
const RESULTS_IN_ALL: usize = 32 * 1024;
/// Clients that are remembered: some 20 MB of memory, 6 MB of a snapshot. Beyond, the one that is longest silent is forgotten.
const CLIENTS: usize = 64 * 1024;

/// Every client's done requests.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Saved")]
pub(crate) struct Sessions {
    clients: BTreeMap<ClientId, Session>,
    /// Some client was forgotten: whoever seems to be new may have been here before.
    has_forgotten: bool,
    /// The client of each newest result, by its index.
    #[serde(skip)]
    ages: BTreeMap<u64, ClientId>,
    /// The client of each result that is kept, by its index.
    #[serde(skip)]
    results: BTreeMap<u64, ClientId>,
}

/// What is saved; the rest follows from it.
#[derive(Deserialize)]
struct Saved {
    clients: BTreeMap<ClientId, Session>,
    #[serde(default)]
    has_forgotten: bool,
}

/// Serials only grow, so the last one tells all that are done or skipped for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Session {
    last: u64,
    at: u64,
    /// Which of the requests up to this one were done is not known any more.
    #[serde(default)]
    forgotten: u64,
    results: VecDeque<Done>,
}

/// How a request was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Done {
    pub(crate) serial: u64,
    pub(crate) seq: u64,
    /// Its entry. Of two results, the later one has the higher index.
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
            Err(_) if id.serial <= session.forgotten => Standing::Forgotten,
            Err(_) => Standing::Skipped,
        }
    }

    /// Notes the result of an open request.
    pub(crate) fn note(&mut self, client: &ClientId, done: Done) {
        let forgotten = if self.has_forgotten { done.serial.saturating_sub(1) } else { 0 };
        let fresh = || Session { last: 0, at: 0, forgotten, results: VecDeque::new() };
        let session = self.clients.entry(client.clone()).or_insert_with(fresh);
        self.ages.remove(&session.at);
        self.ages.insert(done.at.index, client.clone());
        (session.last, session.at) = (done.serial, done.at.index);
        if session.results.len() == RESULTS
            && let Some(oldest) = session.forget_one()
        {
            self.results.remove(&oldest.at.index);
        }
        session.results.push_back(done);
        self.results.insert(done.at.index, client.clone());
        if self.results.len() > RESULTS_IN_ALL
            && let Some((_, whose)) = self.results.pop_first()
            && let Some(session) = self.clients.get_mut(&whose)
        {
            session.forget_one();
        }
        if self.clients.len() > CLIENTS
            && let Some((_, silent)) = self.ages.pop_first()
            && let Some(session) = self.clients.remove(&silent)
        {
            self.has_forgotten = true;
            for done in session.results {
                self.results.remove(&done.at.index);
            }
        }
    }

    /// The last request of `client` that is done; 0 before the first.
    pub(crate) fn last(&self, client: &ClientId) -> u64 {
        self.clients.get(client).map_or(0, |session| session.last)
    }
}

impl Session {
    fn forget_one(&mut self) -> Option<Done> {
        let oldest = self.results.pop_front()?;
        self.forgotten = oldest.serial;
        Some(oldest)
    }
}

impl From<Saved> for Sessions {
    fn from(Saved { clients, has_forgotten }: Saved) -> Self {
        let ages = clients.iter().map(|(client, session)| (session.at, client.clone())).collect();
        let of = |(client, session): (&ClientId, &Session)| {
            let indices: Vec<_> = session.results.iter().map(|done| (done.at.index, client.clone())).collect();
            indices
        };
        let results = clients.iter().flat_map(of).collect();
        Self { clients, has_forgotten, ages, results }
    }
}

#[cfg(test)]
mod tests {
    use dsbench_wire::Term;
    use proptest::prelude::*;

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
        assert_eq!(sessions.standing(&id("a", 2)), Standing::Forgotten, "nobody knows what was skipped then");
        assert_eq!(sessions.standing(&id("a", 73)), Standing::Done(done(73, 83)));
    }

    #[test]
    fn of_too_many_clients_the_one_that_is_longest_silent_is_forgotten_and_nothing_false_is_said_of_it() {
        let mut sessions = Sessions::default();
        sessions.note(&id("first", 0).client, done(1, 1));
        sessions.note(&id("second", 0).client, done(1, 2));
        sessions.note(&id("first", 0).client, done(2, 3));
        for n in 0..CLIENTS as u64 - 1 {
            sessions.note(&id(&format!("c{n}"), 0).client, done(1, 4 + n));
        }
        assert_eq!(sessions.standing(&id("first", 2)), Standing::Forgotten, "only newer results are kept");
        assert_eq!(sessions.last(&id("first", 2).client), 2, "and it is not done again");
        assert_eq!(sessions.standing(&id("second", 1)), Standing::Open);
        assert_eq!((sessions.clients.len(), sessions.ages.len()), (CLIENTS, CLIENTS));
        assert_eq!(sessions.results.len(), RESULTS_IN_ALL);
        let index = CLIENTS as u64 + 10;
        sessions.note(&id("second", 0).client, done(7, index));
        assert_eq!(sessions.standing(&id("second", 7)), Standing::Done(done(7, index)));
        assert_eq!(sessions.standing(&id("second", 1)), Standing::Forgotten, "it was done, and nobody knows");
    }

    /// All requests of all clients, without any bound.
    #[derive(Default)]
    struct Everything(BTreeMap<ClientId, Vec<Done>>);

    proptest! {
        #![proptest_config(ProptestConfig { cases: 3, ..ProptestConfig::default() })]

        #[test]
        fn what_is_said_of_a_request_is_true_and_the_same_after_a_snapshot(
            gaps in prop::collection::vec((0..400_u32, 1..4_u64), 40_000..60_000),
            cut in any::<prop::sample::Index>(),
        ) {
            let (mut sessions, mut everything) = (Sessions::default(), Everything::default());
            let cut = cut.index(gaps.len());
            for (n, (client, gap)) in gaps.into_iter().enumerate() {
                if n == cut {
                    let saved = serde_json::to_string(&sessions).unwrap();
                    let restored: Sessions = serde_json::from_str(&saved).unwrap();
                    prop_assert!(restored == sessions);
                    sessions = restored;
                }
                let client = id(&format!("c{client}"), 0).client;
                let all = everything.0.entry(client.clone()).or_default();
                let now = done(all.last().map_or(0, |last| last.serial) + gap, n as u64 + 1);
                all.push(now);
                sessions.note(&client, now);
            }
            prop_assert!(sessions.results.len() <= RESULTS_IN_ALL);
            for (client, all) in &everything.0 {
                let last = all.last().unwrap().serial;
                for serial in 1..=last + 1 {
                    let was = all.iter().find(|done| done.serial == serial);
                    match sessions.standing(&RequestId { client: client.clone(), serial }) {
                        Standing::Open => prop_assert!(serial > last),
                        Standing::Done(done) => prop_assert_eq!(Some(&done), was),
                        Standing::Skipped => prop_assert_eq!(None, was),
                        Standing::Forgotten => prop_assert!(serial < last),
                    }
                }
                let newest = sessions.standing(&RequestId { client: client.clone(), serial: last });
                prop_assert_eq!(newest, Standing::Done(*all.last().unwrap()));
            }
        }
    }
}
