//! Whether a majority still listens to the leader (CheckQuorum; Ongaro's thesis, 6.2).
//!
//! An acknowledgement proves that its sender followed this leader *when the heartbeat it answers was sent*, and nothing about
//! the moment at which it is read: after a pause, a socket is full of old ones. So evidence is dated by the heartbeat. Since a
//! member refuses to help another candidate for one timeout after it heard a heartbeat, a leader without evidence that is
//! younger than that may have been replaced, and one with it has not been: but for one whose process seemed to have ended, see
//! [`Process::ended`](crate::Process::ended). Nothing rests on a leader's being the only one: what it does needs a majority anyway.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use dsbench_wire::NodeId;

/// The evidence that a leader has of its followers.
#[derive(Debug)]
pub(crate) struct Lease {
    timeout: Duration,
    next_seq: u64,
    /// Rounds of heartbeats that are young enough to be evidence, with the time at which each was sent.
    rounds: VecDeque<(u64, Duration)>,
    followers: BTreeMap<NodeId, Follower>,
}

#[derive(Debug)]
struct Follower {
    /// When the newest heartbeat that it has answered was sent.
    proven: Duration,
    /// When it was last read to answer.
    answered: Duration,
    /// Since when it answers without a gap.
    answers_since: Duration,
}

impl Lease {
    /// A leader begins, by the votes of `voters`.
    pub(crate) fn new<'a>(timeout: Duration, voters: impl IntoIterator<Item = &'a NodeId>, now: Duration) -> Self {
        let follower = || Follower { proven: now, answered: now, answers_since: now };
        let followers = voters.into_iter().map(|id| (id.clone(), follower())).collect();
        Self { timeout, next_seq: 1, rounds: VecDeque::new(), followers }
    }

    /// A round of heartbeats leaves now; this is its number.
    pub(crate) fn round(&mut self, now: Duration) -> u64 {
        let seq = self.next_seq;
        self.next_seq += 1;
        let too_old = |sent: Duration| now.saturating_sub(sent) >= self.timeout;
        while self.rounds.front().is_some_and(|&(_, sent)| too_old(sent)) {
            self.rounds.pop_front();
        }
        self.rounds.push_back((seq, now));
        seq
    }

    /// `id` has answered round `seq`, as is read now.
    pub(crate) fn acknowledged(&mut self, id: &NodeId, seq: u64, now: Duration) {
        let Some(&(_, sent)) = self.rounds.iter().find(|&&(round, _)| round == seq) else { return };
        let fresh = Follower { proven: sent, answered: now, answers_since: now };
        let follower = self.followers.entry(id.clone()).or_insert(fresh);
        if now.saturating_sub(follower.answered) >= self.timeout {
            follower.answers_since = now;
        }
        follower.answered = now;
        follower.proven = follower.proven.max(sent);
    }

    /// Until when so many others, of those who count, are known to follow, if no further answer comes.
    pub(crate) fn expires(&self, others: usize, counts: impl Fn(&NodeId) -> bool) -> Duration {
        let counted = self.followers.iter().filter(|(id, _)| counts(id));
        let mut proven: Vec<_> = counted.map(|(_, follower)| follower.proven).collect();
        proven.sort_unstable_by(|a, b| b.cmp(a));
        match others.checked_sub(1) {
            None => Duration::MAX,
            Some(weakest) => proven.get(weakest).map_or(Duration::ZERO, |&proven| proven + self.timeout),
        }
    }

    /// Whether `id` has answered a heartbeat that was sent at `since` or later.
    pub(crate) fn has_answered_since(&self, id: &NodeId, since: Duration) -> bool {
        self.followers.get(id).is_some_and(|follower| follower.proven >= since)
    }

    /// Whether `id` has answered for one timeout without a gap, and still does.
    pub(crate) fn is_steady(&self, id: &NodeId, now: Duration) -> bool {
        self.followers.get(id).is_some_and(|follower| {
            now.saturating_sub(follower.answered) < self.timeout
                && now.saturating_sub(follower.answers_since) >= self.timeout
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn ids() -> [NodeId; 2] {
        ["a", "b"].map(|id| id.parse().unwrap())
    }

    #[test]
    fn an_old_acknowledgement_read_late_is_no_evidence() {
        let [a, b] = ids();
        let mut lease = Lease::new(ms(400), [&a], ms(0));
        let first = lease.round(ms(100));
        lease.acknowledged(&b, first, ms(450));
        assert_eq!(lease.expires(1, |_| true), ms(500), "dated by the heartbeat, whenever it is read");
        lease.round(ms(5000));
        lease.acknowledged(&a, first, ms(5001));
        assert_eq!(lease.expires(1, |_| true), ms(500));
    }

    #[test]
    fn the_weakest_of_the_majority_decides() {
        let [a, b] = ids();
        let mut lease = Lease::new(ms(400), [], ms(0));
        assert_eq!(lease.expires(0, |_| true), Duration::MAX, "alone in the cluster");
        assert_eq!(lease.expires(1, |_| true), ms(0));
        let first = lease.round(ms(100));
        let second = lease.round(ms(200));
        lease.acknowledged(&a, second, ms(200));
        lease.acknowledged(&b, first, ms(200));
        assert_eq!((lease.expires(1, |_| true), lease.expires(2, |_| true)), (ms(600), ms(500)));
        assert_eq!(lease.expires(1, |id| *id == b), ms(500), "a learner's answer is no evidence");
    }

    #[test]
    fn a_backlog_of_answers_that_comes_at_once_is_not_steady() {
        let [a, _] = ids();
        let mut lease = Lease::new(ms(400), [], ms(0));
        let seqs = [100, 200, 300, 400, 490].map(|at| lease.round(ms(at)));
        for seq in seqs {
            lease.acknowledged(&a, seq, ms(495));
        }
        assert!(!lease.is_steady(&a, ms(500)) && !lease.is_steady(&a, ms(894)));
    }

    #[test]
    fn steady_is_who_answers_for_a_timeout_without_a_gap() {
        let [a, _] = ids();
        let mut lease = Lease::new(ms(400), [], ms(0));
        for at in [100, 200, 300, 400] {
            let seq = lease.round(ms(at));
            lease.acknowledged(&a, seq, ms(at));
        }
        assert!(!lease.is_steady(&a, ms(499)));
        assert!(lease.is_steady(&a, ms(500)));
        assert!(!lease.is_steady(&a, ms(800)), "silent again");
        let seq = lease.round(ms(900));
        lease.acknowledged(&a, seq, ms(900));
        assert!(!lease.is_steady(&a, ms(901)), "after a gap it counts from new");
    }
}
