//! A chat that many clients are in: each sends, and each reads what all send. Counts a message when the last client has it.
//!
//! ```text
//! $ cargo run --release -p dsbench-node --example chat_load -- dsnode 127.0.0.1:5001,127.0.0.1:5002,127.0.0.1:5003 --clients 100
//! $ cargo run --release -p dsbench-node --example chat_load -- redis 127.0.0.1:6379 --clients 100
//! ```
//!
//! Clients are spread over the nodes. The loop is closed: each has one message under way, and says the next one when it reads its own. With
//! `--rate` it is open: messages are sent when it is time, and their latency counts from then. In Redis the chat is a stream: XADD to send,
//! at the first node, and XREAD BLOCK on a second connection to read, at any; of several nodes, the others are the first one's replicas,
//! and whoever sends waits (WAIT) until as many of them have the message as make a majority. All clients must read all messages in one
//! order, or the load fails.

use std::cell::RefCell;
use std::error::Error;
use std::hash::{DefaultHasher, Hasher};
use std::rc::Rc;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::LocalSet;
use tokio::time::{sleep, sleep_until, timeout};

/// What is not counted at the beginning: whatever warms up.
const WARM_UP: Duration = Duration::from_secs(1);
/// What is under way at the end must be there by then.
const PATIENCE: Duration = Duration::from_secs(30);
/// Bytes that are read at once, at most.
const BUFFER: usize = 64 << 10;
/// Stands before a message's number. Nothing else that is read has it.
const MARK: u8 = b'@';
const DIGITS: usize = 10;

#[derive(Debug, Parser)]
struct Options {
    /// What listens there
    system: System,
    /// The nodes, as host:port with commas between
    #[arg(value_delimiter = ',', required = true)]
    nodes: Vec<String>,
    /// How many send and read
    #[arg(long, default_value_t = 100)]
    clients: usize,
    /// For how long, after a second that is not counted
    #[arg(long = "for", default_value = "10s", value_parser = humantime::parse_duration)]
    time: Duration,
    /// So many messages a second of all clients together, instead of as many as there can be
    #[arg(long)]
    rate: Option<f64>,
    /// Bytes of a message
    #[arg(long, default_value_t = 100)]
    payload: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum System {
    Dsnode,
    Redis,
}

type Failure = Box<dyn Error>;

fn main() -> Result<(), Failure> {
    let options = Options::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(LocalSet::new().run_until(load(options)))
}

/// Of this program.
fn processor_time() -> Result<Duration, Failure> {
    let usage = getrusage(UsageWho::RUSAGE_SELF)?;
    let time = usage.user_time() + usage.system_time();
    Ok(Duration::from_micros(time.num_microseconds().try_into()?))
}

/// What is under way, and what has come everywhere.
#[derive(Default)]
struct Board {
    clients: usize,
    /// By number.
    sent: Vec<Sent>,
    open: usize,
    /// When it was everywhere, and how long after it was sent.
    done: Vec<(Instant, Duration)>,
    failure: Option<String>,
}

struct Sent {
    at: Instant,
    by: usize,
    /// So many clients have not read it.
    lacking: usize,
    /// Where its sender waits to read it.
    is_read: UnboundedSender<()>,
}

impl Board {
    fn send(&mut self, by: usize, at: Instant, is_read: UnboundedSender<()>) -> usize {
        self.open += 1;
        self.sent.push(Sent { at, by, lacking: self.clients, is_read });
        self.sent.len() - 1
    }

    /// Whether there is such a message, and this client may not have read it yet.
    fn read(&mut self, by: usize, number: usize) -> bool {
        let Some(sent) = self.sent.get_mut(number).filter(|sent| sent.lacking > 0) else { return false };
        sent.lacking -= 1;
        if sent.by == by {
            // The sender may have ended.
            let _ = sent.is_read.send(());
        }
        if sent.lacking == 0 {
            self.done.push((Instant::now(), sent.at.elapsed()));
            self.open -= 1;
        }
        true
    }
}

type Shared = Rc<RefCell<Board>>;

async fn load(options: Options) -> Result<(), Failure> {
    let Options { system, nodes, clients, time, rate, payload } = options;
    let board = Shared::default();
    board.borrow_mut().clients = clients;
    let mut ready = Vec::new();
    for client in 0..clients {
        ready.push(Client::open(system, &nodes, client, payload, &board).await?);
    }
    let begin = Instant::now() + WARM_UP;
    let end = begin + time;
    let pace = rate.map(|rate| Duration::from_secs_f64(clients as f64 / rate));
    let (mut senders, mut orders) = (Vec::new(), Vec::new());
    for (n, (client, order)) in ready.into_iter().enumerate() {
        // Evenly spread in time, too.
        let first = Instant::now() + pace.unwrap_or_default().mul_f64(n as f64 / clients as f64);
        senders.push(tokio::task::spawn_local(client.sends(first, pace, end)));
        orders.push(order);
    }
    let mut open = Vec::new();
    for sender in senders {
        open.push(sender.await??);
    }
    let late = timeout(PATIENCE, async {
        while board.borrow().open > 0 && board.borrow().failure.is_none() {
            sleep(Duration::from_millis(1)).await;
        }
    });
    let is_late = late.await.is_err();
    let board = board.borrow();
    if let Some(failure) = &board.failure {
        return Err(failure.clone().into());
    }
    if is_late {
        return Err(format!("{} of {} messages have not come to all clients", board.open, board.sent.len()).into());
    }
    let digests: Vec<u64> = orders.iter().map(|order| order.borrow().finish()).collect();
    if digests.iter().any(|digest| *digest != digests[0]) {
        return Err("not all clients read the messages in the same order".into());
    }
    let mut latencies: Vec<Duration> =
        board.done.iter().filter(|(at, _)| (begin..end).contains(at)).map(|(_, took)| *took).collect();
    latencies.sort_unstable();
    let at = |share: f64| latencies.get((latencies.len() as f64 * share) as usize).copied().unwrap_or_default();
    let milliseconds = |share: f64| at(share).as_secs_f64() * 1e3;
    let rate = latencies.len() as f64 / time.as_secs_f64();
    println!(
        "{} nodes={} clients={clients} payload={payload} messages={} rate={rate:.0}/s deliveries={:.0}/s p50={:.2}ms p99={:.2}ms \
         load={:.2}s",
        if system == System::Redis { "redis" } else { "dsnode" },
        nodes.len(),
        latencies.len(),
        rate * clients as f64,
        milliseconds(0.5),
        milliseconds(0.99),
        processor_time()?.as_secs_f64(),
    );
    Ok(())
}

/// The sending half.
struct Client {
    system: System,
    /// So many replicas of Redis must have a message.
    replicas: usize,
    number: usize,
    payload: usize,
    write: OwnedWriteHalf,
    /// Where Redis answers what was sent.
    answers: Option<BufReader<OwnedReadHalf>>,
    is_read: (UnboundedSender<()>, UnboundedReceiver<()>),
    board: Shared,
}

impl Client {
    /// A client that reads already, and what it has read.
    async fn open(
        system: System,
        nodes: &[String],
        number: usize,
        payload: usize,
        board: &Shared,
    ) -> Result<(Self, Rc<RefCell<DefaultHasher>>), Failure> {
        let order = Rc::new(RefCell::new(DefaultHasher::new()));
        let node = &nodes[number % nodes.len()];
        let (read, mut write) = connect(if system == System::Redis { &nodes[0] } else { node }).await?;
        let reader = Reader { number, board: Rc::clone(board), order: Rc::clone(&order) };
        let answers = match system {
            System::Dsnode => {
                write.write_all(b"{\"type\":\"CATCHUP_REQ\",\"after\":0}\n").await?;
                let mut read = BufReader::with_capacity(BUFFER, read);
                let mut line = String::new();
                while !line.contains("CATCHUP_RESP") {
                    line.clear();
                    if read.read_line(&mut line).await? == 0 {
                        return Err(format!("{node} closes the connection").into());
                    }
                }
                tokio::task::spawn_local(reader.lines(read));
                None
            }
            System::Redis => {
                let (follows, asks) = connect(node).await?;
                tokio::task::spawn_local(reader.stream(BufReader::with_capacity(BUFFER, follows), asks));
                Some(BufReader::new(read))
            }
        };
        Ok((
            Self {
                system,
                replicas: nodes.len() / 2,
                number,
                payload,
                write,
                answers,
                is_read: unbounded_channel(),
                board: Rc::clone(board),
            },
            order,
        ))
    }

    /// Gives itself back: as long as it is there, its connection is open, and it reads.
    async fn sends(mut self, mut due: Instant, pace: Option<Duration>, end: Instant) -> Result<Self, Failure> {
        for serial in 1.. {
            sleep_until(due.into()).await;
            if Instant::now() >= end || self.board.borrow().failure.is_some() {
                break;
            }
            let at = if pace.is_some() { due } else { Instant::now() };
            let number = self.board.borrow_mut().send(self.number, at, self.is_read.0.clone());
            let mut text = format!("{}{number:0DIGITS$}", char::from(MARK));
            text.extend(std::iter::repeat_n('x', self.payload.saturating_sub(text.len())));
            let asked = match self.system {
                System::Dsnode => format!(
                    "{{\"type\":\"CHAT\",\"sender_id\":\"load{}.{}\",\"serial\":{serial},\"payload\":\"{text}\"}}\n",
                    std::process::id(),
                    self.number
                ),
                System::Redis => {
                    let wait = match self.replicas {
                        0 => String::new(),
                        many => format!("*3\r\n$4\r\nWAIT\r\n$1\r\n{many}\r\n$1\r\n0\r\n"),
                    };
                    let length = text.len();
                    format!("*5\r\n$4\r\nXADD\r\n$4\r\nchat\r\n$1\r\n*\r\n$1\r\nm\r\n${length}\r\n{text}\r\n{wait}")
                }
            };
            self.write.write_all(asked.as_bytes()).await?;
            if let Some(answers) = &mut self.answers {
                // $.., the place, and :N of WAIT.
                let mut answer = String::new();
                answers.read_line(&mut answer).await?;
                if !answer.starts_with('$') {
                    return Err(format!("refused: {answer}").into());
                }
                for _ in 0..1 + usize::from(self.replicas > 0) {
                    answers.read_line(&mut answer).await?;
                }
            }
            match pace {
                Some(pace) => due += pace,
                None => {
                    let _ = timeout(PATIENCE, self.is_read.1.recv()).await;
                }
            }
        }
        Ok(self)
    }
}

async fn connect(node: &str) -> Result<(OwnedReadHalf, OwnedWriteHalf), Failure> {
    let stream = TcpStream::connect(node).await?;
    stream.set_nodelay(true)?;
    Ok(stream.into_split())
}

/// The reading half.
struct Reader {
    number: usize,
    board: Shared,
    order: Rc<RefCell<DefaultHasher>>,
}

impl Reader {
    async fn lines(self, mut read: BufReader<OwnedReadHalf>) {
        let mut line = Vec::new();
        while read.read_until(b'\n', &mut line).await.is_ok_and(|read| read > 0) {
            if !self.reads(&line) && !line.starts_with(b"{\"type\":\"ACKNOWLEDGED\"") {
                return self.fails(&line);
            }
            line.clear();
        }
        self.fails(b"the node closes the connection");
    }

    /// An answer is *1, *2, $4, chat, *N and N times eight lines: *2, $.., its place, *2, $1, m, $.., the text.
    async fn stream(self, mut read: BufReader<OwnedReadHalf>, mut asks: OwnedWriteHalf) {
        let (mut line, mut place) = (Vec::new(), b"0-0".to_vec());
        loop {
            let begins = format!(
                "*6\r\n$5\r\nXREAD\r\n$5\r\nBLOCK\r\n$1\r\n0\r\n$7\r\nSTREAMS\r\n$4\r\nchat\r\n${}\r\n",
                place.len()
            );
            let ask = [begins.as_bytes(), &place, b"\r\n"].concat();
            if asks.write_all(&ask).await.is_err() {
                return self.fails(b"Redis closes the connection");
            }
            let mut left = 5;
            let mut at = 0;
            while left > 0 {
                line.clear();
                if !read.read_until(b'\n', &mut line).await.is_ok_and(|read| read > 0) {
                    return self.fails(b"Redis closes the connection");
                }
                let text = line.trim_ascii_end();
                (left, at) = (left - 1, at + 1);
                let is_text = at > 5 && at % 8 == 5;
                if text.starts_with(b"-") || (is_text && !self.reads(text)) {
                    return self.fails(text);
                }
                if at == 5 {
                    left = 8 * text.strip_prefix(b"*").and_then(number).unwrap_or(0);
                } else if at > 5 && at % 8 == 0 {
                    place = text.to_vec();
                }
            }
        }
    }

    /// Whether this has a message in it.
    fn reads(&self, text: &[u8]) -> bool {
        let mark = text.iter().rposition(|&byte| byte == MARK);
        let Some(number) = mark.and_then(|at| text.get(at + 1..=at + DIGITS)).and_then(number) else { return false };
        self.order.borrow_mut().write_usize(number);
        self.board.borrow_mut().read(self.number, number)
    }

    fn fails(&self, why: &[u8]) {
        self.board.borrow_mut().failure.get_or_insert_with(|| String::from_utf8_lossy(why).into_owned());
    }
}

fn number(digits: &[u8]) -> Option<usize> {
    str::from_utf8(digits).ok()?.parse().ok()
}
