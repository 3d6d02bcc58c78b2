//! Who is silent: failure detection in two phases.
//!
//! A watched peer is suspected after one timeout of silence and failed after a second one; hearing it again makes it trusted.
//! The leader watches every member, by its acknowledgements; a member watches its leader, by its heartbeats. What is known of
//! a peer stays known when nobody watches it any more: a dead node does not die twice because the leader changed.
//!
//! That a peer's process seems to have ended is kept beside it until it is heard, and changes nothing by itself: who follows a
//! leader asks for it.

use std::collections::BTreeMap;
use std::time::Duration;

use dsbench_wire::NodeId;

/// What is known of every peer that was ever watched or left.
#[derive(Debug)]
pub(crate) struct Suspicions {
    timeout: Duration,
    peers: BTreeMap<NodeId, Peer>,
    /// Whose process seems to have ended, and since when that counts.
    ended: BTreeMap<NodeId, Duration>,
}

#[derive(Debug)]
struct Peer {
    state: State,
    /// Its silence is measured; only then does its state get worse.
    watched: bool,
    /// When it was really heard.
    heard: Duration,
    /// Since when its silence counts: later than `heard` after a standstill of our own.
    silent_since: Duration,
    /// When it failed or left; of one that failed early, when its silence would have said so.
    gone_since: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Trusted,
    Suspected,
    Failed,
    Left,
}

/// A peer's silence has lasted for one timeout, or for two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Silence {
    Suspected(NodeId),
    Failed(NodeId),
}

impl Suspicions {
    pub(crate) fn new(timeout: Duration) -> Self {
        Self { timeout, peers: BTreeMap::new(), ended: BTreeMap::new() }
    }

    /// Watches exactly `peers` from now on. The silence of a trusted one begins now, a suspected one has one timeout left, and
    /// who had failed or left stays so until heard.
    pub(crate) fn watch<'a>(&mut self, peers: impl IntoIterator<Item = &'a NodeId>, now: Duration) {
        for peer in self.peers.values_mut() {
            peer.watched = false;
        }
        for id in peers {
            let fresh = Peer { state: State::Trusted, watched: true, heard: now, silent_since: now, gone_since: now };
            let peer = self.peers.entry(id.clone()).or_insert(fresh);
            peer.watched = true;
            peer.silent_since = if peer.state == State::Suspected { now.saturating_sub(self.timeout) } else { now };
        }
    }

    /// Watches `id` as well, from now on.
    pub(crate) fn watch_also(&mut self, id: &NodeId, now: Duration) {
        if !self.is_watched(id) {
            let fresh = Peer { state: State::Trusted, watched: true, heard: now, silent_since: now, gone_since: now };
            self.peers.insert(id.clone(), fresh);
        }
    }

    /// Knows nothing of `id` any more.
    pub(crate) fn forget(&mut self, id: &NodeId) {
        self.peers.remove(id);
        self.ended.remove(id);
    }

    /// Whether `id` has left, or has failed and its silence has lasted for two timeouts by `now`.
    pub(crate) fn is_gone(&self, id: &NodeId, now: Duration) -> bool {
        self.gone_since(id).is_some_and(|since| since <= now)
    }

    /// Whether `id` said goodbye and was not heard since.
    pub(crate) fn has_left(&self, id: &NodeId) -> bool {
        self.peers.get(id).is_some_and(|peer| peer.state == State::Left)
    }

    pub(crate) fn is_watched(&self, id: &NodeId) -> bool {
        self.peers.get(id).is_some_and(|peer| peer.watched)
    }

    /// `id` was heard. True when that is news: it was suspected, failed or gone.
    pub(crate) fn heard(&mut self, id: &NodeId, now: Duration) -> bool {
        self.ended.remove(id);
        let Some(peer) = self.peers.get_mut(id) else { return false };
        let is_news = peer.state != State::Trusted;
        (peer.state, peer.heard, peer.silent_since) = (State::Trusted, now, now);
        is_news
    }

    /// `id` said goodbye: its silence means nothing any more.
    pub(crate) fn left(&mut self, id: &NodeId, now: Duration) {
        let gone = Peer { state: State::Left, watched: false, heard: now, silent_since: now, gone_since: now };
        let leaves = |peer: &mut Peer| (peer.state, peer.gone_since) = (State::Left, now);
        self.peers.entry(id.clone()).and_modify(leaves).or_insert(gone);
    }

    /// This node itself stood still: nobody's silence counts until now.
    pub(crate) fn afresh(&mut self, now: Duration) {
        for peer in self.peers.values_mut() {
            peer.silent_since = now;
            if peer.state == State::Suspected {
                peer.state = State::Trusted;
            }
        }
        for since in self.ended.values_mut() {
            *since = now;
        }
    }

    /// The process of `id` seems to have ended. Told again, it counts from the first time.
    pub(crate) fn ended(&mut self, id: &NodeId, now: Duration) {
        self.ended.entry(id.clone()).or_insert(now);
    }

    /// Since when the process of `id` seems to have ended; nothing if it was heard since.
    pub(crate) fn ended_since(&self, id: &NodeId) -> Option<Duration> {
        self.ended.get(id).copied()
    }

    /// `id` has failed before its silence says so. What is told is what silence would tell; it is gone no earlier than without.
    pub(crate) fn fail(&mut self, id: &NodeId, now: Duration) -> Vec<Silence> {
        self.ended.remove(id);
        let Some(peer) = self.peers.get_mut(id) else { return Vec::new() };
        let news = match peer.state {
            State::Trusted => vec![Silence::Suspected(id.clone()), Silence::Failed(id.clone())],
            State::Suspected => vec![Silence::Failed(id.clone())],
            State::Failed | State::Left => return Vec::new(),
        };
        (peer.state, peer.gone_since) = (State::Failed, now.max(peer.silent_since + 2 * self.timeout));
        news
    }

    /// Whose silence became a suspicion or a failure by `now`. Each is told once.
    pub(crate) fn overdue(&mut self, now: Duration) -> Vec<Silence> {
        let mut news = Vec::new();
        for (id, peer) in self.peers.iter_mut().filter(|(_, peer)| peer.watched) {
            let silence = now.saturating_sub(peer.silent_since);
            if peer.state == State::Trusted && silence >= self.timeout {
                peer.state = State::Suspected;
                news.push(Silence::Suspected(id.clone()));
            }
            if peer.state == State::Suspected && silence >= 2 * self.timeout {
                (peer.state, peer.gone_since) = (State::Failed, now);
                news.push(Silence::Failed(id.clone()));
            }
        }
        news
    }

    /// When [`overdue`](Self::overdue) may next have news, if nobody is heard until then.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        let deadlines = self.peers.values().filter(|peer| peer.watched).filter_map(|peer| match peer.state {
            State::Trusted => Some(peer.silent_since + self.timeout),
            State::Suspected => Some(peer.silent_since + 2 * self.timeout),
            State::Failed | State::Left => None,
        });
        deadlines.min()
    }

    /// Whether `id` was really heard within the last timeout. A standstill of our own does not prolong it.
    pub(crate) fn is_heard(&self, id: &NodeId, now: Duration) -> bool {
        let recent = |peer: &Peer| now.saturating_sub(peer.heard) < self.timeout;
        self.peers.get(id).is_some_and(|peer| peer.state == State::Trusted && recent(peer))
    }

    /// Since when `id` is known to have failed or left; nothing if it is not gone. May lie ahead, where it failed early.
    pub(crate) fn gone_since(&self, id: &NodeId) -> Option<Duration> {
        self.peers.get(id).filter(|peer| matches!(peer.state, State::Failed | State::Left)).map(|peer| peer.gone_since)
    }

    /// Whether `id` is suspected, has failed or left.
    pub(crate) fn is_silent(&self, id: &NodeId) -> bool {
        self.peers.get(id).is_some_and(|peer| peer.state != State::Trusted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn watching_a() -> (Suspicions, NodeId) {
        let a: NodeId = "a".parse().unwrap();
        let mut suspicions = Suspicions::new(ms(400));
        suspicions.watch([&a], ms(0));
        (suspicions, a)
    }

    #[test]
    fn silence_is_a_suspicion_after_one_timeout_and_a_failure_after_two() {
        let (mut suspicions, a) = watching_a();
        assert_eq!(suspicions.deadline(), Some(ms(400)));
        assert_eq!(suspicions.overdue(ms(399)), []);
        assert_eq!(suspicions.overdue(ms(400)), [Silence::Suspected(a.clone())]);
        assert_eq!(suspicions.overdue(ms(401)), [], "told once");
        assert_eq!(suspicions.deadline(), Some(ms(800)));
        assert_eq!(suspicions.overdue(ms(800)), [Silence::Failed(a.clone())]);
        assert_eq!(suspicions.deadline(), None);
        assert!(suspicions.heard(&a, ms(900)), "news: it is back");
        assert!(!suspicions.heard(&a, ms(901)), "no news");
    }

    #[test]
    fn our_own_standstill_is_nobodys_silence_but_proves_no_life_either() {
        let (mut suspicions, a) = watching_a();
        suspicions.overdue(ms(500));
        suspicions.afresh(ms(5000));
        assert_eq!(suspicions.overdue(ms(5399)), []);
        assert!(!suspicions.is_heard(&a, ms(5001)), "a vote for another must not be refused because of it");
        assert_eq!(suspicions.overdue(ms(5400)), [Silence::Suspected(a)]);
    }

    #[test]
    fn a_dead_node_does_not_die_again_when_somebody_else_watches() {
        let (mut suspicions, a) = watching_a();
        let b: NodeId = "b".parse().unwrap();
        suspicions.overdue(ms(800));
        suspicions.watch([&a, &b], ms(900));
        assert!(suspicions.is_silent(&a) && !suspicions.is_silent(&b));
        assert_eq!(suspicions.overdue(ms(1300)), [Silence::Suspected(b)]);
    }

    #[test]
    fn a_suspected_node_is_not_suspected_again_when_somebody_else_watches() {
        let (mut suspicions, a) = watching_a();
        suspicions.overdue(ms(400));
        suspicions.watch([], ms(700));
        suspicions.watch([&a], ms(750));
        assert_eq!(suspicions.deadline(), Some(ms(1150)), "one timeout is left");
        assert_eq!(suspicions.overdue(ms(1149)), []);
        assert_eq!(suspicions.overdue(ms(1150)), [Silence::Failed(a)]);
    }

    #[test]
    fn an_end_counts_from_the_first_word_of_it_until_a_sign_of_life_and_from_new_after_our_own_standstill() {
        let (mut suspicions, a) = watching_a();
        suspicions.ended(&a, ms(100));
        suspicions.ended(&a, ms(150));
        assert_eq!(suspicions.ended_since(&a), Some(ms(100)));
        assert_eq!(suspicions.overdue(ms(399)), [], "by itself it changes nothing");
        suspicions.afresh(ms(300));
        assert_eq!(suspicions.ended_since(&a), Some(ms(300)));
        assert!(!suspicions.heard(&a, ms(310)), "no news: it was never suspected");
        assert_eq!(suspicions.ended_since(&a), None);
    }

    #[test]
    fn who_fails_early_is_suspected_first_and_told_once() {
        let (mut suspicions, a) = watching_a();
        assert_eq!(suspicions.fail(&a, ms(100)), [Silence::Suspected(a.clone()), Silence::Failed(a.clone())]);
        assert_eq!(suspicions.fail(&a, ms(101)), []);
        assert_eq!(suspicions.overdue(ms(900)), []);
        assert!(
            !suspicions.is_gone(&a, ms(799)) && suspicions.is_gone(&a, ms(800)),
            "from the view no earlier than by silence"
        );
        suspicions.heard(&a, ms(1000));
        suspicions.overdue(ms(1400));
        assert_eq!(suspicions.fail(&a, ms(1500)), [Silence::Failed(a)], "it was suspected already");
    }

    #[test]
    fn who_left_is_not_suspected_until_it_is_back() {
        let (mut suspicions, a) = watching_a();
        suspicions.left(&a, ms(100));
        assert_eq!(suspicions.overdue(ms(5000)), []);
        assert!(suspicions.heard(&a, ms(6000)));
        assert_eq!(suspicions.overdue(ms(6400)), [Silence::Suspected(a)]);
    }
}
