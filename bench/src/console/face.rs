//! What stands at the bottom of the terminal: every node, who is chosen, and the keys or the line that is being typed.

use anstyle::{AnsiColor, Style};

use super::line::Line;
use super::table::for_how_long;
use super::{colours, table};
use crate::control::{NodeStatus, Status};
use crate::report::live::block::Size;
use crate::report::live::state_style;
use crate::report::terminal::clean_line;

/// Whom keys act on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Chosen {
    /// The node at this place.
    Node(usize),
    /// Whoever holds this role.
    Role(String),
    All,
}

/// What keys mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Each does something.
    Keys,
    /// A command is being typed.
    Command,
    /// Lines for whoever is chosen are being typed.
    Input,
}

/// Everything that is shown.
#[derive(Debug)]
pub(super) struct Face {
    pub(super) status: Status,
    /// Seconds since the status has come.
    pub(super) age: f64,
    pub(super) chosen: Chosen,
    pub(super) mode: Mode,
    pub(super) command: Line,
    pub(super) input: Line,
    /// Only the lines of whoever is chosen are shown.
    pub(super) is_filtered: bool,
    /// The cluster ends with this terminal.
    pub(super) is_owner: bool,
}

/// Rows that are left to the logs, where there are enough.
const ROWS_FOR_LOGS: usize = 8;

impl Face {
    /// Whom the chosen one means, as it is typed.
    pub(super) fn target(&self) -> String {
        match &self.chosen {
            Chosen::Node(index) => self.status.nodes.get(*index).map(|node| node.name.clone()).unwrap_or_default(),
            Chosen::Role(role) => role.clone(),
            Chosen::All => "all".to_owned(),
        }
    }

    /// The nodes that are chosen now.
    pub(super) fn chosen_nodes(&self) -> Vec<&NodeStatus> {
        let is_chosen = |(index, node): &(usize, &NodeStatus)| match &self.chosen {
            Chosen::Node(chosen) => index == chosen,
            Chosen::Role(role) => node.roles.contains(role),
            Chosen::All => true,
        };
        self.status.nodes.iter().enumerate().filter(is_chosen).map(|(_, node)| node).collect()
    }

    /// Chooses the next node, or the one before.
    pub(super) fn step(&mut self, by: isize) {
        let count = self.status.nodes.len().max(1);
        let at = match self.chosen {
            Chosen::Node(index) => (index + count).saturating_add_signed(by) % count,
            Chosen::Role(_) | Chosen::All if by > 0 => 0,
            Chosen::Role(_) | Chosen::All => count - 1,
        };
        self.chosen = Chosen::Node(at);
    }

    /// Chooses the next role; false if the scenario has none.
    pub(super) fn next_role(&mut self) -> bool {
        let now = match &self.chosen {
            Chosen::Role(role) => self.status.roles.iter().position(|known| known == role).map_or(0, |at| at + 1),
            Chosen::Node(_) | Chosen::All => 0,
        };
        let next = self.status.roles.get(now).or(self.status.roles.first());
        next.map(|role| self.chosen = Chosen::Role(role.clone())).is_some()
    }

    /// The lines, as many as fit.
    pub(super) fn lines(&self, size: Size) -> Vec<String> {
        let mut lines = vec![self.header()];
        // Beside the nodes: the header, the last line, and the row in which the cursor waits.
        let room = size.rows.saturating_sub(3).min((size.rows.saturating_sub(ROWS_FOR_LOGS)).max(3));
        lines.extend(self.nodes(room.max(1)));
        lines.push(match self.mode {
            Mode::Keys => self.keys(size.columns),
            Mode::Command => prompt(":", &self.command),
            Mode::Input => prompt(&format!("{} <", self.target()), &self.input),
        });
        // In a terminal of a few rows the last line is worth the most.
        let spare = size.rows.saturating_sub(1).max(1);
        lines.drain(..lines.len().saturating_sub(spare));
        lines
    }

    fn header(&self) -> String {
        let dim = Style::new().dimmed();
        let Status { scenario, phase, seconds, run, .. } = &self.status;
        let up = for_how_long(seconds + self.age);
        let run = std::path::Path::new(run);
        let run = run.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let filter = if self.is_filtered { format!("  only lines of {}", self.target()) } else { String::new() };
        format!("{dim}-- {}  {phase} {up}  {}{filter}{dim:#}", clean_line(scenario), clean_line(run))
    }

    /// The nodes around the chosen one, if not all fit.
    fn nodes(&self, room: usize) -> Vec<String> {
        let all = self.status.nodes.len();
        let (from, to) = if all <= room {
            (0, all)
        } else {
            // One row says how many are not shown.
            let shown = room.saturating_sub(1).max(1);
            let chosen = if let Chosen::Node(index) = self.chosen { index } else { 0 };
            let from = chosen.saturating_sub(shown / 2).min(all - shown);
            (from, from + shown)
        };
        let width = |of: fn(&NodeStatus) -> usize| self.status.nodes.iter().map(of).max().unwrap_or(0);
        let names = width(|node| node.name.chars().count());
        let roles = width(|node| node.roles.join(",").chars().count());
        let chosen = self.chosen_nodes();
        let line = |index: usize| {
            let node = &self.status.nodes[index];
            let mark = if chosen.contains(&node) { ">" } else { " " };
            let (colour, state) = (colours::of_node(index), state_style(&node.state));
            let (name, role) = (clean_line(&node.name), node.roles.join(","));
            format!(
                "{mark}{:>2} {colour}{name:<names$}{colour:#}  {state}{:<7}{state:#}  {role:<roles$}  {}",
                index + 1,
                node.state,
                clean_line(&node.said)
            )
        };
        let mut lines: Vec<String> = (from..to).map(line).collect();
        if to - from < all {
            lines.push(format!("    ... {all} nodes, {} to {} shown", from + 1, to));
        }
        lines
    }

    /// The most useful keys, as many as fit.
    fn keys(&self, columns: usize) -> String {
        let bold = Style::new().bold();
        let mut text = format!("{bold}{}{bold:#}:", clean_line(&self.target()));
        let mut width = self.target().chars().count() + 1;
        let role = self.status.roles.first().map(|role| format!(" l {role} "));
        let leave = if self.is_owner { " q quit " } else { " q leave " };
        let all = [" k kill ", " r restart ", " p pause ", " i input "].map(str::to_owned);
        let last = [" : command ", " ? help "].map(str::to_owned);
        for hint in all.into_iter().chain(role).chain(last).chain([leave.to_owned()]) {
            width += hint.chars().count();
            if width >= columns {
                break;
            }
            let (key, word) = hint.trim().split_once(' ').unwrap_or((&hint, ""));
            text.push_str(&format!(" {bold}{key}{bold:#} {word} "));
        }
        text
    }
}

/// A line that is being typed; the cursor stands on a letter of it, or behind it.
fn prompt(word: &str, line: &Line) -> String {
    let (bold, cursor) = (Style::new().bold(), Style::new().invert());
    let (before, behind) = line.around_cursor();
    let mut behind = behind.chars();
    let at = clean_line(behind.next().unwrap_or(' ').encode_utf8(&mut [0; 4])).into_owned();
    // Of a long line the end before the cursor is worth more than its beginning.
    let long = before.chars().count().saturating_sub(60);
    let before: String = before.chars().skip(long).collect();
    let cut = if long > 0 { "..." } else { "" };
    let (before, behind) = (clean_line(&before).into_owned(), clean_line(behind.as_str()).into_owned());
    format!("{bold}{}{bold:#} {cut}{before}{cursor}{at}{cursor:#}{behind}", clean_line(word))
}

/// Every key, for who asks.
pub(super) fn help(face: &Face) -> String {
    let style = AnsiColor::Cyan.on_default();
    let mut text = String::new();
    let role = face.status.roles.first().map_or("a role of the scenario (it has none)".to_owned(), |role| {
        format!("whoever is {role} now{}", if face.status.roles.len() > 1 { "; again: the next role" } else { "" })
    });
    let leave =
        if face.is_owner { "end the cluster and leave; again: kill it now" } else { "leave; the cluster stays up" };
    for (keys, what) in [
        ("1-9, up, down", "choose a node"),
        ("l", role.as_str()),
        ("a", "choose all nodes"),
        ("k", "kill: SIGKILL to every process of it"),
        ("r", "restart: kill what is alive, start it again"),
        ("s / S", "stop as the scenario says / start"),
        ("p", "pause, or resume what is paused"),
        ("i", "type lines into its standard input; Esc ends that"),
        ("f", "show only its log lines, or all again"),
        (
            ":",
            "type a command: kill peer2 | pause !leader | restart killed | signal HUP all | input peer1 hello | down",
        ),
        ("d", "detach: leave the cluster up without this terminal"),
        ("q, Ctrl-C", leave),
        ("Ctrl-Z", "suspend this terminal; the cluster goes on"),
    ] {
        text.push_str(&format!("  {style}{keys:<13}{style:#} {what}\n"));
    }
    text.push_str(
        "  Targets: a node, a role, a group, all, random, killed, paused, restarted, isolated, minority, majority, !x",
    );
    text
}

/// The completions of a word that is being typed: of commands at the beginning of a line, of targets behind it.
pub(super) fn completions(face: &Face, before: &str, word: &str) -> Vec<String> {
    let targets =
        ["all", "random", "killed", "paused", "restarted", "isolated", "minority", "majority"].map(str::to_owned);
    let candidates: Vec<String> = if before.trim().is_empty() {
        super::command::words().map(str::to_owned).collect()
    } else {
        let nodes = face.status.nodes.iter().map(|node| node.name.clone());
        nodes.chain(face.status.roles.iter().cloned()).chain(targets).collect()
    };
    candidates.into_iter().filter(|candidate| candidate.starts_with(word)).collect()
}

/// The nodes as lines that stay.
pub(super) fn status(face: &Face) -> String {
    table::table(&face.status).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn face(nodes: usize) -> Face {
        let node = |n: usize| NodeStatus {
            name: format!("peer{n}"),
            state: if n == 2 { "killed" } else { "up" }.into(),
            roles: if n == 3 { vec!["leader".into()] } else { Vec::new() },
            said: format!("follows n={n}"),
            ..NodeStatus::default()
        };
        let status = Status {
            scenario: "x".into(),
            phase: "up".into(),
            seconds: 61.0,
            run: "/a/20260101T000000Z-00000007".into(),
            roles: vec!["leader".into()],
            nodes: (1..=nodes).map(node).collect(),
            ..Status::default()
        };
        Face {
            status,
            age: 1.5,
            chosen: Chosen::Node(0),
            mode: Mode::Keys,
            command: Line::default(),
            input: Line::default(),
            is_filtered: false,
            is_owner: true,
        }
    }

    fn shown(face: &Face, rows: usize, columns: usize) -> Vec<String> {
        let lines = face.lines(Size { rows, columns });
        lines.iter().map(|line| anstream::adapter::strip_str(line).to_string().trim_end().to_owned()).collect()
    }

    #[test]
    fn every_node_has_a_line_with_its_key_and_the_chosen_one_a_mark() {
        let mut face = face(3);
        face.chosen = Chosen::Role("leader".into());
        assert_eq!(
            shown(&face, 24, 100),
            [
                "-- x  up 1m 2s  20260101T000000Z-00000007",
                "  1 peer1  up               follows n=1",
                "  2 peer2  killed           follows n=2",
                "> 3 peer3  up       leader  follows n=3",
                "leader: k kill  r restart  p pause  i input  l leader  : command  ? help  q quit",
            ]
        );
        assert_eq!(face.target(), "leader");
    }

    #[test]
    fn a_narrow_terminal_has_fewer_hints_and_a_low_one_the_nodes_around_the_chosen_one() {
        let mut face = face(20);
        face.chosen = Chosen::Node(9);
        let lines = shown(&face, 12, 30);
        assert_eq!(lines.last().map(String::as_str), Some("peer10: k kill  r restart"));
        assert!(lines.iter().any(|line| line.starts_with(">10 peer10")), "{lines:?}");
        assert!(lines.iter().any(|line| line.contains("20 nodes")), "{lines:?}");
        assert!(lines.len() < 12);
        assert_eq!(shown(&face, 2, 30).len(), 1);
        assert_eq!(shown(&face, 1, 1).len(), 1);
    }

    #[test]
    fn nodes_and_roles_are_chosen_in_turn() {
        let mut face = face(3);
        face.step(-1);
        assert_eq!(face.target(), "peer3");
        face.step(1);
        assert_eq!(face.target(), "peer1");
        assert!(face.next_role());
        assert_eq!(face.target(), "leader");
        assert!(face.next_role());
        assert_eq!(face.target(), "leader", "the only one comes again");
        face.status.roles.clear();
        face.chosen = Chosen::All;
        assert!(!face.next_role());
        assert_eq!(face.chosen_nodes().len(), 3);
    }

    #[test]
    fn a_word_is_completed_by_where_it_stands() {
        let face = face(3);
        assert_eq!(completions(&face, "", "st"), ["stop", "start", "status"]);
        assert_eq!(completions(&face, "kill ", "le"), ["leader"]);
        assert_eq!(completions(&face, "kill peer1 !", "peer3"), ["peer3"]);
    }

    #[test]
    fn the_line_that_is_typed_shows_its_cursor_and_never_commands_the_terminal() {
        let mut face = face(3);
        face.mode = Mode::Command;
        for c in "kill \u{1b}x".chars() {
            face.command.edit(super::super::keys::Key::Char(c));
        }
        let line = face.lines(Size { rows: 24, columns: 80 }).pop().unwrap();
        assert!(!anstream::adapter::strip_str(&line).to_string().contains('\u{1b}'), "{line:?}");
    }
}
