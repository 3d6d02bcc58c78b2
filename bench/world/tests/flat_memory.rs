//! Memory stays flat whatever nodes print. In a process of its own, because it looks at this process's memory.
#![expect(clippy::unwrap_used, reason = "test code outside of test functions")]

mod stage;

use std::fs;

use dsbench_world::Happening;
use stage::{Stage, life};

/// What dsbench may take, and the test harness beside it.
const RESIDENT_BYTES_MAX: u64 = 100 << 20;

fn resident_bytes_peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
}

#[test]
fn long_lines_many_lines_and_many_events_stay_within_100_mb() {
    let mut stage = Stage::new();
    let scripts = [
        "head -c 50000000 /dev/zero | tr '\\0' x",
        "head -c 50000000 /dev/zero",
        "yes 'an ordinary line of an ordinary log' | head -c 50000000",
        "yes | head -c 10000000",
        "yes 'say something' | head -n 100000",
    ];
    for (number, script) in (1..).zip(scripts) {
        stage.spawn(&life("n", number), &["sh", "-c", script]);
        // Events are forgotten at once: keeping them is the history's business.
        let deadline = stage.world.clock().now() + stage::PATIENCE;
        let mut events = 0;
        loop {
            match stage.world.next(deadline).expect("it ends").what {
                Happening::Event(_) => events += 1,
                Happening::Empty { .. } => break,
                _ => {}
            }
        }
        assert_eq!(events, if number == 5 { 100_000 } else { 0 });
    }
    for (number, bytes) in (1..).zip([50_000_000, 50_000_000, 50_000_000, 10_000_000, 1_400_000]) {
        assert_eq!(fs::metadata(stage.path(&format!("raw/n.main.{number}.stdout"))).unwrap().len(), bytes);
    }
    let peak = resident_bytes_peak();
    assert!(peak < RESIDENT_BYTES_MAX, "{peak} bytes");
    stage.end();
}
