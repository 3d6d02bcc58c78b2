//! Who sits at a chat node: nobody, a program, or a person at a terminal, with line editing and history.

use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal};
use std::path::Path;

use dsbench_wire::NodeId;

use super::Role;
use crate::emit::Log;
use crate::terminal::{Editor, Stdin, Terminal};

/// What is typed, and where it is told what happens.
pub(super) struct Person {
    pub(super) terminal: Terminal,
    pub(super) log: Log,
    /// Where a peer's person at a terminal chats, apart from the log.
    pub(super) screen: Option<Log>,
}

impl Person {
    /// The person of the node `me`. The log of a peer at a terminal goes to a file in `log_dir`.
    ///
    /// # Errors
    /// When the system refuses the terminal, the file, or a thread.
    pub(super) fn of(role: Role, me: &NodeId, log_dir: &Path) -> io::Result<Self> {
        let stdin = Stdin::of_this_process();
        if stdin != Stdin::Terminal || !io::stdout().is_terminal() {
            let log = Log::stdout(me.clone(), None)?;
            return Ok(Self { terminal: Terminal::read(stdin)?, log, screen: None });
        }
        let (editor, printer) = Editor::open()?;
        let shown = Log::to(me.clone(), Some(printer), None)?;
        let terminal = Terminal::edited(editor, format!("{}_{me}> ", role.name()));
        if role == Role::Node {
            return Ok(Self { terminal, log: shown, screen: None });
        }
        let path = log_dir.join(format!("{}{me}.log", role.name()));
        let file: File = OpenOptions::new().append(true).create(true).open(path)?;
        Ok(Self { terminal, log: Log::to(me.clone(), Some(file), None)?, screen: Some(shown) })
    }
}
