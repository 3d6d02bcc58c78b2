//! `chat` and `p2p`: a node of the chat, from its configuration to its end. A peer is a node with its person at it.

mod config;
mod console;
mod fill;
mod keeping;
mod person;
mod scan;

use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use dsbench_protocol::{Archive, Chat, Config, ConfigError, Founding, Quorum};
use dsbench_wire::{Content, Endpoint, Recovered};
use rand_pcg::Pcg64Mcg;

use super::life::{self, FLUSH_PATIENCE, Wiring};
use crate::emit::Log;
use crate::messages::{MessageLog, MessageLogError};
use crate::runtime::{self, Beside, Ground, RuntimeError};
use crate::storage::{Opened, Storage, StorageError};
use crate::terminal::Terminal;
use crate::transport::{self, ChatLines, Datagrams, ListenError, Multicast};
use config::{ConfigFile, Knobs, Settings, SettingsError, Unseeded};
use console::ChatConsole;
use keeping::Keeper;
use person::Person;
use scan::{Looked, PortRange, Scan, ScanError};

const EXAMPLES: &str = "\
Examples:
  Three terminals, one of the commands in each, from the root of the repository:

    dsbench node chat --config node/configs/chat-node1.toml
    dsbench node chat --config node/configs/chat-node2.toml
    dsbench node chat --config node/configs/chat-node3.toml

  and a fourth to chat:

    dsbench node chat-client --node 127.0.0.1:5001 --node 127.0.0.1:5002 --node 127.0.0.1:5003

The chat is founded when all nodes that list each other in seed_nodes have met. A node that lists others later joins them. Keys of the file: \
node_id, host, port, seed_nodes, advertise, heartbeat_interval_ms, leader_timeout_ms, election_timeout_ms, log_dir, quorum, takeover, \
bootstrap, expect, checkpoint_every, retain; each is also an option, which goes first.

On a terminal or a pipe, stdin takes commands (`help` lists them); its end leaves gracefully, as Ctrl-C and SIGTERM do.";

const PEER_EXAMPLES: &str = "\
Examples:
  The first peer founds the chat; the others join it by way of any peer that is in it:

    dsbench node p2p --id 1 --port 6001
    dsbench node p2p --id 2 --port 6002 --seed 1:127.0.0.1:6001
    dsbench node p2p --id 3 --port 6003 --seed 1:127.0.0.1:6001

  The same without knowing where the others are: their ports are tried.

    dsbench node p2p --id 4 --port 6004 --port-range 6001-6010

Type to send; /status, /nodes, /room NAME and /quit are commands. Of two peers that are both started without --seed, each founds a chat of \
its own, and the two never become one: start one of them again with --seed and an empty --log-dir. On a terminal, what is chatted is on the \
screen and the log of events in LOG_DIR/peerID.log; on a pipe, all is on standard output.";

/// The options of a chat node.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ChatArgs {
    /// The configuration, a TOML file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// This node's id: a number. Of the nodes that are alive, the highest stands for election first
    #[arg(long = "id", value_name = "NUMBER")]
    node_id: Option<u64>,

    #[command(flatten)]
    knobs: Knobs,
}

/// The options of a chat peer.
#[derive(Debug, Args)]
#[command(after_help = PEER_EXAMPLES)]
pub struct P2pArgs {
    /// This peer's id: a number. Of the peers that are alive, the highest stands for election first
    #[arg(long, value_name = "NUMBER")]
    id: u64,

    /// Ports of --host to try for peers that are in the chat, as first-last
    #[arg(long, value_name = "FIRST-LAST")]
    port_range: Option<PortRange>,

    #[command(flatten)]
    knobs: Knobs,
}

/// Who sits at a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    /// Perhaps an operator.
    Node,
    /// A person who chats.
    Peer,
}

impl Role {
    /// What its files are called.
    fn name(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Peer => "peer",
        }
    }
}

/// What keeps a node from starting, or stops it.
#[derive(Debug, thiserror::Error)]
enum ChatError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error("{name} runs already: {} is in use{holder} (stop that one, or choose another log_dir)", directory.display())]
    Twice { name: String, directory: PathBuf, holder: String },
    #[error(transparent)]
    Storage(StorageError),
    #[error(transparent)]
    Messages(#[from] MessageLogError),
    #[error("failed to listen on {address}: port {} is already in use (stop the program that holds it, which \
        `ss -ltnp 'sport = :{}'` shows, or choose another port: --port, or port in the configuration)", address.port(), address.port())]
    InUse { address: Endpoint },
    #[error(transparent)]
    Listen(ListenError),
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    #[error(transparent)]
    Scan(#[from] ScanError),
    #[error("failed to start the node")]
    System(#[from] std::io::Error),
}

/// Read at once from the records, in bytes.
const ENTRIES_AT_ONCE: usize = 64 << 10;

pub(super) fn run(args: ChatArgs) -> ExitCode {
    let ChatArgs { config, node_id, knobs } = args;
    let file = config.map_or_else(|| Ok(ConfigFile::default()), |path| ConfigFile::read(&path));
    let settings = file.and_then(|file| file.with(node_id, knobs).settings("0.0.0.0", Unseeded::Refused));
    live(settings, Role::Node, None)
}

pub(super) fn run_peer(args: P2pArgs) -> ExitCode {
    let P2pArgs { id, port_range, knobs } = args;
    let unseeded = if port_range.is_some() { Unseeded::Joins } else { Unseeded::Founds };
    let settings = ConfigFile::default().with(Some(id), knobs).settings("127.0.0.1", unseeded);
    live(settings, Role::Peer, port_range)
}

fn live(settings: Result<Settings, SettingsError>, role: Role, range: Option<PortRange>) -> ExitCode {
    let settings = match settings {
        Ok(settings) => settings,
        Err(error) => return super::fail(&error, super::USAGE),
    };
    match start(settings, role, range) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => super::fail(&error, 1),
    }
}

fn start(settings: Settings, role: Role, range: Option<PortRange>) -> Result<(), ChatError> {
    let name = format!("{}{}", role.name(), settings.me);
    let directory = settings.log_dir.join(&name);
    let opened = Storage::open(&directory, &settings.me, settings.retain).map_err(|error| match error {
        StorageError::InUse { directory, holder } => ChatError::Twice { name: name.clone(), directory, holder },
        other => ChatError::Storage(other),
    })?;
    let Person { terminal, log, screen } = Person::of(role, &settings.me, &settings.log_dir)?;
    let paths = (settings.log_dir.join(format!("{name}.jsonl")), directory);
    let result = life::live(&log, node(settings, (role, range), opened, paths, terminal, (&log, screen.as_ref())));
    if let Some(screen) = screen {
        screen.close(FLUSH_PATIENCE);
    }
    result
}

async fn node(
    settings: Settings,
    (role, range): (Role, Option<PortRange>),
    opened: Opened,
    (path, directory): (PathBuf, PathBuf),
    mut terminal: Terminal,
    (log, screen): (&Log, Option<&Log>),
) -> Result<(), ChatError> {
    let Settings { me, mut config, listen, advertise, .. } = settings;
    let Opened { storage, archive, mut recovered, torn } = opened;
    if let Some(torn) = torn {
        log.warn(format_args!("a record was half-written when this node last died, it is cut off: {torn}"));
    }
    let (messages, found) = MessageLog::open(&path, &directory, config.quorum, recovered.is_new())?;
    if found.cut > 0 {
        log.warn(format_args!(
            "messages were half-written when this node last died, they are written again bytes={}",
            found.cut
        ));
    }
    let is_classroom = config.quorum == Quorum::None;
    if !is_classroom {
        recovered.applied = told_upto(&recovered, &messages, &archive);
    }
    let listener = transport::listen(&listen).await.map_err(|error| match error {
        ListenError::InUse { address, .. } => ChatError::InUse { address },
        other => ChatError::Listen(other),
    })?;
    if let Some(range) = range {
        let is_settled = !recovered.is_new() || !config.contacts.is_empty();
        let scan = Scan { me: &me, listen: &listen, range, is_settled, log, screen };
        match scan.run(&mut terminal).await? {
            Looked::Found(peers) => config.contacts.extend(peers),
            Looked::Left => return Ok(()),
        }
    }
    let mut rng = randomness();
    let wiring = Wiring {
        listener,
        me: me.clone(),
        listen,
        advertise: advertise.clone(),
        heartbeat: config.heartbeat_interval,
        dialect: Arc::new(ChatLines { me: me.clone(), place: advertise.clone(), feed: messages.feed() }),
        datagrams: Datagrams {
            cluster: "chat".to_owned(),
            broadcast_port: None,
            multicast: Multicast::Off,
            multicast_loss: 0.0,
        },
    };
    let how = format!("{} messages={}", told(&config), path.display());
    let transport = wiring.start(&mut rng, &how, log).await.map_err(ChatError::Listen)?;
    if role == Role::Peer && recovered.is_new() && config.founding == Founding::Bootstrap {
        let begins = format!(
            "without --seed, this peer begins a chat of its own: others join it with --seed {me}:{advertise} (a peer that was also \
             started without is in another chat, for ever)"
        );
        log.info(&begins);
        if let Some(screen) = screen {
            screen.answer(format_args!("* {begins}"));
        }
    }
    if let Some(screen) = screen {
        screen.answer("* type to send; /help lists the commands");
    }
    let beside = Some(messages.durable() as Arc<dyn Beside>);
    let keeper = Keeper::new(messages, is_classroom, log.clone(), screen.cloned());
    let console = ChatConsole::new((me.clone(), advertise), role, keeper, log.clone(), screen.cloned());
    let process = Chat::new(config)?;
    let ground = Ground { me, rng, storage, beside, archive, transport, terminal, log: log.clone(), readings: None };
    runtime::run(process, recovered, console, ground).await?;
    Ok(())
}

/// Up to where deliveries need not be told again: not beyond a message that the message log lacks, and beyond all that it has.
fn told_upto(recovered: &Recovered, messages: &MessageLog, archive: &impl Archive) -> u64 {
    let covered = recovered.snapshot.as_ref().map_or(0, |snapshot| snapshot.at.index);
    if messages.upto() < covered {
        // The records do not have what is missing any more, and the core says that a snapshot has skipped it.
        return recovered.applied.min(messages.upto());
    }
    // Nothing is covered before it was told, and that it was may stand in a record that was not made yet.
    let applied = recovered.applied.max(covered);
    let mut next = messages.last().max(covered) + 1;
    while next <= applied {
        let entries = archive.entries(next, ENTRIES_AT_ONCE);
        let Some(last) = entries.last().map(|entry| entry.index) else { break };
        let mut messages = entries.iter().filter(|entry| matches!(entry.content, Content::Command { .. }));
        if let Some(lacks) = messages.next().filter(|entry| entry.index <= applied) {
            return lacks.index - 1;
        }
        next = last + 1;
    }
    applied
}

/// What the first line of the log says of the configuration.
fn told(config: &Config) -> String {
    let Config { quorum, takeover, founding, .. } = config;
    let how = match founding {
        Founding::Members(_) => "members".to_owned(),
        Founding::Expect(nodes) => format!("expect={nodes}"),
        Founding::Together(others) => format!("together={}", others.len() + 1),
        Founding::Bootstrap => "bootstrap".to_owned(),
        Founding::Join => "joins".to_owned(),
    };
    format!("quorum={quorum} takeover={takeover} {how}")
}

fn randomness() -> Pcg64Mcg {
    let half = || u128::from(RandomState::new().hash_one(std::process::id()));
    Pcg64Mcg::new(half() << 64 | half())
}
