//! A regular expression of a scenario: known to be one when it is read, compiled when something is looked for with it.
//!
//! Compiling costs a hundred times as much as reading. `dsbench check` of a long scenario compiles nothing; a run compiles what it looks
//! for, and the next run of the same file finds it compiled.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use regex::{Regex, RegexBuilder};
use regex_syntax::hir::{Class, Hir, HirKind};

/// A compiled expression may take this much memory; a longer one is a mistake like `(\w{200}){200}`.
const BYTES_MAX: usize = 4 << 20;

/// A regular expression.
#[derive(Clone)]
pub struct Expression(Arc<Inner>);

struct Inner {
    text: Box<str>,
    /// The names of its groups, by number; that of the whole match and those without a name are none.
    groups: Vec<Option<Box<str>>>,
    compiled: OnceLock<Regex>,
}

/// Why a text is no regular expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotOne {
    /// It does not follow the syntax.
    Syntax(String),
    /// It would take more than this many bytes.
    TooBig(usize),
}

thread_local! {
    /// Expressions that were read before: a scenario of a thousand runs has the same ones a thousand times. It only remembers; what is
    /// read anew is the same.
    static KNOWN: RefCell<BTreeMap<Box<str>, Expression>> = const { RefCell::new(BTreeMap::new()) };
}

/// More expressions than this are not remembered.
const KNOWN_MOST: usize = 4096;

impl Expression {
    /// Reads one.
    ///
    /// # Errors
    ///
    /// Why it is none.
    pub fn new(text: &str) -> Result<Self, NotOne> {
        if let Some(known) = KNOWN.with_borrow(|known| known.get(text).cloned()) {
            return Ok(known);
        }
        let hir = regex_syntax::parse(text).map_err(|error| NotOne::Syntax(last_line(&error.to_string())))?;
        let this = if units(&hir).is_some_and(|units| units <= SMALL) {
            Self(Arc::new(Inner { text: text.into(), groups: groups(&hir), compiled: OnceLock::new() }))
        } else {
            // It may be too big: only compiling it tells.
            compile(text, BYTES_MAX)?.into()
        };
        KNOWN.with_borrow_mut(|known| {
            if known.len() < KNOWN_MOST {
                known.insert(text.into(), this.clone());
            }
        });
        Ok(this)
    }

    /// As it is written.
    pub fn as_str(&self) -> &str {
        &self.0.text
    }

    /// The names of its groups, by number; that of the whole match and those without a name are none.
    pub fn groups(&self) -> impl Iterator<Item = Option<&str>> {
        self.0.groups.iter().map(Option::as_deref)
    }

    /// Compiled, now if not before.
    pub fn regex(&self) -> &Regex {
        // It has been read, and found to be small or compiled already: with all the memory that there is, it compiles.
        self.0.compiled.get_or_init(|| compile(&self.0.text, usize::MAX).expect("it has been read before"))
    }
}

impl From<Regex> for Expression {
    fn from(regex: Regex) -> Self {
        let groups = regex.capture_names().map(|name| name.map(Into::into)).collect();
        Self(Arc::new(Inner { text: regex.as_str().into(), groups, compiled: OnceLock::from(regex) }))
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/", self.0.text)
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.text)
    }
}

fn compile(text: &str, bytes_max: usize) -> Result<Regex, NotOne> {
    RegexBuilder::new(text).size_limit(bytes_max).build().map_err(|error| match error {
        regex::Error::CompiledTooBig(limit) => NotOne::TooBig(limit),
        error => NotOne::Syntax(last_line(&error.to_string())),
    })
}

/// What is wrong, without the picture of the place.
fn last_line(error: &str) -> String {
    error.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned()
}

fn groups(hir: &Hir) -> Vec<Option<Box<str>>> {
    fn collect(hir: &Hir, groups: &mut BTreeMap<u32, Option<Box<str>>>) {
        match hir.kind() {
            HirKind::Capture(capture) => {
                groups.insert(capture.index, capture.name.clone());
                collect(&capture.sub, groups);
            }
            HirKind::Repetition(repetition) => collect(&repetition.sub, groups),
            HirKind::Concat(parts) | HirKind::Alternation(parts) => parts.iter().for_each(|part| collect(part, groups)),
            HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) | HirKind::Look(_) => {}
        }
    }
    let mut found = BTreeMap::from([(0, None)]);
    collect(hir, &mut found);
    found.into_values().collect()
}

/// Expressions of at most so many units certainly take less memory than the most: a unit, generously, takes a hundred bytes.
const SMALL: usize = BYTES_MAX / 100;

/// How much there is to compile, at most; none if it cannot be counted.
fn units(hir: &Hir) -> Option<usize> {
    let sum = |parts: &[Hir]| parts.iter().try_fold(1_usize, |sum, part| sum.checked_add(units(part)?)?.checked_add(1));
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Some(1),
        HirKind::Literal(literal) => Some(1 + literal.0.len()),
        // A range of characters is several ranges of bytes.
        HirKind::Class(Class::Unicode(class)) => Some(1 + class.ranges().len() * 4),
        HirKind::Class(Class::Bytes(class)) => Some(1 + class.ranges().len()),
        HirKind::Capture(capture) => units(&capture.sub)?.checked_add(2),
        HirKind::Repetition(repetition) => {
            let times = repetition.max.unwrap_or(repetition.min).max(1);
            units(&repetition.sub)?.checked_add(2)?.checked_mul(usize::try_from(times).ok()?.checked_add(1)?)
        }
        HirKind::Concat(parts) | HirKind::Alternation(parts) => sum(parts),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn groups_are_known_without_compiling() {
        let expression = Expression::new(r"(?<term>\d+) (x|(?<peer>\w+))? (?:y)(?P<z>)").unwrap();
        assert!(expression.0.compiled.get().is_none(), "nothing is looked for yet");
        let groups: Vec<_> = expression.groups().collect();
        let compiled: Vec<_> = expression.regex().capture_names().collect();
        assert_eq!(groups, compiled);
    }

    #[test]
    fn what_is_none_says_why() {
        let why = |text| Expression::new(text).unwrap_err();
        assert!(matches!(why("(a"), NotOne::Syntax(why) if why == "unclosed group"));
        assert!(matches!(why(r"(\w{200}){200}"), NotOne::TooBig(_)));
        assert!(matches!(why(r"\w{99999999}"), NotOne::TooBig(_)));
        assert!(matches!(why(r"(?=x)"), NotOne::Syntax(why) if why.contains("look-around")));
    }

    #[test]
    fn an_expression_is_compiled_once_for_all_who_read_it() {
        let first = Expression::new("once x+").unwrap();
        assert!(first.regex().is_match("once xx"));
        assert!(Expression::new("once x+").unwrap().0.compiled.get().is_some());
    }

    fn expression() -> impl Strategy<Value = String> {
        let leaf = prop::sample::select(vec![
            "a", "xyz", r"\w", r"\d", r"\s", ".", r"\pL", "[a-z]", "(?i)k", "^", "$", r"\b", "[^x]",
        ]);
        leaf.prop_map(str::to_owned).prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 1..4).prop_map(|parts| parts.concat()),
                prop::collection::vec(inner.clone(), 1..4).prop_map(|parts| format!("(?:{})", parts.join("|"))),
                inner.clone().prop_map(|part| format!("(?:{part})*")),
                inner.clone().prop_map(|part| format!("({part})+")),
                (inner, 0..30_u32, 0..20_u32)
                    .prop_map(|(part, min, more)| format!("(?:{part}){{{min},{}}}", min + more)),
            ]
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn what_is_counted_as_small_is_small(text in expression()) {
            if let Ok(hir) = regex_syntax::parse(&text)
                && units(&hir).is_some_and(|units| units <= SMALL)
            {
                prop_assert!(compile(&text, BYTES_MAX).is_ok(), "{text}");
            }
        }

        #[test]
        fn reading_and_compiling_agree_on_what_is_one(text in prop_oneof![expression(), "[a-z(){}|*+?\\[\\]\\\\^$.0-9<>=!:-]{0,12}"]) {
            let read = Expression::new(&text);
            let compiled = compile(&text, BYTES_MAX);
            prop_assert_eq!(read.is_ok(), compiled.is_ok(), "{}: {:?} {:?}", text, read, compiled);
            if let Ok(read) = read {
                prop_assert_eq!(read.groups().map(|g| g.map(str::to_owned)).collect::<Vec<_>>(), read.regex().capture_names().map(|g| g.map(str::to_owned)).collect::<Vec<_>>());
            }
        }
    }
}
