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

use crate::cluster::{Cluster, endpoint, endpoints, peer};
use crate::faults::{Fault, Moment, Schedule};
use crate::oracle::{self, Overlap, Safety};

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) verdict: Result<(), String>,
    pub(crate) digest: u64,
    pub(crate) steps: u64,
    /// How often each kind of event was told.
    pub(crate) told: BTreeMap<String, u64>,
    /// How many messages were delivered.
    pub(crate) delivered: u64,
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
    let &Schedule { seed, size, quorum, takeover, multicast, checkpoint_every, .. } = schedule;
    let total = size + schedule.joiners.len();
    let mut cluster = Cluster::new(seed, total, |id, ids| {
        let founders = &ids[..size];
        let founding = if !founders.contains(id) {
            Founding::Join
        } else if schedule.is_listed {
            Founding::Members(endpoints(founders))
        } else {
            Founding::Expect(size)
        };
        let knobs = knobs(id, founders.to_vec());
        config(Config { takeover, quorum, multicast, checkpoint_every, founding, ..knobs })
    });
    if is_traced {
        cluster.keep_trace();
    }
    if let Some(entries) = schedule.retention {
        cluster.retain(entries);
    }
    cluster.is_multicast_lost = schedule.is_multicast_lost;
    cluster.clients.add(seed, schedule.clients);
    prepare(&mut cluster);
    let mut safety = Safety::default();
    let needs_votes = quorum == Quorum::Majority;
    let suffered = suffer(&mut cluster, schedule, &mut safety);
    cluster.heal_everything();
    let healed = cluster.now;
    let verdict = if needs_votes {
        suffered.and_then(|()| settle(&mut cluster, schedule, &mut safety))
    } else {
        classroom(&mut cluster, takeover)
    };
    let mut told = BTreeMap::new();
    for record in &cluster.records {
        *told.entry(kind(&record.event)).or_default() += 1;
    }
    let settled_after = oracle::last_unrest(&cluster.records).saturating_sub(healed);
    let delivered = safety.delivered();
    let outcome = Outcome { verdict, digest: cluster.digest(), steps: cluster.steps, told, delivered, settled_after };
    (outcome, cluster)
}

/// After the healing: everything becomes well in time, and stays so.
fn settle(cluster: &mut Cluster, schedule: &Schedule, safety: &mut Safety) -> Result<(), String> {
    let takeover = schedule.takeover;
    let until = cluster.now + oracle::CONVERGES_WITHIN;
    loop {
        for _ in 0..200 {
            cluster.step_before(until);
            safety.observe(cluster)?;
        }
        let state = oracle::convergence(cluster, safety, takeover);
        if state.is_ok() && safety.nothing_lost(cluster).is_ok() {
            break;
        }
        if cluster.now >= until {
            state?;
            break;
        }
    }
    let settled = cluster.now;
    while cluster.step_before(settled + Duration::from_secs(1)) {
        safety.observe(cluster)?;
    }
    oracle::convergence(cluster, safety, takeover)?;
    safety.nothing_lost(cluster)?;
    oracle::equal_logs(cluster)?;
    let unrest = oracle::last_unrest(&cluster.records);
    // The moment of agreement itself may be told a step later.
    if unrest > settled + Duration::from_millis(50) {
        return Err(format!("leadership still moves at {unrest:?}, after {settled:?}"));
    }
    Ok(())
}

fn classroom(cluster: &mut Cluster, takeover: Takeover) -> Result<(), String> {
    cluster.run_for(Duration::from_secs(5));
    oracle::agreement(cluster, takeover)?;
    let settled = cluster.now;
    cluster.run_for(Duration::from_secs(1));
    let unrest = oracle::last_unrest(&cluster.records);
    if unrest > settled { Err(format!("leadership still moves at {unrest:?}")) } else { Ok(()) }
}

/// Starts the nodes and breaks what the schedule says, until everything heals.
fn suffer(cluster: &mut Cluster, schedule: &Schedule, safety: &mut Safety) -> Result<(), String> {
    let ids = cluster.ids();
    let needs_votes = schedule.quorum == Quorum::Majority;
    let mut aimed = Vec::new();
    for fault in &schedule.faults {
        match fault.clone() {
            Fault::Timed(at, what) => cluster.fault_at(at, what),
            Fault::Aimed { moment, nth, delay, aim } => aimed.push((moment, nth, delay, aim)),
        }
    }
    let starts = schedule.starts.iter().chain(&schedule.joiners);
    for (n, at) in starts.enumerate() {
        cluster.start_at(*at, &peer(n + 1));
    }
    for (n, (at, node)) in schedule.requests.iter().enumerate() {
        cluster.request_at(*at, node, format!("text {n}"));
    }
    for (at, node, of) in schedule.rumours.iter().filter(|(_, node, of)| node != of) {
        cluster.ended_at(*at, node, of);
    }
    for n in 0..cluster.clients.len() {
        cluster.client_at(Duration::from_millis(100), n);
    }
    let (mut seen, mut stored) = (0, 0);
    let mut overlap = Overlap::default();
    let mut verdict = Ok(());
    while cluster.step_before(schedule.heals_at) {
        let mut hit = |cluster: &mut Cluster, at, node: &NodeId, is: &dyn Fn(Moment) -> bool| {
            for (moment, nth, delay, aim) in &mut aimed {
                if *nth > 0 && is(*moment) {
                    *nth -= 1;
                    if *nth == 0 {
                        cluster.fault_at(at + *delay, aim.at(node.clone(), &ids));
                    }
                }
            }
        };
        while let Some((at, node)) = cluster.stored.get(stored).cloned() {
            stored += 1;
            hit(cluster, at, &node, &|moment| moment == Moment::Stored);
        }
        while let Some(record) = cluster.records.get(seen).cloned() {
            seen += 1;
            if Moment::BecameLeader.is(&record.event) {
                overlap.began(cluster);
            }
            hit(cluster, record.at, &record.node, &|moment| moment.is(&record.event));
        }
        if needs_votes && verdict.is_ok() {
            verdict = safety.observe(cluster).and_then(|()| overlap.check(cluster));
        }
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
    let delivered: u64 = outcomes.iter().map(|outcome| outcome.delivered).sum();
    let slowest = outcomes.iter().map(|outcome| outcome.settled_after).max().unwrap_or_default();
    let mut told: BTreeMap<&str, u64> = BTreeMap::new();
    for (kind, times) in outcomes.iter().flat_map(|outcome| &outcome.told) {
        *told.entry(kind).or_default() += times;
    }
    eprintln!(
        "{count} schedules, {steps} events in {took:.1} s: {:.0} schedules/s, {:.0} events/s; {delivered} messages delivered; the slowest settled \
         {slowest:?} after its healing; told: {told:?}",
        count as f64 / took,
        steps as f64 / took
    );
    if quorum == Quorum::None {
        return;
    }
    // A fault or a rule that never comes into play proves nothing: every kind of log line there is was told.
    assert_eq!(told.len(), 29, "every kind of event happens: {told:?}");
}

/// `BecameLeader`
fn kind(event: &Event) -> String {
    let debug = format!("{event:?}");
    debug.split([' ', '{', '(']).next().unwrap_or_default().to_owned()
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
