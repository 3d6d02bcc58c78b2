//! `sensor`: a peer of the sensor network, from its options to its end.

mod console;
mod options;

use std::io::IsTerminal;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use dsbench_protocol::{ConfigError, Sensor};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::Rng;

use crate::emit::Log;
use crate::runtime::{self, Ground, RuntimeError};
use crate::storage::{Opened, Storage, StorageError};
use crate::terminal::{Stdin, Terminal};
use crate::transport::{self, ListenError, SensorLines, Setup, Transport};
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
    allow_connections(&log);
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

/// A thousand connections and some files; the usual limit is just below that.
const OPEN_FILES: u64 = 4096;

/// Raises the number of files that this process may have open, as far as it may.
fn allow_connections(log: &Log) {
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(soft, hard)| {
        let wanted = OPEN_FILES.min(hard);
        if soft >= wanted { Ok(()) } else { setrlimit(Resource::RLIMIT_NOFILE, wanted, hard) }
    });
    if let Err(error) = raised {
        log.warn(format_args!("the limit of open files stays as it is, and with it that of connections: {error}"));
    }
}

async fn live(settings: Settings, stdin: Stdin, log: &Log) -> Result<(), SensorError> {
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
    let setup = Setup {
        listener,
        me: me.clone(),
        advertise: advertise.clone(),
        heartbeat: config.heartbeat_interval,
        dialect: Arc::new(SensorLines),
        datagrams,
        // Its own: what is thrown away must not change what the core draws.
        rng: Pcg64Mcg::new((u128::from(rng.next_u64()) << 64) | u128::from(rng.next_u64())),
    };
    let transport = Transport::start(setup, log).await?;
    let local = transport.local();
    let elsewhere = if advertise == listen { String::new() } else { format!(" advertise={advertise}") };
    log.info(format_args!("listening on {local} {told}{elsewhere}"));
    let console = SensorConsole::new(me.clone(), advertise);
    let process = Sensor::new(config)?;
    let terminal = Terminal::read(stdin)?;
    let ground = Ground { me, rng, storage, archive, transport, terminal, log: log.clone(), readings };
    runtime::run(process, recovered, console, ground).await?;
    Ok(())
}
