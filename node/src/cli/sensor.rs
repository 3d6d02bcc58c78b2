//! `sensor`: a peer of the sensor network, from its options to its end.

mod console;
mod options;

use std::collections::BTreeSet;
use std::io::IsTerminal;
use std::process::ExitCode;
use std::time::Duration;

use dsbench_protocol::{ConfigError, Sensor};

use crate::emit::Log;
use crate::runtime::{self, Ground, RuntimeError};
use crate::storage::{StateFile, StorageError};
use crate::terminal::{Stdin, Terminal};
use crate::transport::{self, ListenError, Transport};
use console::SensorConsole;
pub use options::SensorArgs;
use options::Settings;

/// What keeps a node from starting, or stops it.
#[derive(Debug, thiserror::Error)]
enum SensorError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Storage(#[from] StorageError),
    #[error(transparent)]
    Listen(#[from] ListenError),
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    #[error("failed to start the node")]
    System(#[from] std::io::Error),
}

/// The last lines of the log may take this long.
const FLUSH_PATIENCE: Duration = Duration::from_millis(500);

pub(super) fn run(args: SensorArgs) -> ExitCode {
    let settings = match args.settings() {
        Ok(settings) => settings,
        Err(error) => return super::fail(&error, super::USAGE),
    };
    match start(settings) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => super::fail(&error, 1),
    }
}

fn start(settings: Settings) -> Result<(), SensorError> {
    let stdin = Stdin::of_this_process();
    let with_prompt = stdin == Stdin::Terminal && std::io::stdout().is_terminal();
    let prompt = with_prompt.then(|| format!("{}> ", settings.me));
    let log = Log::stdout(settings.me.clone(), prompt)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(live(settings, stdin, &log));
    // A look-up of a host name that is still under way must not hold up the exit.
    runtime.shutdown_background();
    if let Err(error) = &result {
        log.error(format_args!("stops: {error}"));
    }
    log.close(FLUSH_PATIENCE);
    result
}

async fn live(settings: Settings, stdin: Stdin, log: &Log) -> Result<(), SensorError> {
    let Settings { me, config, listen, advertise, peers, data, rng } = settings;
    // The directory before the port: of two nodes with the same options, the second is told of the real clash.
    let (storage, recovered) = StateFile::open(&data, &me)?;
    let listener = transport::listen(&listen).await?;
    let members: BTreeSet<_> = peers.keys().cloned().chain([me.clone()]).collect();
    let transport = Transport::start(listener, &me, peers, config.heartbeat_interval, log)?;
    let local = transport.local();
    let elsewhere = if advertise == listen { String::new() } else { format!(" advertise={advertise}") };
    log.info(format_args!(
        "listening on {local} quorum={} takeover={} members={}{elsewhere}",
        config.quorum,
        config.takeover,
        console::list(&members),
    ));
    let console = SensorConsole::new(me.clone(), members.clone());
    let process = Sensor::new(config)?;
    let terminal = Terminal::read(stdin)?;
    let ground = Ground { me, rng, storage, transport, terminal, log: log.clone() };
    runtime::run(process, recovered, console, ground).await?;
    Ok(())
}
