//! `deadline`: after each `from`, `until` occurs within `limit`.
//!
//! Bounded response (the response pattern of Dwyer, Avrunin & Corbett 1999, with a bound on time as in metric temporal logic). Each `from` has its own
//! deadline, and one `until` may meet several. With `each` it must occur at every node of the target that is live at that moment; a node
//! that goes down or is frozen before it answered owes nothing any more. `fault` means every kind of fault; resume, restart and start
//! are none.

use std::collections::BTreeMap;
use std::time::Duration;

use super::due::{Arrival, Arrivals, BUDGET, Due, Judged, Rule, Start, Words, finding};
use super::moment::Moment;
use super::scope::{Scope, cluster, is_live, outlives};
use super::spans::Spans;
use super::trigger::Trigger;
use super::{Check, CheckKind};
use crate::cluster::ClusterState;
use crate::filter::Filter;
use crate::history::{History, Seen};
use crate::names::Names;
use crate::observation::{Action, ActionVerb, Event, Name, Observation, What};
use crate::table::{Key, Kind, Table};
use crate::time::RunTime;
use crate::verdict::Finding;

pub(super) const KIND: CheckKind = CheckKind {
    name: "deadline",
    keys: &[
        Key::new("from", Kind::Texts, "Events or faults (`fault.kill`; `fault` for any) from which the time runs."),
        Key::new("until", Kind::Event, "The event that must follow."),
        Key::new("where", Kind::Where, "Which occurrences of `until` count."),
        Key::new(
            "each",
            Kind::Target,
            "At which nodes it must follow, each of them; `!target` are those that the fault did not hit.",
        ),
        Key::new("limit", Kind::Duration, "Within what time."),
    ],
    short: None,
    doc: "After each event or fault, another event follows within so long.",
    parse,
};

#[derive(Debug)]
struct Deadline {
    from: Vec<Trigger>,
    until: Name,
    filter: Filter,
    each: Option<Scope>,
    limit: Duration,
    cluster: ClusterState,
}

fn parse(table: &Table<'_, '_>, names: &Names<'_>) -> Option<Box<dyn Check>> {
    let from = Trigger::parse_all(table, "from", names);
    let until = table.required("until", Table::text).and_then(|event| names.event(&event));
    let filter = until.as_ref().and_then(|until| super::filter(table, until, names));
    let each = Scope::parse(table, "each", names);
    let limit = table.required("limit", Table::duration);
    Some(Box::new(Deadline {
        from: from?,
        until: until?,
        filter: filter?,
        each: each?,
        limit: limit?.value,
        cluster: cluster(names),
    }))
}

/// A start, and the nodes at which an answer is due; none if any node will do.
struct Obligation<'h> {
    start: Start<'h>,
    nodes: Option<Vec<&'h Name>>,
}

impl Deadline {
    fn starts_at_event(&self, event: &Event) -> bool {
        self.from.iter().any(|from| matches!(from, Trigger::Event(name) if *name == event.name))
    }

    fn starts_at_fault(&self, action: &Action) -> bool {
        let is_meant = |kind: Option<ActionVerb>| kind.is_none_or(|kind| kind == action.verb);
        // A fault that hit nothing is no fault; that it hit nothing is told with the verdict.
        action.verb.is_fault()
            && !action.hit.is_empty()
            && self.from.iter().any(|from| matches!(from, Trigger::Fault(kind) if is_meant(*kind)))
    }

    /// The nodes that owe an answer to a start which the state has taken in.
    fn nodes<'h>(&self, history: &'h History, hit: &[Name], state: &ClusterState) -> Option<Vec<&'h Name>> {
        let each = self.each.as_ref()?;
        let owes = |node: &&Name| is_live(node, state) && each.admits(node, hit, state);
        Some(history.nodes().filter(owes).collect())
    }

    /// Everything that starts a bound, and everything that may end one by node.
    fn collect<'h>(&self, history: &'h History) -> (Vec<Obligation<'h>>, BTreeMap<&'h Name, Vec<Arrival<'h>>>) {
        let mut state = self.cluster.clone();
        let (mut obligations, mut arrivals) = (Vec::new(), BTreeMap::<_, Vec<_>>::new());
        for observation in history.judged() {
            let Observation { number, at, what } = observation;
            let (number, at) = (*number, *at);
            state.observe(observation);
            match what {
                What::Event(event) => {
                    let seen = Seen { number, at, what: event };
                    if self.starts_at_event(event) {
                        let source = Some((&event.of, event.log.stderr));
                        let start = Start { number, when: Moment::of(&seen), source };
                        let nodes = self.nodes(history, std::slice::from_ref(&event.of.node), &state);
                        obligations.push(Obligation { start, nodes });
                    }
                    if event.name == self.until && self.filter.admits(event, &state) {
                        arrivals.entry(&event.of.node).or_default().push(Arrival::of(&seen));
                    }
                }
                What::Action(action) if self.starts_at_fault(action) => {
                    let start = Start { number, when: Moment::exact(at), source: None };
                    let nodes = self.nodes(history, &action.nodes, &state);
                    obligations.push(Obligation { start, nodes });
                }
                _ => {}
            }
        }
        (obligations, arrivals)
    }

    fn judged<'h>(&self, history: &'h History, rule: &mut Rule<'_>) -> Vec<Judged<'h>> {
        let (obligations, arrivals) = self.collect(history);
        let mut judged = Vec::new();
        if self.each.is_none() {
            let arrivals = Arrivals::new(arrivals.into_values().flatten().collect());
            let due = obligations.iter().map(|Obligation { start, .. }| (*start, rule.judge(start, &arrivals)));
            judged.extend(due.map(|(start, due)| Judged { start, due, node: None }));
            return judged;
        }
        let arrivals: BTreeMap<_, _> = arrivals.into_iter().map(|(node, list)| (node, Arrivals::new(list))).collect();
        let silence = Arrivals::default();
        for Obligation { start, nodes } in &obligations {
            for &node in nodes.iter().flatten() {
                let due = rule.judge(start, arrivals.get(node).unwrap_or(&silence));
                let is_met = matches!(due, Due::Met { .. });
                if is_met || outlives(history, node, start.when.latest, rule.elapses(start)) {
                    judged.push(Judged { start: *start, due, node: Some(node) });
                }
            }
        }
        judged
    }

    fn from(&self) -> String {
        self.from.iter().map(Trigger::name).collect::<Vec<_>>().join(" or ")
    }
}

impl Check for Deadline {
    fn judge(&self, history: &History) -> Finding {
        let stalls = Spans::stalls(history);
        let mut rule = Rule { limit: self.limit, stalls: &stalls, horizon: history.horizon(), budget: BUDGET };
        let judged = self.judged(history, &mut rule);
        let from = self.from();
        if judged.is_empty() {
            let started = self.collect(history).0.len();
            return match started {
                0 => Finding::never_exercised(format_args!("no {from} happened")),
                _ => Finding::never_exercised(format_args!("no node had to answer to {from}")),
            };
        }
        finding(&judged, &rule, Words { from: &from, until: &self.until })
    }

    fn open_until(&self, history: &History) -> Option<RunTime> {
        let stalls = Spans::stalls(history);
        let mut rule = Rule { limit: self.limit, stalls: &stalls, horizon: history.horizon(), budget: BUDGET };
        let judged = self.judged(history, &mut rule);
        let open =
            judged.iter().filter_map(|judged| if let Due::Cut { until } = judged.due { Some(until) } else { None });
        // At the limit itself it may still come in time: only after it is it decided.
        open.max().map(|until| until + Duration::from_nanos(1))
    }
}
