//! A terminal with a person at it: line editing and history, and lines that appear above what is being typed.

use std::fmt;
use std::io::{self, Write};

use nix::sys::termios::{SetArg, Termios, tcgetattr, tcsetattr};
use rustyline::error::ReadlineError;
use rustyline::{DefaultEditor, ExternalPrinter};
use tokio::sync::mpsc;

use super::TYPED_AHEAD;

/// Gives the lines that are typed, one after the other.
#[derive(Debug)]
pub struct Editor {
    lines: mpsc::Receiver<String>,
    prompts: std::sync::mpsc::Sender<String>,
    /// The prompt is on the screen.
    is_asked: bool,
    mode: Option<Termios>,
}

/// Shows lines above what is being typed.
pub struct Printer(Box<dyn ExternalPrinter + Send>);

impl Editor {
    /// Takes this process's terminal over, on a thread of its own.
    ///
    /// # Errors
    /// When the system refuses it.
    pub fn open() -> io::Result<(Self, Printer)> {
        // Whoever ends while a line is being typed gives the terminal back as it was.
        let mode = tcgetattr(io::stdin()).ok();
        let mut editor = DefaultEditor::new().map_err(io::Error::other)?;
        let printer = editor.create_external_printer().map_err(io::Error::other)?;
        let (typed, lines) = mpsc::channel(TYPED_AHEAD);
        let (prompts, wanted) = std::sync::mpsc::channel();
        std::thread::Builder::new().name("keyboard".to_owned()).spawn(move || edit(editor, &wanted, &typed))?;
        Ok((Self { lines, prompts, is_asked: false, mode }, Printer(Box::new(printer))))
    }

    /// Asks for the next line; nothing when the person has ended (Ctrl-C, Ctrl-D, or the terminal is gone). What is asked for stands
    /// until there is a line, also when the future is dropped.
    pub async fn next(&mut self, prompt: &str) -> Option<String> {
        if !self.is_asked {
            self.is_asked = true;
            // Fails when the person has ended, which is what the next line then says.
            let _ = self.prompts.send(prompt.to_owned());
        }
        let line = self.lines.recv().await;
        self.is_asked = false;
        line
    }
}

impl Drop for Editor {
    fn drop(&mut self) {
        if !self.is_asked {
            return;
        }
        if let Some(mode) = &self.mode {
            // A terminal that is gone needs nothing.
            let _ = tcsetattr(io::stdin(), SetArg::TCSANOW, mode);
        }
        // The prompt goes, and pasted text comes as typed again.
        let _ = write!(io::stdout(), "\r\x1b[K\x1b[?2004l").and_then(|()| io::stdout().flush());
    }
}

impl Write for Printer {
    /// Whole lines only.
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        self.0.print(String::from_utf8_lossy(lines).into_owned()).map_err(io::Error::other)?;
        Ok(lines.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for Printer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Printer")
    }
}

fn edit(mut editor: DefaultEditor, wanted: &std::sync::mpsc::Receiver<String>, typed: &mpsc::Sender<String>) {
    while let Ok(prompt) = wanted.recv() {
        match editor.readline(&prompt) {
            Ok(line) => {
                // Fails only for a line that is not worth remembering.
                let _ = editor.add_history_entry(&line);
                if typed.blocking_send(line.trim().to_owned()).is_err() {
                    return;
                }
            }
            // Ctrl-C, Ctrl-D, or the terminal is gone.
            Err(ReadlineError::Interrupted | ReadlineError::Eof) | Err(_) => return,
        }
    }
}
