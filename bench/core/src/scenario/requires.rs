//! `[requires]`: what must be there before anything starts. What is missing is a fault of the environment, never a skipped test.

use std::time::Duration;

use crate::condition::parse_command;
use crate::names::Names;
use crate::table::{Key, Kind, Table};
use crate::template::{Setting, Template};

/// What must be there.
#[derive(Debug, Clone)]
pub struct Requires {
    /// Programs on PATH, each with what to do if it is missing.
    pub programs: Vec<(String, Option<String>)>,
    /// Files, relative to the scenario file.
    pub files: Vec<String>,
    /// Commands that must succeed, each with the hint to print if it does not.
    pub exec: Vec<(String, Vec<Template>)>,
    /// The longest that each of them may take.
    pub within: Duration,
}

/// How long a command may take if the scenario does not say: a daemon that is asked for its state may be slow, not silent.
const WITHIN: Duration = Duration::from_secs(30);

impl Default for Requires {
    fn default() -> Self {
        Self { programs: Vec::new(), files: Vec::new(), exec: Vec::new(), within: WITHIN }
    }
}

/// The keys of `[requires]`.
pub(super) const KEYS: &[Key] = &[
    Key::new(
        "programs",
        Kind::Either(&[Kind::Texts, Kind::Map(&Kind::Text)]),
        "Programs on PATH: a list, or { redis-server = \"apt-get install redis-server\" }.",
    ),
    Key::new("files", Kind::Texts, "Files that must exist, relative to the scenario file."),
    Key::new(
        "exec",
        Kind::Map(&Kind::Command),
        "Commands that must succeed, each under the hint to print if it does not.",
    ),
    Key::new("within", Kind::Duration, "The longest that each command may take; 30s if not given."),
];

pub(super) fn parse(root: &Table<'_, '_>, names: &Names<'_>) -> Option<Requires> {
    let Some(table) = root.table("requires", "[requires]") else { return Some(Requires::default()) };
    let programs = match table.item("programs") {
        None => Vec::new(),
        Some(item) if item.is_table() => {
            let hint = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            item.entries()?
                .iter()
                .filter_map(|entry| Some((entry.key().to_owned(), hint(entry.text()?.value))))
                .collect()
        }
        Some(item) => item.texts()?.iter().map(|text| (text.value.to_owned(), None)).collect(),
    };
    let files = table.texts("files").unwrap_or_default().iter().map(|file| file.value.to_owned()).collect();
    let exec: Vec<_> = table
        .map("exec")
        .iter()
        .map(|item| Some((item.key().to_owned(), parse_command(item, Setting::BENCH, names)?)))
        .collect();
    let within = table.duration("within").map_or(WITHIN, |within| within.value);
    Some(Requires { programs, files, within, exec: exec.into_iter().collect::<Option<_>>()? })
}
