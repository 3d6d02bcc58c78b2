//! `view_changes`: what a membership service promises of its views.
//!
//! Chockler, Keidar & Vitenberg, Group Communication Specifications: A Comprehensive Study, ACM Computing Surveys 33(4), 2001. A view is
//! an id and a set of members, and an event of the scenario says that its node installed one. Of every view:
//!
//! * **Self-inclusion**: a node that installs a view is a member of it.
//! * **Local monotonicity**: ids strictly rise at each node; ids that have no order (`ids = "opaque"`) do not come again. That is asked of
//!   each life of a process, because a node that keeps nothing on a disk begins anew after a restart; with `per = "node"` of all its
//!   lives together.
//! * **One view by id**: the same id has the same members, at every node and for ever.
//!
//! And with a bound on time, what the paper calls a precise membership, as far as a run can show it: `leave_within` and `return_within`
//! ([`membership`] says of whom and from when). Nothing is asked while less than a majority runs.
//!
//! Below `min` different views the run shows too little, and above `max` the views were not stable. With `delivered` it is also looked at
//! what was delivered in which view: [`synchrony`] says what is asked of that.

mod calm;
mod membership;
mod nodes;
mod synchrony;
mod views;

#[cfg(test)]
mod tests;

use std::time::Duration;

use self::calm::calms;
use self::membership::{Kept, Limit, Membership, Wrong};
use self::synchrony::{Deliveries, Synchrony};
use self::views::{Fault, Found, Views};
use super::delivery::JUMPS;
use super::moment::{bound, seconds};
use super::said::{OF, Said, WHERE};
use super::{Check, CheckKind, counted};
use crate::diagnostic::{self, Diagnostic};
use crate::history::{History, Seen};
use crate::names::{FieldKind, Names};
use crate::observation::{Event, Name};
use crate::table::{Key, Kind, Table};
use crate::time::RunTime;
use crate::verdict::Finding;

pub(super) const KIND: CheckKind = CheckKind {
    name: "view_changes",
    keys: &[
        Key::required("event", Kind::Event, "The event by which a node says that it has installed a view."),
        Key::required("id", Kind::Text, "The field with the view's id."),
        Key::required("members", Kind::Text, "The field with its members, a list of nodes."),
        Key::new(
            "ids",
            Kind::OneOf(&["increasing", "opaque"]),
            "\"increasing\": ids are numbers that rise at each node (as if not said); \"opaque\": they only do not come again.",
        ),
        Key::new(
            "per",
            Kind::OneOf(&["life", "node"]),
            "\"life\": a restarted node begins anew with its ids (as if not said); \"node\": its ids rise over restarts too.",
        ),
        Key::new(
            "leave_within",
            Kind::Duration,
            "In what time a node that is down leaves the views of those that run, while a majority runs undisturbed.",
        ),
        Key::new(
            "return_within",
            Kind::Duration,
            "In what time a node that runs is back in the views of those that had it in one, while a majority runs undisturbed.",
        ),
        Key::new(
            "min",
            Kind::IntIn(1, i64::MAX),
            "How many different views there are at least, or the run shows nothing.",
        ),
        Key::new("max", Kind::IntIn(1, i64::MAX), "How many different views there are at most."),
        Key::new(
            "delivered",
            Kind::EventField,
            "An event by which a node delivers a message, and its field that names the message: everybody delivers it in the same view, and who passes from one view to the same next one has delivered the same in the first.",
        ),
        Key::new(
            "delivered_in",
            Kind::Text,
            "The field of that event with the view's id; if not said, a delivery belongs to the last view of its node.",
        ),
        JUMPS,
        OF,
        WHERE,
    ],
    short: None,
    doc: "Views hold their own node, their ids rise, one id is one set of members, who leaves or returns is out or in soon, and what is delivered in a view is the same for all who leave it together.",
    parse,
};

/// What the ids of views are like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ids {
    Increasing,
    Opaque,
}

#[derive(Debug)]
struct ViewChanges {
    said: Said,
    id: Name,
    members: Name,
    ids: Ids,
    over_lives: bool,
    leave_within: Option<Duration>,
    return_within: Option<Duration>,
    min: Option<u64>,
    max: Option<u64>,
    deliveries: Option<Deliveries>,
}

fn parse(table: &Table<'_, '_>, names: &Names<'_>) -> Option<Box<dyn Check>> {
    ViewChanges::parse(table, names).map(|check| Box::new(check) as Box<dyn Check>)
}

/// A limit and what was found of it.
struct Judged {
    limit: Limit,
    kept: Kept,
}

impl ViewChanges {
    fn parse(table: &Table<'_, '_>, names: &Names<'_>) -> Option<Self> {
        let event = table.required("event", Table::text).and_then(|event| names.event(&event));
        let said = Said::parse(event.as_ref(), table, names);
        let ids = super::optional(table, "ids", |_| Some(table.word("ids")?.value)).map(|word| match word {
            Some("opaque") => Ids::Opaque,
            _ => Ids::Increasing,
        });
        let id_kinds =
            if ids == Some(Ids::Increasing) { &[FieldKind::Int, FieldKind::Float] } else { FieldKind::SINGLE };
        let field = |key| table.required(key, Table::text).zip(event.as_ref());
        let id = field("id").and_then(|(id, event)| names.field_of_kind(event, &id, id_kinds));
        let members = field("members").and_then(|(name, event)| names.field_of_kind(event, &name, &[FieldKind::Nodes]));
        let deliveries = Deliveries::parse(table, names, id.as_ref());
        let over_lives = super::optional(table, "per", |_| Some(table.word("per")?.value == "node"));
        let [leave_within, return_within] = ["leave_within", "return_within"]
            .map(|key| super::optional(table, key, |item| Some(item.duration()?.value)));
        let [min, max] = ["min", "max"].map(|key| super::optional(table, key, |item| item.int(1..=i64::MAX)));
        if let (Some(Some(min)), Some(Some(max))) = (&min, &max)
            && min.value > max.value
        {
            let message = format!("`min` is {} and `max` is {}", min.value, max.value);
            table.report(Diagnostic::error(diagnostic::OUT_OF_RANGE, message, max.span.clone(), "below `min`"));
            return None;
        }
        let [min, max] = [min?, max?].map(|count| count.map(|count| count.value.unsigned_abs()));
        Some(Self {
            said: said?,
            id: id?.field,
            members: members?.field,
            ids: ids?,
            over_lives: over_lives?.unwrap_or(false),
            leave_within: leave_within?,
            return_within: return_within?,
            min,
            max,
            deliveries: deliveries?,
        })
    }

    fn synchrony(&self, history: &History) -> Option<Synchrony> {
        Some(Synchrony::of(self, self.deliveries.as_ref()?, history))
    }

    fn limits(&self) -> impl Iterator<Item = Limit> {
        let limit = |wrong, within: Option<Duration>| within.map(|within| Limit { wrong, within });
        [limit(Wrong::Holds, self.leave_within), limit(Wrong::Lacks, self.return_within)].into_iter().flatten()
    }

    fn membership(&self, history: &History, views: &Views<'_>) -> Vec<Judged> {
        let mut limits = self.limits().peekable();
        if limits.peek().is_none() {
            return Vec::new();
        }
        let calms = calms(history, &self.said.cluster, &self.said.of);
        let membership = Membership::new(history, views, &calms);
        limits.map(|limit| Judged { limit, kept: membership.kept(limit) }).collect()
    }

    /// Too many different views: the first that is one too many.
    fn too_many(&self, different: &[Seen<'_, Event>]) -> Found {
        let mut found = Found::default();
        let beyond = self.max.and_then(|max| usize::try_from(max).ok()).and_then(|max| different.get(max..));
        for seen in beyond.unwrap_or_default() {
            let summary = || format!("{} different views (at most {})", different.len(), self.max.unwrap_or_default());
            found.violated(seen.at, || Fault::new(seen.at, summary(), &[seen.number]));
        }
        found
    }

    /// Everything, from what every view must be to how long views may be wrong.
    fn found(&self, history: &History, views: &Views<'_>) -> (Found, u64, Vec<Judged>) {
        let mut all = views.include_their_node();
        all.join(views.ascend(self.ids, self.over_lives));
        let (by_id, different) = views.are_one_by_id();
        all.join(by_id);
        all.join(self.too_many(&different));
        let mut membership = self.membership(history, views);
        for judged in &mut membership {
            all.join(std::mem::take(&mut judged.kept.found));
        }
        (all, different.len() as u64, membership)
    }

    /// Why nothing is shown of deliveries, although nothing is wrong with them.
    fn unshown(&self, synchrony: &Synchrony) -> Option<Finding> {
        let Deliveries { delivered, in_view, .. } = self.deliveries.as_ref()?;
        let Synchrony { lines, without, homeless, shared, passages, .. } = synchrony;
        let event = &delivered.event;
        if *lines == 0 {
            return Some(Finding::never_exercised(format_args!("no {event} occurred")));
        }
        if *without > 0 {
            let in_view = in_view.as_ref().map(|field| format!(" and `{field}`")).unwrap_or_default();
            let summary = format!("{without} of {lines} {event} do not tell their `{}`{in_view}", delivered.field);
            return Some(Finding::unknown(*shared, summary));
        }
        if *homeless > 0 {
            let summary = format!("{homeless} of {lines} {event} come before any {} of their node", self.said.event);
            return Some(Finding::unknown(*shared, summary));
        }
        if *shared == 0 {
            return Some(Finding::never_exercised("no message was delivered by two nodes"));
        }
        let why = "no two nodes passed from one view with deliveries to the same next one";
        (*passages == 0).then(|| Finding::never_exercised(why))
    }

    fn held(&self, views: &Views<'_>, different: u64, membership: &[Judged], synchrony: Option<&Synchrony>) -> Finding {
        let told = views.by_number.len() as u64;
        let mut summary = format!("{}, told {told} times", counted(different, "view"));
        for Judged { limit, kept } in membership {
            let what = match limit.wrong {
                Wrong::Holds => "out after",
                Wrong::Lacks => "back after",
            };
            summary += &format!("; {what} at most {} of {}", seconds(kept.worst), bound(limit.within));
        }
        if let Some(Synchrony { lines, passages, .. }) = synchrony {
            let changes = counted(*passages, "change");
            summary += &format!("; {lines} deliveries, each message in one view, compared in {changes}");
        }
        Finding::held(told, summary)
    }
}

fn unexercised(judged: &Judged) -> Option<&'static str> {
    match (judged.kept.decided, judged.limit.wrong) {
        (0, Wrong::Holds) => Some("no node that went down left a view while a majority ran undisturbed"),
        (0, Wrong::Lacks) => Some("no node that came back was in a view again while a majority ran undisturbed"),
        _ => None,
    }
}

fn showing(finding: Finding, fault: Fault) -> Finding {
    fault.evidence.into_iter().fold(finding, |finding, (number, note)| match note {
        Some(note) => finding.showing_as(number, note),
        None => finding.showing(number),
    })
}

impl Check for ViewChanges {
    fn judge(&self, history: &History) -> Finding {
        let views = Views::of(self, history);
        let checked = views.by_number.len() as u64;
        let (mut found, different, membership) = self.found(history, &views);
        let mut synchrony = self.synchrony(history);
        if let Some(synchrony) = &mut synchrony {
            found.join(std::mem::take(&mut synchrony.found));
        }
        if let Some(first) = found.first {
            let finding = Finding::violated(checked, found.violations, first.at, first.summary.clone());
            return showing(finding, first);
        }
        if views.without() > 0 {
            let (without, all) = (views.without(), views.lines);
            let summary = format!(
                "{without} of {all} {} do not tell their `{}` and `{}`",
                self.said.event, self.id, self.members
            );
            return Finding::unknown(checked, summary);
        }
        if checked == 0 {
            return Finding::never_exercised(format_args!("no {} occurred", self.said.event));
        }
        if let Some(undecided) = found.undecided {
            let finding = Finding::unknown(checked, undecided.summary.clone());
            return showing(finding, undecided);
        }
        if let Some(min) = self.min.filter(|min| different < *min) {
            return Finding::unknown(checked, format!("{different} different views (need {min})"));
        }
        match membership.iter().find_map(unexercised) {
            Some(why) => Finding::never_exercised(why),
            None => {
                let unshown = synchrony.as_ref().and_then(|synchrony| self.unshown(synchrony));
                unshown.unwrap_or_else(|| self.held(&views, different, &membership, synchrony.as_ref()))
            }
        }
    }

    fn open_until(&self, history: &History) -> Option<RunTime> {
        if history.ended().is_some() {
            return None;
        }
        let views = Views::of(self, history);
        let membership = self.membership(history, &views);
        let is_violated = membership.iter().any(|judged| judged.kept.found.violations > 0);
        let open = membership.iter().filter_map(|judged| judged.kept.open).max();
        open.filter(|_| !is_violated)
    }
}
