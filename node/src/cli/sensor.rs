//! `sensor`: a peer of the sensor network, from its options to its end.

mod console;
mod options;

use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;

use dsbench_protocol::{ConfigError, Sensor};

use super::life::{self, Wiring};
use crate::emit::Log;
use crate::runtime::{self, Ground, RuntimeError};
use crate::storage::{Opened, Storage, StorageError};
use crate::terminal::{Stdin, Terminal};
use crate::transport::{self, ListenError, SensorLines};
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
    life::live(&log, node(settings, stdin, &log))
}

async fn node(settings: Settings, stdin: Stdin, log: &Log) -> Result<(), SensorError> {
    let Settings { me, config, listen, advertise, datagrams, data, retain, readings, mut rng } = settings;
    // The directory before the port: of two nodes with the same options, the second is told of the real clash.
    let Opened { storage, archive, recovered, torn } = Storage::open(&data, &me, retain)?;
    // Whoever forgets its vote has no log of later terms than the one it believes to be in.
    #[cfg(feature = "mistakes")]
    let recovered = match config.mistake {
        Some(dsbench_protocol::Mistake::ForgetsVote) => {
            dsbench_wire::Recovered { incarnation: recovered.incarnation, ..Default::default() }
        }
        _ => recovered,
    };
    if let Some(torn) = torn {
        log.warn(format_args!("a record was half-written when this node last died, it is cut off: {torn}"));
    }
    let listener = transport::listen(&listen).await?;
    let told = options::told(&config, &datagrams);
    let (heartbeat, dialect) = (config.heartbeat_interval, Arc::new(SensorLines));
    let wiring =
        Wiring { listener, me: me.clone(), listen, advertise: advertise.clone(), heartbeat, dialect, datagrams };
    let transport = wiring.start(&mut rng, &told, log).await?;
    let console = SensorConsole::new(me.clone(), advertise);
    let process = Sensor::new(config)?;
    let terminal = Terminal::read(stdin)?;
    let ground = Ground { me, rng, storage, beside: None, archive, transport, terminal, log: log.clone(), readings };
    runtime::run(process, recovered, console, ground).await?;
    Ok(())
}
