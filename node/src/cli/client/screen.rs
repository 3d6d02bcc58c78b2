//! What a client's person types and sees: on a terminal with line editing and history, on a pipe line by line.

use std::io::{self, BufRead, IsTerminal, Write};

use rustyline::error::ReadlineError;
use rustyline::{DefaultEditor, ExternalPrinter};
use tokio::sync::mpsc;

use crate::terminal::Stdin;

/// Lines that are read ahead of a client that cannot send.
const TYPED_AHEAD: usize = 64;

/// Where lines come from, and where they go.
pub(super) struct Screen {
    typed: mpsc::Receiver<String>,
    /// Says that the next line may be read, with the prompt to show. Only on a terminal.
    prompts: Option<std::sync::mpsc::Sender<String>>,
    printer: Option<Box<dyn ExternalPrinter + Send>>,
    nobody_types: bool,
}

impl Screen {
    pub(super) fn open() -> io::Result<Self> {
        let stdin = Stdin::of_this_process();
        let (sender, typed) = mpsc::channel(TYPED_AHEAD);
        let mut screen = Self { typed, prompts: None, printer: None, nobody_types: stdin == Stdin::Nobody };
        match stdin {
            Stdin::Terminal if io::stdout().is_terminal() => {
                let mut editor = DefaultEditor::new().map_err(io::Error::other)?;
                let printer = editor.create_external_printer().map_err(io::Error::other)?;
                screen.printer = Some(Box::new(printer));
                let (prompts, wanted) = std::sync::mpsc::channel();
                screen.prompts = Some(prompts);
                std::thread::Builder::new()
                    .name("keyboard".to_owned())
                    .spawn(move || edit(editor, &wanted, &sender))?;
            }
            Stdin::Nobody => {}
            _ => {
                std::thread::Builder::new().name("keyboard".to_owned()).spawn(move || {
                    for line in io::stdin().lock().lines().map_while(Result::ok) {
                        if sender.blocking_send(line).is_err() {
                            return;
                        }
                    }
                })?;
            }
        }
        Ok(screen)
    }

    pub(super) fn is_terminal(&self) -> bool {
        self.prompts.is_some()
    }

    /// Asks for the next line, where a person is asked.
    pub(super) fn prompt(&self, prompt: &str) {
        if let Some(prompts) = &self.prompts {
            // The keyboard's thread may have ended; then nothing is typed any more.
            let _ = prompts.send(prompt.to_owned());
        }
    }

    /// The next line; nothing at the end. Waits for ever where nobody types.
    pub(super) async fn next(&mut self) -> Option<String> {
        if self.nobody_types {
            std::future::pending().await
        }
        self.typed.recv().await
    }

    /// Shows a line. Fails when nobody can see it any more.
    pub(super) fn show(&mut self, line: &str) -> io::Result<()> {
        match &mut self.printer {
            Some(printer) => printer.print(format!("{line}\n")).map_err(io::Error::other),
            None => {
                let mut out = io::stdout().lock();
                writeln!(out, "{line}").and_then(|()| out.flush())
            }
        }
    }
}

fn edit(mut editor: DefaultEditor, wanted: &std::sync::mpsc::Receiver<String>, typed: &mpsc::Sender<String>) {
    while let Ok(prompt) = wanted.recv() {
        match editor.readline(&prompt) {
            Ok(line) => {
                // Fails only for a line that is not worth remembering.
                let _ = editor.add_history_entry(&line);
                if typed.blocking_send(line).is_err() {
                    return;
                }
            }
            // Ctrl-C, Ctrl-D, or the terminal is gone.
            Err(ReadlineError::Interrupted | ReadlineError::Eof) | Err(_) => return,
        }
    }
}
