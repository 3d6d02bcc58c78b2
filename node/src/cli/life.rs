//! What the life of every node has in common, whatever system it is part of.

use std::fmt::Display;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use dsbench_wire::{Endpoint, NodeId};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use rand_pcg::Pcg64Mcg;
use rand_pcg::rand_core::Rng;
use tokio::net::TcpListener;

use crate::emit::Log;
use crate::transport::{Datagrams, Dialect, ListenError, Setup, Transport};

/// The last lines of the log may take this long.
pub(super) const FLUSH_PATIENCE: Duration = Duration::from_millis(500);
/// A thousand connections and some files; the usual limit is just below that.
const OPEN_FILES: u64 = 4096;

/// Lives one life of a node, and ends its log.
pub(super) fn live<E>(log: &Log, node: impl Future<Output = Result<(), E>>) -> Result<(), E>
where
    E: Display + From<io::Error>,
{
    allow_connections(log);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let result = runtime.block_on(node);
    // A look-up of a host name that is still under way must not hold up the exit.
    runtime.shutdown_background();
    if let Err(error) = &result {
        log.error(format_args!("stops: {error}"));
    }
    log.close(FLUSH_PATIENCE);
    result
}

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

/// A node's place in the network.
pub(super) struct Wiring {
    pub(super) listener: TcpListener,
    pub(super) me: NodeId,
    pub(super) listen: Endpoint,
    pub(super) advertise: Endpoint,
    pub(super) heartbeat: Duration,
    pub(super) dialect: Arc<dyn Dialect>,
    pub(super) datagrams: Datagrams,
}

impl Wiring {
    /// Begins to accept, and says so: `told` is what the line says beside the address.
    pub(super) async fn start(self, rng: &mut Pcg64Mcg, told: &str, log: &Log) -> Result<Transport, ListenError> {
        let Self { listener, me, listen, advertise, heartbeat, dialect, datagrams } = self;
        let elsewhere = if advertise == listen { String::new() } else { format!(" advertise={advertise}") };
        // Its own: what is thrown away must not change what the core draws.
        let rng = Pcg64Mcg::new((u128::from(rng.next_u64()) << 64) | u128::from(rng.next_u64()));
        let setup = Setup { listener, me, advertise, heartbeat, dialect, datagrams, rng };
        let transport = Transport::start(setup, log).await?;
        log.info(format_args!("listening on {} {told}{elsewhere}", transport.local()));
        Ok(transport)
    }
}
