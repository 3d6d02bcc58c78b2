//! Keys, verbs, checks and conditions: explained by the tables that declare them.

use super::example::excerpt;
use super::{Chapter, Entry, Part};
use crate::check::CHECKS;
use crate::condition;
use crate::scenario::{self, VERBS, steps};
use crate::table::{Key, Kind, Need};
use crate::target;

/// Every key of every table, each table once.
pub(super) fn entries() -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut met = Vec::new();
    walk(scenario::KEYS, "", &mut met, &mut |keys, key, path| entries.push(entry(keys, key, path)));
    entries
}

/// Visits each key of a table and of the tables below it, with the table and the key's path. A table that was met before is not entered.
pub(super) fn walk(
    keys: &'static [Key],
    path: &str,
    met: &mut Vec<&'static [Key]>,
    visit: &mut impl FnMut(&'static [Key], &'static Key, &str),
) {
    met.push(keys);
    for key in keys {
        let path = if path.is_empty() { key.name.to_owned() } else { format!("{path}.{}", key.name) };
        visit(keys, key, &path);
        for (inner, below) in tables(key.kind, &path) {
            if !met.iter().any(|known| same(known, inner)) {
                walk(inner, &below, met, visit);
            }
        }
    }
}

/// Two tables are the same if their keys are called and documented the same.
pub(super) fn same(one: &[Key], other: &[Key]) -> bool {
    one.iter().map(|key| (key.name, key.doc)).eq(other.iter().map(|key| (key.name, key.doc)))
}

/// The tables of keys that may stand at a key, each with its path.
pub(super) fn tables(kind: Kind, path: &str) -> Vec<(&'static [Key], String)> {
    match kind {
        Kind::Table(keys) | Kind::TableOr(_, keys) | Kind::Tables(keys) => vec![(keys, path.to_owned())],
        Kind::List(kind) => tables(*kind, path),
        Kind::Map(kind) => tables(*kind, &format!("{path}.NAME")),
        Kind::MapWith(keys, kind) => {
            let mut all = vec![(keys, path.to_owned())];
            all.extend(tables(*kind, &format!("{path}.NAME")));
            all
        }
        Kind::Either(kinds) => kinds.iter().flat_map(|kind| tables(*kind, path)).collect(),
        Kind::Condition => vec![(condition::KEYS, "CONDITION".to_owned())],
        Kind::Target => vec![(target::KEYS, "TARGET".to_owned())],
        _ => Vec::new(),
    }
}

/// A key, explained. Of a step's and an invariant's keys, most are verbs and checks.
pub(super) fn entry(keys: &'static [Key], key: &'static Key, path: &str) -> Entry {
    let is_step = same(keys, steps::KEYS);
    let is_check = |name: &str| CHECKS.iter().any(|check| check.name == name);
    let chapter = match key {
        key if is_step && VERBS.iter().any(|verb| verb.key.name == key.name) => Chapter::Verb,
        _ if path.strip_prefix("invariants.").is_some_and(is_check) => Chapter::Check,
        _ if same(keys, condition::KEYS) => Chapter::Condition,
        _ if same(keys, target::KEYS) => Chapter::Target,
        _ => Chapter::Key,
    };
    let name = match chapter {
        Chapter::Verb | Chapter::Check | Chapter::Condition => key.name.to_owned(),
        Chapter::Target => format!("{{ {} = TARGET }}", key.name),
        _ => path.to_owned(),
    };
    let mut parts = Vec::new();
    if key.kind.is_refused() {
        parts.push(Part::Text("This version refuses it.".to_owned()));
    } else if key.kind != Kind::Any {
        parts.push(Part::Text(format!("It takes {}.{}", shape(key.kind), need(keys, key))));
    }
    let companions = companions(keys, key);
    if !companions.is_empty() {
        parts.push(Part::Text(companions));
    }
    for (inner, below) in tables(key.kind, path) {
        if !matches!(key.kind, Kind::Condition | Kind::Target) {
            let title = if below == path { "Keys".to_owned() } else { format!("Keys of {below}") };
            parts.push(Part::Rows(title, rows(inner)));
        }
    }
    if let Some(lines) = excerpt(path, keys, key) {
        parts.push(Part::Example("Example".to_owned(), lines));
    }
    Entry { chapter, name, summary: key.doc.to_owned(), parts, is_refused: key.kind.is_refused() }
}

/// The keys of a table as rows: those that may be used.
pub(super) fn rows(keys: &[Key]) -> Vec<(String, String)> {
    let row = |key: &Key| {
        let need = if key.need == Need::Required { " Must be given." } else { "" };
        (key.name.to_owned(), format!("{}{need}", key.doc))
    };
    keys.iter().filter(|key| !key.kind.is_refused()).map(row).collect()
}

/// What a key needs of others, as a sentence with a space before it.
fn need(keys: &[Key], key: &Key) -> String {
    match key.need {
        Need::Optional => String::new(),
        Need::Required => " It must be given.".to_owned(),
        Need::Beside(others) => format!(" It goes with {}.", listed(others.iter().copied())),
        Need::OrElse(other) => format!(" It may stand beside {other}, or alone."),
        choice => chosen(keys, choice).map_or_else(String::new, |sentence| format!(" {sentence}")),
    }
}

/// The choices that a table leaves, a sentence each. Of verbs and checks there are too many to name.
pub(super) fn choices(keys: &[Key]) -> Vec<String> {
    let mut choices: Vec<Need> = Vec::new();
    for key in keys.iter().filter(|key| !key.kind.is_refused()) {
        if !choices.contains(&key.need) {
            choices.push(key.need);
        }
    }
    choices.into_iter().filter_map(|choice| chosen(keys, choice)).collect()
}

fn chosen(keys: &[Key], choice: Need) -> Option<String> {
    let how_many = match choice {
        Need::OneOf("a verb" | "a check") | Need::OrElse(_) => return None,
        Need::Optional | Need::Required | Need::Beside(_) => return None,
        Need::OneOf(_) => "Exactly",
        Need::AtMostOneOf(_) => "At most",
        Need::SomeOf(_) => "At least",
    };
    let of_choice = keys.iter().filter(|key| key.need == choice && !key.kind.is_refused());
    Some(format!("{how_many} one of {} is given.", listed(of_choice.map(|key| key.name))))
}

/// What goes with it: a modifier's verbs, a verb's modifiers; the same of conditions.
pub(super) fn companions(keys: &'static [Key], key: &Key) -> String {
    let (all, what) = if same(keys, steps::KEYS) {
        (steps::companions(), "every verb")
    } else if same(keys, condition::KEYS) {
        (condition::companions(), "every condition")
    } else {
        return String::new();
    };
    if let Some((_, beside)) = all.iter().find(|(name, _)| *name == key.name) {
        return format!("It goes with {}.", listed(beside.iter().copied()));
    }
    let with: Vec<&str> = all.iter().filter(|(_, beside)| beside.contains(&key.name)).map(|(name, _)| *name).collect();
    match (with.is_empty(), matches!(key.need, Need::OneOf(_))) {
        (false, _) => format!("Beside it may stand {}.", listed(with.into_iter())),
        (true, true) => String::new(),
        (true, false) => format!("It goes with {what}."),
    }
}

/// `a`, `b` and `c`.
fn listed<'w>(words: impl Iterator<Item = &'w str>) -> String {
    let words: Vec<String> = words.map(|word| format!("`{word}`")).collect();
    match words.as_slice() {
        [] => "nothing".to_owned(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// What may stand at a key, for people: "a text", "a duration".
pub(super) fn shape(kind: Kind) -> String {
    match kind {
        Kind::Text => "a text".to_owned(),
        Kind::Int => "a whole number".to_owned(),
        Kind::IntIn(low, high) if low == high => format!("the number {low}"),
        Kind::IntIn(low, i64::MAX) => format!("a whole number, at least {low}"),
        Kind::IntIn(low, high) => format!("a whole number from {low} to {high}"),
        Kind::Float => "a number".to_owned(),
        Kind::Share => "a number from 0 to 1".to_owned(),
        Kind::Bool => "`true` or `false`".to_owned(),
        Kind::Duration => "a duration".to_owned(),
        Kind::Delay => "a duration, or a range of durations".to_owned(),
        Kind::Size => "a size".to_owned(),
        Kind::Texts => "a text, or a list of texts".to_owned(),
        Kind::Command => "a command: a list of texts".to_owned(),
        Kind::OneOf(words) if words.len() > 12 => {
            let few = words.iter().take(6).map(|word| format!("`{word:?}`")).collect::<Vec<_>>();
            format!("a word: {} ...", few.join(", "))
        }
        Kind::OneOf(words) => words.iter().map(|word| format!("`{word:?}`")).collect::<Vec<_>>().join(" or "),
        Kind::Pattern(pattern) => format!("a text that matches `{pattern}`"),
        Kind::Target => "a target".to_owned(),
        Kind::Event => "the name of an event".to_owned(),
        Kind::EventField => "`EVENT.FIELD`".to_owned(),
        Kind::Condition => "a condition, or a list of them".to_owned(),
        Kind::Where => "a table of fields".to_owned(),
        Kind::Table(_) => "a table".to_owned(),
        Kind::TableOr(short, keys) => {
            let bare = keys.iter().find(|key| key.name == short).map_or(Kind::Any, |key| key.kind);
            format!("a table, or {} that stands for its key `{short}`", shape(bare))
        }
        Kind::Tables(_) => "a list of tables".to_owned(),
        Kind::List(kind) => format!("a list, each element {}", shape(*kind)),
        Kind::Map(kind) | Kind::MapWith(_, kind) => format!("a table of names, each with {}", shape(*kind)),
        Kind::Either(kinds) => kinds.iter().map(|kind| shape(*kind)).collect::<Vec<_>>().join(", or "),
        Kind::Any => "what its description says".to_owned(),
        Kind::Later | Kind::Elsewhere => "nothing in this version".to_owned(),
    }
}
