//! A scenario as TOML: each of its files parsed, and what it extends merged in.
//!
//! What is merged how, from the file that is extended to the one that extends it:
//!
//! * tables key by key, at any depth;
//! * the lists of tables at the top ([[steps]], [[invariants]], [[cases]] ...) by `name`: a table with a name that is there already is merged
//!   with it where that one stands, all others follow in their order;
//! * everything else is replaced.
//!
//! A key keeps the place in the order that the extended file gave it.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::extends;
use crate::diagnostic::{Problems, Span};
use crate::source::{SourceFile, Sources};
use crate::table;

/// The document that the files of a scenario are together.
#[derive(Debug, Clone)]
pub(super) struct Document<'s> {
    pub(super) sources: &'s Sources,
    pub(super) root: Spanned<DeTable<'s>>,
}

impl<'s> Document<'s> {
    /// Parses every file; what could be read is read.
    pub(super) fn parse(sources: &'s Sources, problems: &Problems) -> Self {
        let mut merged = DeTable::new();
        for (index, file) in sources.files().iter().enumerate().rev() {
            let document = parse_file(file, problems);
            extends::refuse_unread(sources, index, &document, problems);
            merge_tables(&mut merged, document, true);
        }
        // What the scenario lacks is missing at the beginning of its own file.
        let start = sources.files().first().map_or(0, SourceFile::start);
        Self { sources, root: Spanned::new(start..start, merged) }
    }
}

/// Parses one file, with the places that it has among all of them.
fn parse_file<'s>(file: &'s SourceFile, problems: &Problems) -> DeTable<'s> {
    let own = Problems::new();
    let document = table::parse_document(&file.text, &own).into_inner();
    for mut diagnostic in own.into_sorted() {
        diagnostic.at.0 = shifted(&diagnostic.at.0, file.start());
        problems.report(diagnostic);
    }
    if file.start() == 0 { document } else { shift_table(document, file.start()) }
}

fn shifted(span: &Span, by: usize) -> Span {
    span.start + by..span.end + by
}

fn shift_table(table: DeTable<'_>, by: usize) -> DeTable<'_> {
    let entry = |(key, value): (Spanned<_>, _)| {
        let span = shifted(&key.span(), by);
        (Spanned::new(span, key.into_inner()), shift(value, by))
    };
    table.into_iter().map(entry).collect()
}

fn shift(value: Spanned<DeValue<'_>>, by: usize) -> Spanned<DeValue<'_>> {
    let span = shifted(&value.span(), by);
    let value = match value.into_inner() {
        DeValue::Array(elements) => DeValue::Array(elements.into_iter().map(|element| shift(element, by)).collect()),
        DeValue::Table(table) => DeValue::Table(shift_table(table, by)),
        value => value,
    };
    Spanned::new(span, value)
}

fn merge_tables<'s>(base: &mut DeTable<'s>, over: DeTable<'s>, is_top: bool) {
    for (key, value) in over {
        match base.get_mut(key.get_ref().as_ref()) {
            None => drop(base.insert(key, value)),
            Some(known) => merge(known, value, is_top),
        }
    }
}

fn merge<'s>(base: &mut Spanned<DeValue<'s>>, over: Spanned<DeValue<'s>>, is_top: bool) {
    let span = over.span();
    match (base.get_mut(), over.into_inner()) {
        (DeValue::Table(known), DeValue::Table(over)) => {
            merge_tables(known, over, false);
            // A mistake of the whole is shown where it was changed last.
            let table = std::mem::take(known);
            *base = Spanned::new(span, DeValue::Table(table));
        }
        (DeValue::Array(known), DeValue::Array(over)) if is_top && are_tables(known) && are_tables(&over) => {
            for element in over {
                let named = name_of(&element).and_then(|name| known.iter().position(|k| name_of(k) == Some(name)));
                match named {
                    Some(position) => {
                        let same = known.get_mut(position).expect("it has just been found");
                        merge(same, element, false);
                    }
                    None => known.push(element),
                }
            }
        }
        (_, over) => *base = Spanned::new(span, over),
    }
}

fn are_tables(elements: &[Spanned<DeValue<'_>>]) -> bool {
    !elements.is_empty() && elements.iter().all(|element| element.get_ref().is_table())
}

/// The `name` of an element of a list of tables.
pub(super) fn name_of<'v>(element: &'v Spanned<DeValue<'_>>) -> Option<&'v str> {
    element.get_ref().as_table()?.get("name")?.get_ref().as_str()
}
