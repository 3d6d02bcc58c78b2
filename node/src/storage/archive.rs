//! What is durable, for a core to read again.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use dsbench_protocol::Archive;
use dsbench_wire::{Entry, NodeId, Term};

use super::fault::Fault;
use super::index::Stored;
use super::log::Reader;
use super::{StorageError, parsed};

/// The durable entries of a node. A core that cannot read its own log cannot go on: the failure is kept for the runtime, which
/// stops the node.
#[derive(Debug)]
pub struct DiskArchive {
    reader: Reader,
    failure: RefCell<Option<StorageError>>,
    directory: PathBuf,
    node: NodeId,
}

impl DiskArchive {
    pub(super) fn new(reader: Reader, directory: &Path, node: &NodeId) -> Self {
        Self { reader, failure: RefCell::default(), directory: directory.to_owned(), node: node.clone() }
    }

    /// Why something could not be read. The node must stop then.
    pub fn failure(&self) -> Option<StorageError> {
        self.failure.take()
    }

    /// The failure of a core that can read what is durable, and make no sense of it.
    pub fn unreadable(&self, reason: String) -> StorageError {
        StorageError::Damaged { path: self.directory.join(super::snapshot::NAME), offset: 0, reason }
    }

    fn read(&self, from: u64, max_bytes: usize) -> Result<Vec<Entry>, Fault> {
        let mut weight = 0;
        let mut entries = Vec::new();
        // What an entry weighs is at least the length of its body, so that these are enough.
        for Stored { index, term, body } in self.reader.entries(from, max_bytes)? {
            let entry = Entry { index, term: Term(term), content: parsed("log", &body)? };
            weight += entry.weight();
            if weight > max_bytes && !entries.is_empty() {
                break;
            }
            entries.push(entry);
        }
        Ok(entries)
    }
}

impl Archive for DiskArchive {
    fn entries(&self, from: u64, max_bytes: usize) -> Vec<Entry> {
        self.read(from, max_bytes).unwrap_or_else(|fault| {
            self.failure.replace(Some(StorageError::of(fault, &self.directory, &self.node)));
            Vec::new()
        })
    }

    fn term_at(&self, index: u64) -> Option<Term> {
        self.reader.term_at(index).map(Term)
    }
}
