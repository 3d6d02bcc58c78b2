//! How good is the laboratory's network? Against the same two machines joined by a bridge of the kernel, in one series.
//!
//! ```text
//! cargo build --release -p dsbench-world --example network && sudo target/release/examples/network
//! ```
//!
//! Only the part that carries datagrams: with the word `datagrams`, and the rates to offer if they are to be others than 50, 100, 200 and
//! 300 thousand a second. It says how many came, where the others were dropped (the sender's card, whose queue the switch empties; the switch;
//! the reader's card; the reader's socket), and how much of a processor the sender, the switch and the reader have each used for a datagram:
//! three programs share what processors there are, and what the switch carries without a drop depends on that sum. As an ordinary user, it is
//! without the bridge.
//!
//! Needs root (for the bridge), `ip`, and two processors that nothing else uses. The programs that speak are this one, with a role.
#![expect(clippy::unwrap_used, reason = "an example that measures, and stops at the first surprise")]

mod bridge;
mod datagrams;
mod lab;
mod talk;

use std::collections::BTreeSet;
use std::time::Duration;

use dsbench_core::network::{Delay, Effect, Filter, Link, Protocol, Rate, Rule, RuleSet};
use dsbench_world::LinkKind;

use bridge::{Bridge, no_offloads};
use lab::Lab;

/// So long is each stream.
const SECONDS: u64 = 3;

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] => {
            let bridge = Bridge::new();
            round_trips(&bridge);
            streams(&bridge);
            drop(bridge);
            datagrams::measure(&[]);
            times();
        }
        ["datagrams", rates @ ..] => {
            datagrams::measure(&rates.iter().map(|rate| rate.parse().unwrap()).collect::<Vec<_>>());
        }
        ["no-offloads", card] => no_offloads(card),
        ["stream-server"] => talk::stream_server(),
        ["stream", seconds] => talk::stream(Duration::from_secs(seconds.parse().unwrap())),
        ["echo-server"] => talk::echo_server(),
        ["echo", count] => talk::echo(count.parse().unwrap()),
        ["count-server"] => datagrams::count_server(),
        ["blast", rate, bytes, seconds] => {
            let during = Duration::from_secs(seconds.parse().unwrap());
            datagrams::blast(rate.parse().unwrap(), bytes.parse().unwrap(), during);
        }
        _ => eprintln!("without arguments, it measures"),
    }
}

/// Leaves the bridge without offloads.
fn streams(bridge: &Bridge) {
    let exact = RuleSet { rules: vec![on_both(9, Some(never()), Effect { cut: true, ..Effect::default() })] };
    println!("one TCP stream, Gbit/s, median of 3");
    let with = median(3, || bridge.pair(&["stream-server"], &["stream", &SECONDS.to_string()]));
    let fast = median(3, || Lab::new(LinkKind::Any, None).stream(&RuleSet::default()));
    println!("  bridge with offloads     {with:6.2}");
    println!("  laboratory, no rule      {fast:6.2}   {:.2} of it (aim 0.6)", fast / with);
    bridge.no_offloads();
    let without = median(3, || bridge.pair(&["stream-server"], &["stream", &SECONDS.to_string()]));
    let one_by_one = median(3, || Lab::new(LinkKind::Any, None).stream(&exact));
    let dir = lab::records();
    let recorded = median(3, || Lab::new(LinkKind::Any, Some(&dir)).stream(&exact));
    std::fs::remove_dir_all(&dir).unwrap();
    println!("  bridge without offloads  {without:6.2}");
    println!("  laboratory, with a rule  {one_by_one:6.2}   {:.2} of it (aim 0.4)", one_by_one / without);
    println!(
        "  the same, all recorded   {recorded:6.2}   {:.1} % less (aim 10)",
        100.0 - recorded / one_by_one * 100.0
    );
}

fn round_trips(bridge: &Bridge) {
    println!("round trip of a datagram, us: p50, p99");
    let (base, base_tail) = two(&bridge.said(&["echo-server"], &["echo", "20000"]));
    let mut lab = Lab::new(LinkKind::Any, None);
    let (own, own_tail) = two(&lab.said(&["echo-server"], &["echo", "20000"]));
    println!("  bridge      {base:8.1} {base_tail:8.1}");
    println!("  laboratory  {own:8.1} {own_tail:8.1}   one way {:.1} us more (aim 40)", (own - base) / 2.0);

    let idle = lab.idle(Duration::from_secs(2));
    println!("idle switch: {idle:.3} ms of processor time in 2 s (aim 0)");
    lab.end();
}

fn times() {
    let mut lab = Lab::new(LinkKind::Any, None);
    let delay = Delay { mean: Duration::from_millis(50), jitter: Duration::ZERO };
    lab.set(&RuleSet { rules: vec![one_way(1, Effect { delay: Some(delay), ..Effect::default() })] });
    let (p50, p99) = two(&lab.said(&["echo-server"], &["echo", "100"]));
    println!("50 ms of delay, one way, as a round trip in ms: p50 {:.2}, p99 {:.2} (aim 51)", p50 / 1e3, p99 / 1e3);
    let rate = Rate { bits_per_second: 20_000_000, queue_bytes: 100_000 };
    lab.set(&RuleSet { rules: vec![one_way(2, Effect { rate: Some(rate), ..Effect::default() })] });
    let said = lab.said(&["count-server"], &["blast", "6000", "1000", "3"]);
    let bits = datagrams::Told::new(&said).came_per_second * 1042.0 * 8.0;
    println!("a rate of 20 Mbit/s, offered 50: {:.3} Mbit/s came, {:+.2} % (aim 2)", bits / 1e6, bits / 2e5 - 100.0);
    lab.end();
}

fn median(rounds: usize, mut once: impl FnMut() -> f64) -> f64 {
    let mut all: Vec<f64> = (0..rounds).map(|_| once()).collect();
    all.sort_by(f64::total_cmp);
    all[rounds / 2]
}

fn two(said: &str) -> (f64, f64) {
    let mut numbers = said.split_whitespace().map(|number| number.parse().unwrap());
    (numbers.next().unwrap(), numbers.next().unwrap())
}

/// From `b`, which sends, to `a`, which serves.
fn one_way(id: u64, effect: Effect) -> Rule {
    Rule { id, links: BTreeSet::from([Link { from: "b".into(), to: "a".into() }]), only: None, effect }
}

fn on_both(id: u64, only: Option<Filter>, effect: Effect) -> Rule {
    let back = Link { from: "a".into(), to: "b".into() };
    let mut rule = Rule { only, ..one_way(id, effect) };
    rule.links.insert(back);
    rule
}

/// What no frame is: the rule is asked for each of them, and does nothing.
fn never() -> Filter {
    Filter { protocol: Some(Protocol::Tcp), port: Some(1), payload: None }
}
