//! Words that stand where values stand, and what dsbench itself says: targets, placeholders, shapes of values, triggers, events of
//! presets, exit codes, mistakes.

use super::example::BadFile;
use super::{Chapter, Entry, Part};
use crate::diagnostic::CODES;
use crate::judgement::EXIT_CODES;
use crate::observation::ActionVerb;
use crate::scenario::{OPERATION_PLACEHOLDERS, PRESETS};
use crate::table::Word;
use crate::target;
use crate::template::PLACEHOLDERS;

/// The shapes of values that are more than a type of TOML.
const VALUES: &[Word] = &[
    Word::new("duration", "A length of time, a text with a unit: \"300ms\", \"5s\", \"1m 30s\", \"1.5s\"."),
    Word::new("range of durations", "Two durations with `..` between them; the seed takes one of them: \"0ms..50ms\"."),
    Word::new("size", "A number of bytes, a text with a unit: \"64KiB\" (1024), \"10MiB\", \"1GB\" (1000)."),
    Word::new(
        "pattern",
        "A regular expression of the regex crate, searched anywhere in a line: 'term=(?<term>[0-9]+)'.",
    ),
    Word::new(
        "command",
        "A list of texts, the program and its arguments. No shell reads it; [\"sh\", \"-c\", \"..\"] is one.",
    ),
    Word::new("event", "The name of an entry of [events]: a line of a node's log that matches its pattern."),
    Word::new(
        "field",
        "A named group of an event's pattern, of a type: int, float, text, node or nodes. Checks write EVENT.FIELD.",
    ),
    Word::new(
        "condition",
        "An event's name; a table with `event`, `latest`, `op`, `exec`, `tcp` or `http`; or a list of these, all of which must hold.",
    ),
    Word::new(
        "where",
        "A table of fields: a number or \">= 2\" for int and float, a text or '~pattern' for text, a target for node and nodes.",
    ),
    Word::new(
        "target",
        "A node, NODE/PROCESS, a role, a group, a word, one of these with `!` before it, or a list of them.",
    ),
];

pub(super) fn entries() -> Vec<Entry> {
    let word = |chapter: Chapter| move |word: &Word| Entry::word(chapter, word.word.to_owned(), word.doc);
    let targets = target::GLOSSARY.iter().chain(target::FORMS);
    let placeholders =
        PLACEHOLDERS.iter().map(|known| Entry::word(Chapter::Placeholder, format!("{{{}}}", known.word), known.doc));
    let of_operations = OPERATION_PLACEHOLDERS
        .iter()
        .map(|known| Entry::word(Chapter::Placeholder, format!("{{{}}}", known.word), known.doc));
    let exits = EXIT_CODES.iter().map(|(code, doc)| Entry::word(Chapter::ExitCode, code.to_string(), doc));
    targets
        .map(word(Chapter::Target))
        .chain(placeholders)
        .chain(of_operations)
        .chain(VALUES.iter().map(word(Chapter::Value)))
        .chain(triggers())
        .chain(events())
        .chain(exits)
        .chain(codes())
        .collect()
}

impl Entry {
    fn word(chapter: Chapter, name: String, summary: &str) -> Self {
        Self { chapter, name, summary: summary.to_owned(), parts: Vec::new(), is_refused: false }
    }
}

/// `fault`, and `fault.KIND` of each kind.
fn triggers() -> impl Iterator<Item = Entry> {
    let any =
        Entry::word(Chapter::Trigger, "fault".to_owned(), "Any fault of the bench, where a check counts from one.");
    let kinds = ActionVerb::ALL.iter().filter(|verb| verb.is_fault()).map(|verb| {
        let (name, verb) = (format!("fault.{}", verb.key()), verb.key());
        Entry::word(
            Chapter::Trigger,
            name,
            &format!("A `{verb}` that hit somebody, where a check counts from a fault."),
        )
    });
    std::iter::once(any).chain(kinds)
}

/// The events of every preset, each with its pattern and fields.
fn events() -> impl Iterator<Item = Entry> {
    PRESETS.iter().flat_map(|(preset, text)| {
        let document: toml::Table = text.parse().expect("a preset is part of the program, and TOML");
        let events = document.get("events").and_then(toml::Value::as_table).cloned().unwrap_or_default();
        events.into_iter().map(move |(event, definition)| {
            let fields = definition.get("fields").and_then(toml::Value::as_table).cloned().unwrap_or_default();
            let fields: Vec<String> = fields
                .iter()
                .map(|(field, kind)| format!("`{field}` ({})", kind.as_str().unwrap_or_default()))
                .collect();
            let fields =
                if fields.is_empty() { "no fields".to_owned() } else { format!("fields {}", fields.join(", ")) };
            let patterns = match definition.get("log") {
                Some(toml::Value::Array(list)) => {
                    list.iter().filter_map(toml::Value::as_str).map(str::to_owned).collect()
                }
                Some(toml::Value::String(pattern)) => vec![pattern.clone()],
                _ => Vec::new(),
            };
            let shown = patterns.iter().map(|pattern| format!("'{pattern}'")).collect::<Vec<_>>().join("\n");
            Entry {
                chapter: Chapter::Event,
                name: event,
                summary: format!(
                    "An event of the preset \"{preset}\" (`[events] preset = \"{preset}\"`), with {fields}."
                ),
                parts: vec![Part::Example("Its lines".to_owned(), shown)],
                is_refused: false,
            }
        })
    })
}

/// Every mistake with a wrong and a right example.
fn codes() -> impl Iterator<Item = Entry> {
    CODES.iter().map(|meaning| {
        let file = BadFile::of(meaning.example);
        let mut parts = vec![Part::Text(meaning.explanation.to_owned())];
        for (title, lines) in [("Wrong", file.wrong.shown), ("Right", file.right.shown)] {
            if !lines.is_empty() {
                parts.push(Part::Example(title.to_owned(), lines));
            }
        }
        Entry {
            chapter: Chapter::Code,
            name: meaning.code.to_string(),
            summary: meaning.title.to_owned(),
            parts,
            is_refused: false,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_is_said_to_be_what_it_may_be() {
        let condition = VALUES.iter().find(|word| word.word == "condition").expect("it is explained");
        for subject in crate::condition::subjects() {
            assert!(condition.doc.contains(&format!("`{subject}`")), "nothing about {subject}");
        }
    }
}
