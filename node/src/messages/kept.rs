//! What a node notes of its message log beside its records: how it was made, and how much of it is durable.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use dsbench_protocol::Quorum;
use serde::{Deserialize, Serialize};

const NAME: &str = "messages";
/// Left over by a crash, it is removed with the leftovers of the record log.
const BESIDE: &str = "messages.new";

/// The note. Without one, nothing is known to be durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kept {
    pub(super) quorum: Quorum,
    /// The length of the file.
    pub(super) bytes: u64,
    /// The place of its last line.
    pub(super) last: u64,
    /// It lacks nothing up to this place, but what its lines say that it lacks.
    pub(super) upto: u64,
}

#[derive(Serialize, Deserialize)]
struct Line {
    quorum: String,
    bytes: u64,
    last: u64,
    upto: u64,
}

impl Kept {
    pub(super) fn nothing(quorum: Quorum) -> Self {
        Self { quorum, bytes: 0, last: 0, upto: 0 }
    }

    /// The note in the directory of the records.
    pub(super) fn read(records: &Path) -> io::Result<Option<Self>> {
        let bytes = match fs::read(records.join(NAME)) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let Line { quorum, bytes, last, upto } = serde_json::from_slice(&bytes)?;
        let quorum = quorum.parse().map_err(io::Error::other)?;
        Ok(Some(Self { quorum, bytes, last, upto }))
    }

    /// Replaces it, durably.
    pub(super) fn save(self, records: &Path) -> io::Result<()> {
        let Self { quorum, bytes, last, upto } = self;
        let line = serde_json::to_vec(&Line { quorum: quorum.to_string(), bytes, last, upto })?;
        let beside = records.join(BESIDE);
        let mut file = File::create(&beside)?;
        file.write_all(&line)?;
        file.sync_data()?;
        fs::rename(&beside, records.join(NAME))?;
        File::open(records)?.sync_all()
    }
}
