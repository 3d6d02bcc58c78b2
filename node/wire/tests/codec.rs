//! The codec against random messages and random bytes.

use std::sync::Arc;

use dsbench_wire::{
    Content, Endpoint, Entry, Envelope, MAX_LINE, Message, NodeId, Peer, Position, RequestId, RoomId, Term, View, chat,
    decode, encode, room,
};
use proptest::prelude::*;

fn node_id() -> impl Strategy<Value = NodeId> {
    // Numbers as well: the chat's nodes have no other names.
    prop_oneof!["[A-Za-z0-9._-]{1,64}", "[0-9]{1,20}"].prop_map(|id| id.parse().expect("the pattern is an id's"))
}

fn position() -> impl Strategy<Value = Position> {
    (0..=Term::LAST.0, any::<u64>()).prop_map(|(term, index)| Position { term: Term(term), index })
}

fn peer() -> impl Strategy<Value = Peer> {
    (node_id(), "[a-z0-9.-]{1,20}:[1-9][0-9]{0,3}", any::<u64>()).prop_map(|(id, endpoint, incarnation)| Peer {
        id,
        endpoint: endpoint.parse().expect("the pattern is an endpoint's"),
        incarnation,
    })
}

fn view() -> impl Strategy<Value = Arc<View>> {
    let peers = || prop::collection::vec(peer(), 0..4);
    (any::<u64>(), any::<u64>(), peers(), peers()).prop_map(|(id, network, members, learners)| {
        let by_id = |peers: Vec<Peer>| peers.into_iter().map(|peer| (peer.id.clone(), peer)).collect();
        Arc::new(View { id, network, members: by_id(members), learners: by_id(learners) })
    })
}

fn request_id() -> impl Strategy<Value = RequestId> {
    ("[!-~]{1,96}", any::<u64>())
        .prop_map(|(client, serial)| RequestId { client: client.parse().expect("the pattern is a client's"), serial })
}

fn text() -> impl Strategy<Value = Arc<str>> {
    // With and without a room, as far as there is a difference.
    prop_oneof![
        any::<String>(),
        ("[a-z#]{1,64}", any::<String>()).prop_map(|(name, text)| {
            let room: RoomId = name.parse().expect("the pattern is a room's");
            room::payload(&room, &text)
        }),
        ("[a-z#]{1,64}", prop::option::of("[!-~]{1,96}"), any::<bool>(), any::<String>()).prop_map(
            |(name, sender, named, text)| {
                let room = name.parse().expect("the pattern is a room's");
                let sender = sender.map(|sender| sender.parse().expect("the pattern is a client's"));
                let msg_id = named.then(|| "550e8400-e29b-41d4-a716-446655440000".into());
                room::Header { room, sender, msg_id }.payload(&text)
            }
        ),
    ]
    .prop_map(Arc::from)
}

fn entry() -> impl Strategy<Value = Entry> {
    let content = prop_oneof![
        Just(Content::NoOp),
        view().prop_map(Content::View),
        (request_id(), text()).prop_map(|(id, payload)| Content::Command { id, payload }),
    ];
    (any::<u64>(), 0..=Term::LAST.0, content).prop_map(|(index, term, content)| Entry {
        index,
        term: Term(term),
        content,
    })
}

fn appended() -> impl Strategy<Value = (Term, Position, u64, Vec<Entry>)> {
    ((0..=Term::LAST.0).prop_map(Term), position(), any::<u64>(), prop::collection::vec(entry(), 0..4))
}

fn message() -> impl Strategy<Value = Message> {
    let term = || (0..=Term::LAST.0).prop_map(Term);
    prop_oneof![
        (term(), any::<u64>(), any::<u64>()).prop_map(|(term, seq, commit)| Message::Heartbeat { term, seq, commit }),
        (term(), any::<u64>(), any::<u64>(), any::<u64>())
            .prop_map(|(term, seq, matched, incarnation)| Message::HeartbeatAck { term, seq, matched, incarnation }),
        term().prop_map(|term| Message::Election { term }),
        (term(), position()).prop_map(|(term, last)| Message::Ok { term, last }),
        term().prop_map(|term| Message::Coordinator { term }),
        (term(), any::<u64>(), position(), any::<bool>())
            .prop_map(|(term, round, last, transfer)| Message::PreVoteRequest { term, round, last, transfer }),
        (term(), any::<u64>(), any::<bool>(), any::<u64>())
            .prop_map(|(term, round, granted, incarnation)| Message::PreVote { term, round, granted, incarnation }),
        (term(), position()).prop_map(|(term, last)| Message::VoteRequest { term, last }),
        (term(), any::<bool>(), any::<u64>()).prop_map(|(term, granted, incarnation)| Message::Vote {
            term,
            granted,
            incarnation
        }),
        term().prop_map(|term| Message::TimeoutNow { term }),
        term().prop_map(|term| Message::Leave { term }),
        appended().prop_map(|(term, prev, commit, entries)| Message::Append { term, prev, commit, entries }),
        appended().prop_map(|(term, prev, commit, entries)| Message::Ordered { term, prev, commit, entries }),
        (term(), any::<bool>(), any::<u64>(), any::<bool>(), any::<u64>()).prop_map(
            |(term, granted, matched, ordered, incarnation)| Message::AppendAck {
                term,
                granted,
                matched,
                ordered,
                incarnation
            }
        ),
        (term(), position(), view(), any::<u64>(), any::<u64>(), text()).prop_map(
            |(term, at, view, size, offset, part)| Message::InstallSnapshot { term, at, view, size, offset, part }
        ),
        (term(), position(), any::<u64>(), any::<u64>())
            .prop_map(|(term, at, offset, incarnation)| Message::SnapshotAck { term, at, offset, incarnation }),
        (term(), request_id(), any::<u64>(), text()).prop_map(|(term, id, after, payload)| Message::SequencerRequest {
            term,
            id,
            after,
            payload
        }),
        (term(), peer(), any::<bool>(), any::<u64>())
            .prop_map(|(term, peer, is_new, network)| Message::NewPeerRequest { term, peer, is_new, network }),
        (term(), view()).prop_map(|(term, view)| Message::AddedToNetwork { term, view }),
        (term(), view()).prop_map(|(term, view)| Message::ViewChange { term, view }),
        (term(), peer()).prop_map(|(term, peer)| Message::PledgeRequest { term, peer }),
        (term(), any::<bool>(), peer()).prop_map(|(term, granted, peer)| Message::Pledge { term, granted, peer }),
    ]
}

fn envelope() -> impl Strategy<Value = Envelope> {
    (node_id(), node_id(), message()).prop_map(|(from, to, message)| Envelope { from, to, message })
}

fn here() -> Endpoint {
    "127.0.0.1:5001".parse().expect("an address")
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
    fn the_chat_carries_every_message_too(envelope in envelope()) {
        let Envelope { from, to, message } = &envelope;
        let line = chat::line(from, to, &chat::body(message, from, &here()));
        prop_assert_eq!(line.matches('\n').count(), 1, "one message, one line");
        prop_assert_eq!(chat::decode(line.as_bytes()).expect("own line"), envelope);
    }

    #[test]
    fn no_bytes_from_outside_are_a_panic(bytes in prop::collection::vec(any::<u8>(), 0..512)) {
        let _ = decode(&bytes);
        let _ = chat::decode(&bytes);
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
        let Envelope { from, to, message } = &envelope;
        let mut bytes = chat::line(from, to, &chat::body(message, from, &here())).into_bytes();
        let at = cut.index(bytes.len());
        bytes[at] ^= 0x15;
        if let Err(error) = chat::decode(&bytes) {
            prop_assert!(!error.to_string().contains('\n'), "a reason is one line");
        }
    }
}

proptest! {
    // Each case is a whole batch.
    #![proptest_config(ProptestConfig::with_cases(32))]
    #[test]
    fn a_batch_that_is_within_its_weight_fits_into_a_line_of_either_dialect(
        short in prop::collection::vec(("[a-z]{1,3}", any::<u64>(), "(#\n)?[a\"\n]{0,9}"), 400..460),
    ) {
        let mut weight = 0;
        let entries: Vec<Entry> = (short.into_iter().zip(1..))
            .map(|((client, serial, payload), n)| {
                let id = RequestId { client: client.parse().expect("a name"), serial };
                Entry { index: u64::MAX - n, term: Term::LAST, content: Content::Command { id, payload: payload.into() } }
            })
            .take_while(|entry| {
                weight += entry.weight();
                weight <= 60 * 1024
            })
            .collect();
        let last = Position { term: Term::LAST, index: u64::MAX };
        let message = Message::Append { term: Term::LAST, prev: last, commit: u64::MAX, entries };
        let longest: NodeId = "n".repeat(NodeId::MAX_LEN).parse().expect("an id");
        let line = chat::line(&longest, &longest, &chat::body(&message, &longest, &here()));
        prop_assert!(line.len() <= MAX_LINE, "{} bytes", line.len());
        let line = encode(&Envelope { from: longest.clone(), to: longest, message });
        prop_assert!(line.len() <= MAX_LINE, "{} bytes", line.len());
    }
}
