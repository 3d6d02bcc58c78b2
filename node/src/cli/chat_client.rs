//! `chat-client`: a person's or program's way into a chat, by way of any of its nodes.

mod asked;
mod client;
mod connection;
mod screen;
mod session;
mod told;

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use dsbench_wire::{ClientId, Endpoint, RoomId};

use asked::Style;
use client::Client;
use screen::Screen;

const EXAMPLES: &str = "\
Examples:
  dsbench node chat-client --host 127.0.0.1 --port 5001
  dsbench node chat-client --node 127.0.0.1:5001 --node 127.0.0.1:5002 --name alice
  echo 'the build is green' | dsbench node chat-client --port 5001 --room ci

Type to send; /status, /nodes, /room NAME, /help and /quit are commands. Of several nodes one is used at a time; when it does not answer, the \
next one is tried, and after a round without success the client pauses: 2s, then half as long again each time, up to 30s. What was not acknowledged is \
kept and sent again under the same name, so that it is delivered once. A message has at most 32703 bytes.

On a pipe, each line is sent, and at the end of the input the client waits for the last acknowledgement. Exit code 0: all was delivered. 1: \
something was refused, may be delivered or not (`unknown`), or had no answer within --wait.

With --json, input and output are lines of JSON. Input:
  {\"payload\":\"hi\"}                        send to --room; with \"room_id\":\"dev\" to another one
  {\"type\":\"STATUS\"}, {\"type\":\"NODES\"}   ask how things are, or who is there
  {\"type\":\"QUIT\"}                         end at once
Output, each with its \"type\":
  SENT          msg, room_id, payload   taken, under this name; names are in the order of the lines
  ACKNOWLEDGED  msg, seq_no             it is delivered, and stays so
  REFUSED       msg, reason             it is not delivered, and will not be
  UNKNOWN       msg, reason             it may be delivered or not
  SEQ_CHAT      sender_id, term, msg_id, seq_no, room_id, index, view, serial, payload
                                        delivered, whoever sent it, in the one order
  MISSING       after, index            messages between these places are lost to the node
  CONNECTED     node                    to this one; it has said that it is one of a chat
  LEADER        node_id, leader, term   who leads, as node_id knows (null: nobody), once and anew
  DISCONNECTED  node, reason, retry_ms  and until when the next node is tried
  STATUS        connection, node, node_id, role, leader, term, room_id, unacknowledged
  NODES         nodes                   each with node_id, host, port, role
  ERROR         reason                  a line of input that makes no sense; it was not sent

With --workload, it is the program of a workload's client (docs/machines.md): `client = [\"{node}\", \"chat-client\", \"--workload\"]`. Each operation sends its \
value; ok has its sequence number, fail was refused, info is unknown. Without --node and --port it uses DSBENCH_TARGET_ADDR.";

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

    /// Perform the operations of a workload
    #[arg(long, conflicts_with = "json")]
    workload: bool,

    /// How long to wait for answers after the end of the input
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = humantime::parse_duration)]
    wait: Duration,
}

#[derive(Debug, thiserror::Error)]
enum ClientError {
    #[error("no node to connect to (add --port 5001, or --node 127.0.0.1:5001)")]
    NoNode,
    #[error("DSBENCH_TARGET_ADDR: {0}")]
    Target(dsbench_wire::EndpointError),
    #[error("more hosts than ports: {hosts} and {ports} (give each --host its --port)")]
    HostsWithoutPorts { hosts: usize, ports: usize },
    #[error("--host and --port: {0}")]
    Place(#[from] dsbench_wire::EndpointError),
    #[error("--name: {0}")]
    Name(#[from] dsbench_wire::RequestIdError),
    #[error("failed to start the client")]
    System(#[from] io::Error),
    #[error("failed to show what happens (does anybody read it?)")]
    Show(#[source] io::Error),
    #[error("{0}")]
    NotAll(NotAll),
}

/// Messages of which it is not true that they were delivered.
#[derive(Debug, Default)]
struct NotAll {
    unanswered: usize,
    refused: usize,
    unknown: usize,
}

impl std::fmt::Display for NotAll {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let counts = [
            (self.unanswered, "not acknowledged"),
            (self.refused, "refused"),
            (self.unknown, "unknown (delivered or not)"),
        ];
        let told = counts.into_iter().filter(|(count, _)| *count > 0).map(|(count, what)| {
            let messages = if count == 1 { "message" } else { "messages" };
            format!("{count} {messages} {what}")
        });
        f.write_str(&told.collect::<Vec<_>>().join(", "))
    }
}

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
    if nodes.is_empty()
        && args.workload
        && let Ok(target) = std::env::var("DSBENCH_TARGET_ADDR")
    {
        nodes.push(target.parse().map_err(ClientError::Target)?);
    }
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
    let style = match (args.json, args.workload) {
        (true, _) => Style::Json,
        (_, true) => Style::Workload,
        _ => Style::Person,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(async {
        let screen = Screen::open()?;
        Client::new((name, args.room), nodes, style, args.wait, screen).run().await
    });
    runtime.shutdown_background();
    result
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
