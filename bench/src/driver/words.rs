//! What nodes have printed, for people who wonder why something is missing: the last words of one that did not come up, a pattern that fits no line.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};

use dsbench_core::observation::{Exit, Life, Name};

use super::Driver;
use super::exec::last_lines;
use crate::report::tell::who;
use crate::store::log_name;

/// Enough for a few long lines.
const TAIL_BYTES: u64 = 16 * 1024;
/// How many lines are repeated.
const LINES: usize = 5;
/// Why a program that runs may look silent.
const BUFFER: &str = "output that stays in the program's buffer? flush it, or try `stdbuf -oL`, `python3 -u`";

impl Driver<'_> {
    /// To be added to a sentence about a node that is not ready, or has ended in this way before it was.
    pub(super) fn last_words(&self, life: &Life, ended: Option<Exit>) -> String {
        let said = self.tail(&life.node).unwrap_or_default();
        let last = last_lines(&words_of(&said, life), LINES);
        if last.is_empty() && matches!(ended, Some(Exit::Code(_))) {
            // Whoever exits has flushed.
            return "; it has printed nothing".into();
        }
        if last.is_empty() {
            return format!("; it has printed nothing ({BUFFER})");
        }
        format!("; the last that it printed:{}", last.iter().map(|line| format!("\n    {line}")).collect::<String>())
    }

    /// To be added to a sentence about events that are missing: most often a pattern that nobody's lines fit, or programs that are not heard.
    pub(super) fn never_said(&self, events: &[Name]) -> String {
        let scenario = &self.plan.scenario;
        let is_unheard = |event: &Name| self.recorder.history().events(event).len() == 0;
        let pattern = |event: &Name| scenario.events.iter().find(|pattern| pattern.event == *event);
        let Some(pattern) = events.iter().filter(|event| is_unheard(event)).find_map(pattern) else {
            return String::new();
        };
        if scenario.nodes.iter().all(|node| self.is_silent(&node.name)) {
            // Whoever has exited has flushed.
            let is_anyone_up = scenario.nodes.iter().any(|node| self.cluster.is_up(&node.name));
            let hint = if is_anyone_up { format!(" ({BUFFER})") } else { String::new() };
            return format!("; nobody has printed anything{hint}");
        }
        let fits: Vec<String> = pattern.log.iter().map(|log| format!("'{}'", log.as_str())).collect();
        format!("; so far no line of any node fits {}", fits.join(" or "))
    }

    /// True if the log of a node has none but dsbench's own lines.
    fn is_silent(&self, node: &str) -> bool {
        self.tail(node)
            .unwrap_or_default()
            .split(|byte| *byte == b'\n')
            .all(|line| line.trim_ascii().is_empty() || line.starts_with(MARKER.as_bytes()))
    }

    fn tail(&self, node: &str) -> std::io::Result<Vec<u8>> {
        let mut file = File::open(self.store.log_dir().join(log_name(node)))?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
        let mut tail = Vec::new();
        file.take(TAIL_BYTES).read_to_end(&mut tail)?;
        Ok(tail)
    }
}

/// What was written since this life began, without the lines that dsbench itself wrote: the words of the life before explain nothing.
fn words_of(said: &[u8], life: &Life) -> Vec<u8> {
    // The process is named where its node has several.
    let starts = [who(life), format!("{}/{}", life.node, life.process)]
        .map(|name| format!("{MARKER}{name} started, life {},", life.life).into_bytes());
    let is_start = |line: &&[u8]| starts.iter().any(|start| line.starts_with(start));
    let lines: Vec<&[u8]> = said.split(|byte| *byte == b'\n').collect();
    let first = lines.iter().rposition(is_start).map_or(0, |marker| marker + 1);
    let words: Vec<&[u8]> =
        lines[first..].iter().filter(|line| !line.starts_with(MARKER.as_bytes())).copied().collect();
    words.join(&b'\n')
}

/// How a line begins that dsbench itself wrote at a start.
const MARKER: &str = "--- dsbench: ";

#[cfg(test)]
mod tests {
    use dsbench_core::observation::Life;

    use super::words_of;

    #[test]
    fn the_last_words_are_those_of_this_life() {
        let life = |process: &str, life| Life { node: "n1".into(), process: process.into(), life };
        let said = b"--- dsbench: n1 started, life 1, pid 7\nall is well\n--- dsbench: n1/main started, life 2, pid 9\nport taken\n--- dsbench: n1/aside started, life 1, pid 11\nbye\n";
        let words = |life| String::from_utf8(words_of(said, &life)).unwrap();
        assert_eq!(words(life("main", 2)), "port taken\nbye\n");
        assert_eq!(words(life("aside", 1)), "bye\n");
        assert_eq!(
            words(life("main", 3)),
            "all is well\nport taken\nbye\n",
            "its marker lies before the tail that was read"
        );
    }
}
