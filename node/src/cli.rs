//! The command line, mounted as `dsnode ...` and as `dsbench node ...`.

mod chat;
mod chat_client;
mod group;
mod health;
mod life;
mod log;
mod sensor;

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

pub use chat::{ChatArgs, P2pArgs};
pub use chat_client::ClientArgs;
pub use health::HealthArgs;
pub use log::LogArgs;
pub use sensor::SensorArgs;

/// The systems that a node can be part of.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// A peer of the sensor network: elects a leader by the bully algorithm, and keeps exactly one
    Sensor(Box<SensorArgs>),
    /// A node of the chat: rooms whose messages are in one order everywhere
    Chat(Box<ChatArgs>),
    /// A client of the chat, for people and programs
    ChatClient(Box<ClientArgs>),
    /// A peer of the chat: node and person in one
    P2p(Box<P2pArgs>),
    /// Prints what a node has on its disk, as JSON lines
    Log(LogArgs),
    /// Asks a node whether it is well: exit code 0 or 1, for health checks
    Health(HealthArgs),
}

/// Small distributed systems that keep their promises under faults
#[derive(Debug, Parser)]
#[command(name = "dsnode", version)]
struct Dsnode {
    #[command(subcommand)]
    verb: Verb,
}

/// The whole command line of `dsnode`.
#[must_use]
pub fn command() -> clap::Command {
    Dsnode::command()
}

/// `dsnode` from its arguments to its exit code.
#[must_use]
pub fn main() -> ExitCode {
    match Dsnode::from_arg_matches(&command().get_matches()) {
        Ok(dsnode) => run(dsnode.verb),
        Err(error) => error.exit(),
    }
}

/// Runs one node until it leaves: 0 after a graceful leave, 1 when it cannot go on, 2 when its options make no sense. Starts its own
/// tokio runtime, so that the caller must not be inside one.
#[must_use]
pub fn run(verb: Verb) -> ExitCode {
    match verb {
        Verb::Sensor(args) => sensor::run(*args),
        Verb::Chat(args) => chat::run(*args),
        Verb::ChatClient(args) => chat_client::run(*args),
        Verb::P2p(args) => chat::run_peer(*args),
        Verb::Log(args) => log::run(&args),
        Verb::Health(args) => health::run(&args),
    }
}

/// The exit code of wrong usage, clap's own.
const USAGE: u8 = 2;

/// Tells the error and its causes on stderr.
fn fail(error: &dyn Error, code: u8) -> ExitCode {
    let mut text = format!("error: {error}");
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    // There is nowhere left to complain if stderr is closed.
    let _ = writeln!(std::io::stderr(), "{text}");
    ExitCode::from(code)
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_consistent() {
        super::command().debug_assert();
    }
}
