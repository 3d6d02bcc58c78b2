//! Reading one TOML table: typed keys with spans, every mistake reported, nothing silently ignored.
//!
//! A table is read against its declared [`Key`]s. The same declarations feed the reference and the completion of editors. A getter that
//! finds a value of the wrong type reports it and returns `None`; read every key before giving up, so that all mistakes are found at once.

use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::diagnostic::{self, Diagnostic, Located, Problems, Span};
pub use crate::item::Item;

/// A key that a table may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// As written in the file.
    pub name: &'static str,
    /// What stands there.
    pub kind: Kind,
    /// One sentence for the reference and the editor.
    pub doc: &'static str,
    /// What it has to do with the other keys of its table.
    pub need: Need,
}

/// What a key has to do with the others of its table, for editors and the reference. The code that reads the table decides; a test
/// changes every good file in every way that these rules speak of, and compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// It may be left out.
    Optional,
    /// The table is of no use without it. (A modifier of a step: its verbs are not.)
    Required,
    /// Exactly one of the keys of this choice is given.
    OneOf(&'static str),
    /// It may stand in the place of the one key of this choice, or beside it.
    OrElse(&'static str),
    /// At most one of the keys of this choice is given.
    AtMostOneOf(&'static str),
    /// At least one of the keys of this choice is given.
    SomeOf(&'static str),
    /// It means something only beside one of these.
    Beside(&'static [&'static str]),
}

impl Key {
    /// A key that may be left out, in one line.
    pub const fn new(name: &'static str, kind: Kind, doc: &'static str) -> Self {
        Self { name, kind, doc, need: Need::Optional }
    }

    /// A key without which its table is of no use.
    pub const fn required(name: &'static str, kind: Kind, doc: &'static str) -> Self {
        Self::new(name, kind, doc).with(Need::Required)
    }

    /// The same key with this need.
    pub const fn with(self, need: Need) -> Self {
        Self { need, ..self }
    }

    /// The same keys, each of which may be left out. `N` is their number.
    pub const fn optional<const N: usize>(keys: &[Self]) -> [Self; N] {
        let mut optional = Self::join(keys, &[]);
        let mut index = 0;
        while index < N {
            if matches!(optional[index].need, Need::Required) {
                optional[index].need = Need::Optional;
            }
            index += 1;
        }
        optional
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
    /// A whole number from the first to the second.
    IntIn(i64, i64),
    /// A number.
    Float,
    /// A number from 0 to 1: how much of something.
    Share,
    /// `true` or `false`.
    Bool,
    /// `"5s"`, `"300ms"`.
    Duration,
    /// A duration, or a range of which the seed takes one: `"0ms..50ms"`.
    Delay,
    /// `"10MiB"`.
    Size,
    /// A list of texts, or one text.
    Texts,
    /// A program and its arguments: a list of texts.
    Command,
    /// One of these words.
    OneOf(&'static [&'static str]),
    /// A text that matches this regular expression.
    Pattern(&'static str),
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
    /// A table with these keys, or a bare value that stands for the key named first.
    TableOr(&'static str, &'static [Key]),
    /// A list of tables with these keys.
    Tables(&'static [Key]),
    /// A list, each element of which is this.
    List(&'static Self),
    /// A table whose keys are names that the scenario chooses, each with this.
    Map(&'static Self),
    /// A table with these keys, and with names that the scenario chooses, each with this.
    MapWith(&'static [Key], &'static Self),
    /// One of several of these.
    Either(&'static [Self]),
    /// Whatever the documentation of the key says.
    Any,
    /// Belongs to the language, but this version does not act on it: using it is refused.
    Later,
    /// Belongs to another table; the documentation of the key says to which. Using it here is refused.
    Elsewhere,
}

impl Kind {
    /// True if the key may not be used.
    pub fn is_refused(self) -> bool {
        matches!(self, Self::Later | Self::Elsewhere)
    }
}

/// A word of the language that stands where a value stands, for the reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Word {
    /// As it is written.
    pub word: &'static str,
    /// What it means, in a sentence or two.
    pub doc: &'static str,
}

impl Word {
    /// A word, in one line.
    pub const fn new(word: &'static str, doc: &'static str) -> Self {
        Self { word, doc }
    }

    /// The words without what they mean. `N` is their number.
    pub const fn only<const N: usize>(words: &[Self]) -> [&'static str; N] {
        let mut only = [""; N];
        let mut index = 0;
        while index < N {
            only[index] = words[index].word;
            index += 1;
        }
        only
    }
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
        Self::nested(document.get_ref(), keys, what, start..start, problems)
    }

    /// A table within a document.
    pub(crate) fn nested(
        content: &'d DeTable<'s>,
        keys: &'static [Key],
        what: &'static str,
        span: Span,
        problems: &'d Problems,
    ) -> Self {
        let content = Content::Table(content);
        let table = Self { content, keys, what, span: (span.start, span.end), problems };
        table.refuse_unknown_keys();
        table
    }

    /// A bare value that stands for a table with only the key `short`.
    pub(crate) fn short(
        short: &'static str,
        value: &'d Spanned<DeValue<'s>>,
        keys: &'static [Key],
        what: &'static str,
        problems: &'d Problems,
    ) -> Self {
        let span = value.span();
        Self { content: Content::Short(short, value), keys, what, span: (span.start, span.end), problems }
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
            Content::Table(table) => {
                let (name, value) = table.get_key_value(key)?;
                Some(Item::new(name.get_ref(), name.span(), value, self.problems))
            }
            Content::Short(name, value) => (name == key).then(|| Item::new(name, value.span(), value, self.problems)),
        }
    }

    /// A key that must be there, read by any of the getters: `table.required("event", Table::text)`.
    pub fn required<T>(&self, key: &'static str, read: impl FnOnce(&Self, &'static str) -> Option<T>) -> Option<T> {
        if !self.has(key) && self.has_misspelt(key) {
            return None; // told with what was probably meant
        }
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
        debug_assert!(
            self.kind(key).is_none_or(|kind| kind == Kind::Int || kind == Kind::IntIn(*range.start(), *range.end())),
            "the range of `{key}` is another one where the key is declared"
        );
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

    /// A table whose keys are declared with the key ([`Kind::Table`]), or the bare value that may stand for it ([`Kind::TableOr`]).
    pub fn table(&self, key: &'static str, what: &'static str) -> Option<Self> {
        let keys = self.nested_keys(key);
        match self.kind(key) {
            Some(Kind::TableOr(short, _)) => self.item(key)?.table_or(short, keys, what),
            _ => self.item(key)?.table(keys, what),
        }
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
        present.sort_by_key(|item| item.key_span().start);
        present
    }

    fn refuse_several(&self, present: &[Item<'d, 's>]) {
        let Some((first, others)) = present.split_first() else { return };
        for other in others {
            let message = format!("`{}` and `{}` in {}", first.key(), other.key(), self.what);
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
            Some(Kind::Table(keys) | Kind::TableOr(_, keys) | Kind::Tables(keys)) => keys,
            kind => {
                debug_assert!(false, "`{key}` of {} is declared as {kind:?}, not as a table", self.what);
                &[]
            }
        }
    }

    /// True if an unknown key was probably meant to be this one.
    fn has_misspelt(&self, wanted: &str) -> bool {
        let Content::Table(table) = self.content else { return false };
        let unknown = table.keys().map(|key| key.get_ref().as_ref()).filter(|key| self.kind(key).is_none());
        let known = || self.keys.iter().filter(|k| !k.kind.is_refused()).map(|k| k.name);
        unknown.into_iter().any(|key| diagnostic::did_you_mean(key, known()) == Some(wanted))
    }

    fn has_refused_key(&self) -> bool {
        let Content::Table(table) = self.content else { return false };
        table.keys().any(|key| self.kind(key.get_ref()).is_none_or(Kind::is_refused))
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
                Some(Kind::Elsewhere) => {
                    let message = format!("`{name}` is not said in {}", self.what);
                    let doc = self.keys.iter().find(|k| k.name == name).map_or("", |k| k.doc);
                    let code = diagnostic::MISPLACED_KEY;
                    self.report(Diagnostic::error(code, message, key.span(), "belongs elsewhere").help(doc));
                    continue;
                }
                Some(_) => continue,
                None => {}
            }
            let message = format!("unknown key `{name}` in {}", self.what);
            let known = self.keys.iter().filter(|k| !k.kind.is_refused()).map(|k| k.name);
            let help = diagnostic::suggestion(name, "known keys", known);
            self.report(Diagnostic::error(diagnostic::UNKNOWN_KEY, message, key.span(), "unknown key").help(help));
        }
    }
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
}
