//! The oracle bites: schedules in which something is wrong on purpose are caught, and caught again.
//!
//! The mistakes of the `mistakes` feature are in `mistakes`; here is the world's own, which needs no feature.

use std::ops::Range;

use dsbench_protocol::{Config, Quorum};

use crate::cluster::Cluster;
use crate::faults::Schedule;
use crate::schedules::{Outcome, Prepare, run};

/// Runs the schedules `seeds` with something wrong, and shows that each that is caught is caught again in the same way.
/// Gives the complaints with their seeds.
pub(crate) fn caught(seeds: Range<u64>, config: impl Fn(Config) -> Config, prepare: Prepare) -> Vec<(u64, String)> {
    let outcome = |seed| -> Outcome { run(&Schedule::of(seed, Quorum::Majority), &config, prepare, false).0 };
    let mut complaints = Vec::new();
    for seed in seeds {
        let first = outcome(seed);
        if let Err(complaint) = first.verdict.clone() {
            assert_eq!(first, outcome(seed), "seed {seed} fails twice alike, to the last event");
            complaints.push((seed, complaint));
        }
    }
    complaints
}

/// The seeds of `seeds.txt`, with the mistake that each has caught.
pub(crate) fn kept_seeds() -> impl Iterator<Item = (u64, &'static str)> {
    let lines = include_str!("seeds.txt").lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| {
        let mut words = line.split_whitespace();
        let seed = words.next().and_then(|word| word.parse().ok()).expect("a line begins with its seed");
        (seed, words.next().expect("a seed has its mistake"))
    })
}

#[test]
fn the_correct_node_passes_every_schedule_that_has_caught_a_mistake() {
    for (seed, _) in kept_seeds() {
        assert_eq!(caught(seed..seed + 1, |config| config, |_| {}), []);
    }
}

#[test]
fn disks_that_lie_about_syncs_are_caught_as_two_votes_in_one_term() {
    let complaints = caught(
        20..60,
        |config| config,
        |cluster: &mut Cluster| {
            for id in cluster.ids() {
                cluster.lie_about_syncs(&id);
            }
        },
    );
    let twice = complaints.iter().filter(|(_, complaint)| complaint.contains(" voted for ")).count();
    assert!(twice > 0, "{complaints:?}");
}
