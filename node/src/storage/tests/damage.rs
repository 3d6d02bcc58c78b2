//! Files that are cut, flipped and filled with rubbish.

use std::sync::Arc;

use proptest::prelude::*;

use super::disk::Disk;
use super::script::{Act, LIMITS, Life, act, reopened, which};
use crate::storage::fault::Fault;
use crate::storage::log::Log;

fn lived(acts: &[Act]) -> (Disk, Life) {
    let disk = Disk::default();
    let mut life = Life::begin(&disk).unwrap();
    for act in acts {
        life.act(act).unwrap();
    }
    (disk, life)
}

fn one_segment() -> Vec<Act> {
    let entry = |back, size| Act::Entry { back, size };
    vec![
        Act::Ballot(1),
        Act::Commit,
        entry(0, 30),
        entry(0, 60),
        Act::Commit,
        entry(0, 10),
        Act::Applied(2),
        entry(1, 20),
        Act::Commit,
        Act::Mark,
    ]
}

const SEGMENT: &str = "log.0000000001";

#[test]
fn a_log_that_is_cut_at_any_byte_holds_what_was_whole_before_the_cut() {
    let (disk, life) = lived(&one_segment());
    let whole = disk.bytes(SEGMENT);
    let end = whole.iter().rposition(|&byte| byte != 0).unwrap() + 1;
    let mut torn_tails = 0;
    let mut reached = 0;
    for cut in 0..=end {
        let cut_off = disk.with(SEGMENT, |bytes| bytes.truncate(cut));
        match reopened(&cut_off) {
            Ok((_, found, held)) => {
                let state = which(&life.states, reached, &held);
                reached = state.unwrap_or_else(|| panic!("cut at {cut}: {held:?}"));
                torn_tails += u32::from(found.torn.is_some());
                if let Some(torn) = found.torn {
                    assert_eq!(torn.offset + torn.bytes, cut as u64 - trailing_zeros(&whole[..cut]));
                }
            }
            Err(Fault::Damaged(damage)) => {
                assert_eq!((damage.file.as_str(), reached), (SEGMENT, 0), "only a beginning that is not whole");
                assert!(damage.reason.contains("whose") || damage.reason.contains("beginning"), "{}", damage.reason);
            }
            Err(other) => panic!("cut at {cut}: {other:?}"),
        }
    }
    assert_eq!(reached, life.states.len() - 1);
    assert!(torn_tails > 300, "{torn_tails} of {end} cuts were told as torn tails");
}

fn trailing_zeros(bytes: &[u8]) -> u64 {
    bytes.iter().rev().take_while(|&&byte| byte == 0).count() as u64
}

#[test]
fn no_flipped_bit_in_what_was_durable_is_cut_off_or_overlooked() {
    let (disk, life) = lived(&one_segment());
    let whole = disk.bytes(SEGMENT);
    let end = whole.iter().rposition(|&byte| byte != 0).unwrap() + 1;
    // The last frame is a mark, 40 bytes that say nothing but that all before is durable.
    let mark = whole.windows(4).rposition(|bytes| bytes == b"dsn1").unwrap();
    for bit in 0..end * 8 {
        let flipped = disk.with(SEGMENT, |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
        let opened = reopened(&flipped);
        if bit / 8 < mark {
            assert!(matches!(opened, Err(Fault::Damaged(_))), "bit {bit}: {opened:?}");
        } else {
            let (_, _, held) = opened.unwrap();
            assert_eq!(which(&life.states, life.states.len() - 1, &held), Some(life.states.len() - 1));
        }
    }
}

#[test]
fn a_missing_or_shortened_segment_is_damage() {
    let acts: Vec<Act> =
        (0..40).flat_map(|_| [Act::Entry { back: 0, size: 500 }, Act::Commit]).chain([Act::Mark]).collect();
    let (disk, _) = lived(&acts);
    assert!(disk.has("log.0000000003"));
    let without = disk.after_a_kill();
    crate::storage::medium::Medium::remove(&without, "log.0000000002").unwrap();
    let fault = reopened(&without).unwrap_err();
    assert!(matches!(&fault, Fault::Damaged(damage) if damage.reason == "it is missing"), "{fault:?}");
    let oldest = disk.after_a_kill();
    crate::storage::medium::Medium::remove(&oldest, SEGMENT).unwrap();
    let fault = reopened(&oldest).unwrap_err();
    assert!(matches!(&fault, Fault::Damaged(damage) if damage.reason.contains("the snapshot ends at 0")), "{fault:?}");
    for cut in [1, 40, 300, 3000] {
        let shorter = disk.with("log.0000000002", |bytes| bytes.truncate(bytes.len() - cut));
        let fault = reopened(&shorter).unwrap_err();
        assert!(matches!(fault, Fault::Damaged(_)), "{fault:?}");
    }
}

#[test]
fn a_damaged_snapshot_is_refused() {
    let mut acts = one_segment();
    acts.push(Act::Checkpoint { back: 1 });
    let (disk, _) = lived(&acts);
    let length = disk.bytes("snapshot").len();
    for bit in 0..length * 8 {
        let flipped = disk.with("snapshot", |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
        assert!(matches!(reopened(&flipped), Err(Fault::Damaged(_))), "bit {bit}");
    }
    for cut in 0..length {
        let shorter = disk.with("snapshot", |bytes| bytes.truncate(cut));
        assert!(matches!(reopened(&shorter), Err(Fault::Damaged(_))), "cut at {cut}");
    }
}

#[test]
fn another_nodes_log_is_refused_by_name() {
    let (disk, _) = lived(&one_segment());
    let fault = Log::open(Arc::new(disk.after_a_kill()), "peer2", LIMITS).unwrap_err();
    assert!(matches!(&fault, Fault::Foreign { owner } if owner == "peer1"), "{fault:?}");
}

proptest! {
    #[test]
    fn no_rubbish_in_a_file_is_a_panic_or_believed(
        acts in prop::collection::vec(act(), 1..30),
        at in any::<prop::sample::Index>(),
        rubbish in prop::collection::vec(any::<u8>(), 1..200),
        replace in any::<bool>(),
    ) {
        let (disk, life) = lived(&acts);
        let names: Vec<String> = crate::storage::medium::Medium::names(&disk).unwrap();
        let name = at.get(&names);
        let broken = disk.with(name, |bytes| {
            let at = at.index(bytes.len() + 1);
            let end = if replace { (at + rubbish.len()).min(bytes.len()) } else { at };
            bytes.splice(at..end, rubbish.iter().copied());
        });
        if let Ok((_, _, held)) = reopened(&broken) {
            // Some state that the log was in: nothing that was never written, in no other order.
            prop_assert!(which(&life.states, 0, &held).is_some(), "{held:?}");
        }
    }
}
