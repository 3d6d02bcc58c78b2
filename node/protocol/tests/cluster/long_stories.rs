//! Stories of messages and members: what people ask for, what the network makes of it, and who belongs to it.

use std::time::Duration;

use dsbench_protocol::{Answer, Asker, Config, Event, Founding};
use dsbench_wire::NodeId;

use crate::cluster::{Cluster, endpoints, peer};
use crate::modes::{classroom, majority};
use crate::oracle::Safety;
use crate::schedules::knobs;

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// A cluster of `total` nodes of which the first `founders` found the network, which is up and agrees.
fn network(seed: u64, founders: usize, total: usize, change: impl Fn(Config) -> Config) -> Cluster {
    let mut cluster = Cluster::new(seed, total, |id, ids| {
        let founders = &ids[..founders];
        let founding = if founders.contains(id) { Founding::Members(endpoints(founders)) } else { Founding::Join };
        change(Config { founding, ..knobs(id, founders.to_vec()) })
    });
    cluster.keep_trace();
    for n in 1..=founders {
        cluster.start(&peer(n));
    }
    let others: Vec<_> = (1..=founders).map(peer).collect();
    let agrees = |c: &Cluster| c.leaders().len() == 1 && others.iter().all(|id| c.leader_of(id).is_some());
    assert!(cluster.run_until(ms(3000), agrees), "{}", cluster.trace().join("\n"));
    cluster.run_for(ms(500));
    cluster
}

fn ask(cluster: &mut Cluster, node: &NodeId, text: impl ToString) {
    cluster.request(node, Asker(0), None, text.to_string());
}

/// What a node has delivered in all its lives, in order.
fn delivered(cluster: &Cluster, node: &NodeId) -> Vec<(u64, String)> {
    let own = cluster.records.iter().filter(|record| record.node == *node);
    let told = own.filter_map(|record| match &record.event {
        Event::Delivered { seq, text, .. } => Some((*seq, text.to_string())),
        _ => None,
    });
    told.collect()
}

fn acknowledged(cluster: &Cluster) -> usize {
    let is = |event: &Event| matches!(event, Event::Answered(Answer::Acknowledged { .. }));
    cluster.records.iter().filter(|record| is(&record.event)).count()
}

#[test]
fn what_was_acknowledged_survives_a_power_loss_everywhere_at_once() {
    for seed in 0..20 {
        let mut cluster = network(seed, 3, 3, majority);
        for n in 0..60 {
            ask(&mut cluster, &peer(1 + n % 3), n);
            cluster.run_for(ms(1));
        }
        let acknowledged = acknowledged(&cluster);
        for id in cluster.ids() {
            cluster.lose_power(&id);
        }
        cluster.start_all();
        cluster.run_for(ms(3000));
        let all: Vec<_> = cluster.ids().iter().map(|id| cluster.log(id)).collect();
        assert!(all.windows(2).all(|pair| pair[0] == pair[1]), "seed {seed}");
        let seqs = delivered(&cluster, &peer(1)).iter().map(|(seq, _)| *seq).max().unwrap_or_default();
        assert!(acknowledged > 20 && seqs as usize >= acknowledged, "seed {seed}: {seqs} of {acknowledged}");
    }
}

/// A leader is asked for its first message, its entry is on its way, and its machine loses power before the disk has anything of it.
/// Its next life is asked again. Gives what the oracle says, and what was delivered.
pub(crate) fn number_that_no_disk_knew(
    seed: u64,
    change: impl Fn(Config) -> Config,
) -> (Result<(), String>, Vec<String>) {
    let mut cluster = network(seed, 3, 3, change);
    assert_eq!(cluster.leaders(), [peer(3)]);
    let before = cluster.log(&peer(1)).len();
    cluster.set_fsync(&peer(3), ms(60_000));
    ask(&mut cluster, &peer(3), "first");
    cluster.run_until(ms(300), |c| [1, 2].iter().all(|n| c.log(&peer(*n)).len() > before));
    cluster.lose_power(&peer(3));
    cluster.set_fsync(&peer(3), ms(4));
    // Before it is removed: who is let in again asks under another name.
    cluster.start(&peer(3));
    ask(&mut cluster, &peer(3), "second");
    assert!(cluster.run_until(ms(3000), |c| c.leaders().len() == 1), "seed {seed}");
    cluster.run_for(ms(3000));
    let verdict = Safety::default().observe(&cluster);
    (verdict, delivered(&cluster, &peer(1)).into_iter().map(|(_, text)| text).collect())
}

#[test]
fn a_leader_that_dies_before_its_disk_has_noted_a_number_never_uses_that_number_again() {
    for seed in 0..10 {
        let (verdict, told) = number_that_no_disk_knew(seed, majority);
        assert_eq!(verdict, Ok(()), "seed {seed}");
        assert!(told.contains(&"second".to_owned()), "seed {seed}: {told:?}");
    }
}

#[test]
fn a_checkpoint_at_an_entry_that_tells_nothing_is_no_snapshot_to_tell_of_after_a_restart() {
    let mut cluster = network(7, 3, 3, |config| Config { checkpoint_every: 1, ..config });
    // A no-op at the end of every log.
    cluster.kill(&peer(3));
    assert!(cluster.run_until(ms(3000), |c| c.leaders() == [peer(2)]));
    cluster.run_for(ms(200));
    for id in [1, 2].map(peer) {
        cluster.kill(&id);
    }
    cluster.start_all();
    cluster.run_for(ms(3000));
    let installed = cluster.records.iter().filter(|record| matches!(record.event, Event::Installed { .. })).count();
    assert_eq!(installed, 0, "{}", cluster.trace().join("\n"));
}

#[test]
fn ordered_delivery_needs_no_multicast_to_arrive() {
    for is_lost in [true, false] {
        let mut cluster = network(3, 5, 5, |config| Config { multicast: true, ..config });
        cluster.is_multicast_lost = is_lost;
        for n in 0..40 {
            ask(&mut cluster, &peer(1 + n % 5), n);
        }
        assert!(cluster.run_until(ms(1000), |c| acknowledged(c) == 40), "lost: {is_lost}");
        cluster.run_for(ms(500));
        let first = delivered(&cluster, &peer(1));
        assert_eq!(first.len(), 40);
        assert!(cluster.ids().iter().all(|id| delivered(&cluster, id) == first), "lost: {is_lost}");
    }
}

#[test]
fn a_node_that_joins_late_delivers_everything_from_the_beginning() {
    // Every message of this seed goes through the codec, which refuses one that is too long for a line.
    let mut cluster = network(16, 3, 4, majority);
    for n in 0..200 {
        let text = if n % 10 == 0 { "x".repeat(30_000) } else { n.to_string() };
        ask(&mut cluster, &peer(3), text);
        cluster.run_for(ms(1));
    }
    assert!(cluster.run_until(ms(5000), |c| acknowledged(c) == 200));
    cluster.start(&peer(4));
    assert!(cluster.run_until(ms(3000), |c| c.members(&peer(1)).contains(&peer(4))));
    cluster.run_for(ms(1000));
    assert_eq!(delivered(&cluster, &peer(4)), delivered(&cluster, &peer(3)));
    assert_eq!(cluster.agreed_leader().map(|(leader, _)| leader), Some(peer(4)), "the highest, once it has everything");
}

#[test]
fn a_node_that_is_further_behind_than_logs_go_back_installs_a_snapshot_and_goes_on_from_there() {
    let mut cluster = network(5, 3, 4, |config| Config { checkpoint_every: 20, ..config });
    cluster.retain(0);
    for n in 0..100 {
        ask(&mut cluster, &peer(3), n);
        cluster.run_for(ms(5));
    }
    // What a leader still has in memory it can send, whatever its disk has dropped.
    for id in [1, 2, 3].map(peer) {
        cluster.kill(&id);
    }
    cluster.start_all();
    assert!(cluster.run_until(ms(5000), |c| c.members(&peer(1)).contains(&peer(4))));
    ask(&mut cluster, &peer(4), "after");
    cluster.run_for(ms(1500));
    let installed = cluster.records.iter().find_map(|record| match record.event {
        Event::Installed { seq, .. } if record.node == peer(4) => Some(seq),
        _ => None,
    });
    let told = delivered(&cluster, &peer(4));
    let from = installed.expect("a snapshot") + 1;
    assert_eq!(told.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), (from..=101).collect::<Vec<_>>());
    assert_eq!(told.last(), delivered(&cluster, &peer(1)).last());
}

#[test]
fn a_wiped_disk_comes_back_as_a_learner_and_then_as_a_member_with_everything() {
    for seed in 0..10 {
        let mut cluster = network(seed, 3, 3, majority);
        for n in 0..10 {
            ask(&mut cluster, &peer(2), n);
        }
        cluster.run_for(ms(300));
        cluster.wipe(&peer(1));
        let wiped = cluster.now;
        cluster.start(&peer(1));
        cluster.run_for(ms(4000));
        assert_eq!(cluster.members(&peer(3)), [1, 2, 3].map(peer), "seed {seed}");
        let told = delivered(&cluster, &peer(1));
        assert_eq!(told[told.len() - 10..], delivered(&cluster, &peer(2))[..], "seed {seed}");
        let back = cluster.records.iter().find(|record| {
            record.at > wiped && record.node == peer(1) && matches!(record.event, Event::AddedToNetwork { .. })
        });
        assert!(back.is_some(), "seed {seed}");
    }
}

#[test]
fn of_five_nodes_that_expect_three_exactly_one_network_comes_and_the_others_join_it() {
    for seed in 0..20 {
        let mut cluster =
            Cluster::new(seed, 5, |id, ids| Config { founding: Founding::Expect(3), ..knobs(id, ids[..3].to_vec()) });
        for (n, id) in cluster.ids().iter().enumerate() {
            cluster.start_at(ms(40 * (n as u64 * 7 % 5)), id);
        }
        let is_one = |c: &Cluster| c.agreed_leader().is_some() && c.ids().iter().all(|id| c.members(id).len() == 5);
        assert!(cluster.run_until(ms(10_000), is_one), "seed {seed}: {:?}", cluster.leaders());
        let founded = cluster.records.iter().filter(|record| matches!(record.event, Event::Founded { .. })).count();
        assert_eq!(founded, 1, "seed {seed}");
    }
}

#[test]
fn a_person_gets_through_however_often_the_leader_dies() {
    let mut cluster = network(9, 5, 5, majority);
    for n in 0..60 {
        ask(&mut cluster, &peer(1), n);
        if n % 20 == 10 {
            let leader = cluster.leaders().first().cloned().filter(|leader| *leader != peer(1));
            let killed = leader.expect("a leader");
            cluster.kill(&killed);
            cluster.start_at(cluster.now + ms(700), &killed);
        }
        cluster.run_for(ms(80));
    }
    assert!(cluster.run_until(ms(5000), |c| acknowledged(c) == 60));
    cluster.run_for(ms(1000));
    let texts: Vec<_> = delivered(&cluster, &peer(1)).into_iter().map(|(_, text)| text).collect();
    assert_eq!(texts, (0..60).map(|n| n.to_string()).collect::<Vec<_>>(), "each once, and in the order of asking");
}

#[test]
fn the_classroom_delivers_at_once_and_repairs_what_a_link_loses() {
    for seed in 0..20 {
        let mut cluster = network(seed, 3, 3, classroom);
        cluster.run_for(ms(1500));
        let lossy = crate::network::Rule { loss_permille: 300, ..Default::default() };
        for to in [1, 2].map(peer) {
            cluster.network.degrade(&peer(3), &to, lossy);
        }
        for n in 0..50 {
            ask(&mut cluster, &peer(3), n);
            cluster.run_for(ms(10));
        }
        cluster.network.heal();
        cluster.run_for(ms(1500));
        let first = delivered(&cluster, &peer(3));
        assert_eq!(first.len(), 50, "seed {seed}");
        for id in [1, 2].map(peer) {
            assert_eq!(delivered(&cluster, &id), first, "seed {seed}");
        }
    }
}

#[test]
fn a_classroom_that_nobody_listed_becomes_one_group() {
    for founding in [Founding::Expect(3), Founding::Bootstrap, Founding::Join] {
        for seed in 0..10 {
            let mut cluster = Cluster::new(seed, 4, |id, ids| {
                classroom(Config { founding: founding.clone(), ..knobs(id, ids.to_vec()) })
            });
            cluster.start_all();
            cluster.run_for(ms(4000));
            assert_eq!(cluster.agreed_leader().map(|(leader, _)| leader), Some(peer(4)), "{founding:?} {seed}");
            assert!(cluster.ids().iter().all(|id| cluster.members(id).len() == 4), "{founding:?} {seed}");
        }
    }
}

#[test]
fn a_classroom_in_which_all_list_each_other_elects_once_when_all_have_met_and_tells_everybody_who_is_in() {
    for seed in 0..10 {
        let mut cluster = Cluster::new(seed, 3, |id, ids| {
            let others = ids.iter().filter(|other| *other != id).cloned().collect();
            classroom(Config { founding: Founding::Together(others), ..knobs(id, ids.to_vec()) })
        });
        cluster.start_all();
        cluster.run_for(ms(2000));
        let led = cluster.records.iter().filter(|r| matches!(r.event, Event::BecameLeader { .. }));
        assert_eq!(led.map(|r| r.node.clone()).collect::<Vec<_>>(), [peer(3)], "seed {seed}");
        for id in cluster.ids() {
            let last = cluster.records.iter().rev().find_map(|r| match &r.event {
                Event::ViewChange { view, .. } if r.node == id => Some(view.members.len()),
                _ => None,
            });
            assert_eq!(last, Some(3), "seed {seed}: {id}");
        }
    }
}

#[test]
fn pledged_nodes_go_on_without_their_founder() {
    for seed in 0..10 {
        let founding = Founding::Expect(3);
        let mut cluster =
            Cluster::new(seed, 3, |id, ids| Config { founding: founding.clone(), ..knobs(id, ids.to_vec()) });
        cluster.start_all();
        let is_founded = |c: &Cluster| c.members(&peer(1)).len() == 3 && c.members(&peer(2)).len() == 3;
        assert!(cluster.run_until(ms(5000), is_founded), "seed {seed}");
        cluster.kill(&peer(3));
        assert!(cluster.run_until(ms(5000), |c| c.leaders() == [peer(2)]), "seed {seed}");
    }
}

#[test]
fn two_sides_of_a_classroom_number_differently_and_follow_the_higher_leader_afterwards() {
    let mut cluster = network(2, 3, 3, classroom);
    cluster.run_for(ms(1500));
    cluster.partition(&[vec![peer(3)], vec![peer(1), peer(2)]]);
    cluster.run_for(ms(2500));
    for (node, text) in [(3, "left"), (2, "right"), (1, "right too")] {
        ask(&mut cluster, &peer(node), text);
        cluster.run_for(ms(50));
    }
    assert_eq!(delivered(&cluster, &peer(3)), [(1, "left".to_owned())], "the classroom's split brain");
    assert_eq!(delivered(&cluster, &peer(1)).len(), 2);
    cluster.network.heal();
    cluster.run_for(ms(4000));
    assert_eq!(cluster.agreed_leader().map(|(leader, _)| leader), Some(peer(3)));
    ask(&mut cluster, &peer(1), "together");
    cluster.run_for(ms(500));
    let last: Vec<_> = cluster.ids().iter().map(|id| delivered(&cluster, id).pop()).collect();
    assert!(
        last.iter().all(|told| told == &last[0] && told.as_ref().is_some_and(|(_, t)| t == "together")),
        "{last:?}"
    );
}

#[test]
fn a_classroom_node_that_was_away_goes_on_where_its_log_lines_end() {
    for (seed, killed) in [(1, 3), (2, 1), (3, 3), (4, 2)] {
        let mut cluster = network(seed, 3, 3, classroom);
        cluster.run_for(ms(1500));
        for n in 0..20 {
            ask(&mut cluster, &peer(1), n);
            cluster.run_for(ms(10));
        }
        cluster.run_for(ms(500));
        cluster.kill(&peer(killed));
        cluster.run_for(ms(2500));
        ask(&mut cluster, &peer(if killed == 1 { 2 } else { 1 }), "meanwhile");
        cluster.run_for(ms(500));
        cluster.start(&peer(killed));
        cluster.run_for(ms(4000));
        ask(&mut cluster, &peer(killed), "back");
        cluster.run_for(ms(500));
        for id in cluster.ids() {
            let told = delivered(&cluster, &id);
            let texts: Vec<_> =
                told.iter().map(|(_, text)| text.as_str()).filter(|text| *text != "meanwhile").collect();
            let expected: Vec<_> = (0..20).map(|n| n.to_string()).chain(["back".to_owned()]).collect();
            assert_eq!(texts, expected, "seed {seed}, {id}");
            assert!(told.windows(2).all(|pair| pair[0].0 <= pair[1].0), "seed {seed}, {id}: {told:?}");
        }
    }
}

#[test]
fn a_classroom_client_that_asks_the_next_leader_again_is_answered_and_heard_once() {
    let mut cluster = network(6, 3, 3, classroom);
    cluster.run_for(ms(1500));
    let id = |serial| Some(format!("alice/{serial}").parse().expect("a request's id"));
    cluster.request(&peer(3), Asker(0), id(1), "one".to_owned());
    cluster.run_for(ms(300));
    cluster.kill(&peer(3));
    cluster.run_for(ms(2500));
    assert_eq!(cluster.leaders(), [peer(2)]);
    cluster.request(&peer(2), Asker(0), id(1), "one".to_owned());
    cluster.request(&peer(1), Asker(0), id(1), "one".to_owned());
    cluster.run_for(ms(3000));
    assert_eq!(delivered(&cluster, &peer(1)), [(1, "one".to_owned())]);
    let answered =
        cluster.trace().iter().filter(|line| line.ends_with("acknowledged msg=alice/1 seq=1 term=1")).count();
    assert!(cluster.trace().iter().filter(|line| line.contains(" > Asker")).count() == 3, "{answered}");
    assert!(cluster.ids().iter().all(|id| cluster.sensor(id).is_none_or(|sensor| sensor.open_requests() == 0)));
}
