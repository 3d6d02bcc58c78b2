//! What the switch writes down: packets for Wireshark, messages for the report.
//!
//! The switch only fills blocks of memory; a thread of its own writes them. A slow disk never delays a frame: if the writer is so far behind
//! that no block is left, records are dropped, and counted.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, SyncSender, TrySendError, channel, sync_channel};
use std::time::Duration;

use dsbench_core::network::messages::{self, MESSAGE_BYTES};
use dsbench_core::network::pcapng::{Pcapng, SNAP_BYTES};
use dsbench_core::network::{Mac, Note, Passage};
use dsbench_core::observation::Name;
use dsbench_core::time::RunTime;

use super::switch::SwitchConfig;
use crate::clock::Clock;
use crate::error::WorldError;
use crate::outside::{Happening, Outside};
use crate::thread;

/// A block is handed over when it is this full ...
const BLOCK_BYTES: usize = 256 << 10;
/// ... or this old.
const BLOCK_AGE: Duration = Duration::from_secs(1);
/// So many blocks may wait for the disk: 16 MiB.
const BLOCKS_WAITING: usize = 64;

/// The switch's side.
pub(super) struct Records {
    pcap: Option<(Pcapng, Filling)>,
    messages: Option<Filling>,
    writer: SyncSender<Block>,
    /// Blocks that were written, to be filled again.
    empty: Receiver<Vec<u8>>,
    /// Ends when the writer does.
    done: Receiver<()>,
    /// Records that are in no file.
    lost: Arc<AtomicU64>,
}

/// A block that is being filled.
#[derive(Default)]
struct Filling {
    bytes: Vec<u8>,
    records: u64,
    since: Option<RunTime>,
}

/// A block that is full.
struct Block {
    bytes: Vec<u8>,
    records: u64,
    of: Of,
}

/// What a block is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    Packets,
    Messages,
}

impl Records {
    /// Creates the files and starts the writer; none if nothing is to be recorded.
    pub(super) fn start(
        clock: Clock,
        config: &SwitchConfig,
        outbox: &SyncSender<Outside>,
    ) -> Result<Option<Self>, WorldError> {
        if config.pcap.is_none() && config.messages.is_none() {
            return Ok(None);
        }
        let names: Vec<Name> = config.ports.iter().map(|port| port.name.clone()).collect();
        let macs: Vec<Mac> = config.ports.iter().map(|port| port.mac).collect();
        let lost = Arc::new(AtomicU64::new(0));
        let mut files = Vec::new();
        let mut pcap = None;
        if let Some(path) = &config.pcap {
            let pcapng = Pcapng::new(names.clone(), clock.epoch_ns(), config.snap.unwrap_or(SNAP_BYTES));
            let mut head = Vec::new();
            pcapng.begin(&macs, &mut head);
            files.push((Of::Packets, Target::create(path, &head, u64::MAX)?));
            pcap = Some((pcapng, Filling::default()));
        }
        let mut messages = None;
        if let Some(path) = &config.messages {
            let mut head = Vec::new();
            messages::begin(&names, &mut head);
            let most = config.messages_max.unwrap_or(messages::MESSAGES_MAX);
            files.push((Of::Messages, Target::create(path, &head, most)?));
            messages = Some(Filling::default());
        }
        let (writer, blocks) = sync_channel(BLOCKS_WAITING);
        let (emptied, empty) = channel();
        let (ended, done) = sync_channel(0);
        let write = Writer { clock, files, blocks, emptied, lost: lost.clone(), outbox: outbox.clone(), _ended: ended };
        thread::spawn("recorder", clock, outbox.clone(), || write.run())
            .map_err(|error| WorldError::system("start the recorder thread", error))?;
        Ok(Some(Self { pcap, messages, writer, empty, done, lost }))
    }

    /// A packet left an endpoint.
    pub(super) fn sent(&mut self, at: RunTime, from: usize, frame: &[u8], notes: &[(usize, Note)]) {
        if let Some((pcapng, filling)) = &mut self.pcap {
            pcapng.sent(at.0, from, frame, notes, filling.add(at));
            self.hand_over_full(at);
        }
    }

    /// A packet came to an endpoint.
    pub(super) fn came(&mut self, at: RunTime, to: usize, frame: &[u8], notes: &[Note]) {
        if let Some((pcapng, filling)) = &mut self.pcap {
            pcapng.came(at.0, to, frame, notes, filling.add(at));
            self.hand_over_full(at);
        }
    }

    /// A frame's way has ended.
    pub(super) fn passed(&mut self, passage: &Passage<'_>) {
        if let Some(filling) = &mut self.messages {
            if messages::write(passage, &mut filling.bytes) {
                filling.records += 1;
                filling.since.get_or_insert(passage.ended);
            }
            self.hand_over_full(passage.ended);
        }
    }

    /// When a block that is not full must be handed over all the same.
    pub(super) fn next_due(&self) -> Option<RunTime> {
        let packets = self.pcap.as_ref().and_then(|(_, filling)| filling.since);
        let messages = self.messages.as_ref().and_then(|filling| filling.since);
        Some([packets, messages].into_iter().flatten().min()? + BLOCK_AGE)
    }

    /// Hands over what is full or old enough.
    pub(super) fn hand_over_full(&mut self, now: RunTime) {
        let Self { pcap, messages, writer, empty, lost, .. } = self;
        let fillings = [(Of::Packets, pcap.as_mut().map(|(_, filling)| filling)), (Of::Messages, messages.as_mut())];
        for (of, filling) in fillings {
            let Some(filling) = filling.filter(|filling| filling.is_due(now)) else { continue };
            let block = filling.take(of, empty.try_recv().unwrap_or_default());
            if let Err(TrySendError::Full(block) | TrySendError::Disconnected(block)) = writer.try_send(block) {
                lost.fetch_add(block.records, Ordering::Relaxed);
            }
        }
    }

    /// How many records are in no file.
    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }

    /// Hands over everything and waits until it is written. Gives the number of records that are in no file.
    pub(super) fn finish(self) -> u64 {
        let Self { pcap, messages, writer, done, lost, .. } = self;
        for (of, filling) in [(Of::Packets, pcap.map(|(_, filling)| filling)), (Of::Messages, messages)] {
            let Some(mut filling) = filling else { continue };
            // The writer is gone only if it has panicked, which the driver was told.
            let _ = writer.send(filling.take(of, Vec::new()));
        }
        drop(writer);
        let _ = done.recv();
        lost.load(Ordering::Relaxed)
    }
}

impl Filling {
    /// Room for one more record.
    fn add(&mut self, at: RunTime) -> &mut Vec<u8> {
        self.records += 1;
        self.since.get_or_insert(at);
        &mut self.bytes
    }

    fn is_due(&self, now: RunTime) -> bool {
        self.bytes.len() >= BLOCK_BYTES || self.since.is_some_and(|since| now >= since + BLOCK_AGE)
    }

    fn take(&mut self, of: Of, empty: Vec<u8>) -> Block {
        self.since = None;
        Block { bytes: std::mem::replace(&mut self.bytes, empty), records: std::mem::take(&mut self.records), of }
    }
}

/// The thread that writes.
struct Writer {
    clock: Clock,
    files: Vec<(Of, Target)>,
    blocks: Receiver<Block>,
    emptied: Sender<Vec<u8>>,
    lost: Arc<AtomicU64>,
    outbox: SyncSender<Outside>,
    /// Dropped at the end, which ends the waiting for it.
    _ended: SyncSender<()>,
}

impl Writer {
    fn run(mut self) {
        while let Ok(Block { mut bytes, records, of }) = self.blocks.recv() {
            let Some((_, target)) = self.files.iter_mut().find(|(what, _)| *what == of) else { continue };
            let is_written = match of {
                Of::Packets => target.append(&bytes),
                Of::Messages => target.append_bounded(&bytes),
            };
            if !is_written {
                self.lost.fetch_add(records, Ordering::Relaxed);
            }
            if let Some(error) = target.failure.take() {
                let what = Happening::LogLost { file: target.name.clone(), why: error.to_string() };
                // Not to wait: the driver may be waiting for this thread. What is not in the file is counted in any case.
                let _ = self.outbox.try_send(Outside { at: self.clock.now(), what });
            }
            bytes.clear();
            // If the switch has ended, nobody needs it.
            let _ = self.emptied.send(bytes);
        }
    }
}

/// A file that is written. After its first failure nothing more is: a file with a hole would be believed.
struct Target {
    name: String,
    file: Option<File>,
    failure: Option<io::Error>,
    /// Where the records begin.
    start: u64,
    /// Where the next bytes go, in a file without bound.
    end: u64,
    /// How many records there were, and how many there is room for.
    records: u64,
    most: u64,
}

impl Target {
    fn create(path: &Path, head: &[u8], most: u64) -> Result<Self, WorldError> {
        let failed = |source| WorldError::Create { path: path.to_owned(), source };
        let mut file = File::create(path).map_err(failed)?;
        file.write_all(head).map_err(failed)?;
        let (name, start) = (path.display().to_string(), head.len() as u64);
        Ok(Self { name, file: Some(file), failure: None, start, end: start, records: 0, most: most.max(2) })
    }

    /// Writes a block behind the last one. The file may be a pipe.
    fn append(&mut self, bytes: &[u8]) -> bool {
        let written = self.file.as_ref().map(|mut file| file.write_all(bytes));
        if let Some((file, Err(_))) = self.file.as_ref().zip(written.as_ref()) {
            // Half a packet at its end would spoil the file for strict readers.
            let _ = file.set_len(self.end);
        }
        self.end += bytes.len() as u64;
        self.is_well(written)
    }

    /// Writes messages behind the last one, or where the oldest of the second half are.
    fn append_bounded(&mut self, mut bytes: &[u8]) -> bool {
        let first_half = self.most / 2;
        let ring = self.most - first_half;
        while !bytes.is_empty() {
            let (place, room) = if self.records < first_half {
                (self.records, first_half - self.records)
            } else {
                let turn = (self.records - first_half) % ring;
                (first_half + turn, ring - turn)
            };
            let count = room.min((bytes.len() / MESSAGE_BYTES) as u64);
            let (now, later) = bytes.split_at(count as usize * MESSAGE_BYTES);
            let at = self.start + place * MESSAGE_BYTES as u64;
            let written = self.file.as_ref().map(|file| file.write_all_at(now, at));
            if !self.is_well(written) {
                return false;
            }
            self.records += count;
            bytes = later;
        }
        true
    }

    /// True if something was written; otherwise nothing more will be.
    fn is_well(&mut self, written: Option<io::Result<()>>) -> bool {
        match written {
            Some(Ok(())) => true,
            Some(Err(error)) => {
                (self.file, self.failure) = (None, Some(error));
                false
            }
            None => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_once_and_nothing_is_written_after_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("packets");
        let mut target = Target::create(&path, b"head", u64::MAX).unwrap();
        assert!(target.append(b"packet"));
        let good = target.file.replace(File::create("/dev/full").unwrap()).unwrap();
        assert!(!target.append(b"another"));
        assert!(target.failure.take().is_some());
        assert!(!target.append(b"a third") && !target.append_bounded(&[0; MESSAGE_BYTES]));
        assert!(target.failure.is_none());
        drop(good);
        assert_eq!(std::fs::read(&path).unwrap(), b"headpacket");
    }
}
