//! `chat-client`: a person's or program's way into a chat, by way of any of its nodes.

mod screen;
mod session;

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use dsbench_wire::chat::Delivery;
use dsbench_wire::{ClientId, Endpoint, RoomId, chat};
use serde::Deserialize;
use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::{Instant, interval, sleep, timeout};

use crate::emit::Escaped;
use screen::Screen;
use session::{Backoff, News, Session, Status};

const EXAMPLES: &str = "\
Examples:
  dsbench node chat-client --host 127.0.0.1 --port 5001
  dsbench node chat-client --node 127.0.0.1:5001 --node 127.0.0.1:5002 --node 127.0.0.1:5003 --name alice
  echo 'the build is green' | dsbench node chat-client --port 5001 --room ci

Type to send; /status, /nodes, /room NAME, /help and /quit are commands. Of several nodes one is used at a time; when it does not answer, the \
next one is, and after a round without success the client pauses: 2s, then half as long again each time, up to 30s. What was not acknowledged is \
kept and sent again under the same name, so that it is delivered once.

On a pipe, each line is sent, and at the end of the input the client waits for the last acknowledgement: exit code 0, or 1 when something was \
refused or had no answer within --wait. With --json, each line of input is {\"payload\":\"hi\"} or {\"room_id\":\"dev\",\"payload\":\"hi\"}, or \
{\"type\":\"STATUS\"}, and each line of output is an object: SENT, ACKNOWLEDGED, REFUSED, SEQ_CHAT, CONNECTED, DISCONNECTED, STATUS, ERROR.";

const HELP: &str = "\
/status     the node that is used, who leads, and what has no answer yet
/nodes      the nodes of the chat, and where they are
/room NAME  see and send to this room from now on; `/room` alone says which one it is
/help       this list
/quit       end (as Ctrl-C and Ctrl-D do)
What begins with no slash is sent to the room.";

/// The options of a client.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ClientArgs {
    /// A node's host, with its --port; both may be repeated
    #[arg(long, value_name = "HOST", default_value = "127.0.0.1")]
    host: Vec<String>,

    /// A node's port; the first one is at the first --host, and so on, and those left over are at the last --host
    #[arg(long, value_name = "PORT")]
    port: Vec<u16>,

    /// A node to use; may be repeated
    #[arg(long = "node", value_name = "HOST:PORT")]
    nodes: Vec<Endpoint>,

    /// The room to see and send to
    #[arg(long, value_name = "NAME", default_value = dsbench_wire::room::DEFAULT)]
    room: RoomId,

    /// What others see as the sender; something is added that tells this client's messages from an earlier one's [default: $USER]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,

    /// JSON lines in and out
    #[arg(long)]
    json: bool,

    /// How long to wait for answers after the end of the input
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = humantime::parse_duration)]
    wait: Duration,
}

#[derive(Debug, thiserror::Error)]
enum ClientError {
    #[error("no node to connect to (add --port 5001, or --node 127.0.0.1:5001)")]
    NoNode,
    #[error("more hosts than ports: {hosts} and {ports} (give each --host its --port)")]
    HostsWithoutPorts { hosts: usize, ports: usize },
    #[error("--host and --port: {0}")]
    Place(#[from] dsbench_wire::EndpointError),
    #[error("--name: {0}")]
    Name(#[from] dsbench_wire::RequestIdError),
    #[error("failed to start the client")]
    System(#[from] io::Error),
    #[error("{0} messages were not acknowledged")]
    Unanswered(usize),
    #[error("{0} messages were refused")]
    Refused(usize),
}

/// A dial that takes longer leads nowhere.
const DIAL_PATIENCE: Duration = Duration::from_secs(2);
/// So often the node is asked how things are.
const ASK_EVERY: Duration = Duration::from_secs(2);
/// A node that says nothing for so long is not there.
const SILENCE: Duration = Duration::from_secs(6);
/// So many answers without a leader, and another node is tried: this one may be cut off from it.
const LEADERLESS: u32 = 4;
/// What is shown on a terminal of what was said before.
const REMEMBERED: usize = 20;

pub(super) fn run(args: ClientArgs) -> ExitCode {
    let usage = |error: ClientError| super::fail(&error, super::USAGE);
    let nodes = match nodes(&args) {
        Ok(nodes) => nodes,
        Err(error) => return usage(error),
    };
    let name = match name(args.name.as_deref()) {
        Ok(name) => name,
        Err(error) => return usage(error),
    };
    match start(args, nodes, name) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => super::fail(&error, 1),
    }
}

fn nodes(args: &ClientArgs) -> Result<Vec<Endpoint>, ClientError> {
    let (hosts, ports) = (args.host.len(), args.port.len());
    if hosts > ports.max(1) {
        return Err(ClientError::HostsWithoutPorts { hosts, ports });
    }
    let mut nodes = Vec::new();
    for (n, port) in args.port.iter().enumerate() {
        let host = args.host.get(n).or(args.host.last()).map_or("127.0.0.1", String::as_str);
        let text = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        nodes.push(text.parse()?);
    }
    nodes.extend(args.nodes.iter().cloned());
    if nodes.is_empty() { Err(ClientError::NoNode) } else { Ok(nodes) }
}

/// Numbers begin at 1 in each life of a client: only a name of its own keeps them from being taken for an earlier life's.
fn name(given: Option<&str>) -> Result<ClientId, ClientError> {
    let user = std::env::var("USER").ok().filter(|user| user.parse::<ClientId>().is_ok());
    let given = given.map(str::to_owned).or(user).unwrap_or_else(|| "client".to_owned());
    let life = RandomState::new().hash_one(std::process::id()) as u32;
    Ok(format!("{given}.{life:08x}").parse()?)
}

fn start(args: ClientArgs, nodes: Vec<Endpoint>, name: ClientId) -> Result<(), ClientError> {
    let screen = Screen::open()?;
    let recent = screen.is_terminal().then(VecDeque::new);
    let client = Client {
        session: Session::new(name),
        room: args.room,
        json: args.json,
        wait: args.wait,
        screen,
        nodes,
        at: 0,
        status: None,
        leaderless: 0,
        recent,
        refused: 0,
        ending: None,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(client.run());
    runtime.shutdown_background();
    result
}

struct Client {
    session: Session,
    room: RoomId,
    json: bool,
    wait: Duration,
    screen: Screen,
    nodes: Vec<Endpoint>,
    /// Which of them is used, or is tried next.
    at: usize,
    status: Option<Status>,
    leaderless: u32,
    /// On a terminal, before all that was said earlier is known: the end of it.
    recent: Option<VecDeque<Delivery>>,
    refused: usize,
    /// The input has ended; until when to wait for answers.
    ending: Option<Instant>,
}

/// What goes on, or does not.
#[derive(Debug, PartialEq, Eq)]
enum Next {
    On,
    End,
}

/// Why a connection is over.
enum Over {
    Lost(String),
    End,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "SCREAMING_SNAKE_CASE")]
enum Wanted {
    Status,
    Quit,
}

#[derive(Deserialize)]
struct Told {
    #[serde(default)]
    room_id: Option<RoomId>,
    payload: String,
}

impl Client {
    async fn run(mut self) -> Result<(), ClientError> {
        self.screen.prompt(&self.prompt());
        let (mut backoff, mut failed) = (Backoff::new(), 0);
        loop {
            let node = self.nodes[self.at].clone();
            let reason = match self.dial(&node).await {
                Ok(stream) => {
                    (backoff, failed) = (Backoff::new(), 0);
                    self.notice(
                        &format!("connected to {node}"),
                        &json!({ "type": "CONNECTED", "node": node.to_string() }),
                    )?;
                    match self.talk(stream).await? {
                        Over::End => return self.ended(),
                        Over::Lost(reason) => reason,
                    }
                }
                Err(error) => {
                    failed += 1;
                    error.to_string()
                }
            };
            self.status = None;
            self.at = (self.at + 1) % self.nodes.len();
            let pause = if failed >= self.nodes.len() {
                failed = 0;
                backoff.next()
            } else {
                Duration::ZERO
            };
            let told = json!({ "type": "DISCONNECTED", "node": node.to_string(), "reason": reason, "retry_ms": pause.as_millis() as u64 });
            let next =
                if pause.is_zero() { String::new() } else { format!(", trying again in {}s", pause.as_secs_f64()) };
            self.notice(&format!("{node}: {reason}{next}"), &told)?;
            if self.pauses(pause).await? == Next::End {
                return self.ended();
            }
        }
    }

    async fn dial(&self, node: &Endpoint) -> io::Result<TcpStream> {
        let dial = TcpStream::connect((node.host(), node.port()));
        let stream =
            timeout(DIAL_PATIENCE, dial).await.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "no answer"))??;
        stream.set_nodelay(true)?;
        Ok(stream)
    }

    /// Takes what is typed while there is no connection: it is kept.
    async fn pauses(&mut self, pause: Duration) -> Result<Next, ClientError> {
        let over = sleep(pause);
        tokio::pin!(over);
        loop {
            let until = self.ending;
            tokio::select! {
                () = &mut over => return Ok(Next::On),
                () = ends(until) => return Ok(Next::End),
                line = self.screen.next(), if self.ending.is_none() => {
                    if self.typed(line)?.1 == Next::End {
                        return Ok(Next::End);
                    }
                }
            }
        }
    }

    async fn talk(&mut self, stream: TcpStream) -> Result<Over, ClientError> {
        let (read, mut write) = stream.into_split();
        let mut lines = Lines { read: BufReader::new(read), line: Vec::new() };
        let (mut ask, mut heard, mut asked_again) = (interval(ASK_EVERY), Instant::now(), 0_u32);
        let mut to_send = self.session.connected();
        self.leaderless = 0;
        loop {
            if let Err(error) = self.send(&mut write, &to_send).await {
                return Ok(Over::Lost(error.to_string()));
            }
            to_send.clear();
            if self.ending.is_some() && self.session.open() == 0 {
                return Ok(Over::End);
            }
            let until = self.ending;
            tokio::select! {
                biased;
                line = lines.next() => match line {
                    Ok(Some(line)) => {
                        heard = Instant::now();
                        self.hears(&line)?;
                        if self.leaderless >= LEADERLESS && self.nodes.len() > 1 {
                            return Ok(Over::Lost("it knows no leader".to_owned()));
                        }
                    }
                    Ok(None) => return Ok(Over::Lost("closed by the node".to_owned())),
                    Err(error) => return Ok(Over::Lost(error.to_string())),
                },
                line = self.screen.next(), if self.ending.is_none() => {
                    let (line, next) = self.typed(line)?;
                    if next == Next::End {
                        return Ok(Over::End);
                    }
                    to_send = line;
                }
                _ = ask.tick() => {
                    if heard.elapsed() >= SILENCE {
                        return Ok(Over::Lost("no answer".to_owned()));
                    }
                    to_send = Session::asks_status();
                    asked_again += 1;
                    // What was refused because the node was busy is asked for again.
                    if asked_again.is_multiple_of(3) {
                        to_send += &self.session.asks_again();
                    }
                }
                () = ends(until) => return Ok(Over::End),
            }
        }
    }

    async fn send(&mut self, write: &mut OwnedWriteHalf, lines: &str) -> io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        let late = |_| io::Error::new(io::ErrorKind::TimedOut, "it does not read");
        timeout(SILENCE, write.write_all(lines.as_bytes())).await.map_err(late)?
    }

    /// Obeys a typed line, and gives what to send.
    fn typed(&mut self, line: Option<String>) -> Result<(String, Next), ClientError> {
        let Some(line) = line else {
            self.ending = Some(Instant::now() + if self.screen.is_terminal() { Duration::ZERO } else { self.wait });
            return Ok((String::new(), Next::On));
        };
        let (send, next) = if self.json { self.programs(&line)? } else { self.persons(line.trim())? };
        if next == Next::On {
            self.screen.prompt(&self.prompt());
        }
        Ok((send, next))
    }

    fn persons(&mut self, line: &str) -> Result<(String, Next), ClientError> {
        let nothing = (String::new(), Next::On);
        let Some(command) = line.strip_prefix('/') else {
            if line.is_empty() {
                return Ok(nothing);
            }
            return Ok((self.session.says(&self.room, line).1, Next::On));
        };
        let (command, rest) = command.split_once(' ').unwrap_or((command, ""));
        let told = match (command, rest.trim()) {
            ("quit", "") => return Ok((String::new(), Next::End)),
            ("status", "") => self.told_status(),
            ("nodes", "") => self.told_nodes(),
            ("help", "") => HELP.to_owned(),
            ("room", "") => format!("room {}", self.room),
            ("room", name) => match name.parse() {
                Ok(room) => {
                    self.room = room;
                    format!("room {}", self.room)
                }
                Err(error) => format!("{error}"),
            },
            _ => format!("unknown command `{}` (there are: /status, /nodes, /room, /help, /quit)", Escaped(line)),
        };
        self.screen.show(&told)?;
        Ok(nothing)
    }

    fn programs(&mut self, line: &str) -> Result<(String, Next), ClientError> {
        match serde_json::from_str(line) {
            Ok(Wanted::Quit) => return Ok((String::new(), Next::End)),
            Ok(Wanted::Status) => {
                let status = self.told_status();
                self.tell(&json!({ "type": "STATUS", "status": status, "open": self.session.open() }))?;
                return Ok((String::new(), Next::On));
            }
            Err(_) => {}
        }
        match serde_json::from_str::<Told>(line) {
            Ok(Told { room_id, payload }) => {
                let room = room_id.unwrap_or_else(|| self.room.clone());
                let (msg, line) = self.session.says(&room, &payload);
                self.tell(&json!({ "type": "SENT", "msg": msg, "room_id": room, "payload": payload }))?;
                Ok((line, Next::On))
            }
            Err(error) => {
                self.tell(&json!({ "type": "ERROR", "reason": error.to_string() }))?;
                Ok((String::new(), Next::On))
            }
        }
    }

    fn hears(&mut self, line: &[u8]) -> Result<(), ClientError> {
        // A node that says something else is newer than this client.
        let Ok(Some(news)) = self.session.hears(line) else { return Ok(()) };
        match news {
            News::Delivered(delivery) => match &mut self.recent {
                Some(recent) => {
                    if delivery.room_id == self.room {
                        recent.push_back(delivery);
                    }
                    if recent.len() > REMEMBERED {
                        recent.pop_front();
                    }
                }
                None => self.shows(&delivery)?,
            },
            News::CaughtUp => {
                for delivery in self.recent.take().unwrap_or_default() {
                    self.shows(&delivery)?;
                }
            }
            News::Acknowledged { msg, seq_no } => {
                if self.json {
                    self.tell(&json!({ "type": "ACKNOWLEDGED", "msg": msg, "seq_no": seq_no }))?;
                } else if !self.screen.is_terminal() {
                    self.screen.show(&format!("acknowledged msg={msg} seq={seq_no}"))?;
                }
            }
            News::Refused { msg, reason } => {
                self.refused += 1;
                let told = json!({ "type": "REFUSED", "msg": msg, "reason": reason });
                self.notice(&format!("refused msg={msg} reason={reason}"), &told)?;
            }
            News::Status(status) => {
                self.leaderless = if status.leader.is_none() { self.leaderless + 1 } else { 0 };
                let leader = |status: &Status| status.leader.as_ref().map(|leader| leader.node_id);
                let is_news = self.status.as_ref().is_none_or(|known| leader(known) != leader(&status));
                let told = json!({ "type": "STATUS", "node_id": status.node_id, "leader": leader(&status), "term": status.term });
                self.status = Some(status);
                if is_news {
                    self.notice(&self.told_status(), &told)?;
                }
            }
        }
        Ok(())
    }

    fn shows(&mut self, delivery: &Delivery) -> Result<(), ClientError> {
        if self.json {
            return self.tell(&serde_json::to_value(delivery).expect("text keys and plain values only"));
        }
        if delivery.room_id == self.room {
            let Delivery { room_id, seq_no, sender_id, payload, .. } = delivery;
            let name = chat::person(sender_id);
            self.screen.show(&format!("[{room_id} #{seq_no}] {name}: {}", Escaped(payload)))?;
        }
        Ok(())
    }

    fn told_status(&self) -> String {
        let open = self.session.open();
        match &self.status {
            Some(Status { node_id, role, term, leader, .. }) => {
                let leader = leader.as_ref().map_or("none".to_owned(), |leader| leader.node_id.to_string());
                let node = &self.nodes[self.at];
                format!(
                    "node={node_id} at={node} role={} leader={leader} term={term} connection=up room={} unacknowledged={open}",
                    Escaped(role),
                    self.room
                )
            }
            None => format!("connection=down next={} room={} unacknowledged={open}", self.nodes[self.at], self.room),
        }
    }

    fn told_nodes(&self) -> String {
        let Some(Status { nodes, leader, .. }) = &self.status else { return self.told_status() };
        let leader = leader.as_ref().map(|leader| leader.node_id);
        let told: Vec<String> = (nodes.iter())
            .map(|node| {
                let leads = if leader == Some(node.node_id) { " leads" } else { "" };
                let role = node.role.as_deref().unwrap_or("member");
                format!("{} {}:{} {}{leads}", node.node_id, Escaped(&node.host), node.port, Escaped(role))
            })
            .collect();
        told.join("\n")
    }

    fn prompt(&self) -> String {
        match &self.status {
            Some(status) => format!("{}@{}> ", self.room, status.node_id),
            None => format!("{}> ", self.room),
        }
    }

    fn notice(&mut self, text: &str, told: &serde_json::Value) -> Result<(), ClientError> {
        if self.json {
            return self.tell(told);
        }
        Ok(self.screen.show(&format!("* {text}"))?)
    }

    fn tell(&mut self, told: &serde_json::Value) -> Result<(), ClientError> {
        Ok(self.screen.show(&told.to_string())?)
    }

    fn ended(self) -> Result<(), ClientError> {
        match (self.session.open(), self.refused) {
            (0, 0) => Ok(()),
            (0, refused) => Err(ClientError::Refused(refused)),
            (open, _) => Err(ClientError::Unanswered(open)),
        }
    }
}

async fn ends(until: Option<Instant>) {
    match until {
        Some(until) => tokio::time::sleep_until(until).await,
        None => std::future::pending().await,
    }
}

/// The longest line of a node: a delivery of which every byte is escaped.
const LINE_MAX: usize = 256 << 10;

struct Lines {
    read: BufReader<OwnedReadHalf>,
    line: Vec<u8>,
}

impl Lines {
    /// The next whole line. Dropping the future loses nothing.
    async fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            let found = self.read.fill_buf().await?;
            if found.is_empty() {
                return Ok(None);
            }
            let end = found.iter().position(|&byte| byte == b'\n');
            let taken = end.map_or(found.len(), |end| end + 1);
            self.line.extend_from_slice(&found[..taken]);
            self.read.consume(taken);
            if end.is_some() {
                return Ok(Some(std::mem::take(&mut self.line)));
            }
            if self.line.len() > LINE_MAX {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "it does not speak as a chat node does"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: ClientArgs,
    }

    fn used(options: &str) -> Result<Vec<String>, String> {
        let line = Line::try_parse_from(["client"].into_iter().chain(options.split_whitespace()));
        let args = line.map_err(|error| error.to_string())?.args;
        Ok(nodes(&args).map_err(|error| error.to_string())?.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn nodes_are_given_as_hosts_and_ports_or_as_addresses() {
        assert_eq!(used("--host a --port 5001").unwrap(), ["a:5001"]);
        assert_eq!(used("--port 5001 --port 5002").unwrap(), ["127.0.0.1:5001", "127.0.0.1:5002"]);
        assert_eq!(used("--host a --port 1 --host b --port 2 --node c:3").unwrap(), ["a:1", "b:2", "c:3"]);
        for (options, reason) in [
            ("", "no node to connect to"),
            ("--host a --host b --port 1", "more hosts than ports"),
            ("--port 0", "is not a port"),
            ("--node a", "not an address"),
            ("--port 1 --room a\u{7f}b", "printable"),
        ] {
            let refusal = used(options).expect_err(options);
            assert!(refusal.contains(reason), "{options}: {refusal}");
        }
    }
}
