//! Reading `[nemesis]`.

use std::time::Duration;

use super::room::ByTheSteps;
use super::{
    AIM_KEYS, Begin, FaultKind, HEAVIEST, MAX_DOWN_WORDS, MOST_DOWN, MaxDown, Nemesis, NetworkFault, Weighted,
};
use crate::condition::EventPart;
use crate::diagnostic::{self, Diagnostic};
use crate::names::Names;
use crate::observation::ActionVerb;
use crate::scenario::steps::{Delay, Step, parse_delay};
use crate::scenario::stop::Signal;
use crate::source::Sources;
use crate::table::{Item, Table};
use crate::target::{Crowd, Purpose, Target};

/// Process faults that have verbs of their own.
const VERBS: [(&str, ActionVerb); 4] = [
    ("kill", ActionVerb::Kill),
    ("stop", ActionVerb::Stop),
    ("pause", ActionVerb::Pause),
    ("restart", ActionVerb::Restart),
];

/// Faults of the network, by their keys.
const ON_NETWORK: [(&str, NetworkFault); 6] = [
    ("partition", NetworkFault::Partition),
    ("one_way", NetworkFault::OneWay),
    ("slow", NetworkFault::Slow),
    ("lossy", NetworkFault::Lossy),
    ("flaky", NetworkFault::Flaky),
    ("unplug", NetworkFault::Unplug),
];

/// Declares the nemesis, so that steps can refer to it.
pub(in crate::scenario) fn declare(root: &Table<'_, '_>, names: &mut Names<'_>) {
    if root.has("nemesis") {
        names.add_nemesis();
    }
}

/// Reads the nemesis; the outer none means a mistake.
pub(in crate::scenario) fn parse(
    root: &Table<'_, '_>,
    names: &Names<'_>,
    steps: Option<&[Step]>,
    sources: &Sources,
) -> Option<Option<Nemesis>> {
    if !root.has("nemesis") {
        return Some(None);
    }
    let table = root.table("nemesis", "[nemesis]")?;
    let when = table.item("when").map(|item| parse_aim(&item, names));
    let every = match table.item("every") {
        Some(item) => parse_every(&item, when.is_some()),
        None if when.is_some() => Some(Delay { low: Duration::ZERO, high: Duration::ZERO }),
        None => table.required("every", |_, _| None),
    };
    let after = match table.item("after") {
        Some(item) => {
            refuse_without_when(&item, when.is_some());
            parse_delay(&item)
        }
        None => Some(Delay { low: Duration::ZERO, high: Duration::ZERO }),
    };
    let within = table.item("within").and_then(|item| {
        refuse_without_when(&item, when.is_some());
        item.duration()
    });
    let faults =
        table.required("faults", |table, key| parse_faults(&table.table(key, "the faults of [nemesis]")?, names));
    let lasts = match table.item("for") {
        Some(item) => parse_delay(&item).map(Some),
        None => Some(None),
    };
    let targets = parse_targets(&table, names);
    let of = table.item("of").map_or(Some(Target::all()), |item| Target::parse(&item, names, Purpose::Look));
    let max_down = parse_max_down(&table);
    let begin = parse_begin(&table);
    let nemesis = Nemesis {
        line: sources.line(table.span().start),
        stop: table.duration("stop").map(|stop| stop.value),
        duration: table.duration("duration").map(|duration| duration.value),
        within: within.map(|within| within.value),
        heal_last: table.boolean("heal_last").is_none_or(|heal| heal.value),
        when: match when {
            Some(when) => Some(when?),
            None => None,
        },
        every: every?,
        after: after?,
        faults: faults?,
        lasts: lasts?,
        targets: targets?,
        size: of.as_ref().map_or(0, |of| of.members(&names.cluster()).len()),
        of: of?,
        max_down: max_down?,
        begin: begin?,
        is_idle: false,
    };
    let by_steps = steps.map(ByTheSteps::of)?;
    let fits = nemesis.fits_the_steps(&table, by_steps) && nemesis.has_room(&table, by_steps);
    (fits && nemesis.may_act(&table, names)).then_some(Some(nemesis))
}

fn parse_every(item: &Item<'_, '_>, is_aimed: bool) -> Option<Delay> {
    let every = parse_delay(item)?;
    if every.low.is_zero() && !is_aimed {
        let message = "faults would come all at once";
        item.report(
            Diagnostic::error(diagnostic::OUT_OF_RANGE, message, item.span(), "no time between two faults")
                .help("at least a millisecond: \"1ms..500ms\""),
        );
        return None;
    }
    Some(every)
}

fn refuse_without_when(item: &Item<'_, '_>, is_aimed: bool) {
    if is_aimed {
        return;
    }
    let message = format!("`{}` does nothing without `when`", item.key());
    item.report(
        Diagnostic::error(diagnostic::MISPLACED_MODIFIER, message, item.key_span(), "no event is waited for")
            .help("`start` says when the nemesis begins, `every` how often it acts"),
    );
}

fn parse_aim(item: &Item<'_, '_>, names: &Names<'_>) -> Option<EventPart> {
    let table = item.table_or("event", AIM_KEYS, "the aim of [nemesis]")?;
    EventPart::parse_occurrence(&table, names)
}

fn parse_faults(table: &Table<'_, '_>, names: &Names<'_>) -> Option<Vec<Weighted<FaultKind>>> {
    let mut faults = Vec::new();
    for (name, verb) in VERBS {
        if let Some(item) = table.item(name) {
            faults.push(weighted(&item, name.to_owned(), Some(FaultKind::Act(verb))));
        }
    }
    for (name, fault) in ON_NETWORK {
        if let Some(item) = table.item(name) {
            let what = format!("the fault `{name}`");
            let in_lab = names.needs_lab(&what, &item.key_span(), "`pause` silences a node, and works in host mode");
            faults.push(weighted(&item, name.to_owned(), in_lab.map(|()| FaultKind::Network(fault))));
        }
    }
    for item in table.map("signal") {
        let signal = Signal::parse(&item.located_key(), table).map(FaultKind::Signal);
        faults.push(weighted(&item, format!("signal/{}", item.key()), signal));
    }
    let faults: Vec<_> = faults.into_iter().collect::<Option<_>>()?;
    has_weight(&faults, table, "no fault has a weight", "at least one kind: { kill = 1 }").then_some(faults)
}

fn parse_targets(table: &Table<'_, '_>, names: &Names<'_>) -> Option<Vec<Weighted<(Target, Crowd)>>> {
    let Some(item) = table.at_most_one(&["targets", "target"]) else {
        return Some(vec![Weighted { name: "random".to_owned(), weight: 1, what: (Target::all(), Crowd::One) }]);
    };
    if item.key() == "target" {
        let target = Target::parse(&item, names, Purpose::Act)?;
        return Some(vec![Weighted { name: target.to_string(), weight: 1, what: target.crowd() }]);
    }
    let targets: Vec<_> = item
        .entries()?
        .iter()
        .map(|item| {
            let target = Target::parse_text(&item.located_key(), names, Purpose::Act);
            weighted(item, item.key().to_owned(), target.map(Target::crowd))
        })
        .collect();
    let targets: Vec<_> = targets.into_iter().collect::<Option<_>>()?;
    has_weight(&targets, table, "no target has a weight", "at least one: { random = 1 }").then_some(targets)
}

fn weighted<T>(item: &Item<'_, '_>, name: String, what: Option<T>) -> Option<Weighted<T>> {
    let weight = item.int(0..=HEAVIEST)?;
    Some(Weighted { name, weight: u32::try_from(weight.value).unwrap_or(0), what: what? })
}

fn has_weight<T>(entries: &[Weighted<T>], table: &Table<'_, '_>, message: &str, help: &str) -> bool {
    let has = entries.iter().any(|entry| entry.weight > 0);
    if !has {
        table.report(Diagnostic::error(diagnostic::EMPTY, message, table.span(), "nothing to draw from").help(help));
    }
    has
}

fn parse_max_down(table: &Table<'_, '_>) -> Option<MaxDown> {
    let Some(item) = table.item("max_down") else { return Some(MaxDown::Minority) };
    if item.is_text() {
        return item.word(MAX_DOWN_WORDS).map(|_| MaxDown::Minority);
    }
    let number = item.int(1..=MOST_DOWN)?;
    Some(MaxDown::Number(usize::try_from(number.value).unwrap_or(usize::MAX)))
}

fn parse_begin(table: &Table<'_, '_>) -> Option<Begin> {
    let Some(item) = table.item("start") else { return Some(Begin::At(Duration::ZERO)) };
    if item.is_text() && item.text()?.value == "manual" {
        return Some(Begin::ByStep);
    }
    item.duration().map(|start| Begin::At(start.value))
}

#[cfg(test)]
mod tests {
    use crate::diagnostic::Diagnostic;
    use crate::scenario::{Begin, MaxDown, Nemesis, Scenario};

    /// Reads a nemesis for three nodes beside these steps.
    fn read(nemesis: &str, steps: &str) -> Result<Nemesis, Vec<Diagnostic>> {
        let text = format!(
            "schema = 1\nname = 'x'\n[nodes]\ncount = 3\nname = 'n{{id}}'\ncommand = ['true']\n\
             [events]\nleads = {{ log = 'leads (?<term>.*)', fields = {{ term = 'int' }} }}\n[roles]\nleader = 'leads'\n\
             [[invariants]]\nnever = 'leads'\n[nemesis]\n{nemesis}\n{steps}"
        );
        Scenario::parse(&text, &[]).map(|scenario| scenario.nemesis.expect("it has a nemesis"))
    }

    fn codes(nemesis: &str, steps: &str) -> String {
        let mistakes = read(nemesis, steps).expect_err(nemesis);
        mistakes.iter().map(|mistake| mistake.code.to_string()).collect::<Vec<_>>().join(" ")
    }

    const LEAST: &str = "every = '1s'\nfaults = { restart = 1 }\nduration = '9s'\n";

    #[test]
    fn what_is_not_said_is_harmless() {
        let nemesis = read(LEAST, "").unwrap();
        assert_eq!((nemesis.max_down, nemesis.begin), (MaxDown::Minority, Begin::At(std::time::Duration::ZERO)));
        assert!(nemesis.heal_last && nemesis.lasts.is_none() && nemesis.when.is_none());
        assert_eq!(nemesis.targets[0].name, "random");
    }

    #[test]
    fn every_mistake_is_told_at_once() {
        let wrong = "evry = '1s'\nfaults = { kil = 1, pause = 'often', signal = { KILL = 1 } }\nmax_down = 'most'\nstart = '1 parsec'\n\
            targets = { leeder = 1, n9 = 1 }\nwithin = '1s'\n";
        assert_eq!(codes(wrong, ""), "DS0101 DS0101 DS0110 DS0114 DS0114 DS0111 DS0120 DS0120 DS0133");
    }

    #[test]
    fn what_cannot_be_meant_is_refused() {
        let with = |more: &str| codes(&format!("{LEAST}{more}"), "");
        assert_eq!(with("after = '1s'"), "DS0133");
        assert_eq!(with("when = { event = 'leads', at_least = 2 }"), "DS0101");
        assert_eq!(with("when = ['leads']"), "DS0110");
        assert_eq!(with("target = 'leader'\ntargets = { leader = 1 }"), "DS0104");
        assert_eq!(with("targets = { leader = 0 }"), "DS0115");
        assert_eq!(with("max_down = 0"), "DS0113");
        assert_eq!(with("of = 'random'"), "DS0128");
        assert_eq!(codes("every = '0s..1s'\nfaults = { restart = 1 }\nduration = '9s'", ""), "DS0113");
        assert_eq!(codes("every = '1s'\nfaults = { restart = 0 }\nduration = '9s'", ""), "DS0115");
        assert_eq!(codes("faults = { restart = 1 }\nduration = '9s'", ""), "DS0102");
    }

    #[test]
    fn a_time_without_room_for_a_fault_is_refused() {
        let steps = "[[steps]]\nat = '3s'\nmark = 'x'";
        let every = |rest: &str| format!("every = '1s..2s'\nfaults = {{ restart = 1 }}\n{rest}");
        assert!(read(&every(""), steps).is_ok(), "it stops when the steps are done");
        assert_eq!(codes(&every(""), ""), "DS0230");
        assert_eq!(codes(&every("duration = '999ms'"), ""), "DS0230");
        assert_eq!(codes(&every("start = '5s'\nstop = '5500ms'"), ""), "DS0230");
        let manual = every("start = 'manual'");
        assert_eq!(codes(&manual, steps), "DS0231");
        assert!(read(&manual, "[[steps]]\nstart = 'nemesis'").is_ok());
        assert_eq!(codes(&every("duration = '5s'"), "[[steps]]\nstart = 'nemesis'"), "DS0231");
        assert_eq!(codes(&manual, "[[steps]]\nstart = 'nemesis'\n[[steps]]\nstop = 'nemesis'\nfor = '1s'"), "DS0231");
        assert_eq!(codes(LEAST, "[[steps]]\nkill = 'nemesis'"), "DS0120");
    }
}
