//! One endpoint's end at the switch: frames are read from it and written to it.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use dsbench_core::network::{Mac, OFFLOAD_BYTES, Offload};
use dsbench_core::observation::Name;
use nix::errno::Errno;

use super::joining::Joining;
use crate::error::WorldError;
use crate::lab::{Cable, CableKind};
use crate::launch::set_nonblocking;

/// The longest frame: 64 KiB of IPv6 payload with all headers, and what may stand before it.
pub(super) const FRAME_BYTES_MAX: usize = OFFLOAD_BYTES + 14 + 40 + 65_536;
/// How many frames one system call moves, where it can move several; and how many are read from one port before the next has its turn.
pub(super) const BATCH: usize = 64;

/// Sets the carrier of an endpoint's network card.
pub type Carrier = Box<dyn FnMut(bool) -> io::Result<()> + Send>;

/// An endpoint's port, as it is given to the switch.
pub struct Port {
    /// Whose it is.
    pub name: Name,
    /// Frames are read from and written to this.
    pub fd: OwnedFd,
    /// How.
    pub kind: PortKind,
    /// The endpoint's Ethernet address.
    pub mac: Mac,
    /// Its IP addresses, but for the link-local one.
    pub ips: Vec<IpAddr>,
    /// How a cable is pulled that is not a TAP's: without it, an unplugged endpoint is only silent.
    pub carrier: Option<Carrier>,
    /// `/proc/net/dev`, opened in the endpoint's network namespace: what the kernel drops there is counted.
    pub statistics: Option<OwnedFd>,
}

impl Port {
    /// A port without anything special.
    pub fn new(name: impl Into<Name>, fd: OwnedFd, kind: PortKind, mac: Mac, ips: Vec<IpAddr>) -> Self {
        Self { name: name.into(), fd, kind, mac, ips, carrier: None, statistics: None }
    }
}

impl From<Cable> for Port {
    /// The end of a machine's cable.
    fn from(Cable { name, fd, kind, mac, ips, statistics }: Cable) -> Self {
        let (kind, carrier) = match kind {
            CableKind::Tap => (PortKind::Tap, None),
            CableKind::TapWithOffloads => (PortKind::TapWithOffloads, None),
            CableKind::Packet(plug) => {
                let carrier: Carrier = Box::new(move |is_in| plug.set(is_in));
                (PortKind::Packet, Some(carrier))
            }
        };
        Self { name, fd, kind, mac, ips, carrier, statistics: Some(statistics) }
    }
}

impl fmt::Debug for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Port").field("name", &self.name).field("fd", &self.fd).field("kind", &self.kind).finish()
    }
}

/// What a port is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PortKind {
    /// The other side of a TAP device: one system call moves one frame.
    Tap,
    /// The same, and what is left to do on a frame stands before it (IFF_VNET_HDR): checksums and long segments are left to the card.
    TapWithOffloads,
    /// A socket that is bound to the other end of a veth pair: one system call moves many.
    Packet,
}

/// A port in use.
pub(super) struct Opened {
    fd: OwnedFd,
    kind: PortKind,
    carrier: Option<Carrier>,
    /// Frames that are to be written, one after the other, and where each ends.
    outgoing: Vec<u8>,
    ends: Vec<usize>,
    /// The same for a TAP with offloads.
    joining: Joining,
    /// False once it is gone.
    is_open: bool,
}

impl Opened {
    /// Takes a port into use.
    pub(super) fn new(fd: OwnedFd, kind: PortKind, carrier: Option<Carrier>) -> Result<Self, WorldError> {
        set_nonblocking(&fd)?;
        let (outgoing, ends) = (Vec::new(), Vec::new());
        Ok(Self { fd, kind, carrier, outgoing, ends, joining: Joining::new(), is_open: true })
    }

    /// What it is.
    pub(super) fn kind(&self) -> PortKind {
        self.kind
    }

    /// Reads what there is, at most a batch. Gives the number of frames, whose bytes are in the batch.
    ///
    /// # Errors
    /// If the port is gone.
    pub(super) fn read(&mut self, batch: &mut Batch) -> io::Result<usize> {
        let read = match self.kind {
            PortKind::Tap => batch.read_one(self.fd.as_fd(), 0),
            PortKind::TapWithOffloads => batch.read_one(self.fd.as_fd(), OFFLOAD_BYTES),
            PortKind::Packet => batch.read_many(self.fd.as_fd()),
        };
        match read {
            // Nothing, instead of nothing yet: only a socket whose other end is closed says so.
            Ok(count) if count > 0 && batch.lengths[0] == 0 => Err(io::ErrorKind::UnexpectedEof.into()),
            // A card that is set down says so once.
            Err(Errno::EAGAIN | Errno::EINTR | Errno::ENETDOWN | Errno::ENOBUFS) => Ok(0),
            read => Ok(read?),
        }
    }

    /// Writes a frame, now or at the next [`flush`](Self::flush).
    pub(super) fn write(&mut self, frame: &[u8], offload: &Offload) -> Written {
        match self.kind {
            PortKind::Tap => Written::of(nix::unistd::write(&self.fd, frame), 1),
            PortKind::TapWithOffloads => {
                self.joining.write(frame, offload, |slices| nix::sys::uio::writev(&self.fd, slices))
            }
            PortKind::Packet => {
                self.outgoing.extend_from_slice(frame);
                self.ends.push(self.outgoing.len());
                if self.ends.len() == BATCH { self.flush() } else { Written::Yes }
            }
        }
    }

    /// Writes what waits to be written.
    pub(super) fn flush(&mut self) -> Written {
        let joined = self.joining.flush(|slices| nix::sys::uio::writev(&self.fd, slices));
        joined.and(self.flush_many())
    }

    fn flush_many(&mut self) -> Written {
        let mut lost = 0;
        let mut start = 0;
        while start < self.ends.len() {
            match send_many(self.fd.as_raw_fd(), &self.outgoing, &self.ends, start) {
                Ok(sent) => start += sent.max(1),
                Err(Errno::EINTR) => {}
                Err(errno) => {
                    lost += u64::from(Written::of(Err(errno), 1) != Written::Yes);
                    start += 1;
                }
            }
        }
        self.outgoing.clear();
        self.ends.clear();
        if lost > 0 { Written::Lost(lost) } else { Written::Yes }
    }

    /// True if something waits to be written.
    pub(super) fn is_behind(&self) -> bool {
        !self.ends.is_empty() || self.joining.is_behind()
    }

    /// Plugs the cable in or out, as the endpoint sees it.
    pub(super) fn set_carrier(&mut self, is_plugged: bool) -> io::Result<()> {
        match (&mut self.carrier, self.kind) {
            (Some(carrier), _) => carrier(is_plugged),
            (None, PortKind::Tap | PortKind::TapWithOffloads) => set_tap_carrier(self.fd.as_raw_fd(), is_plugged),
            (None, PortKind::Packet) => Ok(()),
        }
    }

    /// True until [`close`](Self::close).
    pub(super) fn is_open(&self) -> bool {
        self.is_open
    }

    /// It is gone.
    pub(super) fn close(&mut self) {
        self.is_open = false;
    }
}

impl AsFd for Opened {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// What became of a frame that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Written {
    /// It is with the kernel; or its card is down, and then nothing is to be expected of it.
    Yes,
    /// So many could not be carried.
    Lost(u64),
}

impl Written {
    /// What became of so many frames, by what the kernel said.
    pub(super) fn of(result: nix::Result<usize>, frames: u64) -> Self {
        match result {
            // A card that its own node has set down takes nothing, and one that is gone belongs to a node that is gone: neither is the
            // bench's fault. A giant or a runt of a node is not carried by its neighbour's card either.
            Ok(_)
            | Err(
                Errno::EIO
                | Errno::ENETDOWN
                | Errno::ENXIO
                | Errno::EBADFD
                | Errno::EPIPE
                | Errno::ECONNRESET
                | Errno::EINVAL
                | Errno::EMSGSIZE,
            ) => Self::Yes,
            Err(_) => Self::Lost(frames),
        }
    }

    /// What became of some frames and of others.
    pub(super) fn and(self, others: Self) -> Self {
        match (self, others) {
            (Self::Yes, written) | (written, Self::Yes) => written,
            (Self::Lost(some), Self::Lost(more)) => Self::Lost(some + more),
        }
    }
}

/// Room for frames that are read.
pub(super) struct Batch {
    bytes: Vec<u8>,
    lengths: [usize; BATCH],
    /// How many bytes stand before each frame.
    before: usize,
}

impl Batch {
    pub(super) fn new() -> Self {
        Self { bytes: vec![0; BATCH * FRAME_BYTES_MAX], lengths: [0; BATCH], before: 0 }
    }

    /// The bytes of a frame that was read, and what is left to do on it.
    pub(super) fn frame(&self, index: usize) -> (&[u8], Offload) {
        let start = index * FRAME_BYTES_MAX;
        let (before, frame) =
            self.bytes[start..start + self.lengths[index]].split_at_checked(self.before).unwrap_or((&[], &[]));
        (frame, before.try_into().map_or(Offload::NONE, Offload::new))
    }

    fn read_one(&mut self, fd: BorrowedFd<'_>, before: usize) -> nix::Result<usize> {
        self.before = before;
        self.lengths[0] = nix::unistd::read(fd, &mut self.bytes[..FRAME_BYTES_MAX])?;
        Ok(1)
    }

    #[expect(unsafe_code, reason = "nix's recvmmsg allocates for every call")]
    fn read_many(&mut self, fd: BorrowedFd<'_>) -> nix::Result<usize> {
        // SAFETY: an all-zero header names no buffer and no address.
        let mut headers: [libc::mmsghdr; BATCH] = unsafe { std::mem::zeroed() };
        let mut slices = [libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; BATCH];
        for ((header, slice), room) in
            headers.iter_mut().zip(&mut slices).zip(self.bytes.chunks_exact_mut(FRAME_BYTES_MAX))
        {
            *slice = libc::iovec { iov_base: room.as_mut_ptr().cast(), iov_len: room.len() };
            header.msg_hdr.msg_iov = slice;
            header.msg_hdr.msg_iovlen = 1;
        }
        // SAFETY: every header names one slice, every slice its own part of `bytes`, and all of them outlive the call.
        let read = unsafe {
            libc::recvmmsg(
                fd.as_raw_fd(),
                headers.as_mut_ptr(),
                BATCH as libc::c_uint,
                libc::MSG_DONTWAIT as _,
                std::ptr::null_mut(),
            )
        };
        let read = Errno::result(read)? as usize;
        self.before = 0;
        for (length, header) in self.lengths.iter_mut().zip(&headers[..read]) {
            *length = (header.msg_len as usize).min(FRAME_BYTES_MAX);
        }
        Ok(read)
    }
}

/// Sends the frames from `start` on; gives how many were sent.
#[expect(unsafe_code, reason = "nix's sendmmsg allocates for every call")]
fn send_many(fd: RawFd, bytes: &[u8], ends: &[usize], start: usize) -> nix::Result<usize> {
    // SAFETY: an all-zero header names no buffer and no address.
    let mut headers: [libc::mmsghdr; BATCH] = unsafe { std::mem::zeroed() };
    let mut slices = [libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; BATCH];
    let count = (ends.len() - start).min(BATCH);
    let mut begin = if start == 0 { 0 } else { ends[start - 1] };
    for ((header, slice), end) in headers.iter_mut().zip(&mut slices).zip(&ends[start..start + count]) {
        let frame = &bytes[begin..*end];
        *slice = libc::iovec { iov_base: frame.as_ptr().cast_mut().cast(), iov_len: frame.len() };
        header.msg_hdr.msg_iov = slice;
        header.msg_hdr.msg_iovlen = 1;
        begin = *end;
    }
    // SAFETY: `count` headers name one slice each, and every slice a part of `bytes`, which is only read.
    let sent = unsafe {
        libc::sendmmsg(fd, headers.as_mut_ptr(), count as libc::c_uint, (libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL) as _)
    };
    Errno::result(sent).map(|sent| sent as usize)
}

#[expect(unsafe_code, reason = "an ioctl that nix does not wrap")]
fn set_tap_carrier(fd: RawFd, is_plugged: bool) -> io::Result<()> {
    // _IOW('T', 226, int)
    const TUNSETCARRIER: libc::c_ulong = 0x4004_54e2;
    let value = libc::c_int::from(is_plugged);
    // SAFETY: the request reads one int, which outlives the call.
    Errno::result(unsafe { libc::ioctl(fd, TUNSETCARRIER as _, &raw const value) })?;
    Ok(())
}
