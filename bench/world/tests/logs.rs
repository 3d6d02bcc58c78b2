//! Promises about output: every byte is kept, lines are whole and in order, matches point to them, and no node can stop that.
#![expect(clippy::unwrap_used, reason = "test code outside of test functions")]

mod stage;

use std::fs;
use std::os::unix::fs::symlink;

use dsbench_core::observation::{Event, Life};
use dsbench_world::{Happening, INDEX_RECORD_BYTES, IndexRecord, LINE_CONSIDERED, Outside, SpawnSpec};

use stage::{Stage, life, words};

fn events<'a>(stage: &'a Stage) -> Vec<&'a Event> {
    let event = |outside: &'a Outside| match &outside.what {
        Happening::Event(event) => Some(event),
        _ => None,
    };
    stage.seen.iter().filter_map(event).collect()
}

fn run(stage: &mut Stage, of: &Life, script: &str) {
    stage.sh(of, script);
    stage.until_empty(of);
}

/// The line of the readable log that a match points to.
fn line_of(stage: &Stage, event: &Event) -> String {
    let log = fs::read(stage.path(&format!("{}_log.txt", event.of.node))).unwrap();
    let line = log.split(|byte| *byte == b'\n').nth(usize::try_from(event.log.line).unwrap() - 1).unwrap();
    String::from_utf8_lossy(line).into_owned()
}

#[test]
fn the_readable_log_has_markers_whole_lines_and_both_streams() {
    let mut stage = Stage::new();
    let first = stage.sh(&life("peer1", 1), "echo one; echo two >&2; printf unfinished");
    stage.until_empty(&life("peer1", 1));
    let second = stage.sh(&life("peer1", 2), "printf 'three\\nfour'");
    stage.until_empty(&life("peer1", 2));
    let log = fs::read_to_string(stage.path("peer1_log.txt")).unwrap();
    let (start, again) = log.split_once("--- dsbench: peer1 started, life 2").unwrap();
    let mut lines: Vec<&str> = start.lines().collect();
    let marker = lines.remove(0);
    assert!(marker.starts_with(&format!("--- dsbench: peer1 started, life 1, pid {first}, T+")), "{marker}");
    lines.sort_unstable();
    assert_eq!(lines, ["[stderr] two", "one", "unfinished"]);
    assert!(again.starts_with(&format!(", pid {second}, T+")));
    assert!(again.ends_with("s\nthree\nfour\n"), "{again}");
    assert_eq!(fs::read(stage.path("raw/peer1.main.1.stdout")).unwrap(), b"one\nunfinished");
    assert_eq!(fs::read(stage.path("raw/peer1.main.1.stderr")).unwrap(), b"two\n");
    assert_eq!(fs::read(stage.path("raw/peer1.main.2.stdout")).unwrap(), b"three\nfour");
    stage.end();
}

#[test]
fn a_node_of_several_processes_has_one_log_that_names_them() {
    let mut stage = Stage::new();
    for process in ["main", "sentinel"] {
        let of = Life { process: process.into(), ..life("redis1", 1) };
        let program = stage.program(&["sh", "-c", "echo say hello; echo oops >&2"]);
        stage
            .world
            .spawn(
                of.clone(),
                SpawnSpec { program, stdout: words(), stderr: words(), files: Vec::new(), label: true, place: None },
            )
            .unwrap();
        stage.until_empty(&of);
    }
    let log = fs::read_to_string(stage.path("redis1_log.txt")).unwrap();
    for line in ["[main] say hello", "[sentinel] say hello", "[main] [stderr] oops", "[sentinel] [stderr] oops"] {
        assert!(log.lines().any(|found| found == line), "{log}");
    }
    assert!(log.contains("--- dsbench: redis1/sentinel started, life 1"));
    for event in events(&stage) {
        assert_eq!(line_of(&stage, event), format!("[{}] say hello", event.of.process));
    }
    stage.end();
}

#[test]
fn a_match_points_to_its_line_in_both_files() {
    let mut stage = Stage::new();
    run(&mut stage, &life("n", 1), "seq 1 5000; echo say middle; seq 1 5000; printf 'say end'");
    let raw = fs::read(stage.path("raw/n.main.1.stdout")).unwrap();
    let found = events(&stage);
    assert_eq!(found.len(), 2);
    for (event, text) in found.into_iter().zip(["say middle", "say end"]) {
        let offset = usize::try_from(event.log.offset).unwrap();
        assert!(raw[offset..].starts_with(text.as_bytes()));
        assert_eq!(&*event.log.text, text);
        assert_eq!(line_of(&stage, event), text);
    }
    stage.end();
}

#[test]
fn the_index_tells_when_each_part_arrived() {
    let mut stage = Stage::new();
    let one = life("n", 1);
    stage.sh(&one, "echo first; while read line; do echo say $line; done");
    for word in ["a", "b", "c"] {
        let asked = stage.world.clock().now();
        stage.world.input(&one, format!("{word}\n").into_bytes());
        let said = stage.until_said(word);
        assert!(said.at >= asked);
    }
    stage.world.kill(&one);
    stage.until_empty(&one);
    let index = fs::read(stage.path("raw/n.main.1.stdout.index")).unwrap();
    assert_eq!(index.len() % INDEX_RECORD_BYTES, 0);
    let mut from = index.as_slice();
    let records: Vec<_> = std::iter::from_fn(|| IndexRecord::read(&mut from)).collect();
    assert!(records.len() >= 3);
    assert_eq!((records[0].offset, records[0].lines), (0, 0));
    assert!(records.windows(2).all(|pair| pair[0].offset < pair[1].offset && pair[0].at <= pair[1].at));
    let raw = fs::read(stage.path("raw/n.main.1.stdout")).unwrap();
    for record in records {
        let before = &raw[..usize::try_from(record.offset).unwrap()];
        assert_eq!(record.lines, before.iter().filter(|byte| **byte == b'\n').count() as u64);
    }
    stage.end();
}

#[test]
fn hostile_bytes_are_kept_as_they_are_and_told_harmlessly() {
    let mut stage = Stage::new();
    run(&mut stage, &life("n", 1), r"printf 'say \033[2J\000\377\r\nafter\n'; exec >&- 2>&-; sleep 0");
    let hostile = b"say \x1b[2J\0\xff\r\nafter\n";
    assert_eq!(fs::read(stage.path("raw/n.main.1.stdout")).unwrap(), hostile);
    assert!(fs::read(stage.path("n_log.txt")).unwrap().ends_with(hostile));
    assert_eq!(&*events(&stage)[0].log.text, "say \\x1b[2J\\x00\u{fffd}\\x0d");
    stage.end();
}

#[test]
fn a_flood_starves_no_other_node() {
    let mut stage = Stage::new();
    for number in 1..=2 {
        stage.sh(&life("flood", number), "exec yes 'a line that is of no interest to anybody, as so many are'");
    }
    let quiet = life("quiet", 1);
    stage.sh(&quiet, "while read line; do echo say $line; done");
    for word in ["a", "b", "c", "d"] {
        stage.world.input(&quiet, format!("{word}\n").into_bytes());
        stage.until_said(word);
    }
    for number in 1..=2 {
        stage.world.kill(&life("flood", number));
        stage.until_empty(&life("flood", number));
    }
    stage.end();
}

#[test]
fn everything_that_was_written_before_the_exit_is_kept_even_if_a_child_holds_the_pipe() {
    let mut stage = Stage::new();
    let one = life("n", 1);
    stage.sh(&one, "seq 1 20000; echo say last; sleep 1000 & exit 0");
    stage.until_exited(&one);
    assert_eq!(events(&stage).len(), 1, "the last line comes before the exit");
    stage.world.kill(&one);
    stage.until_empty(&one);
    let raw = fs::read_to_string(stage.path("raw/n.main.1.stdout")).unwrap();
    assert_eq!(raw.lines().count(), 20001);
    stage.end();
}

#[test]
fn a_long_line_is_matched_by_its_beginning_and_others_go_on() {
    let mut stage = Stage::new();
    let beyond = 3 * LINE_CONSIDERED;
    let script = format!(
        "echo ready; echo say short; head -c {beyond} /dev/zero | tr '\\0' x; echo say never; echo oops >&2; echo say after"
    );
    run(&mut stage, &life("n", 1), &script);
    let said: Vec<_> = events(&stage).iter().map(|event| event.name.to_string()).collect();
    assert_eq!(said, ["short", "after"]);
    assert!(stage.seen.iter().any(|outside| matches!(outside.what, Happening::ReadyLine { .. })));
    assert_eq!(line_of(&stage, events(&stage)[1]), "say after");
    let raw = fs::read(stage.path("raw/n.main.1.stdout")).unwrap();
    assert_eq!(raw.len(), "ready\nsay short\n".len() + beyond + "say never\nsay after\n".len());
    stage.end();
}

#[test]
fn a_full_disk_loses_log_but_no_event() {
    let mut stage = Stage::new();
    fs::create_dir(stage.path("raw")).unwrap();
    symlink("/dev/full", stage.path("raw/n.main.1.stdout")).unwrap();
    run(&mut stage, &life("n", 1), "for i in 1 2 3; do echo say $i; sleep 0.01; done");
    assert_eq!(events(&stage).len(), 3);
    let lost: Vec<_> = stage.seen.iter().filter(|outside| matches!(outside.what, Happening::LogLost { .. })).collect();
    assert_eq!(lost.len(), 1, "it is told once: {lost:?}");
    assert!(matches!(&lost[0].what, Happening::LogLost { file, .. } if file == "raw/n.main.1.stdout"));
    stage.end();
}
