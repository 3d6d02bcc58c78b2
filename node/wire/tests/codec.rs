//! The codec against random messages and random bytes.

use dsbench_wire::{Envelope, Message, NodeId, Position, Term, decode, encode};
use proptest::prelude::*;

fn node_id() -> impl Strategy<Value = NodeId> {
    "[A-Za-z0-9._-]{1,64}".prop_map(|id| id.parse().expect("the pattern is an id's"))
}

fn position() -> impl Strategy<Value = Position> {
    (0..=Term::LAST.0, any::<u64>()).prop_map(|(term, index)| Position { term: Term(term), index })
}

fn message() -> impl Strategy<Value = Message> {
    let term = || (0..=Term::LAST.0).prop_map(Term);
    prop_oneof![
        (term(), any::<u64>()).prop_map(|(term, seq)| Message::Heartbeat { term, seq }),
        (term(), any::<u64>()).prop_map(|(term, seq)| Message::HeartbeatAck { term, seq }),
        term().prop_map(|term| Message::Election { term }),
        (term(), position()).prop_map(|(term, last)| Message::Ok { term, last }),
        term().prop_map(|term| Message::Coordinator { term }),
        (term(), any::<u64>(), position(), any::<bool>())
            .prop_map(|(term, round, last, transfer)| Message::PreVoteRequest { term, round, last, transfer }),
        (term(), any::<u64>(), any::<bool>()).prop_map(|(term, round, granted)| Message::PreVote {
            term,
            round,
            granted
        }),
        (term(), position()).prop_map(|(term, last)| Message::VoteRequest { term, last }),
        (term(), any::<bool>()).prop_map(|(term, granted)| Message::Vote { term, granted }),
        term().prop_map(|term| Message::TimeoutNow { term }),
        term().prop_map(|term| Message::Leave { term }),
    ]
}

fn envelope() -> impl Strategy<Value = Envelope> {
    (node_id(), node_id(), message()).prop_map(|(from, to, message)| Envelope { from, to, message })
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(envelope in envelope()) {
        let line = encode(&envelope);
        prop_assert_eq!(line.matches('\n').count(), 1, "one message, one line");
        let name = format!("\"type\":\"{}\"", envelope.message.name());
        prop_assert!(line.contains(&name), "documented name");
        prop_assert_eq!(decode(line.as_bytes()).expect("own line"), envelope);
    }

    #[test]
    fn no_bytes_from_outside_are_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        let _ = decode(&bytes);
    }

    #[test]
    fn no_damage_to_a_message_is_a_panic(
        envelope in envelope(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = encode(&envelope).into_bytes();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Err(error) = decode(&bytes) {
            prop_assert!(!error.to_string().contains('\n'), "a reason is one line");
        }
        bytes.truncate(cut.index(bytes.len()));
        let _ = decode(&bytes);
    }
}
