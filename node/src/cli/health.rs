//! `health`: whether a node is well, as an exit code. For whatever starts nodes and watches over them; an image needs nothing else in it.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use serde::Deserialize;
use serde_json::Value;

use crate::emit::Escaped;

const EXAMPLES: &str = "\
Examples:
  dsbench node health --port 5001            in the chat, and knows who leads
  dsbench node health --port 5001 --alive    runs, and answers

Exit code 0 says yes, 1 says no and why. A node that is not well without --alive is waiting for others, and starting it again does not help: \
--alive is for what starts nodes again (a liveness probe), the other one for what sends clients to them (a readiness probe, a health check).";

/// The options of the question.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct HealthArgs {
    /// The node's host
    #[arg(long, value_name = "HOST", default_value = "127.0.0.1")]
    host: String,

    /// The node's port
    #[arg(long, value_name = "PORT")]
    port: u16,

    /// Be content with any answer
    #[arg(long)]
    alive: bool,

    /// How long to wait for the answer
    #[arg(long, value_name = "TIME", default_value = "2s", value_parser = humantime::parse_duration)]
    wait: Duration,
}

/// What keeps a node from being well.
#[derive(Debug, thiserror::Error)]
enum HealthError {
    #[error("failed to reach {host}:{port} (does the node run, and is that its port?)")]
    Connect { host: String, port: u16, source: io::Error },
    #[error("{host}:{port} does not answer")]
    Silent { host: String, port: u16, source: io::Error },
    #[error("{host}:{port} does not answer as a node does: {}", Escaped(said))]
    Stranger { host: String, port: u16, said: String },
    #[error("not ready: {0}")]
    Alone(String),
}

/// The part of a node's answer that the systems have in common.
#[derive(Debug, Deserialize)]
struct Status {
    role: String,
    term: u64,
    /// A name, or a place with a name.
    leader: Value,
}

/// Nodes answer in less.
const ANSWER_MAX: u64 = 256 << 10;

pub(super) fn run(args: &HealthArgs) -> ExitCode {
    match well(args) {
        Ok(told) => {
            // The exit code says the same.
            let _ = writeln!(io::stdout(), "{told}");
            ExitCode::SUCCESS
        }
        Err(error) => super::fail(&error, 1),
    }
}

fn well(args: &HealthArgs) -> Result<String, HealthError> {
    let HealthArgs { host, port, alive, wait } = args;
    let (host, port) = (host.clone(), *port);
    let until = Instant::now() + *wait;
    let stream = match dial(&host, port, until) {
        Ok(stream) => stream,
        Err(source) => return Err(HealthError::Connect { host, port, source }),
    };
    let said = match ask(stream, until) {
        Ok(said) => said,
        Err(source) => return Err(HealthError::Silent { host, port, source }),
    };
    let Ok(Status { role, term, leader }) = serde_json::from_str(&said) else {
        return Err(HealthError::Stranger { host, port, said: said.trim().chars().take(200).collect() });
    };
    let name = if leader.is_object() { &leader["node_id"] } else { &leader };
    let name = name.as_str().map_or_else(|| name.to_string(), str::to_owned);
    let told = format!("role={} leader={} term={term}", Escaped(&role), Escaped(&name));
    if leader.is_null() && !alive { Err(HealthError::Alone(told)) } else { Ok(told) }
}

fn dial(host: &str, port: u16, until: Instant) -> io::Result<TcpStream> {
    let mut failure = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, left(until)?) {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

/// One line, within the time that is left for all of it.
fn ask(mut stream: TcpStream, until: Instant) -> io::Result<String> {
    stream.write_all(b"{\"type\":\"STATUS\"}\n")?;
    let mut read = BufReader::new(stream).take(ANSWER_MAX);
    let mut line = Vec::new();
    while line.last() != Some(&b'\n') {
        read.get_ref().get_ref().set_read_timeout(Some(left(until)?))?;
        let found = read.fill_buf()?;
        if found.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let taken = found.iter().position(|&byte| byte == b'\n').map_or(found.len(), |end| end + 1);
        line.extend_from_slice(&found[..taken]);
        read.consume(taken);
    }
    Ok(String::from_utf8_lossy(&line).into_owned())
}

fn left(until: Instant) -> io::Result<Duration> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    /// What is said of a program that answers so; with `alive`, and without.
    fn told(answer: &'static str, alive: bool) -> Result<String, String> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let node = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut asked = String::new();
            BufReader::new(&stream).read_line(&mut asked).unwrap();
            assert_eq!(asked, "{\"type\":\"STATUS\"}\n");
            for part in answer.as_bytes().chunks(7) {
                stream.write_all(part).unwrap();
            }
        });
        let args = HealthArgs { host: "127.0.0.1".to_owned(), port, alive, wait: Duration::from_secs(30) };
        let told = well(&args).map_err(|error| error.to_string());
        node.join().unwrap();
        told
    }

    const WAITS: &str = "{\"type\":\"STATUS\",\"node_id\":1,\"role\":\"electing\",\"term\":4,\"leader\":null}\n";

    #[test]
    fn a_node_that_knows_who_leads_is_ready_in_every_system() {
        let chat = "{\"type\":\"STATUS\",\"node_id\":1,\"role\":\"follower\",\"term\":4,\"leader\":{\"node_id\":3,\"host\":\"a\",\"port\":1}}\n";
        assert_eq!(told(chat, false).unwrap(), "role=follower leader=3 term=4");
        let sensor = "{\"type\":\"STATUS\",\"id\":\"n1\",\"role\":\"leader\",\"term\":2,\"leader\":\"n1\"}\n";
        assert_eq!(told(sensor, false).unwrap(), "role=leader leader=n1 term=2");
    }

    #[test]
    fn a_node_without_a_leader_is_alive_and_not_ready() {
        assert_eq!(told(WAITS, false).unwrap_err(), "not ready: role=electing leader=null term=4");
        assert_eq!(told(WAITS, true).unwrap(), "role=electing leader=null term=4");
    }

    #[test]
    fn what_is_no_node_is_neither() {
        assert!(told("HTTP/1.1 400 Bad Request\r\n", true).unwrap_err().contains("does not answer as a node does"));
        assert!(told("", true).unwrap_err().contains("does not answer"));
        let gone = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let args = HealthArgs { host: "127.0.0.1".to_owned(), port: gone, alive: true, wait: Duration::from_secs(30) };
        assert!(well(&args).unwrap_err().to_string().contains("failed to reach"));
    }

    #[test]
    fn a_node_that_accepts_and_says_nothing_is_not_waited_for() {
        let stopped = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = stopped.local_addr().unwrap().port();
        let args = HealthArgs { host: "127.0.0.1".to_owned(), port, alive: true, wait: Duration::from_millis(50) };
        assert!(well(&args).unwrap_err().to_string().contains("does not answer"));
    }
}
