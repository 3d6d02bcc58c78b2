//! How long a scenario takes to be read: one of 2,000 lines, and one that means 1,000 runs.
//!
//!     cargo bench -p dsbench-core --bench scenario
//!
//! The aims are 50 ms for the one and 1 s for the other: nobody waits for either.

use std::fmt::Write as _;
use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use dsbench_core::plan::Plan;
use dsbench_core::scenario::{Asked, Suite};
use dsbench_core::source::Sources;

const HEAD: &str = r#"schema = 1
name = "long"
[vars]
limit = "1s"
word = "hello"
[nodes]
count = 5
command = ["program", "--id", "{name}", "--listen", "{addr}", "--peers", "{peers}", "--data", "{data_dir}", "{vars.word}"]
ready = { log = 'listening on', within = "5s" }
[roles]
leader = { last = "event0", highest = "term" }
"#;

/// A scenario of so many lines, a third of them events, a third steps, a third invariants.
fn long(lines: usize) -> String {
    let mut text = HEAD.to_owned();
    let parts = lines.saturating_sub(HEAD.lines().count()) / 9;
    writeln!(text, "[events]").expect(WRITES);
    for part in 0..parts * 3 {
        writeln!(text, "event{part} = {{ log = 'says number {part}.* term=(?<term>\\d+) peer=(?<peer>\\w+)', fields = {{ term = \"int\", peer = \"node\" }} }}").expect(WRITES);
    }
    for part in 0..parts {
        let step = match part % 3 {
            0 => "kill = \"leader\"".to_owned(),
            1 => format!("expect = {{ event = \"event{part}\", from = \"!killed\", where = {{ term = \">= 2\" }} }}"),
            _ => "restart = \"killed\"".to_owned(),
        };
        writeln!(text, "[[steps]]\nname = \"step{part}\"\n{step}").expect(WRITES);
    }
    for part in 0..parts {
        let check = match part % 3 {
            0 => format!("single_leader = {{ event = \"event{part}\", per = \"term\" }}"),
            1 => format!("deadline = {{ from = \"fault.kill\", until = \"event{part}\", limit = \"3s\" }}"),
            _ => format!("never = {{ event = \"event{part}\", where = {{ peer = \"peer2\" }} }}"),
        };
        writeln!(text, "[[invariants]]\nname = \"invariant {part}\"\n{check}").expect(WRITES);
    }
    text
}

const WRITES: &str = "writing to a text does not fail";

/// Reads a text as a new process does: nothing of it is known from before.
#[expect(clippy::disallowed_methods, reason = "what a thread remembers of patterns dies with it")]
fn cold(text: &str) -> usize {
    let sources = Sources::of(text);
    std::thread::spawn(move || read(&sources)).join().expect("the text is read")
}

fn read(sources: &Sources) -> usize {
    let mut plans = 0;
    let suite = Suite::parse(sources, &Asked::default(), |_, scenario| {
        black_box(Plan::new(scenario, 7));
        plans += 1;
    });
    assert!(suite.is_ok(), "the text has no mistakes");
    plans
}

fn scenario(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("scenario");
    group.sample_size(10);
    let text = long(2_000);
    assert!(text.lines().count() > 1_950, "{}", text.lines().count());
    group.bench_function("2000 lines", |bencher| bencher.iter(|| cold(black_box(&text))));
    let values: Vec<String> = (0..1_000).map(|value| format!("\"{value}\"")).collect();
    let matrix = format!("{}[matrix]\n\"vars.word\" = [{}]\n", long(100), values.join(", "));
    group.bench_function("1000 runs of 100 lines", |bencher| {
        bencher.iter(|| assert_eq!(cold(black_box(&matrix)), 1_000));
    });
    group.finish();
}

criterion_group!(benches, scenario);
criterion_main!(benches);
