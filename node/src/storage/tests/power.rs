//! Power failures, kills and refusals at every call.

use std::sync::Arc;

use proptest::prelude::*;
use rand_pcg::Pcg64Mcg;

use super::disk::Disk;
use super::script::{Act, LIMITS, Life, act, reopened, which};
use crate::storage::fault::Fault;
use crate::storage::frame::Kind;
use crate::storage::log::{Limits, Log};

/// Lives until an act fails, if any does.
fn live(disk: &Disk, acts: &[Act]) -> Option<Life> {
    let mut life = Life::begin(disk).ok()?;
    for act in acts {
        if life.act(act).is_err() {
            break;
        }
    }
    Some(life)
}

/// What was durable is there, what is there was written in that order, and the log goes on.
fn is_recovered(disk: &Disk, life: &Option<Life>) -> Result<(), TestCaseError> {
    let (mut log, _, held) = reopened(disk).map_err(|fault| TestCaseError::fail(format!("{fault:?}")))?;
    let Some(life) = life else {
        prop_assert_eq!(held, Default::default());
        return Ok(());
    };
    let state = which(&life.states, life.safe, &held);
    prop_assert!(state.is_some(), "{held:?} is none of {:?}", &life.states[life.safe..]);
    // Whatever a node has read at its start it acts upon, and it may do so at once.
    for seed in 0..3 {
        let (_, found, again) = reopened(&disk.after_a_power_failure(&mut Pcg64Mcg::new(seed)))
            .map_err(|fault| TestCaseError::fail(format!("power fails after a start: {fault:?}")))?;
        prop_assert_eq!(found.torn, None);
        prop_assert_eq!(&again, &held);
    }
    let floor = held.snapshot.as_ref().map_or(0, |(index, ..)| *index);
    let next = held.entries.keys().last().map_or(floor, |last| *last) + 1;
    log.append(Kind::Entry, next, 1_000, b"after the crash");
    log.commit().unwrap();
    for seed in 0..4 {
        let (_, found, again) = reopened(&disk.after_a_power_failure(&mut Pcg64Mcg::new(seed))).unwrap();
        prop_assert_eq!(found.torn, None);
        prop_assert_eq!(again.entries.get(&next), Some(&(1_000, b"after the crash".to_vec())));
    }
    Ok(())
}

#[test]
fn dead_entries_at_the_beginning_of_the_oldest_segment_are_no_gap() {
    let entry = |back, size| Act::Entry { back, size };
    let fill = (0..9).map(|_| entry(0, 450));
    // A new segment begins with entry 10, which another leader's entry 8 replaces with those before it; then entries up to 7 go.
    let after = [entry(0, 10), entry(3, 10), entry(0, 10), entry(0, 10), entry(0, 10), Act::Checkpoint { back: 4 }];
    let acts: Vec<Act> = fill.chain([Act::Commit]).chain(after).collect();
    let disk = Disk::default();
    let life = live(&disk, &acts).unwrap();
    assert!(!disk.has("log.0000000001") && disk.has("log.0000000002"));
    let (_, found, held) = reopened(&disk.after_a_kill()).unwrap();
    assert_eq!(found.entries, Some((8, 11)));
    assert_eq!(which(&life.states, life.states.len() - 1, &held), Some(life.states.len() - 1));
}

#[test]
fn a_torn_tail_that_is_not_cut_off_costs_what_is_written_after_it_and_the_tests_see_it() {
    let torn_life = |seed: u128| {
        let disk = Disk::default();
        let mut life = Life::begin(&disk).unwrap();
        for act in [Act::Ballot(1), Act::Commit, Act::Entry { back: 0, size: 600 }, Act::WriteLazily] {
            life.act(&act).unwrap();
        }
        disk.after_a_power_failure(&mut Pcg64Mcg::new(seed))
    };
    let mut torn = 0;
    for seed in 0..40 {
        for keeps_torn_tail in [false, true] {
            let disk = torn_life(seed);
            let limits = Limits { keeps_torn_tail, ..LIMITS };
            let (mut log, found) = Log::open(Arc::new(disk.clone()), "peer1", limits).unwrap();
            if found.torn.is_none() {
                continue;
            }
            torn += 1;
            log.append(Kind::Ballot, 0, 0, &[2]);
            log.commit().unwrap();
            let vote =
                reopened(&disk.after_a_kill()).ok().and_then(|(_, _, held)| held.latest.get(&Kind::Ballot).cloned());
            let is_kept = vote == Some(vec![2]);
            assert_eq!(is_kept, !keeps_torn_tail, "seed {seed}: the vote is {vote:?}");
        }
    }
    assert!(torn >= 10, "{torn}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn power_may_fail_between_any_two_calls(acts in prop::collection::vec(act(), 1..30), seed in any::<u128>()) {
        let calls = { let disk = Disk::default(); live(&disk, &acts); disk.calls() };
        for call in 0..=calls {
            let disk = Disk::off_after(call);
            let life = live(&disk, &acts);
            let mut rng = Pcg64Mcg::new(seed.wrapping_add(u128::from(call)));
            is_recovered(&disk.after_a_power_failure(&mut rng), &life)?;
            is_recovered(&disk.after_a_kill(), &life)?;
        }
    }

    #[test]
    fn power_may_fail_again_while_the_log_is_recovered(acts in prop::collection::vec(act(), 1..40), seed in any::<u128>()) {
        let calls = { let disk = Disk::default(); live(&disk, &acts); disk.calls() };
        let mut rng = Pcg64Mcg::new(seed);
        let disk = Disk::off_after(seed as u64 % (calls + 1));
        let life = live(&disk, &acts);
        for call in 0..12 {
            let second = disk.after_a_power_failure(&mut rng).limited_to(call);
            let _ = reopened(&second);
            is_recovered(&second.after_a_power_failure(&mut rng), &life)?;
        }
    }

    #[test]
    fn after_one_refused_call_nothing_is_saved_any_more(acts in prop::collection::vec(act(), 1..40), call in 1..200_u64) {
        let disk = Disk::failing_at(call);
        let Ok(mut life) = Life::begin(&disk) else { return Ok(()) };
        if acts.iter().any(|act| life.act(act).is_err()) {
            prop_assert!(matches!(life.log.commit(), Err(Fault::Unknown)));
            prop_assert!(matches!(life.log.write_lazily(), Err(Fault::Unknown)));
            is_recovered(&disk.after_a_kill(), &Some(life))?;
        }
    }

    #[test]
    fn a_clean_restart_loses_nothing(acts in prop::collection::vec(act(), 1..150)) {
        let disk = Disk::default();
        let mut life = live(&disk, &acts).unwrap();
        life.act(&Act::Commit).unwrap();
        let (_, found, held) = reopened(&disk.after_a_kill()).unwrap();
        prop_assert_eq!(found.torn, None);
        let last = life.states.len() - 1;
        prop_assert!(which(&life.states, last, &held).is_some(), "{held:?} is not {:?}", life.states[last]);
    }
}
