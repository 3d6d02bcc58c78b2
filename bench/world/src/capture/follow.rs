//! A file that a node writes, followed as a further output of one life.
//!
//! It is looked at once in a tick of the [thread](super::thread): looking costs microseconds, works on every file system, and what is read is known
//! to be at most that old. The file may come late. When it is truncated, or its name goes to another file (rotation), reading begins
//! anew - with the other file only once that has something in it, because a writer may keep to the old one until it is told. What
//! happens between two looks is seen only by its result: of two rotations the first is lost, and a file that was emptied and has
//! already grown beyond what was read is taken for the same one if it goes on from the same bytes.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use dsbench_core::observation::{Name, Nanos};
use dsbench_core::time::RunTime;

use super::beneath::{self, Identity, Named};
use super::output::{Progress, Sinks};
use super::patterns::Patterns;
use super::stream::{Arrival, LineStream};
use crate::clock::Clock;
use crate::outside::{Happening, Outside};

/// How many chunks are read before others have their turn.
const CHUNKS_AT_ONCE: usize = 4;
/// How many are read at the end of a life, when it is the last chance. A sparse file could be endless.
const CHUNKS_AT_END: usize = 256;
/// How many of the last bytes tell whether what stands before them is still what was read.
const MARK_BYTES: usize = 64;

/// A file to be followed, as it was before its writer's start.
pub(crate) struct Follow {
    dir: OwnedFd,
    path: PathBuf,
    before: Option<Before>,
    pub(super) patterns: Option<Box<dyn Patterns>>,
}

impl Follow {
    /// Looks at a path in a directory, before the start.
    pub(crate) fn begin(dir: &Path, path: PathBuf, patterns: Option<Box<dyn Patterns>>) -> io::Result<Self> {
        let dir = beneath::directory(dir)?;
        let before = match beneath::find(&dir, &path) {
            Named::File { handle, id, size } => {
                beneath::open_found(&handle).and_then(|file| Before::of(&file, id, size)).ok()
            }
            Named::Nothing | Named::Refused(_) => None,
        };
        Ok(Self { dir, path, before, patterns })
    }

    /// How events and people call it.
    pub(super) fn name(&self) -> Name {
        self.path.to_string_lossy().into()
    }
}

/// What lay there before the start: none of it was said by this life.
struct Before {
    id: Identity,
    size: u64,
    mark: Vec<u8>,
}

impl Before {
    fn of(file: &File, id: Identity, size: u64) -> io::Result<Self> {
        let mut mark = vec![0; usize::try_from(size).map_or(MARK_BYTES, |size| size.min(MARK_BYTES))];
        let from = size - mark.len() as u64;
        file.read_exact_at(&mut mark, from)?;
        Ok(Self { id, size, mark })
    }
}

/// A file being followed.
pub(super) struct Follower {
    dir: OwnedFd,
    path: PathBuf,
    name: Name,
    before: Option<Before>,
    stream: LineStream,
    open: Option<Open>,
    /// All that it held at this time has been read.
    empty_at: RunTime,
    /// Why it was not read, as it was told last.
    told: Option<String>,
}

struct Open {
    file: File,
    id: Identity,
    offset: u64,
    /// The bytes before `offset`.
    mark: Vec<u8>,
}

impl Follower {
    pub(super) fn new(follow: Follow, stream: LineStream) -> Self {
        let name = follow.name();
        let Follow { dir, path, before, .. } = follow;
        Self { dir, path, name, before, stream, open: None, empty_at: RunTime::START, told: None }
    }

    pub(super) fn name(&self) -> &Name {
        &self.name
    }

    /// Its writer has started.
    pub(super) fn begin(&mut self, at: RunTime) {
        self.empty_at = at;
    }

    /// True if something was there to be read.
    pub(super) fn was_there(&self) -> bool {
        self.open.is_some()
    }

    /// Reads what is new.
    pub(super) fn look(&mut self, buffer: &mut [u8], clock: &Clock, sinks: &mut Sinks<'_>) -> Progress {
        self.look_for(CHUNKS_AT_ONCE, buffer, clock, sinks)
    }

    /// Reads what is left when its writer has ended.
    pub(super) fn drain(&mut self, buffer: &mut [u8], clock: &Clock, sinks: &mut Sinks<'_>) {
        if self.look_for(CHUNKS_AT_END, buffer, clock, sinks) == Progress::More {
            self.tell(
                "its end was not read: it had grown too far when its writer was gone".to_owned(),
                clock.now(),
                sinks,
            );
        }
    }

    /// Completes its last line.
    pub(super) fn close(&mut self, clock: &Clock, sinks: &mut Sinks<'_>) {
        let arrival = self.arrival(clock);
        sinks.with(&mut self.stream, arrival.at, |stream, sink| stream.end(arrival, sink));
    }

    /// Tells that there was nothing, unless it was told why.
    pub(super) fn tell_absent(&mut self, at: RunTime, sinks: &mut Sinks<'_>) {
        if self.told.is_none() {
            self.tell("there was no such file in the node's data directory".to_owned(), at, sinks);
        }
    }

    /// Tells why it is not followed, each reason once.
    fn tell(&mut self, why: String, at: RunTime, sinks: &mut Sinks<'_>) {
        if self.told.as_ref() != Some(&why) {
            self.told = Some(why.clone());
            let (of, file) = (self.stream.life().clone(), self.name.clone());
            (sinks.emit)(Outside { at, what: Happening::NotFollowed { of, file, why } });
        }
    }

    fn look_for(&mut self, chunks: usize, buffer: &mut [u8], clock: &Clock, sinks: &mut Sinks<'_>) -> Progress {
        let looked = clock.now();
        // Named first: what is written to the old file until its name has gone to another one is then read from the old one.
        let named = beneath::find(&self.dir, &self.path);
        let mut progress = self.read(chunks, buffer, clock, sinks);
        match named {
            _ if progress == Progress::More => {}
            Named::Nothing => {}
            Named::Refused(why) => self.tell(why, looked, sinks),
            Named::File { handle, id, size } => {
                let is_next = self.open.as_ref().is_none_or(|open| open.id != id && size > 0);
                match is_next.then(|| beneath::open_found(&handle)) {
                    None => {}
                    Some(Err(error)) => self.tell(error.to_string(), looked, sinks),
                    Some(Ok(file)) => {
                        self.turn_to(file, id, clock, sinks);
                        progress = self.read(chunks, buffer, clock, sinks);
                    }
                }
            }
        }
        if progress == Progress::Drained {
            self.empty_at = looked;
        }
        progress
    }

    fn turn_to(&mut self, file: File, id: Identity, clock: &Clock, sinks: &mut Sinks<'_>) {
        if self.open.is_some() {
            self.begin_anew("another file has its name", clock, sinks);
        }
        let before = self.before.take().filter(|before| before.id == id);
        let (offset, mark) = before.map_or((0, Vec::new()), |before| (before.size, before.mark));
        self.told = None;
        self.open = Some(Open { file, id, offset, mark });
    }

    /// Reads on in the file that is open.
    fn read(&mut self, chunks: usize, buffer: &mut [u8], clock: &Clock, sinks: &mut Sinks<'_>) -> Progress {
        for _ in 0..chunks {
            let Some(open) = &mut self.open else { return Progress::Drained };
            match open.is_the_same() {
                Ok(true) => {}
                Ok(false) => {
                    (open.offset, open.mark) = (0, Vec::new());
                    self.begin_anew("it was truncated", clock, sinks);
                    continue;
                }
                Err(error) => return self.failed(&error, clock, sinks),
            }
            let length = match open.file.read_at(buffer, open.offset) {
                Ok(0) => return Progress::Drained,
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return self.failed(&error, clock, sinks),
            };
            let chunk = &buffer[..length];
            open.advance(chunk);
            let arrival = self.arrival(clock);
            sinks.with(&mut self.stream, arrival.at, |stream, sink| stream.push(chunk, arrival, sink));
            // A file gives less than it is asked for only at its end.
            if length < buffer.len() {
                return Progress::Drained;
            }
        }
        Progress::More
    }

    fn failed(&mut self, error: &io::Error, clock: &Clock, sinks: &mut Sinks<'_>) -> Progress {
        self.tell(error.to_string(), clock.now(), sinks);
        Progress::Drained
    }

    /// What comes now does not continue what was read before.
    fn begin_anew(&mut self, why: &str, clock: &Clock, sinks: &mut Sinks<'_>) {
        self.close(clock, sinks);
        if let Some(view) = sinks.views.get_mut(&self.stream.life().node) {
            view.marker(&format!("{} {} begins anew: {why}", self.stream.life().node, self.name));
        }
    }

    fn arrival(&self, clock: &Clock) -> Arrival {
        let at = clock.now();
        Arrival { at, uncertainty: Nanos(at.0.saturating_sub(self.empty_at.0)) }
    }
}

impl Open {
    /// True if what was read still stands before the place where it is read next.
    fn is_the_same(&self) -> io::Result<bool> {
        if self.file.metadata()?.len() < self.offset {
            return Ok(false);
        }
        let mut mark = [0; MARK_BYTES];
        let mark = &mut mark[..self.mark.len()];
        match self.file.read_exact_at(mark, self.offset - self.mark.len() as u64) {
            Ok(()) => Ok(*mark == *self.mark),
            // It was truncated between the two looks.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn advance(&mut self, chunk: &[u8]) {
        self.offset += chunk.len() as u64;
        self.mark.extend_from_slice(&chunk[chunk.len().saturating_sub(MARK_BYTES)..]);
        let excess = self.mark.len().saturating_sub(MARK_BYTES);
        self.mark.drain(..excess);
    }
}
