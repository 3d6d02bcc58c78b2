//! What rules do to frames, seen from outside: through the whole switch.

use std::collections::BTreeSet;
use std::time::Duration;

use proptest::prelude::{ProptestConfig, any, prop, proptest};

use super::fabric::Wire;
use super::frames::{Made, is_sound, mac};
use super::testing::{Bench, link, ms, numbered, rule, rule_for};
use super::{
    Corrupt, Delay, Did, Effect, Filter, Head, Loss, Note, OFFLOAD_BYTES, Offload, Protocol, Rate, Rule, SeenBy,
};
use crate::time::RunTime;

fn cut() -> Effect {
    Effect { cut: true, ..Effect::default() }
}

fn loss(share: f64, burst: f64) -> Effect {
    Effect { loss: Some(Loss { share, burst }), ..Effect::default() }
}

fn delay(mean: u64, jitter: u64) -> Effect {
    Effect { delay: Some(Delay { mean: ms(mean), jitter: ms(jitter) }), ..Effect::default() }
}

fn payload(pattern: &str) -> Filter {
    Filter { protocol: None, port: None, payload: Some(regex::bytes::Regex::new(pattern).unwrap()) }
}

const MICROSECOND: Duration = Duration::from_micros(1);

#[test]
fn a_frame_without_rules_comes_to_whom_it_is_for_and_to_nobody_else() {
    let mut bench = Bench::new(1, 3);
    bench.send(1, &numbered(7));
    assert_eq!(bench.wire.put, [(RunTime::START, 1, numbered(7))]);
}

#[test]
fn a_broadcast_comes_to_all_others_and_each_has_a_draw_of_its_own() {
    let mut bench = Bench::new(1, 5);
    let mut frame = numbered(1);
    frame[..6].copy_from_slice(&[0xff; 6]);
    bench.send(1, &frame);
    let to: Vec<_> = bench.wire.put.iter().map(|(_, to, _)| *to).collect();
    assert_eq!(to, [1, 2, 3, 4]);
    let links = (2..=5).map(|to| link(1, to)).collect();
    bench.set([Rule { links, ..rule(1, loss(0.5, 1.0)) }]);
    bench.wire.put.clear();
    for _ in 0..100 {
        bench.send(1, &frame);
    }
    let mut by_receiver = [0; 5];
    bench.wire.put.iter().for_each(|(_, to, _)| by_receiver[*to] += 1);
    assert_eq!(by_receiver[0], 0);
    assert!(by_receiver[1..].iter().all(|count| (25..75).contains(count)), "{by_receiver:?}");
    let traffic = bench.fabric.traffic();
    assert_eq!((traffic.rules[0].matched, traffic.rules[0].dropped), (400, 400 - bench.wire.put.len() as u64));
}

#[test]
fn one_way_is_one_way() {
    let mut bench = Bench::new(1, 2);
    bench.set([rule(4, cut())]);
    bench.send(1, &numbered(1));
    bench.send(2, &Made { from: 2, to: 1, v6: true }.udp(1, 2, b"back"));
    assert_eq!(bench.wire.put.len(), 1);
    assert_eq!(bench.wire.put[0].1, 0);
    assert_eq!(bench.wire.passed[0], (0, 1, vec![Note { rule: 4, did: Did::Cut }]));
    bench.set([]);
    bench.send(1, &numbered(2));
    assert_eq!(bench.wire.put.len(), 2);
    let traffic = bench.fabric.traffic();
    let links: Vec<_> = traffic.links.iter().map(|one| (one.link.clone(), one.frames, one.dropped)).collect();
    assert_eq!(links, [(link(1, 2), 2, 1), (link(2, 1), 1, 0)]);
    assert_eq!((traffic.rules[0].rule, traffic.rules[0].matched, traffic.rules[0].dropped), (4, 1, 1));
}

#[test]
fn fifty_milliseconds_are_fifty_milliseconds() {
    let mut bench = Bench::new(1, 2);
    bench.set([rule(1, delay(50, 0))]);
    bench.stream(3, ms(20));
    bench.advance(ms(100));
    let at = |ms: u64| RunTime(ms * 1_000_000);
    assert_eq!(bench.came(), [(at(50), 0), (at(70), 1), (at(90), 2)]);
    assert_eq!(bench.fabric.traffic().rules[0].delayed, 3);
}

#[test]
fn what_is_on_its_way_comes_after_healing_and_not_through_a_cut() {
    let mut bench = Bench::new(1, 2);
    bench.set([rule(1, delay(50, 0))]);
    bench.stream(1, ms(10));
    bench.set([]);
    bench.stream(1, ms(60));
    let came: Vec<_> = bench.came().iter().map(|(at, _)| at.0 / 1_000_000).collect();
    assert_eq!(came, [10, 50]);
    bench.set([rule(1, delay(50, 0))]);
    bench.stream(1, ms(10));
    bench.set([rule(2, cut())]);
    bench.advance(ms(100));
    assert_eq!(bench.came().len(), 2);
    let traffic = bench.fabric.traffic();
    assert_eq!((traffic.rules[1].matched, traffic.rules[1].dropped), (1, 1));
    assert_eq!((traffic.links[0].frames, traffic.links[0].dropped), (3, 1));
}

#[test]
fn a_reordered_frame_is_overtaken_by_the_next_ones() {
    let mut bench = Bench::new(3, 2);
    bench.set([rule(1, Effect { reorder: 0.2, ..Effect::default() })]);
    bench.stream(1_000, ms(1));
    bench.advance(ms(100));
    let came = bench.numbers();
    let mut sorted = came.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, (0..1_000).collect::<Vec<_>>());
    let overtaken = (1..came.len()).filter(|at| came[*at] < came[at - 1]).count();
    let counted = bench.fabric.traffic().rules[0].reordered;
    assert!((140..=260).contains(&counted), "{counted}");
    assert!((overtaken as u64) > counted / 2, "{overtaken} of {counted}");
    // None is further back than by three others that came, and those that fell back themselves.
    assert!(came.iter().enumerate().all(|(at, number)| at.abs_diff(*number as usize) < 10));
}

#[test]
fn a_reordered_frame_that_nobody_overtakes_comes_all_the_same() {
    let mut bench = Bench::new(1, 2);
    bench.set([rule(1, Effect { reorder: 1.0, ..delay(10, 0) })]);
    bench.stream(1, ms(200));
    assert_eq!(bench.came(), [(RunTime(60_000_000), 0)]);
}

#[test]
fn a_duplicate_comes_twice() {
    let mut bench = Bench::new(1, 2);
    bench.set([rule(1, Effect { duplicate: 1.0, ..delay(5, 5) })]);
    bench.stream(10, ms(20));
    let mut came = bench.numbers();
    came.sort_unstable();
    assert_eq!(came, (0..10).flat_map(|number| [number, number]).collect::<Vec<_>>());
    assert_eq!(bench.fabric.traffic().rules[0].duplicated, 10);
}

#[test]
fn many_rules_that_duplicate_do_not_flood() {
    let mut bench = Bench::new(1, 2);
    bench.set((1..40).map(|id| rule(id, Effect { duplicate: 1.0, ..Effect::default() })).collect::<Vec<_>>());
    bench.stream(1, ms(1));
    assert_eq!(bench.numbers(), [0; 8]);
}

#[test]
fn a_rate_is_kept_within_two_percent_and_a_full_queue_drops() {
    let mut bench = Bench::new(1, 2);
    let rate = Rate { bits_per_second: 1_000_000, queue_bytes: 10_000 };
    bench.set([rule(1, Effect { rate: Some(rate), ..Effect::default() })]);
    // Ten times as much as the link can: 100 bytes each 80 us.
    bench.stream(12_500, Duration::from_micros(80));
    let in_time: Vec<_> = bench.came().into_iter().filter(|(at, _)| at.0 <= 1_000_000_000).collect();
    let rate = in_time.len() as f64 * 800.0;
    assert!((rate - 1e6).abs() < 2e4, "{rate} bit/s");
    // What waits at the end is what the queue holds.
    let before = bench.came().len();
    bench.advance(ms(1_000));
    let waited = (bench.came().len() - before) * 100;
    assert!((9_800..=10_100).contains(&waited), "{waited} bytes waited");
    assert!(bench.numbers().is_sorted());
    let counted = bench.fabric.traffic().rules[0].dropped;
    assert_eq!(counted as usize, 12_500 - bench.came().len());
}

#[test]
fn an_idle_link_takes_a_frame_that_is_longer_than_its_queue() {
    let mut bench = Bench::new(1, 2);
    let rate = Rate { bits_per_second: 1_000_000, queue_bytes: 10 };
    bench.set([rule(1, Effect { rate: Some(rate), ..Effect::default() })]);
    bench.stream(2, ms(10));
    assert_eq!(bench.numbers(), [0, 1]);
}

#[test]
fn a_filter_takes_only_what_it_is_for() {
    let mut bench = Bench::new(1, 2);
    let port = |port| Filter { protocol: Some(Protocol::Udp), port: Some(port), payload: None };
    for (only, is_hit) in [
        (port(2000), true),
        (port(1000), true),
        (port(3000), false),
        (Filter { protocol: Some(Protocol::Tcp), port: None, payload: None }, false),
        (payload("(?-u)\\x00\\x07"), true),
        (payload("HEARTBEAT"), false),
    ] {
        bench.set([rule_for(1, only.clone(), cut())]);
        bench.wire.put.clear();
        bench.send(1, &numbered(7));
        assert_eq!(bench.wire.put.is_empty(), is_hit, "{only:?}");
    }
    assert_eq!(bench.fabric.traffic().rules[0].matched, 3);
}

#[test]
fn a_packet_that_is_too_big_is_answered_to_its_sender() {
    let mut bench = Bench::new(1, 2);
    bench.set([rule(1, Effect { mtu: Some(1300), ..Effect::default() })]);
    bench.send(1, &Made::default().udp(1, 2, &[1; 1400]));
    bench.send(1, &Made::default().udp(1, 2, &[1; 1200]));
    let [(_, first, answer), (_, second, _)] = bench.wire.put.as_slice() else { panic!("{:?}", bench.wire.put.len()) };
    assert_eq!((*first, *second), (0, 1));
    assert!(is_sound(answer));
    assert_eq!(bench.fabric.traffic().rules[0].dropped, 1);
}

#[test]
fn a_reset_reaches_both_sides_and_is_one_connection() {
    let mut bench = Bench::new(1, 2);
    bench.set([rule(1, Effect { reset: true, ..Effect::default() })]);
    for sequence in [1, 100] {
        bench.send(1, &Made::default().tcp(1000, 2000, sequence, 7, 0x10, b"data"));
    }
    let to: Vec<_> = bench.wire.put.iter().map(|(_, to, _)| *to).collect();
    assert_eq!(to, [0, 1, 0, 1]);
    let counted = bench.fabric.traffic().rules[0].clone();
    assert_eq!((counted.matched, counted.dropped, counted.reset), (2, 2, 1));
    bench.wire.put.clear();
    bench.send(1, &numbered(1));
    assert_eq!(bench.numbers(), [1]);
}

#[test]
fn a_corruption_reaches_the_program_with_a_right_checksum_or_the_kernel_with_a_wrong_one() {
    for (seen_by, is_right) in [(SeenBy::Program, true), (SeenBy::Kernel, false)] {
        let mut bench = Bench::new(1, 2);
        bench.set([rule(1, Effect { corrupt: Some(Corrupt { share: 1.0, seen_by }), ..Effect::default() })]);
        bench.stream(50, ms(1));
        assert_eq!(bench.wire.put.len(), 50);
        for (number, (_, _, frame)) in bench.wire.put.iter().enumerate() {
            assert_ne!(*frame, numbered(number as u32));
            assert_eq!(is_sound(frame), is_right);
        }
        assert_eq!(bench.fabric.traffic().rules[0].corrupted, 50);
    }
}

#[test]
fn an_unplugged_endpoint_neither_sends_nor_gets() {
    let mut bench = Bench::new(1, 3);
    bench.set([rule(1, delay(10, 0))]);
    bench.stream(1, ms(1));
    bench.fabric.plug(1, false);
    bench.stream(1, ms(100));
    bench.send(2, &Made { from: 2, to: 3, v6: false }.udp(1, 2, b"x"));
    assert!(bench.wire.put.is_empty());
    assert_eq!(bench.fabric.traffic().unplugged, 3);
    bench.fabric.plug(1, true);
    bench.send(2, &Made { from: 2, to: 3, v6: false }.udp(1, 2, b"x"));
    assert_eq!(bench.wire.put.len(), 1);
}

#[test]
fn nothing_leaves_with_the_address_of_another() {
    let mut bench = Bench::new(1, 3);
    let mut foreign_mac = numbered(1);
    foreign_mac[6..12].copy_from_slice(&mac(3));
    bench.send(1, &foreign_mac);
    let mut foreign_ip = Made { from: 3, to: 2, v6: false }.udp(1, 2, b"x");
    foreign_ip[6..12].copy_from_slice(&mac(1));
    bench.send(1, &foreign_ip);
    assert!(bench.wire.put.is_empty());
    assert_eq!(bench.fabric.traffic().forged, 2);
}

#[test]
fn a_rule_goes_on_where_it_was_when_another_comes() {
    let mut bench = Bench::new(1, 2);
    let slow =
        rule(1, Effect { rate: Some(Rate { bits_per_second: 8_000, queue_bytes: 100_000 }), ..Effect::default() });
    bench.set([slow.clone()]);
    bench.stream(2, MICROSECOND);
    bench.set([slow, rule(2, Effect { duplicate: 0.0, ..Effect::default() })]);
    bench.stream(1, ms(1_000));
    let came: Vec<_> = bench.came().iter().map(|(at, _)| at.0 / 1_000_000).collect();
    assert_eq!(came, [100, 200, 300]);
}

#[test]
fn a_long_segment_crosses_whole_where_no_rule_is_and_as_packets_where_one_is() {
    let mut bench = Bench::new(1, 2);
    let mut undone = [0; OFFLOAD_BYTES];
    (undone[0], undone[1]) = (1, 1);
    undone[4..6].copy_from_slice(&1_000_u16.to_ne_bytes());
    undone[6..8].copy_from_slice(&34_u16.to_ne_bytes());
    undone[8..10].copy_from_slice(&16_u16.to_ne_bytes());
    let offload = Offload::new(undone);
    let long = Made::default().tcp(1, 2, 3, 4, 0x10, &[7; 3_500]);
    bench.fabric.receive(bench.now, 0, &long, &offload, &mut bench.wire);
    assert_eq!((bench.wire.put.len(), bench.wire.left_undone), (1, 1));
    assert_eq!(bench.fabric.traffic().links[0].frames, 4);
    bench.set([rule(1, delay(1, 0))]);
    bench.fabric.receive(bench.now, 0, &long, &offload, &mut bench.wire);
    bench.advance(ms(10));
    assert_eq!((bench.wire.put.len(), bench.wire.left_undone), (5, 1));
    assert!(bench.wire.put[1..].iter().all(|(_, _, packet)| is_sound(packet)));
    let traffic = bench.fabric.traffic();
    assert_eq!((traffic.links[0].frames, traffic.rules[0].matched), (8, 4));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn ten_percent_are_ten_percent(seed: u64) {
        let mut bench = Bench::new(seed, 2);
        bench.set([rule(1, loss(0.1, 1.0))]);
        bench.stream(10_000, MICROSECOND);
        // Six standard deviations: sqrt(10,000 * 0.1 * 0.9) = 30.
        let lost = 10_000 - bench.wire.put.len();
        assert!((820..=1_180).contains(&lost), "{lost}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_same_seed_is_the_same_fate_and_no_rule_moves_the_choices_of_another(seed: u64, burst in 1.0_f64..5.0) {
        let run = |rules: Vec<Rule>| {
            let mut bench = Bench::new(seed, 2);
            bench.set(rules);
            bench.stream(300, ms(1));
            bench.wire.passed.iter().map(|(_, _, notes)| notes.iter().any(|note| note.rule == 9)).collect::<Vec<_>>()
        };
        let hit = Effect { loss: Some(Loss { share: 0.3, burst }), ..Effect::default() };
        let alone = run(vec![rule(9, hit.clone())]);
        assert_eq!(alone, run(vec![rule(9, hit.clone())]));
        let before = run(vec![rule(2, Effect { reorder: 0.0, ..loss(0.0, 1.0) }), rule(9, hit.clone())]);
        assert_eq!(alone, before);
        // What the first one drops the second never sees, and all else is as it was.
        let thinned = run(vec![rule(2, loss(0.4, 2.0)), rule(9, hit)]);
        assert!(alone.iter().zip(&thinned).all(|(alone, thinned)| *alone || !thinned));
        assert!(alone.iter().zip(&thinned).filter(|(alone, thinned)| **alone && **thinned).count() > 0);
    }

    #[test]
    fn jitter_keeps_the_order_and_its_bounds(seed: u64, mean in 0_u64..20, jitter in 0_u64..20) {
        let mut bench = Bench::new(seed, 2);
        bench.set([rule(1, delay(mean, jitter)), rule(2, delay(1, 1))]);
        bench.stream(200, ms(1));
        bench.advance(ms(100));
        let came = bench.came();
        assert_eq!(bench.numbers(), (0..200).collect::<Vec<_>>());
        for (at, number) in came {
            let late = at.0 - u64::from(number) * 1_000_000;
            assert!((mean.saturating_sub(jitter) * 1_000_000..=(mean + jitter + 2) * 1_000_000).contains(&late));
        }
    }

    #[test]
    fn no_frame_is_too_strange_for_any_rule(
        frames in prop::collection::vec((1_u16..4, prop::collection::vec(any::<u8>(), 0..120), 0_usize..6), 1..40),
        offload: [u8; OFFLOAD_BYTES],
        seed: u64,
    ) {
        struct Nowhere;
        impl Wire for Nowhere {
            fn put(&mut self, _: usize, _: &[u8], _: &Offload) {}
        }
        let everything = Effect {
            loss: Some(Loss { share: 0.2, burst: 3.0 }),
            duplicate: 0.5,
            reorder: 0.5,
            corrupt: Some(Corrupt { share: 0.7, seen_by: if seed.is_multiple_of(2) { SeenBy::Kernel } else { SeenBy::Program } }),
            delay: Some(Delay { mean: ms(1), jitter: ms(1) }),
            rate: Some(Rate { bits_per_second: 1_000_000, queue_bytes: 1_000 }),
            mtu: Some(60),
            reset: true,
            cut: false,
        };
        let offload = if offload[0].is_multiple_of(3) { Offload::new(offload) } else { Offload::NONE };
        let mut bench = Bench::new(seed, 3);
        let links: BTreeSet<_> = [(1, 2), (2, 1), (1, 3), (3, 1), (2, 3), (3, 2)].map(|(from, to)| link(from, to)).into();
        let one = Rule { links: links.clone(), ..rule(1, everything.clone()) };
        let two = Rule { links, ..rule_for(2, payload("(?-u)[\\x80-\\xff]"), everything) };
        bench.set([one, two]);
        for (from, mut frame, kind) in frames {
            // Some begin like sound frames.
            let to = from % 3 + 1;
            let sound = Made { v6: kind % 2 == 0, from, to }.tcp(1, 2, 3, 4, 0x10, b"data");
            if kind < 5 {
                let keep = [14, 15, 34, 54, sound.len()][kind].min(frame.len());
                frame[..keep].copy_from_slice(&sound[..keep]);
            }
            let number = usize::from(from) - 1;
            bench.fabric.release(bench.now, &mut Nowhere);
            bench.fabric.receive(bench.now, number, &frame, &offload, &mut Nowhere);
            bench.now = bench.now + MICROSECOND;
            assert_eq!(Head::parse(&frame).is_none(), frame.len() < 14);
        }
        bench.fabric.release(RunTime::NEVER, &mut Nowhere);
        assert_eq!(bench.fabric.next_due(), None);
    }
}
