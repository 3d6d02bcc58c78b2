//! Faults that people know by name, each with what must come of it.

use std::ops::ControlFlow;
use std::time::Duration;

use dsbench_protocol::{Asker, Config, Event, Takeover};
use dsbench_wire::{NodeId, Term};

use crate::cluster::{Cluster, peer};
use crate::modes::{classroom, majority, sticky};
use crate::schedules::knobs;

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

const SEEDS: std::ops::Range<u64> = 0..25;

/// A cluster whose nodes start within 200 ms, a little after each other, and have agreed on a leader.
fn settled(seed: u64, size: usize, change: impl Fn(Config) -> Config) -> Cluster {
    let mut cluster = Cluster::new(seed, size, |id, members| change(knobs(id, members)));
    cluster.keep_trace();
    for (n, id) in cluster.ids().iter().enumerate() {
        cluster.start_at(ms(200) * n as u32 / size as u32, id);
    }
    assert!(cluster.run_until(ms(2000), |c| c.agreed_leader().is_some()), "{}", cluster.trace().join("\n"));
    cluster
}

fn leader(cluster: &Cluster) -> NodeId {
    cluster.agreed_leader().expect("a settled cluster").0
}

/// When something was first told after `since`.
fn told(cluster: &Cluster, since: Duration, is: impl Fn(&NodeId, &Event) -> bool) -> Option<Duration> {
    cluster.records.iter().find(|r| r.at > since && is(&r.node, &r.event)).map(|r| r.at)
}

fn became_leader(_: &NodeId, event: &Event) -> bool {
    matches!(event, Event::BecameLeader { .. })
}

/// Runs until somebody becomes leader, and gives how long that took.
fn next_leader_after(cluster: &mut Cluster, limit: Duration) -> Option<Duration> {
    let since = cluster.now;
    cluster.run_until(limit, |c| told(c, since, became_leader).is_some());
    told(cluster, since, became_leader).map(|at| at - since)
}

#[test]
fn the_first_leader_leads_within_a_second() {
    for (seed, size) in SEEDS.flat_map(|seed| [1, 2, 3, 5].map(|size| (seed, size))) {
        let cluster = settled(seed, size, majority);
        assert!(cluster.now < ms(1000), "seed {seed}, {size} nodes: {:?}", cluster.now);
    }
}

#[test]
fn a_killed_leader_is_replaced_within_two_timeouts_and_a_little() {
    for (seed, size) in SEEDS.flat_map(|seed| [3, 5].map(|size| (seed, size))) {
        let mut cluster = settled(seed, size, majority);
        cluster.run_for(ms(1000));
        let killed = leader(&cluster);
        cluster.kill(&killed);
        let took = next_leader_after(&mut cluster, ms(5000)).expect("a new leader");
        assert!(took <= ms(2 * 400 + 100), "seed {seed}, {size} nodes: {took:?}");
    }
}

#[test]
fn a_returning_highest_node_takes_back_under_bully_and_not_under_sticky() {
    for (takeover, expected) in [(Takeover::Bully, peer(3)), (Takeover::Sticky, peer(2))] {
        let mut cluster = settled(1, 3, |config| Config { takeover, ..config });
        cluster.run_for(ms(2000));
        assert_eq!(leader(&cluster), peer(3), "started last, and first by priority");
        cluster.kill(&peer(3));
        cluster.run_for(ms(2000));
        assert_eq!(cluster.leaders(), [peer(2)]);
        cluster.start(&peer(3));
        cluster.run_for(ms(2000));
        assert_eq!(leader(&cluster), expected, "{takeover}");
    }
}

#[test]
fn a_paused_leader_is_replaced_and_steps_down_first_thing_on_resume() {
    for seed in SEEDS {
        let mut cluster = settled(seed, 3, majority);
        cluster.run_for(ms(1000));
        let paused = leader(&cluster);
        cluster.pause(&paused);
        assert!(next_leader_after(&mut cluster, ms(2000)).is_some());
        cluster.run_for(ms(3000));
        let resumed = cluster.now;
        cluster.resume(&paused);
        let own = |is: fn(&Event) -> bool| cluster.records.iter().rposition(|r| r.node == paused && is(&r.event));
        let stepped_down = own(|event| matches!(event, Event::SteppedDown { .. }));
        assert!(stepped_down > own(|event| matches!(event, Event::BecameLeader { .. })), "in the same instant");
        assert_eq!(cluster.now, resumed);
        cluster.run_for(ms(3000));
        assert!(cluster.agreed_leader().is_some());
    }
}

#[test]
fn an_isolated_leader_steps_down_before_the_others_elect() {
    for seed in SEEDS {
        let mut cluster = settled(seed, 3, sticky);
        cluster.run_for(ms(1000));
        let (since, old) = (cluster.now, leader(&cluster));
        cluster.partition(&[vec![old.clone()], cluster.ids()]);
        cluster.run_for(ms(3000));
        let stepped_down = told(&cluster, since, |node, e| *node == old && matches!(e, Event::SteppedDown { .. }));
        let replaced = told(&cluster, since, became_leader);
        assert!(stepped_down.expect("it steps down") < replaced.expect("it is replaced"), "seed {seed}");
    }
}

#[test]
fn an_isolated_member_that_returns_disturbs_nobody() {
    for seed in SEEDS {
        let mut cluster = settled(seed, 3, majority);
        cluster.run_for(ms(1000));
        let before = cluster.agreed_leader();
        cluster.partition(&[vec![peer(1)], vec![peer(2), peer(3)]]);
        cluster.run_for(ms(10_000));
        cluster.network.heal();
        cluster.run_for(ms(2000));
        assert_eq!(cluster.agreed_leader(), before, "the same leader in the same term");
    }
}

#[test]
fn a_leader_whom_nobody_hears_or_who_hears_nobody_is_replaced() {
    for is_deaf in [true, false] {
        let mut cluster = settled(3, 3, sticky);
        cluster.run_for(ms(1000));
        let old = leader(&cluster);
        for id in cluster.ids() {
            if is_deaf { cluster.network.cut(&id, &old) } else { cluster.network.cut(&old, &id) }
        }
        assert!(next_leader_after(&mut cluster, ms(3000)).is_some(), "deaf: {is_deaf}");
        let others: Vec<_> = cluster.ids().into_iter().filter(|id| *id != old).collect();
        cluster.run_for(ms(1000));
        assert!(cluster.leaders().iter().all(|id| others.contains(id)), "deaf: {is_deaf}");
        cluster.network.heal();
        cluster.run_for(ms(3000));
        assert!(cluster.agreed_leader().is_some());
    }
}

#[test]
fn a_minority_elects_nobody_and_a_majority_does() {
    let mut cluster = settled(4, 5, majority);
    cluster.run_for(ms(1000));
    let cut = cluster.now;
    let minority = [peer(4), peer(5)];
    cluster.partition(&[minority.to_vec(), vec![peer(1), peer(2), peer(3)]]);
    cluster.run_for(ms(5000));
    assert_eq!(cluster.leaders(), [peer(3)]);
    assert!(told(&cluster, cut, |node, e| minority.contains(node) && became_leader(node, e)).is_none());
    cluster.network.heal();
    cluster.run_for(ms(3000));
    assert_eq!(leader(&cluster), peer(5));
}

#[test]
fn five_nodes_survive_two_failures_at_once_and_three_stop_them_until_one_returns() {
    let mut cluster = settled(5, 5, majority);
    cluster.run_for(ms(1000));
    for n in [5, 4, 3] {
        cluster.kill(&peer(n));
    }
    cluster.run_for(ms(3000));
    assert_eq!(cluster.leaders(), []);
    cluster.start(&peer(4));
    cluster.run_for(ms(3000));
    assert_eq!(cluster.leaders(), [peer(4)]);
}

#[test]
fn failed_members_leave_the_view_in_time_so_that_a_third_failure_is_survived_too() {
    for seed in SEEDS {
        let mut cluster = settled(seed, 5, majority);
        cluster.run_for(ms(1000));
        for n in [5, 4] {
            cluster.kill(&peer(n));
        }
        let is_left = |c: &Cluster| c.leaders() == [peer(3)] && c.members(&peer(3)) == [1, 2, 3].map(peer);
        // Two timeouts until the next leader, two until it knows that the other is gone as well, and a change each.
        assert!(cluster.run_until(ms(5 * 400), is_left), "seed {seed}\n{}", cluster.trace().join("\n"));
        cluster.kill(&peer(3));
        cluster.run_for(ms(2000));
        assert_eq!(cluster.leaders(), [peer(2)], "seed {seed}");
        for n in [3, 4, 5] {
            cluster.start(&peer(n));
        }
        cluster.run_for(ms(4000));
        assert_eq!(cluster.members(&peer(5)), [1, 2, 3, 4, 5].map(peer), "seed {seed}");
        assert_eq!(leader(&cluster), peer(5));
    }
}

#[test]
fn two_nodes_need_each_other_and_one_needs_nobody() {
    let mut pair = settled(6, 2, majority);
    pair.kill(&peer(1));
    pair.run_for(ms(3000));
    assert_eq!(pair.leaders(), []);
    pair.start(&peer(1));
    pair.run_for(ms(3000));
    assert_eq!(leader(&pair), peer(2));
    let single = settled(6, 1, majority);
    assert_eq!(single.agreed_leader(), Some((peer(1), Term(1))));
    assert!(single.now < ms(10), "there is nobody to wait for");
}

#[test]
fn of_two_nodes_the_leader_goes_on_alone_when_the_other_leaves_and_takes_it_back() {
    for seed in SEEDS {
        let mut pair = settled(seed, 2, sticky);
        pair.run_for(ms(1000));
        let leader = leader(&pair);
        let other = pair.ids().into_iter().find(|id| *id != leader).expect("two");
        let since = pair.now;
        pair.leave(&other);
        pair.run_for(ms(3000));
        let lost = told(&pair, since, |_, e| matches!(e, Event::SteppedDown { .. }));
        assert_eq!((pair.leaders(), pair.members(&leader), lost), (vec![leader.clone()], vec![leader.clone()], None));
        pair.start(&other);
        let is_back = |c: &Cluster| c.members(&other).len() == 2 && c.agreed_leader().is_some();
        assert!(pair.run_until(ms(3000), is_back), "seed {seed}\n{}", pair.trace().join("\n"));
        let lost = told(&pair, since, |_, e| matches!(e, Event::SteppedDown { .. }));
        assert_eq!(lost, None, "growing from one to two costs no leader, seed {seed}");
    }
}

#[test]
fn of_two_nodes_the_other_leads_alone_when_the_leader_leaves_and_takes_it_back() {
    for seed in SEEDS {
        let mut pair = settled(seed, 2, majority);
        pair.run_for(ms(1000));
        let left = leader(&pair);
        let stays = pair.ids().into_iter().find(|id| *id != left).expect("two");
        let since = pair.now;
        pair.leave(&left);
        let is_alone = |c: &Cluster| c.leaders() == [stays.clone()] && c.members(&stays) == [stays.clone()];
        assert!(pair.run_until(ms(1000), is_alone), "seed {seed}\n{}", pair.trace().join("\n"));
        let retried = told(&pair, since, |_, e| matches!(e, Event::ElectionRetried { .. } | Event::Suspected { .. }));
        assert_eq!(retried, None, "nobody was without a leader, seed {seed}");
        pair.start(&left);
        let is_back = |c: &Cluster| c.members(&left).len() == 2 && c.agreed_leader().is_some();
        assert!(pair.run_until(ms(3000), is_back), "seed {seed}\n{}", pair.trace().join("\n"));
    }
}

#[test]
fn of_two_nodes_a_leader_that_leaves_brings_the_other_up_to_date_first_however_far_it_is_behind() {
    for seed in SEEDS {
        let mut pair = settled(seed, 2, majority);
        pair.run_for(ms(1000));
        let left = leader(&pair);
        let stays = pair.ids().into_iter().find(|id| *id != left).expect("two");
        pair.partition(&[vec![left.clone()], vec![stays.clone()]]);
        for (client, serial) in (0..20).flat_map(|client| (1..=100).map(move |serial| (client, serial))) {
            let id = format!("c{client}/{serial}").parse().expect("a request's id");
            pair.request(&left, Asker(0), Some(id), "text".to_owned());
        }
        pair.run_for(ms(50));
        let last = |c: &Cluster, id: &NodeId| c.sensor(id).map_or(0, |sensor| sensor.last().index);
        assert!(last(&pair, &left) > last(&pair, &stays) + 1900);
        pair.network.heal();
        pair.leave(&left);
        let is_alone = |c: &Cluster| c.leaders() == [stays.clone()] && c.members(&stays) == [stays.clone()];
        assert!(pair.run_until(ms(1000), is_alone), "seed {seed}\n{}", pair.trace().join("\n"));
        assert!(pair.sensor(&stays).is_some_and(|sensor| sensor.seq() >= 2000));
    }
}

#[test]
fn nodes_restarted_in_every_order_agree_again_in_a_later_term() {
    for order in [[1, 2, 3], [1, 3, 2], [2, 1, 3], [2, 3, 1], [3, 1, 2], [3, 2, 1]] {
        let mut cluster = settled(7, 3, majority);
        cluster.run_for(ms(500));
        let (_, term) = cluster.agreed_leader().expect("settled");
        order.iter().for_each(|&n| cluster.kill(&peer(n)));
        for n in order {
            cluster.start(&peer(n));
            cluster.run_for(ms(700));
        }
        cluster.run_for(ms(3000));
        let (leader, later) = cluster.agreed_leader().expect("agreement");
        assert!(leader == peer(3) && later > term, "{order:?}: {leader} {later}");
    }
}

#[test]
fn a_vote_that_is_not_on_the_disk_yet_has_not_been_answered() {
    let mut cluster = Cluster::new(8, 3, knobs);
    cluster.keep_trace();
    cluster.set_fsync(&peer(1), ms(2000));
    cluster.kill(&peer(2));
    for n in [1, 3] {
        cluster.start(&peer(n));
    }
    let asked = |c: &Cluster| c.trace().iter().any(|line| line.contains("peer1 < VOTE_REQUEST:peer3"));
    assert!(cluster.run_until(ms(2000), asked));
    cluster.run_for(ms(200));
    let answered = |c: &Cluster| c.trace().iter().any(|line| line.contains("peer3 < VOTE:peer1"));
    assert!(!answered(&cluster), "its vote is still on the way to the disk");
    assert_eq!(cluster.leaders(), []);
    cluster.set_fsync(&peer(1), ms(4));
    assert!(cluster.run_until(ms(5000), answered));
    cluster.run_for(ms(1000));
    assert_eq!(cluster.agreed_without(&peer(2)), Some(peer(3)));
}

#[test]
fn a_leader_that_leaves_is_replaced_at_once() {
    for seed in SEEDS {
        let mut cluster = settled(seed, 3, majority);
        cluster.run_for(ms(1000));
        let (since, left) = (cluster.now, leader(&cluster));
        cluster.leave(&left);
        let took = next_leader_after(&mut cluster, ms(3000)).expect("a new leader");
        assert!(took < ms(500), "seed {seed}: {took:?}");
        let suspected = told(&cluster, since, |_, e| matches!(e, Event::Suspected { .. } | Event::Failed { .. }));
        assert_eq!(suspected, None);
    }
}

#[test]
fn the_classroom_has_two_leaders_under_a_partition_and_one_after_it() {
    for seed in SEEDS {
        let mut cluster = settled(seed, 3, classroom);
        cluster.run_for(ms(2000));
        cluster.partition(&[vec![peer(3)], vec![peer(1), peer(2)]]);
        cluster.run_for(ms(3000));
        assert_eq!(cluster.leaders(), [peer(2), peer(3)], "always available, on both sides");
        cluster.network.heal();
        cluster.run_for(ms(3000));
        assert_eq!(leader(&cluster), peer(3));
    }
}

#[test]
fn a_star_elects_its_centre_and_keeps_it() {
    // Every higher node answers the centre's challenge with OK, and none of them reaches a majority.
    let mut cluster = Cluster::new(9, 5, knobs);
    let ids = cluster.ids();
    let outer: Vec<_> = ids.iter().filter(|id| **id != peer(1)).collect();
    for (from, to) in outer.iter().flat_map(|from| outer.iter().map(move |to| (from, to))) {
        cluster.network.cut(from, to);
    }
    cluster.start_all();
    cluster.run_for(ms(10_000));
    let elected = cluster.records.iter().try_fold(0, |leaders, r| match &r.event {
        Event::BecameLeader { .. } if r.node != peer(1) => ControlFlow::Break(r.node.clone()),
        Event::BecameLeader { .. } => ControlFlow::Continue(leaders + 1),
        _ => ControlFlow::Continue(leaders),
    });
    assert_eq!(elected, ControlFlow::Continue(1), "elected once, whoever it offers its place to");
    assert_eq!(cluster.agreed_leader().map(|(leader, _)| leader), Some(peer(1)));
}
