//! `repeat = 3, steps = [ {..}, {..} ]`: a group of steps that is run several times. It is written out when it is read, so a plan shows
//! every round, and each round has random choices of its own.

use std::fmt;

use crate::diagnostic::{self, Diagnostic, Problems};
use crate::table::{Item, Key, Kind, Table};

/// Which round of a repeated group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Round {
    /// The round, from 1.
    pub number: usize,
    /// How many there are.
    pub of: usize,
    /// The step's position within the group, from 0.
    pub position: usize,
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "round {} of {}", self.number, self.of)
    }
}

/// The most rounds of a group.
const MOST_ROUNDS: i64 = 1000;
/// The most steps of a stage, all rounds written out: a plan is something to read.
const MOST_STEPS: usize = 10_000;

/// The keys of a group.
pub(super) const KEYS: &[Key] = &[
    Key::new("name", Kind::Text, "The group's name, by which overrides refer to it."),
    Key::required(
        "repeat",
        Kind::IntIn(1, MOST_ROUNDS),
        "How often the group's `steps` are run, one round after the other.",
    ),
    Key::required("steps", Kind::Tables(super::KEYS), "The steps of a group that is repeated."),
];

/// A group: how often, and what.
pub(super) struct Group<'d, 's> {
    pub(super) rounds: usize,
    pub(super) steps: Vec<Table<'d, 's>>,
}

/// True if the element is a group, not a step.
pub(super) fn is_group(element: &Item<'_, '_>) -> bool {
    element.has_key("repeat") || element.has_key("steps")
}

/// Reads a group. `before` is how many steps the stage has before it.
pub(super) fn parse<'d, 's>(table: &Table<'d, 's>, before: usize) -> Option<Group<'d, 's>> {
    table.nonempty_text("name");
    let rounds = table.required("repeat", |table, key| table.int(key, 1..=MOST_ROUNDS));
    let steps = table.required("steps", |table, key| {
        let steps = table.tables(key, "a step");
        let item = table.item(key)?;
        if item.is_array() && steps.is_empty() {
            let message = "the group repeats nothing";
            table.report(Diagnostic::error(diagnostic::EMPTY, message, item.span(), "no steps"));
        }
        (!steps.is_empty()).then_some(steps)
    });
    let (rounds, steps) = (rounds?, steps?);
    let number = usize::try_from(rounds.value).unwrap_or(1);
    if number.saturating_mul(steps.len()).saturating_add(before) > MOST_STEPS {
        let message = format!("{number} rounds make more than {MOST_STEPS} steps");
        table.report(Diagnostic::error(diagnostic::OUT_OF_RANGE, message, rounds.span, "fewer rounds"));
        return None;
    }
    Some(Group { rounds: number, steps })
}

/// The steps that a table stands for, and how often, before it is read: for declaring their names.
pub(super) fn members<'d, 's>(table: &Item<'d, 's>) -> (usize, Vec<Item<'d, 's>>) {
    let entries = table.entries_quietly();
    let entry = |name: &str| entries.iter().find(|entry| entry.key() == name);
    let Some(steps) = entry("steps").filter(|steps| steps.is_array()) else { return (1, vec![*table]) };
    let silent = Problems::new();
    let rounds = entry("repeat").and_then(|repeat| repeat.silenced(&silent).int(1..=MOST_ROUNDS));
    let rounds = rounds.and_then(|rounds| usize::try_from(rounds.value).ok()).unwrap_or(1);
    let steps = steps.array().unwrap_or_default();
    // A mistake that is reported later must not make ten million names.
    let rounds = if rounds.saturating_mul(steps.len()) > MOST_STEPS { 1 } else { rounds };
    (rounds, steps)
}

#[cfg(test)]
mod tests {
    use crate::scenario::Scenario;

    fn read(steps: &str) -> Result<Scenario, Vec<String>> {
        let text = format!(
            "schema = 1\nname = \"x\"\n[nodes]\ncount = 2\ncommand = [\"a\"]\n[events]\nup = {{ log = 'up' }}\n\
             [[invariants]]\nsometimes = {{ event = \"up\" }}\n{steps}"
        );
        Scenario::parse(&text, &[]).map_err(|found| found.iter().map(|d| d.code.to_string()).collect())
    }

    #[test]
    fn every_round_is_written_out_and_refers_to_itself() {
        let scenario = read(
            "[[steps]]\nmark = \"before\"\n[[steps]]\nname = \"storm\"\nrepeat = 2\nsteps = [\n\
             { name = \"hit\", kill = \"peer1\", for = \"1s\" },\n{ expect = { event = \"up\", since = \"hit\" } } ]\n\
             [[steps]]\nexpect = { event = \"up\", since = \"hit\" }\n",
        )
        .unwrap();
        let told: Vec<String> =
            scenario.steps.iter().map(|step| format!("{}: {}", step.label(), step.words())).collect();
        assert_eq!(told.len(), 6);
        assert_eq!(told[3], "step 4: kill peer1, restart after 1s");
        let round = |index: usize| scenario.steps[index].place.round.map(|round| round.to_string());
        assert_eq!((round(0), round(1), round(4)), (None, Some("round 1 of 2".into()), Some("round 2 of 2".into())));
        let since = |index: usize| format!("{:?}", scenario.steps[index].verb);
        assert!(since(2).contains("step 2 (hit)") && since(4).contains("step 4 (hit)"), "{}", since(4));
        assert!(since(5).contains("step 4 (hit)"), "after the group, its last round is meant: {}", since(5));
    }

    #[test]
    fn what_a_group_cannot_mean_is_refused() {
        let codes = |steps: &str| read(steps).map(|_| ()).unwrap_err();
        assert_eq!(codes("[[steps]]\nrepeat = 2\n"), ["DS0102"]);
        assert_eq!(codes("[[steps]]\nsteps = [{ mark = \"x\" }]\n"), ["DS0102"]);
        assert_eq!(codes("[[steps]]\nrepeat = 2\nsteps = []\n"), ["DS0115"]);
        assert_eq!(codes("[[steps]]\nrepeat = 0\nsteps = [{ mark = \"x\" }]\n"), ["DS0113"]);
        assert_eq!(codes("[[steps]]\nrepeat = 2\nafter = \"1s\"\nsteps = [{ mark = \"x\" }]\n"), ["DS0101"]);
        assert_eq!(codes("[[steps]]\nrepeat = 2\nsteps = [{ mark = \"x\", at = \"1s\" }]\n"), ["DS0220"]);
        assert_eq!(codes("[[steps]]\nrepeat = 2\nsteps = [{ repeat = 2, steps = [] }]\n"), ["DS0101", "DS0101"]);
        let three = "{ mark = \"x\" }, ".repeat(11);
        assert_eq!(codes(&format!("[[steps]]\nrepeat = 1000\nsteps = [{three}]\n")), ["DS0113"]);
    }

    #[test]
    fn a_mistake_in_a_group_is_reported_once() {
        let found = read("[[steps]]\nrepeat = 9\nsteps = [{ kill = \"pear1\" }]\n").unwrap_err();
        assert_eq!(found, ["DS0120"]);
    }
}
