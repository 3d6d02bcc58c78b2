//! `[[invariants]]`: what must hold. Each has one check key; what stands there is the check's own business.

use crate::check::{CHECKS, Invariant};
use crate::diagnostic::{self, Diagnostic};
use crate::names::Names;
use crate::observation::Name;
use crate::source::Sources;
use crate::table::{Item, Key, Kind, Need, Table};
use crate::verdict::{Expectation, Severity};

const OWN_KEYS: &[Key] = &[
    Key::new("name", Kind::Text, "What must hold, in words."),
    Key::new("severity", Kind::OneOf(&["fail", "warn"]), "What a violation means; \"fail\" if not given."),
];

const CHECK_KEYS: [Key; CHECKS.len()] = {
    let mut keys = [Key::new("", Kind::Any, ""); CHECKS.len()];
    let mut index = 0;
    while index < CHECKS.len() {
        let check = &CHECKS[index];
        let kind = match check.short {
            Some(short) => Kind::TableOr(short, check.keys),
            None => Kind::Table(check.keys),
        };
        keys[index] = Key::new(check.name, kind, check.doc).with(Need::OneOf("a check"));
        index += 1;
    }
    keys
};

/// The keys of an invariant: its own, and one for each check.
pub(super) const KEYS: &[Key] = &Key::join::<{ OWN_KEYS.len() + CHECK_KEYS.len() }>(OWN_KEYS, &CHECK_KEYS);

pub(super) fn parse(root: &Table<'_, '_>, names: &mut Names<'_>, sources: &Sources) -> Option<Vec<Invariant>> {
    let mut invariants = Vec::new();
    let mut is_complete = true;
    let mut given: Vec<(Name, diagnostic::Span)> = Vec::new();
    for table in root.tables("invariants", "an invariant") {
        let invariant = parse_invariant(&table, names, sources);
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

fn parse_invariant(table: &Table<'_, '_>, names: &Names<'_>, sources: &Sources) -> Option<Invariant> {
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
    let name = table.text("name").map_or(kind.name, |name| name.value).to_owned();
    let line = Some(sources.line(table.span().start));
    Some(Invariant { name, kind: kind.name, line, severity, expectation: Expectation::Hold, check })
}

/// Reads what has to come out: `expect`, `violates` and `may_violate`. True if the scenario is a demonstration.
pub(super) fn parse_expectations(root: &Table<'_, '_>, invariants: &mut [Invariant], names: &Names<'_>) -> bool {
    let is_demonstration = root.word("expect").is_some_and(|word| word.value == "violated");
    let violates = root.item("violates");
    match (&violates, is_demonstration) {
        (None, false) => {}
        (Some(item), false) => root.report(
            Diagnostic::error(
                diagnostic::MISPLACED_MODIFIER,
                "`violates` without expect = \"violated\"",
                item.key_span(),
                "nothing is expected to be violated",
            )
            .help("write expect = \"violated\" beside it"),
        ),
        // With one invariant there is no question which.
        (None, true) if invariants.len() == 1 => invariants[0].expectation = Expectation::BeViolated,
        (None, true) => drop(root.required("violates", Table::texts)),
        (Some(_), true) => {
            for name in root.texts("violates").unwrap_or_default() {
                let index = names.invariant(&name);
                if let Some(invariant) = index.and_then(|index| invariants.get_mut(index)) {
                    invariant.expectation = Expectation::BeViolated;
                }
            }
        }
    }
    for name in root.texts("may_violate").unwrap_or_default() {
        let index = names.invariant(&name);
        let Some(invariant) = index.and_then(|index| invariants.get_mut(index)) else { continue };
        if invariant.expectation == Expectation::BeViolated {
            let message = format!("`{}` cannot be violated both certainly and perhaps", name.value.escape_debug());
            let at = violates.as_ref().map_or_else(|| root.span(), Item::span);
            root.report(
                Diagnostic::error(diagnostic::CONTRADICTION, message, name.span, "it may be violated")
                    .also(at, "it must be violated"),
            );
        }
        invariant.expectation = Expectation::MayBeViolated;
    }
    is_demonstration
}
