//! Getting the messages that a snapshot has skipped: from the message logs of the other nodes, before anything newer is told.
//!
//! A node that was away for long is given the state and not the entries that led to it. What people missed stands in the message log
//! of whoever told it. Nodes are asked one after the other, as a client asks, until one has everything; what none of them has is noted
//! as missing, and only when each of them has said so.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use dsbench_wire::chat::Delivery;
use dsbench_wire::{Endpoint, NodeId};
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use crate::messages::Missing;

/// A node that is there answers at once, and then as fast as it is read.
const PATIENCE: Duration = Duration::from_secs(3);
/// When nobody could help, all are asked again after this.
const PAUSE: Duration = Duration::from_millis(300);
/// Messages on their way from the connection to the file.
const WAITING: usize = 256;
/// No line of a message log is longer.
const LINE_MAX: u64 = 256 << 10;

/// What is missing, and who was asked.
#[derive(Debug)]
pub(super) struct Fill {
    /// Up to here.
    upto: u64,
    asking: Option<Asking>,
    /// Who was asked since the last pause.
    asked: Vec<NodeId>,
    /// Who lacks the next messages too, and has some from this place on.
    lacking: BTreeMap<NodeId, u64>,
    /// The last place that was got, or is missing everywhere.
    reached: u64,
    /// How many messages were got.
    pub(super) count: u64,
    is_late: bool,
    /// How often nobody could help.
    vain: u32,
}

#[derive(Debug)]
struct Asking {
    id: NodeId,
    news: mpsc::Receiver<News>,
    task: AbortHandle,
}

impl Drop for Asking {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What a node that is asked gives.
#[derive(Debug)]
enum News {
    Message(Box<Delivery>),
    /// It lacks what comes next too.
    Lacks(Missing),
    /// That was everything.
    Whole,
    /// It does not have everything yet.
    Behind,
    Failed(io::Error),
}

/// What comes of it.
#[derive(Debug)]
pub(super) enum Got {
    /// The next message.
    Message(Box<Delivery>),
    /// Nobody has these.
    Missing(Missing),
    /// Nobody could give them for now; those who were asked are asked again.
    Nothing(String),
    /// Nothing is missing any more.
    Whole,
}

impl Fill {
    /// For the messages after `after`, up to `upto`.
    pub(super) fn new(after: u64, upto: u64) -> Self {
        Self {
            upto,
            asking: None,
            asked: Vec::new(),
            lacking: BTreeMap::new(),
            reached: after,
            count: 0,
            is_late: false,
            vain: 0,
        }
    }

    /// Up to which place messages are missing.
    pub(super) fn upto(&self) -> u64 {
        self.upto
    }

    /// What comes up to here is there already.
    pub(super) fn begins_after(&mut self, place: u64) {
        self.reached = self.reached.max(place);
    }

    /// Whether that nobody could help is worth a line: the first time, and now and then.
    pub(super) fn is_news(&mut self) -> bool {
        self.vain += 1;
        self.vain.is_power_of_two()
    }

    /// More is missing than was known.
    pub(super) fn extend(&mut self, upto: u64) {
        if upto > self.upto {
            self.upto = upto;
            self.asking = None;
        }
    }

    /// Waits for the next piece, from one of `others`. Dropping the future loses nothing.
    pub(super) async fn next(&mut self, others: &BTreeMap<NodeId, Endpoint>) -> Got {
        let mut why = String::new();
        loop {
            if self.reached >= self.upto {
                return Got::Whole;
            }
            let Some(asking) = &mut self.asking else {
                if let Some(missing) = self.given_up(others) {
                    self.passed(missing.index);
                    return Got::Missing(missing);
                }
                let is_fresh = |id: &&NodeId| !self.asked.contains(id) && !self.lacking.contains_key(*id);
                let Some(id) = others.keys().find(is_fresh).cloned() else {
                    self.asked.clear();
                    self.is_late = true;
                    let why = if why.is_empty() { "nobody has them yet".to_owned() } else { why };
                    return Got::Nothing(why);
                };
                self.ask(id, others);
                continue;
            };
            let news = asking.news.recv().await;
            let id = asking.id.clone();
            match news {
                Some(News::Message(message)) => {
                    self.passed(message.index);
                    self.count += 1;
                    return Got::Message(message);
                }
                Some(News::Whole) => {
                    self.passed(self.upto);
                    self.asking = None;
                }
                Some(News::Lacks(missing)) => {
                    self.lacking.insert(id, missing.index);
                    self.asking = None;
                }
                Some(News::Failed(error)) => {
                    why = format!("{id}: {error}");
                    self.asking = None;
                }
                Some(News::Behind) | None => self.asking = None,
            }
        }
    }

    fn ask(&mut self, id: NodeId, others: &BTreeMap<NodeId, Endpoint>) {
        let Some(place) = others.get(&id).cloned() else { return };
        let (sender, news) = mpsc::channel(WAITING);
        let (after, upto) = (self.reached, self.upto);
        let pause = if std::mem::take(&mut self.is_late) { PAUSE } else { Duration::ZERO };
        let task = tokio::spawn(async move {
            sleep(pause).await;
            let last = match fetch(&place, after, upto, &sender).await {
                Ok(last) => last,
                Err(error) => News::Failed(error),
            };
            // Nobody waits for it any more when the node has ended.
            let _ = sender.send(last).await;
        });
        self.asked.push(id.clone());
        self.asking = Some(Asking { id, news, task: task.abort_handle() });
    }

    /// What nobody has: each of the others has said that it lacks it too.
    fn given_up(&self, others: &BTreeMap<NodeId, Endpoint>) -> Option<Missing> {
        let ends = others.keys().map(|id| self.lacking.get(id).copied());
        let index = ends.collect::<Option<Vec<u64>>>()?.into_iter().min().unwrap_or(self.upto);
        Some(Missing { after: self.reached, index: index.min(self.upto) })
    }

    fn passed(&mut self, place: u64) {
        self.reached = place;
        self.asked.clear();
        self.lacking.clear();
    }
}

#[derive(Deserialize)]
#[serde(tag = "type", rename = "CATCHUP_RESP")]
struct CaughtUp {
    told: u64,
}

/// Asks one node for what it has after `after`, up to `upto`.
async fn fetch(place: &Endpoint, after: u64, upto: u64, news: &mpsc::Sender<News>) -> io::Result<News> {
    let silent = |_| io::Error::new(io::ErrorKind::TimedOut, "no answer");
    let dial = TcpStream::connect((place.host(), place.port()));
    let mut stream = timeout(PATIENCE, dial).await.map_err(silent)??;
    stream.write_all(format!("{{\"type\":\"CATCHUP_REQ\",\"after\":{after}}}\n").as_bytes()).await?;
    let mut lines = BufReader::new(stream);
    let mut reached = after;
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut limited = (&mut lines).take(LINE_MAX);
        let read = timeout(PATIENCE, limited.read_until(b'\n', &mut line)).await.map_err(silent)??;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Ok(message) = serde_json::from_slice::<Delivery>(&line) {
            if message.index > upto {
                return Ok(News::Whole);
            }
            if message.index > reached {
                reached = message.index;
                if news.send(News::Message(Box::new(message))).await.is_err() {
                    return Ok(News::Behind);
                }
            }
        } else if let Ok(missing) = serde_json::from_slice::<Missing>(&line) {
            // What it lacks may begin later than where it was asked from, when it was moved away.
            return Ok(if missing.after >= upto { News::Whole } else { News::Lacks(missing) });
        } else if let Ok(CaughtUp { told }) = serde_json::from_slice(&line) {
            return Ok(if told >= upto { News::Whole } else { News::Behind });
        }
    }
}

#[cfg(test)]
mod tests {
    use dsbench_wire::room::Header;
    use dsbench_wire::{RequestId, Term};
    use tokio::net::TcpListener;

    use super::*;

    fn delivery(index: u64) -> Delivery {
        let id = RequestId { client: "alice".parse().unwrap(), serial: index };
        Delivery::new(&id, Header::default(), (Term(1), index, index), format!("message {index}").into())
    }

    /// A node that answers each question with these lines.
    async fn node(lines: Vec<String>) -> (Endpoint, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let place = listener.local_addr().unwrap().to_string().parse().unwrap();
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (read, mut write) = stream.into_split();
                let mut asked = String::new();
                BufReader::new(read).read_line(&mut asked).await.unwrap();
                let after: serde_json::Value = serde_json::from_str(&asked).unwrap();
                for line in &lines {
                    let line: serde_json::Value = serde_json::from_str(line).unwrap();
                    if line["index"].as_u64().is_none_or(|index| index > after["after"].as_u64().unwrap()) {
                        let _ = write.write_all(format!("{line}\n").as_bytes()).await;
                    }
                }
            }
        });
        (place, task)
    }

    fn has(places: &[u64], told: u64) -> Vec<String> {
        let end = format!("{{\"type\":\"CATCHUP_RESP\",\"told\":{told}}}");
        places.iter().map(|&index| dsbench_wire::chat::delivery(&delivery(index))).chain([end]).collect()
    }

    /// What comes of asking nodes with these lines for 3 to 9.
    async fn filled(nodes: Vec<Vec<String>>) -> Vec<String> {
        let mut others = BTreeMap::new();
        for (n, lines) in nodes.into_iter().enumerate() {
            others.insert(format!("{n}").parse().unwrap(), node(lines).await.0);
        }
        let mut fill = Fill::new(2, 9);
        let mut got = Vec::new();
        loop {
            match fill.next(&others).await {
                Got::Message(message) => got.push(message.index.to_string()),
                Got::Missing(Missing { after, index }) => got.push(format!("{after}-{index}")),
                Got::Nothing(why) => {
                    got.push(why);
                    return got;
                }
                Got::Whole => return got,
            }
        }
    }

    #[tokio::test]
    async fn messages_come_from_whoever_has_them_and_a_gap_only_where_nobody_has() {
        let lacks = |after: u64, index: u64| format!("{{\"type\":\"MISSING\",\"after\":{after},\"index\":{index}}}");
        assert_eq!(filled(vec![has(&[1, 2, 3, 7, 12], 12)]).await, ["3", "7"]);
        assert_eq!(filled(vec![has(&[1, 3, 7], 9)]).await, ["3", "7"], "nothing else was told up to 9");
        assert_eq!(filled(vec![has(&[3], 4), has(&[3, 7], 9)]).await, ["3", "7"], "the first is behind");
        let gap = [has(&[3], 3)[0].clone(), lacks(3, 6), has(&[7], 9)[0].clone(), has(&[], 9)[0].clone()].to_vec();
        assert_eq!(filled(vec![gap.clone(), has(&[3, 5, 7], 9)]).await, ["3", "5", "7"], "the other has it");
        assert_eq!(filled(vec![gap.clone(), gap]).await, ["3", "3-6", "7"], "nobody has it");
        assert_eq!(filled(vec![]).await, ["2-9"], "there is nobody else");
        assert_eq!(filled(vec![has(&[3], 4)]).await, ["3", "nobody has them yet"]);
    }

    #[tokio::test]
    async fn a_node_that_is_not_there_is_no_reason_to_give_up() {
        let gone = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let others = BTreeMap::from([("1".parse().unwrap(), gone.to_string().parse().unwrap())]);
        let mut fill = Fill::new(2, 9);
        assert!(matches!(fill.next(&others).await, Got::Nothing(why) if why.starts_with("1: ")));
        let (place, _node) = node(has(&[4], 9)).await;
        let others = BTreeMap::from([("1".parse().unwrap(), place)]);
        assert!(matches!(fill.next(&others).await, Got::Message(message) if message.index == 4));
        assert!(matches!(fill.next(&others).await, Got::Whole));
    }
}
