//! What is typed: lines from stdin, on a terminal or from a pipe.
//!
//! The end of a terminal (Ctrl-D) or of a pipe asks the node to leave. A node without either - started with `</dev/null`, with stdin
//! closed, or in the background of a shell - has nobody who could type, and runs until a signal.

mod editor;

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, IsTerminal, Read};
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt;

use tokio::sync::mpsc;

pub use editor::{Editor, Printer};

/// Nobody types faster; a pipe that writes more waits.
const TYPED_AHEAD: usize = 16;
/// The part of an overlong line that is kept. No command comes near it, and no message, however it is escaped.
pub const LINE_MAX: usize = 256 << 10;

/// What stdin is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stdin {
    /// Somebody sits there.
    Terminal,
    /// A program or a file speaks.
    Pipe,
    /// Nobody can type.
    Nobody,
}

impl Stdin {
    /// Looks at this process's stdin.
    #[must_use]
    pub fn of_this_process() -> Self {
        let stdin = io::stdin();
        if stdin.is_terminal() {
            // Reading from the background would stop the whole process (SIGTTIN).
            let in_foreground = nix::unistd::tcgetpgrp(&stdin).is_ok_and(|group| group == nix::unistd::getpgrp());
            return if in_foreground { Self::Terminal } else { Self::Nobody };
        }
        let file = stdin.as_fd().try_clone_to_owned().map(File::from);
        match file.and_then(|file| file.metadata()).map(|metadata| metadata.file_type()) {
            // /dev/null, which also stands in for a closed stdin.
            Ok(kind) if kind.is_char_device() => Self::Nobody,
            Ok(_) => Self::Pipe,
            Err(_) => Self::Nobody,
        }
    }
}

/// The lines that are typed.
#[derive(Debug)]
pub struct Terminal {
    source: Source,
    /// To be given before what is typed next.
    kept: VecDeque<String>,
}

#[derive(Debug)]
enum Source {
    /// Nobody can type.
    Nobody,
    Lines(mpsc::Receiver<String>),
    Editor {
        editor: Editor,
        prompt: String,
    },
}

impl Terminal {
    /// Reads this process's stdin on a thread of its own, because there is no other way to wait for a terminal.
    ///
    /// # Errors
    /// When that thread cannot be started.
    pub fn read(stdin: Stdin) -> io::Result<Self> {
        if stdin == Stdin::Nobody {
            return Ok(Source::Nobody.into());
        }
        let (typed, lines) = mpsc::channel(TYPED_AHEAD);
        std::thread::Builder::new()
            .name("terminal".to_owned())
            .spawn(move || read_lines(BufReader::new(io::stdin()), &typed))?;
        Ok(Source::Lines(lines).into())
    }

    /// Lines that are edited, each after `prompt`.
    #[must_use]
    pub fn edited(editor: Editor, prompt: String) -> Self {
        Source::Editor { editor, prompt }.into()
    }

    /// The prompt of the next line, where there are prompts.
    pub fn prompt_with(&mut self, text: String) {
        if let Source::Editor { prompt, .. } = &mut self.source {
            *prompt = text;
        }
    }

    /// Gives `line` again, after those that were given back before it and before what is typed next.
    pub fn give_back(&mut self, line: String) {
        self.kept.push_back(line);
    }

    /// The next line, without its end; `None` at the end of the input. Waits for ever where nobody can type.
    pub async fn next(&mut self) -> Option<String> {
        if let Some(line) = self.kept.pop_front() {
            return Some(line);
        }
        match &mut self.source {
            Source::Lines(lines) => lines.recv().await,
            Source::Editor { editor, prompt } => editor.next(prompt).await,
            Source::Nobody => std::future::pending().await,
        }
    }
}

impl From<Source> for Terminal {
    fn from(source: Source) -> Self {
        Self { source, kept: VecDeque::new() }
    }
}

fn read_lines(mut input: impl BufRead, typed: &mpsc::Sender<String>) {
    loop {
        let mut line = Vec::new();
        match input.by_ref().take(LINE_MAX as u64).read_until(b'\n', &mut line) {
            Ok(1..) => {}
            Ok(0) | Err(_) => return,
        }
        if line.len() == LINE_MAX && line.last() != Some(&b'\n') && input.skip_until(b'\n').is_err() {
            return;
        }
        let line = String::from_utf8_lossy(&line).trim().to_owned();
        if typed.blocking_send(line).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines_of(input: &[u8]) -> Vec<String> {
        let (typed, mut lines) = mpsc::channel(100);
        read_lines(input, &typed);
        drop(typed);
        std::iter::from_fn(|| lines.blocking_recv()).collect()
    }

    #[test]
    fn lines_are_trimmed_and_the_last_one_needs_no_end() {
        assert_eq!(lines_of(b"status\r\n\n  quit"), ["status", "", "quit"]);
    }

    #[test]
    fn an_endless_line_is_cut_and_the_next_one_is_read() {
        let mut input = vec![b'x'; 3 * LINE_MAX];
        input.extend(b"\nstatus\n");
        let lines = lines_of(&input);
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[0].len(), LINE_MAX);
        assert_eq!(lines[1], "status");
    }

    #[test]
    fn bytes_that_are_not_text_are_a_line_like_any_other() {
        assert_eq!(lines_of(b"\xff\xfe\nstatus\n")[1], "status");
    }
}
