//! What stands on standard output: nothing, for people, or the series in one of the formats that machines read.

use super::json::Json;
use super::jsonl::Stream;
use super::outlet::Outlet;
use super::tap::Tap;
use crate::error::BenchError;
use crate::series::Audience;

/// A format of standard output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Nothing: people read standard error
    #[default]
    Human,
    /// One JSON document when everything is over
    Json,
    /// A JSON object per line as it happens
    Jsonl,
    /// TAP 14
    Tap,
}

impl Format {
    /// Whoever writes it; nobody, for people.
    pub fn audience(self) -> Result<Option<Box<dyn Audience>>, BenchError> {
        Ok(match self {
            Self::Human => None,
            Self::Json => Some(Box::new(Json::new(Outlet::stdout()?))),
            Self::Jsonl => Some(Box::new(Stream::new(Outlet::stdout()?))),
            Self::Tap => Some(Box::new(Tap::new(Outlet::stdout()?))),
        })
    }
}
