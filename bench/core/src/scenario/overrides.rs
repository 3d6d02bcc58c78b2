//! Values in the place of the file's, put there before it is read: by `--set PATH=VALUE`, by a `[matrix]`, by a case.

use std::borrow::Cow;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::document::{Document, name_of};
use crate::diagnostic::{self, Diagnostic, Problems, Span, suggestion};

/// A value that takes the place of the file's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    /// `nodes.count`, `steps.crash.after`: elements of lists are named by their `name`.
    pub path: String,
    /// A TOML value; what is none is taken as a text.
    pub value: String,
    /// Where a file says it; none for the command line.
    place: Option<Place>,
}

/// Where a file says that a value is changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) path: Span,
    pub(super) value: Span,
}

impl Override {
    /// Reads `PATH=VALUE`, as on a command line.
    pub fn parse(text: &str) -> Option<Self> {
        let mut is_quoted = false;
        let equals = text.char_indices().find(|(_, letter)| {
            is_quoted ^= *letter == '"';
            *letter == '=' && !is_quoted
        });
        let (path, value) = text.split_at(equals?.0);
        let path = path.trim().to_owned();
        (!path.is_empty()).then(|| Self { path, value: value[1..].trim().to_owned(), place: None })
    }

    pub(super) fn new(path: impl Into<String>, value: impl Into<String>, place: Option<Place>) -> Self {
        Self { path: path.into(), value: value.into(), place }
    }

    /// True if it changes the same value.
    pub fn is_of(&self, path: &str) -> bool {
        segments(&self.path) == segments(path)
    }
}

impl std::fmt::Display for Override {
    /// `nodes.count=5`, as [`parse`](Self::parse) reads it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}={}", self.path, self.value)
    }
}

/// Where an override put its value, to explain mistakes in it.
pub(super) struct Replaced {
    span: Span,
    from: From,
}

enum From {
    /// The value stands where the old one was, so it has to be said which it is.
    CommandLine(String),
    /// The value stands where the file has it; this is the one that it replaces.
    File(Option<Span>),
}

/// Puts the values in. A value of the command line stands, for diagnostics, where the value was that it replaces; one of a file where the
/// file has it.
pub(super) fn apply<'s>(document: &mut Document<'s>, overrides: &'s [Override], problems: &Problems) -> Vec<Replaced> {
    let mut replaced = Vec::new();
    for this in overrides {
        if this.value.is_empty() {
            let message = format!("`--set {this}` gives no value");
            problems.report(Diagnostic::error(diagnostic::BAD_OVERRIDE, message, 0..0, "PATH=VALUE"));
            continue;
        }
        let value = DeValue::parse(&this.value)
            .map_or_else(|_| DeValue::String(Cow::Borrowed(&this.value)), Spanned::into_inner);
        if let Some(done) = apply_one(document, this, value, overrides, problems) {
            replaced.push(done);
        }
    }
    replaced
}

fn apply_one<'s>(
    document: &mut Document<'s>,
    this: &Override,
    value: DeValue<'s>,
    all: &[Override],
    problems: &Problems,
) -> Option<Replaced> {
    let path = segments(&this.path);
    let refuse = |help: String| {
        let (at, how) = match &this.place {
            Some(place) => (place.path.clone(), ""),
            None => (0..0, "--set "),
        };
        let message = format!("`{how}{}`: there is nothing at this path", this.path.escape_debug());
        problems.report(Diagnostic::error(diagnostic::NO_SUCH_PATH, message, at, "no such place").help(help));
    };
    if let Some(help) = is_not_a_value(&path).or_else(|| unused_variable(document, &path, all)) {
        refuse(help);
        return None;
    }
    match put(document.root.get_mut(), &path, value, this.place.as_ref(), &(0..0)) {
        Ok((span, old)) => {
            let from = if this.place.is_some() { From::File(old) } else { From::CommandLine(this.to_string()) };
            Some(Replaced { span, from })
        }
        Err(help) => {
            refuse(help);
            None
        }
    }
}

/// What decides which values there are is not one of them.
fn is_not_a_value(path: &[String]) -> Option<String> {
    match path.first().map(String::as_str) {
        Some("matrix") => Some("`--matrix PATH=V1,V2` changes the matrix".to_owned()),
        Some("cases") => Some("`--case NAME` chooses a case; what it sets, `--set` can set as well".to_owned()),
        Some("extends") => Some("the file decides what it extends".to_owned()),
        _ => None,
    }
}

/// A new variable that nothing uses changes nothing: its name is misspelt.
fn unused_variable(document: &Document<'_>, path: &[String], all: &[Override]) -> Option<String> {
    let [.., parent, name] = path else { return None };
    if parent != "vars" {
        return None;
    }
    let mut vars = Some(document.root.get_ref());
    for part in &path[..path.len() - 1] {
        vars = vars.and_then(|table| table.get(part.as_str())).and_then(|value| value.get_ref().as_table());
    }
    let known: Vec<&str> = vars.into_iter().flat_map(DeTable::keys).map(|key| key.get_ref().as_ref()).collect();
    let used = format!("{{vars.{name}}}");
    let is_used = document.sources.contain(&used) || all.iter().any(|other| other.value.contains(&used));
    (!known.contains(&name.as_str()) && !is_used)
        .then(|| format!("nothing uses {used}; {}", suggestion(name, "variables", known)))
}

/// Says of mistakes in a value that was put in where it came from.
pub(super) fn explain(diagnostics: &mut [Diagnostic], replaced: &[Replaced]) {
    for diagnostic in diagnostics {
        let span = &diagnostic.at.0;
        let Some(done) = replaced.iter().find(|done| done.span == *span) else { continue };
        match &done.from {
            From::File(Some(old)) => diagnostic.also.push((old.clone(), "instead of this".to_owned())),
            From::File(None) => {}
            From::CommandLine(by) => {
                let help = diagnostic.help.take().map_or_else(String::new, |help| format!("; {help}"));
                diagnostic.help = Some(format!("the value is that of `--set {by}`{help}"));
            }
        }
    }
}

/// The parts of a path; a part in double quotes may have dots.
pub(super) fn segments(path: &str) -> Vec<String> {
    let mut segments = vec![String::new()];
    let mut is_quoted = false;
    for letter in path.chars() {
        match letter {
            '"' => is_quoted = !is_quoted,
            '.' if !is_quoted => segments.push(String::new()),
            letter => segments.last_mut().expect("there is always one").push(letter),
        }
    }
    segments
}

/// Puts a value at a path. Gives where it stands now, and where the one stood that it replaces; or what is there instead.
fn put<'s>(
    table: &mut DeTable<'s>,
    path: &[String],
    value: DeValue<'s>,
    place: Option<&Place>,
    parent: &Span,
) -> Result<(Span, Option<Span>), String> {
    let Some((first, rest)) = path.split_first() else { return Err("the path is empty".to_owned()) };
    // A key that is new stands where it is asked for.
    let key_span = || place.map_or_else(|| parent.clone(), |place| place.path.clone());
    if rest.is_empty() {
        let old = table.get(first.as_str()).map(Spanned::span);
        let span = match place {
            Some(place) => place.value.clone(),
            None => old.clone().unwrap_or_else(|| parent.clone()),
        };
        let value = moved_to(&span, value);
        match table.get_mut(first.as_str()) {
            Some(known) => *known = value,
            None => drop(table.insert(Spanned::new(key_span(), Cow::Owned(first.clone())), value)),
        }
        return Ok((span, old));
    }
    if !table.contains_key(first.as_str()) {
        let empty = Spanned::new(key_span(), DeValue::Table(DeTable::new()));
        table.insert(Spanned::new(key_span(), Cow::Owned(first.clone())), empty);
    }
    let inner = table.get_mut(first.as_str()).expect("just inserted if it was not there");
    let span = inner.span();
    match inner.get_mut() {
        DeValue::Table(table) => put(table, rest, value, place, &span),
        DeValue::Array(elements) => {
            let name = &rest[0];
            let names: Vec<String> =
                elements.iter().filter_map(|element| name_of(element).map(str::to_owned)).collect();
            let found = elements.iter_mut().find(|element| name_of(element) == Some(name.as_str()));
            let Some(element) = found else {
                return Err(suggestion(name, &format!("names in {first}"), names.iter().map(String::as_str)));
            };
            let span = element.span();
            match element.get_mut() {
                DeValue::Table(table) if rest.len() > 1 => put(table, &rest[1..], value, place, &span),
                _ => Err(format!("say which key: {first}.{name}.KEY")),
            }
        }
        _ => Err(format!("`{first}` is a value, and has no `{}`", rest[0])),
    }
}

/// The same value, all of it standing at one place of the file.
fn moved_to<'s>(span: &Span, value: DeValue<'s>) -> Spanned<DeValue<'s>> {
    let value = match value {
        DeValue::Array(elements) => {
            DeValue::Array(elements.into_iter().map(|element| moved_to(span, element.into_inner())).collect())
        }
        DeValue::Table(table) => {
            let entries = table
                .into_iter()
                .map(|(key, value)| (Spanned::new(span.clone(), key.into_inner()), moved_to(span, value.into_inner())));
            DeValue::Table(entries.collect())
        }
        value => value,
    };
    Spanned::new(span.clone(), value)
}

/// A value as it is written after `PATH=`: what is read from it again is the same value.
pub(super) fn written(value: &DeValue<'_>) -> String {
    match value {
        // Words stand without quotes, as people write them: what is no TOML is a text.
        DeValue::String(text) if is_bare(text) => text.to_string(),
        value => as_toml(value),
    }
}

fn is_bare(text: &str) -> bool {
    text.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '/' | '.' | '_'))
        && text.chars().all(|c| c.is_alphanumeric() || "-_./:@%+*".contains(c))
        && DeValue::parse(text).is_err()
}

fn as_toml(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => quoted(text),
        DeValue::Integer(number) => number.to_string(),
        DeValue::Float(number) => number.to_string(),
        DeValue::Boolean(value) => value.to_string(),
        DeValue::Datetime(date) => date.to_string(),
        DeValue::Array(elements) => {
            let elements: Vec<_> = elements.iter().map(|element| as_toml(element.get_ref())).collect();
            format!("[{}]", elements.join(", "))
        }
        DeValue::Table(table) => {
            let entry = |(key, value): (&Spanned<Cow<'_, str>>, &Spanned<DeValue<'_>>)| {
                format!("{} = {}", quoted(key.get_ref()), as_toml(value.get_ref()))
            };
            let entries: Vec<_> = table.iter().map(entry).collect();
            format!("{{ {} }}", entries.join(", "))
        }
    }
}

/// A basic string of TOML, on one line.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if c.is_control() => out.push_str(&format!("\\u{:04X}", u32::from(c))),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_path_may_have_quotes_and_a_value_equals_signs() {
        let read = |text| Override::parse(text).map(|this| (segments(&this.path), this.value));
        let expected =
            |path: &[&str], value: &str| Some((path.iter().map(|p| (*p).to_owned()).collect(), value.into()));
        assert_eq!(read("nodes.count = 5"), expected(&["nodes", "count"], "5"));
        assert_eq!(read("steps.\"a.b=c\".after=1s"), expected(&["steps", "a.b=c", "after"], "1s"));
        assert_eq!(read("vars.x=a=b"), expected(&["vars", "x"], "a=b"));
        assert_eq!([read("x"), read("=5")], [None, None]);
    }

    fn value() -> impl Strategy<Value = String> {
        let text = prop_oneof![any::<String>(), "[a-z0-9.:/ =,\"'-]{0,12}"].prop_map(|text| quoted(&text));
        let leaf = prop_oneof![
            text.clone(),
            any::<i64>().prop_map(|n| n.to_string()),
            any::<bool>().prop_map(|b| b.to_string()),
            (-1e9..1e9).prop_map(|x: f64| format!("{x:?}")),
            Just("2026-11-21T10:00:00Z".to_owned()),
            Just("0x1f".to_owned()),
        ];
        leaf.prop_recursive(3, 12, 4, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(|all| format!("[{}]", all.join(","))),
                prop::collection::btree_map("[a-z ]{0,4}", inner, 0..3).prop_map(|all| {
                    let all: Vec<_> = all.iter().map(|(key, value)| format!("{} = {value}", quoted(key))).collect();
                    format!("{{{}}}", all.join(","))
                }),
            ]
        })
    }

    fn plain(text: &str) -> String {
        let value = DeValue::parse(text).map_or_else(|_| DeValue::String(text.into()), Spanned::into_inner);
        as_toml(&value)
    }

    proptest! {
        #[test]
        fn a_value_that_is_written_is_read_again_on_one_line(text in value()) {
            let value = DeValue::parse(&text).unwrap();
            let line = written(value.get_ref());
            prop_assert!(!line.chars().any(char::is_control), "{line:?}");
            let read = Override::parse(&format!("a.b={line}")).unwrap();
            prop_assert_eq!(plain(&read.value), as_toml(value.get_ref()));
        }
    }
}
