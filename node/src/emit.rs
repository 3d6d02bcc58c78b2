//! The log: one line per event, for people and for regular expressions.
//!
//! A line is `<RFC 3339, ms, UTC> <id> <LEVEL> <text>` and leaves whole in one `write`, alone or with others that wait, so that lines of
//! processes that share a file do not mix. Nobody who reads slowly may stop a node: lines go through a bounded queue to a thread of their
//! own; while the queue is full (a stalled pipe), new lines are dropped, and the next line that fits is preceded by how many. What must
//! not be lost ([`Log::sure`]) is not dropped; whoever tells many of them waits until they are [written](Log::written). A full disk is
//! waited for like a stalled reader: nothing counts as written that is not. A closed stdout swallows every line, and the node goes on.

use std::fmt;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::time::{Duration, Instant, SystemTime};

use dsbench_wire::NodeId;
use tokio::sync::Notify;

/// A burst of an election is some ten lines; this is minutes of a node that nobody reads.
const QUEUE_LINES: u64 = 1024;
/// Lines that wait are written together, up to what a pipe takes as a whole (PIPE_BUF).
const WRITE_MAX: usize = 4096;
/// A line so soon after another waits for company: a stream of them costs a wake-up and a write for many, and not for each.
const COMPANY: Duration = Duration::from_millis(1);

/// How much a line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// What happened.
    Info,
    /// What went wrong outside, and was dealt with.
    Warn,
    /// What stops the node.
    Error,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
        })
    }
}

/// A full disk is asked again so often.
const FULL_DISK_WAIT: Duration = Duration::from_millis(100);

enum Order {
    Write(String),
    Prompt,
    Unprompt,
    Flushed(SyncSender<()>),
}

/// A handle to the log. Cheap to clone; never blocks.
#[derive(Debug, Clone)]
pub struct Log {
    node: NodeId,
    orders: Sender<Order>,
    queue: Arc<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    /// Orders that were given since the start, and those that are carried out.
    given: AtomicU64,
    done: AtomicU64,
    dropped: AtomicU64,
    progress: Notify,
}

impl Queue {
    fn waiting(&self) -> u64 {
        // In this order, so that what is done meanwhile cannot be more than what was given.
        let done = self.done.load(Ordering::Acquire);
        self.given.load(Ordering::Acquire) - done
    }
}

/// A place in the log: everything told before it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(u64);

impl Log {
    /// A log on this process's stdout. With a `prompt` (stdout is a terminal), each line takes the prompt's place and the prompt
    /// stands again below it.
    ///
    /// # Errors
    /// When the thread that writes cannot be started.
    pub fn stdout(node: NodeId, prompt: Option<String>) -> io::Result<Self> {
        // The descriptor itself and not `io::stdout()`, whose buffer may cut a line into several writes. A closed one is `None`.
        let sink = io::stdout().as_fd().try_clone_to_owned().ok();
        Self::to(node, sink.map(File::from), prompt)
    }

    /// A log on any sink; `None` swallows every line.
    ///
    /// # Errors
    /// When the thread that writes cannot be started.
    pub fn to<W: Write + Send + 'static>(node: NodeId, sink: Option<W>, prompt: Option<String>) -> io::Result<Self> {
        let (orders, lines) = mpsc::channel();
        let queue = Arc::new(Queue::default());
        let shared = Arc::clone(&queue);
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || write_all_lines(&lines, &shared, sink, prompt.as_deref()))?;
        Ok(Self { node, orders, queue })
    }

    /// What happened.
    pub fn info(&self, text: impl fmt::Display) {
        self.event(Level::Info, text);
    }

    /// What went wrong outside, and was dealt with.
    pub fn warn(&self, text: impl fmt::Display) {
        self.event(Level::Warn, text);
    }

    /// What stops the node.
    pub fn error(&self, text: impl fmt::Display) {
        self.event(Level::Error, text);
    }

    /// One line of the log. Control characters in `text` are escaped: it may quote what a stranger sent.
    pub fn event(&self, level: Level, text: impl fmt::Display) {
        let line = self.line(level, text);
        self.enqueue(line);
    }

    /// A line that is not lost, however many wait. Whoever tells many of them waits in between until they are [`written`](Self::written).
    pub fn sure(&self, text: impl fmt::Display) {
        self.confess();
        // There is nobody to tell when the thread is gone.
        let _ = self.put(Order::Write(self.line(Level::Info, text)));
    }

    /// Everything that was told so far, for [`written`](Self::written).
    pub fn place(&self) -> Place {
        Place(self.queue.given.load(Ordering::Acquire))
    }

    /// Waits until everything up to `place` is written: no end of this process can take it back. Dropping the future loses nothing.
    pub async fn written(&self, place: Place) {
        while self.queue.done.load(Ordering::Acquire) < place.0 {
            self.queue.progress.notified().await;
        }
    }

    /// An answer to what was typed: as it is, without stamp; several lines stay together.
    pub fn answer(&self, text: impl fmt::Display) {
        self.enqueue(text.to_string());
    }

    /// Shows the prompt again, after an empty line was typed. Nothing where there is no prompt.
    pub fn prompt(&self) {
        // Lost with a full queue, and no loss: the lines that fill it bring their own prompt.
        let _ = self.offer(Order::Prompt);
    }

    /// Writes what is left, takes the prompt away, and waits for both, but no longer than `patience`: the last act of a node.
    pub fn close(&self, patience: Duration) {
        let deadline = Instant::now() + patience;
        self.flush(patience);
        self.confess();
        let _ = self.put(Order::Unprompt);
        self.flush(deadline.saturating_duration_since(Instant::now()));
    }

    /// Waits until everything so far is written, but no longer than `patience`. Says if it was.
    pub fn flush(&self, patience: Duration) -> bool {
        let (written, wait) = mpsc::sync_channel(1);
        self.put(Order::Flushed(written)) && wait.recv_timeout(patience).is_ok()
    }

    fn line(&self, level: Level, text: impl fmt::Display) -> String {
        let now = humantime::format_rfc3339_millis(SystemTime::now());
        format!("{now} {} {level} {}", self.node, Escaped(&text.to_string()))
    }

    fn enqueue(&self, line: String) {
        if !self.confess() || !self.offer(Order::Write(line)) {
            self.queue.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Queues an order if there is room. Says if there was.
    fn offer(&self, order: Order) -> bool {
        self.queue.waiting() < QUEUE_LINES && self.put(order)
    }

    fn put(&self, order: Order) -> bool {
        self.queue.given.fetch_add(1, Ordering::AcqRel);
        self.orders.send(order).is_ok()
    }

    /// Tells how many lines were lost since this was last told. False when there is not even room for that.
    fn confess(&self) -> bool {
        // The usual case costs no write to what threads share.
        if self.queue.dropped.load(Ordering::Relaxed) == 0 {
            return true;
        }
        let lost = self.queue.dropped.swap(0, Ordering::Relaxed);
        if lost == 0 {
            return true;
        }
        let confession =
            self.line(Level::Warn, format_args!("log lines were lost because nobody read them lost={lost}"));
        let told = self.offer(Order::Write(confession));
        if !told {
            self.queue.dropped.fetch_add(lost, Ordering::Relaxed);
        }
        told
    }
}

/// Text with its control characters and line separators spelled out, so that it stays one line and moves no cursor, and so are characters
/// that turn the direction of text or cannot be seen, so that it is what it looks like.
#[derive(Debug, Clone, Copy)]
pub struct Escaped<'a>(pub &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut plain, mut before) = (0, ' ');
        for (at, c) in self.0.char_indices() {
            if is_harmful(c, before) {
                write!(f, "{}{}", &self.0[plain..at], c.escape_default())?;
                plain = at + c.len_utf8();
            }
            before = c;
        }
        f.write_str(&self.0[plain..])
    }
}

fn is_harmful(c: char, before: char) -> bool {
    match c {
        ' '..='~' => false,
        // Scripts and emoji need joiners; between ASCII characters they only hide.
        '\u{200c}' | '\u{200d}' => before.is_ascii(),
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' => true,
        '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}' => true,
        _ => c.is_control(),
    }
}

/// Back to the first column and clear the line: what follows takes the prompt's place.
const CLEAR: &str = "\r\x1b[K";

fn write_all_lines<W: Write>(lines: &Receiver<Order>, queue: &Queue, mut sink: Option<W>, prompt: Option<&str>) {
    let mut together = Vec::new();
    let mut next = lines.recv().ok();
    while let Some(order) = next.take() {
        let (mut taken, mut written) = (0, None);
        let mut order = Some(order);
        while let Some(now) = order.take() {
            let bytes = rendered(&now, prompt);
            if !together.is_empty() && together.len() + bytes.len() > WRITE_MAX {
                next = Some(now);
                break;
            }
            together.extend(bytes.into_bytes());
            taken += 1;
            if let Order::Flushed(waiter) = now {
                written = Some(waiter);
                break;
            }
            order = lines.try_recv().ok();
        }
        if let Some(open) = &mut sink
            && write_once(open, &together) == Sink::Closed
        {
            sink = None;
        }
        together.clear();
        queue.done.fetch_add(taken, Ordering::AcqRel);
        queue.progress.notify_one();
        if let Some(waiter) = written {
            // The waiter may have lost its patience; then nobody needs the answer.
            let _ = waiter.try_send(());
        }
        if next.is_none() {
            let wrote_at = Instant::now();
            next = lines.recv().ok();
            if next.is_some() {
                std::thread::sleep(COMPANY.saturating_sub(wrote_at.elapsed()));
            }
        }
    }
}

fn rendered(order: &Order, prompt: Option<&str>) -> String {
    match (order, prompt) {
        (Order::Write(line), None) => format!("{line}\n"),
        (Order::Write(line), Some(prompt)) => format!("{CLEAR}{line}\n{prompt}"),
        (Order::Prompt, Some(prompt)) => format!("{CLEAR}{prompt}"),
        (Order::Unprompt, Some(_)) => CLEAR.to_owned(),
        (Order::Prompt | Order::Unprompt, None) | (Order::Flushed(_), _) => String::new(),
    }
}

#[derive(PartialEq)]
enum Sink {
    Open,
    Closed,
}

/// Whether a file that does not take what is written may take it later.
fn may_pass(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge)
}

/// One `write` for whole lines; only what the system takes in parts needs another.
fn write_once(sink: &mut impl Write, mut bytes: &[u8]) -> Sink {
    while !bytes.is_empty() {
        match sink.write(bytes) {
            Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // Someone else who shares the terminal or pipe has made it non-blocking.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(error) if may_pass(&error) => std::thread::sleep(FULL_DISK_WAIT),
            // Nobody reads any more (a pipe, a terminal that hung up), or the file is out of order: there is nobody to tell.
            Err(_) => return Sink::Closed,
        }
    }
    Sink::Open
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    const PATIENCE: Duration = Duration::from_secs(30);

    fn peer1() -> NodeId {
        "peer1".parse().unwrap()
    }

    /// Remembers each single write.
    #[derive(Clone, Default)]
    struct Writes(Arc<Mutex<Vec<String>>>);

    impl Write for Writes {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let text = String::from_utf8(bytes.to_vec()).unwrap();
            self.0.lock().unwrap().push(text);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_line_is_one_write_with_stamp_id_level_and_escaped_text() {
        let writes = Writes::default();
        let log = Log::to(peer1(), Some(writes.clone()), None).unwrap();
        log.warn("bad\nid \u{1b}[2J\u{2028} na\u{ef}ve");
        assert!(log.flush(PATIENCE));
        log.answer("two\nlines");
        assert!(log.flush(PATIENCE));
        let writes = writes.0.lock().unwrap();
        let (stamp, rest) = writes[0].split_once(' ').unwrap();
        assert!(humantime::parse_rfc3339(stamp).is_ok(), "{stamp}");
        assert_eq!(rest, "peer1 WARN bad\\nid \\u{1b}[2J\\u{2028} na\u{ef}ve\n");
        assert_eq!(writes[1], "two\nlines\n");
    }

    #[test]
    fn what_turns_or_hides_text_is_spelled_out_and_what_scripts_and_emoji_need_is_not() {
        let escaped = |text: &str| Escaped(text).to_string();
        assert_eq!(escaped("a\u{202e}b\u{200b}c\u{feff}\u{9b}"), "a\\u{202e}b\\u{200b}c\\u{feff}\\u{9b}");
        assert_eq!(escaped("no\u{200d}thing"), "no\\u{200d}thing");
        for plain in ["na\u{ef}ve \u{1f468}\u{200d}\u{1f469}", "\u{645}\u{6cc}\u{200c}\u{62e}", "\u{5e9}\u{5dc}"] {
            assert_eq!(escaped(plain), plain);
        }
    }

    #[test]
    fn a_line_takes_the_place_of_the_prompt() {
        let writes = Writes::default();
        let log = Log::to(peer1(), Some(writes.clone()), Some("peer1> ".to_owned())).unwrap();
        log.prompt();
        assert!(log.flush(PATIENCE));
        log.answer("role=leader");
        log.close(PATIENCE);
        assert_eq!(*writes.0.lock().unwrap(), ["\r\x1b[Kpeer1> ", "\r\x1b[Krole=leader\npeer1> ", "\r\x1b[K"]);
    }

    #[test]
    fn a_stalled_reader_loses_lines_and_is_told_how_many_but_never_blocks_the_node() {
        let (mut reader, writer) = io::pipe().unwrap();
        let log = Log::to(peer1(), Some(writer), None).unwrap();
        let long = "x".repeat(1000);
        for _ in 0..3 * QUEUE_LINES {
            log.info(&long);
        }
        assert!(!log.flush(Duration::ZERO));
        let (lines, seen) = mpsc::channel();
        std::thread::spawn(move || {
            use io::BufRead;
            let mut reader = io::BufReader::new(&mut reader);
            let mut line = String::new();
            while reader.read_line(&mut line).unwrap() > 0 {
                if lines.send(std::mem::take(&mut line)).is_err() {
                    return;
                }
            }
        });
        assert!(log.flush(PATIENCE));
        log.info("the reader is back");
        assert!(log.flush(PATIENCE));
        drop(log);
        let seen: Vec<String> = seen.iter().collect();
        let kept = seen.iter().filter(|line| line.contains(&long)).count();
        let lost: usize = seen
            .iter()
            .filter_map(|line| line.trim_end().split_once("lost="))
            .map(|(_, count)| count.parse::<usize>().unwrap())
            .sum();
        assert!(lost > 0);
        assert_eq!((kept + lost) as u64, 3 * QUEUE_LINES);
        assert!(seen[seen.len() - 1].contains("the reader is back"));
    }

    /// A disk that is full in the middle of a line for a while, and takes no more than a few bytes at a time.
    #[derive(Clone, Default)]
    struct Crowded {
        refusals: Arc<AtomicU64>,
        written: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Crowded {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut written = self.written.lock().unwrap();
            let is_full = written.len() > 20 && self.refusals.load(Ordering::Relaxed) > 0;
            if is_full {
                self.refusals.fetch_sub(1, Ordering::Relaxed);
                return Err(io::ErrorKind::StorageFull.into());
            }
            let taken = bytes.len().min(7);
            written.extend(&bytes[..taken]);
            Ok(taken)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_full_disk_is_waited_for_and_loses_no_line_that_is_sure() {
        let disk = Crowded { refusals: Arc::new(3.into()), ..Crowded::default() };
        let log = Log::to(peer1(), Some(disk.clone()), None).unwrap();
        for n in 0..10 {
            log.sure(format_args!("line {n}"));
        }
        let place = log.place();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async { tokio::time::timeout(PATIENCE, log.written(place)).await }).unwrap();
        assert_eq!(disk.refusals.load(Ordering::Relaxed), 0, "nothing counts as written while it is not");
        let written = String::from_utf8(disk.written.lock().unwrap().clone()).unwrap();
        let lines: Vec<_> = written.lines().map(|line| line.split_once("INFO ").unwrap().1.to_owned()).collect();
        assert_eq!(lines, (0..10).map(|n| format!("line {n}")).collect::<Vec<_>>());
    }

    #[test]
    fn lines_that_wait_are_written_together_and_never_cut() {
        let writes = Writes::default();
        let held = writes.0.lock().unwrap();
        let log = Log::to(peer1(), Some(writes.clone()), None).unwrap();
        for n in 0..500 {
            log.info(format_args!("line {n} {}", "x".repeat(n)));
        }
        drop(held);
        assert!(log.flush(PATIENCE));
        let writes = writes.0.lock().unwrap();
        assert!(writes.len() < 300, "{} writes", writes.len());
        assert!(writes.iter().all(|write| write.ends_with("x\n") || write.ends_with("line 0 \n")), "{writes:?}");
        assert!(writes.iter().all(|write| write.len() <= WRITE_MAX));
        assert_eq!(writes.concat().lines().count(), 500);
    }

    #[tokio::test]
    async fn what_must_not_be_lost_is_not_lost_and_counts_as_written_only_when_it_is() {
        let (reader, writer) = io::pipe().unwrap();
        let log = Log::to(peer1(), Some(writer), None).unwrap();
        let lines = QUEUE_LINES + 300;
        for n in 0..lines {
            log.sure(format_args!("{n} {}", "x".repeat(1000)));
        }
        let place = log.place();
        assert!(tokio::time::timeout(Duration::ZERO, log.written(place)).await.is_err(), "nobody reads");
        let counted = std::thread::spawn(move || {
            use io::BufRead;
            io::BufReader::new(reader).lines().count() as u64
        });
        tokio::time::timeout(PATIENCE, log.written(place)).await.unwrap();
        log.info("the last");
        log.close(PATIENCE);
        drop(log);
        assert_eq!(counted.join().unwrap(), lines + 1);
    }

    #[test]
    fn a_closed_stdout_swallows_lines_and_does_no_harm() {
        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let log = Log::to(peer1(), Some(writer), None).unwrap();
        for _ in 0..2 * QUEUE_LINES {
            log.info("into the void");
        }
        assert!(log.flush(PATIENCE));
    }
}
