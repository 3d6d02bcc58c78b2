//! Load on a cluster: so many clients, each with one open request, and what that gives in messages per second and latency.
//!
//! The same client drives a sensor network and etcd (through its JSON gateway, `/v3/kv/put`), so that the two can be compared:
//!
//! ```console
//! $ cargo run --release -p dsbench-node --example load -- dsnode 127.0.0.1:7001 --clients 64 --for 10s
//! $ cargo run --release -p dsbench-node --example load -- etcd 127.0.0.1:2379 --clients 64 --for 10s
//! ```
//!
//! Any node may be named: the leader is asked for, and gets the load.

use std::error::Error;
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

/// What is not counted at the beginning: connections, and whatever warms up.
const WARM_UP: Duration = Duration::from_secs(1);

#[derive(Debug, Parser)]
struct Options {
    /// What listens there
    system: System,
    /// Any nodes, as host:port with commas between
    #[arg(value_delimiter = ',', required = true)]
    nodes: Vec<String>,
    /// How many connections, each with one open request
    #[arg(long, default_value_t = 64)]
    clients: usize,
    /// For how long, after a second that is not counted
    #[arg(long = "for", default_value = "10s", value_parser = humantime::parse_duration)]
    time: Duration,
    /// No more than so many messages in all, those of the first second among them
    #[arg(long)]
    messages: Option<u64>,
    /// Bytes of a message
    #[arg(long, default_value_t = 100)]
    payload: usize,
    /// Send everything to the first node named, whoever leads
    #[arg(long)]
    here: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum System {
    Dsnode,
    Etcd,
}

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let options = Options::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(load(options))
}

async fn load(options: Options) -> Result<(), Failure> {
    let Options { system, nodes, clients, time, messages, payload, here } = options;
    let leader = if here { nodes[0].clone() } else { leader(system, &nodes).await? };
    let run = std::process::id();
    let begin = Instant::now() + WARM_UP;
    let end = begin + time;
    let tasks: Vec<_> = (0..clients)
        .map(|client| {
            let (node, text) = (leader.clone(), "x".repeat(payload));
            let (count, index) = (clients as u64, client as u64);
            let most = messages.map_or(u64::MAX, |all| all / count + u64::from(index < all % count));
            tokio::spawn(async move {
                let mut connection = Connection::open(&node).await?;
                let mut latencies = Vec::new();
                for serial in 1..=most {
                    let asked = Instant::now();
                    if asked >= end {
                        break;
                    }
                    connection.put(system, &format!("load{run}.{client}"), serial, &text).await?;
                    if asked >= begin {
                        latencies.push(asked.elapsed());
                    }
                }
                Ok::<_, Failure>(latencies)
            })
        })
        .collect();
    let mut latencies = Vec::new();
    let mut failed = 0;
    for task in tasks {
        match task.await? {
            Ok(of_one) => latencies.extend(of_one),
            Err(error) => {
                failed += 1;
                eprintln!("a client failed: {error}");
            }
        }
    }
    let counted = end.min(Instant::now()).saturating_duration_since(begin).max(Duration::from_millis(1));
    latencies.sort_unstable();
    let at = |share: f64| latencies.get((latencies.len() as f64 * share) as usize).copied().unwrap_or_default();
    let milliseconds = |share: f64| at(share).as_secs_f64() * 1e3;
    println!(
        "{} leader={leader} clients={clients} payload={payload} messages={} rate={:.0}/s p50={:.2}ms p99={:.2}ms failed={failed}",
        if system == System::Etcd { "etcd" } else { "dsnode" },
        latencies.len(),
        latencies.len() as f64 / counted.as_secs_f64(),
        milliseconds(0.5),
        milliseconds(0.99),
    );
    if failed > 0 { Err("some clients failed".into()) } else { Ok(()) }
}

/// Asks the nodes in turn who leads.
async fn leader(system: System, nodes: &[String]) -> Result<String, Failure> {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        for node in nodes {
            let Ok(mut connection) = Connection::open(node).await else { continue };
            let answer = match system {
                System::Dsnode => {
                    connection.line(&json!({"type": "STATUS"})).await?["endpoint"].as_str().map(str::to_owned)
                }
                System::Etcd => {
                    let status = connection.post("/v3/maintenance/status", &json!({})).await?;
                    let leads = status["leader"].is_string() && status["leader"] == status["header"]["member_id"];
                    leads.then(|| node.clone())
                }
            };
            if let Some(leader) = answer {
                return Ok(leader);
            }
        }
        if Instant::now() > deadline {
            return Err("no node names a leader".into());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

struct Connection {
    node: String,
    stream: BufReader<TcpStream>,
    text: String,
}

impl Connection {
    async fn open(node: &str) -> Result<Self, Failure> {
        let stream = TcpStream::connect(node).await?;
        stream.set_nodelay(true)?;
        Ok(Self { node: node.to_owned(), stream: BufReader::new(stream), text: String::new() })
    }

    /// Returns when it is done, durably and at a majority.
    async fn put(&mut self, system: System, client: &str, serial: u64, payload: &str) -> Result<(), Failure> {
        let (answer, is_done) = match system {
            System::Dsnode => {
                let request =
                    json!({"type": "SEQUENCER_REQUEST", "msg": format!("{client}/{serial}"), "payload": payload});
                let answer = self.line(&request).await?;
                let is_done = answer["type"] == "ACKNOWLEDGED";
                (answer, is_done)
            }
            System::Etcd => {
                let request = json!({"key": base64(client.as_bytes()), "value": base64(payload.as_bytes())});
                let answer = self.post("/v3/kv/put", &request).await?;
                let is_done = answer["header"]["revision"].is_string();
                (answer, is_done)
            }
        };
        if is_done { Ok(()) } else { Err(format!("refused: {answer}").into()) }
    }

    async fn line(&mut self, request: &Value) -> Result<Value, Failure> {
        self.stream.write_all(format!("{request}\n").as_bytes()).await?;
        self.read_line().await?;
        Ok(serde_json::from_str(&self.text)?)
    }

    async fn post(&mut self, path: &str, request: &Value) -> Result<Value, Failure> {
        let body = request.to_string();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.node,
            body.len()
        );
        self.stream.write_all(request.as_bytes()).await?;
        self.read_line().await?;
        if !self.text.starts_with("HTTP/1.1 200") {
            return Err(format!("answered {}", self.text).into());
        }
        let (mut length, mut chunked) = (0, false);
        loop {
            self.read_line().await?;
            if self.text.is_empty() {
                break;
            }
            let header = self.text.to_ascii_lowercase();
            if let Some(value) = header.strip_prefix("content-length:") {
                length = value.trim().parse()?;
            }
            chunked |= header.starts_with("transfer-encoding:") && header.contains("chunked");
        }
        let mut body = Vec::new();
        loop {
            if chunked {
                self.read_line().await?;
                length = usize::from_str_radix(&self.text, 16)?;
            }
            let from = body.len();
            body.resize(from + length, 0);
            self.stream.read_exact(&mut body[from..]).await?;
            if chunked {
                self.read_line().await?;
            }
            if !chunked || length == 0 {
                return Ok(serde_json::from_slice(&body)?);
            }
        }
    }

    /// The next line without its end, in `text`.
    async fn read_line(&mut self) -> Result<(), Failure> {
        self.text.clear();
        if self.stream.read_line(&mut self.text).await? == 0 {
            return Err("the connection was closed".into());
        }
        self.text.truncate(self.text.trim_end().len());
        Ok(())
    }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let bits = three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
        for digit in 0..4 {
            let is_there = digit <= three.len();
            let index = (bits >> (18 - 6 * digit)) & 63;
            text.push(if is_there { char::from(DIGITS[index as usize]) } else { '=' });
        }
    }
    text
}
