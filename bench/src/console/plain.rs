//! A cluster without a terminal: every log line with the node that wrote it, and what is done, one line each, on standard output.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;

use super::follow::{Follower, WITHOUT_NOTICE};
use super::signals::Signals;
use super::{Attended, colours, logs_of};
use crate::control::call::Call;
use crate::control::{Ask, Status, Word};
use crate::error::BenchError;
use crate::report::terminal::clean;
use crate::store::log_name;

/// Lines of nodes, each with its node's name before it.
#[derive(Debug, Default)]
pub(crate) struct Prefixes {
    /// What stands before a line, by the file that it is from.
    of_file: BTreeMap<String, String>,
    width: usize,
}

impl Prefixes {
    /// For these nodes, in the order of the scenario.
    pub(crate) fn of(nodes: &[String]) -> Self {
        let width = nodes.iter().map(|node| node.chars().count()).max().unwrap_or(0).max(DSBENCH.len());
        let prefix = |(index, node): (usize, &String)| {
            let style = colours::of_node(index);
            (log_name(node), format!("{style}{node:<width$} |{style:#} "))
        };
        Self { of_file: nodes.iter().enumerate().map(prefix).collect(), width }
    }

    /// A line of a node's log, safe to print.
    pub(crate) fn log_line(&self, file: &str, line: &[u8]) -> String {
        let prefix = self.of_file.get(file).map_or("", String::as_str);
        format!("{prefix}{}", clean(&String::from_utf8_lossy(line)))
    }

    /// A line of dsbench itself.
    pub(crate) fn own_line(&self, text: &str) -> String {
        let mut line = format!("{DSBENCH:<width$} | ", width = self.width);
        write!(line, "{}", clean(text).replace('\n', "\n    ")).expect("writing to a text does not fail");
        line
    }
}

/// How dsbench itself is called among the nodes.
pub(super) const DSBENCH: &str = "dsbench";

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// That all nodes are ready; nothing is shown until then.
    Ready,
    /// The cluster's end.
    Ended,
}

pub(super) struct Plain {
    call: Call,
    until: Until,
    signals: Signals,
    status: Option<Status>,
    prefixes: Prefixes,
    logs: Option<Follower>,
    /// The number of the next line that is told, once one was.
    told: Option<u64>,
    /// The signal that has asked for the end.
    ended_by: Option<Signal>,
}

impl Plain {
    pub(super) fn new(mut call: Call, until: Until) -> Result<Self, BenchError> {
        let signals = Signals::catch(&[])
            .map_err(|errno| BenchError::Environment(format!("signals cannot be caught: {errno}")))?;
        // If it is gone already, that is what is heard next.
        let _ = call.send(Ask::Watch);
        let (status, logs) = (None, None);
        Ok(Self { call, until, signals, status, prefixes: Prefixes::default(), logs, told: None, ended_by: None })
    }

    pub(super) fn attend(mut self) -> Result<Attended, BenchError> {
        loop {
            let more = self.show_logs();
            let [has_words, has_signals] = self.wait(more);
            if has_signals {
                self.obey();
            }
            if !has_words {
                continue;
            }
            let heard = self.call.hear().map_err(BenchError::file("hear", "the cluster"))?;
            for word in heard.words {
                match word {
                    Word::Ready {} if self.until == Until::Ready => {
                        return Ok(Attended::Ready(self.call, self.status.unwrap_or_default()));
                    }
                    Word::End { code, text } => return Ok(Attended::Ended(self.end(code, &text))),
                    word => self.take(word),
                }
            }
            if heard.is_over {
                return Ok(Attended::Lost);
            }
        }
    }

    /// Waits for words, signals or log lines.
    fn wait(&self, at_once: bool) -> [bool; 2] {
        let mut fds = vec![
            PollFd::new(self.call.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
        ];
        let notices = self.logs.as_ref().and_then(Follower::notices);
        fds.extend(notices.map(|notices| PollFd::new(notices, PollFlags::POLLIN)));
        let timeout = match (at_once, self.logs.is_some() && notices.is_none()) {
            (true, _) => PollTimeout::ZERO,
            (false, true) => PollTimeout::try_from(WITHOUT_NOTICE).unwrap_or(PollTimeout::MAX),
            (false, false) => PollTimeout::NONE,
        };
        match poll(&mut fds, timeout) {
            Ok(_) => [0, 1].map(|index| fds[index].any().unwrap_or(true)),
            Err(Errno::EINTR) => [false; 2],
            // Then hearing says what is wrong.
            Err(_) => [true; 2],
        }
    }

    fn show_logs(&mut self) -> bool {
        let Some(logs) = &mut self.logs else { return false };
        let mut lines = Vec::new();
        let more = logs.read(&mut |file, line| lines.push(self.prefixes.log_line(file, line)));
        put(&lines);
        more
    }

    fn obey(&mut self) {
        while let Some(signal) = self.signals.next() {
            let again = self.ended_by.is_some();
            self.ended_by.get_or_insert(signal);
            let _ = self.call.send(Ask::Down { now: again });
            let text = if again { "killing the nodes" } else { "stopping the nodes (again to kill them now)" };
            self.put_own(text);
        }
    }

    fn put_own(&self, text: &str) {
        if self.until == Until::Ended {
            put(&[self.prefixes.own_line(text)]);
        }
    }

    /// Takes in what the cluster says.
    fn take(&mut self, word: Word) {
        match word {
            Word::Status(status) => {
                if self.status.is_none() && self.until == Until::Ended {
                    let nodes: Vec<String> = status.nodes.iter().map(|node| node.name.clone()).collect();
                    self.prefixes = Prefixes::of(&nodes);
                    self.logs = Some(Follower::new(&logs_of(&status.run), nodes.iter().map(|node| log_name(node))));
                }
                self.status = Some(status);
            }
            Word::Told(told) => {
                let missed = self.told.map_or(0, |next| told.number.saturating_sub(next));
                self.told = Some(told.number + 1);
                if missed > 0 {
                    self.put_own(&format!("({missed} lines were missed; they are in the run's history.jsonl)"));
                }
                let who = if told.who == DSBENCH { String::new() } else { format!("{} ", told.who) };
                self.put_own(&format!("{}  {who}{}", told.at, told.what));
            }
            Word::Ready {} => {
                let exposed: Vec<String> = self.status.iter().flat_map(Status::exposed).collect();
                exposed.iter().for_each(|line| self.put_own(line));
            }
            Word::Kept { .. } | Word::Done(_) | Word::End { .. } => {}
            Word::Refused { why, .. } => self.put_own(&why),
        }
    }

    /// Shows the last lines; gives the exit code.
    fn end(&mut self, code: u8, text: &str) -> u8 {
        let mut lines = Vec::new();
        if let Some(logs) = &mut self.logs {
            logs.finish(&mut |file, line| lines.push(self.prefixes.log_line(file, line)));
        }
        put(&lines);
        super::tell_end(code, text);
        let by = self.ended_by.map(|signal| 128 + signal as i32).and_then(|code| u8::try_from(code).ok());
        if code == 0 { by.unwrap_or(0) } else { code }
    }
}

/// Prints lines. A reader that has gone away does not end the cluster.
fn put(lines: &[String]) {
    let mut out = io::BufWriter::new(anstream::stdout().lock());
    for line in lines {
        let _ = writeln!(out, "{line}");
    }
    let _ = out.flush();
}
