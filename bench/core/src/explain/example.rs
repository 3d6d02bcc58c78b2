//! Examples: pieces of the files with which the reader of scenarios is tested. Good files show how a key is used; bad files say in comments
//! how each mistake is put right.

use std::sync::OnceLock;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::table::Key;

/// Good files, those first that are the best examples. Every file of `bench/core/tests/good` is one of them.
pub const GOOD: &[(&str, &str)] = &[
    ("leader-election", include_str!("../../tests/good/leader-election.toml")),
    ("groups", include_str!("../../tests/good/groups.toml")),
    ("promises", include_str!("../../tests/good/promises.toml")),
    ("delivery", include_str!("../../tests/good/delivery.toml")),
    ("nemesis", include_str!("../../tests/good/nemesis.toml")),
    ("workload", include_str!("../../tests/good/workload.toml")),
    ("requests", include_str!("../../tests/good/requests.toml")),
    ("demonstration", include_str!("../../tests/good/demonstration.toml")),
    ("processes", include_str!("../../tests/good/processes.toml")),
    ("stages", include_str!("../../tests/good/stages.toml")),
    ("network", include_str!("../../tests/good/network.toml")),
    ("everything", include_str!("../../tests/good/everything.toml")),
    ("variations", include_str!("../../tests/good/variations.toml")),
];

/// A file with one mistake, and the same file without it.
///
/// A comment `# right: LINE` at the end of a line says what that line should be; on a line of its own, it is a line that is missing;
/// without a LINE, its line should not be there. `# --set PATH=VALUE` or `# --case NAME` in the first lines stands for the command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadFile {
    /// As it is.
    pub wrong: Sample,
    /// As it should be.
    pub right: Sample,
}

/// One version of a [`BadFile`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sample {
    /// The whole scenario.
    pub text: String,
    /// The arguments that go with it: `--set nodes.count=5`, `--case sync`.
    pub arguments: Vec<String>,
    /// What is shown of it: the paragraphs that differ.
    pub shown: String,
}

const RIGHT: &str = "# right:";
const ARGUMENT: &str = "# --";

impl BadFile {
    /// Reads the two versions of a file.
    pub fn of(text: &str) -> Self {
        let mut file = Self { wrong: Sample::default(), right: Sample::default() };
        for paragraph in text.split("\n\n") {
            let differs = paragraph.contains(RIGHT);
            let (mut wrong, mut right) = (Vec::new(), Vec::new());
            for line in paragraph.lines() {
                match line.split_once(RIGHT) {
                    None => {
                        wrong.push(line);
                        right.push(line);
                    }
                    Some((before, after)) => {
                        wrong.extend(Some(before.trim_end()).filter(|line| !line.is_empty()));
                        right.extend(Some(after.strip_prefix(' ').unwrap_or(after)).filter(|line| !line.is_empty()));
                    }
                }
            }
            file.wrong.add(&wrong, differs);
            file.right.add(&right, differs);
        }
        file
    }
}

impl Sample {
    fn add(&mut self, paragraph: &[&str], differs: bool) {
        let is_argument = |line: &&str| line.starts_with(ARGUMENT);
        self.arguments
            .extend(paragraph.iter().filter(|line| is_argument(line)).map(|line| line[2..].trim().to_owned()));
        self.text.push_str(&paragraph.join("\n"));
        self.text.push_str("\n\n");
        let is_comment = |line: &&&str| line.starts_with("# ");
        let (arguments, lines): (Vec<&str>, Vec<&str>) = paragraph.iter().copied().partition(is_argument);
        if !differs || paragraph.is_empty() {
            return;
        }
        let shown: Vec<String> = if arguments.is_empty() {
            lines.iter().filter(|line| !is_comment(line)).map(|line| (*line).to_owned()).collect()
        } else {
            arguments.iter().map(|argument| format!("dsbench run x.toml {}", &argument[2..])).collect()
        };
        if !self.shown.is_empty() {
            self.shown.push_str("\n\n");
        }
        self.shown.push_str(&shown.join("\n"));
    }
}

/// The lines of a good file in which a key is used: under its header, with what belongs to it. None if no file has it.
pub(super) fn excerpt(path: &str, keys: &'static [Key], key: &'static Key) -> Option<String> {
    // Every word of a reference asks for its excerpt: the files are read once.
    static DOCUMENTS: OnceLock<Vec<(&str, Spanned<DeTable<'static>>)>> = OnceLock::new();
    let read = || GOOD.iter().filter_map(|(_, text)| Some((*text, DeTable::parse(text).ok()?))).collect();
    let is_general = path.starts_with(char::is_uppercase);
    DOCUMENTS.get_or_init(read).iter().find_map(|(text, document)| {
        let mut places = Vec::new();
        if is_general {
            // A condition or a target may stand anywhere: its key is looked for everywhere.
            search(document.get_ref(), keys, key, &mut Vec::new(), &mut places);
        } else {
            let segments: Vec<&str> = path.split('.').collect();
            follow(document.get_ref(), &segments, &mut Vec::new(), &mut places);
        }
        places.first().map(|place| lines_of(text, place))
    })
}

/// The spans of the keys and values on the way to a place.
type Place = Vec<(std::ops::Range<usize>, std::ops::Range<usize>)>;

/// Every place that a path leads to; `NAME` is any name, and elements of lists are passed through.
fn follow(table: &DeTable<'_>, segments: &[&str], way: &mut Place, found: &mut Vec<Place>) {
    let Some((first, rest)) = segments.split_first() else { return };
    let mut entries: Vec<_> = table.iter().filter(|(name, _)| *first == "NAME" || name.get_ref() == first).collect();
    entries.sort_by_key(|(name, _)| name.span().start);
    for (name, value) in entries {
        way.push((name.span(), value.span()));
        if rest.is_empty() {
            found.push(way.clone());
        }
        follow_value(value, rest, way, found);
        way.pop();
    }
}

fn follow_value(value: &Spanned<DeValue<'_>>, segments: &[&str], way: &mut Place, found: &mut Vec<Place>) {
    match value.get_ref() {
        DeValue::Table(table) => follow(table, segments, way, found),
        DeValue::Array(list) => list.iter().for_each(|element| follow_value(element, segments, way, found)),
        _ => {}
    }
}

/// Every place where a key of a table that can stand anywhere is used: in a table all of whose keys are of that table, at a key of another.
fn search(table: &DeTable<'_>, keys: &'static [Key], key: &'static Key, way: &mut Place, found: &mut Vec<Place>) {
    let is_such = table.keys().all(|name| keys.iter().any(|known| name.get_ref() == known.name));
    for (name, value) in table.iter() {
        way.push((name.span(), value.span()));
        if is_such && name.get_ref() == key.name && way.len() > 2 {
            found.push(way.clone());
        }
        search_value(value, keys, key, way, found);
        way.pop();
    }
    found.sort_by_key(|place| place.last().map(|(name, _)| name.start));
}

fn search_value(
    value: &Spanned<DeValue<'_>>,
    keys: &'static [Key],
    key: &'static Key,
    way: &mut Place,
    found: &mut Vec<Place>,
) {
    match value.get_ref() {
        DeValue::Table(table) => search(table, keys, key, way, found),
        DeValue::Array(list) => list.iter().for_each(|element| search_value(element, keys, key, way, found)),
        _ => {}
    }
}

/// The statement at a place with its header; all of a short table.
fn lines_of(text: &str, place: &Place) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let line_at = |offset: usize| text[..offset.min(text.len())].matches('\n').count();
    let is_header = |line: &&str| line.starts_with('[') && line.contains(']');
    let at = place.last().map_or(0, |(name, _)| line_at(name.start));
    let header = (0..=at).rev().find(|line| is_header(&lines[*line]));
    let end = |from: usize| (from + 1..lines.len()).find(|line| is_header(&lines[*line])).unwrap_or(lines.len());
    let trimmed = |from: usize, to: usize| lines[from..to].join("\n").trim_end().to_owned();
    match header {
        // A step, an invariant, a small table: all of it.
        Some(header) if lines[header].starts_with("[[") || end(header) - header <= 6 => trimmed(header, end(header)),
        header => {
            // The outermost key below the header begins the statement.
            let first = header.map_or(0, |header| header + 1);
            let statement = place.iter().find(|(name, _)| line_at(name.start) >= first);
            let (from, to) = statement.map_or((at, at), |(name, value)| (line_at(name.start), line_at(value.end)));
            let header = header.filter(|header| *header < from).map(|header| format!("{}\n", lines[header]));
            format!("{}{}", header.unwrap_or_default(), trimmed(from, to + 1))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_file_is_told_in_its_wrong_and_its_right_version() {
        let file = BadFile::of(
            "# told: x\na = 1\nb = 2   # right: b = 3\nc = 4  # right:\n\n[d]\n# right: e = 5\n\n[f]\ng = 6\n",
        );
        assert_eq!(file.wrong.shown, "a = 1\nb = 2\nc = 4\n\n[d]");
        assert_eq!(file.right.shown, "a = 1\nb = 3\n\n[d]\ne = 5");
        assert_eq!(file.right.text, "# told: x\na = 1\nb = 3\n\n[d]\ne = 5\n\n[f]\ng = 6\n\n");
        let file = BadFile::of("# --set a=   # right: # --set a=1\na = 0\n");
        assert_eq!(
            (file.wrong.arguments, file.right.arguments),
            (vec!["--set a=".to_owned()], vec!["--set a=1".to_owned()])
        );
        assert_eq!(file.right.shown, "dsbench run x.toml --set a=1");
    }
}
