//! Network verbs as somebody types them while the nodes run: `partition leader | '*'`, `link leader delay=100ms`, `heal`. They become the
//! step that a scenario would have, and are read as that.

use super::NetworkAct;
use super::side::REST;
use crate::condition::{Origin, Since};
use crate::diagnostic::Problems;
use crate::names::Names;
use crate::scenario::steps::{KEYS, StepTable, VERBS, Verb};
use crate::stage::Stage;
use crate::table::{Table, parse_document};

/// Reads a typed network verb; mistakes are reported.
pub(in crate::scenario) fn typed(
    verb: &str,
    words: &[&str],
    names: &Names<'_>,
    problems: &Problems,
) -> Option<NetworkAct> {
    let text = format!("{verb} = {}\n", written(verb, words));
    let document = parse_document(&text, problems);
    let table = Table::root(&document, KEYS, "what was typed", problems);
    let kind = VERBS.iter().find(|kind| kind.key.name == verb)?;
    let item = table.item(kind.key.name)?;
    let origin = Origin { since: Since::Start, step: 0 };
    match (kind.parse)(&StepTable { table: &table, item, names, origin: &origin, stage: Stage::Main })? {
        Verb::Network(act) => Some(*act),
        _ => None,
    }
}

/// The value that a step would have.
fn written(verb: &str, words: &[&str]) -> String {
    match verb {
        "partition" => partition(words),
        "link" => link(words),
        "heal" if words.is_empty() => quoted("all"),
        "heal" => quoted(&words.join(" ")),
        _ => list(words),
    }
}

/// Groups between `|`, or one against everybody else; one way with `->`; or a shape: `halves`, `ring`, `isolate peer1`, `bridge peer3`.
fn partition(words: &[&str]) -> String {
    if let Some(way) = one_way(words) {
        return format!("{{ {way} }}");
    }
    match words {
        [shape @ ("halves" | "ring")] => format!("{{ {shape} = true }}"),
        [shape @ ("isolate" | "bridge"), of @ ..] if !of.is_empty() && !of.contains(&"|") => {
            format!("{{ {shape} = {} }}", list(of))
        }
        _ => {
            let mut groups: Vec<String> = words.split(|word| *word == "|").map(list).collect();
            if groups.len() == 1 {
                groups.push(list(&[REST]));
            }
            format!("[{}]", groups.join(", "))
        }
    }
}

/// The sides, then what happens: `peer1 <-> peer2 delay=100ms loss=0.1`, `peer1 -> peer2 loss=1`, `leader delay=1s`, `delay=50ms`.
fn link(words: &[&str]) -> String {
    let settings = words.iter().position(|word| word.contains('=')).unwrap_or(words.len());
    let (sides, settings) = words.split_at(settings);
    let mut parts = Vec::new();
    if let Some(way) = one_way(sides) {
        parts.push(way);
    } else if !sides.is_empty() {
        let mut both: Vec<String> = sides.split(|word| *word == "<->").map(list).collect();
        if both.len() == 1 {
            both.push(quoted(REST));
        }
        parts.push(format!("between = [{}]", both.join(", ")));
    }
    for setting in settings {
        let (key, value) = setting.split_once('=').unwrap_or((setting, "true"));
        let key: Vec<String> = key.split('.').map(quoted).collect();
        // A number or a truth is itself, all else a text.
        let is_plain = value.parse::<f64>().is_ok_and(f64::is_finite) || matches!(value, "true" | "false");
        parts.push(format!("{} = {}", key.join("."), if is_plain { value.to_owned() } else { quoted(value) }));
    }
    format!("{{ {} }}", parts.join(", "))
}

fn one_way(words: &[&str]) -> Option<String> {
    let arrow = words.iter().position(|word| *word == "->")?;
    let side = |key: &str, words: &[&str]| (!words.is_empty()).then(|| format!("{key} = {}", list(words)));
    let sides = [side("from", &words[..arrow]), side("to", &words[arrow + 1..])];
    Some(sides.into_iter().flatten().collect::<Vec<_>>().join(", "))
}

/// One word as it is, several as a list.
fn list(words: &[&str]) -> String {
    match words {
        [word] => quoted(word),
        words => format!("[{}]", words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(", ")),
    }
}

/// What JSON writes TOML reads, but for one character.
fn quoted(word: &str) -> String {
    serde_json::Value::from(word).to_string().replace('\u{7f}', "\\u007f")
}
