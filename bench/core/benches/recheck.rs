//! How long a stored history of a million observations takes to be read and judged by every kind of check.
//!
//!     cargo bench -p dsbench-core --bench recheck

use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dsbench_core::check;
use dsbench_core::history::History;
use dsbench_core::lines;
use dsbench_core::observation::{
    Action, ActionVerb, Change, Ending, Event, Exit, Life, LogLine, MAIN, Name, Nanos, Output, Phase, ProcessChange,
    Sample, Shapes, Stall, Value, What,
};
use dsbench_core::plan::Plan;
use dsbench_core::scenario::Scenario;
use dsbench_core::time::RunTime;

const OBSERVATIONS: u64 = 1_000_000;
const NODES: u64 = 5;

/// Every kind of check, the costly ones more than once.
const SCENARIO: &str = r#"
schema = 1
name = "recheck"
[nodes]
count = 5
name = "peer{id}"
command = ["node"]
[events]
leads = { log = 'leads term=(?<term>\d+)', fields = { term = "int" } }
follows = { log = 'follows (?<leader>\w+)', fields = { leader = "node" } }
delivered = { log = 'delivered (?<seq>\d+) (?<text>.*)', fields = { seq = "int", text = "text" } }
never_said = { log = 'BUG' }
[roles]
leader = { last = "leads", highest = "term" }
[[steps]]
kill = "leader"
[[invariants]]
single_leader = { event = "leads", per = "term" }
[[invariants]]
leader_overlap = { begin = "leads", end = ["follows", "fault.kill"], limit = "1s" }
[[invariants]]
agreement = { leads = "leads", follows = "follows.leader", within = "3s" }
[[invariants]]
deadline = { from = "fault", until = "leads", limit = "30s" }
[[invariants]]
deadline = { from = "leads", until = "delivered", where = { seq = ">= 0" }, each = "!killed", limit = "30s" }
[[invariants]]
eventually = { event = "delivered", each = "all", within = "10s" }
[[invariants]]
always = { event = "delivered", where = { text = "~message" } }
[[invariants]]
never = "never_said"
[[invariants]]
sometimes = { event = "leads", at_least = 100 }
[[invariants]]
process = { rss_max = "1GiB" }
[[invariants]]
exec = { command = ["check.py"] }
"#;

/// A cluster that delivers, and whose leader is killed again and again.
struct Cluster {
    history: History,
    names: Vec<Name>,
    lives: Vec<u32>,
    at: u64,
    shapes: Shapes,
}

impl Cluster {
    fn start() -> Self {
        let names = (1..=NODES).map(|id| format!("peer{id}").into()).collect();
        let mut cluster = Self {
            history: History::default(),
            names,
            lives: vec![0; NODES as usize],
            at: 0,
            shapes: Shapes::default(),
        };
        cluster.push(What::Run(Phase::Started));
        (0..NODES).for_each(|node| cluster.start_node(node));
        cluster.push(What::Run(Phase::Ready));
        cluster
    }

    fn push(&mut self, what: What) {
        // 20,000 observations a second.
        self.at += 50_000;
        self.history.push(RunTime(self.at), what);
    }

    fn life(&self, node: u64) -> Life {
        let index = node as usize;
        Life { node: self.names[index].clone(), process: MAIN.into(), life: self.lives[index] }
    }

    fn start_node(&mut self, node: u64) {
        self.lives[node as usize] += 1;
        self.process(node, Change::Started { pid: 1000 });
        self.process(node, Change::Ready);
    }

    fn process(&mut self, node: u64, change: Change) {
        let of = self.life(node);
        self.push(What::Process(ProcessChange { of, change }));
    }

    fn act(&mut self, verb: ActionVerb, node: u64) {
        let (of, name) = (self.life(node), self.names[node as usize].clone());
        self.push(What::Action(Action { step: Some(0), ..Action::new(verb, vec![name], vec![of]) }.into()));
    }

    fn says(&mut self, node: u64, event: &str, fields: Vec<(Name, Value)>, text: String) {
        let line = self.history.next_number();
        let log = LogLine { offset: line * 80, line, text: text.into() };
        let (of, uncertainty) = (self.life(node), Nanos(200_000));
        let fields = self.shapes.fields(&event.into(), &of, &Output::Stdout, fields);
        self.push(What::Event(Event { fields, uncertainty, log }));
    }

    fn term(&mut self, term: u64) {
        let leader = term % NODES;
        let leads = vec![("term".into(), Value::Int(term as i64))];
        self.says(leader, "leads", leads, format!("12:00:01.123 INFO leads term={term} after an election"));
        for node in (0..NODES).filter(|node| *node != leader) {
            let name = self.names[leader as usize].clone();
            let text = format!("12:00:01.125 INFO follows {name} in term {term}");
            self.says(node, "follows", vec![("leader".into(), Value::Node(name))], text);
        }
    }

    fn deliver(&mut self, seq: u64) {
        for node in 0..NODES {
            let text: Name = format!("message {seq} of a client").into();
            let fields = vec![("seq".into(), Value::Int(seq as i64)), ("text".into(), Value::Text(text))];
            self.says(
                node,
                "delivered",
                fields,
                format!("12:00:01.123 INFO delivered {seq} message {seq} of a client"),
            );
        }
    }

    fn sample(&mut self) {
        for node in 0..NODES {
            let of = self.life(node);
            self.push(What::Sample(Sample { of, cpu: Nanos(1), rss_bytes: 30 << 20, open_files: 20 }));
        }
    }
}

fn history() -> History {
    let mut cluster = Cluster::start();
    let mut term = 0;
    let mut seq = 0;
    while cluster.history.next_number() < OBSERVATIONS {
        term += 1;
        cluster.term(term);
        for _ in 0..20 {
            seq += 1;
            cluster.deliver(seq);
        }
        cluster.sample();
        let leader = term % NODES;
        if term.is_multiple_of(10) {
            cluster.act(ActionVerb::Kill, leader);
            cluster.process(leader, Change::Exited { exit: Exit::Signal(9), expected: true });
            cluster.act(ActionVerb::Restart, leader);
            cluster.start_node(leader);
        } else if term.is_multiple_of(7) {
            let follower = (term + 1) % NODES;
            cluster.act(ActionVerb::Pause, follower);
            cluster.act(ActionVerb::Resume, follower);
            let since = RunTime(cluster.at);
            cluster.push(What::Stall(Stall { since, of: "loop".into() }));
        }
    }
    cluster.push(What::Run(Phase::Ended { because: Ending::Complete }));
    cluster.history
}

fn bytes(history: &History) -> Vec<u8> {
    let mut bytes = lines::header().into_bytes();
    history.observations().iter().for_each(|observation| lines::encode(observation, &mut bytes));
    bytes
}

fn recheck(criterion: &mut Criterion) {
    let scenario = Scenario::parse(SCENARIO, &[]).unwrap_or_else(|problems| panic!("{problems:?}"));
    let plan = Plan::new(scenario, 1);
    let history = history();
    let stored = bytes(&history);
    let judge = |history: &History| check::all(&plan.scenario.invariants, &plan.step_places(), history);
    let verdict = judge(&history);
    let outcomes: Vec<_> = verdict.invariants.iter().map(|judged| (&judged.check, &judged.finding)).collect();
    assert_eq!(outcomes.iter().filter(|(_, finding)| finding.checked > 0).count(), outcomes.len() - 1, "{outcomes:#?}");

    let mut group = criterion.benchmark_group("a million observations");
    group
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(1))
        .throughput(Throughput::Bytes(stored.len() as u64));
    group.bench_function("write", |bencher| bencher.iter(|| bytes(&history)));
    group.bench_function("read", |bencher| {
        bencher.iter_with_large_drop(|| lines::read(&stored).expect("it was written here"))
    });
    group.bench_function("judge", |bencher| bencher.iter(|| judge(&history)));
    for invariant in &plan.scenario.invariants {
        let name = format!("judge/{}/{}", invariant.line.as_ref().map_or(0, |line| line.number), invariant.kind);
        group.bench_function(name, |bencher| bencher.iter(|| invariant.check.judge(&history)));
    }
    group.bench_function("read and judge", |bencher| {
        bencher.iter(|| judge(&lines::read(&stored).expect("it was written here").history));
    });
    group.finish();
}

criterion_group!(benches, recheck);
criterion_main!(benches);
