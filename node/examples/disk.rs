//! What the log on the disk costs: appends with and without company, a restart, and reads of what is durable.
//!
//! ```console
//! $ cargo run --release -p dsbench-node --example disk -- /var/tmp 1000000
//! ```

use std::error::Error;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Parser;
use dsbench_node::storage::Storage;
use dsbench_protocol::Archive;
use dsbench_wire::{Content, Entry, NodeId, Record, Term};

#[derive(Debug, Parser)]
struct Options {
    /// On which disk
    place: PathBuf,
    /// How many entries of 100 bytes
    #[arg(default_value_t = 1_000_000)]
    entries: u64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let Options { place, entries } = Options::parse();
    let scratch = tempfile::tempdir_in(place)?;
    let node: NodeId = "peer1".parse()?;
    let mut storage = Storage::open(scratch.path(), &node, u64::MAX)?.storage;
    let mut next = 1;
    let mut batch = |size: u64| -> Result<Duration, Box<dyn Error>> {
        let records: Vec<Record> = (next..next + size).map(entry).collect();
        next += size;
        let began = Instant::now();
        storage.save(&node, records)?;
        Ok(began.elapsed())
    };
    for size in [1, 10, 100, 1000] {
        let mut took: Vec<Duration> = (0..100).map(|_| batch(size)).collect::<Result<_, _>>()?;
        took.sort_unstable();
        let rate = size as f64 / took[50].as_secs_f64();
        println!("batches of {size}: one fsync each, median {:?}, {rate:.0} entries/s", took[50]);
    }
    let began = Instant::now();
    let before = next;
    while next <= entries {
        let records: Vec<Record> = (next..next + 1000).map(entry).collect();
        next += 1000;
        storage.save(&node, records)?;
    }
    let rate = (next - before) as f64 / began.elapsed().as_secs_f64();
    println!("{} entries in batches of 1000: {:?}, {rate:.0} entries/s", next - before, began.elapsed());
    drop(storage);
    let began = Instant::now();
    let opened = Storage::open(scratch.path(), &node, u64::MAX)?;
    println!("restart with {} entries: {:?}, memory {}", opened.recovered.last.index, began.elapsed(), memory()?);
    let mut took: Vec<Duration> = Vec::new();
    for n in 0..1000 {
        let from = 1 + n * 7919 % (next - 1000);
        let began = Instant::now();
        let found = opened.archive.entries(from, 60_000);
        took.push(began.elapsed());
        assert!(found.first().is_some_and(|entry| entry.index == from));
    }
    took.sort_unstable();
    println!("reads of 60 kB at random places: median {:?}, p99 {:?}", took[500], took[990]);
    Ok(())
}

fn entry(index: u64) -> Record {
    let id = format!("load/{index}").parse().expect("it is a request's name");
    let content = Content::Command { id, payload: "x".repeat(100).into() };
    Record::Entry(Entry { index, term: Term(1), content })
}

/// The largest resident size so far.
fn memory() -> std::io::Result<String> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"));
    Ok(line.map(|line| line.split_whitespace().skip(1).collect::<Vec<_>>().join(" ")).unwrap_or_default())
}
