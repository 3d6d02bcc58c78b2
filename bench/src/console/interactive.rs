//! A cluster at a terminal: its logs roll by, every node has a line at the bottom, and keys and typed commands act on it.

use std::os::fd::AsFd;
use std::time::Duration;

use dsbench_core::observation::ActionVerb;
use dsbench_world::Clock;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;

use super::command::Command;
use super::face::{self, Chosen, Face, Mode};
use super::follow::{Follower, WITHOUT_NOTICE};
use super::keys::{Key, Keys};
use super::line::Line;
use super::plain::{DSBENCH, Prefixes};
use super::signals::Signals;
use super::terminal::{How, Keyboard};
use super::{Attended, logs_of};
use crate::control::call::Call;
use crate::control::{Ask, Done, Status, Word};
use crate::error::BenchError;
use crate::report::live::block::Block;
use crate::report::terminal::{clean, clean_line, say, shown_here};
use crate::store::log_name;

/// The time at the bottom goes on by this much.
const EVERY: Duration = Duration::from_secs(1);

/// So many of each node's lines are shown to one who comes later.
const LINES_BEFORE: usize = 10;

/// The terminal and the call.
pub(super) struct Console {
    call: Call,
    signals: Signals,
    keyboard: Keyboard,
    keys: Keys,
    block: Block,
    clock: Clock,
    face: Face,
    /// When the status in the face has come, in seconds of the clock.
    status_at: f64,
    prefixes: Prefixes,
    logs: Option<Follower>,
    /// The number of the next line that is told, once one was.
    told: Option<u64>,
    /// True once the end was asked for here.
    is_ending: bool,
    /// The signal that has asked for it, if one has.
    ended_by: Option<Signal>,
    /// True once this terminal is to leave the cluster up, and when that has been agreed.
    leaving: Option<u64>,
    has_left: bool,
}

impl Console {
    pub(super) fn new(mut call: Call, is_owner: bool) -> Result<Self, BenchError> {
        let refused = |what: &str| BenchError::Environment(format!("the terminal cannot be used: {what}"));
        let more = [Signal::SIGWINCH, Signal::SIGTSTP, Signal::SIGCONT, Signal::SIGQUIT];
        let signals = Signals::catch(&more).map_err(|errno| refused(errno.desc()))?;
        let keyboard = Keyboard::take(How::Keys).map_err(|error| refused(&error.to_string()))?;
        // If it is gone already, that is what is heard next.
        let _ = call.send(Ask::Watch);
        let face = Face {
            status: Status::default(),
            age: 0.0,
            chosen: Chosen::Node(0),
            mode: Mode::Keys,
            command: Line::default(),
            input: Line::default(),
            is_filtered: false,
            is_owner,
        };
        Ok(Self {
            call,
            signals,
            keyboard,
            keys: Keys::default(),
            block: Block::new(),
            clock: Clock::start(),
            face,
            status_at: 0.0,
            prefixes: Prefixes::default(),
            logs: None,
            told: None,
            is_ending: false,
            ended_by: None,
            leaving: None,
            has_left: false,
        })
    }

    /// Until the cluster has ended, or this terminal leaves it.
    pub(super) fn attend(mut self) -> Result<Attended, BenchError> {
        loop {
            let more = self.show_logs();
            self.draw();
            let [has_words, has_signals, has_keys] = self.wait(more);
            if has_signals {
                self.obey();
            }
            if has_keys {
                self.press();
            }
            if has_words {
                let heard = self.call.hear().map_err(BenchError::file("hear", "the cluster"))?;
                for word in heard.words {
                    match word {
                        Word::End { code, text } => return Ok(Attended::Ended(self.end(code, &text))),
                        word => self.take(word),
                    }
                }
                if heard.is_over {
                    self.block.clear();
                    return Ok(Attended::Lost);
                }
            }
            if self.has_left {
                self.block.clear();
                return Ok(Attended::Left(self.face.status));
            }
        }
    }

    fn wait(&self, at_once: bool) -> [bool; 3] {
        let mut fds = vec![
            PollFd::new(self.call.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.signals.as_fd(), PollFlags::POLLIN),
            PollFd::new(self.keyboard.as_fd(), PollFlags::POLLIN),
        ];
        let notices = self.logs.as_ref().and_then(Follower::notices);
        fds.extend(notices.map(|notices| PollFd::new(notices, PollFlags::POLLIN)));
        let patience = match (at_once, notices) {
            (true, _) => Duration::ZERO,
            (false, Some(_)) => EVERY,
            (false, None) => WITHOUT_NOTICE,
        };
        match poll(&mut fds, PollTimeout::try_from(patience).unwrap_or(PollTimeout::MAX)) {
            Ok(_) => [0, 1, 2].map(|index| fds[index].any().unwrap_or(true)),
            Err(Errno::EINTR) => [false; 3],
            // Then hearing says what is wrong.
            Err(_) => [true, false, false],
        }
    }

    fn draw(&mut self) {
        self.face.age = self.clock.now().elapsed().as_secs_f64() - self.status_at;
        self.block.draw(self.face.lines(Block::size()));
    }

    /// Lines that stay.
    fn say(&mut self, lines: &[String]) {
        if !lines.is_empty() {
            self.block.above(&lines.join("\n"));
        }
    }

    fn say_own(&mut self, text: &str) {
        let line = self.prefixes.own_line(text);
        self.say(&[line]);
    }

    fn show_logs(&mut self) -> bool {
        let chosen: Vec<String> = match self.face.is_filtered {
            true => self.face.chosen_nodes().iter().map(|node| log_name(&node.name)).collect(),
            false => Vec::new(),
        };
        let Some(logs) = &mut self.logs else { return false };
        let mut lines = Vec::new();
        for (file, bytes) in logs.skip_floods() {
            lines.push(
                self.prefixes.log_line(&file, format!("... ({} KiB of its log are not shown)", bytes >> 10).as_bytes()),
            );
        }
        let is_filtered = self.face.is_filtered;
        let more = logs.read(&mut |file, line| {
            if !is_filtered || chosen.iter().any(|name| name == file) {
                lines.push(self.prefixes.log_line(file, line));
            }
        });
        self.say(&lines);
        more
    }

    fn obey(&mut self) {
        while let Some(signal) = self.signals.next() {
            match signal {
                // The next drawing looks at the size.
                Signal::SIGWINCH => {}
                Signal::SIGTSTP => {
                    self.block.clear();
                    self.keyboard.suspend();
                    self.block.draw_anew();
                }
                Signal::SIGCONT => self.keyboard.take_again(),
                Signal::SIGINT if self.face.mode != Mode::Keys => self.leave_line(),
                signal => {
                    self.ended_by.get_or_insert(signal);
                    self.quit();
                }
            }
        }
    }

    fn press(&mut self) {
        let bytes = self.keyboard.read();
        if bytes.is_empty() {
            // The terminal is gone, as if the line had been hung up.
            self.ended_by.get_or_insert(Signal::SIGHUP);
            self.has_left |= !self.face.is_owner;
            self.quit();
            return;
        }
        for key in self.keys.take(&bytes) {
            match self.face.mode {
                Mode::Keys => self.act(key),
                Mode::Command => self.type_command(key),
                Mode::Input => self.type_input(key),
            }
        }
    }

    /// A single key.
    fn act(&mut self, key: Key) {
        let target = vec![self.face.target()];
        match key {
            Key::Char(digit @ '1'..='9') => self.choose(usize::from(digit as u8 - b'1')),
            Key::Up => self.face.step(-1),
            Key::Down | Key::Tab => self.face.step(1),
            Key::Char('l') if !self.face.next_role() => {
                self.say_own("the scenario has no role; choose a node by its number");
            }
            Key::Char('a') => self.face.chosen = Chosen::All,
            Key::Char('k') => self.ask(Ask::Act(ActionVerb::Kill, target)),
            Key::Char('r') => self.ask(Ask::Act(ActionVerb::Restart, target)),
            Key::Char('s') => self.ask(Ask::Act(ActionVerb::Stop, target)),
            Key::Char('S') => self.ask(Ask::Act(ActionVerb::Start, target)),
            Key::Char('p') => {
                let chosen = self.face.chosen_nodes();
                let are_paused = !chosen.is_empty() && chosen.iter().all(|node| node.state == "paused");
                let verb = if are_paused { ActionVerb::Resume } else { ActionVerb::Pause };
                self.ask(Ask::Act(verb, target));
            }
            Key::Char('i') => self.face.mode = Mode::Input,
            Key::Char(':') => self.face.mode = Mode::Command,
            Key::Char('f') => self.face.is_filtered = !self.face.is_filtered,
            Key::Char('?' | 'h') => {
                let help = face::help(&self.face);
                self.say(&[help]);
            }
            Key::Char('d') => self.detach(),
            Key::Char('q') => self.quit(),
            _ => {}
        }
    }

    fn choose(&mut self, index: usize) {
        if index < self.face.status.nodes.len() {
            self.face.chosen = Chosen::Node(index);
        }
    }

    fn type_command(&mut self, key: Key) {
        match key {
            Key::Escape => self.leave_line(),
            Key::Backspace | Key::Ctrl('d') if self.face.command.is_empty() => self.leave_line(),
            Key::Tab => self.complete(),
            Key::Enter => {
                let line = self.face.command.next();
                self.face.mode = Mode::Keys;
                match Command::read(&line) {
                    Ok(None) => {}
                    Ok(Some(command)) => self.run(command),
                    Err(why) => self.say_own(&why),
                }
            }
            key => self.face.command.edit(key),
        }
    }

    fn run(&mut self, command: Command) {
        match command {
            Command::Ask(Ask::Down { .. }) | Command::Quit if self.face.is_owner => self.quit(),
            Command::Quit => self.quit(),
            Command::Ask(ask) => self.ask(ask),
            Command::Detach => self.detach(),
            Command::Help => {
                let help = face::help(&self.face);
                self.say(&[help]);
            }
            Command::Status => {
                let status = face::status(&self.face);
                self.say(&[status]);
            }
        }
    }

    fn complete(&mut self) {
        let (word, before) = self.face.command.word();
        let found = face::completions(&self.face, &before, &word);
        match found.as_slice() {
            [] => {}
            [one] => self.face.command.replace_word(&format!("{one} ")),
            several => {
                let common = common_beginning(several);
                if common.len() > word.len() {
                    self.face.command.replace_word(common);
                } else {
                    let line = several.join("  ");
                    self.say(&[clean_line(&line).into_owned()]);
                }
            }
        }
    }

    /// Lines for whoever is chosen, one after the other until Esc.
    fn type_input(&mut self, key: Key) {
        match key {
            Key::Escape => self.leave_line(),
            Key::Ctrl('d') if self.face.input.is_empty() => self.leave_line(),
            Key::Enter => {
                let line = self.face.input.next();
                self.ask(Ask::Input(line, vec![self.face.target()]));
            }
            key => self.face.input.edit(key),
        }
    }

    fn leave_line(&mut self) {
        self.face.command.clear();
        self.face.input.clear();
        self.face.mode = Mode::Keys;
    }

    fn ask(&mut self, ask: Ask) {
        // If it is gone, that is what is heard next.
        let _ = self.call.send(ask);
    }

    /// The end, for whoever owns the cluster; a second time without the graces. For others: leave it up.
    fn quit(&mut self) {
        if !self.face.is_owner {
            self.has_left = true;
            return;
        }
        let now = self.is_ending;
        self.is_ending = true;
        self.ask(Ask::Down { now });
        self.say_own(if now { "killing the nodes" } else { "stopping the nodes (again to kill them now)" });
    }

    fn detach(&mut self) {
        if self.face.is_owner {
            self.leaving = self.call.send(Ask::Release).ok();
        } else {
            self.has_left = true;
        }
    }

    /// Takes in what the cluster says.
    fn take(&mut self, word: Word) {
        match word {
            Word::Status(status) => {
                if self.logs.is_none() {
                    let nodes: Vec<String> = status.nodes.iter().map(|node| node.name.clone()).collect();
                    self.prefixes = Prefixes::of(&nodes);
                    let mut logs = Follower::new(&logs_of(&status.run), nodes.iter().map(|node| log_name(node)));
                    if !self.face.is_owner || status.phase != "starting" {
                        // Who comes later does not want to see hours of it.
                        logs.skip_to_last(LINES_BEFORE);
                    }
                    self.logs = Some(logs);
                }
                self.status_at = self.clock.now().elapsed().as_secs_f64();
                self.face.status = status;
            }
            Word::Told(told) => {
                let missed = self.told.map_or(0, |next| told.number.saturating_sub(next));
                if missed > 0 {
                    self.say_own(&format!("({missed} lines were missed; they are in the run's history.jsonl)"));
                }
                self.told = Some(told.number + 1);
                let who = if told.who == DSBENCH { String::new() } else { format!("{} ", told.who) };
                self.say_own(&format!("{}  {who}{}", told.at, told.what));
            }
            Word::Done(done) => self.done(&done),
            Word::Refused { why, .. } => {
                let red = anstyle::AnsiColor::Red.on_default();
                self.say(&[format!("{red}no{red:#}: {}", clean(&why))]);
            }
            Word::Ready {} => {
                let exposed: Vec<String> = self.face.status.exposed().collect();
                exposed.iter().for_each(|line| self.say_own(line));
            }
            Word::Kept { .. } | Word::End { .. } => {}
        }
    }

    /// What was done to a role stays with the node that held it: killed by its role, it is restarted by its name.
    fn done(&mut self, done: &Done) {
        if self.leaving == Some(done.id) {
            self.has_left = true;
        }
        if let (Chosen::Role(_), [node]) = (&self.face.chosen, done.nodes.as_slice())
            && let Some(index) = self.face.status.nodes.iter().position(|known| known.name == *node)
            && self.face.mode == Mode::Keys
        {
            self.face.chosen = Chosen::Node(index);
        }
    }

    /// Shows the last lines; gives the exit code.
    fn end(&mut self, code: u8, text: &str) -> u8 {
        self.face.is_filtered = false;
        while self.show_logs() {}
        let mut lines = Vec::new();
        if let Some(logs) = &mut self.logs {
            logs.finish(&mut |file, line| lines.push(self.prefixes.log_line(file, line)));
        }
        self.say(&lines);
        self.block.clear();
        super::tell_end(code, text);
        say!(
            "{} is down; everything of it: {}",
            clean(&self.face.status.scenario),
            clean(&shown_here(&self.face.status.run))
        );
        let by = self.ended_by.map(|signal| 128 + signal as i32).and_then(|code| u8::try_from(code).ok());
        if code == 0 { by.unwrap_or(0) } else { code }
    }
}

/// What all of them begin with.
fn common_beginning(words: &[String]) -> &str {
    let Some((first, others)) = words.split_first() else { return "" };
    let shared = |other: &String| first.char_indices().zip(other.chars()).take_while(|((_, a), b)| a == b).count();
    let count = others.iter().map(shared).min().unwrap_or(first.chars().count());
    first.char_indices().nth(count).map_or(first, |(end, _)| &first[..end])
}

#[cfg(test)]
mod tests {
    use super::common_beginning;

    #[test]
    fn words_are_completed_as_far_as_they_agree() {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        assert_eq!(common_beginning(&words(&["peer1", "peer12", "peer2"])), "peer");
        assert_eq!(common_beginning(&words(&["restart"])), "restart");
        assert_eq!(common_beginning(&words(&["kill", "all"])), "");
        assert_eq!(common_beginning(&[]), "");
    }
}
