//! Workflow commands: how they are written, and how text is kept from being one.
//!
//! The runner takes a line for a command if it begins with `::` (after white space), or if `##[` stands anywhere in it.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use dsbench_core::source::SourceLine;

use crate::report::terminal::{clean, clean_line, command};

/// GitHub shows so many annotations of one kind per step.
pub(super) const SHOWN: usize = 10;

/// Kinds of annotation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    Error,
    Warning,
}

/// Where an annotation stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// Relative to the repository; none if the file is not in it.
    pub(super) file: Option<String>,
    /// From 1.
    pub(super) line: Option<u32>,
    /// First and one past the last, from 1.
    pub(super) columns: Option<(usize, usize)>,
}

impl Place {
    /// A line of a scenario (or of a file that it extends), or the whole file.
    pub(super) fn line(path: &Path, line: Option<&SourceLine>) -> Self {
        let root = std::env::var_os("GITHUB_WORKSPACE").map(PathBuf::from);
        let path = match line.and_then(|line| line.file.as_ref()) {
            Some(other) => path.parent().unwrap_or(Path::new("")).join(&**other),
            None => path.to_owned(),
        };
        let file = root.and_then(|root| in_repository(&path, &root));
        Self { file, line: line.map(|line| line.number), columns: None }
    }
}

/// A path as GitHub knows it.
fn in_repository(path: &Path, root: &Path) -> Option<String> {
    let (path, root) = (path.canonicalize().ok()?, root.canonicalize().ok()?);
    Some(path.strip_prefix(root).ok()?.to_str()?.to_owned())
}

/// The process has one log, and the limit is the log's.
static ERRORS: AtomicUsize = AtomicUsize::new(0);
static WARNINGS: AtomicUsize = AtomicUsize::new(0);

/// Writes an annotation, unless GitHub would not show it.
pub(super) fn annotate(level: Level, place: &Place, title: &str, message: &str) {
    let count = match level {
        Level::Error => &ERRORS,
        Level::Warning => &WARNINGS,
    };
    if count.fetch_add(1, Ordering::Relaxed) < SHOWN {
        command(&annotation(level, place, title, message));
    }
}

/// How many annotations were not written.
pub(super) fn not_shown() -> usize {
    [&ERRORS, &WARNINGS].iter().map(|count| count.load(Ordering::Relaxed).saturating_sub(SHOWN)).sum()
}

fn annotation(level: Level, place: &Place, title: &str, message: &str) -> String {
    let mut properties = Vec::new();
    if let Some(file) = &place.file {
        properties.push(format!("file={}", property(file)));
        properties.extend(place.line.map(|line| format!("line={line}")));
        if let Some((first, past)) = place.columns {
            properties.push(format!("col={first}"));
            properties.push(format!("endColumn={past}"));
        }
    }
    properties.push(format!("title={}", property(title)));
    let word = match level {
        Level::Error => "error",
        Level::Warning => "warning",
    };
    format!("::{word} {}::{}", properties.join(","), value(message))
}

/// What follows is folded until [`close_group`].
pub(super) fn open_group(title: &str) {
    command(&format!("::group::{}", value(&clean_line(title))));
}

/// Ends a group.
pub(super) fn close_group() {
    command("::endgroup::");
}

fn value(text: &str) -> String {
    without_old_commands(clean(text).into_owned()).replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    value(&clean_line(text)).replace(':', "%3A").replace(',', "%2C")
}

/// Text that the runner does not obey, whatever stands in it.
pub(in crate::report) fn harmless(text: &str) -> Cow<'_, str> {
    let is_command = |line: &str| line.trim_start().starts_with("::");
    if !text.contains("##[") && !text.lines().any(is_command) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for line in text.split_inclusive('\n') {
        if is_command(line) {
            let (indent, rest) = line.split_at(line.len() - line.trim_start().len());
            out.extend([indent, "\\", rest]);
        } else {
            out.push_str(line);
        }
    }
    Cow::Owned(without_old_commands(out))
}

/// The runner looks for `##[command]` in the middle of a line, too.
fn without_old_commands(mut text: String) -> String {
    // Once is not enough: in `###[` another is left.
    while text.contains("##[") {
        text = text.replace("##[", "#\\#[");
    }
    text
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::{Level, Place, annotation, harmless, in_repository};

    #[test]
    fn values_cannot_leave_their_place() {
        let place = Place { file: Some("a,b:c%.toml".into()), line: Some(41), columns: Some((3, 9)) };
        assert_eq!(
            annotation(Level::Error, &place, "x,y::z\n", "100% of\nlines\u{1b}[2J::error::"),
            "::error file=a%2Cb%3Ac%25.toml,line=41,col=3,endColumn=9,title=x%2Cy%3A%3Az\\n::100%25 of%0Alines\\u{1b}[2J::error::"
        );
        let nowhere = Place { file: None, line: Some(41), columns: None };
        assert_eq!(annotation(Level::Warning, &nowhere, "t", "m"), "::warning title=t::m");
    }

    #[test]
    fn a_path_is_relative_to_the_repository_or_left_out() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("scenarios")).unwrap();
        std::fs::write(root.path().join("scenarios/x.toml"), "").unwrap();
        let relative = in_repository(&root.path().join("scenarios/../scenarios/x.toml"), root.path());
        assert_eq!(relative.as_deref(), Some("scenarios/x.toml"));
        assert_eq!(in_repository(Path::new("/etc/passwd"), root.path()), None);
        assert_eq!(in_repository(&root.path().join("gone.toml"), root.path()), None);
    }

    /// As the runner reads a line, whether the command is known or not.
    fn is_command(line: &str) -> bool {
        line.trim_start().starts_with("::") || line.contains("##[")
    }

    proptest! {
        #[test]
        fn no_text_is_a_command(text in "[:# \\[\\]a\\n\\t\u{a0}\u{2003}]{0,40}") {
            let shown = harmless(&text);
            for line in shown.split(['\n', '\r']) {
                prop_assert!(!is_command(line), "{line:?} of {text:?}");
            }
            if !text.lines().any(is_command) {
                prop_assert_eq!(&*shown, &text);
            }
        }
    }
}
