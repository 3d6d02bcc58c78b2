//! The reference of the language as one document in Markdown: `docs/reference.md`.

use std::fmt::Write as _;

use super::keys::{choices, companions, same, shape, walk};
use super::{Chapter, Entry, Part, all};
use crate::scenario::{self, steps};
use crate::table::{Key, Need};
use crate::{condition, target};

/// The reference.
pub fn reference() -> String {
    let all = all();
    let mut out = String::from(
        "# Reference\n\nEvery word of a scenario and of what dsbench says about it, printed by `dsbench explain --all` from the tables that the \
         program works with. `dsbench explain WORD` explains one of them.\n\n",
    );
    for chapter in Chapter::ALL {
        let heading = chapter.heading();
        let _ = writeln!(out, "- [{heading}](#{})", heading.to_lowercase().replace(' ', "-"));
    }
    for chapter in Chapter::ALL {
        let _ = write!(out, "\n## {}\n", chapter.heading());
        let entries: Vec<&Entry> = all.iter().filter(|entry| entry.chapter == *chapter).collect();
        match chapter {
            Chapter::Key => tables(&mut out),
            Chapter::Verb | Chapter::Check | Chapter::Code => entries.iter().for_each(|entry| section(&mut out, entry)),
            Chapter::Condition => table(&mut out, condition::KEYS),
            _ => glossary(&mut out, &entries),
        }
    }
    out
}

/// Every table of keys but those that have chapters of their own.
fn tables(out: &mut String) {
    let mut met = Vec::new();
    let mut headed: Vec<(String, &'static [Key])> = Vec::new();
    walk(scenario::KEYS, "", &mut met, &mut |keys, key, path| {
        let place = path.strip_suffix(key.name).unwrap_or(path).trim_end_matches('.').to_owned();
        if !headed.iter().any(|(_, known)| same(known, keys)) {
            headed.push((place, keys));
        }
    });
    for (place, keys) in headed {
        if same(keys, condition::KEYS) || same(keys, target::KEYS) || place.starts_with("invariants.") {
            continue;
        }
        let title = if place.is_empty() { "The scenario".to_owned() } else { format!("`{place}`") };
        let _ = write!(out, "\n### {title}\n");
        let modifiers = |key: &&Key| !matches!(key.need, Need::OneOf("a verb" | "a check"));
        let shown: Vec<Key> = keys.iter().filter(modifiers).copied().collect();
        table_of(out, keys, &shown);
        if same(keys, steps::KEYS) {
            out.push_str("\nBeside these, a step has exactly one of the [verbs](#verbs).\n");
        } else if shown.len() < keys.len() {
            out.push_str("\nBeside these, an invariant has exactly one of the [checks](#checks).\n");
        }
    }
}

fn table(out: &mut String, keys: &'static [Key]) {
    table_of(out, keys, keys);
}

fn table_of(out: &mut String, keys: &'static [Key], shown: &[Key]) {
    out.push_str("\n| key | takes | meaning |\n|---|---|---|\n");
    for key in shown.iter().filter(|key| !key.kind.is_refused()) {
        let with = match companions(keys, key) {
            with if with.is_empty() || with.starts_with("It goes with every") => String::new(),
            with => format!(" {with}"),
        };
        let must = if key.need == Need::Required && with.is_empty() { " Must be given." } else { "" };
        let _ =
            writeln!(out, "| `{}` | {} | {}{must}{} |", key.name, cell(&shape(key.kind)), cell(key.doc), cell(&with));
    }
    for choice in choices(keys) {
        let _ = write!(out, "\n{choice}\n");
    }
    let later: Vec<String> =
        shown.iter().filter(|key| key.kind.is_refused()).map(|key| format!("`{}`", key.name)).collect();
    if !later.is_empty() {
        let _ = write!(out, "\nKnown, but refused here in this version: {}.\n", later.join(", "));
    }
}

fn glossary(out: &mut String, entries: &[&Entry]) {
    out.push_str("\n| word | meaning |\n|---|---|\n");
    for entry in entries {
        let _ = writeln!(out, "| `{}` | {} |", entry.name, cell(&entry.summary));
    }
}

fn section(out: &mut String, entry: &Entry) {
    let title = match entry.chapter {
        Chapter::Code => format!("{}: {}", entry.name, entry.summary),
        _ => format!("`{}`", entry.name),
    };
    let _ = write!(out, "\n### {title}\n");
    if entry.chapter != Chapter::Code {
        let _ = write!(out, "\n{}\n", prose(&entry.summary));
    }
    for part in &entry.parts {
        match part {
            Part::Text(text) => {
                let _ = write!(out, "\n{}\n", prose(text));
            }
            Part::Rows(_, rows) => {
                out.push_str("\n| key | meaning |\n|---|---|\n");
                for (name, meaning) in rows {
                    let _ = writeln!(out, "| `{}` | {} |", name, cell(meaning));
                }
            }
            Part::Example(title, lines) => {
                let language = if lines.starts_with("dsbench ") { "console" } else { "toml" };
                let _ = write!(out, "\n{title}:\n\n```{language}\n{lines}\n```\n");
            }
        }
    }
}

/// A text as it may stand in a table.
fn cell(text: &str) -> String {
    prose(text).replace('|', "\\|")
}

/// A text in which only what stands between backticks is code, and nothing else means anything to Markdown.
fn prose(text: &str) -> String {
    let piece = |(index, piece): (usize, &str)| match index % 2 {
        0 => piece.replace('\\', "\\\\").replace('<', "\\<").replace('*', "\\*"),
        _ => piece.to_owned(),
    };
    text.split('`').enumerate().map(piece).collect::<Vec<_>>().join("`")
}
