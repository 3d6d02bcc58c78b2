//! The messages of the sensor network, with their documented names.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::{Entry, NodeId, Peer, RequestId, View};

/// A period with at most one leader (Raft's term). 0 is before the first election.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u64")]
pub struct Term(pub u64);

impl Term {
    /// The last term. JSON carries whole numbers up to here; no honest cluster comes near it.
    pub const LAST: Self = Self((1 << 53) - 1);

    /// The term after this one, or the last one again: a forged term must not make an honest node's arithmetic wrap to 0.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1).min(Self::LAST)
    }
}

impl TryFrom<u64> for Term {
    type Error = String;

    fn try_from(term: u64) -> Result<Self, String> {
        if term > Self::LAST.0 {
            return Err(format!("term {term} is beyond the last one, {}", Self::LAST));
        }
        Ok(Self(term))
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where a log ends: the term and index of its last entry, (0, 0) for an empty one.
///
/// The later of two logs is the one whose last entry has the higher term, then the higher index (Raft, 5.4.1): the derived order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Position {
    /// The term of the last entry.
    pub term: Term,
    /// The index of the last entry, counted from 1.
    pub index: u64,
}

/// A message with its sender and receiver, as it stands on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// Who sent it.
    pub from: NodeId,
    /// Whom it is for. Who gets somebody else's message (an address that was reused, a wrong entry in a member list) ignores
    /// it: a vote for peer1 must not count for peer2.
    pub to: NodeId,
    /// What it says.
    #[serde(flatten)]
    pub message: Message,
}

impl Envelope {
    /// The form in which logs print it: `ELECTION:peer1`, `OK`, `COORDINATOR:peer3`.
    #[must_use]
    pub fn documented(&self) -> Documented<'_> {
        self.message.documented(&self.from)
    }
}

/// Everything that a sensor node says to another. `term` is the sender's own term in every message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Message {
    /// The leader is alive.
    Heartbeat {
        /// The leader's term.
        term: Term,
        /// Which round of heartbeats: an acknowledgement names the one that it answers.
        seq: u64,
        /// How far the receiver's log is committed, as far as it is known to be the leader's.
        commit: u64,
    },
    /// A member has heard the leader. In a later term than the leader's, it tells the leader that it is deposed.
    HeartbeatAck {
        /// The member's term.
        term: Term,
        /// The round that is answered.
        seq: u64,
        /// Up to where the member's durable log is known to be the leader's.
        matched: u64,
        /// Who it is.
        incarnation: u64,
    },
    /// Bully's challenge to all of higher priority: "I find no leader and would stand; do you?" It asks for no vote.
    Election {
        /// The challenger's term.
        term: Term,
    },
    /// A higher node answers a challenge: "I am alive; leave it to me." It is not a vote.
    Ok {
        /// The higher node's term.
        term: Term,
        /// Where its log ends: a challenger with a later log stands anyway.
        last: Position,
    },
    /// The sender leads its term.
    Coordinator {
        /// The term that it leads.
        term: Term,
    },
    /// "Would you vote for me in the term after mine?" Binds nobody (Ongaro's thesis, 9.6).
    PreVoteRequest {
        /// The asker's term; it would stand in the next one.
        term: Term,
        /// Tells this attempt from its earlier ones.
        round: u64,
        /// Where the asker's log ends.
        last: Position,
        /// The leader itself asked for this: hearing a live leader is no reason to refuse.
        transfer: bool,
    },
    /// The answer to a `PRE_VOTE_REQUEST`.
    PreVote {
        /// The voter's term.
        term: Term,
        /// The attempt that is answered.
        round: u64,
        /// Whether the voter would.
        granted: bool,
        /// Who it is.
        incarnation: u64,
    },
    /// "I stand in this term: vote for me."
    VoteRequest {
        /// The candidate's term.
        term: Term,
        /// Where the candidate's log ends.
        last: Position,
    },
    /// The answer to a `VOTE_REQUEST`. A granted vote is durable before it is sent.
    Vote {
        /// The voter's term; a grant counts in this term only.
        term: Term,
        /// Whether the vote was given.
        granted: bool,
        /// Who it is: the vote of a node whose disk was wiped is not the one that the view counts.
        incarnation: u64,
    },
    /// The leader hands over: "stand now" (Ongaro's thesis, 3.10).
    TimeoutNow {
        /// The leader's term.
        term: Term,
    },
    /// The sender leaves gracefully.
    Leave {
        /// The sender's term.
        term: Term,
    },
    /// The leader's entries, to one follower (Raft's AppendEntries).
    Append {
        /// The leader's term.
        term: Term,
        /// The entry before the first of these.
        prev: Position,
        /// How far the leader's log is committed.
        commit: u64,
        /// What follows `prev`, without a gap.
        entries: Vec<Entry>,
    },
    /// The same to everybody, by multicast, which may lose it: only ever an accelerator.
    Ordered {
        /// The leader's term.
        term: Term,
        /// The entry before the first of these.
        prev: Position,
        /// How far the leader's log is committed.
        commit: u64,
        /// What follows `prev`, without a gap.
        entries: Vec<Entry>,
    },
    /// The answer to `APPEND` and `ORDERED`, once the entries are durable. Refused, it asks for the repair of a gap.
    AppendAck {
        /// The follower's term.
        term: Term,
        /// Whether the follower has `prev`, and with it the entries.
        granted: bool,
        /// Granted: up to where its durable log is known to be the leader's. Refused: where to look for the last common entry.
        matched: u64,
        /// Whether it answers a multicast.
        ordered: bool,
        /// Who it is.
        incarnation: u64,
    },
    /// A part of a snapshot, for a follower that is further behind than the leader's log goes back.
    InstallSnapshot {
        /// The leader's term.
        term: Term,
        /// The last entry that the snapshot covers.
        at: Position,
        /// The view in force there.
        view: Arc<View>,
        /// How many bytes the state has.
        size: u64,
        /// Where this part begins.
        offset: u64,
        /// The part.
        part: Arc<str>,
    },
    /// The part before `offset` has arrived; at the end, the whole is durable.
    SnapshotAck {
        /// The follower's term.
        term: Term,
        /// Which snapshot.
        at: Position,
        /// What it needs next.
        offset: u64,
        /// Who it is.
        incarnation: u64,
    },
    /// A request, on its way to the leader.
    SequencerRequest {
        /// The sender's term.
        term: Term,
        /// Whose.
        id: RequestId,
        /// The request of the same client that must be in the log before this one; 0 for none that is known.
        after: u64,
        /// What it asks for.
        payload: Arc<str>,
    },
    /// "I am here and in no network, or in none any more: let me in." By broadcast, and to whoever is known.
    NewPeerRequest {
        /// The sender's term.
        term: Term,
        /// Who wants in, which is the sender or somebody for whom it passes this on.
        peer: Peer,
        /// Whether it was never in a network and would help to found one.
        is_new: bool,
        /// The network that it was in, see [`View::network`]; 0 where there was none. Nobody is let into two.
        #[serde(default)]
        network: u64,
    },
    /// The leader has let the receiver in: as a learner first, as a member when it has caught up.
    #[serde(rename = "ADDED TO NETWORK")]
    AddedToNetwork {
        /// The leader's term.
        term: Term,
        /// Where the others are.
        view: Arc<View>,
    },
    /// A view is committed: to who is not in it any more.
    ViewChange {
        /// The leader's term.
        term: Term,
        /// The view.
        view: Arc<View>,
    },
    /// The highest of the nodes that would found a network asks all others for their pledge.
    PledgeRequest {
        /// The sender's term.
        term: Term,
        /// Who would found it.
        peer: Peer,
    },
    /// The answer to a `PLEDGE_REQUEST`: durable, given once, and never taken back.
    Pledge {
        /// The sender's term.
        term: Term,
        /// Whether it is given.
        granted: bool,
        /// Who gives it.
        peer: Peer,
    },
}

impl Message {
    /// The sender's term.
    #[must_use]
    pub fn term(&self) -> Term {
        match *self {
            Self::Heartbeat { term, .. }
            | Self::HeartbeatAck { term, .. }
            | Self::Election { term }
            | Self::Ok { term, .. }
            | Self::Coordinator { term }
            | Self::PreVoteRequest { term, .. }
            | Self::PreVote { term, .. }
            | Self::VoteRequest { term, .. }
            | Self::Vote { term, .. }
            | Self::TimeoutNow { term }
            | Self::Leave { term }
            | Self::Append { term, .. }
            | Self::Ordered { term, .. }
            | Self::AppendAck { term, .. }
            | Self::InstallSnapshot { term, .. }
            | Self::SnapshotAck { term, .. }
            | Self::SequencerRequest { term, .. }
            | Self::NewPeerRequest { term, .. }
            | Self::AddedToNetwork { term, .. }
            | Self::ViewChange { term, .. }
            | Self::PledgeRequest { term, .. }
            | Self::Pledge { term, .. } => term,
        }
    }

    /// Its documented name, the `type` on the wire: `HEARTBEAT_ACK`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Heartbeat { .. } => "HEARTBEAT",
            Self::HeartbeatAck { .. } => "HEARTBEAT_ACK",
            Self::Election { .. } => "ELECTION",
            Self::Ok { .. } => "OK",
            Self::Coordinator { .. } => "COORDINATOR",
            Self::PreVoteRequest { .. } => "PRE_VOTE_REQUEST",
            Self::PreVote { .. } => "PRE_VOTE",
            Self::VoteRequest { .. } => "VOTE_REQUEST",
            Self::Vote { .. } => "VOTE",
            Self::TimeoutNow { .. } => "TIMEOUT_NOW",
            Self::Leave { .. } => "LEAVE",
            Self::Append { .. } => "APPEND",
            Self::Ordered { .. } => "ORDERED",
            Self::AppendAck { .. } => "APPEND_ACK",
            Self::InstallSnapshot { .. } => "INSTALL_SNAPSHOT",
            Self::SnapshotAck { .. } => "SNAPSHOT_ACK",
            Self::SequencerRequest { .. } => "SEQUENCER_REQUEST",
            Self::NewPeerRequest { .. } => "NEW_PEER_REQUEST",
            Self::AddedToNetwork { .. } => "ADDED TO NETWORK",
            Self::ViewChange { .. } => "VIEW_CHANGE",
            Self::PledgeRequest { .. } => "PLEDGE_REQUEST",
            Self::Pledge { .. } => "PLEDGE",
        }
    }

    /// The form in which logs print it, see [`Envelope::documented`].
    #[must_use]
    pub fn documented<'a>(&'a self, from: &'a NodeId) -> Documented<'a> {
        Documented { from, message: self }
    }
}

/// A message in the form in which logs print it.
///
/// The documented forms are `HEARTBEAT`, `HEARTBEAT_ACK`, `OK`, `ELECTION:<sender>`, `COORDINATOR:<sender>`,
/// `NEW_PEER_REQUEST`, `ADDED TO NETWORK`, `VIEW_CHANGE:<orderedPeerList>-<groupView>-<view_id>` and
/// `SEQUENCER_REQUEST:<payload>`; the other messages follow them, and an answer says whether it was given:
/// `VOTE_REQUEST:peer2`, `VOTE:peer1 granted=true`.
#[derive(Debug, Clone, Copy)]
pub struct Documented<'a> {
    from: &'a NodeId,
    message: &'a Message,
}

impl fmt::Display for Documented<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.message.name();
        match self.message {
            Message::Heartbeat { .. } | Message::HeartbeatAck { .. } | Message::Ok { .. } => f.write_str(name),
            Message::NewPeerRequest { .. } | Message::AddedToNetwork { .. } => f.write_str(name),
            Message::PreVote { granted, .. } | Message::Vote { granted, .. } | Message::Pledge { granted, .. } => {
                write!(f, "{name}:{} granted={granted}", self.from)
            }
            Message::AppendAck { granted, matched, .. } => {
                write!(f, "{name}:{} granted={granted} matched={matched}", self.from)
            }
            Message::Append { prev, entries, commit, .. } | Message::Ordered { prev, entries, commit, .. } => {
                let (first, last) = (prev.index + 1, prev.index + entries.len() as u64);
                write!(f, "{name}:{} entries={first}..{last} commit={commit}", self.from)
            }
            Message::SequencerRequest { id, payload, .. } => write!(f, "{name}:{payload} msg={id}"),
            Message::ViewChange { view, .. } => {
                write!(f, "{name}:")?;
                list(f, view.members.keys().rev())?;
                f.write_str("-")?;
                list(f, view.members.values().rev().map(|peer| &peer.endpoint))?;
                write!(f, "-{}", view.id)
            }
            _ => write!(f, "{name}:{}", self.from),
        }
    }
}

fn list<T: fmt::Display>(f: &mut fmt::Formatter<'_>, items: impl Iterator<Item = T>) -> fmt::Result {
    items.enumerate().try_for_each(|(n, item)| write!(f, "{}{item}", if n == 0 { "" } else { "," }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_print_the_documented_forms() {
        let from: NodeId = "peer3".parse().unwrap();
        let said = |message: Message| message.documented(&from).to_string();
        let term = Term(7);
        assert_eq!(said(Message::Election { term }), "ELECTION:peer3");
        assert_eq!(said(Message::Ok { term, last: Position::default() }), "OK");
        assert_eq!(said(Message::Coordinator { term }), "COORDINATOR:peer3");
        assert_eq!(said(Message::Heartbeat { term, seq: 1, commit: 0 }), "HEARTBEAT");
        assert_eq!(said(Message::HeartbeatAck { term, seq: 1, matched: 0, incarnation: 1 }), "HEARTBEAT_ACK");
        assert_eq!(said(Message::Vote { term, granted: true, incarnation: 1 }), "VOTE:peer3 granted=true");
    }

    #[test]
    fn terms_neither_wrap_nor_come_in_beyond_the_last() {
        assert_eq!((Term(4).next(), Term::LAST.next()), (Term(5), Term::LAST));
        assert!(Term::try_from(u64::MAX).is_err());
    }

    #[test]
    fn the_later_log_is_the_one_with_the_later_last_term_not_the_longer_one() {
        let at = |term, index| Position { term: Term(term), index };
        assert!(at(3, 1) > at(2, 900) && at(3, 2) > at(3, 1));
    }
}
