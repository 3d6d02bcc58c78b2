//! The JSON Schema (draft 2020-12) of a scenario, from which editors complete, explain and underline: made of the tables of keys.
//!
//! It knows the shape of a scenario, not its meaning: which keys a table has and which go together, but not whether a name is declared.
//! It never refuses what [`Scenario::parse`](crate::scenario::Scenario::parse) accepts, and it refuses every mistake of shape
//! ([`Code::is_structure`](crate::diagnostic::Code::is_structure)).

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::condition;
use crate::scenario::{self, steps};
use crate::table::{Key, Kind, Need};
use crate::target;

/// The name under which the schema is shipped and written.
pub const FILE_NAME: &str = "scenario.schema.json";

/// The schema as it is shipped: indented, with a line end.
pub fn text() -> String {
    format!("{:#}\n", schema())
}

/// The schema.
pub fn schema() -> Value {
    let mut book = Book::default();
    let whole = book.table(scenario::KEYS, "scenario");
    // What a file leaves to the one that it extends is not missing.
    book.is_partial = true;
    let mut root = book.table(scenario::KEYS, "scenario");
    root.insert("if".into(), json!({ "not": { "required": ["extends"] } }));
    root.insert("then".into(), whole.into());
    let definitions = std::mem::take(&mut book.definitions);
    let about = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "dsbench scenario",
        "description": "Who runs, what their logs mean, what happens, what must hold.",
        "x-tombi-toml-version": "v1.1.0",
        "$defs": definitions.into_iter().map(|(_, (name, schema))| (name, schema)).collect::<Map<_, _>>(),
    });
    let Value::Object(about) = about else { unreachable!("an object was written above") };
    root.extend(about);
    Value::Object(root)
}

/// A unit of time as humantime has it.
const UNIT: &str = "nanos|nsec|ns|usec|us|µs|millis|msec|ms|seconds|second|secs|sec|s|minutes|minute|min|mins|m|hours|hour|hr|hrs|h|days|day|d|weeks|week|wk|wks|w|months|month|M|years|year|yr|yrs|y";

fn duration() -> String {
    format!(r"\s*([0-9][0-9\s]*(\.\s*[0-9][0-9\s]*)?({UNIT})\s*)+")
}

/// What is written once and referred to: the tables of keys by their names and docs, and the shapes that are more than a type.
#[derive(Default)]
struct Book {
    /// Tables are parts of tables: they need nothing, and only what stands in them is looked at.
    is_partial: bool,
    definitions: BTreeMap<Place, (String, Value)>,
}

/// Tables are the same if their keys are called, documented and needed the same.
type Place = Vec<(&'static str, &'static str, bool)>;

impl Book {
    /// What may stand at a key. `path` names it for readers of the schema.
    fn kind(&mut self, kind: Kind, path: &str) -> Value {
        match kind {
            Kind::Text | Kind::Event => json!({ "type": "string" }),
            Kind::Int => json!({ "type": "integer" }),
            Kind::IntIn(low, i64::MAX) => json!({ "type": "integer", "minimum": low }),
            Kind::IntIn(low, high) => json!({ "type": "integer", "minimum": low, "maximum": high }),
            Kind::Float => json!({ "type": "number" }),
            Kind::Share => json!({ "type": "number", "minimum": 0, "maximum": 1 }),
            Kind::Bool => json!({ "type": "boolean" }),
            Kind::Duration => text_like(&format!("^{}$", duration()), &["300ms", "5s", "1m 30s"]),
            Kind::Delay => text_like(&format!(r"^{0}(\.\.{0})?$", duration()), &["1s", "0ms..50ms"]),
            Kind::Size => text_like(r"^\s*[0-9]+\s*(B|KB|kB|MB|GB|KiB|MiB|GiB)\s*$", &["64KiB", "10MiB", "1GB"]),
            Kind::Pattern(pattern) => json!({ "type": "string", "pattern": pattern }),
            Kind::EventField => text_like(r"\.", &["EVENT.FIELD"]),
            Kind::OneOf(words) => json!({ "enum": words }),
            Kind::Texts => {
                json!({ "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }] })
            }
            // One text is a program without arguments: nothing splits it at its spaces.
            Kind::Command => json!({ "anyOf": [
                { "type": "array", "items": { "type": "string" }, "minItems": 1 },
                { "type": "string", "pattern": r"^[^ ]+$|\{" },
            ] }),
            Kind::Target => self.refer("target", Self::target),
            Kind::Condition => self.refer("condition", Self::condition),
            Kind::Where => self.refer("where", Self::filter),
            Kind::Table(keys) => self.refer_table(keys, path),
            Kind::TableOr(short, keys) => {
                let short_kind = keys.iter().find(|key| key.name == short).map_or(Kind::Any, |key| key.kind);
                json!({ "anyOf": [self.refer_table(keys, path), self.kind(short_kind, path)] })
            }
            Kind::Tables(keys) => json!({ "type": "array", "items": self.refer_table(keys, path) }),
            Kind::List(element) => json!({ "type": "array", "items": self.kind(*element, path) }),
            Kind::Map(value) => json!({ "type": "object", "additionalProperties": self.kind(*value, path) }),
            Kind::MapWith(keys, value) => {
                let mut table = self.table(keys, path);
                table.insert("additionalProperties".into(), self.kind(*value, &format!("{path}.NAME")));
                Value::Object(table)
            }
            Kind::Either(kinds) => {
                json!({ "anyOf": kinds.iter().map(|kind| self.kind(*kind, path)).collect::<Vec<_>>() })
            }
            Kind::Any => json!({}),
            Kind::Later | Kind::Elsewhere => Value::Bool(false),
        }
    }

    /// A table of keys, defined once under the path at which it is met first.
    fn refer_table(&mut self, keys: &'static [Key], path: &str) -> Value {
        let (path, mark) = self.marked(path);
        let place: Place = keys.iter().map(|key| (key.name, key.doc, key.need == Need::Required)).chain(mark).collect();
        let path = &*path;
        if !self.definitions.contains_key(&place) {
            // Several tables may stand at one path, as a step and a group of steps do.
            let is_taken = |name: &String| self.definitions.values().any(|(taken, _)| taken == name);
            let names = std::iter::once(path.to_owned()).chain((2..).map(|nth| format!("{path}.{nth}")));
            let name = names.into_iter().find(|name| !is_taken(name)).expect("names do not run out");
            // First the name, then the table: it may refer to itself.
            self.definitions.insert(place.clone(), (name.clone(), Value::Null));
            let table = Value::Object(self.table(keys, path));
            self.definitions.insert(place.clone(), (name, table));
        }
        json!({ "$ref": format!("#/$defs/{}", self.definitions[&place].0) })
    }

    /// A shape that is written by hand, under its own name.
    fn refer(&mut self, shape: &'static str, write: impl FnOnce(&mut Self) -> Value) -> Value {
        let (name, mark) = self.marked(shape);
        let place: Place = [(shape, "", false)].into_iter().chain(mark).collect();
        if !self.definitions.contains_key(&place) {
            self.definitions.insert(place.clone(), (name.clone(), Value::Null));
            let shape = write(self);
            self.definitions.insert(place, (name.clone(), shape));
        }
        json!({ "$ref": format!("#/$defs/{name}") })
    }

    /// The name of a definition, and what tells it from the other of that name.
    fn marked(&self, name: &str) -> (String, Option<(&'static str, &'static str, bool)>) {
        match self.is_partial {
            true => (format!("partial.{}", name.trim_start_matches("partial.")), Some(("partial", "", true))),
            false => (name.to_owned(), None),
        }
    }

    fn table(&mut self, keys: &'static [Key], path: &str) -> Map<String, Value> {
        let mut properties = Map::new();
        for key in keys.iter().filter(|key| !key.kind.is_refused()) {
            let path = if path == "scenario" { key.name.to_owned() } else { format!("{path}.{}", key.name) };
            let mut shape = self.kind(key.kind, &path);
            shape["description"] = key.doc.into();
            properties.insert(key.name.to_owned(), shape);
        }
        let mut table = Map::new();
        table.insert("type".into(), "object".into());
        table.insert("properties".into(), properties.into());
        table.insert("additionalProperties".into(), false.into());
        if !self.is_partial {
            needs(keys, &mut table);
        }
        table
    }

    fn target(&mut self) -> Value {
        let words: Vec<&str> = target::WORDS.to_vec();
        let list = json!({ "type": "array", "items": { "$ref": format!("#/$defs/{}", self.marked("target").0) }, "minItems": 1 });
        let name = json!({
            "type": "string",
            "description": "A node, NODE/PROCESS, a role, a word of the language, or one of these with `!` before it.",
            "examples": words,
        });
        let random = self.refer_table(target::KEYS, "target.random");
        json!({ "anyOf": [name, list, random] })
    }

    fn condition(&mut self) -> Value {
        let one = json!([
            { "type": "string", "description": "An event that must occur." },
            self.refer_table(condition::KEYS, "condition.one"),
        ]);
        let list = json!({ "type": "array", "items": { "anyOf": one }, "minItems": 1, "description": "All of these must hold." });
        json!({ "anyOf": [one[0], one[1], list] })
    }

    fn filter(&mut self) -> Value {
        let target = self.kind(Kind::Target, "target");
        json!({
            "type": "object",
            "description": "Fields of the event: a number, a comparison like \">= 2\", a text, '~regex', or a target.",
            "additionalProperties": { "anyOf": [{ "type": "number" }, target] },
        })
    }
}

fn text_like(pattern: &str, examples: &[&str]) -> Value {
    json!({ "type": "string", "pattern": pattern, "examples": examples })
}

/// What the keys of a table have to do with each other.
fn needs(keys: &'static [Key], table: &mut Map<String, Value>) {
    let companions = companions(keys);
    let is_companion = |key: &Key| companions.iter().any(|(name, _)| *name == key.name);
    let present = |keys: &[&str]| Value::from_iter(keys.iter().map(|key| json!({ "required": [key] })));

    let required = keys.iter().filter(|key| key.need == Need::Required && !is_companion(key));
    let required: Vec<&str> = required.map(|key| key.name).collect();
    let mut all: Vec<Value> = Vec::new();
    let mut choices: Vec<Need> = Vec::new();
    let mut beside = Map::new();
    for key in keys.iter().filter(|key| !key.kind.is_refused()) {
        if let Need::Beside(others) = key.need {
            beside.insert(key.name.to_owned(), json!({ "anyOf": present(others) }));
        }
        if matches!(key.need, Need::OneOf(_) | Need::AtMostOneOf(_) | Need::SomeOf(_)) && !choices.contains(&key.need) {
            choices.push(key.need);
        }
    }
    for choice in choices {
        let chosen = |key: &&Key| key.need == choice && !key.kind.is_refused();
        let names: Vec<&str> = keys.iter().filter(chosen).map(|key| key.name).collect();
        match choice {
            Need::OneOf(of) => {
                let instead = keys.iter().filter(|key| key.need == Need::OrElse(of) && !key.kind.is_refused());
                let instead: Vec<&str> = instead.map(|key| key.name).collect();
                let one = json!({ "oneOf": present(&names) });
                all.push(match instead.as_slice() {
                    [] => one,
                    instead => {
                        json!({ "anyOf": [one, { "anyOf": present(instead), "not": { "anyOf": present(&names) } }] })
                    }
                });
            }
            Need::SomeOf(_) => all.push(json!({ "anyOf": present(&names) })),
            _ => {
                let pairs =
                    names.iter().enumerate().flat_map(|(at, one)| names[at + 1..].iter().map(move |two| [one, two]));
                all.extend(pairs.map(|pair| json!({ "not": { "required": pair } })));
            }
        }
    }
    let mut together = Map::new();
    for (key, others) in &companions {
        beside.insert((*key).to_owned(), json!({ "anyOf": present(others) }));
        if keys.iter().any(|known| known.name == *key && known.need == Need::Required) {
            for other in others {
                together
                    .entry(*other)
                    .or_insert_with(|| json!([]))
                    .as_array_mut()
                    .expect("just written")
                    .push((*key).into());
            }
        }
    }
    let parts = [
        ("required", Value::from(required)),
        ("allOf", all.into()),
        ("dependentSchemas", beside.into()),
        ("dependentRequired", together.into()),
    ];
    let is_empty = |part: &Value| *part == json!([]) || *part == json!({});
    table.extend(parts.into_iter().filter(|(_, part)| !is_empty(part)).map(|(name, part)| (name.to_owned(), part)));
}

/// For tables of which one key says what they are: which of those each other key goes with.
fn companions(keys: &'static [Key]) -> Vec<(&'static str, Vec<&'static str>)> {
    let is = |other: &[Key]| keys.iter().map(|key| key.name).eq(other.iter().map(|key| key.name));
    if is(steps::KEYS) {
        steps::companions()
    } else if is(condition::KEYS) {
        condition::companions()
    } else {
        Vec::new()
    }
}
