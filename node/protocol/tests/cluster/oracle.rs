//! What must be true of every run, told from the log lines, the answers and the final state alone.
//!
//! Nothing here is shared with the cores: an oracle that shares code with its subject shares its bugs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use dsbench_protocol::{Answer, Event, Refusal, Takeover};
use dsbench_wire::{ClientId, NodeId, RequestId, Term, View};

use crate::cluster::{Cluster, Elected, Record};

/// Safety, under any faults, where votes decide. Looks at each log line as it is told.
#[derive(Debug, Default)]
pub(crate) struct Safety {
    seen: usize,
    leader_of: BTreeMap<Term, NodeId>,
    vote_of: BTreeMap<(NodeId, u32, Term), NodeId>,
    led_by: BTreeMap<NodeId, Term>,
    order: Order,
    views: BTreeMap<u64, Arc<View>>,
    /// The view that each node told last, with the life that told it, and the delivery before it, if this life told one.
    view_of: BTreeMap<NodeId, (u32, u64, Option<u64>)>,
    /// What was delivered between two consecutive views of a node: up to which number the first began, and ended.
    passages: BTreeMap<(u64, u64), (u64, u64)>,
    answers: BTreeMap<RequestId, (u64, Term, u64)>,
    refused: BTreeSet<RequestId>,
    /// Requests that a node has told, with the life that did.
    asked: BTreeMap<RequestId, (NodeId, u32)>,
    /// What each of them says, by whoever told it first.
    texts: BTreeMap<RequestId, Arc<str>>,
}

/// The one sequence of deliveries, as far as anybody has told it.
#[derive(Debug, Default)]
struct Order {
    /// By number, from 1.
    told: Vec<Told>,
    /// Of each, the highest term that was led by anybody when it was first told: it was committed in that one or before.
    committed_by: Vec<Term>,
    known: BTreeMap<RequestId, u64>,
    last_serial: BTreeMap<ClientId, u64>,
    /// Of each node: the life that told, and the last number that it told in any life on its present disk.
    nodes: BTreeMap<NodeId, Position>,
}

#[derive(Debug, PartialEq, Eq)]
struct Told {
    id: RequestId,
    term: Term,
    index: u64,
    view: u64,
    text: Arc<str>,
}

#[derive(Debug, Default)]
struct Position {
    life: u32,
    wiped: u32,
    /// The next number in this life; nothing before its first.
    next: Option<u64>,
    /// The highest number that was ever told.
    highest: u64,
    /// The last number that a snapshot has covered in this life: the view there began at nobody knows which.
    installed: Option<u64>,
}

impl Safety {
    /// Looks at what was told since the last time.
    pub(crate) fn observe(&mut self, cluster: &Cluster) -> Result<(), String> {
        while let Some(record) = cluster.records.get(self.seen) {
            self.seen += 1;
            self.judge(record, cluster).map_err(|what| format!("{:?}: {what}", record.at))?;
        }
        Ok(())
    }

    fn judge(&mut self, record: &Record, cluster: &Cluster) -> Result<(), String> {
        let Record { node, life, event, .. } = record;
        let wiped = cluster.life(node).1;
        match event {
            Event::Voted { candidate, term } => {
                // A wiped disk is another voter, whose vote nobody counts.
                let earlier = self.vote_of.insert((node.clone(), wiped, *term), candidate.clone());
                if let Some(earlier) = earlier.filter(|earlier| earlier != candidate) {
                    return Err(format!("{node} voted for {earlier} and for {candidate} in term {term}"));
                }
            }
            Event::BecameLeader { term, votes } => self.elected(node, *term, votes, cluster)?,
            Event::ReceivedCoordinator { leader, term } | Event::Follows { leader, term } => {
                // The leader's own line may wait for its disk, or be lost with it, while its entries are on their way.
                let led = self.leader_of.entry(*term).or_insert_with(|| leader.clone());
                if led != leader {
                    return Err(format!("{node} follows {leader} in term {term}, which {led} leads"));
                }
            }
            Event::SteppedDown { term, .. } if self.leader_of.get(term) != Some(node) => {
                return Err(format!("{node} steps down from term {term}, which it did not lead"));
            }
            Event::Requested { id, text, .. } => {
                self.asked.insert(id.clone(), (node.clone(), *life));
                self.says(node, id, text)?;
            }
            Event::Delivered { seq, term, index, id, view, text, .. } => {
                self.says(node, id, text)?;
                let told = Told { id: id.clone(), term: *term, index: *index, view: *view, text: Arc::clone(text) };
                self.order.delivered(node, (*life, wiped), *seq, told)?;
                let led = self.leader_of.last_key_value().map(|(term, _)| *term).unwrap_or_default();
                self.order.committed_by.resize(self.order.told.len(), led);
            }
            Event::Installed { seq, .. } => {
                let position = self.order.nodes.entry(node.clone()).or_default();
                (position.life, position.wiped, position.next) = (*life, wiped, Some(seq + 1));
                position.installed = Some(*seq);
                position.highest = position.highest.max(*seq);
                self.view_of.remove(node);
            }
            Event::Answered(answer) => self.answered(node, answer)?,
            Event::ViewChange { view, .. } => self.view_change(node, *life, view)?,
            Event::Restored { applied, .. } if self.order.told.iter().any(|told| told.index > *applied) => {
                // It may tell again what an earlier life told; the order of deliveries says from where.
                self.view_of.remove(node);
            }
            _ => {}
        }
        Ok(())
    }

    /// A request is known by its id: whoever asks for it, delivers it or asks again, it says the same.
    fn says(&mut self, node: &NodeId, id: &RequestId, text: &Arc<str>) -> Result<(), String> {
        let known = self.texts.entry(id.clone()).or_insert_with(|| Arc::clone(text));
        if known == text { Ok(()) } else { Err(format!("{node}: {id} says {text:?}, but elsewhere {known:?}")) }
    }

    fn elected(&mut self, node: &NodeId, term: Term, votes: &[NodeId], cluster: &Cluster) -> Result<(), String> {
        if let Some(other) = self.leader_of.insert(term, node.clone()).filter(|other| other != node) {
            return Err(format!("{other} and {node} both became leader of term {term}"));
        }
        if self.led_by.insert(node.clone(), term).is_some_and(|earlier| earlier >= term) {
            return Err(format!("{node} leads term {term} after a later one"));
        }
        let Some(Elected { members, log }) = cluster.elected.get(&(node.clone(), term)) else {
            return Err(format!("{node} leads term {term} by no election"));
        };
        let counted = votes.iter().filter(|voter| members.contains(voter)).collect::<BTreeSet<_>>().len();
        if 2 * counted <= members.len() {
            return Err(format!("{node} leads term {term} by {votes:?}, no majority of {members:?}"));
        }
        for voter in votes {
            // A crash may come between a vote and its log line, but never between two different votes.
            let voted = (voter.clone(), cluster.life(voter).1, term);
            let given = self.vote_of.entry(voted).or_insert_with(|| node.clone());
            if given != node {
                return Err(format!("{node} leads term {term} by a vote of {voter}, which voted for {given}"));
            }
        }
        // Leader completeness: whatever was committed in an earlier term is in its log. (A node that stood still may find the
        // votes for a term that is long over, and lead it for a moment.)
        let first = log.first().map_or(u64::MAX, |entry| entry.index);
        let committed = self.order.told.iter().zip(&self.order.committed_by).rev();
        for (told, _) in committed.take_while(|(told, _)| told.index >= first).filter(|(_, by)| **by < term) {
            let own = log.get((told.index - first) as usize);
            if own.is_none_or(|entry| entry.term != told.term) {
                let (id, index) = (&told.id, told.index);
                return Err(format!("{node} leads term {term} without {id}, which is delivered at index {index}"));
            }
        }
        Ok(())
    }

    fn answered(&mut self, node: &NodeId, answer: &Answer) -> Result<(), String> {
        match answer {
            Answer::Acknowledged { id, seq, term, index } => {
                let given = self.answers.entry(id.clone()).or_insert((*seq, *term, *index));
                if *given != (*seq, *term, *index) {
                    return Err(format!("{node}: {answer}, but once it was {given:?}"));
                }
            }
            // Nobody but the node itself asks under its name, and it asks in order.
            Answer::Refused { id: Some(id), reason: Refusal::OutOfOrder }
                if id.client.as_str().starts_with(node.as_str()) =>
            {
                return Err(format!("{node} has let {id} be overtaken"));
            }
            Answer::Refused { id: Some(id), .. } => {
                self.refused.insert(id.clone());
            }
            Answer::Refused { id: None, .. } | Answer::Unknown { .. } => {}
        }
        Ok(())
    }

    fn view_change(&mut self, node: &NodeId, life: u32, view: &Arc<View>) -> Result<(), String> {
        let ids = |view: &View| view.members.keys().cloned().collect::<BTreeSet<_>>();
        if !view.members.contains_key(node) {
            return Err(format!("{node} is in view {} and not among its members", view.id));
        }
        let known = self.views.entry(view.id).or_insert_with(|| Arc::clone(view));
        if ids(known) != ids(view) {
            return Err(format!("view {} is {:?} and {:?}", view.id, ids(known), ids(view)));
        }
        let neighbours = [view.id.checked_sub(1), Some(view.id + 1)].into_iter().flatten();
        for other in neighbours.filter_map(|id| self.views.get(&id)) {
            if ids(other).symmetric_difference(&ids(view)).count() != 1 {
                return Err(format!("views {} and {} differ by more than one member", other.id, view.id));
            }
        }
        let position = self.order.nodes.get(node).filter(|position| position.life == life);
        let told = match position.and_then(|position| position.next) {
            Some(next) => Some(next - 1),
            None if life == 1 => Some(0),
            None => None,
        };
        let began = told.filter(|told| position.and_then(|position| position.installed) != Some(*told));
        let before = self.view_of.insert(node.clone(), (life, view.id, began));
        let Some((_, earlier, began)) = before.filter(|(of, ..)| *of == life) else { return Ok(()) };
        if earlier >= view.id {
            return Err(format!("{node} goes from view {earlier} to view {}", view.id));
        }
        let (Some(began), Some(told)) = (began, told) else { return Ok(()) };
        let passage = *self.passages.entry((earlier, view.id)).or_insert((began, told));
        if passage != (began, told) {
            let id = view.id;
            return Err(format!("{node} delivered {began}..{told} from view {earlier} to {id}, others {passage:?}"));
        }
        Ok(())
    }

    /// At the end, when all is well again: what was acknowledged is there, on every node.
    pub(crate) fn nothing_lost(&self, cluster: &Cluster) -> Result<(), String> {
        for (id, (seq, term, index)) in &self.answers {
            let told = self.order.told.get(*seq as usize - 1);
            if told.is_none_or(|told| told.id != *id || told.term != *term || told.index != *index) {
                return Err(format!("{id} was acknowledged as {seq}, which is {told:?}"));
            }
        }
        for (id, seq) in cluster.clients.done() {
            if self.order.known.get(id) != Some(seq) {
                return Err(format!("{id} was acknowledged to its client as {seq}"));
            }
        }
        if let Some(id) = self.refused.iter().find(|id| self.order.known.contains_key(id)) {
            return Err(format!("{id} was refused, and is delivered"));
        }
        if let Some(odd) = cluster.clients.odd().next() {
            return Err(format!("a client was told: {odd}"));
        }
        let count = self.order.told.len() as u64;
        let last = self.order.nodes.iter().find(|(_, position)| position.highest != count);
        if let Some((node, position)) = last.filter(|_| count > 0) {
            return Err(format!("{node} has delivered {} of {count}", position.highest));
        }
        let silent = cluster.ids().into_iter().find(|id| count > 0 && !self.order.nodes.contains_key(id));
        if let Some(node) = silent {
            return Err(format!("{node} has delivered nothing"));
        }
        Ok(())
    }

    /// Requests of lives that have not ended, without an answer.
    pub(crate) fn unanswered(&self, cluster: &Cluster) -> Vec<RequestId> {
        let lives = self.asked.iter().filter(|(_, (node, life))| cluster.life(node).0 == *life);
        lives.map(|(id, _)| id).filter(|id| !self.answers.contains_key(id)).cloned().collect()
    }

    /// How many messages were delivered.
    pub(crate) fn delivered(&self) -> u64 {
        self.order.told.len() as u64
    }
}

impl Order {
    fn delivered(&mut self, node: &NodeId, (life, wiped): (u32, u32), seq: u64, told: Told) -> Result<(), String> {
        let position = self.nodes.entry(node.clone()).or_default();
        if position.life != life {
            if position.wiped != wiped {
                // Another disk, another node: it may begin anywhere.
                position.highest = u64::MAX;
            }
            position.installed = None;
            let highest = position.highest;
            (position.life, position.wiped, position.next) = (life, wiped, None);
            if seq > highest.saturating_add(1) {
                return Err(format!("{node} tells {seq} after a restart, and never told {}", highest + 1));
            }
            if highest == u64::MAX {
                position.highest = 0;
            }
        }
        if position.next.is_some_and(|next| next != seq) {
            return Err(format!("{node} delivers {seq}, expected {:?}", position.next));
        }
        position.next = Some(seq + 1);
        position.highest = position.highest.max(seq);
        let id = &told.id;
        match self.told.get(seq as usize - 1) {
            Some(known) if *known == told => Ok(()),
            Some(known) => Err(format!("{node} delivers {told:?} as {seq}, which is {known:?}")),
            None if seq != self.told.len() as u64 + 1 => {
                Err(format!("{node} delivers {seq}, which nobody told before"))
            }
            None if self.known.contains_key(id) => Err(format!("{id} is delivered as {} and as {seq}", self.known[id])),
            None if self.last_serial.get(&id.client).is_some_and(|last| *last > id.serial) => {
                Err(format!("{id} is delivered after {}", self.last_serial[&id.client]))
            }
            None if self.told.last().is_some_and(|last| last.index >= told.index) => {
                Err(format!("{id} is delivered at index {} after a higher one", told.index))
            }
            None => {
                self.known.insert(id.clone(), seq);
                self.last_serial.insert(id.client.clone(), id.serial);
                self.told.push(told);
                Ok(())
            }
        }
    }
}

/// Beside safety per term: who is replaced stops leading within one heartbeat timeout and its clock's error, or it stands still.
///
/// A leader's evidence of its majority is no older than a timeout, and whoever voted for its successor tells it so.
#[derive(Debug, Default)]
pub(crate) struct Overlap {
    replaced: Vec<(NodeId, Term, Duration)>,
}

impl Overlap {
    const AT_MOST: Duration = Duration::from_millis(400 + 20);

    /// Somebody has just become leader: all earlier leaderships have to end in time.
    pub(crate) fn began(&mut self, cluster: &Cluster) {
        let leaderships = cluster.leaderships();
        let newest = leaderships.iter().map(|(_, term, _)| *term).max();
        for (id, term, _) in leaderships.into_iter().filter(|(_, term, _)| Some(*term) < newest) {
            if !self.replaced.iter().any(|(known, of, _)| *known == id && *of == term) {
                self.replaced.push((id, term, cluster.now + Self::AT_MOST));
            }
        }
    }

    /// Looks at all leaderships that have to end.
    pub(crate) fn check(&mut self, cluster: &Cluster) -> Result<(), String> {
        if self.replaced.is_empty() {
            return Ok(());
        }
        let leaderships = cluster.leaderships();
        let leads_on = |id: &NodeId, of: Term| leaderships.iter().any(|(l, t, paused)| l == id && *t == of && !paused);
        self.replaced.retain(|(id, term, _)| leads_on(id, *term));
        match self.replaced.iter().find(|(_, _, until)| cluster.now > *until) {
            Some((id, term, _)) => Err(format!("{:?}: {id} still leads term {term}, long replaced", cluster.now)),
            None => Ok(()),
        }
    }
}

/// Liveness, once everything is healed: one leader, whom all follow, the highest node, if that takes over; all nodes are members
/// of one view; all logs are equal; and nobody waits for an answer any more.
pub(crate) fn convergence(cluster: &Cluster, safety: &Safety, takeover: Takeover) -> Result<(), String> {
    let ids = cluster.ids();
    let Some((leader, _)) = cluster.agreed_leader() else {
        let views: Vec<_> = ids.iter().map(|id| (cluster.leader_of(id), id)).collect();
        return Err(format!("no agreement: leaders {:?}, (leader, of) {views:?}", cluster.leaders()));
    };
    if takeover == Takeover::Bully && ids.last() != Some(&leader) {
        return Err(format!("{leader} leads, not the highest node"));
    }
    let sensors: Vec<_> = ids.iter().filter_map(|id| Some((id, cluster.sensor(id)?))).collect();
    for (id, sensor) in &sensors {
        if sensor.view().members.keys().ne(ids.iter()) || !sensor.view().learners.is_empty() {
            return Err(format!("{id} is in the view {:?}", sensor.view()));
        }
    }
    let ends: BTreeSet<_> = sensors.iter().map(|(_, sensor)| (sensor.last(), sensor.committed())).collect();
    if ends.len() != 1 || ends.iter().any(|(last, committed)| last.index != *committed) {
        return Err(format!("the logs end differently: {ends:?}"));
    }
    let waiting = cluster.clients.waiting();
    if !waiting.is_empty() || sensors.iter().any(|(_, sensor)| sensor.open_requests() > 0) {
        return Err(format!("not answered: {waiting:?} {:?}", safety.unanswered(cluster)));
    }
    Ok(())
}

/// Without a quorum only a leader and its followers are asked for.
pub(crate) fn agreement(cluster: &Cluster, takeover: Takeover) -> Result<(), String> {
    let Some((leader, _)) = cluster.agreed_leader() else {
        let views: Vec<_> = cluster.ids().into_iter().map(|id| (cluster.leader_of(&id), id)).collect();
        return Err(format!("no agreement: leaders {:?}, (leader, of) {views:?}", cluster.leaders()));
    };
    match takeover {
        Takeover::Bully if cluster.ids().last() != Some(&leader) => {
            Err(format!("{leader} leads, not the highest node"))
        }
        _ => Ok(()),
    }
}

/// All logs hold the same, as far back as they go.
pub(crate) fn equal_logs(cluster: &Cluster) -> Result<(), String> {
    let mut longest: Option<(NodeId, Vec<dsbench_wire::Entry>)> = None;
    for id in cluster.ids() {
        let log = cluster.log(&id);
        let Some((other, known)) = &longest else {
            longest = Some((id, log));
            continue;
        };
        let first = |log: &[dsbench_wire::Entry]| log.first().map_or(u64::MAX, |entry| entry.index);
        let from = first(known).max(first(&log));
        let part = |log: &[dsbench_wire::Entry]| {
            log.iter().skip_while(|entry| entry.index < from).cloned().collect::<Vec<_>>()
        };
        if let Some((a, b)) = part(known).iter().zip(&part(&log)).find(|(a, b)| a != b) {
            return Err(format!("{other} has {a:?} where {id} has {b:?}"));
        }
    }
    Ok(())
}

/// Stability: when leadership or the view last changed, or was about to.
pub(crate) fn last_unrest(records: &[Record]) -> Duration {
    let is_unrest = |event: &Event| {
        matches!(
            event,
            Event::BecameLeader { .. }
                | Event::SteppedDown { .. }
                | Event::ElectionStarted { .. }
                | Event::ElectionRetried { .. }
                | Event::Stands { .. }
                | Event::Transferring { .. }
                | Event::TransferFailed { .. }
                | Event::ViewChange { .. }
        )
    };
    records.iter().rfind(|record| is_unrest(&record.event)).map_or(Duration::ZERO, |record| record.at)
}

/// From the healing of all faults until all of [`convergence`] is true, at most: with the knobs of [`knobs`](crate::knobs).
///
/// An offer of leadership may just have failed for the fourth time (a wait of 8 timeouts of 400 ms, a clock error and a timeout
/// of steadiness), after an election that began with two timeouts of silence and needed a few rounds of 300 ms. Before that, up to
/// four nodes come back into the view one after the other, each after an election of its own that it cannot win and with a
/// request, a change that makes it a learner and another that makes it a member.
pub(crate) const CONVERGES_WITHIN: Duration = Duration::from_secs(12);
