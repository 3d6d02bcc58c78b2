//! `[nodes.files]`: what a node's data directory holds before its first start. Never written again: programs rewrite their own files.

use super::nodes::refuse_unsafe;
use crate::diagnostic::{self, Diagnostic, Located};
use crate::groups::Whose;
use crate::names::Names;
use crate::table::{Item, Key, Kind, Table};
use crate::template::{Setting, Template};

/// A file of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeFile {
    /// Its path within the data directory: relative, without `..`.
    pub path: String,
    /// Its contents.
    pub text: Template,
    /// Its permissions, 0o644 if the scenario does not say.
    pub mode: u32,
}

/// The keys of a file; a bare text is its contents.
pub(super) const KEYS: &[Key] = &[
    Key::required("text", Kind::Text, "What the file holds, with placeholders."),
    Key::new("mode", Kind::Pattern(r"^\+?0*[0-7]{1,3}$"), "Its permissions: \"0600\"; \"0644\" if not given."),
];

pub(super) fn parse(nodes: &Table<'_, '_>, whose: Whose, names: &Names<'_>) -> Option<Vec<NodeFile>> {
    let files: Vec<_> = nodes.map("files").iter().map(|item| parse_file(item, whose, names)).collect();
    files.into_iter().collect()
}

fn parse_file(item: &Item<'_, '_>, whose: Whose, names: &Names<'_>) -> Option<NodeFile> {
    let is_safe =
        item.key().split('/').all(|part| refuse_unsafe(part, &item.key_span(), "a file's name", item.problems()));
    let table = item.table_or("text", KEYS, "a file")?;
    let setting = Setting::FILE.of(whose);
    let text = table.required("text", Table::text).and_then(|text| Template::parse(&text, setting, names));
    let mode = match table.text("mode") {
        None => Some(0o644),
        Some(mode) => parse_mode(&mode, &table),
    };
    is_safe.then_some(NodeFile { path: item.key().to_owned(), text: text?, mode: mode? })
}

fn parse_mode(mode: &Located<&str>, table: &Table<'_, '_>) -> Option<u32> {
    let parsed = u32::from_str_radix(mode.value, 8).ok().filter(|mode| *mode <= 0o777);
    if parsed.is_none() {
        let message = format!("`{}` is no file mode", mode.value.escape_debug());
        table.report(
            Diagnostic::error(diagnostic::BAD_WORD, message, mode.span.clone(), "not octal permissions")
                .help("for example \"0644\", \"0600\" or \"0755\""),
        );
    }
    parsed
}
