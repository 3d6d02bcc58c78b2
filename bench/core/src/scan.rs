//! Finding the lines of a chunk that may match one of many patterns, much faster than by looking at each.
//!
//! Most patterns have a text that every match contains (`SUSPECTED peer=`); all of these texts together are searched for at once, wherever
//! they stand in a line. The patterns that have none are searched for by one regular expression. Either only gives a hint at a line. Why
//! no line is missed: within the expression no pattern can match across a line end (the newline is taken out of all its classes), `\A`
//! and `\z` are widened to the ends of any line, and the scan goes on at the line after a hint, so a hint cannot hide another line's
//! match.

use regex_automata::nfa::thompson::WhichCaptures;
use regex_automata::util::prefilter::Prefilter;
use regex_automata::{Input, MatchKind, Span, meta};
use regex_syntax::hir::{Class, ClassBytes, ClassBytesRange, ClassUnicode, ClassUnicodeRange, Hir, HirKind, Look};

use crate::pattern::ALL_BYTES_MAX;

/// Shorter texts are in so many lines that searching for them is of no use.
const SHORTEST: usize = 3;
/// More texts than this are searched for more slowly than by an expression.
const MOST: usize = 128;

/// What lines are searched for.
#[derive(Debug, Clone)]
pub(crate) enum Scan {
    /// There are no patterns.
    Nothing,
    /// Lines with one of the texts, or a match of the expression.
    Hints { texts: Option<Prefilter>, others: Option<meta::Regex> },
    /// The patterns are too big together: every line has to be looked at.
    Everything,
}

impl Scan {
    /// A scan for these patterns, all of which are known to compile.
    pub(crate) fn new<'p>(patterns: impl Iterator<Item = &'p str>) -> Self {
        let mut texts: Vec<Vec<u8>> = Vec::new();
        let mut others: Vec<Hir> = Vec::new();
        let mut is_empty = true;
        for pattern in patterns {
            is_empty = false;
            let Ok(hir) = regex_syntax::parse(pattern) else { return Self::Everything };
            match required_texts(&hir).filter(|found| shortest(found) >= SHORTEST && texts.len() + found.len() <= MOST)
            {
                Some(found) => texts.extend(found),
                None => others.push(within_lines(&hir)),
            }
        }
        if is_empty {
            return Self::Nothing;
        }
        let others = match others.as_slice() {
            [] => None,
            others => match expression(others) {
                Some(expression) => Some(expression),
                None => return Self::Everything,
            },
        };
        texts.sort_unstable();
        texts.dedup();
        let prefilter = Prefilter::new(MatchKind::LeftmostFirst, &texts);
        if prefilter.is_none() && !texts.is_empty() {
            return Self::Everything;
        }
        Self::Hints { texts: prefilter, others }
    }

    /// Calls `look` with start and end (behind the newline) of every line that may match, in order.
    pub(crate) fn candidates(&self, chunk: &[u8], mut look: impl FnMut(usize, usize)) {
        match self {
            Self::Nothing => {}
            Self::Everything => {
                let mut start = 0;
                while start < chunk.len() {
                    let end = after_line(chunk, start);
                    look(start, end);
                    start = end;
                }
            }
            Self::Hints { texts, others } => {
                let mut start = 0;
                while start < chunk.len() {
                    // The expression reads UTF-8; a line with other bytes is looked at by itself.
                    let valid = match std::str::from_utf8(&chunk[start..]) {
                        Ok(_) => chunk.len(),
                        Err(error) => line_start(chunk, start + error.valid_up_to()),
                    };
                    hints(texts.as_ref(), others.as_ref(), chunk, start..valid, &mut look);
                    if valid == chunk.len() {
                        return;
                    }
                    start = after_line(chunk, valid);
                    look(valid, start);
                }
            }
        }
    }
}

/// Calls `look` for the lines of a part of the chunk (whole lines of UTF-8) that have a hint.
fn hints(
    texts: Option<&Prefilter>,
    others: Option<&meta::Regex>,
    chunk: &[u8],
    part: std::ops::Range<usize>,
    look: &mut impl FnMut(usize, usize),
) {
    let mut start = part.start;
    let find_text =
        |start| texts.and_then(|texts| texts.find(chunk, Span { start, end: part.end })).map(|hit| hit.start);
    let find_other = |start| {
        others.and_then(|others| others.search(&Input::new(chunk).span(start..part.end))).map(|hit| hit.start())
    };
    let (mut text, mut other) = (find_text(start), find_other(start));
    while start < part.end {
        // A hint that lies ahead stays good; only those that were passed are looked for again.
        if text.is_some_and(|hit| hit < start) {
            text = find_text(start);
        }
        if other.is_some_and(|hit| hit < start) {
            other = find_other(start);
        }
        let Some(hint) = text.into_iter().chain(other).min() else { return };
        let line = line_start(chunk, hint);
        if line >= part.end {
            return; // behind the last newline is no line
        }
        start = after_line(chunk, line);
        look(line, start);
    }
}

/// The start of the line in which a position lies; a line's `\n` belongs to it.
fn line_start(chunk: &[u8], position: usize) -> usize {
    chunk[..position].iter().rposition(|byte| *byte == b'\n').map_or(0, |newline| newline + 1)
}

/// The start of the next line.
fn after_line(chunk: &[u8], start: usize) -> usize {
    chunk[start..].iter().position(|byte| *byte == b'\n').map_or(chunk.len(), |length| start + length + 1)
}

fn shortest(texts: &[Vec<u8>]) -> usize {
    texts.iter().map(Vec::len).min().unwrap_or(0)
}

/// Texts of which every match contains at least one; none if there are no such texts.
fn required_texts(hir: &Hir) -> Option<Vec<Vec<u8>>> {
    match hir.kind() {
        HirKind::Literal(literal) if !literal.0.contains(&b'\n') => Some(vec![literal.0.to_vec()]),
        HirKind::Capture(capture) => required_texts(&capture.sub),
        HirKind::Repetition(repetition) if repetition.min >= 1 => required_texts(&repetition.sub),
        // Any part will do: the one whose texts are longest is in the fewest lines.
        HirKind::Concat(parts) => parts.iter().filter_map(required_texts).max_by_key(|texts| shortest(texts)),
        HirKind::Alternation(parts) => {
            let parts: Option<Vec<_>> = parts.iter().map(required_texts).collect();
            parts.map(|parts| parts.concat())
        }
        HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) | HirKind::Look(_) | HirKind::Repetition(_) => None,
    }
}

/// One regular expression for several patterns; none if they are too big together.
fn expression(patterns: &[Hir]) -> Option<meta::Regex> {
    let config = meta::Config::new()
        // The start of a match is needed, no group.
        .which_captures(WhichCaptures::Implicit)
        .nfa_size_limit(Some(ALL_BYTES_MAX))
        .hybrid_cache_capacity(8 << 20);
    meta::Builder::new().configure(config).build_many_from_hir(patterns).ok()
}

/// The same expression, unable to match a newline, with its anchors widened to every line.
fn within_lines(hir: &Hir) -> Hir {
    match hir.kind() {
        HirKind::Empty => Hir::empty(),
        HirKind::Literal(literal) if literal.0.contains(&b'\n') => Hir::fail(),
        HirKind::Literal(literal) => Hir::literal(literal.0.clone()),
        HirKind::Class(Class::Unicode(class)) => {
            let mut class = class.clone();
            class.difference(&ClassUnicode::new([ClassUnicodeRange::new('\n', '\n')]));
            Hir::class(Class::Unicode(class))
        }
        HirKind::Class(Class::Bytes(class)) => {
            let mut class = class.clone();
            class.difference(&ClassBytes::new([ClassBytesRange::new(b'\n', b'\n')]));
            Hir::class(Class::Bytes(class))
        }
        HirKind::Look(Look::Start) => Hir::look(Look::StartLF),
        // A line's own end is before its "\r\n".
        HirKind::Look(Look::End | Look::EndLF) => Hir::look(Look::EndCRLF),
        HirKind::Look(look) => Hir::look(*look),
        HirKind::Repetition(repetition) => Hir::repetition(repetition.with(within_lines(&repetition.sub))),
        HirKind::Capture(capture) => within_lines(&capture.sub),
        HirKind::Concat(parts) => Hir::concat(parts.iter().map(within_lines).collect()),
        HirKind::Alternation(parts) => Hir::alternation(parts.iter().map(within_lines).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(pattern: &str) -> Vec<String> {
        let texts = required_texts(&regex_syntax::parse(pattern).unwrap()).unwrap_or_default();
        texts.into_iter().map(|text| String::from_utf8(text).unwrap()).collect()
    }

    #[test]
    fn the_texts_that_a_match_must_contain_are_found_anywhere_in_a_pattern() {
        assert_eq!(texts(r"(^|\s)panic: "), ["panic: "]);
        assert_eq!(texts(r"became the Leader.* term=(?<term>\d+)"), ["became the Leader"]);
        assert_eq!(texts(r"\d+ (lost|recovered) x?"), ["lost", "recovered"]);
        assert_eq!(texts(r"(abc)?\w+"), Vec::<String>::new());
        assert_eq!(texts(r"(abc|\d)"), Vec::<String>::new());
    }

    #[test]
    fn only_lines_with_a_hint_are_looked_at() {
        let scan = Scan::new([r"SUSPECTED peer=", r"^\d+$"].into_iter());
        let chunk = b"nothing\nx SUSPECTED peer=1 SUSPECTED peer=2\n12\nnot 12\n\xff\nSUSPECTED peer=3";
        let mut lines = Vec::new();
        scan.candidates(chunk, |start, end| lines.push(String::from_utf8_lossy(&chunk[start..end]).into_owned()));
        assert_eq!(lines, ["x SUSPECTED peer=1 SUSPECTED peer=2\n", "12\n", "\u{fffd}\n", "SUSPECTED peer=3"]);
    }
}
