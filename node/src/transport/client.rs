//! Programs that are no member: they ask on a connection, and are answered on it.
//!
//! Many requests may be open at once; answers come in the order in which they are known, and each names its request. Whoever asks more
//! than it reads is not read any further. What they say is a matter of the system's [`Dialect`](super::Dialect).

use std::io;
use std::sync::Arc;

use tokio::io::AsyncWriteExt;
use tokio::net::tcp::OwnedWriteHalf;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::task::AbortHandle;

use crate::messages::Feed;

/// Open requests of one connection.
const OPEN_MAX: u32 = 1024;
/// Places that the next lines of what a client follows take, however many these are: whoever does not read costs four times what is given at
/// once.
const FOLLOWED: u32 = OPEN_MAX / 4;
/// Answers that wait are written together, up to so many bytes.
const WRITE_MAX: usize = 64 << 10;

/// Where one answer goes. Dropped unused, the client gets none.
#[derive(Debug)]
pub struct ReplyTo {
    lines: mpsc::UnboundedSender<(Arc<[u8]>, OwnedSemaphorePermit)>,
    place: OwnedSemaphorePermit,
    msg_id: Option<String>,
}

impl ReplyTo {
    /// The UUID that the client gave what it asked for, if any.
    pub(super) fn msg_id(&self) -> Option<&str> {
        self.msg_id.as_deref()
    }

    /// The same place, for what the client knows by this UUID.
    pub(super) fn of(self, msg_id: Option<String>) -> Self {
        Self { msg_id, ..self }
    }

    /// Sends one line, its newline included.
    pub(super) fn send(self, line: String) {
        // The connection may be gone: then nobody waits.
        let _ = self.lines.send((line.into_bytes().into(), self.place));
    }
}

/// The writing half of a client's connection.
#[derive(Debug)]
pub(super) struct Client {
    lines: mpsc::UnboundedSender<(Arc<[u8]>, OwnedSemaphorePermit)>,
    places: Arc<Semaphore>,
    writing: AbortHandle,
    following: Option<Following>,
}

/// What a client follows. However often it asks, this is one task with one open file.
#[derive(Debug)]
struct Following {
    /// How often it was asked, and after which place the last time.
    wanted: watch::Sender<(u64, u64)>,
    /// The last time that it was caught up with.
    caught_up: watch::Receiver<u64>,
    failure: mpsc::Receiver<io::Error>,
    task: AbortHandle,
}

impl Client {
    pub(super) fn start(stream: OwnedWriteHalf) -> Self {
        let (lines, queue) = mpsc::unbounded_channel();
        let writing = tokio::spawn(write(stream, queue)).abort_handle();
        Self { lines, places: Arc::new(Semaphore::new(OPEN_MAX as usize)), writing, following: None }
    }

    /// A place for one more answer, as soon as there is one.
    pub(super) async fn place(&self) -> ReplyTo {
        let place = Arc::clone(&self.places).acquire_owned().await.expect("the semaphore is never closed");
        ReplyTo { lines: self.lines.clone(), place, msg_id: None }
    }

    /// Sends every line of `feed` after the place `after`, from now on and in place of what was followed before: as fast as the client
    /// reads.
    pub(super) fn follow(&mut self, feed: &Feed, after: u64) {
        if let Some(following) = &self.following {
            return following.wanted.send_modify(|wanted| *wanted = (wanted.0 + 1, after));
        }
        let (wanted, asked) = watch::channel((1, after));
        let (reached, caught_up) = watch::channel(0);
        let (failed, failure) = mpsc::channel(1);
        let (feed, lines, places) = (feed.clone(), self.lines.clone(), Arc::clone(&self.places));
        let task = tokio::spawn(async move {
            if let Err(error) = follows(feed, asked, reached, lines, places).await {
                // Nobody listens any more when the connection has ended.
                let _ = failed.send(error).await;
            }
        });
        self.following = Some(Following { wanted, caught_up, failure, task: task.abort_handle() });
    }

    /// Why what the client follows cannot be read; for ever pending while it can.
    pub(super) async fn failure(&mut self) -> io::Error {
        let Some(following) = &mut self.following else { return std::future::pending().await };
        match following.failure.recv().await {
            Some(error) => error,
            None => std::future::pending().await,
        }
    }

    /// Waits until every answer is written, and what was there of what it follows: a program may end its questions before it reads.
    pub(super) async fn is_answered(&mut self) {
        if let Some(mut following) = self.following.take() {
            let asked = following.wanted.borrow().0;
            // An error means that the task has ended.
            let _ = following.caught_up.wait_for(|&reached| reached >= asked).await;
            following.task.abort();
        }
        // Fails only when it is closed, which it never is.
        let _ = self.places.acquire_many(OPEN_MAX).await;
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.writing.abort();
        if let Some(following) = &self.following {
            following.task.abort();
        }
    }
}

async fn follows(
    feed: Feed,
    mut asked: watch::Receiver<(u64, u64)>,
    reached: watch::Sender<u64>,
    lines: mpsc::UnboundedSender<(Arc<[u8]>, OwnedSemaphorePermit)>,
    places: Arc<Semaphore>,
) -> io::Result<()> {
    loop {
        let (time, after) = *asked.borrow_and_update();
        let mut follower = feed.after(after)?;
        // Finding the place has read from the disk.
        tokio::task::yield_now().await;
        loop {
            let next = tokio::select! {
                biased;
                again = asked.changed() => match again {
                    Ok(()) => break,
                    Err(_) => return Ok(()),
                },
                next = follower.next() => next?,
            };
            let Some(next) = next else { return Ok(()) };
            let Ok(place) = Arc::clone(&places).acquire_many_owned(FOLLOWED).await else { return Ok(()) };
            if lines.send((next, place)).is_err() {
                return Ok(());
            }
            if follower.is_upto_date() {
                reached.send_if_modified(|reached| std::mem::replace(reached, time) != time);
            }
        }
    }
}

async fn write(mut stream: OwnedWriteHalf, mut queue: mpsc::UnboundedReceiver<(Arc<[u8]>, OwnedSemaphorePermit)>) {
    // Nothing to be done where it is refused: answers are small, and go out at once.
    let _ = stream.as_ref().set_nodelay(true);
    let mut together = Vec::new();
    let mut places = Vec::new();
    while let Some((first, place)) = queue.recv().await {
        together.clear();
        places.push(place);
        while together.len().max(first.len()) < WRITE_MAX
            && let Ok((more, place)) = queue.try_recv()
        {
            if together.is_empty() {
                together.extend_from_slice(&first);
            }
            together.extend_from_slice(&more);
            places.push(place);
        }
        let bytes = if together.is_empty() { &*first } else { &together };
        if stream.write_all(bytes).await.is_err() {
            return;
        }
        places.clear();
    }
}
