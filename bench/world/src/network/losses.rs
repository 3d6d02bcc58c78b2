//! Frames that the kernel has dropped on their way between an endpoint and the switch: the bench's fault, and counted as that.

use std::fs::File;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};

use dsbench_core::observation::Name;

use super::port::{Port, PortKind};

/// Where the kernel counts.
#[derive(Debug, Default)]
pub(super) struct Losses {
    /// One for each endpoint that has it.
    devices: Vec<Device>,
    /// Packet sockets. What they tell they forget.
    sockets: Vec<OwnedFd>,
    of_sockets: AtomicU64,
}

/// The card of an endpoint.
#[derive(Debug)]
struct Device {
    endpoint: Name,
    /// Its `/proc/net/dev`.
    statistics: File,
    /// What stood there at first, and what was dropped since because its cable was out.
    forgiven: AtomicU64,
    /// What stood there when its cable was pulled; [`PLUGGED`] while it is in.
    at_unplugged: AtomicU64,
}

/// No count of frames.
const PLUGGED: u64 = u64::MAX;

impl Device {
    fn now(&self) -> u64 {
        dropped_by_device(&self.statistics).unwrap_or_else(|| self.forgiven.load(Ordering::Relaxed))
    }

    /// How many frames it has dropped while its cable was in.
    fn count(&self) -> u64 {
        let now = match self.at_unplugged.load(Ordering::Relaxed) {
            PLUGGED => self.now(),
            then => then,
        };
        now.saturating_sub(self.forgiven.load(Ordering::Relaxed))
    }
}

impl Losses {
    /// Begins to count for this port. What cannot be counted is not: it is no reason not to run.
    pub(super) fn watch(&mut self, port: &Port) {
        if let Some(Ok(statistics)) = port.statistics.as_ref().map(OwnedFd::try_clone) {
            let statistics = File::from(statistics);
            let before = dropped_by_device(&statistics).unwrap_or(0);
            self.devices.push(Device {
                endpoint: port.name.clone(),
                statistics,
                forgiven: before.into(),
                at_unplugged: PLUGGED.into(),
            });
        }
        if let (PortKind::Packet, Ok(socket)) = (port.kind, port.fd.try_clone()) {
            self.sockets.push(socket);
        }
    }

    /// The cable of this endpoint is about to be pulled: what its kernel drops from here on is what was asked for.
    pub(super) fn unplugs(&self, endpoint: &str) {
        for device in self.devices.iter().filter(|device| &*device.endpoint == endpoint) {
            let now = device.now();
            // Out is out: a second pull forgives nothing that the first did not.
            let _ = device.at_unplugged.compare_exchange(PLUGGED, now, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// The cable of this endpoint is in again.
    pub(super) fn plugged(&self, endpoint: &str) {
        for device in self.devices.iter().filter(|device| &*device.endpoint == endpoint) {
            let then = device.at_unplugged.swap(PLUGGED, Ordering::Relaxed);
            if then != PLUGGED {
                device.forgiven.fetch_add(device.now().saturating_sub(then), Ordering::Relaxed);
            }
        }
    }

    /// How many frames were dropped since.
    pub(super) fn count(&self) -> u64 {
        let now: u64 = self.sockets.iter().map(dropped_by_socket).sum();
        let of_sockets = self.of_sockets.fetch_add(now, Ordering::Relaxed) + now;
        of_sockets + self.devices.iter().map(Device::count).sum::<u64>()
    }
}

/// What an endpoint's card has dropped, received and sent; none if it cannot be read or has no card.
fn dropped_by_device(file: &File) -> Option<u64> {
    let mut table = [0; 4096];
    let length = file.read_at(&mut table, 0).ok()?;
    dropped(std::str::from_utf8(&table[..length]).ok()?)
}

/// What the card of this table has dropped.
fn dropped(table: &str) -> Option<u64> {
    // Received: bytes, packets, errs, drop, ...; the same again for sent from the ninth on.
    const COLUMNS: [usize; 2] = [3, 11];
    let card = table.lines().filter_map(|line| line.split_once(':')).find(|(name, _)| name.trim() == "eth0")?.1;
    let numbers: Vec<u64> = card.split_whitespace().map_while(|number| number.parse().ok()).collect();
    COLUMNS.iter().map(|column| numbers.get(*column)).sum()
}

/// What a packet socket has dropped since it was asked before.
#[expect(unsafe_code, reason = "a socket option that nix does not wrap")]
fn dropped_by_socket(socket: &OwnedFd) -> u64 {
    const PACKET_STATISTICS: libc::c_int = 6;
    // struct tpacket_stats: packets, drops.
    let mut statistics = [0_u32; 2];
    let mut length = size_of_val(&statistics) as libc::socklen_t;
    // SAFETY: the kernel writes at most `length` bytes into `statistics`.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_PACKET,
            PACKET_STATISTICS,
            statistics.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    // Another kind of socket drops nothing by itself.
    if result == 0 { statistics[1].into() } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
Inter-|   Receive                                                |  Transmit
 face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs drop fifo colls carrier compressed
    lo:    9      9    9   9    9     9          9         9      9       9    9    9    9     9       9          9
  eth0: 6612      75    0    4    0     0          0        75     8090      81    0    3    0     0       0          0
";

    #[test]
    fn what_a_card_drops_in_both_directions_is_counted() {
        assert_eq!(dropped(TABLE), Some(7));
        assert_eq!(dropped("no table"), None);
        assert_eq!(dropped("eth0: 1 2 3"), None);
    }

    #[test]
    fn the_kernels_own_table_is_read_again_and_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("dev");
        std::fs::write(&path, TABLE).unwrap();
        let (_, fd) = nix::unistd::pipe().unwrap();
        let mut port = Port::new("n1", fd, PortKind::Packet, [0; 6], Vec::new());
        port.statistics = Some(File::open(&path).unwrap().into());
        let mut losses = Losses::default();
        losses.watch(&port);
        assert_eq!(losses.count(), 0);
        std::fs::write(&path, TABLE.replace("    3    0", "   13    0")).unwrap();
        assert_eq!((losses.count(), losses.count()), (10, 10));

        // What is dropped while the cable is out is no loss, before and after it is in again.
        losses.unplugs("n1");
        std::fs::write(&path, TABLE.replace("    3    0", "   40    0")).unwrap();
        assert_eq!(losses.count(), 10);
        losses.unplugs("n1");
        losses.plugged("n1");
        assert_eq!(losses.count(), 10);
        std::fs::write(&path, TABLE.replace("    3    0", "   41    0")).unwrap();
        losses.plugged("n1");
        assert_eq!(losses.count(), 11);
    }
}
