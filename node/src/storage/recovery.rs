//! Reads the segments of a last life, in order, and finds where it ended.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::fault::Fault;
use super::frame::Kind;
use super::index::{At, Index};
use super::log::{Active, Torn, name_of};
use super::medium::{Blob, Medium};
use super::walk::{End, Step, Walk};

/// This much is read at once.
const CHUNK: usize = 256 << 10;

/// What recovery has gathered from the segments so far.
pub(super) struct Recovery<'a> {
    pub(super) medium: &'a dyn Medium,
    pub(super) node: &'a str,
    /// See [`Limits`](super::log::Limits).
    #[cfg(test)]
    pub(super) keeps_torn_tail: bool,
    pub(super) index: Index,
    pub(super) latest: BTreeMap<Kind, Vec<u8>>,
    pub(super) entries_from: u64,
    /// See [`snapshot::Head`].
    pub(super) durable: (u64, u64),
    pub(super) torn: Option<Torn>,
}

impl Recovery<'_> {
    /// Reads one segment. `before` are the number and length of the one before it.
    pub(super) fn segment(&mut self, number: u64, before: Option<(u64, u64)>, is_last: bool) -> Result<Active, Fault> {
        let name = name_of(number);
        if let Some((last, _)) = before.filter(|(last, _)| last + 1 != number) {
            return Err(Fault::damage(&name_of(last + 1), 0, "it is missing"));
        }
        let blob: Arc<dyn Blob> = self.medium.open(&name).map_err(|source| Fault::io("open", &name, source))?.into();
        self.index.push_segment(number, Arc::clone(&blob));
        let reading = |source| Fault::io("read", &name, source);
        let mut walk = Walk::new(Arc::clone(&blob), number, 0, CHUNK);
        let mut beginning = 0;
        while let Step::Frame(offset, frame) = walk.next().map_err(reading)? {
            match frame.kind {
                Kind::Head if offset == 0 => {
                    check_owner(&name, frame.body, self.node)?;
                    beginning = frame.term;
                    if before.is_some_and(|(_, len)| len != frame.index) {
                        return Err(Fault::damage(
                            &name_of(number - 1),
                            0,
                            "it has not the length that it had when it was closed",
                        ));
                    }
                }
                _ if offset == 0 => return Err(Fault::damage(&name, 0, "it does not say whose it is")),
                Kind::Head => return Err(Fault::damage(&name, offset, "it begins twice")),
                Kind::Mark => {}
                Kind::Entry if number < self.entries_from => {}
                Kind::Entry => {
                    let entry = At { index: frame.index, term: frame.term };
                    self.index.add(entry, number, offset).map_err(|reason| Fault::damage(&name, offset, &reason))?;
                }
                _ => {
                    self.latest.insert(frame.kind, frame.body.to_vec());
                }
            }
        }
        let len = walk.at();
        match walk.end().map_err(reading)? {
            End::Damaged { reason } => return Err(Fault::damage(&name, len, reason)),
            // It had its name only after its beginning was durable.
            _ if len == 0 => return Err(Fault::damage(&name, 0, "it does not say whose it is")),
            _ if len < beginning => return Err(Fault::damage(&name, len, "its beginning is not whole")),
            _ if self.durable.0 == number && len < self.durable.1 => {
                return Err(Fault::damage(&name, len, "what was durable before the snapshot was written is not there"));
            }
            End::Torn { .. } if !is_last => {
                return Err(Fault::damage(
                    &name,
                    len,
                    "it ends in the middle of a record, and another segment follows",
                ));
            }
            End::Torn { bytes } => self.torn = Some(Torn { file: name.clone(), offset: len, bytes }),
            End::Clean => {}
        }
        #[cfg(test)]
        if self.keeps_torn_tail && self.torn.is_some() {
            let end = blob.len().map_err(|source| Fault::io("read", &name, source))?;
            return Ok(Active::new(number, blob, end));
        }
        if is_last {
            // Also what is whole may be in memory only, as the last life's kernel left it.
            blob.set_len(len).and_then(|()| blob.sync()).map_err(|source| Fault::io("cut", &name, source))?;
        }
        Ok(Active::new(number, blob, len))
    }
}

/// Whose it is, from the body of a head.
pub(super) fn owner(body: &[u8]) -> Result<&str, &'static str> {
    let text = std::str::from_utf8(body).ok();
    match text.and_then(|text| text.strip_prefix("dsbench-node-log ")).and_then(|rest| rest.split_once(' ')) {
        Some(("1", owner)) => Ok(owner),
        _ => Err("it is of a version that this program does not know"),
    }
}

fn check_owner(name: &str, body: &[u8], node: &str) -> Result<(), Fault> {
    match owner(body) {
        Ok(owner) if owner == node => Ok(()),
        Ok(owner) => Err(Fault::Foreign { owner: owner.to_owned() }),
        Err(reason) => Err(Fault::damage(name, 0, reason)),
    }
}
