//! What is wrong with a scenario: where, why, and what to write instead. Rendering is the shell's job.

use std::cell::RefCell;
use std::ops::Range;

/// A byte range in the scenario's text.
pub type Span = Range<usize>;

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub span: Span,
}

impl<T> Located<T> {
    /// The same place, another value.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Located<U> {
        Located { value: f(self.value), span: self.span }
    }
}

/// A stable code: `DS0101`. What each means stands in [`CODES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Code(pub u16);

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DS{:04}", self.0)
    }
}

/// One mistake (or warning) in a scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Its stable code.
    pub code: Code,
    /// False for a warning.
    pub is_error: bool,
    /// One line, lower case, without a full stop.
    pub message: String,
    /// The place, with a few words beside the underline.
    pub at: (Span, String),
    /// Other places that explain it, each with a few words.
    pub also: Vec<(Span, String)>,
    /// What to do about it.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error at a place.
    pub fn error(code: Code, message: impl Into<String>, span: Span, label: impl Into<String>) -> Self {
        Self { code, is_error: true, message: message.into(), at: (span, label.into()), also: Vec::new(), help: None }
    }

    /// With advice.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// With another place that explains it.
    pub fn also(mut self, span: Span, label: impl Into<String>) -> Self {
        self.also.push((span, label.into()));
        self
    }
}

/// Collects every mistake of a file, so that all are reported at once.
#[derive(Debug, Default)]
pub struct Problems(RefCell<Vec<Diagnostic>>);

impl Problems {
    /// Nothing wrong yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one.
    pub fn report(&self, diagnostic: Diagnostic) {
        self.0.borrow_mut().push(diagnostic);
    }

    /// True if any of them is an error.
    pub fn has_errors(&self) -> bool {
        self.0.borrow().iter().any(|d| d.is_error)
    }

    /// All of them, in the order of the text.
    pub fn into_sorted(self) -> Vec<Diagnostic> {
        let mut all = self.0.into_inner();
        all.sort_by_key(|d| (d.at.0.start, d.code));
        all
    }
}
