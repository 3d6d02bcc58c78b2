//! One value of a TOML table, with the key that it stands at: read as a type, or reported.

use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use crate::diagnostic::{self, Diagnostic, Located, Problems, Span};
use crate::size;
use crate::table::{Key, Table};

/// One value being read, with the key that it stands at.
#[derive(Debug, Clone, Copy)]
pub struct Item<'d, 's> {
    key: &'d str,
    key_span: (usize, usize),
    value: &'d Spanned<DeValue<'s>>,
    problems: &'d Problems,
}

impl<'d, 's> Item<'d, 's> {
    /// A value at a key.
    pub(crate) fn new(key: &'d str, key_span: Span, value: &'d Spanned<DeValue<'s>>, problems: &'d Problems) -> Self {
        Self { key, key_span: (key_span.start, key_span.end), value, problems }
    }

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

    /// The value itself.
    pub(crate) fn value(&self) -> &'d Spanned<DeValue<'s>> {
        self.value
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

    /// A number, `true` or `false` as it is written; none of anything else.
    pub fn number_as_text(&self) -> Option<String> {
        match self.value.get_ref() {
            DeValue::Integer(number) => Some(number.to_string()),
            DeValue::Float(number) => Some(number.to_string()),
            DeValue::Boolean(value) => Some(value.to_string()),
            _ => None,
        }
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

    /// A number from 0 to 1.
    pub fn share(&self) -> Option<f64> {
        let share = self.float()?;
        if !(0.0..=1.0).contains(&share.value) {
            // `loss = 2` is short for a table, and its key is nowhere in the file.
            let diagnostic =
                Diagnostic::error(diagnostic::OUT_OF_RANGE, "this share is out of range", share.span, "0 to 1");
            self.report(diagnostic.help("a share is no percentage: 0.1 is one in ten"));
            return None;
        }
        Some(share.value)
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
            && let Some(value) = size::parse(&written)
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
        Some(Table::nested(content, keys, what, self.span(), self.problems))
    }

    /// A table with these keys, or a bare value that stands for a table with only the key `short`.
    pub fn table_or(&self, short: &'static str, keys: &'static [Key], what: &'static str) -> Option<Table<'d, 's>> {
        if self.is_table() {
            return self.table(keys, what);
        }
        Some(Table::short(short, self.value, keys, what, self.problems))
    }

    /// The entries of a table whose keys are names that the scenario chose, in the order of the file.
    pub fn entries(&self) -> Option<Vec<Self>> {
        let DeValue::Table(table) = self.value.get_ref() else { return self.wrong_type("a table") };
        let mut entries: Vec<Self> =
            table.iter().map(|(key, value)| Self::new(key.get_ref(), key.span(), value, self.problems)).collect();
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
