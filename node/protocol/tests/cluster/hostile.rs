//! What anybody can say who reaches a node's port, and how little must come of it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use dsbench_protocol::{Config, Founding};
use dsbench_wire::{Message, NodeId, Peer, Term, View};

use crate::cluster::{Cluster, endpoints, peer};
use crate::modes::sticky;
use crate::schedules::knobs;

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// Three nodes under a leader, and a fourth that is not up yet. Every message goes through the codec.
fn network() -> Cluster {
    let mut cluster = Cluster::new(16, 4, |id, ids| {
        let founding = if *id == peer(4) { Founding::Join } else { Founding::Members(endpoints(&ids[..3])) };
        sticky(Config { founding, ..knobs(id, ids[..3].to_vec()) })
    });
    cluster.keep_trace();
    for n in 1..=3 {
        cluster.start(&peer(n));
    }
    assert!(cluster.run_until(ms(3000), |c| c.agreed_without(&peer(4)).is_some()));
    cluster.run_for(ms(500));
    cluster
}

/// As long as an id and a host may be.
fn stranger(n: usize) -> Peer {
    let id: NodeId = format!("{n:0>64}").parse().expect("an id");
    let host = "h".repeat(253);
    Peer { id, endpoint: format!("{host}:7000").parse().expect("an endpoint"), incarnation: 1 }
}

fn view_of(id: u64, peers: impl IntoIterator<Item = Peer>) -> Arc<View> {
    let members: BTreeMap<_, _> = peers.into_iter().map(|peer| (peer.id.clone(), peer)).collect();
    Arc::new(View { id, members, ..View::default() })
}

#[test]
fn a_flood_of_newcomers_leaves_a_network_that_still_works_and_lets_others_in() {
    let mut cluster = network();
    let leader = cluster.agreed_without(&peer(4)).expect("settled");
    for round in 0..20 {
        for n in 0..150 {
            let peer = stranger(150 * round + n);
            let from = peer.id.to_string();
            cluster.is_told(&from, &leader, Message::NewPeerRequest { term: Term(0), peer, is_new: false, network: 0 });
        }
        cluster.run_for(ms(20));
    }
    cluster.request(&peer(1), dsbench_protocol::Asker(0), None, "still here".to_owned());
    assert!(cluster.run_until(ms(2000), |c| c.sensor(&peer(1)).is_some_and(|sensor| sensor.seq() == 1)));
    cluster.start(&peer(4));
    let is_in = |c: &Cluster| c.members(&leader).contains(&peer(4));
    assert!(cluster.run_until(ms(5000), is_in), "{}", cluster.trace().join("\n"));
    assert_eq!(
        cluster.sensor(&leader).map(|sensor| sensor.view().learners.len()),
        Some(0),
        "nobody else ever answered"
    );
}

#[test]
fn a_member_believes_no_stranger_that_it_is_out_and_dials_nobody_for_it() {
    let mut cluster = network();
    let leader = cluster.agreed_without(&peer(4)).expect("settled");
    for n in 1..=3 {
        let view = view_of(1 << 53, (0..20).map(stranger));
        cluster.is_told("anybody", &peer(n), Message::ViewChange { term: Term(0), view });
    }
    let killed = cluster.now;
    cluster.kill(&leader);
    let is_replaced = |c: &Cluster| c.leaders().iter().any(|id| *id != leader);
    assert!(cluster.run_until(ms(2000), is_replaced), "after {killed:?}\n{}", cluster.trace().join("\n"));
    assert!(cluster.ids().iter().all(|id| cluster.dialled(id).all(|peer| cluster.ids().contains(peer))));
}

#[test]
fn a_lie_about_being_out_heals_even_if_it_seems_to_come_from_the_leader() {
    let mut cluster = network();
    let leader = cluster.agreed_without(&peer(4)).expect("settled");
    for n in 1..=3 {
        let view = view_of(1 << 53, (0..2).map(stranger));
        cluster.is_told(leader.as_str(), &peer(n), Message::ViewChange { term: Term(0), view });
    }
    cluster.kill(&leader);
    let is_replaced = |c: &Cluster| c.leaders().iter().any(|id| *id != leader);
    assert!(cluster.run_until(ms(4000), is_replaced), "{}", cluster.trace().join("\n"));
    cluster.start(&leader);
    cluster.start(&peer(4));
    let is_whole = |c: &Cluster| c.agreed_leader().is_some() && c.members(&peer(1)).len() == 4;
    assert!(cluster.run_until(ms(8000), is_whole), "{}", cluster.trace().join("\n"));
}

#[test]
fn what_strangers_say_costs_a_node_without_a_network_few_connections() {
    for founding in [Founding::Join, Founding::Expect(3), Founding::Bootstrap] {
        let mut cluster =
            Cluster::new(16, 1, |id, _| Config { founding: founding.clone(), ..knobs(id, vec![id.clone()]) });
        cluster.start(&peer(1));
        for n in 0..1000 {
            let view = view_of(n as u64, (10 * n..10 * n + 10).map(stranger));
            let from = stranger(10 * n);
            cluster.is_told(&from.id.to_string(), &peer(1), Message::ViewChange { term: Term(0), view });
            cluster.is_told(&from.id.to_string(), &peer(1), Message::PledgeRequest { term: Term(0), peer: from });
            cluster.run_for(ms(1));
        }
        let dialled = cluster.dialled(&peer(1)).count();
        assert!(dialled <= 64 + 24 + 1, "{founding:?}: {dialled}");
    }
}

#[test]
fn a_view_that_no_leader_can_have_made_is_nothing() {
    let mut cluster = network();
    let leader = cluster.agreed_without(&peer(4)).expect("settled");
    cluster.start(&peer(4));
    let view = view_of(9, (0..25).map(stranger));
    cluster.is_told("anybody", &peer(4), Message::AddedToNetwork { term: Term(0), view });
    assert!(cluster.dialled(&peer(4)).all(|peer| peer.as_str().len() < 64));
    assert!(cluster.run_until(ms(3000), |c| c.members(&leader).contains(&peer(4))));
}
