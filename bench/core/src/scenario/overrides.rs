//! `--set PATH=VALUE`: values of the command line in the place of the file's, before it is read.

use std::borrow::Cow;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::diagnostic::{self, Diagnostic, Problems, Span, suggestion};

/// A value that takes the place of the file's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    /// `nodes.count`, `steps.crash.after`: elements of lists are named by their `name`.
    pub path: String,
    /// A TOML value; what is none is taken as a text.
    pub value: String,
}

impl Override {
    /// Reads `PATH=VALUE`.
    pub fn parse(text: &str) -> Option<Self> {
        let (path, value) = text.split_once('=')?;
        let path = path.trim().to_owned();
        (!path.is_empty()).then(|| Self { path, value: value.trim().to_owned() })
    }
}

impl std::fmt::Display for Override {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "--set {}={}", self.path, self.value)
    }
}

/// Where an override put its value, to explain mistakes in it.
pub(super) struct Replaced {
    span: Span,
    by: String,
}

/// Puts the values in. What is put there stands, for diagnostics, where the value was that it replaces.
pub(super) fn apply<'s>(
    document: &mut Spanned<DeTable<'s>>,
    overrides: &'s [Override],
    problems: &Problems,
) -> Vec<Replaced> {
    let mut replaced = Vec::new();
    for this in overrides {
        if this.value.is_empty() {
            let message = format!("`{this}` gives no value");
            problems.report(Diagnostic::error(diagnostic::BAD_OVERRIDE, message, 0..0, "PATH=VALUE"));
            continue;
        }
        let value = DeValue::parse(&this.value)
            .map_or_else(|_| DeValue::String(Cow::Borrowed(&this.value)), Spanned::into_inner);
        let path = segments(&this.path);
        let top = 0..0;
        match put(document.get_mut(), &path, value, &top) {
            Ok(span) => replaced.push(Replaced { span, by: this.to_string() }),
            Err(help) => {
                let message = format!("`--set {}`: there is nothing at this path", this.path);
                problems.report(Diagnostic::error(diagnostic::NO_SUCH_PATH, message, 0..0, "no such place").help(help));
            }
        }
    }
    replaced
}

/// Says of mistakes in a value of the command line where it came from.
pub(super) fn explain(diagnostics: &mut [Diagnostic], replaced: &[Replaced]) {
    for diagnostic in diagnostics {
        let span = &diagnostic.at.0;
        let Some(by) = replaced.iter().find(|replaced| replaced.span == *span) else { continue };
        let help = diagnostic.help.take().map_or_else(String::new, |help| format!("; {help}"));
        diagnostic.help = Some(format!("the value is that of `{}`{help}", by.by));
    }
}

/// The parts of a path; a part in double quotes may have dots.
fn segments(path: &str) -> Vec<String> {
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

/// Puts a value at a path; gives its place in the file, or what is there instead.
fn put<'s>(table: &mut DeTable<'s>, path: &[String], value: DeValue<'s>, parent: &Span) -> Result<Span, String> {
    let Some((first, rest)) = path.split_first() else { return Err("the path is empty".to_owned()) };
    if rest.is_empty() {
        let span = table.get(first.as_str()).map_or_else(|| parent.clone(), Spanned::span);
        let value = moved_to(&span, value);
        match table.get_mut(first.as_str()) {
            Some(place) => *place = value,
            None => drop(table.insert(Spanned::new(span.clone(), Cow::Owned(first.clone())), value)),
        }
        return Ok(span);
    }
    if !table.contains_key(first.as_str()) {
        let empty = Spanned::new(parent.clone(), DeValue::Table(DeTable::new()));
        table.insert(Spanned::new(parent.clone(), Cow::Owned(first.clone())), empty);
    }
    let place = table.get_mut(first.as_str()).expect("just inserted if it was not there");
    let span = place.span();
    match place.get_mut() {
        DeValue::Table(table) => put(table, rest, value, &span),
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
                DeValue::Table(table) if rest.len() > 1 => put(table, &rest[1..], value, &span),
                _ => Err(format!("say which key: {first}.{name}.KEY")),
            }
        }
        _ => Err(format!("`{first}` is a value, and has no `{}`", rest[0])),
    }
}

fn name_of<'v>(element: &'v Spanned<DeValue<'_>>) -> Option<&'v str> {
    element.get_ref().as_table()?.get("name")?.get_ref().as_str()
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
