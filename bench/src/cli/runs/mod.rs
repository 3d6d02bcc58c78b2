//! `dsbench runs`: what is stored, and its removal.

mod list;
mod prune;

use clap::Subcommand;

use crate::error::BenchError;

/// What can be done with stored runs.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// List the stored runs, the newest first
    List(list::ListArgs),
    /// Remove old runs
    Prune(prune::PruneArgs),
}

pub(super) fn runs(verb: &Verb) -> Result<u8, BenchError> {
    match verb {
        Verb::List(args) => list::list(args),
        Verb::Prune(args) => prune::prune(args),
    }
}
