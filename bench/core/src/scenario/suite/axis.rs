//! `[matrix]`: values that a scenario is run with, each in turn.

use toml::Spanned;
use toml::de::DeValue;

use crate::diagnostic::{self, Diagnostic};
use crate::scenario::overrides::{Override, Place, segments, written};
use crate::table::{Item, Table};

/// A value that varies: a path, and what stands there in turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Axis {
    /// `nodes.count`
    pub path: String,
    /// Each as an override; never empty, no two the same.
    pub(super) values: Vec<Override>,
}

impl Axis {
    /// Reads `PATH=V1,V2`, as on a command line: TOML values or bare words, with commas between them.
    pub fn parse(text: &str) -> Option<Self> {
        let Override { path, value, .. } = Override::parse(text)?;
        let mut values: Vec<Override> = Vec::new();
        for value in split(&value) {
            let this = Override::new(&*path, value.trim(), None);
            if this.value.is_empty() {
                return None;
            }
            if !values.contains(&this) {
                values.push(this);
            }
        }
        Some(Self { path, values })
    }

    pub(super) fn is_of(&self, path: &str) -> bool {
        segments(&self.path) == segments(path)
    }

    /// Its values as labels show them: short, and each another.
    pub(super) fn shown(&self, index: usize) -> String {
        let short = |value: &Override| cut(&value.value);
        let this = short(&self.values[index]);
        let is_alone = self.values.iter().filter(|value| short(value) == this).count() == 1;
        let number = if is_alone { String::new() } else { format!("#{}", index + 1) };
        format!("{}={this}{number}", self.path)
    }
}

/// The longest value that a label shows whole.
const LONGEST: usize = 24;

/// A value as a label shows it.
pub(super) fn cut(value: &str) -> String {
    if value.chars().count() <= LONGEST {
        return value.to_owned();
    }
    value.chars().take(LONGEST - 1).chain(['…']).collect()
}

/// The parts between the commas that stand in no quotes and no brackets.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut depth, mut quote) = (Vec::new(), 0, 0_i32, None);
    let mut is_escaped = false;
    for (at, letter) in text.char_indices() {
        match (quote, letter) {
            _ if is_escaped => is_escaped = false,
            (Some('"'), '\\') => is_escaped = true,
            (Some(open), letter) if open == letter => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(letter),
            (None, '[' | '{') => depth += 1,
            (None, ']' | '}') => depth -= 1,
            (None, ',') if depth <= 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

/// Reads the matrix; none if something is wrong with it, which is reported.
pub(super) fn read(root: &Table<'_, '_>) -> Option<Vec<Axis>> {
    let mut axes: Vec<Axis> = Vec::new();
    let mut is_complete = true;
    let Some(item) = root.item("matrix") else { return Some(axes) };
    for (path, item) in leaves(&item, Item::is_array) {
        match read_axis(path, &item) {
            Some(axis) => axes.push(axis),
            None => is_complete = false,
        }
    }
    (is_complete && item.is_table()).then_some(axes)
}

/// Every value below a table with the path to it, in the order of the file. A table is descended into, whether its keys are written
/// with dots or not; one at a key that is a path itself (`"vars.x" = { .. }`) is a value.
pub(super) fn leaves<'d, 's>(
    table: &Item<'d, 's>,
    is_leaf: impl Fn(&Item<'d, 's>) -> bool + Copy,
) -> Vec<(String, Item<'d, 's>)> {
    let mut found = Vec::new();
    for entry in table.entries().unwrap_or_default() {
        if !entry.is_table() || is_leaf(&entry) || entry.key().contains('.') {
            found.push((entry.key().to_owned(), entry));
        } else {
            let inner = leaves(&entry, is_leaf).into_iter();
            found.extend(inner.map(|(path, item)| (format!("{}.{path}", entry.key()), item)));
        }
    }
    found
}

fn read_axis(path: String, item: &Item<'_, '_>) -> Option<Axis> {
    if !item.is_array() {
        return item.wrong_type("a list of values, one for each run");
    }
    let elements = item.array()?;
    if elements.is_empty() {
        let message = format!("`{}` has no values, so nothing would be run", path.escape_debug());
        item.report(Diagnostic::error(diagnostic::EMPTY, message, item.span(), "an empty list"));
        return None;
    }
    let mut values: Vec<Override> = Vec::new();
    let mut is_complete = true;
    for element in elements {
        let place = Place { path: item.key_span(), value: element.span() };
        let this = Override::new(&*path, element.written(), Some(place));
        if let Some(index) = values.iter().position(|known| known.value == this.value) {
            let first = item.array().unwrap_or_default()[index].span();
            let message = format!("`{}` is tried with `{}` twice", path.escape_debug(), this.value);
            item.report(
                Diagnostic::error(diagnostic::VALUE_TWICE, message, element.span(), "the same value")
                    .also(first, "the first one")
                    .help("`--repeat N` runs everything N times"),
            );
            is_complete = false;
        }
        values.push(this);
    }
    is_complete.then_some(Axis { path, values })
}

impl Item<'_, '_> {
    /// The value as it is written on a command line.
    pub(super) fn written(&self) -> String {
        let value: &Spanned<DeValue<'_>> = self.value();
        written(value.get_ref())
    }
}

/// How many combinations there are.
pub(super) fn combinations(axes: &[&Axis]) -> u64 {
    axes.iter().fold(1, |product, axis| product.saturating_mul(axis.values.len() as u64))
}

/// For each axis, which value it has in a combination; the last axis varies fastest.
pub(super) fn combination(axes: &[&Axis], mut index: u64) -> Vec<usize> {
    let mut chosen: Vec<usize> = axes
        .iter()
        .rev()
        .map(|axis| {
            let values = axis.values.len() as u64;
            let value = index % values;
            index /= values;
            usize::try_from(value).expect("an index of a list")
        })
        .collect();
    chosen.reverse();
    chosen
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn axis(path: &str, values: usize) -> Axis {
        let values = (0..values).map(|value| Override::new(path, value.to_string(), None)).collect();
        Axis { path: path.into(), values }
    }

    /// By the definition: every value of the first, and for each all of the rest.
    fn product(axes: &[&Axis]) -> Vec<Vec<usize>> {
        let Some((first, rest)) = axes.split_first() else { return vec![Vec::new()] };
        let rest = product(rest);
        (0..first.values.len()).flat_map(|value| rest.iter().map(move |tail| [&[value], &tail[..]].concat())).collect()
    }

    proptest! {
        #[test]
        fn every_combination_comes_once_and_in_the_order_of_the_file(sizes in prop::collection::vec(1..5_usize, 0..5)) {
            let axes: Vec<Axis> = sizes.iter().enumerate().map(|(index, size)| axis(&format!("a{index}"), *size)).collect();
            let axes: Vec<&Axis> = axes.iter().collect();
            let all: Vec<_> = (0..combinations(&axes)).map(|index| combination(&axes, index)).collect();
            prop_assert_eq!(all, product(&axes));
        }
    }

    #[test]
    fn values_of_the_command_line_are_separated_by_commas_outside_of_quotes_and_brackets() {
        let values = |text| Axis::parse(text).map(|axis| axis.values.into_iter().map(|v| v.value).collect::<Vec<_>>());
        let expected = |all: &[&str]| Some(all.iter().map(|v| (*v).to_owned()).collect::<Vec<_>>());
        assert_eq!(values("nodes.count=3, 5,3"), expected(&["3", "5"]));
        assert_eq!(values("steps.crash.after=200ms,1s"), expected(&["200ms", "1s"]));
        assert_eq!(
            values(r#"x=["a","b"],["c"],'q,r',"s\",t""#),
            expected(&[r#"["a","b"]"#, r#"["c"]"#, "'q,r'", r#""s\",t""#])
        );
        assert_eq!([values("x="), values("x=1,,2"), values("x")], [None, None, None]);
    }

    #[test]
    fn an_absurd_number_is_counted_without_overflow() {
        let axes: Vec<Axis> = (0..30).map(|index| axis(&format!("a{index}"), 1_000)).collect();
        assert_eq!(combinations(&axes.iter().collect::<Vec<_>>()), u64::MAX);
    }

    #[test]
    fn long_values_are_cut_and_stay_different() {
        let long = |tail| Override::new("vars.x", format!("{}{tail}", "y".repeat(40)), None);
        let axis =
            Axis { path: "vars.x".into(), values: vec![long("1"), long("2"), Override::new("vars.x", "z", None)] };
        let shown: Vec<_> = (0..3).map(|index| axis.shown(index)).collect();
        assert_eq!(shown[2], "vars.x=z");
        assert!(shown[0] != shown[1] && shown[0].chars().count() < 40, "{shown:?}");
    }
}
