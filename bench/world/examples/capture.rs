//! How fast is capture? Runs `COMMAND...` as a node with four event patterns, and tells bytes per second and memory.
//!
//! ```text
//! cargo run --release -p dsbench-world --example capture -- DIR sh -c 'cat big.log'
//! ```

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use dsbench_core::observation::Life;
use dsbench_core::pattern::{Aliases, EventPattern, Matcher, Stream};
use dsbench_core::time::RunTime;
use dsbench_world::{Clock, Found, Guardian, Happening, Meaning, Patterns, Program, SpawnSpec, World, WorldConfig};

/// Events of a sensor cluster, as scenarios define them.
const PATTERNS: [&str; 4] = [
    r"became the Group Leader via election.* term=(?<term>\d+)",
    r"stepped down.* term=(?<term>\d+)",
    r"follows (?<leader>\w+) in term (?<term>\d+)",
    r"(panic|fatal|Traceback)",
];

struct Output(Matcher);

impl Patterns for Output {
    fn scan(&mut self, lines: &[u8], found: &mut dyn FnMut(Found)) {
        self.0.scan(lines, |index, offset, line, matches| {
            for event in matches {
                let meaning = Meaning::Event { name: event.event, fields: event.fields };
                found(Found { index, line: offset..offset + line.len(), meaning });
            }
        });
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let clock = Clock::start();
    let guardian = Guardian::fork()?;
    let mut args = std::env::args_os().skip(1);
    let dir: PathBuf = args.next().ok_or("a directory and a command are needed")?.into();
    let events: Vec<EventPattern> = PATTERNS
        .iter()
        .enumerate()
        .map(|(number, pattern)| {
            Ok(EventPattern {
                event: format!("event{number}").into(),
                log: vec![regex::Regex::new(pattern)?.into()],
                fields: Vec::new(),
                stream: None,
                process: None,
                alias: BTreeMap::new(),
            })
        })
        .collect::<Result<_, regex::Error>>()?;
    let matcher = Matcher::new(&events, Stream::Stdout, "main", &Aliases::default());
    let life = Life { node: "node".into(), process: "main".into(), life: 1 };
    let mut world = World::new(
        guardian,
        clock,
        WorldConfig {
            log_dir: dir.clone(),
            signals: None,
            desk: None,
            lab: None,
            switch: None,
            lifts_limits: true,
            tick: WorldConfig::EXACT,
        },
    )?;
    let ready = clock.now();
    let program = Program { argv: args.collect(), env: std::env::vars_os().collect(), cwd: ".".into() };
    let stdout = Some(Box::new(Output(matcher)) as Box<dyn Patterns>);
    world.spawn(
        life.clone(),
        SpawnSpec { program, stdout, stderr: None, files: Vec::new(), label: false, place: None },
    )?;
    let (mut matches, mut started, mut stalls, mut worst) = (0_u64, ready, 0_u64, 0);
    while let Some(outside) = world.next(RunTime::NEVER) {
        match outside.what {
            Happening::Started { .. } => started = clock.now(),
            Happening::NotStarted { why, .. } => return Err(why.into()),
            Happening::Event(event) => {
                matches += 1;
                worst = worst.max(event.uncertainty.0);
            }
            Happening::Stall { .. } => stalls += 1,
            Happening::Empty { .. } => break,
            _ => {}
        }
    }
    let took = clock.now().since(started);
    let ended = world.shutdown(Duration::from_secs(10));
    let bytes = std::fs::metadata(dir.join("raw/node.main.1.stdout"))?.len();
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default();
    println!(
        "{bytes} bytes in {took:.3?}: {:.0} MB/s, {matches} matches (uncertainty at most {worst} ns), {stalls} stalls, start {:?}, {peak}, survivors {:?}",
        bytes as f64 / 1e6 / took.as_secs_f64(),
        started.since(ready),
        ended.survivors
    );
    Ok(())
}
