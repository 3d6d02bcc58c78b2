//! Reading `[workload]` and `[workloads.NAME]`.

use std::time::Duration;

use super::operations::{self, Common};
use super::{
    ALONE, GoesTo, KEYS, MOST, MOST_CLIENTS, MOST_PER_SECOND, Op, PHASE_KEYS, Pace, Phase, RATE_WORDS, Values, Workload,
};
use crate::diagnostic::{self, Diagnostic, Problems};
use crate::names::Names;
use crate::observation::Name;
use crate::scenario::nemesis::Begin;
use crate::scenario::nodes::{is_reserved, refuse_unsafe};
use crate::scenario::steps::{Step, Verb, WorkloadVerb};
use crate::source::Sources;
use crate::table::{Item, Table};
use crate::target::{Purpose, Target};

/// Operations per second, if the scenario does not say.
const RATE: u32 = 10;

/// How long an operation may take, if the scenario does not say.
const WITHIN: Duration = Duration::from_secs(5);

/// Every workload, each as its name and what stands there.
fn all<'d, 's>(root: &Table<'d, 's>) -> Vec<(String, Item<'d, 's>)> {
    let alone = root.item("workload").map(|item| (ALONE.to_owned(), item));
    let named = root.item("workloads").map(|item| item.entries_quietly()).unwrap_or_default();
    alone.into_iter().chain(named.into_iter().map(|item| (item.key().to_owned(), item))).collect()
}

fn within<'d, 's>(table: &Item<'d, 's>, key: &str) -> Option<Item<'d, 's>> {
    table.entries_quietly().into_iter().find(|entry| entry.key() == key)
}

/// Declares workloads, operations and clients, so that steps, conditions and checks can refer to them. What they cannot be called is told
/// here.
pub(in crate::scenario) fn declare(root: &Table<'_, '_>, names: &mut Names<'_>) {
    for (name, item) in all(root) {
        refuse_name(&name, &item, names);
        names.add_workload(name.as_str());
        for key in ["ops", "calls"] {
            for op in within(&item, key).map(|ops| ops.entries_quietly()).unwrap_or_default() {
                refuse_unsafe(op.key(), &op.key_span(), "the name of an operation", op.problems());
                if op.key().contains('.') {
                    let message = format!("no operation can be called `{}`", op.key());
                    let label = "WORKLOAD.OP is written with the dot";
                    op.report(Diagnostic::error(diagnostic::RESERVED_NAME, message, op.key_span(), label));
                }
                names.add_operation(name.as_str(), op.key());
            }
        }
        let clients = client_names(&name, &item);
        if let Some(taken) =
            clients.iter().enumerate().find(|(index, client)| is_taken(client, &clients[..*index], names))
        {
            refuse_client(taken.1, &name, &item);
        }
        if let Some(first) = clients.first() {
            refuse_unsafe(first, &item.key_span(), "a client's name", item.problems());
        }
        let is_on_network = runs_programs(&item);
        clients.into_iter().for_each(|client| names.add_caller(client, is_on_network));
    }
}

/// The names of a workload's clients, as far as they can be told from it.
fn client_names(workload: &str, item: &Item<'_, '_>) -> Vec<Name> {
    let quiet = Problems::new();
    let count = within(item, "clients").and_then(|count| count.silenced(&quiet).int(1..=MOST_CLIENTS).map(|n| n.value));
    let pattern =
        within(item, "name").filter(Item::is_text).and_then(|name| name.text().map(|name| name.value.to_owned()));
    let pattern =
        pattern.unwrap_or_else(|| if workload == ALONE { "client{id}".into() } else { format!("{workload}{{id}}") });
    (1..=count.unwrap_or(1)).map(|id| pattern.replace("{id}", &id.to_string()).into()).collect()
}

/// True if its clients are machines of the network.
fn runs_programs(item: &Item<'_, '_>) -> bool {
    let ops = ["ops", "calls"].into_iter().filter_map(|key| within(item, key)).flat_map(|ops| ops.entries_quietly());
    item.has_key("client") || ops.into_iter().any(|op| op.has_key("exec"))
}

fn is_taken(client: &Name, before: &[Name], names: &Names<'_>) -> bool {
    before.contains(client)
        || names.is_client(client)
        || names.is_caller(client)
        || names.is_node(client)
        || names.group(client).is_some()
        || names.is_role(client)
        || is_reserved(client)
        || &**client == "dsbench"
}

fn refuse_client(client: &str, workload: &str, item: &Item<'_, '_>) {
    let message = format!("`{client}` is a client of `{workload}`, and something else");
    let at = within(item, "name").unwrap_or(*item);
    item.report(
        Diagnostic::error(diagnostic::DUPLICATE_NAME, message, at.key_span(), "its clients need names of their own")
            .help("name = \"user{id}\""),
    );
}

fn refuse_name(name: &str, item: &Item<'_, '_>, names: &Names<'_>) {
    refuse_unsafe(name, &item.key_span(), "a workload's name", item.problems());
    let is_taken = names.is_node(name) || names.group(name).is_some() || names.is_role(name) || names.is_workload(name);
    if is_taken || is_reserved(name) || name.contains('.') {
        let message = format!("no workload can be called `{}`", name.escape_debug());
        let label = if is_taken { "something else is called so" } else { "a word of the language" };
        item.report(Diagnostic::error(diagnostic::RESERVED_NAME, message, item.key_span(), label));
    }
}

/// Reads the workloads; none means a mistake.
pub(in crate::scenario) fn parse(
    root: &Table<'_, '_>,
    names: &Names<'_>,
    steps: Option<&[Step]>,
    sources: &Sources,
) -> Option<Vec<Workload>> {
    if let Some(item) = root.item("workloads") {
        item.entries()?;
    }
    let items = all(root);
    let workloads: Vec<_> = items.iter().map(|(name, item)| parse_one(name, item, names, steps, sources)).collect();
    let workloads: Vec<_> = workloads.into_iter().collect::<Option<_>>()?;
    let is_good =
        workloads.iter().zip(&items).all(|(workload, (_, item))| numbers_are_its_own(workload, &workloads, item));
    is_good.then_some(workloads)
}

/// Every workload numbers its operations from 0: an event that only tells the number is the acknowledgement of one workload, if any.
fn numbers_are_its_own(workload: &Workload, all: &[Workload], item: &Item<'_, '_>) -> bool {
    let ops = |of: &Workload| of.ops.iter().chain(&of.calls).cloned().collect::<Vec<_>>();
    let is_unique = workload.values == Values::Unique;
    let own = ops(workload);
    let by_number: Vec<&Name> = own.iter().filter_map(|op| op.acknowledged_by_number(is_unique)).collect();
    let others = || all.iter().filter(|other| other.name != workload.name);
    let taken = others().find_map(|other| {
        let theirs = ops(other);
        theirs
            .iter()
            .filter_map(Op::acknowledged_by)
            .find(|event| by_number.contains(event))
            .cloned()
            .map(|event| (other, event))
    });
    let Some((other, event)) = taken else { return true };
    let message = format!(
        "`{event}` acknowledges operations of `{}` by their {{serial}}, and those of `{}` too",
        workload.name, other.name
    );
    let label = "every workload counts from 0";
    let help = "acknowledge them by their {value}, which no other operation writes, or by an event of their own";
    item.report(Diagnostic::error(diagnostic::AMBIGUOUS_ACK, message, item.key_span(), label).help(help));
    false
}

fn parse_one(
    name: &str,
    item: &Item<'_, '_>,
    names: &Names<'_>,
    steps: Option<&[Step]>,
    sources: &Sources,
) -> Option<Workload> {
    let table = item.table(KEYS, "a workload")?;
    table.int("clients", 1..=MOST_CLIENTS);
    table.nonempty_text("name");
    let pace = parse_pace(&table);
    let duration = table.duration("duration").map(|duration| duration.value);
    let count = table.int("count", 1..=MOST).map(|count| count.value.unsigned_abs());
    let begin = match table.item("start") {
        Some(item) if item.is_text() && item.text()?.value == "manual" => Some(Begin::ByStep),
        Some(item) => item.duration().map(|start| Begin::At(start.value)),
        None => Some(Begin::At(Duration::ZERO)),
    };
    let target = parse_target(&table, names);
    let keys = table.int("keys", 1..=MOST).map_or(1, |keys| keys.value.unsigned_abs());
    let values = table.int("values", 1..=MOST).map_or(Values::Unique, |n| Values::UpTo(n.value.unsigned_abs()));
    let within = table.duration("within").map_or(WITHIN, |within| within.value);
    let common = Common {
        is_called: false,
        by_program: table.has("client"),
        has_keys: table.has("keys"),
        is_unique: values == Values::Unique,
    };
    let program = table.item("client").map(|item| operations::parse_command(&item, names));
    let ops = parse_ops(&table, "ops", common, names);
    let calls = parse_ops(&table, "calls", Common { is_called: true, ..common }, names);
    let workload = Workload {
        name: name.into(),
        line: sources.line(table.span().start),
        clients: client_names(name, item),
        pace: pace?,
        count,
        duration,
        begin: begin?,
        target: target?,
        keys,
        values,
        within,
        ops: ops?,
        calls: calls?,
        program: match program {
            Some(program) => Some(program?),
            None => None,
        },
    };
    (workload.has_operations(&table) && workload.fits_the_steps(&table, steps?)).then_some(workload)
}

fn parse_pace(table: &Table<'_, '_>) -> Option<Pace> {
    match table.at_most_one(&["rate", "phases"]) {
        None => Some(Pace::Phases(vec![Phase { lasts: None, rate: RATE }])),
        Some(item) if item.key() == "phases" => parse_phases(table, &item),
        Some(item) if item.is_text() => item.word(RATE_WORDS).map(|_| Pace::AsAnswersCome),
        Some(item) => {
            let rate = item.int(1..=MOST_PER_SECOND)?;
            Some(Pace::Phases(vec![Phase { lasts: None, rate: u32::try_from(rate.value).unwrap_or(RATE) }]))
        }
    }
}

fn parse_phases(table: &Table<'_, '_>, item: &Item<'_, '_>) -> Option<Pace> {
    let tables: Vec<_> = item.array()?.iter().map(|phase| phase.table(PHASE_KEYS, "a phase")).collect();
    let mut phases = Vec::new();
    for (index, phase) in tables.iter().enumerate() {
        let phase = phase.as_ref()?;
        let lasts = phase.duration("for").map(|lasts| lasts.value);
        let rate = phase.required("rate", |phase, key| phase.int(key, 0..=MOST_PER_SECOND));
        if !phase.has("for") && index + 1 < tables.len() {
            let message = "the phases after this one never come";
            let label = "it has no end";
            table.report(
                Diagnostic::error(diagnostic::WORKLOAD_TIME, message, phase.span(), label)
                    .help("say how long it is: for = \"5s\""),
            );
            return None;
        }
        phases.push(Phase { lasts, rate: u32::try_from(rate?.value).unwrap_or(0) });
    }
    if phases.iter().all(|phase| phase.rate == 0) {
        let message = "no operation comes in any of these phases";
        item.report(Diagnostic::error(diagnostic::EMPTY, message, item.span(), "nothing happens"));
        return None;
    }
    Some(Pace::Phases(phases))
}

fn parse_target(table: &Table<'_, '_>, names: &Names<'_>) -> Option<GoesTo> {
    let each = |of: &Target| {
        let cluster = names.cluster();
        GoesTo::Each(of.members(&cluster).into_iter().cloned().collect())
    };
    let Some(item) = table.at_most_one(&["target", "of"]) else { return Some(GoesTo::Target(Target::all())) };
    if item.key() == "of" {
        let of = Target::parse(&item, names, Purpose::Look)?;
        let nodes = each(&of);
        if nodes == GoesTo::Each(Vec::new()) && !names.nodes_are_unknown() {
            let message = format!("`{of}` is nobody before anything has happened");
            let help = "nodes or a group; `target` may be a role or a word";
            item.report(Diagnostic::error(diagnostic::EMPTY, message, item.span(), "nobody").help(help));
            return None;
        }
        return Some(nodes);
    }
    if item.is_text() && item.text()?.value == "each" {
        return Some(each(&Target::all()));
    }
    Target::parse(&item, names, Purpose::Act).map(GoesTo::Target)
}

fn parse_ops(table: &Table<'_, '_>, key: &'static str, common: Common, names: &Names<'_>) -> Option<Vec<Op>> {
    let Some(item) = table.item(key) else { return Some(Vec::new()) };
    let ops: Vec<_> = item.entries()?.iter().map(|op| operations::parse(op, common, names)).collect();
    ops.into_iter().collect()
}

impl Workload {
    fn has_operations(&self, table: &Table<'_, '_>) -> bool {
        let (message, help) = match (self.ops.is_empty(), self.calls.is_empty()) {
            (true, true) => {
                ("the workload has no operations", "[workload.ops.send] with `input` says what a client does")
            }
            (false, _) if self.ops.iter().all(|op| op.weight == 0) => {
                ("no operation of the workload has a weight", "at least one of them: weight = 1")
            }
            _ => return true,
        };
        table.report(Diagnostic::error(diagnostic::EMPTY, message, table.span(), "nothing to do").help(help));
        false
    }

    /// Who starts it: steps or nobody, itself or nobody else; and it has an end.
    fn fits_the_steps(&self, table: &Table<'_, '_>, steps: &[Step]) -> bool {
        let starts =
            |step: &Step| matches!(&step.verb, Verb::Workload(WorkloadVerb::Start, name) if *name == self.name);
        let start = steps.iter().position(starts);
        let at_start = table.item("start").map_or_else(|| table.span(), |item| item.span());
        let name = &self.name;
        let (message, at, label, help) = match (self.begin, start) {
            (Begin::ByStep, None) if !self.ops.is_empty() => (
                format!("no step starts the workload `{name}`"),
                at_start,
                "nobody does",
                format!("a step with start = \"{name}\""),
            ),
            (Begin::At(_), Some(step)) => (
                format!("step {} starts a workload that starts by itself", step + 1),
                at_start,
                "by itself",
                "start = \"manual\" leaves it to the steps".to_owned(),
            ),
            _ if self.ends_with_steps() && steps.is_empty() && !self.ops.is_empty() => (
                "the workload has no end".to_owned(),
                table.span(),
                "it would go on until the timeout",
                "say how long it goes on, duration = \"10s\", or how many operations there are, count = 100".to_owned(),
            ),
            _ => return true,
        };
        table.report(Diagnostic::error(diagnostic::WORKLOAD_TIME, message, at, label).help(help));
        false
    }
}

#[cfg(test)]
mod tests {
    use super::super::Way;
    use crate::diagnostic::Diagnostic;
    use crate::scenario::{Pace, Scenario, Workload};

    /// Reads workloads beside three nodes, an event and these steps.
    fn read(workloads: &str, steps: &str) -> Result<Vec<Workload>, Vec<Diagnostic>> {
        let text = format!(
            "schema = 1\nname = 'x'\n[nodes]\ncount = 3\nname = 'n{{id}}'\ncommand = ['true']\n\
             [events]\nsaid = {{ log = '(?<text>.*) (?<number>.*) (?<rate>.*)', fields = {{ text = 'text', number = 'int', rate = 'float' }} }}\n\
             [[invariants]]\nnever = 'said'\n{workloads}\n{steps}"
        );
        Scenario::parse(&text, &[]).map(|scenario| scenario.workloads)
    }

    fn codes(workloads: &str, steps: &str) -> String {
        let mistakes = read(workloads, steps).expect_err(workloads);
        mistakes.iter().map(|mistake| mistake.code.to_string()).collect::<Vec<_>>().join(" ")
    }

    /// A workload with these keys, and one operation with those.
    fn with(keys: &str, op: &str) -> String {
        format!("[workload]\ncount = 5\n{keys}\n[workload.ops.say]\n{op}\n")
    }

    const TYPED: &str = "input = 'say {value}'\nack = 'written'";

    #[test]
    fn what_is_not_said_is_usual() {
        let workloads = read(&with("", TYPED), "").unwrap();
        let [workload] = workloads.as_slice() else { panic!("{workloads:?}") };
        assert_eq!(workload.clients, ["client1".into()]);
        assert!(matches!(&workload.pace, Pace::Phases(phases) if phases[0].rate == 10));
        assert!(workload.ops[0].has_value && !workload.ops[0].has_key && !workload.runs_programs());
        let program = read(&with("client = 'x'\nkeys = 2", ""), "").unwrap();
        assert!(
            matches!(program[0].ops[0].way, Way::Client) && program[0].ops[0].has_key && program[0].runs_programs()
        );
    }

    #[test]
    fn every_mistake_of_a_workload_is_told() {
        for (keys, code) in [
            ("name = 'n{id}'", "DS0124"),
            ("name = 'user'\nclients = 2", "DS0124"),
            ("name = 'a/{id}'", "DS0125"),
            ("clients = 0", "DS0113"),
            ("rate = 0", "DS0113"),
            ("rate = 'fast'", "DS0114"),
            ("rate = 5\nphases = [{ rate = 1 }]", "DS0104"),
            ("phases = [{ rate = 1 }, { rate = 2 }]", "DS0243"),
            ("phases = [{ for = '1s', rate = 0 }]", "DS0115"),
            ("target = 'n1'\nof = 'n2'", "DS0104"),
            ("of = 'killed'", "DS0115"),
            ("target = 'n9'", "DS0120"),
            ("start = 'manual'", "DS0243"),
            ("start = 'soon'", "DS0111"),
            ("client = 'a b'\n", "DS0110 DS0241"),
            ("colour = 1", "DS0101"),
        ] {
            assert_eq!(codes(&with(keys, TYPED), ""), code, "{keys}");
        }
        assert_eq!(codes("[workload]\ncount = 1", ""), "DS0115");
        assert_eq!(codes(&with("", &format!("weight = 0\n{TYPED}")), ""), "DS0115");
        assert_eq!(
            codes("[workloads.n1]\ncount = 1\n[workloads.n1.ops.say]\ninput = 'x'\nack = 'written'", ""),
            "DS0126"
        );
    }

    #[test]
    fn every_mistake_of_an_operation_is_told() {
        let said = |is: &str| format!("input = 'say {{value}}'\nack = {{ event = 'said', where = {{ {is} }} }}");
        for (op, code) in [
            (String::new(), "DS0241"),
            ("input = 'say'".into(), "DS0241"),
            ("ack = 'written'".into(), "DS0241 DS0133"),
            ("input = 'x'\nack = 'taken'".into(), "DS0114"),
            ("input = \"a\\nb\"\nack = 'written'".into(), "DS0241"),
            ("input = '{valeu}'\nack = 'written'".into(), "DS0134"),
            ("input = '{target.adr}'\nack = 'written'".into(), "DS0134"),
            ("exec = []".into(), "DS0115"),
            ("exec = 'a b'".into(), "DS0110"),
            ("exec = 'a'\nfails = 0".into(), "DS0113"),
            ("exec = 'a'\ninput = 'b'\nack = 'written'".into(), "DS0104"),
            ("input = 'b'\nack = 'written'\nfails = 1".into(), "DS0133"),
            (format!("{TYPED}\ntakes = ['key']"), "DS0241"),
            (said("text = 'm'"), "DS0242"),
            (said("what = '{value}'"), "DS0122"),
            (said("rate = '{value}'"), "DS0127"),
            (said("number = '~{value}'"), "DS0127"),
            (said("text = '~({value}'"), "DS0130"),
            (said("text = '~{serial}'"), "DS0242"),
            (said("text = '~m{serial}'"), "DS0242"),
            (said("text = '~{serial} done'"), "DS0242"),
            (said(r"text = '~\d{serial}$'"), "DS0242"),
            (said("text = '~a*{serial}$'"), "DS0242"),
            (said("text = '~ {serial} ?'"), "DS0242"),
            (said("text = '~{key}{serial}$'"), "DS0242"),
        ] {
            assert_eq!(codes(&with("", &op), ""), code, "{op}");
        }
        assert_eq!(codes(&with("values = 5", &said("text = '{value}'")), ""), "DS0242");
        assert!(read(&with("values = 5", &said("text = '{value}', number = '{serial}'")), "").is_ok());
        assert!(read(&with("", &said("number = '{value}'")), "").is_ok());
        for pattern in [r"\b{serial}\b", "^{serial}$", "m{serial} done", r"#{serial}\.", "{value} {serial}"] {
            assert!(read(&with("", &said(&format!("text = '~{pattern}'"))), "").is_ok(), "{pattern}");
        }
        let both = |first: &str, second: &str| {
            let one = |name: &str, is: &str| {
                format!("[workloads.{name}]\ncount = 1\n[workloads.{name}.ops.say]\n{}\n", said(is))
            };
            let read = read(&(one("a", first) + &one("b", second)), "");
            read.map_or_else(|mistakes| mistakes[0].code.to_string(), |_| String::new())
        };
        assert_eq!(both("number = '{serial}'", "number = '{serial}'"), "DS0242");
        assert_eq!(both("text = '{value}'", "number = '{serial}'"), "DS0242");
        assert_eq!(both("text = '{value}'", "text = '{value}'"), "");
        let called = "[workload]\n[workload.calls.dump]\nweight = 1\nexec = 'x'";
        assert_eq!(codes(called, ""), "DS0241");
    }

    #[test]
    fn steps_and_workloads_fit_each_other() {
        let op = with("", TYPED);
        assert_eq!(codes(&op, "[[steps]]\nstart = 'workload'"), "DS0243");
        assert_eq!(codes(&op, "[[steps]]\ncall = 'shout'"), "DS0240");
        assert_eq!(codes(&op, "[[steps]]\nwait = { op = 'shout' }"), "DS0240");
        assert_eq!(codes(&op, "[[steps]]\nwait = { op = 'say', from = 'n1' }"), "DS0133");
        assert_eq!(codes(&op, "[[teardown]]\ncall = 'say'"), "DS0220");
        assert_eq!(codes(&op, "[[teardown]]\nstop = 'workload'"), "DS0220");
        assert_eq!(codes(&op, "[[steps]]\nkill = 'workload'"), "DS0120");
        assert_eq!(codes(&op, "[[steps]]\nstop = 'workload'\nfor = '1s'"), "DS0243");
        let twice = format!("{op}[workloads.b]\ncount = 1\n[workloads.b.ops.say]\n{TYPED}\n");
        assert_eq!(codes(&twice, "[[steps]]\ncall = 'say'"), "DS0240");
        assert!(
            read(&twice, "[[steps]]\ncall = 'b.say'\non = 'all'\n[[steps]]\nwait = { op = 'say', at_least = 2 }")
                .is_ok()
        );
    }
}
