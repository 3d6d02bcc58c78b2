//! Requests: kept by the node that was asked, until they are done, refused, or honestly unknown.
//!
//! The node asks whoever leads, and asks again with the same id when nothing comes of it: after a while, and at once under a new
//! leader. Its own log tells it what became of a request, so an answer needs no message. The requests of one client enter the
//! log in their order: each names the one before it that waits here, and a leader takes it only after that one.
//!
//! The order is the client's, not the node's: what it asks for first goes first, and once a later request of it is done, every
//! earlier one that is not done never will be, and is refused. So that "busy" does not come to that by what the client has sent
//! behind it, nothing later of that client is taken here before it has asked for that one again, or has let [`TURNED_AWAY`] pass.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use dsbench_wire::{ClientId, Content, Entry, Message, NodeId, PAYLOAD_MAX, Record, RequestId};

use super::{Replica, Timer, replicating};
use crate::sessions::{RESULTS, Standing};
use crate::{Answer, Asker, Cx, Event, Founding, Machine, Mark, Refusal};

/// Requests that wait at one node, at most.
const OPEN_MAX: usize = 8192;
/// Of them, those that the node itself has named.
const OWN_OPEN_MAX: usize = 1000;
/// Their payloads in bytes, at most.
const OPEN_BYTES_MAX: usize = 16 << 20;
/// Entries that a leader has and that are not committed yet, at most. Beyond, requests are left to be asked again.
const BACKLOG_MAX: u64 = 16 * 1024;
/// Who wait for the answer to the same request: connections that a client has given up, mostly.
const ASKERS_MAX: usize = 16;
/// So long a request that was answered "busy" keeps later ones of its client waiting.
const TURNED_AWAY: Duration = Duration::from_secs(10);
/// Clients of whom that is remembered.
const TURNED_AWAY_MAX: usize = 1024;
/// Own requests are numbered in blocks of so many: reserving a block costs an fsync. The next one is reserved when half of this
/// one is used, so that a stream of requests never waits for it.
const BLOCK: u64 = 1000;
/// The highest serial: a whole number of JSON.
const SERIAL_MAX: u64 = 1 << 53;
/// How far a serial may be above the last one of its client. Nobody counts so far by asking, and one slip would silence it for ever.
const SERIAL_JUMP_MAX: u64 = 1 << 32;
/// The longest time after which a request is asked again.
const PATIENCE_MAX: Duration = Duration::from_secs(1);

/// All requests that wait for their answer here.
#[derive(Debug, Default)]
pub(super) struct Requests {
    /// What this node calls itself when a person asks.
    own: Option<ClientId>,
    next: u64,
    /// Numbers below this are reserved, or will be once the disk has them.
    below: u64,
    /// Numbers below this are reserved whatever happens. Only those may leave the node: if it dies with one that its disk does not
    /// know, its next life names another request alike.
    safe: u64,
    /// Reservations on their way to the disk.
    reserving: VecDeque<(Mark, u64)>,
    clients: BTreeMap<ClientId, Asked>,
    /// The earliest request of a client that was answered "busy", and until when it counts.
    turned_away: BTreeMap<ClientId, (u64, Duration)>,
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
    askers: VecDeque<Asker>,
    /// When the leader was asked last.
    sent: Option<Duration>,
    /// It may be in a log.
    is_out: bool,
}

impl Requests {
    /// The last life had reserved all numbers below `below`, as `own`.
    pub(super) fn number_from(&mut self, own: Option<ClientId>, below: u64) {
        let below = below.max(1);
        (self.own, self.next, self.below, self.safe) = (own, below, below, below);
    }

    pub(super) fn len(&self) -> usize {
        self.open
    }

    /// Whether there is no room for a client's request, or an earlier one of it has just found none.
    fn turns_away(&mut self, id: &RequestId, is_full: bool, now: Duration) -> bool {
        let earlier = self.turned_away.get(&id.client).filter(|(serial, until)| *serial < id.serial && now < *until);
        if earlier.is_some() {
            return true;
        }
        if !is_full {
            self.turned_away.remove(&id.client);
            return false;
        }
        if self.turned_away.len() >= TURNED_AWAY_MAX {
            self.turned_away.retain(|_, (_, until)| now < *until);
        }
        if self.turned_away.len() < TURNED_AWAY_MAX {
            self.turned_away.insert(id.client.clone(), (id.serial, now + TURNED_AWAY));
        }
        true
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
                if let Some(reason) = self.objection_to(&id, cx) {
                    return self.refuse(asker, Some(id), reason, cx);
                }
                if self.standing(&id) != Standing::Open {
                    let answer = self.answer_to(&id);
                    return cx.answer(asker, answer);
                }
                let asked = self.requests.clients.get_mut(&id.client);
                if let Some(open) = asked.and_then(|asked| asked.open.get_mut(&id.serial)) {
                    open.askers.push_back(asker);
                    // Who asked first has most likely given up.
                    if open.askers.len() > ASKERS_MAX
                        && let Some(first) = open.askers.pop_front()
                    {
                        cx.answer(first, Answer::Unknown { id, reason: Refusal::Busy });
                    }
                    return;
                }
                if self.requests.turns_away(&id, is_full, cx.now) {
                    // Not refused: an earlier life, or another node, may have put it into the log.
                    let answer = Answer::Unknown { id, reason: Refusal::Busy };
                    cx.event(Event::Answered(answer.clone()));
                    return cx.answer(asker, answer);
                }
                id
            }
            None if is_full || self.own_open() >= OWN_OPEN_MAX => return self.refuse(asker, None, Refusal::Busy, cx),
            None => self.own_id(cx),
        };
        let payload: Arc<str> = payload.into();
        let (room, text) = M::shown(&payload);
        cx.event(Event::Requested { id: id.clone(), room, text });
        if self.requests.open == 0 {
            cx.arm(Timer::Ask, self.patience());
        }
        self.requests.open += 1;
        self.requests.bytes += payload.len();
        let open = Open { payload, askers: [asker].into(), sent: None, is_out: false };
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

    /// Why a client may not use this id, if it may not.
    fn objection_to(&self, id: &RequestId, cx: &Cx<'_, Self>) -> Option<Refusal> {
        let last = self.state.sessions.last(&id.client);
        let highest = SERIAL_MAX.min(last.saturating_add(SERIAL_JUMP_MAX));
        if id.serial == 0 || id.serial > highest {
            return Some(Refusal::BadSerial);
        }
        self.is_a_nodes(&id.client, cx).then_some(Refusal::NodesName)
    }

    /// Whether a node may call itself so: by its id, or by its id and which disk it has. Clients may not, or they would use up its
    /// numbers.
    fn is_a_nodes(&self, name: &ClientId, cx: &Cx<'_, Self>) -> bool {
        let is_disk =
            |text: &str| text.len() == 8 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        let name = name.as_str();
        let node = name.rsplit_once('.').filter(|(_, disk)| is_disk(disk)).map(|(node, _)| node);
        [Some(name), node].into_iter().flatten().filter_map(|id| id.parse().ok()).any(|id: NodeId| {
            let is_listed = matches!(&self.config.founding, Founding::Members(list) if list.contains_key(&id));
            id == *cx.me
                || is_listed
                || self.config.contacts.contains_key(&id)
                || self.view().peer(&id).is_some()
                || self.state.nodes.contains(&id)
        })
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
        let client = client.clone();
        let serial = self.requests.next.max(self.state.sessions.last(&client) + 1);
        self.requests.next = serial + 1;
        #[cfg(feature = "mistakes")]
        if self.makes(crate::Mistake::NumbersTooEarly) {
            self.requests.safe = u64::MAX;
        }
        if self.requests.next + BLOCK / 2 > self.requests.below {
            let below = self.requests.next + BLOCK - 1;
            let mark = self.persist(Record::Serials { client: client.clone(), below }, cx);
            self.requests.below = below;
            self.requests.reserving.push_back((mark, below));
        }
        RequestId { client, serial }
    }

    /// The disk has everything up to `upto`: own requests may leave whose numbers are safe now.
    pub(super) fn own_numbers_are_safe(&mut self, upto: Mark, cx: &mut Cx<'_, Self>) {
        let mut is_news = false;
        while self.requests.reserving.front().is_some_and(|&(mark, _)| mark <= upto)
            && let Some((_, below)) = self.requests.reserving.pop_front()
        {
            self.requests.safe = self.requests.safe.max(below);
            is_news = true;
        }
        if let Some(own) = self.requests.own.clone().filter(|_| is_news) {
            self.ask_for(&own, cx);
        }
    }

    fn patience(&self) -> Duration {
        self.config.heartbeat_interval.min(PATIENCE_MAX)
    }

    /// Asks the leader for what this client has not asked for yet, in order, as far as may be under way.
    fn ask_for(&mut self, client: &ClientId, cx: &mut Cx<'_, Self>) {
        let Some(leader) = self.leader.clone() else { return };
        let below = if self.requests.own.as_ref() == Some(client) { self.requests.safe } else { u64::MAX };
        while let Some(asked) = self.requests.clients.get_mut(client)
            && asked.sent < RESULTS
            && let Some((&serial, open)) = asked.open.range_mut(..below).find(|(_, open)| open.sent.is_none())
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
            self.intake(leader, &id, after, payload, cx);
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
        self.give_back_nodes_names(cx);
        for asked in self.requests.clients.values_mut() {
            asked.sent = 0;
            asked.open.values_mut().for_each(|open| open.sent = None);
        }
        for client in self.requests.clients.keys().cloned().collect::<Vec<_>>() {
            self.ask_for(&client, cx);
        }
    }

    /// Before there was a leader it was perhaps not known who is a node.
    fn give_back_nodes_names(&mut self, cx: &mut Cx<'_, Self>) {
        let own = self.requests.own.clone();
        let others = self.requests.clients.keys().filter(|client| Some(*client) != own.as_ref());
        for client in others.filter(|client| self.is_a_nodes(client, cx)).cloned().collect::<Vec<_>>() {
            let asked = self.requests.clients.get(&client).map(|asked| asked.open.keys().copied().collect::<Vec<_>>());
            for serial in asked.unwrap_or_default() {
                let id = RequestId { client: client.clone(), serial };
                if let Some(open) = self.requests.take(&id) {
                    self.answer_open(open, Answer::Unknown { id, reason: Refusal::NodesName }, cx);
                }
            }
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
            self.ask_for(&client, cx);
        }
    }

    /// Upon SEQUENCER_REQUEST: the leader puts it into the log, unless it has done so, or one before it is missing. It refuses
    /// nothing: who asks learns from its own log, and asks again.
    pub(super) fn intake(
        &mut self,
        from: &NodeId,
        id: &RequestId,
        after: u64,
        payload: Arc<str>,
        cx: &mut Cx<'_, Self>,
    ) {
        if !self.needs_votes() {
            return self.classroom_intake(from, id, after, payload, cx);
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
        self.settle_up_to(id, cx);
    }

    /// Answers this request and the earlier ones of its client, which nobody can do any more.
    pub(super) fn settle_up_to(&mut self, id: &RequestId, cx: &mut Cx<'_, Self>) {
        let asked = self.requests.clients.get(&id.client);
        let settled = asked.map(|asked| asked.open.range(..=id.serial).map(|(&serial, _)| serial).collect::<Vec<_>>());
        for serial in settled.unwrap_or_default() {
            let id = RequestId { client: id.client.clone(), serial };
            let answer = self.answer_to(&id);
            if let Some(open) = self.requests.take(&id) {
                self.answer_open(open, answer, cx);
            }
        }
        // Without a log, a leader does at once what it is asked, and has asked itself already.
        if self.needs_votes() || !self.is_leader() {
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
                // Without a log, a message's number is its place.
                let index = if self.needs_votes() { done.at.index } else { done.seq };
                Answer::Acknowledged { id: id.clone(), seq: done.seq, term: done.at.term, index }
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

    /// Nobody waits any longer. Only of its own requests a node knows whether they may be in a log: those of clients may have been
    /// asked elsewhere, and of itself in an earlier life.
    pub(super) fn answer_all_at_the_end(&mut self, cx: &mut Cx<'_, Self>) {
        self.requests.open = 0;
        let own = self.requests.own.clone();
        for (client, asked) in std::mem::take(&mut self.requests.clients) {
            for (serial, open) in asked.open {
                let (id, reason) = (RequestId { client: client.clone(), serial }, Refusal::Leaving);
                let is_nowhere = own.as_ref() == Some(&client) && !open.is_out;
                let answer =
                    if is_nowhere { Answer::Refused { id: Some(id), reason } } else { Answer::Unknown { id, reason } };
                self.answer_open(open, answer, cx);
            }
        }
    }
}

/// What an entry with this payload weighs at most.
fn weight_of(payload: &str) -> usize {
    2 * ClientId::MAX_LEN + Entry::payload_weight(payload)
}
