//! Requests: kept by the node that was asked, until they are done, refused, or honestly unknown.
//!
//! The node asks whoever leads, and asks again with the same id when nothing comes of it: after a while, and at once under a new
//! leader. Its own log tells it what became of a request, so an answer needs no message. The requests of one client enter the
//! log in their order: each names the one before it, and a leader takes it only after that one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dsbench_wire::{ClientId, Content, Entry, Message, NodeId, PAYLOAD_MAX, Record, RequestId, Term};

use super::{Replica, Timer, replicating};
use crate::sessions::{RESULTS, Standing};
use crate::{Answer, Asker, Cx, Event, Machine, Refusal};

/// Requests that wait at one node, at most.
const OPEN_MAX: usize = 8192;
/// Of them, those that the node itself has named.
const OWN_OPEN_MAX: usize = 1000;
/// Their payloads in bytes, at most.
const OPEN_BYTES_MAX: usize = 16 << 20;
/// Entries that a leader has and that are not committed yet, at most. Beyond, requests are left to be asked again.
const BACKLOG_MAX: u64 = 16 * 1024;
/// Own requests are numbered in blocks of so many: reserving a block costs an fsync.
const BLOCK: u64 = 1000;
/// The longest time after which a request is asked again.
const PATIENCE_MAX: Duration = Duration::from_secs(1);

/// All requests that wait for their answer here.
#[derive(Debug, Default)]
pub(super) struct Requests {
    /// What this node calls itself when a person asks.
    own: Option<ClientId>,
    next: u64,
    /// Numbers below this are reserved.
    below: u64,
    clients: BTreeMap<ClientId, Asked>,
    open: usize,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Asked {
    open: BTreeMap<u64, Open>,
    /// How many of them are under way, the first ones.
    sent: usize,
}

#[derive(Debug)]
struct Open {
    payload: Arc<str>,
    askers: Vec<Asker>,
    /// When the leader was asked last.
    sent: Option<Duration>,
    /// It may be in a log.
    is_out: bool,
}

impl Requests {
    /// The last life had reserved all numbers below `below`, as `own`.
    pub(super) fn number_from(&mut self, own: Option<ClientId>, below: u64) {
        (self.own, self.next, self.below) = (own, below.max(1), below.max(1));
    }

    pub(super) fn len(&self) -> usize {
        self.open
    }

    fn take(&mut self, id: &RequestId) -> Option<Open> {
        let asked = self.clients.get_mut(&id.client)?;
        let open = asked.open.remove(&id.serial)?;
        asked.sent -= usize::from(open.sent.is_some());
        self.open -= 1;
        self.bytes -= open.payload.len();
        if asked.open.is_empty() {
            self.clients.remove(&id.client);
        }
        Some(open)
    }
}

impl<M: Machine> Replica<M> {
    /// Somebody asks for `payload` to be delivered to all.
    pub(super) fn requested(&mut self, asker: Asker, id: Option<RequestId>, payload: String, cx: &mut Cx<'_, Self>) {
        if payload.len() > PAYLOAD_MAX || weight_of(&payload) > replicating::BATCH {
            return self.refuse(asker, id, Refusal::TooLong, cx);
        }
        let is_full = self.requests.open >= OPEN_MAX || self.requests.bytes + payload.len() > OPEN_BYTES_MAX;
        let id = match id {
            Some(id) => {
                if self.standing(&id) != Standing::Open {
                    let answer = self.answer_to(&id);
                    return cx.answer(asker, answer);
                }
                let asked = self.requests.clients.get_mut(&id.client);
                if let Some(open) = asked.and_then(|asked| asked.open.get_mut(&id.serial)) {
                    open.askers.push(asker);
                    return;
                }
                id
            }
            None if is_full || self.own_open() >= OWN_OPEN_MAX => return self.refuse(asker, None, Refusal::Busy, cx),
            None => self.own_id(cx),
        };
        if is_full {
            return self.refuse(asker, Some(id), Refusal::Busy, cx);
        }
        let payload: Arc<str> = payload.into();
        let (room, text) = M::shown(&payload);
        cx.event(Event::Requested { id: id.clone(), room, text });
        if self.requests.open == 0 {
            cx.arm(Timer::Ask, self.patience());
        }
        self.requests.open += 1;
        self.requests.bytes += payload.len();
        let open = Open { payload, askers: vec![asker], sent: None, is_out: false };
        let asked = self.requests.clients.entry(id.client.clone()).or_default();
        asked.open.insert(id.serial, open);
        self.ask_for(&id.client, cx);
    }

    fn own_open(&self) -> usize {
        let own = self.requests.own.as_ref().and_then(|own| self.requests.clients.get(own));
        own.map_or(0, |asked| asked.open.len())
    }

    fn refuse(&mut self, asker: Asker, id: Option<RequestId>, reason: Refusal, cx: &mut Cx<'_, Self>) {
        let answer = Answer::Refused { id, reason };
        cx.event(Event::Answered(answer.clone()));
        cx.answer(asker, answer);
    }

    /// The next id of this node's own. Its name is its id alone if it is a founding member, and nobody else can ever have been
    /// called that; a node that came later, perhaps with a wiped disk, adds which disk it is.
    fn own_id(&mut self, cx: &mut Cx<'_, Self>) -> RequestId {
        let view = self.view();
        let is_founder = view.id == 1 && view.members.get(cx.me).is_some_and(|me| me.incarnation == self.incarnation);
        let is_plain = is_founder || !self.needs_votes();
        let short = self.incarnation & 0xffff_ffff;
        let client = self.requests.own.get_or_insert_with(|| {
            let name = if is_plain { cx.me.to_string() } else { format!("{}.{short:08x}", cx.me) };
            name.parse().expect("an id is printable, and shorter than a client's name may be")
        });
        let id = RequestId { client: client.clone(), serial: self.requests.next };
        self.requests.next += 1;
        if self.requests.next > self.requests.below {
            self.requests.below = self.requests.next + BLOCK - 1;
            let (client, below) = (id.client.clone(), self.requests.below);
            self.persist(Record::Serials { client, below }, cx);
        }
        id
    }

    fn patience(&self) -> Duration {
        self.config.heartbeat_interval.min(PATIENCE_MAX)
    }

    /// Asks the leader for what this client has not asked for yet, in order, as far as may be under way.
    fn ask_for(&mut self, client: &ClientId, cx: &mut Cx<'_, Self>) {
        let Some(leader) = self.leader.clone() else { return };
        while let Some(asked) = self.requests.clients.get_mut(client)
            && asked.sent < RESULTS
            && let Some((&serial, open)) = asked.open.iter_mut().find(|(_, open)| open.sent.is_none())
        {
            (open.sent, open.is_out) = (Some(cx.now), true);
            asked.sent += 1;
            self.ask_leader_for(&leader, client, serial, cx);
        }
    }

    /// Asks the leader for one request.
    fn ask_leader_for(&mut self, leader: &NodeId, client: &ClientId, serial: u64, cx: &mut Cx<'_, Self>) {
        let Some(asked) = self.requests.clients.get(client) else { return };
        let after = asked.open.range(..serial).next_back().map_or(0, |(&before, _)| before);
        let Some(open) = asked.open.get(&serial) else { return };
        let (id, payload) = (RequestId { client: client.clone(), serial }, Arc::clone(&open.payload));
        if leader == cx.me {
            self.intake(&id, after, payload, cx);
        } else {
            cx.send(leader, Message::SequencerRequest { term: self.ballot.term, id, after, payload });
        }
    }

    /// There is a leader, and it knows nothing of what its predecessor was asked.
    pub(super) fn ask_the_leader(&mut self, cx: &mut Cx<'_, Self>) {
        #[cfg(feature = "mistakes")]
        if self.makes(crate::Mistake::ForgetsRequests) {
            return;
        }
        for asked in self.requests.clients.values_mut() {
            asked.sent = 0;
            asked.open.values_mut().for_each(|open| open.sent = None);
        }
        for client in self.requests.clients.keys().cloned().collect::<Vec<_>>() {
            self.ask_for(&client, cx);
        }
    }

    /// Upon Ask: what has no answer yet is asked again.
    pub(super) fn ask_again(&mut self, cx: &mut Cx<'_, Self>) {
        if self.requests.open == 0 {
            return;
        }
        cx.arm(Timer::Ask, self.patience());
        #[cfg(feature = "mistakes")]
        if self.makes(crate::Mistake::ForgetsRequests) {
            return;
        }
        let Some(leader) = self.leader.clone() else { return };
        let before = cx.now.saturating_sub(self.patience());
        let mut late = Vec::new();
        for (client, asked) in &mut self.requests.clients {
            for (&serial, open) in &mut asked.open {
                if let Some(sent) = &mut open.sent
                    && *sent <= before
                {
                    *sent = cx.now;
                    late.push((client.clone(), serial));
                }
            }
        }
        for (client, serial) in late {
            self.ask_leader_for(&leader, &client, serial, cx);
        }
    }

    /// Upon SEQUENCER_REQUEST: the leader puts it into the log, unless it has done so, or one before it is missing. It refuses
    /// nothing: who asks learns from its own log, and asks again.
    pub(super) fn intake(&mut self, id: &RequestId, after: u64, payload: Arc<str>, cx: &mut Cx<'_, Self>) {
        if !self.needs_votes() {
            return self.classroom_intake(id, payload, cx);
        }
        let is_full = self.log.last().index >= self.commit + BACKLOG_MAX;
        if is_full || self.is_handing_over() || weight_of(&payload) > replicating::BATCH {
            return;
        }
        let done = self.state.sessions.last(&id.client);
        let Some(leading) = &mut self.leading else { return };
        let taken = leading.taken.get(&id.client).copied().unwrap_or_default();
        #[cfg(feature = "mistakes")]
        let after = if self.config.mistake == Some(crate::Mistake::TakesOutOfOrder) { 0 } else { after };
        if id.serial <= taken || id.serial <= done || after > taken.max(done) {
            return;
        }
        leading.taken.insert(id.client.clone(), id.serial);
        self.propose(Content::Command { id: id.clone(), payload }, cx);
        self.count_copies(cx);
    }

    /// An entry with this request is applied.
    pub(super) fn applied_request(&mut self, id: &RequestId, cx: &mut Cx<'_, Self>) {
        if let Some(leading) = &mut self.leading
            && leading.taken.get(&id.client).is_some_and(|&taken| taken <= id.serial)
        {
            leading.taken.remove(&id.client);
        }
        if let Some(open) = self.requests.take(id) {
            let answer = self.answer_to(id);
            self.answer_open(open, answer, cx);
            self.ask_for(&id.client, cx);
        }
    }

    fn answer_open(&mut self, open: Open, answer: Answer, cx: &mut Cx<'_, Self>) {
        cx.event(Event::Answered(answer.clone()));
        for asker in open.askers {
            cx.answer(asker, answer.clone());
        }
    }

    /// What the replicated state says about a request that is not open any more.
    fn answer_to(&self, id: &RequestId) -> Answer {
        match self.standing(id) {
            Standing::Done(done) => {
                Answer::Acknowledged { id: id.clone(), seq: done.seq, term: done.at.term, index: done.at.index }
            }
            Standing::Skipped => Answer::Refused { id: Some(id.clone()), reason: Refusal::OutOfOrder },
            Standing::Forgotten | Standing::Open => Answer::Unknown { id: id.clone(), reason: Refusal::Forgotten },
        }
    }

    /// After a snapshot: some requests were done in entries that this node will never see.
    pub(super) fn settle_open_requests(&mut self, cx: &mut Cx<'_, Self>) {
        let open =
            self.requests.clients.iter().flat_map(|(client, asked)| {
                asked.open.keys().map(|&serial| RequestId { client: client.clone(), serial })
            });
        let settled: Vec<_> = open.filter(|id| self.standing(id) != Standing::Open).collect();
        for id in settled {
            self.applied_request(&id, cx);
        }
    }

    /// Answers a request that was done without a log.
    pub(super) fn answer_numbered(&mut self, id: &RequestId, seq: u64, term: Term, cx: &mut Cx<'_, Self>) {
        if let Some(open) = self.requests.take(id) {
            self.answer_open(open, Answer::Acknowledged { id: id.clone(), seq, term, index: seq }, cx);
            self.ask_for(&id.client, cx);
        }
    }

    /// Nobody waits any longer: what may be in a log is unknown, the rest is refused.
    pub(super) fn answer_all_at_the_end(&mut self, cx: &mut Cx<'_, Self>) {
        self.requests.open = 0;
        for (client, asked) in std::mem::take(&mut self.requests.clients) {
            for (serial, open) in asked.open {
                let (id, reason) = (RequestId { client: client.clone(), serial }, Refusal::Leaving);
                let answer =
                    if open.is_out { Answer::Unknown { id, reason } } else { Answer::Refused { id: Some(id), reason } };
                self.answer_open(open, answer, cx);
            }
        }
    }
}

/// What an entry with this payload weighs at most.
fn weight_of(payload: &str) -> usize {
    2 * ClientId::MAX_LEN + Entry::payload_weight(payload)
}
