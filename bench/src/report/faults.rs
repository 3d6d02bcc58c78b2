//! What was done to the cluster, in a few lines: the faults of steps one by one, those of the nemesis counted and then packed.

use std::collections::BTreeMap;

use dsbench_core::faults::{Fault, faults, faults_of_nemesis};
use dsbench_core::history::History;
use dsbench_core::observation::{NemesisChange, Origin, PassedOver};

use super::tell::{asked, seconds};

/// More faults of steps than this are counted.
const SHOWN: usize = 12;

/// More lines of the nemesis' faults than this are counted.
const PACKED_LINES: usize = 6;

/// What fits beside the word `faults:` on a terminal.
const WIDTH: usize = 105;

/// The lines; at least one.
pub(super) fn lines(history: &History) -> Vec<String> {
    let is_of_nemesis = |fault: &Fault<'_>| matches!(fault.action.origin(), Origin::Nemesis(_));
    let mut lines: Vec<String> =
        faults(history).filter(|fault| !is_of_nemesis(fault)).map(|fault| told(&fault)).collect();
    let all = lines.len();
    if all > SHOWN {
        lines.truncate(SHOWN - 1);
        lines.push(format!("... and {} more (all: dsbench show)", all - lines.len()));
    }
    if history.nemesis().len() > 0 {
        lines.extend(of_nemesis(history));
    }
    if lines.is_empty() {
        lines.push("none".to_owned());
    }
    lines
}

/// `kill peer2 at T+1.200s for 0.84s`, and who asked for it; the nemesis has a number instead: `3. kill peer2 T+1.200s for 0.84s`
fn told(fault: &Fault<'_>) -> String {
    let long = match (fault.has_missed(), fault.until()) {
        (true, _) => "hit nothing".to_owned(),
        (false, Some(until)) => format!("for {}", seconds(until.since(fault.at))),
        (false, None) => "to the end".to_owned(),
    };
    let what = match fault.action.verb.is_network() {
        true => format!("{} {}", fault.action.verb.key(), fault.action.whom()),
        false => format!("{} {}", fault.action.verb.key(), fault.action.nodes.join(", ")),
    };
    match fault.action.origin() {
        Origin::Nemesis(index) => format!("{}. {what} {} {long}", index.saturating_add(1), fault.at),
        _ => format!("{what} at {} {long}{}", fault.at, asked(fault.action)),
    }
}

/// `5 by the nemesis: 3 kill, 2 pause; 2 passed over: 2 max_down`, and which.
fn of_nemesis(history: &History) -> Vec<String> {
    let done: Vec<Fault<'_>> = faults_of_nemesis(history).collect();
    let kinds = counted(done.iter().map(|fault| fault.action.verb.key()));
    let passed_over = counted(history.nemesis().filter_map(|change| match change.what {
        NemesisChange::PassedOver { because: PassedOver::MaxDown, .. } => Some("max_down"),
        NemesisChange::PassedOver { because: PassedOver::Nobody, .. } => Some("nobody there"),
        _ => None,
    }));
    let mut first = format!("{} by the nemesis{kinds}", done.len());
    if !passed_over.is_empty() {
        let count = history.nemesis().filter(|change| matches!(change.what, NemesisChange::PassedOver { .. })).count();
        first.push_str(&format!("; {count} passed over{passed_over}"));
    }
    let told = done.iter().map(told);
    let mut lines = vec![first];
    lines.extend(packed(told, done.len()));
    lines
}

/// `: 3 kill, 2 pause`; nothing of nothing.
fn counted<'w>(words: impl Iterator<Item = &'w str>) -> String {
    let mut counts = BTreeMap::<&str, usize>::new();
    words.for_each(|word| *counts.entry(word).or_default() += 1);
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let counts: Vec<String> = counts.into_iter().map(|(word, count)| format!("{count} {word}")).collect();
    if counts.is_empty() { String::new() } else { format!(": {}", counts.join(", ")) }
}

/// As many as fit on each line, on a few lines.
fn packed(told: impl Iterator<Item = String>, all: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for (index, told) in told.enumerate() {
        let full = lines.len() == PACKED_LINES;
        match lines.last_mut().filter(|line| line.chars().count() + told.chars().count() + 3 <= WIDTH) {
            Some(line) => line.push_str(&format!("   {told}")),
            None if full => {
                lines.push(format!("... and {} more (all: dsbench show)", all - index));
                break;
            }
            None => lines.push(told),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::{counted, packed};

    #[test]
    fn kinds_are_counted_the_most_frequent_first() {
        assert_eq!(counted(["pause", "kill", "kill", "stop"].into_iter()), ": 2 kill, 1 pause, 1 stop");
        assert_eq!(counted(std::iter::empty()), "");
    }

    #[test]
    fn faults_share_lines_and_too_many_are_counted() {
        let told = |count: usize| (0..count).map(|n| format!("{n}. kill peer1 T+1.000s for 0.50s"));
        assert_eq!(packed(told(0), 0).len(), 0);
        assert_eq!(packed(told(4), 4).len(), 2);
        let lines = packed(told(100), 100);
        assert_eq!(lines.len(), 7);
        assert!(lines.iter().all(|line| line.len() <= 105));
        assert_eq!(lines[6], "... and 82 more (all: dsbench show)");
    }
}
