//! What is written to a TAP device with offloads: datagrams that come one after the other are handed over as one, and all else at once.

use std::io::IoSlice;

use dsbench_core::network::{Coalesced, Offload};
use nix::errno::Errno;

use super::port::Written;

/// The datagrams that wait for the end of their batch.
pub(super) struct Joining {
    /// None once the kernel has refused to cut them apart.
    waiting: Option<Coalesced>,
}

impl Joining {
    /// None wait.
    pub(super) fn new() -> Self {
        Self { waiting: Some(Coalesced::default()) }
    }

    /// True if some wait.
    pub(super) fn is_behind(&self) -> bool {
        self.waiting.as_ref().is_some_and(|waiting| waiting.count() > 0)
    }

    /// Lets a frame wait, or writes it behind those that do, with a function that writes slices as one.
    pub(super) fn write(
        &mut self,
        frame: &[u8],
        offload: &Offload,
        mut write: impl FnMut(&[IoSlice<'_>]) -> nix::Result<usize>,
    ) -> Written {
        if self.wait(frame, offload) {
            return Written::Yes;
        }
        // In their order: first what waits.
        let before = self.flush(&mut write);
        if self.wait(frame, offload) { before } else { before.and(alone(frame, offload, write)) }
    }

    fn wait(&mut self, frame: &[u8], offload: &Offload) -> bool {
        self.waiting.as_mut().is_some_and(|waiting| waiting.add(frame, offload))
    }

    /// Writes what waits.
    pub(super) fn flush(&mut self, mut write: impl FnMut(&[IoSlice<'_>]) -> nix::Result<usize>) -> Written {
        let Some(waiting) = self.waiting.as_mut().filter(|waiting| waiting.count() > 0) else { return Written::Yes };
        let count = waiting.count() as u64;
        let result = write(&[IoSlice::new(waiting.joined())]);
        if count > 1 && result == Err(Errno::EINVAL) {
            // A kernel before 6.2 cannot cut datagrams apart: it gets them one by one from here on.
            let mut all = Written::Yes;
            waiting.each(|offload, frame| all = all.and(alone(frame, offload, &mut write)));
            self.waiting = None;
            return all;
        }
        waiting.clear();
        Written::of(result, count)
    }
}

fn alone(frame: &[u8], offload: &Offload, mut write: impl FnMut(&[IoSlice<'_>]) -> nix::Result<usize>) -> Written {
    Written::of(write(&[IoSlice::new(offload.bytes()), IoSlice::new(frame)]), 1)
}

#[cfg(test)]
mod tests {
    use dsbench_core::network::frames::{Envelope, mac};
    use dsbench_core::network::{DATAGRAMS_MAX, OFFLOAD_BYTES};

    use super::*;

    /// A datagram whose checksum is left to the card. Its last byte tells it from others.
    fn datagram(number: u8, port: u16) -> (Vec<u8>, Offload) {
        let (from, to) = ([10, 77, 0, 1].into(), [10, 77, 0, 2].into());
        let mut frame = Envelope { from_mac: mac(1), to_mac: mac(2), from, to }.udp((port, 8), &[7, number]);
        // The sum of the pseudo-header: both addresses, UDP, and its length.
        frame[40..42].copy_from_slice(&(2 * 0x0a4d + 1 + 2 + 17 + 10_u16).to_be_bytes());
        let mut left = [0; OFFLOAD_BYTES];
        left[0] = 1;
        left[6..8].copy_from_slice(&34_u16.to_ne_bytes());
        left[8..10].copy_from_slice(&6_u16.to_ne_bytes());
        (frame, Offload::new(left))
    }

    /// A kernel that takes at most so many at once: the last bytes of what it took, and how many writes there were.
    struct Kernel {
        can_cut: bool,
        took: Vec<u8>,
        writes: usize,
    }

    impl Kernel {
        fn write(&mut self, slices: &[IoSlice<'_>]) -> nix::Result<usize> {
            let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
            let payload = &bytes[OFFLOAD_BYTES + 42..];
            self.writes += 1;
            if payload.len() > 2 && !self.can_cut {
                return Err(Errno::EINVAL);
            }
            self.took.extend(payload.chunks(2).map(|payload| payload[1]));
            Ok(bytes.len())
        }
    }

    fn all_written(can_cut: bool, ports: impl Fn(u8) -> u16, count: u8) -> Kernel {
        let mut kernel = Kernel { can_cut, took: Vec::new(), writes: 0 };
        let mut joining = Joining::new();
        for number in 0..count {
            let (frame, offload) = datagram(number, ports(number));
            assert_eq!(joining.write(&frame, &offload, |slices| kernel.write(slices)), Written::Yes);
        }
        assert_eq!(joining.flush(|slices| kernel.write(slices)), Written::Yes);
        assert!(!joining.is_behind());
        assert_eq!(kernel.took, (0..count).collect::<Vec<_>>());
        kernel
    }

    #[test]
    fn datagrams_of_one_flow_are_written_together_and_in_their_order() {
        assert_eq!(all_written(true, |_| 7, 40).writes, 40_usize.div_ceil(DATAGRAMS_MAX));
        // Two flows that take turns.
        assert_eq!(all_written(true, |number| number.into(), 40).writes, 40);
        assert_eq!(all_written(true, |number| u16::from(number / 4), 40).writes, 10);
    }

    #[test]
    fn a_kernel_that_cannot_cut_them_gets_each_alone_and_is_asked_once() {
        assert_eq!(all_written(false, |_| 7, 40).writes, 41);
    }

    #[test]
    fn what_has_nothing_left_to_do_is_written_at_once_behind_what_waits() {
        let mut kernel = Kernel { can_cut: true, took: Vec::new(), writes: 0 };
        let mut joining = Joining::new();
        let (frame, offload) = datagram(1, 7);
        joining.write(&frame, &offload, |slices| kernel.write(slices));
        assert!(joining.is_behind() && kernel.took.is_empty());
        joining.write(&datagram(2, 7).0, &Offload::NONE, |slices| kernel.write(slices));
        assert!(!joining.is_behind());
        assert_eq!(kernel.took, [1, 2]);
    }

    #[test]
    fn what_cannot_be_written_is_lost_with_all_that_it_joins() {
        let mut joining = Joining::new();
        for number in 0..3 {
            let (frame, offload) = datagram(number, 7);
            joining.write(&frame, &offload, |_| unreachable!("they wait"));
        }
        assert_eq!(joining.flush(|_| Err(Errno::ENOMEM)), Written::Lost(3));
        assert!(!joining.is_behind());
    }
}
