//! Records in a real directory: what is saved is recovered, read again and printed.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use dsbench_protocol::Archive;
use dsbench_wire::{Ballot, Content, Entry, NodeId, Position, Record, Recovered, Snapshot, Term, View};

use crate::storage::{Inspected, Opened, Storage, StorageError, inspect};

fn node() -> NodeId {
    "peer1".parse().unwrap()
}

fn open(directory: &Path) -> Result<Opened, StorageError> {
    Storage::open(directory, &node(), 5)
}

fn entry(index: u64, text: &str) -> Entry {
    let id = format!("alice/{index}").parse().unwrap();
    Entry { index, term: Term(2), content: Content::Command { id, payload: text.into() } }
}

fn snapshot(index: u64) -> Snapshot {
    Snapshot { at: Position { term: Term(2), index }, view: Arc::new(View::default()), state: "{}".into() }
}

fn saved(directory: &Path, records: Vec<Record>) -> Opened {
    let mut opened = open(directory).unwrap();
    opened.storage.save(&node(), records).unwrap();
    opened.storage.rest(&node()).unwrap();
    opened
}

#[test]
fn a_new_directory_is_empty_and_everything_that_is_saved_is_found_again() {
    let scratch = tempfile::tempdir().unwrap();
    let directory = scratch.path().join("deep/er");
    let new = open(&directory).unwrap();
    assert_eq!(new.recovered, Recovered { first: 1, ..Recovered::default() });
    assert!(new.recovered.is_new() && new.torn.is_none());
    drop(new);
    let ballot = Ballot { term: Term(2), voted_for: Some(node()) };
    let records = [
        Record::Identity { incarnation: u64::MAX },
        Record::Pledge { to: node() },
        Record::Serials { client: "peer1.7".parse().unwrap(), below: 1001 },
        Record::Ballot(Ballot::default()),
        Record::Ballot(ballot.clone()),
    ];
    let entries = (1..=3).map(|index| Record::Entry(entry(index, "hello")));
    let opened = saved(&directory, records.into_iter().chain(entries).chain([Record::Applied { index: 2 }]).collect());
    assert_eq!(opened.archive.entries(2, 1 << 20), [entry(2, "hello"), entry(3, "hello")]);
    assert_eq!(opened.archive.entries(1, 1), [entry(1, "hello")], "at least one");
    assert_eq!((opened.archive.term_at(3), opened.archive.term_at(4)), (Some(Term(2)), None));
    drop(opened);
    let expected = Recovered {
        incarnation: Some(u64::MAX),
        pledge: Some(node()),
        client: Some("peer1.7".parse().unwrap()),
        serials_below: 1001,
        ballot,
        snapshot: None,
        first: 1,
        last: Position { term: Term(2), index: 3 },
        applied: 2,
        torn: 0,
    };
    assert_eq!(open(&directory).unwrap().recovered, expected);
}

#[test]
fn a_checkpoint_keeps_what_peers_may_need_and_an_installed_snapshot_replaces_everything() {
    let scratch = tempfile::tempdir().unwrap();
    let entries = (1..=20).map(|index| Record::Entry(entry(index, "hello")));
    let opened = saved(scratch.path(), entries.chain([Record::Checkpoint(snapshot(18))]).collect());
    assert_eq!(opened.archive.entries(1, 1 << 20).len(), 20, "one segment is not dropped in parts");
    drop(opened);
    let mut opened = open(scratch.path()).unwrap();
    assert_eq!(opened.recovered.snapshot, Some(snapshot(18)));
    assert_eq!((opened.recovered.first, opened.recovered.last.index, opened.recovered.applied), (1, 20, 0));
    opened.storage.save(&node(), [Record::Install(snapshot(100)), Record::Entry(entry(101, "on"))]).unwrap();
    assert_eq!(opened.archive.entries(1, 1 << 20), []);
    assert_eq!(opened.archive.entries(101, 1 << 20), [entry(101, "on")]);
    assert_eq!(opened.archive.term_at(100), Some(Term(2)));
    drop(opened);
    let recovered = open(scratch.path()).unwrap().recovered;
    assert_eq!(recovered.snapshot, Some(snapshot(100)));
    assert_eq!(
        (recovered.first, recovered.last.index, recovered.applied),
        (101, 101, 0),
        "what was told is the core's to say"
    );
}

#[test]
fn segments_that_a_checkpoint_covers_are_dropped_and_the_rest_is_still_read() {
    let scratch = tempfile::tempdir().unwrap();
    let text = "x".repeat(30_000);
    let mut opened = open(scratch.path()).unwrap();
    for batch in 0..50 {
        let entries = (1..=50).map(|n| Record::Entry(entry(batch * 50 + n, &text)));
        opened.storage.save(&node(), entries).unwrap();
    }
    assert!(scratch.path().join("log.0000000002").exists());
    opened.storage.save(&node(), [Record::Checkpoint(snapshot(2490))]).unwrap();
    assert!(!scratch.path().join("log.0000000001").exists());
    drop(opened);
    let opened = open(scratch.path()).unwrap();
    let first = opened.recovered.first;
    assert!(first > 1 && first <= 2486, "{first}");
    let entries = opened.archive.entries(2486, 300_000);
    assert!(entries.len() > 5 && entries.iter().zip(2486..).all(|(entry, index)| entry.index == index));
    assert_eq!(opened.archive.entries(first - 1, 1000), []);
}

#[test]
fn a_directory_serves_one_node_at_a_time_and_one_id_for_ever() {
    let scratch = tempfile::tempdir().unwrap();
    let first = open(scratch.path()).unwrap();
    let refusal = open(scratch.path()).unwrap_err().to_string();
    assert!(refusal.contains("in use by another node"), "{refusal}");
    assert!(refusal.contains(&format!("process {}", std::process::id())), "{refusal}");
    drop(first);
    let other = Storage::open(scratch.path(), &"peer2".parse().unwrap(), 5).unwrap_err();
    assert!(other.to_string().contains("belongs to node peer1, not to peer2"), "{other}");
}

#[test]
fn the_state_file_of_an_earlier_version_is_refused_and_not_overlooked() {
    let scratch = tempfile::tempdir().unwrap();
    fs::write(scratch.path().join("state"), "dsbench-node-state 1 crc32=00000000\n{}\n").unwrap();
    let refusal = open(scratch.path()).unwrap_err().to_string();
    assert!(refusal.contains("of an earlier version") && refusal.contains("empty --data directory"), "{refusal}");
}

fn printed(path: &Path) -> (Inspected, String) {
    let mut out = Vec::new();
    let found = inspect(path, &mut out).unwrap();
    (found, String::from_utf8(out).unwrap())
}

#[test]
fn a_log_is_printed_one_record_a_line_and_harms_no_terminal() {
    let scratch = tempfile::tempdir().unwrap();
    let text = "a\u{1b}[2J\u{9b}2J\u{202e}\u{2028}\u{7f} \"na\u{ef}ve\"\n";
    let records =
        vec![Record::Identity { incarnation: 7 }, Record::Entry(entry(1, text)), Record::Checkpoint(snapshot(1))];
    drop(saved(scratch.path(), records));
    let (found, out) = printed(scratch.path());
    assert_eq!(found, Inspected::Whole);
    assert!(out.chars().all(|c| c == '\n' || !c.is_control()) && !out.contains(['\u{202e}', '\u{2028}']), "{out:?}");
    let lines: Vec<serde_json::Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 4, "{out}");
    assert_eq!(lines[0]["record"]["checkpoint"]["at"]["index"], 1);
    assert_eq!(lines[1]["segment"]["node"], "peer1");
    assert_eq!(lines[2]["record"]["identity"]["incarnation"], 7);
    assert_eq!(lines[3]["record"]["entry"]["content"]["command"]["payload"], text, "the same text for a program");
}

#[test]
fn a_torn_tail_and_damage_are_told_apart() {
    let scratch = tempfile::tempdir().unwrap();
    drop(saved(scratch.path(), (1..=3).map(|index| Record::Entry(entry(index, "hello"))).collect()));
    let path = scratch.path().join("log.0000000001");
    let whole = fs::read(&path).unwrap();
    let end = whole.iter().rposition(|&byte| byte != 0).unwrap() + 1;
    fs::write(&path, &whole[..end - 60]).unwrap();
    let (found, out) = printed(&path);
    assert_eq!(found, Inspected::Torn);
    assert!(out.lines().last().unwrap().contains("\"torn\":{\"bytes\":"), "{out}");
    let opened = open(scratch.path()).unwrap();
    assert_eq!(opened.recovered.last.index, 2);
    assert!(opened.recovered.torn > 0);
    let torn = opened.torn.unwrap();
    assert!(torn.contains("log.0000000001 at=") && torn.contains(" bytes="), "{torn}");
    let mut damaged = whole.clone();
    let hello = whole.windows(5).position(|bytes| bytes == b"hello").unwrap();
    damaged[hello] ^= 1;
    fs::write(&path, &damaged).unwrap();
    let (found, out) = printed(scratch.path());
    assert_eq!(found, Inspected::Damaged);
    assert!(out.lines().last().unwrap().contains("its checksum does not match"), "{out}");
    drop(opened.storage);
    let refusal = open(scratch.path()).unwrap_err().to_string();
    assert!(
        refusal.contains("log.0000000001 is damaged at byte") && refusal.contains("restore the directory"),
        "{refusal}"
    );
}

#[test]
fn what_is_no_log_is_refused_by_name_and_rubbish_is_no_panic() {
    let scratch = tempfile::tempdir().unwrap();
    let mut out = Vec::new();
    assert!(inspect(scratch.path(), &mut out).unwrap_err().to_string().contains("is no data directory"));
    let other = scratch.path().join("notes.txt");
    fs::write(&other, "dsn1").unwrap();
    assert!(inspect(&other, &mut out).unwrap_err().to_string().contains("no file of one"));
    let rubbish = scratch.path().join("log.0000000001");
    fs::write(&rubbish, b"dsn1dsn1dsn1".repeat(100_000)).unwrap();
    assert_eq!(printed(&rubbish).0, Inspected::Damaged);
}
