//! Recorded packets in the format of Wireshark (draft-ietf-opsawg-pcapng), as bytes.
//!
//! Every endpoint is an interface. What it sends is a packet out of it, what it gets a packet into it: so the packets of one interface are
//! what a capture inside that endpoint would show, and the comment says what the rules did.

use std::fmt::Write;

use super::Note;
use super::head::{Head, Mac};
use crate::observation::Name;

/// How much of a packet is recorded.
pub const SNAP_BYTES: usize = 128;
/// Of a packet to many, no more fates are told.
const COMMENTS_MAX: usize = 16;

/// Which way a packet goes, as its endpoint sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// It gets it.
    In = 1,
    /// It sends it.
    Out = 2,
}

/// Writes blocks of the format.
#[derive(Debug)]
pub struct Pcapng {
    names: Vec<Name>,
    /// What is added to run time, for a date: nanoseconds.
    epoch_ns: u64,
    snap: usize,
    comment: String,
}

impl Pcapng {
    /// For these endpoints. Run time began so many nanoseconds after 1970; so many bytes of each packet are kept.
    pub fn new(names: Vec<Name>, epoch_ns: u64, snap: usize) -> Self {
        Self { names, epoch_ns, snap, comment: String::new() }
    }

    /// The beginning of a file: a section, and an interface for each endpoint with its Ethernet address.
    pub fn begin(&self, macs: &[Mac], out: &mut Vec<u8>) {
        block(out, 0x0a0d_0d0a, |out| {
            out.extend(0x1a2b_3c4d_u32.to_le_bytes());
            out.extend([1, 0, 0, 0]);
            // A section of unknown length.
            out.extend((-1_i64).to_le_bytes());
            option(out, 4, b"dsbench");
            option(out, 0, b"");
        });
        for (name, mac) in self.names.iter().zip(macs) {
            block(out, 1, |out| {
                // Ethernet.
                out.extend([1, 0, 0, 0]);
                out.extend((self.snap as u32).to_le_bytes());
                option(out, 2, name.as_bytes());
                option(out, 6, mac);
                // Times are in nanoseconds: ten to the power of minus nine.
                option(out, 9, &[9]);
                option(out, 0, b"");
            });
        }
    }

    /// A packet that an endpoint sent, and what the rules did to it on its way to others.
    pub fn sent(&mut self, at_ns: u64, from: usize, frame: &[u8], notes: &[(usize, Note)], out: &mut Vec<u8>) {
        let is_to_many = Head::parse(frame).is_some_and(|head| head.is_group());
        self.packet(at_ns, from, Direction::Out, frame, out, |names, comment, index| {
            let (to, note) = notes.get(index).filter(|_| index < COMMENTS_MAX)?;
            match names.get(*to) {
                Some(name) if is_to_many => write!(comment, "to {name}: {note}").ok(),
                _ => write!(comment, "{note}").ok(),
            }
        });
    }

    /// A packet that an endpoint got, and what the rules did to it before.
    pub fn came(&mut self, at_ns: u64, to: usize, frame: &[u8], notes: &[Note], out: &mut Vec<u8>) {
        self.packet(at_ns, to, Direction::In, frame, out, |_, comment, index| {
            let note = notes.get(index)?;
            // An answer of the switch itself carries the reason why the packet that it answers was dropped.
            let about = if note.did.is_drop() { "answer of the switch to a packet that was " } else { "" };
            write!(comment, "{about}{note}").ok()
        });
    }

    fn packet(
        &mut self,
        at_ns: u64,
        interface: usize,
        direction: Direction,
        frame: &[u8],
        out: &mut Vec<u8>,
        mut comment: impl FnMut(&[Name], &mut String, usize) -> Option<()>,
    ) {
        let Self { names, epoch_ns, snap, comment: text } = self;
        let at = epoch_ns.wrapping_add(at_ns);
        let kept = &frame[..frame.len().min(*snap)];
        block(out, 6, |out| {
            out.extend((interface as u32).to_le_bytes());
            out.extend(((at >> 32) as u32).to_le_bytes());
            out.extend((at as u32).to_le_bytes());
            out.extend((kept.len() as u32).to_le_bytes());
            out.extend((frame.len() as u32).to_le_bytes());
            out.extend(kept);
            pad(out, kept.len());
            option(out, 2, &(direction as u32).to_le_bytes());
            for index in 0.. {
                text.clear();
                if comment(names, text, index).is_none() {
                    break;
                }
                option(out, 1, text.as_bytes());
            }
            option(out, 0, b"");
        });
    }
}

/// A block of a type: its length stands before and after what is in it.
fn block(out: &mut Vec<u8>, kind: u32, fill: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend(kind.to_le_bytes());
    out.extend([0; 4]);
    fill(out);
    let length = ((out.len() - start + 4) as u32).to_le_bytes();
    out.extend(length);
    out[start + 4..start + 8].copy_from_slice(&length);
}

fn option(out: &mut Vec<u8>, code: u16, value: &[u8]) {
    let value = &value[..value.len().min(usize::from(u16::MAX))];
    out.extend(code.to_le_bytes());
    out.extend((value.len() as u16).to_le_bytes());
    out.extend(value);
    pad(out, value.len());
}

/// Every value ends at a multiple of four bytes.
fn pad(out: &mut Vec<u8>, length: usize) {
    out.extend(&[0; 3][..length.next_multiple_of(4) - length]);
}
