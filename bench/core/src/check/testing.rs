//! What the tests of the checks share: a check read from its text, and what must be true of every check.

use proptest::prelude::*;

use super::{CHECKS, Check, CheckKind};
use crate::cluster::Role;
use crate::diagnostic::{Diagnostic, Problems};
use crate::history::History;
use crate::names::{FieldKind, Names};
use crate::observation::{Ending, MAIN, Name, PANIC, Phase, What};
use crate::stage::Stage;
use crate::stories::{NODES, messaging, plausible, renamed, shifted, talkative, wild};
use crate::table::{Key, Kind, Table, parse_document};
use crate::verdict::Outcome;

/// The check that a line of a scenario describes.
pub(super) fn check(text: &str) -> Box<dyn Check> {
    parse(text, str::to_owned).unwrap_or_else(|problems| panic!("{text}: {problems:?}"))
}

/// Reads a check for the nodes of the stories, called as `rename` says.
pub(super) fn parse(text: &str, rename: fn(&str) -> String) -> Result<Box<dyn Check>, Vec<Diagnostic>> {
    parse_for(&NODES.map(rename), text)
}

/// Reads a check for a cluster of these nodes.
pub(super) fn parse_for(nodes: &[impl AsRef<str>], text: &str) -> Result<Box<dyn Check>, Vec<Diagnostic>> {
    let (check, problems) = read(nodes, text, |kind, table, names| (kind.parse)(table, names));
    let has_errors = problems.iter().any(|problem| problem.is_error);
    assert_eq!(check.is_none(), has_errors, "{text}: a check that is refused says why, and only then");
    check.ok_or(problems)
}

/// Has the table of a check read, by itself or by a test that wants what is inside.
pub(super) fn read<R>(
    nodes: &[impl AsRef<str>],
    text: &str,
    read: impl FnOnce(&CheckKind, &Table<'_, '_>, &Names<'_>) -> Option<R>,
) -> (Option<R>, Vec<Diagnostic>) {
    let problems = Problems::new();
    let mut names = Names::new(&problems);
    for node in nodes {
        names.add_node(node.as_ref(), [Name::from(MAIN)]);
    }
    names.add_event("leads", [("term".into(), FieldKind::Int)]);
    names.add_event("follows", [("leader".into(), FieldKind::Node)]);
    names.add_event("stepped_down", []);
    names.add_event(PANIC, []);
    names.add_event("view", [("id".into(), FieldKind::Int), ("members".into(), FieldKind::Nodes)]);
    names.add_event("applied", [("index".into(), FieldKind::Int), ("value".into(), FieldKind::Text)]);
    names.add_event("holds", [("amount".into(), FieldKind::Int)]);
    let delivered =
        [("msg", FieldKind::Text), ("seq", FieldKind::Int), ("from", FieldKind::Node), ("in", FieldKind::Int)];
    names.add_event("delivered", delivered.map(|(name, kind)| (name.into(), kind)));
    names.add_event("sent", [("msg".into(), FieldKind::Text)]);
    names.add_event("acked", [("msg".into(), FieldKind::Text)]);
    names.add_event("snapshot", []);
    names.add_role("leader");
    names.define_roles(&[Role {
        name: "leader".into(),
        last: "leads".into(),
        highest: Some("term".into()),
        named_by: None,
        initially: None,
    }]);
    names.add_step(Stage::Main, None);
    names.add_step(Stage::Main, Some("crash".into()));
    names.add_step(Stage::Main, Some("return".into()));

    let document = parse_document(text, &problems);
    // The keys of a table live as long as the program, and a test may leak a few.
    let keys: Vec<_> = CHECKS.iter().map(|kind| Key::new(kind.name, Kind::Any, kind.doc)).collect();
    let table = Table::root(&document, Box::leak(keys.into_boxed_slice()), "an invariant", &problems);
    let kind = CHECKS.iter().find(|kind| table.has(kind.name)).expect("a known check");
    let item = table.item(kind.name).expect("it is there");
    let table = match kind.short {
        Some(short) => item.table_or(short, kind.keys, kind.name),
        None => item.table(kind.keys, kind.name),
    };
    let read = table.and_then(|table| read(kind, &table, &names));
    (read, problems.into_sorted())
}

/// Some of every kind.
const EXAMPLES: &[&str] = &[
    "single_leader = { event = 'leads', per = 'term' }",
    "single_leader = 'leads'",
    "leader_overlap = { begin = 'leads', end = ['stepped_down', 'follows', 'fault.kill'], limit = '200ms' }",
    "leader_overlap = { begin = 'leads', limit = '0s' }",
    "agreement = { leads = 'leads', follows = 'follows.leader', within = '300ms' }",
    "agreement = { leads = 'leads', follows = 'follows.leader', of = '!killed', within = '1s' }",
    "deadline = { from = 'fault.kill', until = 'leads', limit = '300ms' }",
    "deadline = { from = ['fault', 'stepped_down'], until = 'follows', each = '!target', limit = '1s' }",
    "deadline = { from = 'leads', until = 'leads', where = { term = '>= 2' }, each = 'all', limit = '500ms' }",
    "eventually = { event = 'leads', within = '500ms' }",
    "eventually = { event = 'follows', each = 'all', within = '1s' }",
    "eventually = { event = 'leads', from = '!killed', since = 'crash', within = '1s' }",
    "always = { event = 'leads', where = { term = '>= 2' } }",
    "never = 'node.panic'",
    "never = { event = 'leads', where = { term = 3 }, from = 'all', since = 'crash' }",
    "never = { event = 'follows', from = 'leader' }",
    "never = { event = 'follows', from = '!leader', since = 'crash', until = 'return' }",
    "sometimes = { event = 'leads', at_least = 2 }",
    "view_changes = { event = 'view', id = 'id', members = 'members' }",
    "view_changes = { event = 'view', id = 'id', members = 'members', ids = 'opaque', per = 'node', leave_within = '300ms', return_within = '400ms', min = 2, max = 9 }",
    "monotonic = { event = 'applied', field = 'index' }",
    "monotonic = { event = 'applied', field = 'index', key = 'value', per = 'life', strictly = true, of = '!killed' }",
    "agree_on = { event = 'applied', key = 'index', value = 'value' }",
    "agree_on = { event = 'view', key = 'id', value = 'members', of = 'all', where = { id = '>= 2' } }",
    "unique = 'applied.index'",
    "unique = { field = 'applied.value', per = 'node', where = { index = '>= 2' } }",
    "conserved = { field = 'holds.amount', total = 3 }",
    "conserved = { field = 'holds.amount', total = 3, quiet = '200ms', within = '500ms', of = '!paused' }",
    "total_order = { event = 'delivered', message = 'msg' }",
    "total_order = { event = 'delivered', message = 'msg', prefix = false }",
    "total_order = { event = 'delivered', message = 'msg', position = 'seq', joins = 'late', jumps = 'snapshot', sent = 'sent.msg' }",
    "total_order = { event = 'delivered', message = 'msg', per = 'view.id', joins = 'anywhere', of = '!killed', where = { seq = '>= 1' } }",
    "total_order = { event = 'delivered', message = 'msg', per = 'delivered.in' }",
    "no_loss = { sent = 'acked.msg', delivered = 'delivered.msg' }",
    "no_loss = { sent = 'acked.msg', delivered = 'delivered.msg', joins = 'late', jumps = ['snapshot'], quiet = '200ms', within = '500ms', of = '!killed' }",
    "no_duplicates = 'delivered.msg'",
    "no_duplicates = { delivered = 'delivered.msg', per = 'node', position = 'seq', of = 'all', where = { seq = '>= 1' } }",
    "exactly_once = { sent = 'acked.msg', delivered = 'delivered.msg', quiet = '300ms' }",
    "fifo = { delivered = 'delivered.msg', sent = 'sent.msg' }",
    "fifo = { delivered = 'delivered.seq', sender = 'from', prefix = false }",
    "causal_order = { sent = 'sent.msg', delivered = 'delivered.msg' }",
    "causal_order = { sent = 'sent.msg', delivered = 'delivered.msg', prefix = false }",
    "view_changes = { event = 'view', id = 'id', members = 'members', delivered = 'delivered.msg' }",
    "view_changes = { event = 'view', id = 'id', members = 'members', delivered = 'delivered.msg', delivered_in = 'in', jumps = 'snapshot' }",
    "process = {}",
    "process = { exit = 'any', of = '!killed', rss_max = '10MiB', open_files_max = 100 }",
    "exec = { command = ['check.py', '--strict'], timeout = '5s' }",
];

#[test]
fn every_kind_of_check_has_an_example_and_a_sentence() {
    for kind in CHECKS {
        assert!(EXAMPLES.iter().any(|example| example.starts_with(kind.name)), "{}", kind.name);
        assert!(kind.doc.ends_with('.') && kind.keys.iter().all(|key| key.doc.ends_with('.')), "{}", kind.name);
    }
    EXAMPLES.iter().for_each(|example| drop(check(example)));
}

#[test]
fn mistakes_are_reported_and_never_give_a_check() {
    for wrong in [
        "single_leader = { per = 'term' }",
        "single_leader = { event = 'leeds' }",
        "single_leader = { event = 'leads', per = 'trem' }",
        "leader_overlap = { begin = 'leads', end = ['fault.kil'], limit = '1s' }",
        "leader_overlap = { begin = 'leads', end = 'stepped_down' }",
        "leader_overlap = { begin = 'leads', limit = 3 }",
        "leader_overlap = { begin = 'leads', end = 7, limit = '1s' }",
        "agreement = { leads = 'leads', follows = 'leads.term', within = '1s' }",
        "agreement = { leads = 'leads', follows = 'follows', within = '1s' }",
        "deadline = { from = 'fault.resume', until = 'leads', limit = '1s' }",
        "deadline = { from = 'fault', until = 'leads', each = 'nobody', limit = '1s' }",
        "deadline = { from = 'fault', until = 'leads', where = { x = 1 }, limit = '1s' }",
        "deadline = { from = [], until = 'leads', limit = '1s' }",
        "eventually = { event = 'leads' }",
        "eventually = { event = 'leads', from = 'a', each = 'b', within = '1s' }",
        "eventually = { event = 'leads', since = 'lunch', within = '1s' }",
        "always = { event = 'leads' }",
        "never = { event = 'leads', where = { term = 'x' } }",
        "never = { event = 'leads', since = 'return', until = 'crash' }",
        "never = { event = 'leads', since = 'crash', until = 'crash' }",
        "never = { event = 'leads', from = '!target' }",
        "sometimes = { event = 'leads', at_least = 0 }",
        "view_changes = { event = 'view', id = 'id' }",
        "view_changes = { event = 'view', id = 'members', members = 'members' }",
        "view_changes = { event = 'view', id = 'id', members = 'id' }",
        "view_changes = { event = 'applied', id = 'value', members = 'value' }",
        "view_changes = { event = 'view', id = 'id', members = 'members', ids = 'random' }",
        "view_changes = { event = 'view', id = 'id', members = 'members', leave_within = 3 }",
        "view_changes = { event = 'view', id = 'id', members = 'members', min = 5, max = 4 }",
        "monotonic = { event = 'applied' }",
        "monotonic = { event = 'applied', field = 'value' }",
        "monotonic = { event = 'applied', field = 'index', key = 'kee' }",
        "monotonic = { event = 'applied', field = 'index', per = 'cluster' }",
        "monotonic = { event = 'applied', field = 'index', strictly = 1 }",
        "monotonic = { event = 'applied', field = 'index', of = 'nobody' }",
        "agree_on = { event = 'applied', key = 'index' }",
        "agree_on = { event = 'view', key = 'members', value = 'id' }",
        "unique = 'applied'",
        "unique = { field = 'view.members' }",
        "unique = { field = 'applied.index', per = 'moon' }",
        "conserved = { field = 'holds.amount' }",
        "conserved = { field = 'applied.value', total = 3 }",
        "conserved = { field = 'holds.amount', total = 1.5 }",
        "conserved = { field = 'holds.amount', total = 1, quiet = 1 }",
        "total_order = { event = 'delivered' }",
        "total_order = { event = 'delivered', message = 'massage' }",
        "total_order = { event = 'view', message = 'members' }",
        "total_order = { event = 'delivered', message = 'msg', position = 'msg' }",
        "total_order = { event = 'delivered', message = 'msg', prefix = 'no' }",
        "total_order = { event = 'delivered', message = 'msg', joins = 'early' }",
        "total_order = { event = 'delivered', message = 'msg', jumps = [] }",
        "total_order = { event = 'delivered', message = 'msg', jumps = 'jump' }",
        "total_order = { event = 'delivered', message = 'msg', prefix = false, joins = 'late' }",
        "total_order = { event = 'delivered', message = 'msg', per = 'view.members' }",
        "total_order = { event = 'delivered', message = 'msg', per = 'view' }",
        "total_order = { event = 'delivered', message = 'msg', sent = 'holds.amount' }",
        "no_loss = { sent = 'acked.msg' }",
        "no_loss = { delivered = 'delivered.msg' }",
        "no_loss = { sent = 'acked.msg', delivered = 'delivered.seq' }",
        "no_loss = { sent = 'acked.msg', delivered = 'delivered.msg', quiet = 3 }",
        "no_loss = { sent = 'acked.msg', delivered = 'delivered.msg', of = 'nobody' }",
        "no_duplicates = 'delivered'",
        "no_duplicates = { delivered = 'delivered.msg', per = 'cluster' }",
        "no_duplicates = { delivered = 'delivered.msg', position = 'place' }",
        "exactly_once = { sent = 'acked.msg' }",
        "exactly_once = { sent = 'acked.msg', delivered = 'delivered.msg', per = 'cluster' }",
        "fifo = { delivered = 'delivered.msg' }",
        "fifo = { delivered = 'delivered.msg', sender = 'from' }",
        "fifo = { delivered = 'delivered.seq', sender = 'from', sent = 'sent.msg' }",
        "fifo = { delivered = 'delivered.msg', sent = 'sent.msg', prefix = false, jumps = 'snapshot' }",
        "causal_order = { sent = 'sent.msg' }",
        "causal_order = { sent = 'sent.msg', delivered = 'delivered.seq' }",
        "view_changes = { event = 'view', id = 'id', members = 'members', delivered_in = 'in' }",
        "view_changes = { event = 'view', id = 'id', members = 'members', jumps = 'snapshot' }",
        "view_changes = { event = 'view', id = 'id', members = 'members', delivered = 'delivered.msg', delivered_in = 'msg' }",
        "process = { exit = 'some' }",
        "process = { rss_max = 7 }",
        "process = { open_files_max = 'x' }",
        "exec = []",
        "exec = { command = 'check.py', timeout = 'x' }",
    ] {
        assert!(parse(wrong, str::to_owned).is_err(), "{wrong}");
    }
}

fn any_plausible() -> impl Strategy<Value = History> {
    prop_oneof![plausible(), talkative(), messaging()]
}

proptest! {
    #[test]
    fn no_history_makes_a_check_panic(history in wild()) {
        for example in EXAMPLES {
            let check = check(example);
            let finding = check.judge(&history);
            prop_assert_eq!(&finding, &check.judge(&history));
            prop_assert!(finding.outcome != Outcome::Held || finding.checked > 0, "{}: {:?}", example, finding);
            prop_assert_eq!(finding.outcome == Outcome::Violated, finding.violations > 0);
            prop_assert!(finding.evidence.iter().all(|shown| history.get(shown.observation).is_some()));
            check.open_until(&history);
        }
    }

    #[test]
    fn renaming_nodes_changes_no_outcome(history in any_plausible()) {
        let renamed = renamed(&history);
        for example in EXAMPLES.iter().filter(|example| !example.contains("'b'")) {
            let other = parse(example, |node| format!("zz-{node}")).expect("the same text with other nodes");
            let (before, after) = (check(example).judge(&history), other.judge(&renamed));
            prop_assert_eq!((before.outcome, before.checked, before.violations, before.at), (after.outcome, after.checked, after.violations, after.at), "{}", example);
        }
    }

    #[test]
    fn shifting_time_changes_no_outcome(history in any_plausible()) {
        let later = shifted(&history, 1234);
        for example in EXAMPLES {
            let (before, after) = (check(example).judge(&history), check(example).judge(&later));
            prop_assert_eq!((before.outcome, before.summary), (after.outcome, after.summary), "{}", example);
        }
    }

    #[test]
    fn what_is_decided_before_the_end_is_not_open(history in any_plausible()) {
        for example in EXAMPLES {
            let check = check(example);
            if history.ended().is_none() && check.judge(&history).outcome == Outcome::Held && check.open_until(&history).is_some() {
                // Only an overlap that still grows and an agreement that is to stand may be held and open at once.
                prop_assert!(["leader_overlap", "agreement"].iter().any(|kind| example.starts_with(kind)), "{}", example);
            }
        }
    }

    #[test]
    fn a_run_that_goes_on_while_a_bound_is_open_is_decided_when_it_ends(history in any_plausible()) {
        for example in EXAMPLES {
            let check = check(example);
            let mut history = history.clone();
            if history.ended().is_none() {
                let end = check.open_until(&history).unwrap_or_default().max(history.horizon());
                history.push(end, What::Run(Phase::Ended { because: Ending::Complete }));
                let finding = check.judge(&history);
                prop_assert!(!finding.summary.contains("the run ended"), "{}: {:?}", example, finding);
                prop_assert_eq!(check.open_until(&history).filter(|until| *until > end), None, "{}", example);
            }
        }
    }
}
