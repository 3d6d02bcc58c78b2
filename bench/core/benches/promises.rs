//! How many views, log entries and values a second are judged: each check on a million occurrences of its own event.
//!
//!     cargo bench -p dsbench-core --bench promises

use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use dsbench_core::history::History;
use dsbench_core::observation::{
    Change, Ending, Event, Life, LogLine, MAIN, Name, Nanos, Output, Phase, ProcessChange, Shapes, Value, What,
};
use dsbench_core::plan::Plan;
use dsbench_core::scenario::Scenario;
use dsbench_core::time::RunTime;
use dsbench_core::verdict::Outcome;

const OCCURRENCES: u64 = 1_000_000;
const NODES: u64 = 5;
/// One of the nodes is restarted every so many rounds, so that bounds have something to judge.
const ROUNDS_OF_A_LIFE: u64 = 200;

/// Each invariant is about the one event that its history holds.
const SCENARIO: &str = r#"
schema = 1
name = "promises"
[nodes]
count = 5
name = "peer{id}"
command = ["node"]
[events]
view = { log = 'view (?<id>\d+) (?<members>\S+)', fields = { id = "int", members = "nodes" } }
applied = { log = 'applied (?<index>\d+) (?<value>\S+)', fields = { index = "int" } }
holds = { log = 'holds (?<amount>\d+)', fields = { amount = "int" } }
delivered = { log = 'delivered (?<seq>\d+) (?<msg>\S+)', fields = { seq = "int", msg = "text" } }
sent = { log = 'sent (?<msg>\S+)', fields = { msg = "text" } }
[[invariants]]
name = "views"
view_changes = { event = "view", id = "id", members = "members", ids = "increasing", max = 1_000_000 }
[[invariants]]
name = "views with bounds"
view_changes = { event = "view", id = "id", members = "members", leave_within = "1h", return_within = "1h" }
[[invariants]]
name = "views with opaque ids"
view_changes = { event = "view", id = "id", members = "members", ids = "opaque" }
[[invariants]]
name = "monotonic"
monotonic = { event = "applied", field = "index" }
[[invariants]]
name = "agree_on"
agree_on = { event = "applied", key = "index", value = "value" }
[[invariants]]
name = "unique"
unique = { field = "applied.index", per = "node" }
[[invariants]]
name = "conserved"
conserved = { field = "holds.amount", total = 50, quiet = "1ms" }
[[invariants]]
name = "total order"
total_order = { event = "delivered", message = "msg", joins = "anywhere" }
[[invariants]]
name = "total order by position"
total_order = { event = "delivered", message = "msg", position = "seq", joins = "anywhere" }
[[invariants]]
name = "total order without the gap rule"
total_order = { event = "delivered", message = "msg", prefix = false }
[[invariants]]
name = "no_loss"
no_loss = { sent = "sent.msg", delivered = "delivered.msg", joins = "anywhere" }
[[invariants]]
name = "no_duplicates"
no_duplicates = "delivered.msg"
[[invariants]]
name = "fifo"
fifo = { delivered = "delivered.msg", sent = "sent.msg", joins = "anywhere" }
[[invariants]]
name = "causal_order"
causal_order = { sent = "sent.msg", delivered = "delivered.msg", joins = "anywhere" }
[[invariants]]
name = "same-view delivery and virtual synchrony"
view_changes = { event = "view", id = "id", members = "members", delivered = "delivered.msg" }
"#;

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
        self.at += 50_000;
        self.history.push(RunTime(self.at), what);
    }

    fn life(&self, node: u64) -> Life {
        let index = node as usize;
        Life { node: self.names[index].clone(), process: MAIN.into(), life: self.lives[index] }
    }

    fn start_node(&mut self, node: u64) {
        self.lives[node as usize] += 1;
        let of = self.life(node);
        self.push(What::Process(ProcessChange { of, change: Change::Started { pid: 1000 } }));
    }

    fn end_node(&mut self, node: u64) {
        let of = self.life(node);
        let exit = Change::Exited { exit: dsbench_core::observation::Exit::Signal(9), expected: true };
        self.push(What::Process(ProcessChange { of, change: exit }));
    }

    fn says(&mut self, node: u64, event: &str, fields: Vec<(Name, Value)>) {
        let line = self.history.next_number();
        let log = LogLine { offset: line * 80, line, text: "a line".into() };
        let of = self.life(node);
        let fields = self.shapes.fields(&event.into(), &of, &Output::Stdout, fields);
        self.push(What::Event(Event { fields, uncertainty: Nanos(20_000), log }));
    }

    /// In every round each node that runs says it once; `round` gives the fields.
    fn of(event: &str, fields: impl Fn(&Self, u64) -> Vec<(Name, Value)>) -> History {
        let mut cluster = Self::start();
        let (mut told, mut round) = (0, 0_u64);
        while told < OCCURRENCES {
            round += 1;
            let down = round.is_multiple_of(ROUNDS_OF_A_LIFE).then_some(round / ROUNDS_OF_A_LIFE % NODES);
            if let Some(down) = down {
                cluster.end_node(down);
            }
            for node in (0..NODES).filter(|node| Some(*node) != down) {
                let fields = fields(&cluster, round);
                cluster.says(node, event, fields);
                told += 1;
            }
            if let Some(down) = down {
                cluster.start_node(down);
            }
        }
        // Silence at the end, so that values count as settled.
        cluster.at += 1_000_000_000;
        cluster.push(What::Run(Phase::Ended { because: Ending::Complete }));
        cluster.history
    }

    /// In every round one node sends a message and all deliver it; every hundred rounds there is another view.
    fn messages() -> History {
        let mut cluster = Self::start();
        let (mut told, mut round) = (0, 0_u64);
        while told < OCCURRENCES {
            if round.is_multiple_of(100) {
                for node in 0..NODES {
                    let (id, members) = (Value::Int((round / 100) as i64), Value::Nodes(cluster.names.clone()));
                    cluster.says(node, "view", vec![("id".into(), id), ("members".into(), members)]);
                }
            }
            let message = || vec![("msg".into(), Value::Text(format!("peer/{round}").into()))];
            cluster.says(round % NODES, "sent", message());
            for node in 0..NODES {
                let fields = [vec![("seq".into(), Value::Int(round as i64))], message()].concat();
                cluster.says(node, "delivered", fields);
            }
            told += NODES + 1;
            round += 1;
        }
        cluster.at += 2_000_000_000;
        cluster.push(What::Run(Phase::Ended { because: Ending::Complete }));
        cluster.history
    }

    fn up(&self, round: u64) -> Vec<Name> {
        let down = round.is_multiple_of(ROUNDS_OF_A_LIFE).then_some(round / ROUNDS_OF_A_LIFE % NODES);
        (0..NODES).filter(|node| Some(*node) != down).map(|node| self.names[node as usize].clone()).collect()
    }
}

fn promises(criterion: &mut Criterion) {
    let scenario = Scenario::parse(SCENARIO, &[]).unwrap_or_else(|problems| panic!("{problems:?}"));
    let plan = Plan::new(scenario, 1);
    let int = |number: u64| Value::Int(number as i64);
    let views = Cluster::of("view", |cluster, round| {
        vec![("id".into(), int(round)), ("members".into(), Value::Nodes(cluster.up(round)))]
    });
    let applied = Cluster::of("applied", |_, round| {
        vec![("index".into(), int(round)), ("value".into(), Value::Text(format!("command{round}").into()))]
    });
    let holds =
        Cluster::of("holds", |_, round| vec![("amount".into(), int(if round.is_multiple_of(3) { 10 } else { 9 }))]);

    let delivered = Cluster::of("delivered", |_, round| {
        vec![("seq".into(), int(round)), ("msg".into(), Value::Text(format!("peer1/{round}").into()))]
    });
    let messages = Cluster::messages();

    let mut group = criterion.benchmark_group("a million occurrences");
    group
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(1))
        .throughput(Throughput::Elements(OCCURRENCES));
    for invariant in &plan.scenario.invariants {
        let history = match invariant.kind {
            "view_changes" if invariant.name.starts_with("same-view") => &messages,
            "view_changes" => &views,
            "total_order" | "no_duplicates" => &delivered,
            "no_loss" | "fifo" | "causal_order" => &messages,
            "conserved" => &holds,
            _ => &applied,
        };
        let finding = invariant.check.judge(history);
        assert!(finding.outcome != Outcome::Unknown && finding.checked > 0, "{}: {finding:?}", invariant.name);
        group.bench_function(&invariant.name, |bencher| bencher.iter(|| invariant.check.judge(history)));
    }
    group.finish();
}

criterion_group!(benches, promises);
criterion_main!(benches);
