//! The message log under crashes, power failures and foreign hands, and for those who follow it.

use std::fs;
use std::path::PathBuf;

use dsbench_wire::room::Header;
use dsbench_wire::{RequestId, Term};
use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

/// A log directory with the file and the directory of the records.
struct Place {
    path: PathBuf,
    records: PathBuf,
    _scratch: TempDir,
}

impl Place {
    fn new() -> Self {
        let scratch = tempfile::tempdir().unwrap();
        let records = scratch.path().join("node1");
        fs::create_dir(&records).unwrap();
        Self { path: scratch.path().join("node1.jsonl"), records, _scratch: scratch }
    }

    fn open(&self) -> Result<(MessageLog, u64), MessageLogError> {
        let (log, Opened { cut }) = MessageLog::open(&self.path, &self.records, Quorum::Majority, false)?;
        Ok((log, cut))
    }

    fn refused(&self) -> String {
        self.open().unwrap_err().to_string()
    }

    fn places(&self) -> Vec<u64> {
        let text = fs::read_to_string(&self.path).unwrap();
        text.lines().map(|line| serde_json::from_str::<super::Place>(line).unwrap().index).collect()
    }
}

fn delivery(index: u64) -> Delivery {
    let id = RequestId { client: "alice".parse().unwrap(), serial: index };
    let text = format!("message {index} {}", "x".repeat(index as usize % 400));
    Delivery::new(&id, Header::default(), (Term(1), index / 2, index), text.into())
}

#[test]
fn what_is_told_again_after_a_crash_is_not_written_again() {
    let place = Place::new();
    let (mut log, _) = place.open().unwrap();
    for index in [2, 4, 5] {
        log.append(&delivery(index));
    }
    drop(log);
    let (mut log, cut) = place.open().unwrap();
    assert_eq!((log.last(), cut), (5, 0));
    for index in [4, 5, 6] {
        log.append(&delivery(index));
    }
    assert_eq!(place.places(), [2, 4, 5, 6]);
}

#[test]
fn a_line_cut_anywhere_is_cut_off_and_written_again() {
    let place = Place::new();
    let (mut log, _) = place.open().unwrap();
    log.append(&delivery(1));
    let one = fs::metadata(&place.path).unwrap().len();
    log.append(&delivery(2));
    let whole = fs::read(&place.path).unwrap();
    for cut in 0..whole.len() as u64 {
        fs::write(&place.path, &whole[..cut as usize]).unwrap();
        let (mut log, lost) = place.open().unwrap();
        assert_eq!((log.last(), lost), if cut < one { (0, cut) } else { (1, cut - one) });
        for index in [1, 2] {
            log.append(&delivery(index));
        }
        assert_eq!(fs::read(&place.path).unwrap(), whole, "cut at {cut}");
    }
}

#[test]
fn a_file_that_is_no_message_log_is_refused_and_left_alone() {
    let place = Place::new();
    for foreign in [&b"to do: buy milk\n"[..], b"to do: buy milk", b"{\"msg\":1}\n", &[b'x'; 1 << 20]] {
        fs::write(&place.path, foreign).unwrap();
        let refusal = place.refused();
        assert!(refusal.contains("does not begin with a message"), "{refusal}");
        assert_eq!(fs::read(&place.path).unwrap(), foreign);
    }
}

#[test]
fn a_file_in_place_of_the_durable_one_is_refused() {
    let place = Place::new();
    let (mut log, _) = place.open().unwrap();
    for index in [2, 4, 5] {
        log.append(&delivery(index));
    }
    log.durable().sync().unwrap();
    let whole = fs::read_to_string(&place.path).unwrap();
    let without_the_last = whole.trim_end().rsplit_once('\n').unwrap().0.to_owned() + "\n";
    for other in [&without_the_last, &whole.replace("\"index\":5", "\"index\":6"), &whole.replace('\n', " ")] {
        fs::write(&place.path, other).unwrap();
        assert!(place.refused().contains("is not the one that this node wrote"), "{other}");
    }
    fs::remove_file(&place.path).unwrap();
    let (log, _) = place.open().unwrap();
    assert_eq!((log.last(), log.upto()), (0, 0), "a file that was moved away is begun again");
}

#[test]
fn messages_without_the_records_that_they_belong_to_are_refused() {
    let place = Place::new();
    let new = |quorum| MessageLog::open(&place.path, &place.records, quorum, true);
    let (mut log, _) = new(Quorum::Majority).unwrap();
    log.append(&delivery(1));
    drop(log);
    let refusal = new(Quorum::Majority).unwrap_err().to_string();
    assert!(refusal.contains("the records in") && refusal.contains("are gone"), "{refusal}");
}

#[test]
fn what_was_made_with_one_quorum_is_not_used_with_another() {
    let place = Place::new();
    let open = |quorum| MessageLog::open(&place.path, &place.records, quorum, false);
    drop(open(Quorum::None).unwrap());
    fs::remove_file(&place.path).unwrap();
    let refusal = open(Quorum::Majority).unwrap_err().to_string();
    assert!(refusal.contains("made with quorum = \"none\"") && refusal.contains("use another log_dir"), "{refusal}");
    assert!(!place.path.exists());
    open(Quorum::None).unwrap();
}

#[test]
fn without_a_quorum_every_message_is_new_and_has_its_own_place() {
    let place = Place::new();
    let (mut log, _) = MessageLog::open(&place.path, &place.records, Quorum::None, false).unwrap();
    for index in [1, 2, 3, 2, 3, 9] {
        log.append(&delivery(index));
    }
    assert_eq!(place.places(), [1, 2, 3, 4, 5, 6]);
    drop(log);
    let (log, Opened { cut }) = MessageLog::open(&place.path, &place.records, Quorum::None, false).unwrap();
    assert_eq!((log.last(), cut), (6, 0));
}

#[test]
fn a_disk_that_is_full_is_a_failure_and_what_comes_after_it_is_not_written() {
    let place = Place::new();
    let (mut log, _) = place.open().unwrap();
    log.append(&delivery(1));
    log.file = Arc::new(fs::OpenOptions::new().append(true).open("/dev/full").unwrap());
    log.append(&delivery(2));
    let failure = log.failure().expect("a failure").to_string();
    assert!(failure.contains("failed to append to message log") && failure.contains("disk full"), "{failure}");
    assert_eq!((log.last(), log.upto()), (1, 1), "nobody is told of what is not there");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Of what was written after the last fsync, a power failure leaves any sectors, and zeros in place of the others.
    #[test]
    fn a_power_failure_takes_only_an_end_and_never_what_was_synced(
        durable in 0..20_u64,
        written in 0..40_u64,
        length in any::<prop::sample::Index>(),
        lost in prop::collection::vec(any::<bool>(), 64),
    ) {
        let place = Place::new();
        let (mut log, _) = place.open().unwrap();
        for index in 1..=durable {
            log.append(&delivery(index));
        }
        log.durable().sync().unwrap();
        let synced = fs::metadata(&place.path).unwrap().len() as usize;
        for index in durable + 1..=durable + written {
            log.append(&delivery(index));
        }
        drop(log);
        let whole = fs::read(&place.path).unwrap();
        let mut left = whole[..synced + length.index(whole.len() - synced + 1)].to_vec();
        for at in synced..left.len() {
            if lost[at / 512 % 64] {
                left[at] = 0;
            }
        }
        fs::write(&place.path, &left).unwrap();
        let (mut log, cut) = place.open().unwrap();
        let kept = log.last();
        prop_assert!((durable..=durable + written).contains(&kept));
        prop_assert_eq!(fs::metadata(&place.path).unwrap().len(), left.len() as u64 - cut);
        for index in kept + 1..=durable + written {
            log.append(&delivery(index));
        }
        prop_assert_eq!(fs::read(&place.path).unwrap(), whole);
    }
}

/// The places that a follower gives until it is up to date, and the line that ends them.
async fn caught_up(follower: &mut Follower) -> (Vec<u64>, String) {
    let mut got = Vec::new();
    loop {
        let lines = next(follower).await.unwrap();
        assert!(lines.ends_with('\n'), "{lines}");
        for line in lines.split_inclusive('\n') {
            match serde_json::from_str::<super::Place>(line) {
                Ok(place) => got.push(place.index),
                Err(_) => return (got, lines),
            }
        }
    }
}

async fn next(follower: &mut Follower) -> Option<String> {
    let lines = follower.next().await.unwrap()?;
    Some(String::from_utf8(lines.to_vec()).unwrap())
}

#[tokio::test]
async fn a_follower_gets_all_after_its_place_once_and_then_what_comes() {
    let place = Place::new();
    let (mut log, _) = place.open().unwrap();
    for index in (1..=2000).map(|n| 2 * n) {
        log.append(&delivery(index));
    }
    log.is_whole(4001);
    for after in [0, 1, 2, 3, 1777, 2000, 3999, 4000, 9000] {
        let (got, end) = caught_up(&mut log.feed().after(after).unwrap()).await;
        let expected: Vec<u64> = (1..=2000).map(|n| 2 * n).filter(|&index| index > after).collect();
        assert_eq!(got, expected, "after {after}");
        let upto = expected.last().copied().unwrap_or(after);
        let count = got.len();
        assert_eq!(end, format!("{{\"type\":\"CATCHUP_RESP\",\"upto\":{upto},\"messages\":{count},\"told\":4001}}\n"));
    }
    let mut follower = log.feed().after(4000).unwrap();
    next(&mut follower).await;
    log.append(&delivery(4002));
    assert!(next(&mut follower).await.unwrap().contains("\"index\":4002"));
    drop(log);
    assert_eq!(next(&mut follower).await, None);
}

#[tokio::test]
async fn a_follower_that_is_ahead_of_the_node_gets_nothing_twice() {
    let place = Place::new();
    let (mut log, _) = place.open().unwrap();
    log.append(&delivery(90));
    let mut follower = log.feed().after(100).unwrap();
    assert_eq!(caught_up(&mut follower).await.0, Vec::<u64>::new());
    for index in 91..=101 {
        log.append(&delivery(index));
    }
    assert!(next(&mut follower).await.unwrap().contains("\"index\":101"));
}

#[tokio::test]
async fn lines_come_whole_however_long_they_are_and_whoever_reads_in_step() {
    let place = Place::new();
    let (mut log, _) = place.open().unwrap();
    let mut followers = Vec::new();
    for after in [0, 0, 2, 5] {
        let mut follower = log.feed().after(after).unwrap();
        assert_eq!(caught_up(&mut follower).await.0, Vec::<u64>::new());
        followers.push((follower, after, String::new()));
    }
    // Far more than is read at once, in one line and in many.
    for index in 1..=9 {
        let id = RequestId { client: "alice".parse().unwrap(), serial: index };
        let text = "\"".repeat(if index % 3 == 0 { 100_000 } else { 20_000 });
        log.append(&Delivery::new(&id, Header::default(), (Term(1), index, index), text.into()));
    }
    let (first, others) = followers.split_first_mut().unwrap();
    while !first.2.contains("\"index\":9,") {
        // Each at its own pace: the second one with the first one, the others behind them.
        first.2 += &next(&mut first.0).await.unwrap();
        others[0].2 += &next(&mut others[0].0).await.unwrap();
    }
    for (follower, after, got) in &mut followers {
        while !got.contains("\"index\":9,") {
            *got += &next(follower).await.unwrap();
        }
        let whole = fs::read_to_string(&place.path).unwrap();
        let expected: String = whole.split_inclusive('\n').skip(*after as usize).collect();
        assert!(*got == expected, "after {after}: {} of {} bytes", got.len(), expected.len());
    }
}

#[tokio::test]
async fn a_hole_is_an_error_for_who_follows_and_not_silence() {
    let place = Place::new();
    let (mut log, _) = place.open().unwrap();
    for index in 1..=3 {
        log.append(&delivery(index));
    }
    let mut bytes = fs::read(&place.path).unwrap();
    let second = bytes.iter().position(|&byte| byte == b'\n').unwrap() + 1;
    bytes[second..second + 40].fill(0);
    fs::write(&place.path, &bytes).unwrap();
    let mut follower = log.feed().after(0).unwrap();
    assert!(follower.next().await.unwrap().is_some());
    assert!(follower.next().await.is_err());
}

#[tokio::test]
async fn what_no_node_had_is_told_to_who_follows() {
    let place = Place::new();
    let (mut log, _) = place.open().unwrap();
    log.append(&delivery(3));
    log.lacks(Missing { after: 3, index: 40 });
    log.append(&delivery(41));
    let (got, end) = caught_up(&mut log.feed().after(0).unwrap()).await;
    assert_eq!(got, [3, 40, 41]);
    assert_eq!(end, "{\"type\":\"CATCHUP_RESP\",\"upto\":41,\"messages\":2,\"told\":41,\"missing\":[[3,40]]}\n");
    let (got, _) = caught_up(&mut log.feed().after(40).unwrap()).await;
    assert_eq!(got, [41]);
    drop(log);
    assert_eq!(place.open().unwrap().0.last(), 41);
}
