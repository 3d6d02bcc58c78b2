//! What the endpoints said to each other, in short: who, when, how much, how it begins, and what became of it.
//!
//! The record has a head and messages of one size. It is bounded: its first half keeps the beginning of a run, and in the second half the
//! latest messages take the place of the oldest.

use super::fabric::Passage;
use super::head::{FIN, RST, SYN, array};
use super::{Did, Note, Protocol, SeenBy};
use crate::observation::Name;
use crate::time::RunTime;

/// The size of one message in the record.
pub const MESSAGE_BYTES: usize = 96;
/// How many messages a record holds, unless it is told otherwise: 64 MiB.
pub const MESSAGES_MAX: u64 = (64 << 20) / MESSAGE_BYTES as u64;
/// How much of a payload is kept.
const FIRST_BYTES: usize = 52;
/// What a record begins with.
const MAGIC: [u8; 8] = *b"dsbmsg1\n";

/// A message between two endpoints.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The sender's number among the names of the record.
    pub from: u16,
    /// The receiver's number.
    pub to: u16,
    /// When it was sent.
    pub sent: RunTime,
    /// When it came, or was lost.
    pub ended: RunTime,
    /// The number of the protocol above IP.
    pub protocol: u8,
    /// The ports of TCP or UDP; 0 for others.
    pub ports: (u16, u16),
    /// For TCP: which of FIN (1), SYN (2), RST (4), PSH (8), ACK (16) it has.
    pub flags: u8,
    /// How many bytes the frame has.
    pub frame_bytes: u32,
    /// How many of them are payload.
    pub payload_bytes: u32,
    /// How the payload begins.
    pub first_bytes: Vec<u8>,
    /// What became of it.
    pub end: End,
    /// How it was treated before that.
    pub treated: Treated,
    /// The rule that did the last of this; none if no rule did anything.
    pub rule: Option<u64>,
}

/// How the way of a message ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It came.
    Came = 0,
    /// A partition dropped it.
    Cut = 1,
    /// It was lost at random.
    Lost = 2,
    /// It found a full queue.
    Overflowed = 3,
    /// It was too long.
    TooBig = 4,
    /// Its connection was reset.
    Reset = 5,
    /// One of its ends was unplugged.
    Unplugged = 6,
}

/// What rules did to a message without dropping it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Treated {
    /// It was late.
    pub is_delayed: bool,
    /// It came, or would have come, twice.
    pub is_duplicated: bool,
    /// It was to be overtaken.
    pub is_reordered: bool,
    /// The kernel had to find it damaged.
    pub is_damaged: bool,
    /// The program had to find it changed.
    pub is_changed: bool,
}

impl Treated {
    fn by(notes: &[Note]) -> Self {
        let did = |what: fn(Did) -> bool| notes.iter().any(|note| what(note.did));
        Self {
            is_delayed: did(|did| matches!(did, Did::Delayed(_) | Did::Queued(_))),
            is_duplicated: did(|did| did == Did::Duplicated),
            is_reordered: did(|did| matches!(did, Did::Reordered(_))),
            is_damaged: did(|did| did == Did::Corrupted(SeenBy::Kernel)),
            is_changed: did(|did| did == Did::Corrupted(SeenBy::Program)),
        }
    }

    fn bits(self) -> u8 {
        let Self { is_delayed, is_duplicated, is_reordered, is_damaged, is_changed } = self;
        [is_delayed, is_duplicated, is_reordered, is_damaged, is_changed]
            .iter()
            .enumerate()
            .fold(0, |bits, (at, is)| bits | (u8::from(*is) << at))
    }

    fn of_bits(bits: u8) -> Self {
        let [is_delayed, is_duplicated, is_reordered, is_damaged, is_changed] =
            [0, 1, 2, 3, 4].map(|at| (bits >> at) & 1 == 1);
        Self { is_delayed, is_duplicated, is_reordered, is_damaged, is_changed }
    }
}

impl End {
    const ALL: [Self; 7] =
        [Self::Came, Self::Cut, Self::Lost, Self::Overflowed, Self::TooBig, Self::Reset, Self::Unplugged];

    fn of(passage: &Passage<'_>) -> Self {
        if passage.has_come {
            return Self::Came;
        }
        match passage.notes.iter().rev().map(|note| note.did).find(|did| did.is_drop()) {
            Some(Did::Cut) => Self::Cut,
            Some(Did::Lost) => Self::Lost,
            Some(Did::Overflowed) => Self::Overflowed,
            Some(Did::TooBig(_)) => Self::TooBig,
            Some(Did::Reset) => Self::Reset,
            _ => Self::Unplugged,
        }
    }
}

/// The beginning of a record: the endpoints' names.
pub fn begin(names: &[Name], out: &mut Vec<u8>) {
    let names = names.join("\n");
    out.extend(MAGIC);
    out.extend((names.len() as u32).to_le_bytes());
    out.extend(names.as_bytes());
}

/// Writes a message, if the frame is one: IP, and not only a TCP acknowledgement.
pub fn write(passage: &Passage<'_>, out: &mut Vec<u8>) -> bool {
    let Some(ip) = passage.head.ip else { return false };
    let payload = passage.head.payload(passage.frame);
    let flags = ip.transport.and_then(|transport| transport.tcp).map_or(0, |tcp| tcp.flags);
    if ip.protocol == Some(Protocol::Tcp) && payload.is_empty() && flags & (SYN | FIN | RST) == 0 {
        return false;
    }
    let (from_port, to_port) = passage.head.ports().unwrap_or((0, 0));
    let first = &payload[..payload.len().min(FIRST_BYTES)];
    let start = out.len();
    out.extend(passage.sent.0.to_le_bytes());
    out.extend(passage.ended.0.to_le_bytes());
    out.extend(passage.notes.last().map_or(u64::MAX, |note| note.rule).to_le_bytes());
    out.extend((passage.frame.len() as u32).to_le_bytes());
    out.extend((payload.len() as u32).to_le_bytes());
    out.extend((passage.from as u16).to_le_bytes());
    out.extend((passage.to as u16).to_le_bytes());
    out.extend(from_port.to_le_bytes());
    out.extend(to_port.to_le_bytes());
    out.extend([ip.number, flags, End::of(passage) as u8, Treated::by(passage.notes).bits()]);
    out.extend(first);
    out.resize(start + MESSAGE_BYTES, 0);
    true
}

/// A record that was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Messages {
    /// The endpoints' names.
    pub names: Vec<Name>,
    /// In the order in which they were sent.
    pub messages: Vec<Message>,
}

/// Why a record cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a record of messages (is it from another version of dsbench?)")]
pub struct NoRecord;

/// Reads a record. What is not whole at its end (a full disk, a killed bench) is left out.
///
/// # Errors
/// If it does not begin like one.
pub fn read(record: &[u8]) -> Result<Messages, NoRecord> {
    let rest = record.strip_prefix(&MAGIC).ok_or(NoRecord)?;
    let length = u32::from_le_bytes(array(rest, 0).ok_or(NoRecord)?) as usize;
    let names = rest.get(4..).and_then(|rest| rest.get(..length)).ok_or(NoRecord)?;
    let names: Vec<Name> = std::str::from_utf8(names).map_err(|_| NoRecord)?.split('\n').map(Name::from).collect();
    let known = |endpoint: u16| usize::from(endpoint) < names.len();
    let mut messages: Vec<_> = rest[4 + length..]
        .chunks_exact(MESSAGE_BYTES)
        .filter_map(message)
        .filter(|message| known(message.from) && known(message.to))
        .collect();
    messages.sort_by_key(|message| (message.sent, message.ended));
    Ok(Messages { names, messages })
}

fn message(bytes: &[u8]) -> Option<Message> {
    let u64_at = |at| array(bytes, at).map(u64::from_le_bytes);
    let u32_at = |at| array(bytes, at).map(u32::from_le_bytes);
    let u16_at = |at| array(bytes, at).map(u16::from_le_bytes);
    let payload_bytes = u32_at(28)?;
    let first = FIRST_BYTES.min(payload_bytes as usize);
    Some(Message {
        sent: RunTime(u64_at(0)?),
        ended: RunTime(u64_at(8)?),
        rule: u64_at(16).filter(|rule| *rule != u64::MAX),
        frame_bytes: u32_at(24)?,
        payload_bytes,
        from: u16_at(32)?,
        to: u16_at(34)?,
        ports: (u16_at(36)?, u16_at(38)?),
        protocol: *bytes.get(40)?,
        flags: *bytes.get(41)?,
        end: *End::ALL.get(usize::from(*bytes.get(42)?))?,
        treated: Treated::of_bits(*bytes.get(43)?),
        first_bytes: bytes.get(44..44 + first)?.to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, prop, proptest};

    use super::*;
    use crate::network::frames::Made;
    use crate::network::head::{ACK, Head};

    fn passage<'f>(frame: &'f [u8], head: &'f Head, notes: &'f [Note], has_come: bool) -> Passage<'f> {
        Passage { from: 0, to: 1, sent: RunTime(5), ended: RunTime(9), frame, head, notes, has_come }
    }

    fn recorded(passages: &[Passage<'_>]) -> Vec<u8> {
        let mut out = Vec::new();
        begin(&["a".into(), "b".into()], &mut out);
        for passage in passages {
            assert!(write(passage, &mut out));
        }
        out
    }

    #[test]
    fn what_was_recorded_is_read_again() {
        let frame = Made { v6: true, ..Made::default() }.udp(1000, 2000, &[7; 100]);
        let head = Head::parse(&frame).unwrap();
        let notes = [Note { rule: 3, did: Did::Delayed(4) }, Note { rule: 4, did: Did::Cut }];
        let record = recorded(&[passage(&frame, &head, &notes, false), passage(&frame, &head, &[], true)]);
        let read = read(&record).unwrap();
        assert_eq!(read.names, ["a".into(), "b".into()]);
        let expected = Message {
            from: 0,
            to: 1,
            sent: RunTime(5),
            ended: RunTime(9),
            protocol: 17,
            ports: (1000, 2000),
            flags: 0,
            frame_bytes: 162,
            payload_bytes: 100,
            first_bytes: vec![7; 52],
            end: End::Cut,
            treated: Treated { is_delayed: true, ..Treated::default() },
            rule: Some(4),
        };
        let came = Message { end: End::Came, treated: Treated::default(), rule: None, ..expected.clone() };
        assert_eq!(read.messages, [expected, came]);
    }

    #[test]
    fn an_acknowledgement_alone_is_no_message() {
        let frame = Made::default().tcp(1, 2, 3, 4, ACK, b"");
        let head = Head::parse(&frame).unwrap();
        assert!(!write(&passage(&frame, &head, &[], true), &mut Vec::new()));
    }

    #[test]
    fn a_record_that_was_cut_off_is_read_as_far_as_it_goes() {
        let frame = Made::default().udp(1, 2, b"x");
        let head = Head::parse(&frame).unwrap();
        let one = passage(&frame, &head, &[], true);
        let record = recorded(&[one, one]);
        assert_eq!(read(&record[..record.len() - 1]).unwrap().messages.len(), 1);
        assert_eq!(read(&record[..10]), Err(NoRecord));
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_strange_to_be_read(mut record in prop::collection::vec(any::<u8>(), 0..400), is_close: bool) {
            if is_close {
                record.splice(0..0, *b"dsbmsg1\n\x03\0\0\0a\nb");
            }
            let read = read(&record);
            assert!(!is_close || read.is_ok());
        }

        #[test]
        fn treatments_are_read_as_they_were_written(bits in 0_u8..32) {
            assert_eq!(Treated::of_bits(bits).bits(), bits);
        }
    }
}
