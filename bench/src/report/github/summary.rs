//! The summary of a step: a table of the runs in Markdown, and the screens of those that are no pass.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

use dsbench_core::judgement::Judgement;

use crate::report::terminal::{clean, clean_line};
use crate::series::Tally;

/// GitHub throws away the whole summary of a step that is larger than this.
const LARGEST: u64 = 1024 * 1024;

/// What is kept free for the last words and for what other programs of the step may write.
const RESERVE: u64 = 16 * 1024;

/// So many runs that passed are listed; more are counted.
const PASSES: usize = 50;

/// One run.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) label: String,
    pub(super) judgement: Judgement,
    pub(super) seconds: Option<f64>,
    pub(super) seed: String,
    pub(super) reason: String,
    pub(super) details: String,
}

/// More runs than this are not listed at all.
const ROWS: usize = 2_000;

/// What will be written. As large as GitHub lets it be, however long the series is.
#[derive(Debug, Default)]
pub(super) struct Summary {
    rows: Vec<Row>,
    passes: usize,
    /// Runs that are not listed.
    unlisted: usize,
    /// Runs that are listed, with details that are not kept.
    undetailed: usize,
    details: u64,
}

impl Summary {
    pub(super) fn add(&mut self, mut row: Row) {
        self.passes += usize::from(row.judgement == Judgement::Pass);
        let is_listed = row.judgement != Judgement::Pass || self.passes <= PASSES;
        if !is_listed || self.rows.len() >= ROWS {
            self.unlisted += 1;
            return;
        }
        self.details += row.details.len() as u64;
        if self.details > LARGEST && !row.details.is_empty() {
            row.details.clear();
            self.undetailed += 1;
        }
        self.rows.push(row);
    }

    /// Appends it to what the step has written so far, as far as there is room.
    pub(super) fn append_to(&self, path: &Path, tally: &Tally) -> io::Result<()> {
        let mut file = File::options().append(true).create(true).open(path)?;
        let room = LARGEST.saturating_sub(RESERVE).saturating_sub(file.metadata()?.len());
        let heading = format!(
            "### dsbench: {} passed, {} failed, {} undecided\n\n",
            tally.passed(),
            tally.failed(),
            tally.undecided() + tally.impossible()
        );
        file.write_all(self.within(usize::try_from(room).unwrap_or(0), &heading).as_bytes())
    }

    fn within(&self, room: usize, heading: &str) -> String {
        let mut text = String::new();
        let push = |piece: &str, text: &mut String| {
            let fits = text.len() + piece.len() <= room;
            if fits {
                text.push_str(piece);
            }
            fits
        };
        push(heading, &mut text);
        push("| result | scenario | seed | time | |\n|---|---|---|---|---|\n", &mut text);
        let unlisted = self.unlisted + self.rows.iter().filter(|row| !push(&row.line(), &mut text)).count();
        if unlisted > 0 {
            push(&format!("\n{unlisted} more runs are not listed.\n"), &mut text);
        }
        let detailed = self.rows.iter().filter(|row| !row.details.is_empty());
        let undetailed = self.undetailed + detailed.filter(|row| !push(&row.block(), &mut text)).count();
        if undetailed > 0 {
            push(&format!("\nThe details of {undetailed} more runs do not fit in here.\n"), &mut text);
        }
        text
    }
}

impl Row {
    fn line(&self) -> String {
        let sign = match self.judgement {
            Judgement::Pass => "✅ PASS",
            Judgement::Fail => "❌ FAIL",
            Judgement::Inconclusive => "❔ INCONCLUSIVE",
            Judgement::Environment => "⚠️ ENVIRONMENT",
            Judgement::Interrupted { .. } => "⚠️ INTERRUPTED",
        };
        let time = self.seconds.map(|seconds| format!("{seconds:.1}s")).unwrap_or_default();
        let (label, reason) = (escaped(&self.label), escaped(&cut(&self.reason)));
        format!("| {sign} | {label} | `{}` | {time} | {reason} |\n", self.seed)
    }

    fn block(&self) -> String {
        let text = clean(&self.details);
        // A fence that is longer than any in the text cannot be closed by it.
        let longest = text.split(|c| c != '`').map(str::len).max().unwrap_or(0);
        let fence = "`".repeat(longest.max(2) + 1);
        let title = escaped(&format!("{} (seed {})", self.label, self.seed));
        format!("\n<details><summary>{title}</summary>\n\n{fence}text\n{}\n{fence}\n\n</details>\n", text.trim_end())
    }
}

/// One line of Markdown that is shown as it is: no markup, no HTML, no end of its cell.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 16);
    for c in clean_line(text).chars() {
        match c {
            // Within <summary> Markdown is not read, and elsewhere both understand these.
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            c if c.is_ascii_punctuation() => out.push_str(&format!("&#{};", u32::from(c))),
            c => out.push(c),
        }
    }
    out
}

fn cut(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    if line.chars().count() <= 200 { line.to_owned() } else { line.chars().take(199).chain(['…']).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(judgement: Judgement, reason: &str, details: &str) -> Row {
        let (label, seed) = ("x[a=1]".to_owned(), "0x7".to_owned());
        Row { label, judgement, seconds: Some(1.25), seed, reason: reason.to_owned(), details: details.to_owned() }
    }

    #[test]
    fn what_a_node_says_is_text_in_a_cell_and_in_a_block() {
        let hostile = "<img src=x onerror=alert(1)> | **b** [a](javascript:x) `c`\n# x";
        let line = row(Judgement::Fail, hostile, "").line();
        assert_eq!(line.matches('|').count(), 6, "{line}");
        assert!(!line.contains(['<', '*', '[', '(']), "{line}");
        let block = row(Judgement::Fail, "", "before\n````\n</details><script>\n```\n").block();
        let inside = block.split_once("`````text\n").unwrap().1.split_once("\n`````\n").unwrap().0;
        assert_eq!(inside, "before\n````\n</details><script>\n```");
    }

    #[test]
    fn a_summary_keeps_below_the_limit_and_counts_what_is_left_out() {
        let mut summary = Summary::default();
        for _ in 0..60 {
            summary.add(row(Judgement::Pass, "", ""));
        }
        for _ in 0..300 {
            summary.add(row(Judgement::Fail, "broken", &"y".repeat(20_000)));
        }
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("summary.md");
        std::fs::write(&path, "z".repeat(500_000)).unwrap();
        summary.append_to(&path, &Tally::default()).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!((900_000..LARGEST as usize).contains(&text.len()), "{}", text.len());
        assert!(text.contains("\n10 more runs are not listed.\n"));
        assert_eq!(text.matches("FAIL").count(), 300);
        let unseen: usize = text.rsplit_once("The details of ").unwrap().1.split_once(' ').unwrap().0.parse().unwrap();
        assert_eq!(text.matches("<details>").count() + unseen, 300);
        std::fs::write(&path, "z".repeat(LARGEST as usize)).unwrap();
        summary.append_to(&path, &Tally::default()).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().len(), LARGEST, "what is full is left as it is");
    }
}
