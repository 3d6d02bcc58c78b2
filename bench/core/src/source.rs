//! The text of a scenario: the file that was named and those that it extends, addressed as one text.
//!
//! A [`Span`] means the same place wherever it is handed on, and only whoever shows it asks in which file that is.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::diagnostic::Span;
use crate::observation::Name;

/// The files of a scenario, the one that was named first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sources(Vec<SourceFile>);

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceFile {
    /// How the scenario calls it: its path from the directory of the file that was named; none for that file itself.
    pub path: Option<Name>,
    /// Its text.
    pub text: String,
    /// Where its text begins in all of them together.
    start: usize,
    /// Where its lines end, in its own text.
    newlines: Vec<usize>,
}

/// A line of a scenario.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SourceLine {
    /// Its number, from 1.
    #[serde(rename = "line")]
    pub number: u32,
    /// The file, by its path from the directory of the scenario; none for the scenario's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<Name>,
}

impl Sources {
    /// A scenario of one file.
    pub fn of(text: impl Into<String>) -> Self {
        let mut sources = Self::default();
        sources.push(None, text.into());
        sources
    }

    /// Adds the file that the last one extends. Its places come before those of all others, as what it says does.
    pub fn add(&mut self, path: impl Into<Name>, text: impl Into<String>) {
        self.push(Some(path.into()), text.into());
    }

    fn push(&mut self, path: Option<Name>, text: String) {
        // One apart, so that a place at the very end of a file is that file's.
        self.0.iter_mut().for_each(|file| file.start += text.len() + 1);
        let newlines = text.match_indices('\n').map(|(at, _)| at).collect();
        self.0.push(SourceFile { path, text, start: 0, newlines });
    }

    /// All files, the one that was named first.
    pub fn files(&self) -> &[SourceFile] {
        &self.0
    }

    /// The file in which a place lies.
    pub fn file_at(&self, offset: usize) -> Option<&SourceFile> {
        let after = self.0.partition_point(|file| file.start > offset);
        self.0.get(after)
    }

    /// The line in which a place lies.
    pub fn line(&self, offset: usize) -> SourceLine {
        let Some(file) = self.file_at(offset) else { return SourceLine::from(1) };
        let within = offset - file.start;
        let number = file.newlines.partition_point(|newline| *newline < within) + 1;
        SourceLine { number: u32::try_from(number).unwrap_or(u32::MAX), file: file.path.clone() }
    }

    /// True if any of the files says this.
    pub fn contain(&self, text: &str) -> bool {
        self.0.iter().any(|file| file.text.contains(text))
    }
}

impl SourceFile {
    /// Its path as a person opens it; `scenario` is that of the scenario's own file.
    pub fn shown(&self, scenario: &str) -> String {
        beside(scenario, self.path.as_deref())
    }

    /// Where its text begins in all of them together.
    pub fn start(&self) -> usize {
        self.start
    }

    /// A place in all of them together as one in this file's own text.
    pub fn local(&self, span: &Span) -> Span {
        let within = |offset: usize| offset.saturating_sub(self.start).min(self.text.len());
        within(span.start)..within(span.end)
    }
}

impl SourceLine {
    /// As an editor opens it; `scenario` is the path of the scenario's own file.
    pub fn shown(&self, scenario: &str) -> String {
        format!("{}:{}", beside(scenario, self.file.as_deref()), self.number)
    }
}

/// The path of a file that a scenario extends, or of the scenario itself.
fn beside(scenario: &str, file: Option<&str>) -> String {
    match (file, scenario.rsplit_once('/')) {
        (None, _) => scenario.to_owned(),
        (Some(file), Some((directory, _))) => format!("{directory}/{file}"),
        (Some(file), None) => file.to_owned(),
    }
}

impl From<u32> for SourceLine {
    /// A line of the scenario's own file.
    fn from(number: u32) -> Self {
        Self { number, file: None }
    }
}

impl fmt::Display for SourceLine {
    /// `41`, or `base.toml:41`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{file}:")?;
        }
        write!(f, "{}", self.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_has_its_file_and_line() {
        let mut sources = Sources::of("a\nb");
        sources.add("base.toml", "");
        sources.add("shared/more.toml", "x\n\ny\n");
        // The last added stands first: 0..5 is shared/more.toml, 6 base.toml, 7.. the scenario.
        let told = |offset| sources.line(offset).shown("dir/x.toml");
        assert_eq!(
            [told(0), told(3), told(5)],
            ["dir/shared/more.toml:1", "dir/shared/more.toml:3", "dir/shared/more.toml:4"]
        );
        assert_eq!(told(6), "dir/base.toml:1");
        assert_eq!(
            [told(7), told(8), told(9), told(10)],
            ["dir/x.toml:1", "dir/x.toml:1", "dir/x.toml:2", "dir/x.toml:2"]
        );
        let first = &sources.files()[0];
        assert_eq!(&first.text[first.local(&(9..10))], "b");
        let last = &sources.files()[2];
        assert_eq!(&last.text[last.local(&(3..4))], "y");
        assert_eq!(last.local(&(0..99)), 0..5, "never outside its text");
    }

    #[test]
    fn a_line_of_the_scenario_itself_is_stored_as_a_number() {
        #[derive(Serialize, Deserialize, PartialEq, Debug)]
        struct Reason {
            #[serde(flatten)]
            line: Option<SourceLine>,
        }
        let stored = |line: Option<SourceLine>| serde_json::to_string(&Reason { line }).unwrap();
        assert_eq!(stored(None), "{}");
        assert_eq!(stored(Some(41.into())), r#"{"line":41}"#);
        let base = SourceLine { number: 7, file: Some("base.toml".into()) };
        assert_eq!(stored(Some(base.clone())), r#"{"line":7,"file":"base.toml"}"#);
        for line in [None, Some(41.into()), Some(base)] {
            let read: Reason = serde_json::from_str(&stored(line.clone())).unwrap();
            assert_eq!(read, Reason { line });
        }
    }
}
