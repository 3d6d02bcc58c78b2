//! `chat` and `p2p`: a node of the chat, from its configuration to its end. A peer is a node with its person at it.

mod config;
mod console;
mod person;
mod scan;

use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use dsbench_protocol::{Chat, Config, ConfigError, Founding, Quorum};
use dsbench_wire::Endpoint;
use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::Rng;

use crate::emit::Log;
use crate::messages::{MessageLog, MessageLogError};
use crate::runtime::{self, Ground, RuntimeError};
use crate::storage::{Opened, Storage, StorageError};
use crate::terminal::Terminal;
use crate::transport::{self, ChatLines, Datagrams, ListenError, Multicast, Setup, Transport};
use config::{ConfigFile, Knobs, Settings, SettingsError, Unseeded};
use console::ChatConsole;
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
bootstrap, expect; each is also an option, which goes first.

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

/// The last lines of the log may take this long.
const FLUSH_PATIENCE: Duration = Duration::from_millis(500);
/// Entries that stay in the record log although a checkpoint covers them, for nodes that were away.
const RETAIN: u64 = 10_000;

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
    let opened = Storage::open(&directory, &settings.me, RETAIN).map_err(|error| match error {
        StorageError::InUse { directory, holder } => ChatError::Twice { name: name.clone(), directory, holder },
        other => ChatError::Storage(other),
    })?;
    let Person { terminal, log, screen } = Person::of(role, &settings.me, &settings.log_dir)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let messages = settings.log_dir.join(format!("{name}.jsonl"));
    let result = runtime.block_on(node(settings, (role, range), opened, &messages, terminal, (&log, screen.as_ref())));
    // A look-up of a host name that is still under way must not hold up the exit.
    runtime.shutdown_background();
    if let Err(error) = &result {
        log.error(format_args!("stops: {error}"));
    }
    log.close(FLUSH_PATIENCE);
    if let Some(screen) = screen {
        screen.close(FLUSH_PATIENCE);
    }
    result
}

async fn node(
    settings: Settings,
    (role, range): (Role, Option<PortRange>),
    opened: Opened,
    path: &Path,
    mut terminal: Terminal,
    (log, screen): (&Log, Option<&Log>),
) -> Result<(), ChatError> {
    let Settings { me, mut config, listen, advertise, .. } = settings;
    let Opened { storage, archive, mut recovered, torn } = opened;
    if let Some(torn) = torn {
        log.warn(format_args!("a record was half-written when this node last died, it is cut off: {torn}"));
    }
    let is_classroom = config.quorum == Quorum::None;
    let (messages, cut) = MessageLog::open(path, is_classroom)?;
    if cut > 0 {
        log.warn(format_args!("a message was half-written when this node last died, it is written again bytes={cut}"));
    }
    let oldest = recovered.snapshot.as_ref().map_or(0, |snapshot| snapshot.at.index);
    if messages.last() < oldest.min(recovered.applied) && !is_classroom {
        log.warn(format_args!(
            "the message log ends at index={}, and the records begin after index={oldest}: messages between are in other nodes' logs",
            messages.last()
        ));
    }
    // What the file lacks is told again: a power failure may have taken its end.
    recovered.applied = recovered.applied.min(messages.last());
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
    let setup = Setup {
        listener,
        me: me.clone(),
        advertise: advertise.clone(),
        heartbeat: config.heartbeat_interval,
        dialect: Arc::new(ChatLines { me: me.clone(), place: advertise.clone(), feed: messages.feed() }),
        datagrams: Datagrams {
            cluster: "chat".to_owned(),
            broadcast_port: None,
            multicast: Multicast::Off,
            multicast_loss: 0.0,
        },
        // Its own: what the transport draws must not change what the core draws.
        rng: Pcg64Mcg::new((u128::from(rng.next_u64()) << 64) | u128::from(rng.next_u64())),
    };
    let transport = Transport::start(setup, log).await.map_err(ChatError::Listen)?;
    let elsewhere = if advertise == listen { String::new() } else { format!(" advertise={advertise}") };
    log.info(format_args!(
        "listening on {} {}{elsewhere} messages={}",
        transport.local(),
        told(&config),
        path.display()
    ));
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
    let console = ChatConsole::new((me.clone(), advertise), role, messages, log.clone(), screen.cloned());
    let process = Chat::new(config)?;
    let ground = Ground { me, rng, storage, archive, transport, terminal, log: log.clone(), readings: None };
    runtime::run(process, recovered, console, ground).await?;
    Ok(())
}

/// What the first line of the log says of the configuration.
fn told(config: &Config) -> String {
    let Config { quorum, takeover, founding, .. } = config;
    let how = match founding {
        Founding::Members(_) => "members".to_owned(),
        Founding::Expect(nodes) => format!("expect={nodes}"),
        Founding::Bootstrap => "bootstrap".to_owned(),
        Founding::Join => "joins".to_owned(),
    };
    format!("quorum={quorum} takeover={takeover} {how}")
}

fn randomness() -> Pcg64Mcg {
    let half = || u128::from(RandomState::new().hash_one(std::process::id()));
    Pcg64Mcg::new(half() << 64 | half())
}
