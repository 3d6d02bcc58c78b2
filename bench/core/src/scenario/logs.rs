//! `[nodes.logs]`: files that a process writes, followed as if they were further outputs of it.

use super::nodes::refuse_unsafe;
use crate::diagnostic::{self, Diagnostic};
use crate::groups::Whose;
use crate::names::Names;
use crate::table::{Key, Kind, Table};
use crate::template::{Setting, Template};

/// The keys of `[nodes.logs]`.
pub(super) const KEYS: &[Key] = &[Key::required(
    "file",
    Kind::Texts,
    "A file in the node's data directory, or several: \"server.log\"; it may come late, be truncated, or be replaced.",
)];

/// Reads which files are followed: relative paths that stay in the data directory.
pub(super) fn parse(logs: &Table<'_, '_>, whose: Whose, names: &Names<'_>) -> Option<Vec<Template>> {
    let texts = logs.required("file", Table::texts)?;
    let mut files: Vec<Template> = Vec::new();
    let mut is_complete = true;
    for text in texts {
        let Some(file) = Template::parse(&text, Setting::NODE.of(whose), names) else {
            is_complete = false;
            continue;
        };
        // What a placeholder stands for is looked at when it is known.
        let outline = file.outline("x");
        let is_safe =
            outline.split('/').all(|part| refuse_unsafe(part, &text.span, "a followed file", names.problems()));
        if files.contains(&file) {
            let message = format!("`{}` is followed twice", text.value.escape_debug());
            logs.report(Diagnostic::error(diagnostic::DUPLICATE_NAME, message, text.span, "given before"));
        } else if is_safe {
            files.push(file);
        }
        is_complete &= is_safe;
    }
    is_complete.then_some(files)
}
