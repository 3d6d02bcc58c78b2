//! `exits`, `rss_max` and `open_files_max` of a process: what it is expected to do by itself.

use crate::diagnostic::{self, Diagnostic};
use crate::expected::{Exits, Expected};
use crate::table::{Item, Key, Kind, Table};

const WORDS: &[&str] = &["never", "may"];
const CODE: Kind = Kind::IntIn(0, 255);
const CODES: Kind = Kind::Either(&[CODE, Kind::List(&CODE)]);

const EXITS_KEYS: &[Key] = &[
    Key::required("codes", CODES, "The exit code that is right, or a list of them."),
    Key::new("within", Kind::Duration, "It must end, within this time of each start; without it, it may."),
];

/// The keys of a process that say what it does by itself.
pub(super) const KEYS: &[Key] = &[
    Key::new(
        "exits",
        Kind::Either(&[Kind::OneOf(WORDS), CODE, Kind::List(&CODE), Kind::Table(EXITS_KEYS)]),
        "Whether it ends without having been asked: \"never\" (as if not said), \"may\", or with which exit codes; { codes = 0, within = \"30s\" } must.",
    ),
    Key::new(
        "rss_max",
        Kind::Size,
        "Resident memory that it may not exceed, in the place of what the check `process` says.",
    ),
    Key::new(
        "open_files_max",
        Kind::IntIn(1, u32::MAX as i64),
        "Open file descriptors that it may not exceed, in the place of what the check `process` says.",
    ),
];

/// What a table says of it; each part may be left out.
#[derive(Debug, Clone, Default)]
pub(super) struct ByItself {
    exits: Option<Exits>,
    rss_bytes_max: Option<u64>,
    open_files_max: Option<u32>,
}

impl ByItself {
    pub(super) fn parse(table: &Table<'_, '_>) -> Option<Self> {
        let exits = table.item("exits").map(|item| parse_exits(&item));
        let rss = table.item("rss_max").map(|item| item.size());
        let files = table.int("open_files_max", 1..=i64::from(u32::MAX));
        let is_wrong = matches!(exits, Some(None)) || matches!(rss, Some(None));
        (!is_wrong && files.is_some() == table.has("open_files_max")).then(|| Self {
            exits: exits.flatten(),
            rss_bytes_max: rss.flatten().map(|size| size.value),
            open_files_max: files.and_then(|files| u32::try_from(files.value).ok()),
        })
    }

    /// With these differences.
    pub(super) fn but(self, other: Self) -> Self {
        Self {
            exits: other.exits.or(self.exits),
            rss_bytes_max: other.rss_bytes_max.or(self.rss_bytes_max),
            open_files_max: other.open_files_max.or(self.open_files_max),
        }
    }

    pub(super) fn complete(self) -> Expected {
        let Self { exits, rss_bytes_max, open_files_max } = self;
        Expected { exits: exits.unwrap_or_default(), rss_bytes_max, open_files_max }
    }
}

fn parse_exits(item: &Item<'_, '_>) -> Option<Exits> {
    if item.is_text() {
        return item.word(WORDS).map(|word| if word.value == "may" { Exits::May } else { Exits::Never });
    }
    if !item.is_table() {
        return Some(Exits::With { codes: parse_codes(item)?, within: None });
    }
    let table = item.table(EXITS_KEYS, "exits")?;
    let codes = table.required("codes", |table, key| parse_codes(&table.item(key)?));
    let within = table.item("within").map(|item| item.duration());
    match within {
        None => Some(Exits::With { codes: codes?, within: None }),
        Some(within) => Some(Exits::With { codes: codes?, within: Some(within?.value) }),
    }
}

/// One exit code, or a list of them.
fn parse_codes(item: &Item<'_, '_>) -> Option<Vec<i32>> {
    let items = item.one_or_more();
    if items.is_empty() {
        let message = format!("`{}` has no exit code", item.key());
        item.report(
            Diagnostic::error(diagnostic::EMPTY, message, item.span(), "an empty list")
                .help("exits = \"never\" says that it does not end by itself"),
        );
        return None;
    }
    let codes: Vec<_> = items.iter().map(|item| item.int(0..=255)).collect();
    codes.into_iter().map(|code| i32::try_from(code?.value).ok()).collect()
}
