//! What a node tells people, one log line each.
//!
//! The text is an interface: people search for these phrases, and a bench's patterns match them. Fields follow a phrase as
//! ` key=value`, and no value contains a space.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use dsbench_wire::room::Header;
use dsbench_wire::{Endpoint, NodeId, Peer, RequestId, Term, View};

use crate::{Answer, Ranking};

/// Something happened that people want to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// This node leads `term` from now on, by these votes (its own among them; only its own without a quorum).
    BecameLeader {
        /// The term that it leads.
        term: Term,
        /// Who voted for it, in order of ids.
        votes: Vec<NodeId>,
    },
    /// Begins to follow a leader that announced itself. Once per leader and term.
    ReceivedCoordinator {
        /// Whom it follows.
        leader: NodeId,
        /// The term that is led.
        term: Term,
    },
    /// Begins to follow a leader of which it learnt by a heartbeat. Once per leader and term.
    Follows {
        /// Whom it follows.
        leader: NodeId,
        /// The term that is led.
        term: Term,
    },
    /// Leads no longer. Told before anything that the node does next, following another among it.
    SteppedDown {
        /// The term that it led.
        term: Term,
        /// Why.
        reason: Reason,
    },
    /// Nothing was heard from a peer for one heartbeat timeout.
    Suspected {
        /// Who is silent.
        peer: NodeId,
        /// The term of the node that tells it.
        term: Term,
    },
    /// Nothing was heard from a suspected peer for a second heartbeat timeout.
    Failed {
        /// Who is silent.
        peer: NodeId,
        /// The term of the node that tells it.
        term: Term,
    },
    /// A suspected or failed peer was heard again.
    Recovered {
        /// Who was heard.
        peer: NodeId,
        /// The term of the node that tells it.
        term: Term,
    },
    /// A peer left gracefully.
    Left {
        /// Who left.
        peer: NodeId,
        /// The term of the node that tells it.
        term: Term,
    },
    /// Begins to look for a new leader, which may become this node.
    ElectionStarted {
        /// The term that would be stood for.
        term: Term,
        /// Why.
        reason: Reason,
    },
    /// The attempt found no leader in its time; a new one begins.
    ElectionRetried {
        /// The term that would be stood for.
        term: Term,
        /// Counted from 2: the first attempt is [`Event::ElectionStarted`].
        attempt: u32,
        /// What was missing.
        reason: Reason,
    },
    /// No longer looks for a leader.
    ElectionCancelled {
        /// The term that would have been stood for.
        term: Term,
        /// Why.
        reason: Reason,
    },
    /// A higher node answered `OK`; it may stand first.
    Deferring {
        /// Who answered.
        to: NodeId,
        /// The term that would be stood for.
        term: Term,
    },
    /// Asks everybody whether they would vote for it.
    AsksPreVotes {
        /// The term that would be stood for.
        term: Term,
    },
    /// Stands for election: a majority would vote for it, and it has voted for itself.
    Stands {
        /// The term that is stood for.
        term: Term,
    },
    /// Has given its only vote of a term.
    Voted {
        /// To whom.
        candidate: NodeId,
        /// The term of the vote.
        term: Term,
    },
    /// The leader asks a higher node to take over.
    Transferring {
        /// Who shall lead.
        to: NodeId,
        /// The term that is still led.
        term: Term,
    },
    /// Leadership did not pass in time; the leader stays.
    TransferFailed {
        /// Who should have led.
        to: NodeId,
        /// The term that is still led.
        term: Term,
    },
    /// Leaves gracefully.
    Leaving {
        /// Its last term.
        term: Term,
    },
    /// Somebody asked this node for a message to be delivered to all.
    Requested {
        /// The request's name from now on.
        id: RequestId,
        /// The room that it is for, in a system that has rooms, and what its client said of itself.
        room: Option<Header>,
        /// What was asked for.
        text: Arc<str>,
    },
    /// A message is delivered: all nodes do so in the same order, and each message once.
    Delivered {
        /// Its number among all deliveries, from 1 without a gap.
        seq: u64,
        /// The term of its entry.
        term: Term,
        /// The index of its entry.
        index: u64,
        /// Which request it is.
        id: RequestId,
        /// The view that it is delivered in.
        view: u64,
        /// The room that it is for, in a system that has rooms, and what its client said of itself.
        room: Option<Header>,
        /// What it says.
        text: Arc<str>,
    },
    /// What became of a request that was made at this node.
    Answered(Answer),
    /// A view is committed, of which this node is a member.
    ViewChange {
        /// The view.
        view: Arc<View>,
        /// How its members compare.
        ranking: Ranking,
        /// The term in which it was made.
        term: Term,
        /// What is different.
        change: Change,
    },
    /// This node has become a member.
    AddedToNetwork {
        /// In which view.
        view: u64,
        /// Whom it follows.
        by: Option<NodeId>,
        /// The term in which the view was made.
        term: Term,
    },
    /// This node is not a member any more.
    RemovedFromNetwork {
        /// Since which view.
        view: u64,
        /// The term in which the view was made.
        term: Term,
    },
    /// Somebody wants to be let in.
    NewPeerRequest {
        /// Who.
        peer: Peer,
        /// The term of the node that tells it.
        term: Term,
    },
    /// Somebody wants to be let in, and there is no room: so many are let in at the moment, or the view is as long as it may be. Told
    /// once, until somebody else finds room.
    NoRoom {
        /// Who.
        peer: Peer,
        /// The term of the node that tells it.
        term: Term,
    },
    /// Another network takes this node for one of its own. People have to decide.
    AnotherNetwork {
        /// Who of the other network said so.
        from: NodeId,
        /// Where that node is, if it is known.
        endpoint: Option<Endpoint>,
    },
    /// Has promised to help nobody else to found a network.
    Pledged {
        /// To whom.
        to: NodeId,
    },
    /// Has not promised to help somebody to found a network.
    PledgeRefused {
        /// Who asked.
        to: NodeId,
        /// Who has the promise, if it is given.
        given: Option<NodeId>,
    },
    /// Was told to found a network alone, and does not, because there is one already.
    FoundsNothing {
        /// Who takes this node for a member of it.
        by: NodeId,
    },
    /// Founds a network.
    Founded {
        /// Its first view.
        view: Arc<View>,
        /// How its members compare.
        ranking: Ranking,
    },
    /// A snapshot has taken the place of the log: deliveries go on after it.
    Installed {
        /// The number of the last delivery that it covers.
        seq: u64,
        /// The index of the last entry that it covers.
        index: u64,
    },
    /// A snapshot has arrived that makes no sense: of another version, perhaps.
    SnapshotUnreadable {
        /// Who sent it.
        from: NodeId,
        /// The index of the last entry that it covers.
        index: u64,
        /// What is wrong with it.
        error: String,
    },
    /// A node with a history has found it again.
    Restored {
        /// How many entries its log has.
        entries: u64,
        /// Up to which index its deliveries are known to have been told.
        applied: u64,
        /// How many bytes at the end were half-written, and are cut off.
        torn: u64,
    },
}

/// What a view changes about the one before it, as one word (and a name) in a log line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The first view.
    Founded,
    /// None: a node that was restarted says in which view it goes on. The term is the node's own.
    Recovered,
    /// Somebody is a member from now on.
    Joined(NodeId),
    /// Somebody is no member any more: it failed, left, or lost its disk.
    Removed(NodeId),
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Founded => f.write_str("founded"),
            Self::Recovered => f.write_str("recovered"),
            Self::Joined(peer) => write!(f, "joined:{peer}"),
            Self::Removed(peer) => write!(f, "removed:{peer}"),
        }
    }
}

/// Why something about leadership changed, as one word (and a name) in a log line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// No leader is known since the start.
    NoLeader,
    /// The leader has failed.
    LeaderFailed(NodeId),
    /// The leader left gracefully.
    LeaderLeft(NodeId),
    /// A lower node found no leader and asked.
    Challenged(NodeId),
    /// The node has higher priority than the leader.
    Takeover(NodeId),
    /// The leader hands over: the other of the two.
    Transferred(NodeId),
    /// Somebody leads.
    LeaderFound(NodeId),
    /// Somebody's term is higher.
    HigherTerm(NodeId),
    /// Another leader with a higher (term, priority) was heard.
    HigherLeader(NodeId),
    /// It voted for another.
    VotedFor(NodeId),
    /// Fewer than a majority answer.
    NoMajority,
    /// A higher node said `OK`, and then nobody led.
    NoCoordinator,
    /// The node itself stood still for longer than others may have waited.
    Stalled,
    /// The node leaves.
    Leaving,
    /// The node is no member any more.
    Removed,
    /// Another network takes the node for one of its own.
    AnotherNetwork(NodeId),
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BecameLeader { term, votes } => {
                write!(f, "became the Group Leader via election term={term} votes=")?;
                votes.iter().enumerate().try_for_each(|(n, id)| write!(f, "{}{id}", if n == 0 { "" } else { "," }))
            }
            Self::ReceivedCoordinator { leader, term } => {
                write!(f, "Received COORDINATOR announcement: {leader} term={term}")
            }
            Self::Follows { leader, term } => write!(f, "follows leader={leader} term={term} (heard by HEARTBEAT)"),
            Self::SteppedDown { term, reason } => write!(f, "stepped down term={term} reason={reason}"),
            Self::Suspected { peer, term } => write!(f, "SUSPECTED peer={peer} term={term}"),
            Self::Failed { peer, term } => write!(f, "FAILED peer={peer} term={term}"),
            Self::Recovered { peer, term } => write!(f, "RECOVERED peer={peer} term={term}"),
            Self::Left { peer, term } => write!(f, "LEFT peer={peer} term={term}"),
            Self::ElectionStarted { term, reason } => write!(f, "election started term={term} reason={reason}"),
            Self::ElectionRetried { term, attempt, reason } => {
                write!(f, "election retried term={term} attempt={attempt} reason={reason}")
            }
            Self::ElectionCancelled { term, reason } => write!(f, "election cancelled term={term} reason={reason}"),
            Self::Deferring { to, term } => write!(f, "deferring to={to} term={term}"),
            Self::AsksPreVotes { term } => write!(f, "asks for pre-votes term={term}"),
            Self::Stands { term } => write!(f, "stands for election term={term}"),
            Self::Voted { candidate, term } => write!(f, "voted candidate={candidate} term={term}"),
            Self::Transferring { to, term } => write!(f, "transferring leadership to={to} term={term}"),
            Self::TransferFailed { to, term } => write!(f, "leadership transfer failed to={to} term={term}"),
            Self::Leaving { term } => write!(f, "leaving term={term}"),
            Self::Requested { id, room, text } => {
                write!(f, "requested msg={id}{} text={}", InRoom(room), OneLine(text))
            }
            Self::Delivered { seq, term, index, id, view, room, text } => {
                let from = &id.client;
                write!(
                    f,
                    "DELIVERED seq={seq} term={term} index={index} msg={id} from={from} view={view}{} text={}",
                    InRoom(room),
                    OneLine(text)
                )
            }
            Self::Answered(answer) => answer.fmt(f),
            Self::ViewChange { view, ranking, term, change } => {
                write!(f, "VIEW_CHANGE view={} members=", view.id)?;
                ordered_peer_list(f, view, *ranking)?;
                write!(f, " term={term} reason={change}")
            }
            Self::AddedToNetwork { view, by, term } => {
                let by = by.as_ref().map_or("itself", NodeId::as_str);
                write!(f, "ADDED TO NETWORK view={view} by={by} term={term}")
            }
            Self::RemovedFromNetwork { view, term } => write!(f, "REMOVED FROM NETWORK view={view} term={term}"),
            Self::NewPeerRequest { peer, term } => {
                write!(f, "NEW_PEER_REQUEST from={} endpoint={} term={term}", peer.id, peer.endpoint)
            }
            Self::NoRoom { peer, term } => {
                write!(f, "no room for newcomers from={} endpoint={} term={term}", peer.id, peer.endpoint)
            }
            Self::PledgeRefused { to, given: Some(given) } => {
                write!(f, "pledge refused to={to} given={given} (it follows if {given} gives way)")
            }
            Self::PledgeRefused { to, given: None } => {
                write!(
                    f,
                    "pledge refused to={to} given=none (in this node's list {to} is not the highest: give all the same list)"
                )
            }
            Self::FoundsNothing { by } => write!(
                f,
                "founds no network by={by} (which takes this node for a member of one, and its data directory is new: was it lost? It joins \
                 as soon as it is let in. If {by} is not meant to be in the same network, stop it, and start this node again)"
            ),
            Self::AnotherNetwork { from, endpoint } => {
                write!(f, "ANOTHER NETWORK from={from}")?;
                endpoint.iter().try_for_each(|endpoint| write!(f, " endpoint={endpoint}"))?;
                f.write_str(
                    " (it takes this node for one of its own, but this node's data directory is of a network that was founded apart; the \
                     one that is alone gives way: to join the other, stop this node and start it with an empty directory, told to join \
                     and not to found)",
                )
            }
            Self::Pledged { to } => write!(f, "pledged to={to}"),
            Self::Founded { view, ranking } => {
                write!(f, "founded the network view={} members=", view.id)?;
                ordered_peer_list(f, view, *ranking)
            }
            Self::Installed { seq, index } => write!(f, "installed snapshot seq={seq} index={index}"),
            Self::SnapshotUnreadable { from, index, error } => {
                write!(f, "unreadable snapshot from={from} index={index} ({})", OneLine(error))
            }
            Self::Restored { entries, applied, torn } => {
                write!(f, "recovered entries={entries} applied={applied} torn={torn}")
            }
        }
    }
}

/// Stands only where there are rooms.
struct InRoom<'a>(&'a Option<Header>);

impl fmt::Display for InRoom<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|header| write!(f, " room={}", header.room))
    }
}

/// Text from outside, in one line.
struct OneLine<'a>(&'a str);

impl fmt::Display for OneLine<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .chars()
            .try_for_each(|c| if c.is_control() { write!(f, "{}", c.escape_default()) } else { f.write_char(c) })
    }
}

/// The members, the one of the highest priority first.
fn ordered_peer_list(f: &mut fmt::Formatter<'_>, view: &View, ranking: Ranking) -> fmt::Result {
    let mut members: Vec<_> = view.members.keys().collect();
    members.sort_by(|a, b| ranking.of(b).cmp(&ranking.of(a)));
    members.iter().enumerate().try_for_each(|(n, id)| write!(f, "{}{id}", if n == 0 { "" } else { "," }))
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoLeader => f.write_str("no-leader"),
            Self::LeaderFailed(peer) => write!(f, "leader-failed:{peer}"),
            Self::LeaderLeft(peer) => write!(f, "leader-left:{peer}"),
            Self::Challenged(peer) => write!(f, "challenged-by:{peer}"),
            Self::Takeover(peer) => write!(f, "takeover-from:{peer}"),
            Self::Transferred(peer) => write!(f, "transfer:{peer}"),
            Self::LeaderFound(peer) => write!(f, "leader-found:{peer}"),
            Self::HigherTerm(peer) => write!(f, "higher-term-of:{peer}"),
            Self::HigherLeader(peer) => write!(f, "higher-leader:{peer}"),
            Self::VotedFor(peer) => write!(f, "voted-for:{peer}"),
            Self::NoMajority => f.write_str("no-majority"),
            Self::NoCoordinator => f.write_str("no-coordinator"),
            Self::Stalled => f.write_str("stalled"),
            Self::Leaving => f.write_str("leaving"),
            Self::Removed => f.write_str("removed"),
            Self::AnotherNetwork(peer) => write!(f, "another-network-of:{peer}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(n: u8) -> NodeId {
        format!("peer{n}").parse().unwrap()
    }

    fn known(n: u8) -> Peer {
        Peer { id: peer(n), endpoint: format!("127.0.0.1:700{n}").parse().unwrap(), incarnation: 1 }
    }

    fn view() -> Arc<View> {
        let members = (1..=3).map(|n| (peer(n), known(n))).collect();
        Arc::new(View { id: 4, members, ..View::default() })
    }

    #[test]
    fn lines_hold_the_phrases_that_people_and_patterns_search_for() {
        let term = Term(2);
        let lines = [
            (
                Event::BecameLeader { term, votes: vec![peer(1), peer(3)] },
                "became the Group Leader via election term=2 votes=peer1,peer3",
            ),
            (Event::ReceivedCoordinator { leader: peer(3), term }, "Received COORDINATOR announcement: peer3 term=2"),
            (Event::Follows { leader: peer(3), term }, "follows leader=peer3 term=2 (heard by HEARTBEAT)"),
            (Event::SteppedDown { term, reason: Reason::NoMajority }, "stepped down term=2 reason=no-majority"),
            (Event::Suspected { peer: peer(3), term }, "SUSPECTED peer=peer3 term=2"),
            (Event::Failed { peer: peer(3), term }, "FAILED peer=peer3 term=2"),
            (Event::Recovered { peer: peer(3), term }, "RECOVERED peer=peer3 term=2"),
            (
                Event::ElectionStarted { term, reason: Reason::LeaderFailed(peer(3)) },
                "election started term=2 reason=leader-failed:peer3",
            ),
            (
                Event::ElectionCancelled { term, reason: Reason::LeaderFound(peer(3)) },
                "election cancelled term=2 reason=leader-found:peer3",
            ),
            (Event::Transferring { to: peer(3), term }, "transferring leadership to=peer3 term=2"),
            (Event::Leaving { term }, "leaving term=2"),
            (
                Event::Requested { id: "peer1/3".parse().unwrap(), room: None, text: "hello world".into() },
                "requested msg=peer1/3 text=hello world",
            ),
            (
                Event::Delivered {
                    seq: 7,
                    term,
                    index: 12,
                    id: "peer1/3".parse().unwrap(),
                    view: 4,
                    room: None,
                    text: "hello world".into(),
                },
                "DELIVERED seq=7 term=2 index=12 msg=peer1/3 from=peer1 view=4 text=hello world",
            ),
            (
                Event::Delivered {
                    seq: 7,
                    term,
                    index: 12,
                    id: "peer1/3".parse().unwrap(),
                    view: 4,
                    room: Some(Header::default()),
                    text: "hello world".into(),
                },
                "DELIVERED seq=7 term=2 index=12 msg=peer1/3 from=peer1 view=4 room=general text=hello world",
            ),
            (
                Event::ViewChange { view: view(), ranking: Ranking::Text, term, change: Change::Joined(peer(1)) },
                "VIEW_CHANGE view=4 members=peer3,peer2,peer1 term=2 reason=joined:peer1",
            ),
            (Event::AddedToNetwork { view: 4, by: Some(peer(3)), term }, "ADDED TO NETWORK view=4 by=peer3 term=2"),
            (
                Event::NewPeerRequest { peer: known(1), term },
                "NEW_PEER_REQUEST from=peer1 endpoint=127.0.0.1:7001 term=2",
            ),
            (Event::Installed { seq: 100, index: 130 }, "installed snapshot seq=100 index=130"),
            (Event::Restored { entries: 120, applied: 118, torn: 0 }, "recovered entries=120 applied=118 torn=0"),
        ];
        for (event, line) in lines {
            assert_eq!(event.to_string(), line);
        }
    }
}
