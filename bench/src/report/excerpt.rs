//! The logs of a run around the moment at which it went wrong: what every node said just before, by time.

use std::fmt::Write as _;

use dsbench_core::observation::What;
use dsbench_core::time::RunTime;

use super::screen::{Page, Screen, WRITES};
use super::tell::who;
use super::terminal::clean_line;
use crate::store::{Spoken, around};

/// So many lines of each node are shown after the moment.
const AFTER: usize = 5;

/// The longest line that is shown whole.
const WIDTH: usize = 400;

/// The last `lines` lines of each node before the run went wrong, and what followed.
pub fn excerpt(screen: &Screen<'_>, lines: usize) -> String {
    let mut page = Page::default();
    write_excerpt(&mut page, screen, lines).expect(WRITES);
    page.into_text()
}

fn write_excerpt(out: &mut Page, screen: &Screen<'_>, lines: usize) -> std::fmt::Result {
    let (moment, what) = moment(screen);
    let spoken = around(&screen.store.log_dir(), screen.history, moment, lines, AFTER.min(lines));
    if spoken.before.is_empty() && spoken.after.is_empty() {
        return writeln!(out, "  logs:      no node said anything around {moment}, or the raw logs were not kept");
    }
    let plural = if lines == 1 { "line" } else { &format!("{lines} lines") };
    writeln!(out, "  logs:      the last {plural} of each node before {moment}")?;
    let nodes = screen.file.nodes.iter().map(|node| node.chars().count()).max().unwrap_or(0);
    for line in &spoken.before {
        write_line(out, line, nodes)?;
    }
    writeln!(out, "    {:>10}  >>> {}", moment.to_string(), clean_line(&what))?;
    for line in &spoken.after {
        write_line(out, line, nodes)?;
    }
    Ok(())
}

fn write_line(out: &mut Page, line: &Spoken, width: usize) -> std::fmt::Result {
    let head = &line.bytes[..line.bytes.len().min(4 * WIDTH)];
    // Colours of a log are noise here; whatever else it commands is written out.
    let text = anstream::adapter::strip_str(&String::from_utf8_lossy(head)).to_string();
    let text = clean_line(&text);
    let (cut, more) = match text.char_indices().nth(WIDTH) {
        Some((end, _)) => (&text[..end], "…"),
        None => (&*text, ""),
    };
    let mark = if line.is_stderr { "[stderr] " } else { "" };
    writeln!(out, "    {:>10}  {:<width$}  {mark}{cut}{more}", line.at.to_string(), clean_line(&who(&line.of)))
}

/// When a run went wrong, and what went wrong then: what weighs most, or else its end.
fn moment(screen: &Screen<'_>) -> (RunTime, String) {
    let Some(reason) = screen.verdict.reasons.first() else {
        return (screen.history.horizon(), "the end".to_owned());
    };
    let seen = reason.observation.and_then(|number| screen.history.get(number));
    let first = reason.text.lines().next().unwrap_or_default();
    match screen.verdict.invariant_of(reason) {
        Some(invariant) => {
            let at = invariant.finding.at.or(seen.map(|seen| seen.at));
            (at.unwrap_or_else(|| screen.history.horizon()), invariant.name.clone())
        }
        // The end of a run that was cut short is when it was cut.
        None if matches!(seen.map(|seen| &seen.what), Some(What::Run(_)) | None) => {
            (screen.history.horizon(), first.to_owned())
        }
        None => (seen.map_or(RunTime::START, |seen| seen.at), first.to_owned()),
    }
}
