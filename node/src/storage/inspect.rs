//! Prints a log as JSON lines, for people and programs: one line per record, in a bounded amount of memory.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dsbench_wire::{Content, Entry, Record, Snapshot, Term};
use serde::Serialize;
use serde_json::ser::Formatter;

use super::frame::{Frame, Kind};
use super::log::{name_of, number_of};
use super::recovery::owner;
use super::snapshot;
use super::walk::{End, Step, Walk};

const CHUNK: usize = 256 << 10;
const SNAPSHOT: &str = "snapshot";

/// How a log ends that could be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inspected {
    /// With a whole record.
    Whole,
    /// With a record that was cut short, as a crash leaves it. A node cuts it off when it starts.
    Torn,
    /// Something that had been durable is not there. A node does not start with it.
    Damaged,
}

/// Why a log cannot be printed.
#[derive(Debug, thiserror::Error)]
pub enum InspectError {
    /// Neither a data directory nor a file of one.
    #[error("{} is no data directory of a node and no file of one (log.0000000001, ..., snapshot)", .0.display())]
    Unknown(PathBuf),
    /// The system refused.
    #[error("failed to read {}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The output is gone or full.
    #[error("failed to write")]
    Write(#[source] io::Error),
}

/// One line.
#[derive(Serialize)]
struct Line<'a> {
    file: &'a str,
    offset: u64,
    #[serde(flatten)]
    says: Says,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Says {
    /// The beginning of a segment.
    Segment {
        node: String,
    },
    Record(Record),
    Torn {
        bytes: u64,
    },
    Damaged {
        reason: String,
    },
}

/// Prints every record of a data directory, or of one file of it, and how it ends.
///
/// # Errors
/// When it is none, cannot be read, or the output cannot be written.
pub fn inspect(path: &Path, out: &mut dyn Write) -> Result<Inspected, InspectError> {
    let reading = |source| InspectError::Read { path: path.to_owned(), source };
    if !fs::metadata(path).map_err(reading)?.is_dir() {
        return inspect_file(path, true, out);
    }
    let mut names = Vec::new();
    for entry in fs::read_dir(path).map_err(reading)? {
        names.extend(entry.map_err(reading)?.file_name().into_string());
    }
    let mut numbers: Vec<u64> = names.iter().filter_map(|name| number_of(name)).collect();
    numbers.sort_unstable();
    let has_snapshot = names.iter().any(|name| name == SNAPSHOT);
    if numbers.is_empty() && !has_snapshot {
        return Err(InspectError::Unknown(path.to_owned()));
    }
    let mut result = Inspected::Whole;
    if has_snapshot {
        result = inspect_file(&path.join(SNAPSHOT), true, out)?;
    }
    for (position, &number) in numbers.iter().enumerate() {
        let name = name_of(number);
        if position > 0 && numbers[position - 1] + 1 != number {
            let reason = "a segment before it is missing".to_owned();
            print(out, &Line { file: &name, offset: 0, says: Says::Damaged { reason } })?;
            result = Inspected::Damaged;
        }
        let of_this = inspect_file(&path.join(&name), position + 1 == numbers.len(), out)?;
        if result != Inspected::Damaged && of_this != Inspected::Whole {
            result = of_this;
        }
    }
    Ok(result)
}

/// `may_be_torn` for the last segment: what follows a torn one would show that it had been whole.
fn inspect_file(path: &Path, may_be_torn: bool, out: &mut dyn Write) -> Result<Inspected, InspectError> {
    let unknown = || InspectError::Unknown(path.to_owned());
    let reading = |source| InspectError::Read { path: path.to_owned(), source };
    let name = path.file_name().and_then(|name| name.to_str()).ok_or_else(unknown)?;
    if !fs::metadata(path).map_err(reading)?.is_file() {
        return Err(unknown());
    }
    if name == SNAPSHOT {
        return inspect_snapshot(path, out);
    }
    let number = number_of(name).ok_or_else(unknown)?;
    let file = File::open(path).map_err(reading)?;
    let mut walk = Walk::new(Arc::new(file), number, 0, CHUNK);
    while let Step::Frame(offset, frame) = walk.next().map_err(reading)? {
        match says(frame) {
            Ok(None) => {}
            Ok(Some(says)) => print(out, &Line { file: name, offset, says })?,
            Err(reason) => {
                print(out, &Line { file: name, offset, says: Says::Damaged { reason } })?;
                return Ok(Inspected::Damaged);
            }
        }
    }
    let offset = walk.at();
    let (says, result) = match walk.end().map_err(reading)? {
        End::Clean if offset > 0 => return Ok(Inspected::Whole),
        End::Torn { bytes } if offset > 0 && may_be_torn => (Says::Torn { bytes }, Inspected::Torn),
        End::Damaged { reason } => (Says::Damaged { reason: reason.to_owned() }, Inspected::Damaged),
        End::Clean | End::Torn { .. } => {
            let reason = if offset == 0 { "it does not say whose it is" } else { "it ends in the middle of a record" };
            (Says::Damaged { reason: reason.to_owned() }, Inspected::Damaged)
        }
    };
    print(out, &Line { file: name, offset, says })?;
    Ok(result)
}

/// What a frame says; nothing for one that says nothing to people.
fn says(frame: Frame<&[u8]>) -> Result<Option<Says>, String> {
    let said = match frame.kind {
        Kind::Head => Says::Segment { node: owner(frame.body)?.to_owned() },
        Kind::Mark => return Ok(None),
        Kind::Entry => {
            let content: Content = serde_json::from_slice(frame.body).map_err(|error| error.to_string())?;
            Says::Record(Record::Entry(Entry { index: frame.index, term: Term(frame.term), content }))
        }
        _ => Says::Record(serde_json::from_slice(frame.body).map_err(|error| error.to_string())?),
    };
    Ok(Some(said))
}

fn inspect_snapshot(path: &Path, out: &mut dyn Write) -> Result<Inspected, InspectError> {
    let bytes = fs::read(path).map_err(|source| InspectError::Read { path: path.to_owned(), source })?;
    let parsed = snapshot::parse(&bytes).map_err(str::to_owned);
    let read =
        parsed.and_then(|(_, _, body)| serde_json::from_slice::<Snapshot>(body).map_err(|error| error.to_string()));
    let (says, result) = match read {
        Ok(snapshot) => (Says::Record(Record::Checkpoint(snapshot)), Inspected::Whole),
        Err(reason) => (Says::Damaged { reason }, Inspected::Damaged),
    };
    print(out, &Line { file: SNAPSHOT, offset: 0, says })?;
    Ok(result)
}

fn print(out: &mut dyn Write, line: &Line<'_>) -> Result<(), InspectError> {
    let mut bytes = Vec::new();
    let mut serializer = serde_json::Serializer::with_formatter(&mut bytes, ForTerminals);
    line.serialize(&mut serializer).expect("a line has text keys and plain values only");
    bytes.push(b'\n');
    out.write_all(&bytes).map_err(InspectError::Write)
}

/// JSON in which every character that could move a cursor or turn the direction of writing is spelled out.
struct ForTerminals;

impl Formatter for ForTerminals {
    fn write_string_fragment<W: Write + ?Sized>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()> {
        let mut plain = 0;
        for (at, character) in fragment.char_indices().filter(|(_, character)| is_harmful(*character)) {
            writer.write_all(&fragment.as_bytes()[plain..at])?;
            write!(writer, "\\u{:04x}", u32::from(character))?;
            plain = at + character.len_utf8();
        }
        writer.write_all(&fragment.as_bytes()[plain..])
    }
}

/// All of these have four hexadecimal digits at most.
fn is_harmful(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}
