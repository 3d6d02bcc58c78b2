//! The last words of a node that did not come up: the end of its log, or the hint that it has said nothing.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};

use super::Driver;
use super::exec::last_lines;
use crate::store::log_name;

/// Enough for a few long lines.
const TAIL_BYTES: u64 = 16 * 1024;
/// How many lines are repeated.
const LINES: usize = 5;

impl Driver<'_> {
    /// To be added to a sentence about a node that is not ready.
    pub(super) fn last_words(&self, node: &str) -> String {
        let said = self.tail(node).unwrap_or_default();
        let lines: Vec<&[u8]> = said.split(|byte| *byte == b'\n').filter(|line| !is_marker(line)).collect();
        let last = last_lines(&lines.join(&b'\n'), LINES);
        if last.is_empty() {
            return "; it has printed nothing (output that stays in the program's buffer? flush it, or try `stdbuf -oL`, `python3 -u`)".into();
        }
        format!("; the last that it printed:{}", last.iter().map(|line| format!("\n    {line}")).collect::<String>())
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

/// A line that dsbench itself wrote at a start.
fn is_marker(line: &[u8]) -> bool {
    line.starts_with(b"--- dsbench:")
}
