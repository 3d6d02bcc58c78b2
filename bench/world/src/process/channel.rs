//! A socket between two processes of the bench: whole messages, with descriptors, and an end that says that the other side died.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, socketpair};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::sys;
use crate::clock::Monotonic;

/// Longest message. What may be longer (a program with its environment) goes by a memory file.
const MESSAGE_BYTES_MAX: usize = 16 * 1024;

/// How long a sender waits for a reader that has much to do (a keeper that freezes a large tree).
const SEND_BOUND: Duration = Duration::from_secs(2);

/// One end.
#[derive(Debug)]
pub(crate) struct Channel(OwnedFd);

/// What came in.
#[derive(Debug)]
pub(crate) enum Received<T> {
    /// A message and its descriptors.
    Message(T, Vec<OwnedFd>),
    /// Nothing, for now.
    Nothing,
    /// The other side is gone, or talks nonsense.
    Ended,
}

impl Channel {
    /// Two ends. Whoever forks must make sure that no stranger keeps a copy of either, or its end is never seen.
    pub(crate) fn pair() -> nix::Result<(Self, Self)> {
        let (one, other) = socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)?;
        Ok((Self(one), Self(other)))
    }

    /// Sends; waits at most [`SEND_BOUND`] if the other side does not read (the kernel lets few messages wait), then EAGAIN.
    pub(crate) fn send(&self, message: &impl Serialize, fds: &[RawFd]) -> nix::Result<()> {
        let bytes = serde_json::to_vec(message).expect("messages hold nothing that JSON cannot");
        let since = Monotonic::now();
        loop {
            let left = SEND_BOUND.saturating_sub(Monotonic::now().since(since));
            match sys::send(&self.0, &bytes, fds, MsgFlags::MSG_DONTWAIT) {
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) if !left.is_zero() => {
                    let mut room = [PollFd::new(self.0.as_fd(), PollFlags::POLLOUT)];
                    // Whatever it says, the next attempt knows better.
                    let _ = poll(&mut room, PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX));
                }
                result => return result,
            }
        }
    }

    /// Receives one message if there is one; never waits.
    pub(crate) fn receive<T: DeserializeOwned>(&self) -> Received<T> {
        let mut buffer = [0; MESSAGE_BYTES_MAX];
        loop {
            return match sys::receive(&self.0, &mut buffer) {
                // A reset says that the other side ended without reading all that it was sent. The kernel tells it once, and before
                // what the other side had said last, which is still there: an exit that a stop has just missed.
                Err(Errno::EINTR | Errno::ECONNRESET) => continue,
                Err(Errno::EAGAIN) => Received::Nothing,
                Ok((length, fds)) if length > 0 => serde_json::from_slice(&buffer[..length])
                    .map_or(Received::Ended, |message| Received::Message(message, fds)),
                Ok(_) | Err(_) => Received::Ended,
            };
        }
    }

    /// A second hold on the same end. The other side sees the end when both are gone.
    pub(crate) fn try_clone(&self) -> std::io::Result<Self> {
        self.0.try_clone().map(Self)
    }

    /// The descriptor, for a process that keeps only this one.
    pub(crate) fn fd(&self) -> &OwnedFd {
        &self.0
    }
}

impl From<OwnedFd> for Channel {
    fn from(socket: OwnedFd) -> Self {
        Self(socket)
    }
}

impl AsFd for Channel {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Channel {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(channel: &Channel) -> Option<String> {
        match channel.receive() {
            Received::Message(text, _) => Some(text),
            Received::Nothing => Some("nothing".to_owned()),
            Received::Ended => None,
        }
    }

    #[test]
    fn the_last_words_of_a_side_that_ended_without_listening_are_heard() {
        let (bench, keeper) = Channel::pair().unwrap();
        keeper.send(&"exited", &[]).unwrap();
        bench.send(&"stop", &[]).unwrap();
        keeper.send(&"empty", &[]).unwrap();
        drop(keeper);
        assert_eq!(next(&bench).as_deref(), Some("exited"));
        assert_eq!(next(&bench).as_deref(), Some("empty"));
        assert_eq!(next(&bench), None);
    }
}
