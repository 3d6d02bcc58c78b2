//! Texts of operations: what is typed, executed and waited for, with the placeholders that every operation fills anew.
//!
//! `{value}` `{key}` `{serial}` and `{client.name}` are the operation's own. All others are those of every text, seen from the node that
//! the operation is for; `{target.name}` `{target.addr.PORT}` ... say the same with more words.

use std::fmt;

use crate::diagnostic::{self, Diagnostic, Located, did_you_mean};
use crate::groups::Whose;
use crate::names::Names;
use crate::operation::Datum;
use crate::table::Word;
use crate::template::{PLACEHOLDERS, Place, Setting, Template};

/// The placeholders of operations, with what they stand for.
pub const OPERATION_PLACEHOLDERS: &[Word] = &[
    Word::new(
        "value",
        "In an operation: what it writes. No other operation of the run has it, unless `values` says so.",
    ),
    Word::new("key", "In an operation: the key that it is about, one of `keys`."),
    Word::new("serial", "In an operation: its number within the workload, from 0."),
    Word::new("client.name", "In an operation, and in the program of a client: the client's name."),
    Word::new(
        "client.id",
        "In an operation, and in the program of a client: the client's number within its workload: 1, 2, 3 ...",
    ),
    Word::new(
        "target.addr",
        "In an operation, and in the program of a client: a fact of the node that it is for: {target.name}, {target.ip}, {target.addr.client}, {target.port} ...",
    ),
];

const TARGET: &str = "target.";

/// A text of an operation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wording {
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Of(Own),
    Other(Template),
}

/// What is an operation's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Own {
    Value,
    Key,
    Serial,
    ClientName,
    ClientId,
}

impl Own {
    const ALL: [(&'static str, Self); 5] = [
        ("value", Self::Value),
        ("key", Self::Key),
        ("serial", Self::Serial),
        ("client.name", Self::ClientName),
        ("client.id", Self::ClientId),
    ];

    fn word(self) -> &'static str {
        Self::ALL.iter().find(|(_, own)| *own == self).map_or("", |(word, _)| word)
    }
}

/// What an operation fills its placeholders with.
#[derive(Debug, Clone, Copy)]
pub struct Facts<'a> {
    /// What it writes.
    pub value: Option<&'a Datum>,
    /// The key that it is about.
    pub key: Option<&'a Datum>,
    /// Its number within the workload.
    pub serial: u64,
    /// Its client's name.
    pub client: &'a str,
    /// Its client's number, from 1.
    pub client_id: usize,
}

impl Facts<'_> {
    fn of(&self, own: Own) -> String {
        let shown = |datum: Option<&Datum>| datum.map(ToString::to_string).unwrap_or_default();
        match own {
            Own::Value => shown(self.value),
            Own::Key => shown(self.key),
            Own::Serial => self.serial.to_string(),
            Own::ClientName => self.client.to_owned(),
            Own::ClientId => self.client_id.to_string(),
        }
    }
}

impl Wording {
    /// Reads a text; reports unknown placeholders.
    pub(super) fn parse(text: &Located<&str>, names: &Names<'_>) -> Option<Self> {
        let mut wording = Self::default();
        let mut is_good = true;
        let (mut rest, mut other) = (text.value, String::new());
        while let Some(open) = rest.find('{') {
            other.push_str(&rest[..open]);
            rest = &rest[open..];
            let is_escaped = rest.starts_with("{{");
            let inner = &rest[if is_escaped { 2 } else { 1 }..];
            let word = inner.find('}').map(|close| &inner[..close]);
            let own = word.and_then(|word| Own::ALL.iter().find(|(known, _)| *known == word));
            match (own, word) {
                (Some((word, _)), _) if is_escaped => {
                    wording.push(&mut other, text, names, &mut is_good);
                    wording.pieces.push(Piece::Other(Template::text(format!("{{{word}}}"))));
                    rest = &inner[word.len() + 1..];
                }
                (Some((word, own)), _) => {
                    wording.push(&mut other, text, names, &mut is_good);
                    wording.pieces.push(Piece::Of(*own));
                    rest = &inner[word.len() + 1..];
                }
                (None, Some(word)) if !is_escaped && word.starts_with(TARGET) => {
                    other.push('{');
                    rest = &rest[1 + TARGET.len()..];
                }
                (None, Some(word)) if !is_escaped && is_misspelt(word) => {
                    refuse(word, text, names);
                    is_good = false;
                    rest = &inner[word.len() + 1..];
                }
                _ => {
                    let braces = if is_escaped { 2 } else { 1 };
                    other.push_str(&rest[..braces]);
                    rest = &rest[braces..];
                }
            }
        }
        other.push_str(rest);
        wording.push(&mut other, text, names, &mut is_good);
        is_good.then_some(wording)
    }

    fn push(&mut self, other: &mut String, text: &Located<&str>, names: &Names<'_>, is_good: &mut bool) {
        if other.is_empty() {
            return;
        }
        let at = Located { value: other.as_str(), span: text.span.clone() };
        match Template::parse(&at, Setting::NODE.of(Whose::Anybody), names) {
            Some(template) => self.pieces.push(Piece::Other(template)),
            None => *is_good = false,
        }
        other.clear();
    }

    /// True if it has this placeholder.
    pub(super) fn has(&self, own: Own) -> bool {
        self.pieces.contains(&Piece::Of(own))
    }

    /// True if, in a pattern, every number of an operation stands alone: nothing but an anchor or a character that is no digit is beside it.
    pub(super) fn bounds_serial(&self) -> bool {
        let text = |at: Option<usize>| match self.pieces.get(at?)? {
            Piece::Other(template) => template.plain(),
            Piece::Of(_) => None,
        };
        let serials = self.pieces.iter().enumerate().filter(|(_, piece)| **piece == Piece::Of(Own::Serial));
        serials.into_iter().all(|(at, _)| {
            text(at.checked_sub(1)).is_some_and(ends_apart) && text(at.checked_add(1)).is_some_and(begins_apart)
        })
    }

    /// What "this node" does not have for the text to be complete, for people.
    pub fn lacks(&self, place: &Place<'_>) -> Option<String> {
        self.pieces.iter().find_map(|piece| match piece {
            Piece::Of(_) => None,
            Piece::Other(template) => template.lacks(place),
        })
    }

    /// The text of one operation, for a node.
    pub fn expand(&self, facts: &Facts<'_>, place: &Place<'_>) -> String {
        self.expand_with(facts, place, |text| text)
    }

    /// The same, with the operation's own parts as a pattern has them.
    pub fn expand_pattern(&self, facts: &Facts<'_>, place: &Place<'_>) -> String {
        self.expand_with(facts, place, |text| regex::escape(&text))
    }

    fn expand_with(&self, facts: &Facts<'_>, place: &Place<'_>, own: impl Fn(String) -> String) -> String {
        let piece = |piece: &Piece| match piece {
            Piece::Of(part) => own(facts.of(*part)),
            Piece::Other(template) => template.expand(place),
        };
        self.pieces.iter().map(piece).collect()
    }

    /// The arguments of a command: a list that is an argument by itself becomes as many as it has.
    pub fn arguments(command: &[Self], facts: &Facts<'_>, place: &Place<'_>) -> Vec<String> {
        let arguments = |argument: &Self| match argument.pieces.as_slice() {
            [Piece::Other(template)] => Template::arguments(std::slice::from_ref(template), place),
            _ => vec![argument.expand(facts, place)],
        };
        command.iter().flat_map(arguments).collect()
    }

    /// The text without placeholders, if there are none in it.
    pub fn plain(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [] => Some(""),
            [Piece::Other(template)] => template.plain(),
            _ => None,
        }
    }

    /// True if it is exactly `{node}`: dsbench's own reference node.
    pub fn is_reference_node(&self) -> bool {
        matches!(self.pieces.as_slice(), [Piece::Other(template)] if template.is_reference_node())
    }

    /// The text with the same word for every placeholder: what it is like, whatever they stand for.
    pub(super) fn outline(&self, word: &str) -> String {
        let piece = |piece: &Piece| match piece {
            Piece::Of(_) => word.to_owned(),
            Piece::Other(template) => template.outline(word),
        };
        self.pieces.iter().map(piece).collect()
    }
}

/// True if a pattern ends with what is no digit: `^`, `\b`, or a character that means itself.
fn ends_apart(pattern: &str) -> bool {
    let mut back = pattern.chars().rev();
    let last = back.next();
    // After a backslash a letter is a class, but for `\b`; other characters mean themselves.
    let is_escaped = back.take_while(|before| *before == '\\').count() % 2 == 1;
    match last {
        Some('b') if is_escaped => true,
        Some('^') if !is_escaped => true,
        Some(last) if is_escaped => !last.is_ascii_alphanumeric(),
        Some(last) => means_itself(last),
        None => false,
    }
}

/// True if a pattern begins with what is no digit, and that cannot be left out: `$`, `\b`, or a character that means itself.
fn begins_apart(pattern: &str) -> bool {
    let mut ahead = pattern.chars();
    let is_apart = match ahead.next() {
        Some('\\') => ahead.next().is_some_and(|next| next == 'b' || next == 'z' || !next.is_ascii_alphanumeric()),
        Some('$') => true,
        Some(first) => means_itself(first),
        None => false,
    };
    is_apart && !matches!(ahead.next(), Some('?' | '*' | '{'))
}

fn means_itself(character: char) -> bool {
    !character.is_ascii_digit() && !r"\.+*?()|[]{}^$".contains(character)
}

/// True if one of an operation's own placeholders was probably meant.
fn is_misspelt(word: &str) -> bool {
    let is_known = PLACEHOLDERS.iter().any(|known| known.word == word);
    !is_known && (word.starts_with("client.") || nearest(word).is_some())
}

fn nearest(word: &str) -> Option<&'static str> {
    did_you_mean(word, Own::ALL.iter().map(|(known, _)| *known))
}

fn refuse(word: &str, text: &Located<&str>, names: &Names<'_>) {
    let message = format!("unknown placeholder `{{{}}}`", word.escape_debug());
    let help = match nearest(word) {
        Some(near) => format!("did you mean `{{{near}}}`? `{{{{{word}}}` keeps it as text"),
        None => "an operation has {value}, {key}, {serial}, {client.name} and {client.id}".to_owned(),
    };
    let label = "nearly a placeholder of operations";
    names
        .problems()
        .report(Diagnostic::error(diagnostic::BAD_PLACEHOLDER, message, text.span.clone(), label).help(help));
}

impl fmt::Display for Wording {
    /// As the scenario has it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pieces.iter().try_for_each(|piece| match piece {
            Piece::Of(own) => write!(f, "{{{}}}", own.word()),
            Piece::Other(template) => template.fmt(f),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Problems;
    use crate::observation::MAIN;
    use crate::template::{Addresses, NodeAddress};

    fn read(text: &str) -> Result<String, String> {
        let problems = Problems::new();
        let mut names = Names::new(&problems);
        names.add_node("n1", [MAIN.into()]);
        names.add_port(MAIN);
        let wording = Wording::parse(&Located { value: text, span: 0..text.len() }, &names);
        let at = NodeAddress { id: 1, ip: "ip".into(), ports: [(MAIN.into(), 7)].into(), ..NodeAddress::default() };
        let addresses =
            Addresses { nodes: [("n1".into(), at)].into(), order: vec!["n1".into()], ..Addresses::default() };
        let (value, key) = (Datum::Int(41), Datum::Int(3));
        let facts = Facts { value: Some(&value), key: Some(&key), serial: 9, client: "c.2", client_id: 2 };
        let place = Place { addresses: &addresses, node: Some("n1"), life: 1 };
        let mistakes: Vec<String> = problems.into_sorted().iter().map(|found| found.message.clone()).collect();
        match wording {
            Some(wording) => {
                assert_eq!(mistakes, Vec::<String>::new());
                Ok(format!("{}|{wording}", wording.expand(&facts, &place)))
            }
            None => Err(mistakes.join("; ")),
        }
    }

    #[test]
    fn an_operation_fills_its_own_placeholders_and_those_of_its_node() {
        assert_eq!(read("send m{value} {key}").unwrap(), "send m41 3|send m{value} {key}");
        assert_eq!(
            read("{client.name}/{client.id} #{serial}").unwrap(),
            "c.2/2 #9|{client.name}/{client.id} #{serial}"
        );
        assert_eq!(read("{target.name}={target.addr} {n1.ip}").unwrap(), "n1=ip:7 ip|{name}={addr} {n1.ip}");
        assert_eq!(read("{{value} {\"a\": {value}}").unwrap(), "{value} {\"a\": 41}|{value} {\"a\": {value}}");
        assert_eq!(read(r"~m{value}\b{2}").unwrap(), r"~m41\b{2}|~m{value}\b{2}");
    }

    #[test]
    fn a_misspelt_placeholder_is_a_mistake() {
        for text in ["{valeu}", "{client.nam}", "{serail}"] {
            assert_eq!(read(text), Err(format!("unknown placeholder `{text}`")));
        }
        assert_eq!(read("{target.adr}"), Err("unknown placeholder `{adr}`".to_owned()));
    }
}
