//! `where`: which occurrences of an event are meant, by the values of its fields.

use std::collections::BTreeSet;
use std::fmt;

use crate::expression::Expression;

use crate::cluster::ClusterState;
use crate::diagnostic::{self, Diagnostic, Located};
use crate::names::{EventField, FieldKind, Names};
use crate::observation::{Event, Name, Value};
use crate::pattern;
use crate::table::Item;
use crate::target::{Purpose, Target};

/// All of these must hold. The empty filter admits every occurrence.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    tests: Vec<(Name, Test)>,
}

/// A test of one field's value.
#[derive(Debug, Clone)]
enum Test {
    Int(Comparison, i64),
    Float(Comparison, f64),
    TextIs(String),
    TextMatches(Expression),
    /// A node field: the node is one of these. A list of nodes: it is exactly these.
    Nodes(Target),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Comparison {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Comparison {
    /// Longer signs first, so that `>=` is not read as `>`.
    const SIGNS: [(&'static str, Self); 7] = [
        (">=", Self::GreaterOrEqual),
        ("<=", Self::LessOrEqual),
        ("!=", Self::Unequal),
        ("==", Self::Equal),
        (">", Self::Greater),
        ("<", Self::Less),
        ("=", Self::Equal),
    ];

    /// Splits `">= 2"`; no sign means equal.
    fn split(text: &str) -> (Self, &str) {
        let text = text.trim();
        let found =
            Self::SIGNS.iter().find_map(|(sign, this)| text.strip_prefix(sign).map(|rest| (*this, rest.trim())));
        found.unwrap_or((Self::Equal, text))
    }

    fn sign(self) -> &'static str {
        match self {
            Self::Equal => "=",
            Self::Unequal => "!=",
            Self::Less => "<",
            Self::LessOrEqual => "<=",
            Self::Greater => ">",
            Self::GreaterOrEqual => ">=",
        }
    }

    fn holds<T: PartialOrd>(self, left: T, right: T) -> bool {
        match self {
            Self::Equal => left == right,
            Self::Unequal => left != right,
            Self::Less => left < right,
            Self::LessOrEqual => left <= right,
            Self::Greater => left > right,
            Self::GreaterOrEqual => left >= right,
        }
    }
}

impl Filter {
    /// Reads a `where` table against the fields of an event.
    pub fn parse(item: &Item<'_, '_>, event: &Name, names: &Names<'_>) -> Option<Self> {
        let mut tests = Vec::new();
        let mut is_complete = true;
        for entry in item.entries()? {
            let test = names.field(event, &entry.located_key()).and_then(|field| Test::parse(&entry, &field, names));
            match test {
                Some(test) => tests.push((entry.key().into(), test)),
                None => is_complete = false,
            }
        }
        is_complete.then_some(Self { tests })
    }

    /// True if nothing is asked for.
    pub fn is_empty(&self) -> bool {
        self.tests.is_empty()
    }

    /// True if every test holds for this occurrence, at this state of the cluster. A field that is absent fails its test.
    pub fn admits(&self, event: &Event, state: &ClusterState) -> bool {
        self.tests.iter().all(|(field, test)| event.field(field).is_some_and(|value| test.holds(value, state)))
    }
}

impl fmt::Display for Filter {
    /// ` where term >= 2, leader = peer1`; nothing if nothing is asked for.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (field, test)) in self.tests.iter().enumerate() {
            write!(f, "{} {field} {test}", if index == 0 { " where" } else { "," })?;
        }
        Ok(())
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Int(comparison, wanted) => write!(f, "{} {wanted}", comparison.sign()),
            Self::Float(comparison, wanted) => write!(f, "{} {wanted}", comparison.sign()),
            Self::TextIs(wanted) => write!(f, "= {wanted:?}"),
            Self::TextMatches(pattern) => write!(f, "~ {pattern}"),
            Self::Nodes(target) => write!(f, "= {target}"),
        }
    }
}

impl Test {
    fn parse(entry: &Item<'_, '_>, field: &EventField, names: &Names<'_>) -> Option<Self> {
        match field.kind {
            FieldKind::Int if !entry.is_text() => {
                Some(Self::Int(Comparison::Equal, entry.int(i64::MIN..=i64::MAX)?.value))
            }
            FieldKind::Int => {
                let text = entry.text()?;
                let (comparison, number) = Comparison::split(text.value);
                number.parse().ok().map(|number| Self::Int(comparison, number)).or_else(|| not_a_number(entry, &text))
            }
            FieldKind::Float if !entry.is_text() => Some(Self::Float(Comparison::Equal, entry.float()?.value)),
            FieldKind::Float => {
                let text = entry.text()?;
                let (comparison, number) = Comparison::split(text.value);
                number.parse().ok().map(|number| Self::Float(comparison, number)).or_else(|| not_a_number(entry, &text))
            }
            FieldKind::Text => {
                let text = entry.text()?;
                match text.value.strip_prefix('~') {
                    Some(pattern) => {
                        let at = Located { value: pattern, span: text.span };
                        pattern::compile(&at, names.problems()).map(Self::TextMatches)
                    }
                    None => Some(Self::TextIs(text.value.to_owned())),
                }
            }
            FieldKind::Node | FieldKind::Nodes => Target::parse(entry, names, Purpose::Look).map(Self::Nodes),
        }
    }

    fn holds(&self, value: &Value, state: &ClusterState) -> bool {
        match (self, value) {
            (Self::Int(comparison, wanted), Value::Int(value)) => comparison.holds(value, wanted),
            (Self::Float(comparison, wanted), Value::Float(value)) => comparison.holds(value, wanted),
            (Self::TextIs(wanted), Value::Text(value)) => wanted.as_str() == &**value,
            (Self::TextMatches(pattern), Value::Text(value)) => pattern.regex().is_match(value),
            (Self::Nodes(target), Value::Node(node)) => target.matches(node, state),
            (Self::Nodes(target), Value::Nodes(nodes)) => {
                let named: BTreeSet<&Name> = nodes.iter().collect();
                named == target.members(state).into_iter().collect()
            }
            _ => false,
        }
    }
}

fn not_a_number<T>(entry: &Item<'_, '_>, text: &Located<&str>) -> Option<T> {
    let message = format!("`{}` compares with a number", entry.key());
    entry.report(
        Diagnostic::error(diagnostic::WRONG_TYPE, message, text.span.clone(), "not a number")
            .help("for example 3, \">= 2\" or \"!= 0\""),
    );
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Problems;
    use crate::observation::{Life, MAIN};
    use crate::table::{Key, Kind, Table, parse_document};

    const KEYS: &[Key] = &[Key::new("where", Kind::Where, "The filter.")];

    /// Reads a filter of an event with one field of each type.
    fn parse(filter: &str) -> (Option<Filter>, Vec<String>) {
        let text = format!("where = {filter}");
        let problems = Problems::new();
        let document = parse_document(&text, &problems);
        let mut names = Names::new(&problems);
        for node in ["n1", "n2", "n3"] {
            names.add_node(node, [Name::from(MAIN)]);
        }
        let fields = [
            ("term", FieldKind::Int),
            ("load", FieldKind::Float),
            ("text", FieldKind::Text),
            ("of", FieldKind::Node),
            ("view", FieldKind::Nodes),
        ];
        names.add_event("e", fields.map(|(name, kind)| (Name::from(name), kind)));
        let table = Table::root(&document, KEYS, "a test", &problems);
        let filter = Filter::parse(&table.item("where").unwrap(), &"e".into(), &names);
        (filter, problems.into_sorted().into_iter().map(|d| d.code.to_string()).collect())
    }

    fn admits(filter: &str, field: &str, value: Value) -> bool {
        let (filter, mistakes) = parse(filter);
        assert!(mistakes.is_empty(), "{mistakes:?}");
        let nodes: [Name; 3] = ["n1".into(), "n2".into(), "n3".into()];
        let main = [Name::from(MAIN)];
        let state = ClusterState::new(nodes.iter().map(|node| (node, &main[..])), &[]);
        let of = Life { node: "n1".into(), process: MAIN.into(), life: 1 };
        let event = Event::new("e", of, vec![(field.into(), value)]);
        filter.unwrap().admits(&event, &state)
    }

    #[test]
    fn a_field_is_compared_by_its_type() {
        assert!(admits("{ term = 3 }", "term", Value::Int(3)));
        assert!(admits("{ term = \">= 2\" }", "term", Value::Int(2)));
        assert!(!admits("{ term = \"> 2\" }", "term", Value::Int(2)));
        assert!(admits("{ term = \"!= 2\" }", "term", Value::Int(3)));
        assert!(admits("{ load = \"< 0.5\" }", "load", Value::Float(0.25)));
        assert!(admits("{ text = \"a b\" }", "text", Value::Text("a b".into())));
        assert!(admits("{ text = '~^m\\d+$' }", "text", Value::Text("m12".into())));
        assert!(admits("{ of = [\"all\", \"!n2\"] }", "of", Value::Node("n1".into())));
        assert!(!admits("{ of = \"!n1\" }", "of", Value::Node("n1".into())));
    }

    #[test]
    fn a_list_of_nodes_must_be_exactly_the_target() {
        let view = |nodes: &[&str]| Value::Nodes(nodes.iter().map(|node| Name::from(*node)).collect());
        assert!(admits("{ view = \"!n3\" }", "view", view(&["n2", "n1"])));
        assert!(!admits("{ view = \"!n3\" }", "view", view(&["n1"])));
        assert!(!admits("{ view = \"!n3\" }", "view", view(&["n1", "n2", "n3"])));
    }

    #[test]
    fn a_value_that_was_not_readable_as_its_type_is_not_admitted() {
        assert!(!admits("{ term = \"!= 2\" }", "term", Value::Text("x".into())));
        assert!(!admits("{ term = 2 }", "load", Value::Float(2.0)));
    }

    #[test]
    fn every_wrong_test_is_reported() {
        let (filter, mistakes) = parse("{ term = \"many\", load = \">\", text = '~(', of = \"n9\", speed = 1 }");
        assert!(filter.is_none());
        assert_eq!(mistakes, ["DS0110", "DS0110", "DS0130", "DS0120", "DS0122"]);
    }
}
