//! Reading one TOML table: typed keys with spans, every mistake reported, nothing silently ignored.
//!
//! A table is read against its declared [`Key`]s. The same declarations feed the reference and the completion of editors.

use std::time::Duration;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::diagnostic::{Code, Diagnostic, Located, Problems, Span};

/// A key that a table may have.
#[derive(Debug, Clone, Copy)]
pub struct Key {
    /// As written in the file.
    pub name: &'static str,
    /// What stands there.
    pub kind: Kind,
    /// One sentence for the reference and the editor.
    pub doc: &'static str,
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
    /// A list of texts, or one text.
    Texts,
    /// Whom to act on or to look at (see targets).
    Target,
    /// The name of an event.
    Event,
    /// A table of its own.
    Table,
    /// A list of tables.
    Tables,
    /// More than one of these; the documentation of the key says which.
    Any,
}

/// A table being read.
#[derive(Debug, Clone, Copy)]
pub struct Table<'d, 's> {
    table: &'d DeTable<'s>,
    /// Where the table stands.
    pub(crate) problems: &'d Problems,
    what: &'d str,
}
