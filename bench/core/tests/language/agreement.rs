//! Good files, bad files, and a good file changed in every way that one line can be wrong, are judged by both.

#![expect(clippy::disallowed_methods, reason = "tests read the files of the repository")]

use std::path::{Path, PathBuf};

use dsbench_core::diagnostic::{CODES, Diagnostic, SYNTAX};
use dsbench_core::explain::GOOD;
use dsbench_core::scenario::{Asked, Extended, Override, Scenario, Suite};
use dsbench_core::schema;
use dsbench_core::source::Sources;
use serde_json::json;
use toml::{Table, Value};

use crate::validator::Validator;

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// Every scenario file of the repository that has to be good.
fn good_files() -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = ["bench/core/tests/good", "scenarios", "examples", "bench/src/init"]
        .iter()
        .flat_map(|dir| scenarios_below(&Path::new(ROOT).join(dir)))
        .collect();
    files.sort();
    assert!(files.len() > 8, "{files:?}");
    files
}

fn scenarios_below(dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(dir) else { return Vec::new() };
    let paths = entries.flatten().map(|entry| entry.path());
    let found = paths.flat_map(|path| match path.is_dir() {
        true => scenarios_below(&path),
        false => vec![path],
    });
    found
        .filter(|path| path.extension().is_some_and(|extension| extension == "toml"))
        .filter(|path| is_scenario(path))
        .collect()
}

/// Not the manifest of a package.
fn is_scenario(path: &Path) -> bool {
    std::fs::read_to_string(path).is_ok_and(|text| text.lines().any(|line| line.starts_with("schema ")))
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn mistakes(text: &str, overrides: &[Override]) -> Vec<Diagnostic> {
    let all = Scenario::parse(text, overrides).map_or_else(|mistakes| mistakes, |scenario| scenario.warnings);
    all.into_iter().filter(|diagnostic| diagnostic.is_error).collect()
}

fn told(mistakes: &[Diagnostic]) -> String {
    mistakes.iter().map(|mistake| format!("{} {}; ", mistake.code, mistake.message)).collect()
}

/// As an editor sees a document.
fn plain(value: &Value) -> serde_json::Value {
    match value {
        Value::String(text) => json!(text),
        Value::Integer(number) => json!(number),
        Value::Float(number) => json!(number),
        Value::Boolean(value) => json!(value),
        Value::Datetime(date) => json!({ "$date": date.to_string() }),
        Value::Array(list) => list.iter().map(plain).collect(),
        Value::Table(table) => table.iter().map(|(key, value)| (key.clone(), plain(value))).collect(),
    }
}

/// What the two make of a document, if they do not agree.
fn disagreement(validator: &Validator, document: &Table) -> Option<String> {
    let text = toml::to_string(document).expect("a document is written");
    let mistakes = mistakes(&text, &[]);
    let accepted = validator.accepts(&plain(&Value::Table(document.clone())));
    match (mistakes.is_empty(), accepted) {
        (true, false) => Some("the schema refuses what the reader accepts".to_owned()),
        (false, true) => {
            let is_from_elsewhere = |text: &str| FROM_OTHER_TABLES.iter().any(|part| text.contains(part));
            let is_shape =
                |mistake: &Diagnostic| mistake.code.meaning().is_structure && !is_from_elsewhere(&mistake.message);
            let shape: Vec<_> = mistakes.into_iter().filter(is_shape).collect();
            (!shape.is_empty()).then(|| format!("the schema accepts a mistake of shape: {}", told(&shape)))
        }
        _ => None,
    }
}

#[test]
fn every_good_file_is_accepted() {
    let validator = Validator::new(schema::schema());
    for path in good_files() {
        let text = read(&path);
        let mut sources = Sources::of(text.as_str());
        while let Some(extended) = Extended::next(&sources).expect("a good path") {
            let base = read(&path.with_file_name(&extended.path));
            sources.add(extended.path, base);
        }
        let found = Suite::parse(&sources, &Asked::default(), |_, _| {}).err().unwrap_or_default();
        assert!(found.is_empty(), "{}: {}", path.display(), told(&found));
        let document: Table = toml::from_str(&text).expect("a good file is TOML");
        assert!(validator.accepts(&plain(&Value::Table(document))), "the schema refuses {}", path.display());
    }
}

#[test]
fn every_bad_file_whose_mistake_is_one_of_shape_is_refused() {
    let validator = Validator::new(schema::schema());
    for meaning in CODES.iter().filter(|meaning| meaning.code != SYNTAX) {
        let document: Table = toml::from_str(meaning.example).expect("a bad file is TOML");
        let accepted = validator.accepts(&plain(&Value::Table(document)));
        assert!(
            !(accepted && meaning.is_structure),
            "{}: `structure` in diagnostic.rs says that the schema sees this mistake, and it does not",
            meaning.code
        );
    }
}

#[test]
fn reader_and_schema_agree_on_a_slice_of_the_changes_of_the_good_files() {
    judge(|what| what.bytes().fold(0_u32, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into())) % 48 == 0, 80);
}

#[test]
#[ignore = "takes a minute without optimization: cargo test --release -p dsbench-core --test language -- --ignored"]
fn reader_and_schema_agree_on_every_change_of_the_good_files() {
    judge(|_| true, 2000);
}

fn judge(is_asked: fn(&str) -> bool, at_least: usize) {
    let validator = Validator::new(schema::schema());
    // The preset of leader-election.toml would be read a thousand times, and has nothing that the others have not; variations.toml is
    // no scenario without the file that it extends.
    let good = GOOD.iter().filter(|(name, _)| !["leader-election", "variations"].contains(name));
    let documents: Vec<Table> = good.map(|(_, text)| toml::from_str(text).expect("a good file is TOML")).collect();
    let all = documents.iter().flat_map(changes);
    let changes: Vec<_> = all.filter(|(what, _)| is_asked(what) && !depends_on_names(what)).collect();
    let judged = changes.len();
    assert!(judged > at_least, "only {judged} changes");
    let mut wrong = Vec::new();
    for (what, changed) in changes {
        if let Some(disagreement) = disagreement(&validator, &changed) {
            wrong.push(format!("{what}: {disagreement}"));
        }
    }
    let shown = &wrong[..wrong.len().min(20)];
    assert!(
        wrong.is_empty(),
        "{} of {judged} changes are judged differently. Say with the key what the reader does with it: its Kind, and what it needs \
         (Key::required, .with(Need::..)); bench/core/src/table.rs.\n{}",
        wrong.len(),
        shown.join("\n")
    );
}

/// What a field is compared with in a `where` depends on the type of the field.
fn depends_on_names(what: &str) -> bool {
    what.split(' ').next().is_some_and(|place| place.contains(".where."))
}

/// Mistakes of shape that the reader finds only because it knows what other tables say: whether anybody of a group starts, and whether
/// a process of an override is one of its group's. And which signals there are: names that a table has as keys are not listed by the schema.
const FROM_OTHER_TABLES: &[&str] =
    &["starts by itself", "missing key `command` in a process", "no signal to send is called"];

/// Each way to change one thing of a document, with a name.
fn changes(document: &Table) -> Vec<(String, Table)> {
    let mut changes = Vec::new();
    let whole = Value::Table(document.clone());
    let mut places = Vec::new();
    visit(&whole, &mut Vec::new(), &mut places);
    for place in &places {
        let value = at(&whole, place);
        if !place.is_empty() {
            for other in others(value) {
                let what = format!("{} = {other}", shown(place));
                changes.push((what, changed(document, place, |value| *value = other)));
            }
        }
        match value {
            Value::Table(table) => {
                let unknown = |value: &mut Value| drop(table_of(value).insert("zzz".into(), Value::Integer(1)));
                changes.push((format!("{}.zzz is added", shown(place)), changed(document, place, unknown)));
                for key in table.keys() {
                    let what = format!("{}.{key} is removed", shown(place));
                    changes.push((what, changed(document, place, |value| drop(table_of(value).remove(key)))));
                }
            }
            // What stands in one element of a list may be put into another: verbs and modifiers that do not go together.
            Value::Array(list) => {
                for (index, element) in list.iter().enumerate() {
                    for (key, value) in list.iter().filter_map(Value::as_table).flatten() {
                        if element.as_table().is_none_or(|table| table.contains_key(key)) {
                            continue;
                        }
                        let mut place = place.clone();
                        place.push(Part::Index(index));
                        let what = format!("{}.{key} = {value} is added", shown(&place));
                        let add = |table: &mut Value| drop(table_of(table).insert(key.clone(), value.clone()));
                        changes.push((what, changed(document, &place, add)));
                    }
                }
            }
            _ => {}
        }
    }
    changes
}

/// What else could stand where a value stands.
fn others(value: &Value) -> Vec<Value> {
    let text = |text: &str| Value::String(text.to_owned());
    let table = Table::from_iter([("zzz".to_owned(), Value::Integer(1))]);
    let mut all = vec![
        Value::Integer(5),
        Value::Boolean(true),
        text("zzz"),
        text("5s"),
        text(""),
        Value::Array(Vec::new()),
        Value::Array(vec![text("zzz")]),
        Value::Table(table),
    ];
    all.retain(|other| other != value);
    all
}

#[derive(Clone)]
enum Part {
    Key(String),
    Index(usize),
}

fn visit(value: &Value, place: &mut Vec<Part>, places: &mut Vec<Vec<Part>>) {
    places.push(place.clone());
    let mut inner = |part: Part, value: &Value| {
        place.push(part);
        visit(value, place, places);
        place.pop();
    };
    match value {
        Value::Table(table) => table.iter().for_each(|(key, value)| inner(Part::Key(key.clone()), value)),
        Value::Array(list) => list.iter().enumerate().for_each(|(index, value)| inner(Part::Index(index), value)),
        _ => {}
    }
}

fn at<'v>(whole: &'v Value, place: &[Part]) -> &'v Value {
    place.iter().fold(whole, |value, part| match part {
        Part::Key(key) => &value[key.as_str()],
        Part::Index(index) => &value[*index],
    })
}

fn changed(document: &Table, place: &[Part], change: impl FnOnce(&mut Value)) -> Table {
    let mut whole = Value::Table(document.clone());
    let target = place.iter().fold(&mut whole, |value, part| match part {
        Part::Key(key) => &mut value[key.as_str()],
        Part::Index(index) => &mut value[*index],
    });
    change(target);
    match whole {
        Value::Table(table) => table,
        _ => unreachable!("the whole document is never replaced"),
    }
}

fn table_of(value: &mut Value) -> &mut Table {
    value.as_table_mut().expect("the place of a table")
}

fn shown(place: &[Part]) -> String {
    let parts = place.iter().map(|part| match part {
        Part::Key(key) => key.clone(),
        Part::Index(index) => index.to_string(),
    });
    parts.collect::<Vec<_>>().join(".")
}
