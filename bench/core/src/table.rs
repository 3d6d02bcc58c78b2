//! Reading one TOML table: typed keys with spans, every mistake reported, nothing silently ignored.
//!
//! A table is read against its declared [`Key`]s. The same declarations feed the reference and the completion of editors. A getter that
//! finds a value of the wrong type reports it and returns `None`; read every key before giving up, so that all mistakes are found at once.

use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::diagnostic::{self, Diagnostic, Located, Problems, Span};

/// A key that a table may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// As written in the file.
    pub name: &'static str,
    /// What stands there.
    pub kind: Kind,
    /// One sentence for the reference and the editor.
    pub doc: &'static str,
}

impl Key {
    /// A key, in one line.
    pub const fn new(name: &'static str, kind: Kind, doc: &'static str) -> Self {
        Self { name, kind, doc }
    }

    /// Two lists of keys as one, for tables that are several things at once. `N` is the sum of their lengths.
    pub const fn join<const N: usize>(first: &[Self], second: &[Self]) -> [Self; N] {
        assert!(N == first.len() + second.len(), "the length of the joined list is the sum");
        let mut joined = [Self::new("", Kind::Any, ""); N];
        let mut index = 0;
        while index < N {
            joined[index] = if index < first.len() { first[index] } else { second[index - first.len()] };
            index += 1;
        }
        joined
    }
}

/// What may stand at a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// A whole number.
    Int,
    /// A number.
    Float,
    /// `true` or `false`.
    Bool,
    /// `"5s"`, `"300ms"`.
    Duration,
    /// `"10MiB"`.
    Size,
    /// A list of texts, or one text.
    Texts,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// Whom to act on or to look at (see targets).
    Target,
    /// The name of an event.
    Event,
    /// `EVENT.FIELD`.
    EventField,
    /// What has to be true: a condition, or a list of them.
    Condition,
    /// A `where` table: field = value.
    Where,
    /// A table with these keys.
    Table(&'static [Key]),
    /// A list of tables with these keys.
    Tables(&'static [Key]),
    /// A table whose keys are names that the scenario chooses, each with this.
    Map(&'static Self),
    /// More than one of these; the documentation of the key says which.
    Any,
    /// Belongs to the language, but this version does not act on it: using it is refused.
    Later,
}

/// A table being read.
#[derive(Debug, Clone, Copy)]
pub struct Table<'d, 's> {
    content: Content<'d, 's>,
    keys: &'static [Key],
    what: &'static str,
    span: (usize, usize),
    problems: &'d Problems,
}

#[derive(Debug, Clone, Copy)]
enum Content<'d, 's> {
    Table(&'d DeTable<'s>),
    /// A bare value that stands for a table with this one key: `never = "panic"`.
    Short(&'static str, &'d Spanned<DeValue<'s>>),
}

impl<'d, 's> Table<'d, 's> {
    /// Reads a document. `what` names the table for people: "the scenario", "a step".
    pub fn root(
        document: &'d Spanned<DeTable<'s>>,
        keys: &'static [Key],
        what: &'static str,
        problems: &'d Problems,
    ) -> Self {
        // The document's span is the whole text; what it lacks is missing at its beginning.
        let start = document.span().start;
        let table = Self { content: Content::Table(document.get_ref()), keys, what, span: (start, start), problems };
        table.refuse_unknown_keys();
        table
    }

    /// Where the table stands (its header, or its braces).
    pub fn span(&self) -> Span {
        self.span.0..self.span.1
    }

    /// How the table is called in diagnostics.
    pub fn what(&self) -> &'static str {
        self.what
    }

    /// Where mistakes are reported.
    pub fn problems(&self) -> &'d Problems {
        self.problems
    }

    /// Reports a mistake.
    pub fn report(&self, diagnostic: Diagnostic) {
        self.problems.report(diagnostic);
    }

    /// True if the key is there, whatever its value.
    pub fn has(&self, key: &'static str) -> bool {
        self.item(key).is_some()
    }

    /// The raw value of a key.
    pub fn item(&self, key: &'static str) -> Option<Item<'d, 's>> {
        debug_assert!(self.keys.iter().any(|k| k.name == key), "`{key}` is not a declared key of {}", self.what);
        match self.content {
            Content::Table(table) => table.get_key_value(key).map(|(name, value)| Item {
                key: name.get_ref(),
                key_span: as_pair(name.span()),
                value,
                problems: self.problems,
            }),
            Content::Short(name, value) => (name == key).then(|| Item {
                key: name,
                key_span: as_pair(value.span()),
                value,
                problems: self.problems,
            }),
        }
    }

    /// A key that must be there, read by any of the getters: `table.required("event", Table::text)`.
    pub fn required<T>(&self, key: &'static str, read: impl FnOnce(&Self, &'static str) -> Option<T>) -> Option<T> {
        if !self.has(key) {
            let message = format!("missing key `{key}` in {}", self.what);
            let doc = self.keys.iter().find(|k| k.name == key).map_or("", |k| k.doc);
            self.report(
                Diagnostic::error(diagnostic::MISSING_KEY, message, self.span(), format!("`{key}` is missing here"))
                    .help(format!("`{key}`: {doc}")),
            );
            return None;
        }
        read(self, key)
    }

    /// Any text.
    pub fn text(&self, key: &'static str) -> Option<Located<&'d str>> {
        self.item(key)?.text()
    }

    /// A text that is not empty.
    pub fn nonempty_text(&self, key: &'static str) -> Option<Located<&'d str>> {
        self.item(key)?.nonempty_text()
    }

    /// A whole number within a range.
    pub fn int(&self, key: &'static str, range: std::ops::RangeInclusive<i64>) -> Option<Located<i64>> {
        self.item(key)?.int(range)
    }

    /// A number; whole numbers count.
    pub fn float(&self, key: &'static str) -> Option<Located<f64>> {
        self.item(key)?.float()
    }

    /// `true` or `false`.
    pub fn boolean(&self, key: &'static str) -> Option<Located<bool>> {
        self.item(key)?.boolean()
    }

    /// A text with a unit, as a length of time.
    pub fn duration(&self, key: &'static str) -> Option<Located<Duration>> {
        self.item(key)?.duration()
    }

    /// A length of time, without a report if it is none: for looking at something that is read properly elsewhere.
    pub(crate) fn duration_quietly(&self, key: &'static str) -> Option<Located<Duration>> {
        self.item(key)?.silenced(&Problems::new()).duration()
    }

    /// A text with a unit, in bytes.
    pub fn size(&self, key: &'static str) -> Option<Located<u64>> {
        self.item(key)?.size()
    }

    /// One text, or a list of texts.
    pub fn texts(&self, key: &'static str) -> Option<Vec<Located<&'d str>>> {
        self.item(key)?.texts()
    }

    /// One of the words that the key declares ([`Kind::OneOf`]).
    pub fn word(&self, key: &'static str) -> Option<Located<&'static str>> {
        let Some(Kind::OneOf(words)) = self.kind(key) else {
            debug_assert!(false, "`{key}` of {} is not declared as OneOf", self.what);
            return None;
        };
        self.item(key)?.word(words)
    }

    /// A table whose keys are declared with the key ([`Kind::Table`]).
    pub fn table(&self, key: &'static str, what: &'static str) -> Option<Self> {
        let keys = self.nested_keys(key);
        self.item(key)?.table(keys, what)
    }

    /// A list of tables (`[[key]]` or `key = [{..}, {..}]`) whose keys are declared with the key ([`Kind::Tables`]).
    pub fn tables(&self, key: &'static str, what: &'static str) -> Vec<Self> {
        let keys = self.nested_keys(key);
        let Some(item) = self.item(key) else { return Vec::new() };
        let Some(items) = item.array() else { return Vec::new() };
        items.into_iter().filter_map(|item| item.table(keys, what)).collect()
    }

    /// A table of names that the scenario chose, in the order of the file.
    pub fn map(&self, key: &'static str) -> Vec<Item<'d, 's>> {
        self.item(key).and_then(|item| item.entries()).unwrap_or_default()
    }

    /// Exactly one of these keys: reports if there is none (`help` says what could be there) or more than one.
    pub fn exactly_one(&self, keys: &[&'static str], noun: &str, help: &str) -> Option<Item<'d, 's>> {
        let present = self.present(keys);
        let Some(first) = present.first() else {
            // A misspelt or refused key was reported already, and was probably meant to be the one.
            if self.has_refused_key() {
                return None;
            }
            let message = format!("{} without {noun}", self.what);
            self.report(
                Diagnostic::error(diagnostic::NOTHING_CHOSEN, message, self.span(), format!("{noun} is missing here"))
                    .help(help),
            );
            return None;
        };
        self.refuse_several(&present);
        Some(*first)
    }

    /// At most one of these keys: reports the others.
    pub fn at_most_one(&self, keys: &[&'static str]) -> Option<Item<'d, 's>> {
        let present = self.present(keys);
        self.refuse_several(&present);
        present.first().copied()
    }

    fn present(&self, keys: &[&'static str]) -> Vec<Item<'d, 's>> {
        let mut present: Vec<_> = keys.iter().filter_map(|key| self.item(key)).collect();
        present.sort_by_key(|item| item.key_span);
        present
    }

    fn refuse_several(&self, present: &[Item<'d, 's>]) {
        let Some((first, others)) = present.split_first() else { return };
        for other in others {
            let message = format!("`{}` and `{}` in {}", first.key, other.key, self.what);
            self.report(
                Diagnostic::error(
                    diagnostic::CONTRADICTION,
                    message,
                    other.key_span(),
                    "only one of them can be meant",
                )
                .also(first.key_span(), "the first one"),
            );
        }
    }

    fn kind(&self, key: &str) -> Option<Kind> {
        self.keys.iter().find(|k| k.name == key).map(|k| k.kind)
    }

    fn nested_keys(&self, key: &'static str) -> &'static [Key] {
        match self.kind(key) {
            Some(Kind::Table(keys) | Kind::Tables(keys)) => keys,
            kind => {
                debug_assert!(false, "`{key}` of {} is declared as {kind:?}, not as a table", self.what);
                &[]
            }
        }
    }

    fn has_refused_key(&self) -> bool {
        let Content::Table(table) = self.content else { return false };
        table.keys().any(|key| self.kind(key.get_ref()).is_none_or(|kind| kind == Kind::Later))
    }

    fn refuse_unknown_keys(&self) {
        let Content::Table(table) = self.content else { return };
        for key in table.keys() {
            let name = key.get_ref().as_ref();
            match self.kind(name) {
                Some(Kind::Later) => {
                    let message = format!("`{name}` is not in this version");
                    let doc = self.keys.iter().find(|k| k.name == name).map_or("", |k| k.doc);
                    self.report(
                        Diagnostic::error(diagnostic::NOT_YET, message, key.span(), "nothing acts on it yet").help(doc),
                    );
                    continue;
                }
                Some(_) => continue,
                None => {}
            }
            let message = format!("unknown key `{name}` in {}", self.what);
            let known = self.keys.iter().filter(|k| k.kind != Kind::Later).map(|k| k.name);
            let help = diagnostic::suggestion(name, "known keys", known);
            self.report(Diagnostic::error(diagnostic::UNKNOWN_KEY, message, key.span(), "unknown key").help(help));
        }
    }
}

/// One value being read, with the key that it stands at.
#[derive(Debug, Clone, Copy)]
pub struct Item<'d, 's> {
    key: &'d str,
    key_span: (usize, usize),
    value: &'d Spanned<DeValue<'s>>,
    problems: &'d Problems,
}

impl<'d, 's> Item<'d, 's> {
    /// The key; for an element of a list, the key of the list.
    pub fn key(&self) -> &'d str {
        self.key
    }

    /// The key, where it stands.
    pub fn located_key(&self) -> Located<&'d str> {
        Located { value: self.key, span: self.key_span() }
    }

    /// Where the key stands.
    pub fn key_span(&self) -> Span {
        self.key_span.0..self.key_span.1
    }

    /// Where the value stands.
    pub fn span(&self) -> Span {
        self.value.span()
    }

    /// Where mistakes are reported.
    pub fn problems(&self) -> &'d Problems {
        self.problems
    }

    /// Reports a mistake.
    pub fn report(&self, diagnostic: Diagnostic) {
        self.problems.report(diagnostic);
    }

    /// The same value, reporting to somebody else: for looking at something that is read properly later.
    pub fn silenced<'p>(&self, problems: &'p Problems) -> Item<'p, 's>
    where
        'd: 'p,
    {
        Item { key: self.key, key_span: self.key_span, value: self.value, problems }
    }

    /// True if the value is a text.
    pub fn is_text(&self) -> bool {
        self.value.get_ref().is_str()
    }

    /// True if the value is a list.
    pub fn is_array(&self) -> bool {
        self.value.get_ref().is_array()
    }

    /// True if the value is a table.
    pub fn is_table(&self) -> bool {
        self.value.get_ref().is_table()
    }

    /// True if the value is a table and has this key.
    pub fn has_key(&self, key: &str) -> bool {
        self.value.get_ref().as_table().is_some_and(|table| table.contains_key(key))
    }

    /// What was found, for people: "a text", "an integer".
    pub fn found(&self) -> &'static str {
        match self.value.get_ref() {
            DeValue::String(_) => "a text",
            DeValue::Integer(_) => "an integer",
            DeValue::Float(_) => "a number",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        }
    }

    /// Reports that something else was expected. Returns `None`, so that getters can end with it.
    pub fn wrong_type<T>(&self, expected: &str) -> Option<T> {
        let message = format!("`{}` takes {expected}, and this is {}", self.key, self.found());
        self.report(Diagnostic::error(diagnostic::WRONG_TYPE, message, self.span(), format!("expected {expected}")));
        None
    }

    /// Any text.
    pub fn text(&self) -> Option<Located<&'d str>> {
        match self.value.get_ref() {
            DeValue::String(text) => Some(Located { value: text.as_ref(), span: self.span() }),
            _ => self.wrong_type("a text in quotes"),
        }
    }

    /// A text that is not empty.
    pub fn nonempty_text(&self) -> Option<Located<&'d str>> {
        let text = self.text()?;
        if text.value.trim().is_empty() {
            let message = format!("`{}` is empty", self.key);
            self.report(Diagnostic::error(diagnostic::EMPTY, message, text.span, "nothing there"));
            return None;
        }
        Some(text)
    }

    /// A whole number within a range.
    pub fn int(&self, range: std::ops::RangeInclusive<i64>) -> Option<Located<i64>> {
        let DeValue::Integer(number) = self.value.get_ref() else {
            return self.wrong_type("a whole number");
        };
        let parsed = i64::from_str_radix(number.as_str(), number.radix()).ok();
        let Some(value) = parsed.filter(|value| range.contains(value)) else {
            let message = format!("`{}` is out of range", self.key);
            let label = match (*range.start(), *range.end()) {
                (low, i64::MAX) => format!("at least {low}"),
                (low, high) => format!("{low} to {high}"),
            };
            self.report(Diagnostic::error(diagnostic::OUT_OF_RANGE, message, self.span(), label));
            return None;
        };
        Some(Located { value, span: self.span() })
    }

    /// A number; whole numbers count.
    pub fn float(&self) -> Option<Located<f64>> {
        let parsed = match self.value.get_ref() {
            DeValue::Integer(number) => {
                i64::from_str_radix(number.as_str(), number.radix()).ok().map(|value| value as f64)
            }
            DeValue::Float(number) => number.as_str().parse::<f64>().ok().filter(|value| value.is_finite()),
            _ => return self.wrong_type("a number"),
        };
        let Some(value) = parsed else {
            let message = format!("`{}` is out of range", self.key);
            self.report(Diagnostic::error(diagnostic::OUT_OF_RANGE, message, self.span(), "not a finite number"));
            return None;
        };
        Some(Located { value, span: self.span() })
    }

    /// `true` or `false`.
    pub fn boolean(&self) -> Option<Located<bool>> {
        match self.value.get_ref() {
            DeValue::Boolean(value) => Some(Located { value: *value, span: self.span() }),
            _ => self.wrong_type("true or false"),
        }
    }

    /// A text with a unit, as a length of time.
    pub fn duration(&self) -> Option<Located<Duration>> {
        let (written, unquoted) = match self.value.get_ref() {
            DeValue::String(text) => (text.as_ref(), false),
            DeValue::Integer(number) => (number.as_str(), true),
            DeValue::Float(number) => (number.as_str(), true),
            _ => return self.wrong_type("a duration like \"5s\""),
        };
        // A century is enough for any test, and keeps sums of durations far from overflow.
        const LONGEST: Duration = Duration::from_secs(100 * 366 * 86_400);
        match humantime::parse_duration(written) {
            Ok(value) if !unquoted && value <= LONGEST => Some(Located { value, span: self.span() }),
            _ => {
                let message = format!("`{}` is not a duration", self.key);
                let mut diagnostic = Diagnostic::error(
                    diagnostic::BAD_DURATION,
                    message,
                    self.span(),
                    "durations are texts with a unit",
                );
                let number = written.trim();
                diagnostic = if number.parse::<f64>().is_ok_and(|n| n.is_finite() && n >= 0.0) {
                    diagnostic.help(format!("did you mean \"{number}s\"?"))
                } else {
                    diagnostic.help("for example \"300ms\", \"5s\" or \"1m 30s\"")
                };
                self.report(diagnostic);
                None
            }
        }
    }

    /// A text with a unit, in bytes.
    pub fn size(&self) -> Option<Located<u64>> {
        let written = match self.value.get_ref() {
            DeValue::String(text) => text.trim().to_owned(),
            DeValue::Integer(number) => number.as_str().to_owned(),
            _ => return self.wrong_type("a size like \"10MiB\""),
        };
        if self.is_text()
            && let Some(value) = parse_size(&written)
        {
            return Some(Located { value, span: self.span() });
        }
        let message = format!("`{}` is not a size", self.key);
        let help = if written.parse::<u64>().is_ok() {
            format!("did you mean \"{written}B\" or \"{written}MiB\"?")
        } else {
            "for example \"64KiB\", \"10MiB\" or \"1GB\"".to_owned()
        };
        let label = "sizes are texts with a unit";
        self.report(Diagnostic::error(diagnostic::BAD_SIZE, message, self.span(), label).help(help));
        None
    }

    /// One text, or a list of texts.
    pub fn texts(&self) -> Option<Vec<Located<&'d str>>> {
        if self.is_text() {
            return Some(vec![self.text()?]);
        }
        if !self.is_array() {
            return self.wrong_type("a text or a list of texts");
        }
        // Every element is read before giving up, so that each wrong one is reported.
        let texts: Vec<_> = self.array()?.iter().map(Self::text).collect();
        texts.into_iter().collect()
    }

    /// One of these words.
    pub fn word(&self, words: &'static [&'static str]) -> Option<Located<&'static str>> {
        let text = self.text()?;
        let found = words.iter().find(|word| **word == text.value);
        if found.is_none() {
            let message = format!("`{}` cannot be \"{}\"", self.key, text.value.escape_debug());
            let help = diagnostic::suggestion(text.value, "possible", words.iter().copied());
            self.report(Diagnostic::error(diagnostic::BAD_WORD, message, text.span.clone(), "unknown word").help(help));
        }
        found.map(|word| Located { value: *word, span: text.span })
    }

    /// The elements of a list.
    pub fn array(&self) -> Option<Vec<Self>> {
        let DeValue::Array(array) = self.value.get_ref() else { return self.wrong_type("a list") };
        Some(array.iter().map(|value| Self { value, ..*self }).collect())
    }

    /// The elements of a list, or the value itself as the only one.
    pub fn one_or_more(&self) -> Vec<Self> {
        if self.is_array() { self.array().unwrap_or_default() } else { vec![*self] }
    }

    /// A table with these keys.
    pub fn table(&self, keys: &'static [Key], what: &'static str) -> Option<Table<'d, 's>> {
        let DeValue::Table(content) = self.value.get_ref() else { return self.wrong_type("a table") };
        let content = Content::Table(content);
        let table = Table { content, keys, what, span: as_pair(self.span()), problems: self.problems };
        table.refuse_unknown_keys();
        Some(table)
    }

    /// A table with these keys, or a bare value that stands for a table with only the key `short`.
    pub fn table_or(&self, short: &'static str, keys: &'static [Key], what: &'static str) -> Option<Table<'d, 's>> {
        if self.is_table() {
            return self.table(keys, what);
        }
        let content = Content::Short(short, self.value);
        Some(Table { content, keys, what, span: as_pair(self.span()), problems: self.problems })
    }

    /// The entries of a table whose keys are names that the scenario chose, in the order of the file.
    pub fn entries(&self) -> Option<Vec<Self>> {
        let DeValue::Table(table) = self.value.get_ref() else { return self.wrong_type("a table") };
        let mut entries: Vec<Self> = table
            .iter()
            .map(|(key, value)| Self { key: key.get_ref(), key_span: as_pair(key.span()), value, ..*self })
            .collect();
        entries.sort_by_key(|entry| entry.key_span);
        Some(entries)
    }

    /// The same, and nothing if it is no table: for looking at something that is read properly elsewhere.
    pub(crate) fn entries_quietly(&self) -> Vec<Self> {
        if self.is_table() { self.entries().unwrap_or_default() } else { Vec::new() }
    }

    /// The value as plain data, for settings that are passed on as they are. Dates become texts.
    pub fn plain(&self) -> serde_json::Value {
        plain(self.value.get_ref())
    }
}

fn plain(value: &DeValue<'_>) -> serde_json::Value {
    match value {
        DeValue::String(text) => text.as_ref().into(),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix()).ok().into(),
        DeValue::Float(number) => number.as_str().parse::<f64>().ok().into(),
        DeValue::Boolean(value) => (*value).into(),
        DeValue::Datetime(date) => date.to_string().into(),
        DeValue::Array(array) => array.iter().map(|item| plain(item.get_ref())).collect(),
        DeValue::Table(table) => table.iter().map(|(key, item)| (key.to_string(), plain(item.get_ref()))).collect(),
    }
}

fn as_pair(span: Span) -> (usize, usize) {
    (span.start, span.end)
}

/// Bytes of a size like `10MiB`; `None` if it is none or does not fit.
fn parse_size(text: &str) -> Option<u64> {
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let factor: u64 = match unit.trim() {
        "B" => 1,
        "KB" | "kB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

/// Parses a document, reporting each syntax error; what could be read is read.
pub fn parse_document<'s>(text: &'s str, problems: &Problems) -> Spanned<DeTable<'s>> {
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let at = error.span().unwrap_or(0..0);
        let at = on_char_boundaries(text, at);
        problems.report(Diagnostic::error(diagnostic::SYNTAX, error.message(), at, "not TOML here"));
    }
    document
}

/// The parser may point into the middle of a character, or behind the end.
fn on_char_boundaries(text: &str, span: Span) -> Span {
    let mut start = span.start.min(text.len());
    while !text.is_char_boundary(start) {
        start -= 1;
    }
    let mut end = span.end.clamp(start, text.len());
    while !text.is_char_boundary(end) {
        end += 1;
    }
    start..end
}

#[cfg(test)]
mod tests {
    use super::*;

    const INNER: &[Key] = &[Key::new("event", Kind::Event, "Which event."), Key::new("of", Kind::Target, "Whose.")];
    const KEYS: &[Key] = &[
        Key::new("name", Kind::Text, "A name."),
        Key::new("limit", Kind::Duration, "How long."),
        Key::new("size", Kind::Size, "How much."),
        Key::new("count", Kind::Int, "How many."),
        Key::new("mode", Kind::OneOf(&["host", "lab"]), "Which network."),
        Key::new("tags", Kind::Texts, "Words."),
        Key::new("inner", Kind::Table(INNER), "A table."),
        Key::new("steps", Kind::Tables(INNER), "Tables."),
        Key::new("vars", Kind::Map(&Kind::Text), "Names of the user."),
    ];

    /// Reads a text as a table of [`KEYS`] and gives the codes of what was wrong, in the order of the text.
    fn codes<R>(text: &str, read: impl FnOnce(&Table<'_, '_>) -> R) -> (R, Vec<String>) {
        let problems = Problems::new();
        let document = parse_document(text, &problems);
        let result = read(&Table::root(&document, KEYS, "the scenario", &problems));
        (
            result,
            problems.into_sorted().into_iter().map(|d| format!("{} {}", d.code, d.help.unwrap_or_default())).collect(),
        )
    }

    #[test]
    fn values_of_the_right_type_are_read_with_their_place() {
        let text =
            "name = \"x\"\nlimit = \"1.5s\"\nsize = \"10MiB\"\ncount = 0x10\nmode = \"lab\"\ntags = [\"a\", \"b\"]\n";
        let ((), found) = codes(text, |t| {
            let name = t.text("name").unwrap();
            assert_eq!((name.value, &text[name.span]), ("x", "\"x\""));
            assert_eq!(t.duration("limit").unwrap().value, Duration::from_millis(1500));
            assert_eq!(t.size("size").unwrap().value, 10 << 20);
            assert_eq!(t.int("count", 1..=99).unwrap().value, 16);
            assert_eq!(t.word("mode").unwrap().value, "lab");
            assert_eq!(t.texts("tags").unwrap().len(), 2);
        });
        assert_eq!(found, Vec::<String>::new());
    }

    #[test]
    fn every_mistake_is_reported_and_none_hides_another() {
        let text = "nam = 1\nlimit = 5\nsize = 7\ncount = 100\nmode = \"hots\"\ntags = [1, 2]\n[[steps]]\nevnt = 1\n";
        let ((), found) = codes(text, |t| {
            assert!(t.required("name", Table::text).is_none());
            assert!(t.duration("limit").is_none());
            assert!(t.size("size").is_none());
            assert!(t.int("count", 1..=99).is_none());
            assert!(t.word("mode").is_none());
            assert!(t.texts("tags").is_none());
            assert_eq!(t.tables("steps", "a step").len(), 1);
        });
        assert_eq!(
            found,
            [
                "DS0101 did you mean `name`?",
                "DS0102 `name`: A name.",
                "DS0111 did you mean \"5s\"?",
                "DS0112 did you mean \"7B\" or \"7MiB\"?",
                "DS0113 ",
                "DS0114 did you mean `host`?",
                "DS0110 ",
                "DS0110 ",
                "DS0101 did you mean `event`?",
            ]
        );
    }

    #[test]
    fn inline_and_headed_tables_mean_the_same() {
        for text in
            ["steps = [{ event = \"a\" }, { event = \"b\" }]", "[[steps]]\nevent = \"a\"\n[[steps]]\nevent = \"b\""]
        {
            let (events, found) = codes(text, |t| {
                t.tables("steps", "a step")
                    .iter()
                    .filter_map(|s| s.text("event").map(|e| e.value.to_owned()))
                    .collect::<Vec<_>>()
            });
            assert_eq!((events, found.len()), (vec!["a".to_owned(), "b".to_owned()], 0));
        }
    }

    #[test]
    fn a_bare_value_can_stand_for_its_main_key() {
        let ((), found) = codes("vars = { x = \"a\", y = { event = \"b\" } }", |t| {
            let events: Vec<_> = t
                .map("vars")
                .iter()
                .map(|item| item.table_or("event", INNER, "never").unwrap().text("event").unwrap().value)
                .collect();
            assert_eq!(events, ["a", "b"]);
        });
        assert_eq!(found, Vec::<String>::new());
    }

    #[test]
    fn one_of_several_keys_is_chosen_exactly_once() {
        let keys = ["name", "count"];
        let (chosen, found) =
            codes("count = 1\nname = \"x\"", |t| t.exactly_one(&keys, "a verb", "").map(|i| i.key().to_owned()));
        assert_eq!((chosen.as_deref(), found.len()), (Some("count"), 1));
        let (chosen, found) = codes("limit = \"1s\"", |t| t.exactly_one(&keys, "a verb", "write one").is_some());
        assert_eq!((chosen, found), (false, vec!["DS0103 write one".to_owned()]));
    }

    #[test]
    fn several_syntax_errors_are_reported_at_once() {
        let ((), found) = codes("name = \nlimit = \"5s\"\ncount = = 3\n", |_| ());
        assert!(found.iter().filter(|code| code.starts_with("DS0100")).count() >= 2, "{found:?}");
    }

    #[test]
    fn sizes_know_both_kinds_of_kilo_and_do_not_overflow() {
        assert_eq!(parse_size("1KiB"), Some(1024));
        assert_eq!(parse_size("1 kB"), Some(1000));
        assert_eq!(parse_size("99999999999GiB"), None);
        assert_eq!(parse_size("MiB"), None);
    }
}
