//! One connection to a node: lines in and out, neither of which waits for the other.

use std::io;
use std::time::Duration;

use dsbench_wire::Endpoint;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::time::{Instant, timeout};

/// A dial that takes longer leads nowhere.
const DIAL_PATIENCE: Duration = Duration::from_secs(2);
/// The longest line of a node: a delivery of which every byte is escaped.
const LINE_MAX: usize = 256 << 10;

pub(super) async fn dial(node: Endpoint) -> io::Result<(Incoming, Outgoing)> {
    let dial = TcpStream::connect((node.host(), node.port()));
    let stream =
        timeout(DIAL_PATIENCE, dial).await.map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "no answer"))??;
    stream.set_nodelay(true)?;
    let (read, write) = stream.into_split();
    let incoming = Incoming { read: BufReader::new(read), line: Vec::new() };
    Ok((incoming, Outgoing { write, bytes: Vec::new(), moved: Instant::now() }))
}

pub(super) struct Incoming {
    read: BufReader<OwnedReadHalf>,
    line: Vec<u8>,
}

impl Incoming {
    /// The next whole line; nothing when the node has closed. Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            let found = self.read.fill_buf().await?;
            if found.is_empty() {
                return Ok(None);
            }
            let end = found.iter().position(|&byte| byte == b'\n');
            let taken = end.map_or(found.len(), |end| end + 1);
            self.line.extend_from_slice(&found[..taken]);
            self.read.consume(taken);
            if end.is_some() {
                return Ok(Some(std::mem::take(&mut self.line)));
            }
            if self.line.len() > LINE_MAX {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "it does not speak as a chat node does"));
            }
        }
    }
}

/// What is to be sent. A node that waits until its answers are read does not read meanwhile: so it goes out beside the reading.
pub(super) struct Outgoing {
    write: OwnedWriteHalf,
    bytes: Vec<u8>,
    /// When the node last took something.
    moved: Instant,
}

impl Outgoing {
    pub(super) fn queue(&mut self, lines: &str) {
        if self.bytes.is_empty() {
            self.moved = Instant::now();
        }
        self.bytes.extend_from_slice(lines.as_bytes());
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// For how long the node has taken nothing of what is to be sent.
    pub(super) fn stuck(&self) -> Duration {
        if self.bytes.is_empty() { Duration::ZERO } else { self.moved.elapsed() }
    }

    /// Sends some of it. Dropping the future loses nothing, and sends nothing twice.
    pub(super) async fn send(&mut self) -> io::Result<()> {
        let sent = self.write.write(&self.bytes).await?;
        self.bytes.drain(..sent);
        self.moved = Instant::now();
        Ok(())
    }
}
