//! One stream of one life of a node: from chunks of bytes to a raw file, its index, lines in the readable log, and matches.

use std::io::IoSlice;
use std::path::Path;

use dsbench_core::observation::{Event, Life, LogLine, Nanos, Output, Shapes};
use dsbench_core::time::RunTime;

use super::file::LogFile;
use super::index::IndexRecord;
use super::newlines;
use super::patterns::{LINE_CONSIDERED, Meaning, Patterns};
use super::text::readable;
use super::view::{StreamKey, View};
use crate::outside::{Happening, Outside};

/// When something was read, and how much earlier it may have been written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Arrival {
    pub(super) at: RunTime,
    pub(super) uncertainty: Nanos,
}

/// The state between two chunks.
pub(super) struct LineStream {
    of: Life,
    output: Output,
    key: StreamKey,
    /// What is put before each line in the readable log.
    prefix: String,
    patterns: Option<Box<dyn Patterns>>,
    /// What its events have in common.
    shapes: Shapes,
    raw: LogFile,
    index: LogFile,
    /// Bytes and newlines so far.
    bytes: u64,
    lines: u64,
    /// The beginning of the line that is not complete yet, at most [`LINE_CONSIDERED`] bytes of it.
    head: Vec<u8>,
    /// Where that line begins in the raw file.
    head_offset: u64,
    /// The line's number in the readable log, once it is so long that a part of it had to be written there.
    long: Option<u64>,
}

/// Where the results of one stream go.
pub(super) struct Sink<'a> {
    pub(super) view: &'a mut View,
    pub(super) emit: &'a mut dyn FnMut(Outside),
}

impl LineStream {
    /// Creates the raw file and its index in `dir`/raw.
    pub(super) fn create(
        dir: &Path,
        of: &Life,
        output: Output,
        key: StreamKey,
        label: bool,
        patterns: Option<Box<dyn Patterns>>,
    ) -> Self {
        let (stream, mark) = match &output {
            Output::Stdout => ("stdout".to_owned(), String::new()),
            Output::Stderr => ("stderr".to_owned(), "[stderr] ".to_owned()),
            // No name of a scenario has a `+`.
            Output::File(path) => (format!("file.{}", path.replace('/', "+")), format!("[{path}] ")),
        };
        let name = format!("raw/{}.{}.{}.{stream}", of.node, of.process, of.life);
        let process = if label { format!("[{}] ", of.process) } else { String::new() };
        Self {
            of: of.clone(),
            output,
            key,
            prefix: process + &mark,
            patterns,
            shapes: Shapes::default(),
            index: LogFile::create(dir, format!("{name}.index")),
            raw: LogFile::create(dir, name),
            bytes: 0,
            lines: 0,
            head: Vec::new(),
            head_offset: 0,
            long: None,
        }
    }

    /// Whose it is.
    pub(super) fn life(&self) -> &Life {
        &self.of
    }

    /// Takes the next bytes.
    pub(super) fn push(&mut self, chunk: &[u8], arrival: Arrival, sink: &mut Sink<'_>) {
        self.raw.write(&mut [IoSlice::new(chunk)]);
        let Arrival { at, uncertainty } = arrival;
        let record = IndexRecord { offset: self.bytes, lines: self.lines, at, uncertainty };
        self.index.write(&mut [IoSlice::new(&record.to_bytes())]);
        self.take_lines(chunk, arrival, sink);
        self.bytes += chunk.len() as u64;
    }

    /// The stream has ended: what is left is a line too.
    pub(super) fn end(&mut self, arrival: Arrival, sink: &mut Sink<'_>) {
        if self.head.is_empty() && self.long.is_none() {
            return;
        }
        self.complete(b"", arrival, sink);
    }

    /// A failure of one of the files, each once.
    pub(super) fn take_failure(&mut self) -> Option<(String, String)> {
        self.raw.take_failure().or_else(|| self.index.take_failure())
    }

    fn take_lines(&mut self, chunk: &[u8], arrival: Arrival, sink: &mut Sink<'_>) {
        let Some(last) = chunk.iter().rposition(|byte| *byte == b'\n') else {
            return self.hold(chunk, self.bytes, sink);
        };
        let mut start = 0;
        if self.long.is_some() || !self.head.is_empty() {
            let first = chunk.iter().position(|byte| *byte == b'\n').expect("there is a last one");
            self.complete(&chunk[..=first], arrival, sink);
            self.lines += 1;
            start = first + 1;
        }
        let whole = &chunk[start..=last];
        if !whole.is_empty() {
            let (offset, line) = (self.bytes + start as u64, sink.view.next_line());
            let count = newlines(whole);
            sink.view.lines(&self.prefix, whole, count);
            self.lines += count;
            self.scan_whole(whole, offset, line, arrival, sink);
        }
        self.hold(&chunk[last + 1..], self.bytes + last as u64 + 1, sink);
    }

    /// Keeps the beginning of an incomplete line; lets the rest of a long one through.
    fn hold(&mut self, part: &[u8], offset: u64, sink: &mut Sink<'_>) {
        if part.is_empty() {
            return;
        }
        if self.head.is_empty() {
            self.head_offset = offset;
        }
        if self.long.is_some() {
            return sink.view.piece(self.key, &self.prefix, part);
        }
        let room = LINE_CONSIDERED - self.head.len();
        if part.len() <= room {
            return self.head.extend_from_slice(part);
        }
        self.long = Some(sink.view.next_line());
        sink.view.first_piece(self.key, &self.prefix, &self.head, part);
        self.head.extend_from_slice(&part[..room]);
    }

    /// Completes the line that was begun; `end` is its remainder up to its newline, or nothing at the end of the stream.
    fn complete(&mut self, end: &[u8], arrival: Arrival, sink: &mut Sink<'_>) {
        let text = end.strip_suffix(b"\n").unwrap_or(end);
        let line = match self.long.take() {
            Some(line) => {
                sink.view.end_piece(self.key, &self.prefix, text);
                line
            }
            None => {
                let line = sink.view.next_line();
                sink.view.line(&self.prefix, &self.head, text);
                line
            }
        };
        let mut head = std::mem::take(&mut self.head);
        let room = LINE_CONSIDERED - head.len();
        head.extend_from_slice(&text[..text.len().min(room)]);
        self.scan(&head, self.head_offset, line, arrival, sink);
        head.clear();
        self.head = head;
    }

    /// Scans complete lines, of which some may be longer than what patterns consider.
    fn scan_whole(&mut self, whole: &[u8], offset: u64, mut line: u64, arrival: Arrival, sink: &mut Sink<'_>) {
        if self.patterns.is_none() {
            return;
        }
        let mut start = 0;
        while start < whole.len() {
            let window = &whole[start..whole.len().min(start + LINE_CONSIDERED + 1)];
            // Whole lines as far as they reach in the window: none of them can be too long.
            let (considered, length) = match window.iter().rposition(|byte| *byte == b'\n') {
                Some(last) => (&window[..=last], last + 1),
                None => {
                    let rest = &whole[start..];
                    let length = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |end| end + 1);
                    (&rest[..LINE_CONSIDERED], length)
                }
            };
            self.scan(considered, offset + start as u64, line, arrival, sink);
            line += newlines(&whole[start..start + length]);
            start += length;
        }
    }

    /// Scans lines that patterns can take as they are.
    fn scan(&mut self, lines: &[u8], offset: u64, line: u64, arrival: Arrival, sink: &mut Sink<'_>) {
        let Some(patterns) = &mut self.patterns else { return };
        let (of, output, shapes) = (&self.of, &self.output, &mut self.shapes);
        patterns.scan(lines, &mut |found| {
            let log = LogLine {
                offset: offset + found.line.start as u64,
                line: line + found.index as u64,
                text: readable(&lines[found.line]).into(),
            };
            let what = match found.meaning {
                Meaning::Ready => Happening::ReadyLine { of: of.clone(), log },
                Meaning::Event { name, fields } => {
                    let fields = shapes.fields(&name, of, output, fields);
                    Happening::Event(Event { fields, uncertainty: arrival.uncertainty, log })
                }
            };
            (sink.emit)(Outside { at: arrival.at, what });
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::Found;

    /// Finds every line that holds `say`.
    struct Say;

    impl Patterns for Say {
        fn scan(&mut self, lines: &[u8], found: &mut dyn FnMut(Found)) {
            let mut start = 0;
            for (index, line) in super::super::lines(lines).enumerate() {
                assert!(line.len() <= LINE_CONSIDERED + 1, "a line of {} bytes", line.len());
                if line.windows(3).any(|word| word == b"say") {
                    let length = line.strip_suffix(b"\n").unwrap_or(line).len();
                    found(Found { index, line: start..start + length, meaning: Meaning::Ready });
                }
                start += line.len();
            }
        }
    }

    /// Lines of all lengths around the one that is considered, some with `say` at their beginning, some only behind that.
    fn text() -> Vec<u8> {
        let mut text = b"\n\nsay first\nnothing\n".to_vec();
        for length in
            [LINE_CONSIDERED - 4, LINE_CONSIDERED - 3, LINE_CONSIDERED, LINE_CONSIDERED + 1, 3 * LINE_CONSIDERED + 7]
        {
            text.extend(b"say ".iter().chain(&vec![b'x'; length]).chain(b"\n"));
            text.extend(vec![b'y'; length].iter().chain(b"say late\nsay short\n"));
        }
        text.extend(b"say unfinished");
        text
    }

    /// What is found when the text comes in pieces of this length; and the readable log.
    fn found(text: &[u8], piece: usize) -> (Vec<(u64, u64)>, Vec<u8>) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("raw")).unwrap();
        let of = Life { node: "n".into(), process: "main".into(), life: 1 };
        let mut stream = LineStream::create(dir.path(), &of, Output::Stdout, 0, false, Some(Box::new(Say)));
        let mut view = View::create(dir.path(), "n");
        let mut found = Vec::new();
        let mut emit = |outside: Outside| {
            if let Happening::ReadyLine { log, .. } = outside.what {
                found.push((log.offset, log.line));
            }
        };
        let mut sink = Sink { view: &mut view, emit: &mut emit };
        let arrival = Arrival { at: RunTime(1), uncertainty: Nanos(0) };
        for chunk in text.chunks(piece) {
            stream.push(chunk, arrival, &mut sink);
            assert!(stream.head.capacity() <= 2 * LINE_CONSIDERED);
        }
        stream.end(arrival, &mut sink);
        assert_eq!(std::fs::read(dir.path().join("raw/n.main.1.stdout")).unwrap(), text);
        (found, std::fs::read(dir.path().join("n_log.txt")).unwrap())
    }

    #[test]
    fn what_is_found_does_not_depend_on_how_the_bytes_come() {
        let text = text();
        let (whole, log) = found(&text, text.len());
        let wanted = text.windows(4).filter(|word| word == b"say ").count() - 3;
        assert_eq!(whole.len(), wanted, "all but those behind the beginning of a long line");
        let mut expected = text.clone();
        expected.push(b'\n');
        assert!(log == expected, "one stream alone is shown as it is");
        for (offset, line) in &whole {
            let before = &text[..usize::try_from(*offset).unwrap()];
            assert_eq!(*line, newlines(before) + 1);
        }
        for piece in [1, 2, 3, 1000, LINE_CONSIDERED - 1, LINE_CONSIDERED, LINE_CONSIDERED + 1, 200_000] {
            // Byte by byte takes a system call each; the lines around the bound are what matters.
            let text = if piece < 10 { &text[..2 * LINE_CONSIDERED] } else { &text[..] };
            let (found, log) = found(text, piece);
            assert!(whole.starts_with(&found), "pieces of {piece}");
            assert!(log[..text.len()] == *text, "pieces of {piece}");
        }
    }
}
