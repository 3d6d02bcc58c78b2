//! Mistakes of many combinations, each told once, with the combinations that have it.

use std::collections::BTreeMap;

use crate::diagnostic::{self, Code, Diagnostic};

/// The mistakes of all combinations.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    /// By what is wrong, and where.
    found: BTreeMap<(Code, usize, usize), Vec<Found>>,
    combinations: usize,
}

#[derive(Debug)]
struct Found {
    diagnostic: Diagnostic,
    /// In how many combinations it was found, the last of them, and the first in words.
    count: usize,
    last: usize,
    first: String,
}

impl Gathered {
    /// Adds the mistakes of the next combination.
    pub(super) fn add(&mut self, combination: &str, diagnostics: Vec<Diagnostic>) {
        let this = self.combinations;
        self.combinations += 1;
        for diagnostic in diagnostics {
            let span = &diagnostic.at.0;
            let at_this_place = self.found.entry((diagnostic.code, span.start, span.end)).or_default();
            // The same words first; then the same mistake in other words, as when they name another value. What has no place in the
            // file is told apart by its words alone.
            let is_free = |found: &Found| found.last != this;
            let known = at_this_place.iter().position(|found| is_free(found) && found.diagnostic == diagnostic);
            let is_alike = |found: &Found| !span.is_empty() || found.diagnostic.message == diagnostic.message;
            let known = known.or_else(|| at_this_place.iter().position(|found| is_free(found) && is_alike(found)));
            match known.map(|index| &mut at_this_place[index]) {
                Some(found) => (found.count, found.last) = (found.count + 1, this),
                None => at_this_place.push(Found { diagnostic, count: 1, last: this, first: combination.to_owned() }),
            }
        }
    }

    /// All of them in the order of the text; one that not every combination has says which have it.
    pub(super) fn into_diagnostics(self) -> Vec<Diagnostic> {
        let all = self.combinations;
        let told = |found: Found| {
            let Found { mut diagnostic, count, first, .. } = found;
            let which = match count {
                count if count == all => return diagnostic,
                1 => format!("with {first}"),
                count => format!("in {count} of {all} runs, the first with {first}"),
            };
            diagnostic.help = Some(match diagnostic.help {
                Some(help) => format!("{help} ({which})"),
                None => which,
            });
            diagnostic
        };
        let mut all: Vec<Diagnostic> = self.found.into_values().flatten().map(told).collect();
        diagnostic::sort(&mut all);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::{UNKNOWN_KEY, UNKNOWN_TARGET};

    fn at(start: usize, message: &str) -> Diagnostic {
        Diagnostic::error(UNKNOWN_KEY, message, start..start + 1, "")
    }

    #[test]
    fn a_mistake_of_a_thousand_combinations_is_told_once() {
        let mut gathered = Gathered::default();
        for value in 0..1_000 {
            let mut found = vec![at(5, "always"), at(7, &format!("nothing has {value}"))];
            if value % 2 == 1 {
                found.push(at(1, "sometimes"));
            }
            if value == 500 {
                found.push(Diagnostic::error(UNKNOWN_TARGET, "once", 7..8, "").help("look"));
            }
            gathered.add(&format!("count={value}"), found);
        }
        let told: Vec<_> = gathered.into_diagnostics().into_iter().map(|d| (d.message, d.help)).collect();
        let help = |text: &str| Some(text.to_owned());
        assert_eq!(
            told,
            [
                ("sometimes".to_owned(), help("in 500 of 1000 runs, the first with count=1")),
                ("always".to_owned(), None),
                ("nothing has 0".to_owned(), None),
                ("once".to_owned(), help("look (with count=500)")),
            ]
        );
    }

    #[test]
    fn two_mistakes_of_one_kind_at_one_place_stay_two() {
        let mut gathered = Gathered::default();
        for combination in ["a", "b"] {
            gathered.add(combination, vec![at(3, "first"), at(3, "second")]);
        }
        assert_eq!(gathered.into_diagnostics().len(), 2);
    }
}
