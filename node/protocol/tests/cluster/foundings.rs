//! Stories of how a network comes to be once, and what becomes of one that was founded twice.

use std::time::Duration;

use dsbench_protocol::{Asker, Config, Event, Founding, Reason};
use dsbench_wire::{Content, NodeId};

use crate::cluster::{Cluster, endpoint, peer};
use crate::modes::sticky;
use crate::schedules::knobs;

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// `peer1` founds alone; `peer2` and `peer3` join it, told where it is.
fn founded_alone(seed: u64, has_broadcast: bool) -> Cluster {
    let mut cluster = Cluster::new(seed, 3, |id, _| {
        let (founding, contacts) = if *id == peer(1) {
            (Founding::Bootstrap, Vec::new())
        } else {
            (Founding::Join, vec![(peer(1), endpoint(&peer(1)))])
        };
        let contacts = contacts.into_iter().collect();
        sticky(Config { founding, contacts, ..knobs(id, vec![id.clone()]) })
    });
    cluster.keep_trace();
    cluster.is_broadcast_lost = !has_broadcast;
    cluster.start_all();
    assert!(is_whole(&mut cluster), "seed {seed}\n{}", cluster.trace().join("\n"));
    cluster
}

fn is_whole(cluster: &mut Cluster) -> bool {
    let size = cluster.ids().len();
    let is = |c: &Cluster| c.agreed_leader().is_some() && c.ids().iter().all(|id| c.members(id).len() == size);
    cluster.run_until(ms(10_000), is)
}

fn told(cluster: &Cluster, node: &NodeId, is: impl Fn(&Event) -> bool) -> usize {
    cluster.records.iter().filter(|record| record.node == *node && is(&record.event)).count()
}

/// Whether any node's log has what was asked for at a node of another network.
fn is_anywhere(cluster: &Cluster, text: &str) -> bool {
    let has = |id: &NodeId| {
        cluster
            .log(id)
            .iter()
            .any(|entry| matches!(&entry.content, Content::Command { payload, .. } if &**payload == text))
    };
    cluster.ids().iter().any(has)
}

#[test]
fn a_founder_whose_disk_was_lost_joins_the_network_that_goes_on() {
    for (seed, has_broadcast) in (0..10).flat_map(|seed| [(seed, true), (seed, false)]) {
        let mut cluster = founded_alone(seed, has_broadcast);
        cluster.wipe(&peer(1));
        if has_broadcast {
            cluster.run_for(ms(150 * seed));
        } else {
            // It hears of them while they look for another leader, which is one more timeout after the first suspicion.
            let is_missed =
                |c: &Cluster| c.records.iter().any(|record| matches!(record.event, Event::Suspected { .. }));
            assert!(cluster.run_until(ms(2000), is_missed), "seed {seed}");
            cluster.run_for(ms(300));
        }
        cluster.start(&peer(1));
        assert!(is_whole(&mut cluster), "seed {seed}, broadcast {has_broadcast}\n{}", cluster.trace().join("\n"));
        let refused = told(&cluster, &peer(1), |e| matches!(e, Event::FoundsNothing { .. }));
        let is_one = cluster.log(&peer(1)).iter().zip(cluster.log(&peer(2))).all(|(a, b)| *a == b);
        assert!(is_one && refused == 1, "seed {seed}, broadcast {has_broadcast}\n{}", cluster.trace().join("\n"));
    }
}

#[test]
fn a_founder_that_founds_again_before_anybody_misses_it_gives_way_when_somebody_does() {
    for seed in 0..10 {
        let mut cluster = founded_alone(seed, false);
        let leader = cluster.agreed_leader().expect("whole").0;
        cluster.wipe(&peer(1));
        cluster.start(&peer(1));
        cluster.run_for(ms(4000));
        let gave_way =
            told(&cluster, &peer(1), |e| matches!(e, Event::AnotherNetwork { .. } | Event::FoundsNothing { .. }));
        let leaders = cluster.leaders();
        assert!(gave_way == 1 && leaders.len() == 1, "seed {seed}: {leader} led\n{}", cluster.trace().join("\n"));
        assert!(!leaders.contains(&peer(1)) || cluster.log(&peer(1)).len() > 4, "seed {seed}: {leader} led");
    }
}

#[test]
fn of_two_networks_that_were_meant_to_be_one_the_lonely_leader_gives_way_and_nothing_is_mixed() {
    for (seed, has_broadcast) in (0..10).flat_map(|seed| [(seed, true), (seed, false)]) {
        let mut cluster = founded_alone(seed, has_broadcast);
        cluster.wipe(&peer(1));
        cluster.partition(&[vec![peer(1)], vec![peer(2), peer(3)]]);
        // What was on its way has arrived.
        cluster.run_for(ms(50));
        cluster.start(&peer(1));
        let leads_apart = |c: &Cluster| c.leaders().len() == 2;
        assert!(
            cluster.run_until(ms(5000), leads_apart),
            "nobody can tell them apart yet\n{}",
            cluster.trace().join("\n")
        );
        cluster.request(&peer(1), Asker(0), None, "apart".to_owned());
        cluster.run_for(ms(2000));
        cluster.network.heal();
        if !has_broadcast {
            // Who lost its leader asks whom it was told of.
            let leader = cluster.leaders().into_iter().find(|id| *id != peer(1)).expect("leads");
            cluster.kill(&leader);
            cluster.run_for(ms(2000));
            cluster.start(&leader);
        }
        cluster.run_for(ms(4000));
        assert!(!cluster.leaders().contains(&peer(1)), "seed {seed}\n{}", cluster.trace().join("\n"));
        let gave_way = |e: &Event| matches!(e, Event::SteppedDown { reason: Reason::AnotherNetwork(_), .. });
        let is_told = |e: &Event| matches!(e, Event::AnotherNetwork { .. });
        assert_eq!((told(&cluster, &peer(1), gave_way), told(&cluster, &peer(1), is_told)), (1, 1), "seed {seed}");
        cluster.request(&peer(2), Asker(0), None, "together".to_owned());
        cluster.request(&peer(1), Asker(0), None, "apart again".to_owned());
        cluster.run_for(ms(3000));
        assert!(!is_anywhere(&cluster, "apart again") && is_anywhere(&cluster, "together"), "seed {seed}");
        let log = |id: &NodeId| cluster.log(id).iter().map(|entry| format!("{:?}", entry.content)).collect::<String>();
        assert!(!log(&peer(1)).contains("together") && !log(&peer(2)).contains("apart"), "seed {seed}");
        // The other one is what people mean: the directory goes.
        cluster.is_broadcast_lost = false;
        cluster.wipe(&peer(1));
        cluster.start(&peer(1));
        assert!(is_whole(&mut cluster), "seed {seed}\n{}", cluster.trace().join("\n"));
    }
}

#[test]
fn founders_that_split_the_pledges_of_the_others_found_one_network_once_they_meet() {
    let mut split = 0;
    for seed in 0..40 {
        let mut cluster =
            Cluster::new(seed, 4, |id, _| Config { founding: Founding::Expect(3), ..knobs(id, vec![id.clone()]) });
        cluster.keep_trace();
        // Each of the two hears the two below it, is heard by one of them, and not by the other founder.
        for (from, to) in [(3, 4), (4, 3), (3, 2), (4, 1)] {
            cluster.network.cut(&peer(from), &peer(to));
        }
        cluster.start_all();
        cluster.run_for(ms(1500));
        let is_founded = |c: &Cluster| c.ids().iter().any(|id| !c.members(id).is_empty());
        split += usize::from(!is_founded(&cluster));
        cluster.network.heal();
        assert!(is_whole(&mut cluster), "seed {seed}\n{}", cluster.trace().join("\n"));
        let foundings = cluster.records.iter().filter(|record| matches!(record.event, Event::Founded { .. })).count();
        assert_eq!(foundings, 1, "seed {seed}");
    }
    assert_eq!(split, 40, "without the higher one of the two, nobody has all pledges");
}

#[test]
fn pledges_follow_a_founder_that_gives_way_also_after_every_crash() {
    for seed in 0..40 {
        let mut cluster =
            Cluster::new(seed, 4, |id, _| Config { founding: Founding::Expect(3), ..knobs(id, vec![id.clone()]) });
        cluster.keep_trace();
        for (from, to) in [(3, 4), (4, 3), (3, 2), (4, 1)] {
            cluster.network.cut(&peer(from), &peer(to));
        }
        cluster.start_all();
        cluster.run_for(ms(1500));
        cluster.network.heal();
        for n in 0..8 {
            cluster.run_for(ms(40 + 7 * seed));
            let victim = peer(1 + (seed as usize + n) % 4);
            cluster.lose_power(&victim);
            cluster.run_for(ms(20));
            cluster.start(&victim);
        }
        assert!(is_whole(&mut cluster), "seed {seed}\n{}", cluster.trace().join("\n"));
        let foundings = cluster.ids().iter().map(|id| cluster.log(id).first().cloned()).collect::<Vec<_>>();
        assert!(foundings.windows(2).all(|pair| pair[0] == pair[1]), "seed {seed}: {foundings:?}");
    }
}

#[test]
fn whoever_is_not_in_the_list_is_in_no_founding() {
    let with = |n: usize, others: &[usize]| (peer(n), Founding::Together(others.iter().copied().map(peer).collect()));
    // A ring of lists, in which only one and two, and three and four, hear each other.
    let lists = [with(1, &[2]), with(2, &[3]), with(3, &[4]), with(4, &[1])];
    let mut cluster = Cluster::new(1, 4, |id, _| {
        let founding = lists.iter().find(|(of, _)| of == id).map(|(_, founding)| founding.clone()).expect("listed");
        Config { founding, ..knobs(id, vec![id.clone()]) }
    });
    cluster.partition(&[vec![peer(1), peer(2)], vec![peer(3), peer(4)]]);
    cluster.start_all();
    cluster.run_for(ms(5000));
    assert!(cluster.ids().iter().all(|id| cluster.members(id).is_empty()));
    // The same list for all is a founding.
    let mut cluster = Cluster::new(1, 3, |id, ids| {
        let others = ids.iter().filter(|other| *other != id).cloned().collect();
        Config { founding: Founding::Together(others), ..knobs(id, vec![id.clone()]) }
    });
    cluster.start_all();
    assert!(is_whole(&mut cluster));
}

#[test]
fn a_member_that_was_removed_after_a_founding_by_pledges_comes_back() {
    for seed in 0..10 {
        let mut cluster = Cluster::new(seed, 4, |id, _| {
            let founding = if *id == peer(4) { Founding::Join } else { Founding::Expect(3) };
            Config { founding, ..knobs(id, vec![id.clone()]) }
        });
        cluster.keep_trace();
        [1, 2, 3].iter().for_each(|&n| cluster.start(&peer(n)));
        let agrees = |c: &Cluster| c.leaders() == [peer(3)] && c.members(&peer(1)).len() == 3;
        assert!(cluster.run_until(ms(5000), agrees), "seed {seed}\n{}", cluster.trace().join("\n"));
        cluster.partition(&[vec![peer(1)], [2, 3, 4].map(peer).to_vec()]);
        assert!(cluster.run_until(ms(5000), |c| c.members(&peer(3)).len() == 2), "seed {seed}");
        // Meanwhile somebody leads whom it has never heard of.
        cluster.start(&peer(4));
        assert!(cluster.run_until(ms(5000), |c| c.leaders().contains(&peer(4))), "seed {seed}");
        cluster.network.heal();
        assert!(is_whole(&mut cluster), "seed {seed}\n{}", cluster.trace().join("\n"));
    }
}
