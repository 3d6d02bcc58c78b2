//! Looking for peers on a range of ports: whoever answers `STATUS` as a chat node does is one.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use dsbench_wire::{Endpoint, MAX_LINE, NodeId};
use serde::Deserialize;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::config::{self, SettingsError};
use crate::emit::Log;

/// A peer of this machine or network answers at once.
const PATIENCE: Duration = Duration::from_millis(500);
const PAUSE: Duration = Duration::from_secs(1);

/// Ports, the first and the last included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PortRange {
    first: u16,
    last: u16,
}

impl FromStr for PortRange {
    type Err = SettingsError;

    fn from_str(text: &str) -> Result<Self, SettingsError> {
        let refused = || SettingsError::PortRange(format!("{text:?}"));
        let (first, last) = text.split_once('-').ok_or_else(refused)?;
        match (first.parse(), last.parse()) {
            (Ok(first), Ok(last)) if 0 < first && first <= last => Ok(Self { first, last }),
            _ => Err(refused()),
        }
    }
}

/// The peers on these ports. Where others are known already, one look must do; otherwise this looks until there is somebody.
pub(super) async fn peers(
    listen: &Endpoint,
    range: PortRange,
    once: bool,
    log: &Log,
    screen: Option<&Log>,
) -> BTreeMap<NodeId, Endpoint> {
    let mut was_told = false;
    loop {
        let mut found = BTreeMap::new();
        for port in (range.first..=range.last).filter(|&port| port != listen.port()) {
            let Ok(place) = Endpoint::new(listen.host(), port) else { continue };
            if let Ok(Some(id)) = timeout(PATIENCE, asks(&place)).await {
                log.info(format_args!("found peer={id} address={place}"));
                found.insert(id, place);
            }
        }
        if once || !found.is_empty() {
            return found;
        }
        if !was_told {
            was_told = true;
            let PortRange { first, last } = range;
            let told = format!(
                "no peer on the ports {first} to {last} of {} yet, looking on (the first peer is started without)",
                listen.host()
            );
            log.info(&told);
            if let Some(screen) = screen {
                screen.answer(format_args!("* {told}"));
            }
        }
        sleep(PAUSE).await;
    }
}

#[derive(Deserialize)]
struct Status {
    node_id: u64,
}

async fn asks(place: &Endpoint) -> Option<NodeId> {
    let mut stream = TcpStream::connect((place.host(), place.port())).await.ok()?;
    stream.write_all(b"{\"type\":\"STATUS\"}\n").await.ok()?;
    let mut line = Vec::new();
    BufReader::new(stream).take(MAX_LINE as u64).read_until(b'\n', &mut line).await.ok()?;
    let Status { node_id } = serde_json::from_slice(&line).ok()?;
    Some(config::number(node_id))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_two_ends() {
        assert_eq!("6001-6010".parse::<PortRange>().ok(), Some(PortRange { first: 6001, last: 6010 }));
        for wrong in ["", "6001", "6010-6001", "0-5", "6001-70000", "a-b"] {
            assert!(wrong.parse::<PortRange>().is_err(), "{wrong}");
        }
    }
}
