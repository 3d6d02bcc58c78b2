//! `[[invariants]]`: what must hold. Each has one check key; what stands there is the check's own business.

use super::Lines;
use crate::check::{CHECKS, Check};
use crate::diagnostic::{self, Diagnostic};
use crate::names::Names;
use crate::observation::Name;
use crate::table::{Key, Kind, Table};

/// A property that every run must have.
#[derive(Debug)]
pub struct Invariant {
    /// Its name; the check's key if the scenario gives none.
    pub name: Name,
    /// What a violation means.
    pub severity: Severity,
    /// The key of its check.
    pub kind: &'static str,
    /// The check.
    pub check: Box<dyn Check>,
    /// Its line in the scenario, from 1.
    pub line: usize,
}

/// What a violation means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The run fails.
    Fail,
    /// The run is told of it, and does not fail.
    Warn,
}

const OWN_KEYS: &[Key] = &[
    Key::new("name", Kind::Text, "What must hold, in words."),
    Key::new("severity", Kind::OneOf(&["fail", "warn"]), "What a violation means; \"fail\" if not given."),
];

const CHECK_KEYS: [Key; CHECKS.len()] = {
    let mut keys = [Key::new("", Kind::Any, ""); CHECKS.len()];
    let mut index = 0;
    while index < CHECKS.len() {
        let check = &CHECKS[index];
        keys[index] = Key::new(check.name, Kind::Table(check.keys), check.doc);
        index += 1;
    }
    keys
};

/// The keys of an invariant: its own, and one for each check.
pub(super) const KEYS: &[Key] = &Key::join::<{ OWN_KEYS.len() + CHECK_KEYS.len() }>(OWN_KEYS, &CHECK_KEYS);

pub(super) fn parse(root: &Table<'_, '_>, names: &mut Names<'_>, text: &str) -> Option<Vec<Invariant>> {
    let lines = Lines::of(text);
    let mut invariants = Vec::new();
    let mut is_complete = true;
    let mut given: Vec<(Name, diagnostic::Span)> = Vec::new();
    for table in root.tables("invariants", "an invariant") {
        let invariant = parse_invariant(&table, names, &lines);
        let name = table.nonempty_text("name");
        if let Some(name) = &name {
            if let Some((_, first)) = given.iter().find(|(known, _)| &**known == name.value) {
                let message = format!("two invariants are called `{}`", name.value.escape_debug());
                table.report(
                    Diagnostic::error(diagnostic::DUPLICATE_NAME, message, name.span.clone(), "given twice")
                        .also(first.clone(), "the first one"),
                );
            }
            given.push((name.value.into(), name.span.clone()));
            names.add_invariant(name.value);
        } else {
            names.add_invariant(invariant.as_ref().map_or("", |invariant| invariant.kind));
        }
        match invariant {
            Some(invariant) => invariants.push(invariant),
            None => is_complete = false,
        }
    }
    is_complete.then_some(invariants)
}

fn parse_invariant(table: &Table<'_, '_>, names: &Names<'_>, lines: &Lines) -> Option<Invariant> {
    let severity = table.word("severity").map_or(Severity::Fail, |word| match word.value {
        "warn" => Severity::Warn,
        _ => Severity::Fail,
    });
    let keys = CHECK_KEYS.map(|key| key.name);
    let item = table.exactly_one(&keys, "a check", "one key that says what must hold: single_leader, deadline ...")?;
    let kind = CHECKS.iter().find(|kind| kind.name == item.key())?;
    let check = match kind.short {
        Some(short) => item.table_or(short, kind.keys, kind.name)?,
        None => item.table(kind.keys, kind.name)?,
    };
    let check = (kind.parse)(&check, names)?;
    let name = table.text("name").map_or(kind.name, |name| name.value).into();
    Some(Invariant { name, severity, kind: kind.name, check, line: lines.line(table.span().start) })
}
