//! Random fault schedules, judged by the oracle.
//!
//! * A slice of them runs with every `cargo test`.
//! * All of them: `DSBENCH_SCHEDULES=20000 cargo test --release -p dsbench-protocol --test cluster random_schedules -- --nocapture`
//! * All of them without a quorum, of which only the agreement after the healing is asked: the same with `DSBENCH_QUORUM=none`.
//! * One of them, with its trace: `DSBENCH_SEED=17 cargo test -p dsbench-protocol --test cluster replays_a_seed -- --nocapture`

use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

use dsbench_protocol::{Config, Event, Founding, Quorum, Takeover};
use dsbench_wire::NodeId;

use crate::cluster::{Cluster, endpoint, endpoints};
use crate::faults::{Fault, Moment, Schedule};
use crate::oracle::{self, Overlap};

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) verdict: Result<(), String>,
    pub(crate) digest: u64,
    pub(crate) steps: u64,
    /// How often each kind of event was told.
    pub(crate) told: BTreeMap<String, u64>,
    /// From the healing to the last change of leadership.
    pub(crate) settled_after: Duration,
}

/// How a run differs from the ordinary.
pub(crate) type Prepare = fn(&mut Cluster);

/// The knobs of the shipped scenario, for the first members `members`.
pub(crate) fn knobs(id: &NodeId, members: Vec<NodeId>) -> Config {
    Config {
        heartbeat_interval: Duration::from_millis(100),
        heartbeat_timeout: Duration::from_millis(400),
        election_timeout: Duration::from_millis(300),
        ..Config::new(endpoint(id), Founding::Members(endpoints(&members)))
    }
}

/// Runs one schedule, with `config` for every node.
pub(crate) fn run(
    schedule: &Schedule,
    config: impl Fn(Config) -> Config,
    prepare: Prepare,
    is_traced: bool,
) -> (Outcome, Cluster) {
    let takeover = schedule.takeover;
    let mut cluster = Cluster::new(schedule.seed, schedule.size, |id, members| {
        config(Config { takeover, quorum: schedule.quorum, ..knobs(id, members) })
    });
    if is_traced {
        cluster.keep_trace();
    }
    prepare(&mut cluster);
    let suffered = suffer(&mut cluster, schedule);
    cluster.heal_everything();
    let healed = cluster.now;
    cluster.run_for(oracle::CONVERGES_WITHIN);
    let needs_votes = schedule.quorum == Quorum::Majority;
    let safety = if needs_votes { suffered.and(oracle::safety(&cluster.records, schedule.size)) } else { Ok(()) };
    let verdict = safety.and_then(|()| oracle::convergence(&cluster, takeover)).and_then(|()| {
        let settled = cluster.now;
        cluster.run_for(Duration::from_secs(1));
        let unrest = oracle::last_unrest(&cluster.records);
        if unrest > settled {
            Err(format!("leadership still moves {:?} after the healing", unrest - healed))
        } else {
            Ok(())
        }
    });
    let mut told = BTreeMap::new();
    for record in &cluster.records {
        *told.entry(kind(&record.event)).or_default() += 1;
    }
    let settled_after = oracle::last_unrest(&cluster.records).saturating_sub(healed);
    let outcome = Outcome { verdict, digest: cluster.digest(), steps: cluster.steps, told, settled_after };
    (outcome, cluster)
}

/// Starts the nodes and breaks what the schedule says, until everything heals.
fn suffer(cluster: &mut Cluster, schedule: &Schedule) -> Result<(), String> {
    let ids = cluster.ids();
    let mut aimed = Vec::new();
    for fault in &schedule.faults {
        match fault.clone() {
            Fault::Timed(at, what) => cluster.fault_at(at, what),
            Fault::Aimed { moment, nth, delay, aim } => aimed.push((moment, nth, delay, aim)),
        }
    }
    for (id, at) in ids.iter().zip(&schedule.starts) {
        cluster.start_at(*at, id);
    }
    let mut seen = 0;
    let mut overlap = Overlap::default();
    let mut verdict = Ok(());
    while cluster.step_before(schedule.heals_at) {
        while let Some(record) = cluster.records.get(seen).cloned() {
            seen += 1;
            if Moment::BecameLeader.is(&record.event) {
                overlap.began(cluster);
            }
            for (moment, nth, delay, aim) in &mut aimed {
                if moment.is(&record.event) && *nth > 0 {
                    *nth -= 1;
                    if *nth == 0 {
                        cluster.fault_at(record.at + *delay, aim.at(record.node.clone(), &ids));
                    }
                }
            }
        }
        verdict = verdict.and_then(|()| overlap.check(cluster));
    }
    verdict
}

/// Runs the schedules `seeds`; the first that fails is told with its trace and how to run it again.
fn sweep(seeds: Range<u64>, quorum: Quorum) -> Vec<Outcome> {
    seeds
        .map(|seed| {
            let schedule = Schedule::of(seed, quorum);
            let (outcome, _) = run(&schedule, |config| config, |_| {}, false);
            if let Err(error) = &outcome.verdict {
                panic!("{}", failure(&schedule, error));
            }
            outcome
        })
        .collect()
}

fn failure(schedule: &Schedule, error: &str) -> String {
    let (again, cluster) = run(schedule, |config| config, |_| {}, true);
    assert_eq!(again.verdict, Err(error.to_owned()), "a seed that fails fails again in the same way");
    let trace = cluster.trace();
    let tail = trace[trace.len().saturating_sub(300)..].join("\n");
    format!(
        "{tail}\n\n{schedule}\n{error}\n\nreplay: DSBENCH_QUORUM={} DSBENCH_SEED={} cargo test -p dsbench-protocol --test cluster replays_a_seed \
         -- --nocapture",
        schedule.quorum, schedule.seed
    )
}

#[expect(clippy::disallowed_methods, reason = "a test's command line is its environment")]
fn number_from(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable}={text} is not a number")))
}

#[expect(clippy::disallowed_methods, reason = "a test's command line is its environment")]
fn quorum_from_environment() -> Quorum {
    std::env::var("DSBENCH_QUORUM").map_or(Quorum::Majority, |text| text.parse().expect("majority or none"))
}

#[test]
#[expect(
    clippy::disallowed_methods,
    clippy::disallowed_macros,
    reason = "its speed is for people, no verdict depends on it"
)]
fn random_schedules_keep_one_leader_per_term_and_end_in_agreement() {
    let count = number_from("DSBENCH_SCHEDULES").unwrap_or(60);
    let quorum = quorum_from_environment();
    let began = std::time::Instant::now();
    let outcomes = sweep(0..count, quorum);
    let took = began.elapsed().as_secs_f64();
    let steps: u64 = outcomes.iter().map(|outcome| outcome.steps).sum();
    let slowest = outcomes.iter().map(|outcome| outcome.settled_after).max().unwrap_or_default();
    let mut told: BTreeMap<&str, u64> = BTreeMap::new();
    for (kind, times) in outcomes.iter().flat_map(|outcome| &outcome.told) {
        *told.entry(kind).or_default() += times;
    }
    eprintln!(
        "{count} schedules, {steps} events in {took:.1} s: {:.0} schedules/s, {:.0} events/s; the slowest settled \
         {slowest:?} after its healing; told: {told:?}",
        count as f64 / took,
        steps as f64 / took
    );
    if quorum == Quorum::None {
        return;
    }
    // 18 kinds of log lines: a fault or a rule that never comes into play proves nothing.
    assert_eq!(told.len(), 18, "every kind of event happens: {told:?}");
}

/// `BecameLeader`
fn kind(event: &Event) -> String {
    let debug = format!("{event:?}");
    debug.split([' ', '{']).next().unwrap_or_default().to_owned()
}

#[test]
#[expect(clippy::disallowed_macros, reason = "the trace is for people")]
fn replays_a_seed_event_by_event() {
    let seed = number_from("DSBENCH_SEED").unwrap_or(1);
    let schedule = Schedule::of(seed, quorum_from_environment());
    let (first, _) = run(&schedule, |config| config, |_| {}, false);
    let (second, cluster) = run(&schedule, |config| config, |_| {}, true);
    eprintln!("{}\n\n{schedule}\n{second:?}", cluster.trace().join("\n"));
    assert_eq!(first, second, "the same seed twice is the same run, traced or not");
    assert_eq!(second.verdict, Ok(()));
}

#[test]
fn the_classroom_agrees_again_after_any_schedule() {
    let outcomes = sweep(0..40, Quorum::None);
    assert!(outcomes.iter().all(|outcome| outcome.told["BecameLeader"] > 0));
}

#[test]
fn another_seed_is_another_run() {
    let digests: std::collections::BTreeSet<_> =
        sweep(1000..1010, Quorum::Majority).iter().map(|outcome| outcome.digest).collect();
    assert_eq!(digests.len(), 10);
}

#[test]
fn schedules_meet_both_sizes_and_both_takeovers() {
    let shapes: std::collections::BTreeSet<_> = (0..40)
        .map(|seed| Schedule::of(seed, Quorum::Majority))
        .map(|s| (s.size, s.takeover == Takeover::Bully))
        .collect();
    assert_eq!(shapes.len(), 4);
}
