//! The readable log of one node: `<node>_log.txt`.
//!
//! The lines of all its processes, lives and streams in the order in which they were read, each line whole. Standard error is marked `[stderr] `,
//! and where a node has several processes, the process is named too. A marker line stands at each start. A last line without a
//! newline gets one. A line that only looks like a marker, because the node has printed it so, is marked `[stdout] `.
//!
//! A line that is too long to be held back until it is whole ([`LINE_CONSIDERED`](super::LINE_CONSIDERED)) is written as it comes. If another stream has a line to
//! show in the meantime, the long one is cut there with ` ...`, and goes on in a line of its own that begins with `... `. The raw files
//! know no such cuts.

use std::io::IoSlice;
use std::path::Path;

use super::file::LogFile;
use super::lines;

/// Names a stream within the view.
pub(super) type StreamKey = u64;

/// How a line of the bench's own begins.
const MARKER: &[u8] = b"--- dsbench: ";
/// What stands before a line of a node that begins like one.
const STDOUT: &str = "[stdout] ";

/// The prefix that a node's line gets, which comes in two parts.
fn honest<'p>(prefix: &'p str, head: &[u8], more: &[u8]) -> &'p str {
    let is_forged = || head.iter().chain(more).take(MARKER.len()).eq(MARKER);
    if prefix.is_empty() && is_forged() { STDOUT } else { prefix }
}

/// The file and what is open in it.
#[derive(Debug)]
pub(super) struct View {
    file: LogFile,
    /// Complete lines in the file.
    lines: u64,
    /// The stream whose long line is being written.
    open: Option<StreamKey>,
    scratch: Vec<u8>,
}

impl View {
    /// An empty log of a node.
    pub(super) fn create(dir: &Path, node: &str) -> Self {
        Self { file: LogFile::create(dir, format!("{node}_log.txt")), lines: 0, open: None, scratch: Vec::new() }
    }

    /// The number that the next line will have, from 1.
    pub(super) fn next_line(&mut self) -> u64 {
        self.cut();
        self.lines + 1
    }

    /// Writes complete lines, each with its newline; `count` is how many.
    pub(super) fn lines(&mut self, prefix: &str, whole: &[u8], count: u64) {
        self.cut();
        self.lines += count;
        if prefix.is_empty() && memchr::memmem::find(whole, MARKER).is_none() {
            self.file.write(&mut [IoSlice::new(whole)]);
            return;
        }
        self.scratch.clear();
        for line in lines(whole) {
            self.scratch.extend_from_slice(honest(prefix, line, b"").as_bytes());
            self.scratch.extend_from_slice(line);
        }
        self.file.write(&mut [IoSlice::new(&self.scratch)]);
    }

    /// Writes one line that came in two parts, and its newline.
    pub(super) fn line(&mut self, prefix: &str, head: &[u8], end: &[u8]) {
        self.cut();
        self.lines += 1;
        let prefix = honest(prefix, head, end);
        self.file.write(&mut [
            IoSlice::new(prefix.as_bytes()),
            IoSlice::new(head),
            IoSlice::new(end),
            IoSlice::new(b"\n"),
        ]);
    }

    /// Writes the first piece of a long line, which came in two parts.
    pub(super) fn first_piece(&mut self, of: StreamKey, prefix: &str, head: &[u8], more: &[u8]) {
        self.cut();
        let prefix = honest(prefix, head, more);
        self.file.write(&mut [IoSlice::new(prefix.as_bytes()), IoSlice::new(head), IoSlice::new(more)]);
        self.open = Some(of);
    }

    /// Writes a further piece of a long line.
    pub(super) fn piece(&mut self, of: StreamKey, prefix: &str, piece: &[u8]) {
        if self.open == Some(of) {
            self.file.write(&mut [IoSlice::new(piece)]);
            return;
        }
        self.cut();
        self.file.write(&mut [IoSlice::new(prefix.as_bytes()), IoSlice::new(b"... "), IoSlice::new(piece)]);
        self.open = Some(of);
    }

    /// Writes the end of a long line, and its newline.
    pub(super) fn end_piece(&mut self, of: StreamKey, prefix: &str, piece: &[u8]) {
        self.piece(of, prefix, piece);
        self.file.write(&mut [IoSlice::new(b"\n")]);
        self.open = None;
        self.lines += 1;
    }

    /// Writes a line of the bench's own.
    pub(super) fn marker(&mut self, text: &str) {
        self.cut();
        self.lines += 1;
        self.file.write(&mut [IoSlice::new(MARKER), IoSlice::new(text.as_bytes()), IoSlice::new(b"\n")]);
    }

    /// What went wrong with the file, once.
    pub(super) fn take_failure(&mut self) -> Option<(String, String)> {
        self.file.take_failure()
    }

    /// Cuts a long line that is open.
    fn cut(&mut self) {
        if self.open.take().is_some() {
            self.file.write(&mut [IoSlice::new(b" ...\n")]);
            self.lines += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(write: impl FnOnce(&mut View)) -> (String, u64) {
        let dir = tempfile::tempdir().unwrap();
        let mut view = View::create(dir.path(), "n");
        write(&mut view);
        assert_eq!(view.take_failure(), None);
        (std::fs::read_to_string(dir.path().join("n_log.txt")).unwrap(), view.lines)
    }

    #[test]
    fn lines_are_marked_by_stream_and_counted() {
        let (text, lines) = written(|view| {
            view.marker("n started");
            view.lines("", b"hello\nyou\n", 2);
            assert_eq!(view.next_line(), 4);
            view.lines("[stderr] ", b"oh\nno\n", 2);
            view.line("[x] ", b"in", b"side");
        });
        assert_eq!(text, "--- dsbench: n started\nhello\nyou\n[stderr] oh\n[stderr] no\n[x] inside\n");
        assert_eq!(lines, 6);
    }

    #[test]
    fn a_node_cannot_speak_in_the_name_of_the_bench() {
        let (text, lines) = written(|view| {
            view.marker("n started");
            view.lines("", b"a\n--- dsbench: n ended\nb --- dsbench: c\n", 3);
            view.line("", b"--- ds", b"bench: n ended");
            view.line("", b"--- dsbench: n", b" ended");
            view.first_piece(1, "", b"--- ", b"dsbench: n ended");
            view.end_piece(1, "", b"!");
            view.lines("[stderr] ", b"--- dsbench: n ended\n", 1);
        });
        let told = "--- dsbench: n started\na\n[stdout] --- dsbench: n ended\nb --- dsbench: c\n[stdout] --- dsbench: n ended\n\
                    [stdout] --- dsbench: n ended\n[stdout] --- dsbench: n ended!\n[stderr] --- dsbench: n ended\n";
        assert_eq!((text.as_str(), lines), (told, 8));
    }

    #[test]
    fn a_long_line_is_cut_only_where_another_stream_speaks() {
        let (text, lines) = written(|view| {
            view.first_piece(1, "", b"lo", b"ng");
            view.piece(1, "", b"er");
            view.lines("[stderr] ", b"oops\n", 1);
            view.piece(1, "", b"still");
            view.end_piece(1, "", b"done");
            view.lines("", b"next\n", 1);
        });
        assert_eq!(text, "longer ...\n[stderr] oops\n... stilldone\nnext\n");
        assert_eq!(lines, text.lines().count() as u64);
    }
}
