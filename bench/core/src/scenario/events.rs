//! `[events]`: what lines of the logs mean.

use std::collections::BTreeMap;

use crate::expression::Expression;

use super::nodes::refuse_unsafe;
use crate::diagnostic::{self, Diagnostic, Problems};
use crate::names::{FieldKind, Names};
use crate::observation::Name;
use crate::pattern::{self, EventPattern, Stream};
use crate::table::{Item, Key, Kind, Table, parse_document};

/// Ready-made events by name: `[events] preset = "node"`.
pub const PRESETS: &[(&str, &str)] = &[("node", include_str!("presets/node.toml"))];

const PRESET_WORDS: &[&str] = &["node"];

/// The keys of an event.
pub(super) const KEYS: &[Key] = &[
    Key::required("log", Kind::Texts, "A pattern that such a line matches; or a list, any of which may match."),
    Key::new(
        "fields",
        Kind::Map(&Kind::OneOf(FieldKind::WORDS)),
        "The types of the pattern's named groups; those not named here are texts.",
    ),
    Key::new(
        "stream",
        Kind::OneOf(&["stdout", "stderr", "file"]),
        "Only this output is searched (\"file\": those that `logs` follows); all if not given.",
    ),
    Key::new("process", Kind::Text, "Only the log of this process of a node is searched."),
    Key::new("alias", Kind::Map(&Kind::Text), "What this event calls the nodes: { \"node_3\" = \"peer3\" }."),
];

/// The keys of `[events]` that are not names of events.
pub(super) const OWN_KEYS: &[Key] =
    &[Key::new("preset", Kind::OneOf(PRESET_WORDS), "Ready-made events: \"node\" for the reference node.")];

const PRESET_KEYS: &[Key] = &[Key::new("events", Kind::Any, "The entries of a preset file.")];

/// Declares every event with its fields, before anything that refers to them is read.
pub(super) fn declare(root: &Table<'_, '_>, names: &mut Names<'_>) {
    with_preset(root, |entries| {
        for entry in entries {
            let event: Name = entry.key().into();
            match fields_of(&entry) {
                Some(fields) => names.add_event(event, fields),
                None => {
                    names.add_event(event.clone(), []);
                    names.forgive_fields(event);
                }
            }
        }
    });
}

/// Reads the events.
pub(super) fn parse(root: &Table<'_, '_>, names: &Names<'_>) -> Option<Vec<EventPattern>> {
    let mut events: Vec<EventPattern> = Vec::new();
    let mut is_complete = true;
    with_preset(root, |entries| {
        for entry in entries {
            match parse_event(&entry, names) {
                // What the scenario says replaces what the preset says.
                Some(event) => {
                    events.retain(|known| known.event != event.event);
                    events.push(event);
                }
                None => is_complete = false,
            }
        }
    });
    is_complete.then_some(events)
}

/// Visits the entries of the preset, if one is asked for, and then those of the scenario.
fn with_preset(root: &Table<'_, '_>, mut visit: impl FnMut(Vec<Item<'_, '_>>)) {
    let mut own = root.map("events");
    if let Some(at) = own.iter().position(|entry| entry.key() == "preset") {
        let preset = own.remove(at);
        if let Some(word) = preset.word(PRESET_WORDS)
            && let Some((_, text)) = PRESETS.iter().find(|(name, _)| *name == word.value)
        {
            // A preset is part of the program, and a test reads each: nothing is wrong with it.
            let silent = Problems::new();
            let document = parse_document(text, &silent);
            visit(Table::root(&document, PRESET_KEYS, "a preset", &silent).map("events"));
        }
    }
    visit(own);
}

/// Name and type of every field, in the order of the definition; named groups without a type are texts. Reports nothing.
fn fields_of(entry: &Item<'_, '_>) -> Option<Vec<(Name, FieldKind)>> {
    let silent = Problems::new();
    let table = entry.silenced(&silent).table_or("log", KEYS, "an event")?;
    let mut fields: Vec<(Name, FieldKind)> = Vec::new();
    for field in table.map("fields") {
        fields.push((field.key().into(), FieldKind::named(field.text()?.value)?));
    }
    for text in table.texts("log")? {
        let expression = pattern::compile(&text, &silent)?;
        for group in expression.groups().flatten() {
            if !fields.iter().any(|(field, _)| &**field == group) {
                fields.push((group.into(), FieldKind::Text));
            }
        }
    }
    Some(fields)
}

fn parse_event(entry: &Item<'_, '_>, names: &Names<'_>) -> Option<EventPattern> {
    refuse_unsafe(entry.key(), &entry.key_span(), "an event's name", entry.problems());
    let table = entry.table_or("log", KEYS, "an event")?;
    let log = table.required("log", |table, _| {
        let texts = table.texts("log")?;
        if texts.is_empty() {
            let message = format!("event `{}` has no pattern", entry.key().escape_debug());
            table.report(Diagnostic::error(diagnostic::EMPTY, message, entry.span(), "an empty list"));
            return None;
        }
        let compiled: Vec<_> = texts.iter().map(|text| pattern::compile(text, table.problems())).collect();
        compiled.into_iter().collect::<Option<Vec<Expression>>>()
    });
    for field in table.map("fields") {
        field.word(FieldKind::WORDS);
        if let Some(log) = &log {
            refuse_missing_group(&field, log);
        }
    }
    let stream = table.word("stream").map(|word| match word.value {
        "stdout" => Stream::Stdout,
        "stderr" => Stream::Stderr,
        _ => Stream::File,
    });
    let process = table.text("process").map(|process| names.process(&process));
    let alias: Vec<_> =
        table.map("alias").iter().map(|item| Some((item.key().to_owned(), names.node(&item.text()?)?))).collect();
    Some(EventPattern {
        event: entry.key().into(),
        log: log?,
        fields: names.fields(entry.key()).to_vec(),
        stream,
        process: match process {
            None => None,
            Some(process) => Some(process?),
        },
        alias: alias.into_iter().collect::<Option<BTreeMap<_, _>>>()?,
    })
}

fn refuse_missing_group(field: &Item<'_, '_>, log: &[Expression]) {
    let has_group = |pattern: &Expression| pattern.groups().flatten().any(|group| group == field.key());
    if let Some(lacking) = log.iter().find(|pattern| !has_group(pattern)) {
        let message = format!("no group of the pattern is called `{}`", field.key().escape_debug());
        let help = format!("'{}' needs (?<{}>...)", lacking.as_str(), field.key());
        field.report(
            Diagnostic::error(diagnostic::MISSING_GROUP, message, field.key_span(), "nothing gives this field")
                .help(help),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::{Aliases, Match, Matcher};
    use crate::scenario::KEYS as SCENARIO_KEYS;

    /// What the preset of the reference node finds in a line.
    fn found(line: &str) -> Vec<Match> {
        let problems = Problems::new();
        let document = parse_document("events.preset = \"node\"", &problems);
        let root = Table::root(&document, SCENARIO_KEYS, "the scenario", &problems);
        let mut names = Names::new(&problems);
        for node in ["peer1", "peer2", "peer3"] {
            names.add_node(node, ["main".into()]);
        }
        declare(&root, &mut names);
        let events = parse(&root, &names).unwrap();
        assert!(!problems.has_errors());
        let aliases = Aliases::of_nodes(names.nodes());
        Matcher::new(&events, Stream::Stdout, "main", &aliases).line(line.as_bytes())
    }

    /// The same as text: each event with its fields.
    fn told(line: &str) -> Vec<String> {
        let told = |Match { event, fields }: Match| {
            let fields = fields.iter().map(|(name, value)| format!(" {name}={value}"));
            format!("{event}{}", fields.collect::<String>())
        };
        found(line).into_iter().map(told).collect()
    }

    #[test]
    fn a_message_is_the_same_event_in_a_message_log_and_where_a_client_is_shown_it() {
        let log = r#""term":2,"msg_id":"a-b","seq_no":7,"room_id":"dev","index":9,"view":3"#;
        let shown = r#""index":9,"msg_id":"a-b","payload":"say \"hi\", {now}","room_id":"dev""#;
        let said = r#""payload":"say \"hi\", {now}""#;
        for (sender, who, client) in [(r#""alice""#, "alice", ""), ("1", "1", r#""client":"1.9f","#)] {
            for line in [
                format!(r#"{{"type":"SEQ_CHAT","sender_id":{sender},{log},{client}"serial":4,{said}}}"#),
                format!(
                    r#"{{{client}{shown},"sender_id":{sender},"seq_no":7,"serial":4,"term":2,"type":"SEQ_CHAT","view":3}}"#
                ),
            ] {
                let same = r#"serial=4 term=2 msg=a-b seq=7 room=dev index=9 view=3 text=say \"hi\", {now}"#;
                assert_eq!(told(&line), [format!("seq_chat sender={who} {same}")], "{line}");
            }
        }
    }

    #[test]
    fn the_preset_knows_the_phrases_of_the_reference_node() {
        let stamp = "2026-11-21T10:00:00.123Z peer1 INFO";
        for (phrase, meaning) in [
            ("became the Group Leader via election term=2 votes=peer1,peer3", "became_leader term=2"),
            ("listening on 127.0.0.1:7001 quorum=majority takeover=bully members=peer1,peer2", "listening"),
            ("Received COORDINATOR announcement: peer3 term=2", "follows leader=peer3 term=2"),
            ("follows leader=peer3 term=2", "follows leader=peer3 term=2"),
            ("stepped down term=2 reason=quorum lost", "stepped_down term=2"),
            ("SUSPECTED peer=peer3 term=2", "suspected peer=peer3"),
            ("FAILED peer=peer3 term=2", "failed peer=peer3"),
            ("RECOVERED peer=peer3 term=2", "recovered peer=peer3"),
            ("election started term=3 reason=leader failed", "election_started term=3"),
            ("election cancelled term=3 reason=higher peer answered", "election_cancelled term=3"),
            ("requested msg=peer1/3 text=hello world", "requested msg=peer1/3"),
            (
                "DELIVERED seq=7 term=2 index=12 msg=peer1/3 from=peer1 view=4 text=hello world",
                "delivered seq=7 term=2 index=12 msg=peer1/3 from=peer1 view=4 text=hello world",
            ),
            ("acknowledged msg=peer1/3 seq=7 term=2", "acknowledged msg=peer1/3 seq=7 term=2"),
            ("refused msg=peer1/4 reason=no leader known", "refused msg=peer1/4 reason=no leader known"),
            ("unknown msg=peer1/5 reason=the leader is gone", "undecided msg=peer1/5 reason=the leader is gone"),
            (
                "VIEW_CHANGE view=4 members=peer3,peer2,peer1 term=2 reason=joined:peer1",
                "view_change view=4 members=peer3,peer2,peer1 term=2 reason=joined:peer1",
            ),
            ("installed snapshot seq=100 index=130", "installed_snapshot seq=100 index=130"),
            ("recovered entries=120 applied=118 torn=0", "recovered_log entries=120 applied=118 torn=0"),
            ("ADDED TO NETWORK view=4 by=peer3 term=2", "added view=4 by=peer3"),
            ("NEW_PEER_REQUEST from=peer9", "asked_to_join from=peer9"),
        ] {
            let told = told(&format!("{stamp} {phrase}"));
            assert_eq!(told, [meaning], "{phrase}");
        }
        assert_eq!(found(&format!("{stamp} hello")), []);
        assert_eq!(found(&format!("{stamp} hello, stepped down term=9")), []);
        let spoken =
            "DELIVERED seq=1 term=1 index=1 msg=a/1 from=a view=1 text=stepped down term=9 acknowledged msg=b/1 seq=9";
        let found = found(&format!("{stamp} {spoken}"));
        assert_eq!(found.iter().map(|found| &*found.event).collect::<Vec<_>>(), ["delivered"]);
    }
}
