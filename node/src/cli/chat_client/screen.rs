//! What a client's person or program types and sees: on a terminal with line editing and history, on a pipe line by line.

use std::io::{self, IsTerminal, Write};

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::terminal::{Editor, Printer, Stdin, Terminal};

/// Where lines come from, and where they go.
pub(super) struct Screen {
    terminal: Terminal,
    printer: Option<Printer>,
    terminated: Signal,
    interrupted: Signal,
}

/// What comes from there.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Typed {
    Line(String),
    /// The end of the input.
    End,
    /// SIGINT or SIGTERM.
    Signal,
}

impl Screen {
    /// Inside a runtime.
    pub(super) fn open() -> io::Result<Self> {
        let (terminated, interrupted) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let stdin = Stdin::of_this_process();
        let (terminal, printer) = if stdin == Stdin::Terminal && io::stdout().is_terminal() {
            let (editor, printer) = Editor::open()?;
            (Terminal::edited(editor, String::new()), Some(printer))
        } else {
            (Terminal::read(stdin)?, None)
        };
        Ok(Self { terminal, printer, terminated, interrupted })
    }

    pub(super) fn is_terminal(&self) -> bool {
        self.printer.is_some()
    }

    pub(super) fn prompt_with(&mut self, prompt: String) {
        self.terminal.prompt_with(prompt);
    }

    /// What comes next: a signal, or, if lines are wanted, a line or their end. Dropping the future loses nothing.
    pub(super) async fn next(&mut self, wants_lines: bool) -> Typed {
        tokio::select! {
            Some(()) = self.terminated.recv() => Typed::Signal,
            Some(()) = self.interrupted.recv() => Typed::Signal,
            line = self.terminal.next(), if wants_lines => line.map_or(Typed::End, Typed::Line),
        }
    }

    /// Shows a line, or several. Fails when nobody can see it any more.
    pub(super) fn show(&mut self, line: &str) -> io::Result<()> {
        let line = format!("{line}\n");
        match &mut self.printer {
            Some(printer) => printer.write_all(line.as_bytes()),
            None => {
                let mut out = io::stdout().lock();
                out.write_all(line.as_bytes()).and_then(|()| out.flush())
            }
        }
    }
}
