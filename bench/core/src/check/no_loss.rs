//! `no_loss`: what was acknowledged is delivered by every node that is alive when all is quiet.
//!
//! Durability of acknowledged messages, or uniform agreement with what was promised (Hadzilacos & Toueg 1994: if a process delivers a
//! message, all correct ones eventually do). *Eventually* is at *quiescence*: every fault is undone, every node that is meant is up and not
//! frozen, and either nothing is missing or for `quiet` long nothing was acknowledged or delivered and nothing was done to the cluster. The
//! run goes on until then, at most `within` after its last step. A run that never comes to rest shows nothing: the answer is unknown, and
//! never held. What was sent and not acknowledged may be lost or not.
//!
//! A node that joins late (`joins`), or that installs a snapshot (`jumps`), has what came before without delivering it: asked of it is only
//! what was acknowledged after that. Where it joined is told by its first delivery, because it may have run for a while before. An
//! acknowledgement may be told late: what another node delivered before what this one delivered first came before, too.

use std::cell::OnceCell;
use std::collections::BTreeMap;

use super::delivery::{self, Begins, DELIVERED, Interner, JOINS, JUMPS, Joins};
use super::moment::Moment;
use super::quiescence::{self, QUIET, Rest, WITHIN};
use super::said::OF_AT_THE_END;
use super::scope::Scope;
use super::{Check, CheckKind, counted};
use crate::cluster::ClusterState;
use crate::history::{History, LifeSpan, Seen};
use crate::names::{EventField, Names};
use crate::observation::{Event, Name};
use crate::table::{Key, Kind, Table};
use crate::time::RunTime;
use crate::verdict::Finding;

pub(super) const SENT: Key = Key::required(
    "sent",
    Kind::EventField,
    "The event by which a message is acknowledged, and its field that names the message.",
);

pub(super) const KIND: CheckKind = CheckKind {
    name: "no_loss",
    keys: &[SENT, DELIVERED, JOINS, JUMPS, QUIET, WITHIN, OF_AT_THE_END],
    short: None,
    doc: "What was acknowledged is delivered by every node once all is quiet.",
    parse: |table, names| NoLoss::parse(table, names).map(|check| Box::new(check) as Box<dyn Check>),
};

#[derive(Debug)]
pub(super) struct NoLoss {
    sent: EventField,
    delivered: EventField,
    begins: Begins,
    rest: Rest,
    of: Scope,
    cluster: ClusterState,
}

/// What is missing.
#[derive(Default)]
struct Missing<'h> {
    /// How many messages were acknowledged and asked of somebody.
    asked: u64,
    /// How many messages are missing somewhere.
    lost: u64,
    /// The first of them, with those who lack it.
    first: Option<(Seen<'h, Event>, Vec<Name>)>,
    /// One who may have to have more than it has, but has not told where it joined.
    unclear: Option<Name>,
}

/// What was told of messages.
struct Book<'h> {
    messages: Interner<'h>,
    /// The first acknowledgement of each, by its number.
    acknowledged: Vec<Seen<'h, Event>>,
    acknowledgements: u64,
    deliveries: u64,
    without: u64,
    /// When something was told for the last time that was new.
    changed: RunTime,
    nodes: Vec<Node<'h>>,
}

/// What a node has delivered, by the numbers of messages.
struct Node<'h> {
    name: Name,
    has: Vec<bool>,
    last: Option<Seen<'h, Event>>,
    /// What was acknowledged before it jumped for the last time is not asked of it.
    jumped: Option<Seen<'h, Event>>,
    /// Its first delivery after it joined or jumped.
    first: Option<Seen<'h, Event>>,
    /// Nor what was before it joined.
    joined: Option<Joined>,
}

/// Where a node joins.
struct Joined {
    /// Its processes in their last lives, if only in these.
    lives: Option<Vec<(Name, u32)>>,
    /// It began to run.
    started: RunTime,
}

/// Whether a message is asked of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asked {
    Yes,
    No,
    Unclear,
}

impl<'h> Node<'h> {
    /// Of what was acknowledged at this instant, at the earliest.
    fn is_asked(&self, written: RunTime) -> Asked {
        if self.jumped.is_some_and(|jumped| written <= jumped.at) {
            return Asked::No;
        }
        match (&self.joined, self.first) {
            (None, _) => Asked::Yes,
            (Some(_), Some(first)) if first.at < written => Asked::Yes,
            (Some(Joined { started, .. }), None) if *started < written => Asked::Unclear,
            (Some(_), _) => Asked::No,
        }
    }

    fn delivers(&mut self, seen: Seen<'h, Event>) {
        let of = &seen.what.of;
        let is_its =
            |lives: &Vec<(Name, u32)>| lives.iter().any(|(process, life)| (process, *life) == (&of.process, of.life));
        let has_begun = match &self.joined {
            Some(Joined { lives, .. }) => lives.as_ref().is_none_or(is_its),
            None => self.jumped.is_some(),
        };
        let has_jumped = self.jumped.is_none_or(|jumped| jumped.number < seen.number);
        if self.first.is_none() && has_begun && has_jumped {
            self.first = Some(seen);
        }
    }
}

impl NoLoss {
    fn parse(table: &Table<'_, '_>, names: &Names<'_>) -> Option<Self> {
        let delivered = delivery::required_messages(table, DELIVERED.name, names);
        let of = Scope::parse(table, OF_AT_THE_END.name, names);
        Self::read(table, names, delivered, of?)
    }

    /// The rest of it, where others have read the deliveries and whose they are.
    pub(super) fn read(
        table: &Table<'_, '_>,
        names: &Names<'_>,
        delivered: Option<EventField>,
        of: Option<Scope>,
    ) -> Option<Self> {
        table.required(SENT.name, |table, key| table.item(key));
        let sent = delivery::messages(table, SENT.name, names, delivered.as_ref());
        let (begins, rest) = (Begins::parse(table, names), Rest::parse(table));
        Some(Self {
            sent: sent??,
            delivered: delivered?,
            begins: begins?,
            rest: rest?,
            of: of.unwrap_or(Scope::all()),
            cluster: names.cluster(),
        })
    }

    fn book<'h>(&self, history: &'h History, members: &[Name]) -> Book<'h> {
        let mut book = Book {
            messages: Interner::default(),
            acknowledged: Vec::new(),
            acknowledgements: 0,
            deliveries: 0,
            without: 0,
            changed: RunTime::START,
            nodes: members.iter().map(|name| self.node(history, name)).collect(),
        };
        for seen in history.events(&self.sent.event) {
            book.acknowledgements += 1;
            let Some(value) = seen.what.field(&self.sent.field) else {
                book.without += 1;
                continue;
            };
            if book.messages.number(value) as usize == book.acknowledged.len() {
                book.acknowledged.push(seen);
                book.changed = book.changed.max(seen.at);
            }
        }
        book.nodes.iter_mut().for_each(|node| node.has = vec![false; book.acknowledged.len()]);
        // Nodes tell in turns, so the next one is the likeliest.
        let mut at = 0;
        for seen in history.events(&self.delivered.event) {
            book.deliveries += 1;
            let Some(value) = seen.what.field(&self.delivered.field) else {
                book.without += 1;
                continue;
            };
            let count = book.nodes.len();
            let Some(near) = (0..count).find(|near| book.nodes[(at + near) % count].name == seen.what.of.node) else {
                continue;
            };
            at = (at + near) % count;
            let node = &mut book.nodes[at];
            node.last = Some(seen);
            node.delivers(seen);
            at += 1;
            let is_new = book
                .messages
                .known(value)
                .is_none_or(|message| !std::mem::replace(&mut node.has[message as usize], true));
            if is_new {
                book.changed = book.changed.max(seen.at);
            }
        }
        book
    }

    fn node<'h>(&self, history: &'h History, name: &Name) -> Node<'h> {
        let starts = || history.lives(name).map(|life| life.started);
        let last_lives = || {
            let mut lives: BTreeMap<Name, u32> = BTreeMap::new();
            for LifeSpan { of, .. } in history.lives(name) {
                let last = lives.entry(of.process.clone()).or_default();
                *last = of.life.max(*last);
            }
            lives.into_iter().collect()
        };
        let joined = match self.begins.joins {
            Joins::Start => None,
            Joins::Late => starts().min().map(|started| Joined { lives: None, started }),
            Joins::Anywhere => starts().max().map(|started| Joined { lives: Some(last_lives()), started }),
        };
        let of_node = |seen: &Seen<'_, Event>| seen.what.of.node == *name;
        let jumps = self.begins.jumps.iter().flat_map(|jump| history.events(jump)).filter(of_node);
        let jumped = jumps.max_by_key(|seen| seen.number);
        Node { name: name.clone(), has: Vec::new(), last: None, jumped, first: None, joined }
    }

    /// What others delivered before this node joined or jumped, by the numbers of messages.
    fn before(&self, history: &History, book: &Book<'_>, node: &Node<'_>) -> Vec<bool> {
        let mut before = vec![false; book.acknowledged.len()];
        let others = || history.events(&self.delivered.event).filter(|seen| seen.what.of.node != node.name);
        let mut came = |seen: &Seen<'_, Event>| {
            let message = seen.what.field(&self.delivered.field).and_then(|value| book.messages.known(value));
            message.into_iter().for_each(|message| before[message as usize] = true);
        };
        match (node.first, node.jumped) {
            (Some(first), _) => {
                // Where each life of another node has this delivery.
                let is_same = |seen: &Seen<'_, Event>| {
                    seen.what.field(&self.delivered.field) == first.what.field(&self.delivered.field)
                };
                let mut places = BTreeMap::new();
                for seen in others().filter(is_same) {
                    let of = &seen.what.of;
                    places.entry((&of.node, &of.process, of.life)).or_insert(seen.number);
                }
                for seen in others() {
                    let of = &seen.what.of;
                    let place = places.get(&(&of.node, &of.process, of.life));
                    place.is_some_and(|place| seen.number < *place).then(|| came(&seen));
                }
            }
            (None, Some(jumped)) => {
                others().filter(|seen| Moment::of(seen).earliest <= jumped.at).for_each(|seen| came(&seen));
            }
            (None, None) => {}
        }
        before
    }

    fn missing<'h>(&self, history: &History, book: &Book<'h>) -> Missing<'h> {
        let mut missing = Missing::default();
        let before: Vec<OnceCell<Vec<bool>>> = book.nodes.iter().map(|_| OnceCell::new()).collect();
        let mut all = Vec::with_capacity(book.nodes.len());
        for (message, seen) in book.acknowledged.iter().enumerate() {
            // Only what was certainly acknowledged later.
            let written = Moment::of(seen).earliest;
            let asked = |at: usize| {
                let node = &book.nodes[at];
                let has_come = || before[at].get_or_init(|| self.before(history, book, node))[message];
                match node.is_asked(written) {
                    Asked::Yes if !node.has[message] && has_come() => Asked::No,
                    asked => asked,
                }
            };
            all.clear();
            all.extend((0..book.nodes.len()).map(asked));
            missing.asked += u64::from(all.contains(&Asked::Yes));
            let who_lacks = |is: Asked| {
                let nodes = book.nodes.iter().zip(&all);
                nodes
                    .filter(move |(node, asked)| **asked == is && !node.has[message])
                    .map(|(node, _)| node.name.clone())
            };
            if missing.unclear.is_none() {
                missing.unclear = who_lacks(Asked::Unclear).next();
            }
            if who_lacks(Asked::Yes).next().is_some() {
                missing.lost += 1;
                missing.first.get_or_insert_with(|| (*seen, who_lacks(Asked::Yes).collect()));
            }
        }
        missing
    }

    fn violated(&self, missing: &Missing<'_>, book: &Book<'_>, at: RunTime) -> Option<Finding> {
        let (seen, who) = missing.first.as_ref()?;
        let name = seen.what.field(&self.sent.field)?;
        let all = who.len() == book.nodes.len() && who.len() > 1;
        let nodes = if all { "no node".to_owned() } else { listed(who) };
        let never = if all { "ever" } else { "never" };
        let others = match missing.lost {
            1 => String::new(),
            lost => format!(" ({lost} messages are lost like this)"),
        };
        let summary =
            format!("{name} was acknowledged at {}, and {nodes} {never} delivered it{others}", seen.what.of.node);
        let finding = Finding::violated(missing.asked, missing.lost, at, summary);
        let last = book.nodes.iter().filter(|node| who.contains(&node.name)).filter_map(|node| node.last);
        let finding = finding.showing_as(seen.number, format!("{} was told", self.sent.event));
        Some(last.take(4).fold(finding, |finding, last| {
            finding.showing_as(last.number, format!("the last that {} delivered", last.what.of.node))
        }))
    }
}

/// `a`, `a and b`, `a, b and c`
fn listed(names: &[Name]) -> String {
    match names {
        [] => "nobody".to_owned(),
        [only] => only.to_string(),
        [all @ .., last] => format!("{} and {last}", all.join(", ")),
    }
}

impl Check for NoLoss {
    fn judge(&self, history: &History) -> Finding {
        let (members, state) = quiescence::at_the_end(history, &self.cluster, &self.of);
        let book = self.book(history, &members);
        let missing = self.missing(history, &book);
        if book.acknowledgements == 0 {
            return Finding::never_exercised(format_args!("no {} occurred", self.sent.event));
        }
        if members.is_empty() {
            return Finding::never_exercised(format_args!("no node is {} at the end", self.of));
        }
        if book.without > 0 {
            let (sent, delivered) = (&self.sent, &self.delivered);
            let lines = book.acknowledgements + book.deliveries;
            let summary =
                format!("{} of {lines} {} and {} do not tell their message", book.without, sent.event, delivered.event);
            return Finding::unknown(missing.asked, summary);
        }
        if missing.asked == 0 && missing.unclear.is_none() {
            return Finding::never_exercised("whatever was acknowledged came before the nodes joined");
        }
        if let Some(why) = quiescence::unrest(&members, &state) {
            let lacks = match missing.lost {
                0 => String::new(),
                lost => format!(" ({lost} of {} acknowledged messages are missing)", missing.asked),
            };
            return Finding::unknown(missing.asked, format!("the cluster never came to rest: {why}{lacks}"));
        }
        if missing.first.is_some() {
            if let Some(why) = self.rest.why_not_quiet(history, book.changed) {
                return Finding::unknown(missing.asked, why);
            }
            let at = self.rest.quiet_at(history, book.changed);
            if let Some(finding) = self.violated(&missing, &book, at) {
                return finding;
            }
        }
        if let Some(node) = &missing.unclear {
            let summary = format!("it is not known what {node} must have: it delivered nothing since it joined");
            return Finding::unknown(missing.asked, summary);
        }
        let (messages, nodes) = (counted(missing.asked, "message"), counted(members.len(), "node"));
        Finding::held(missing.asked, format!("{messages} acknowledged, none lost at {nodes}"))
    }

    fn open_until(&self, history: &History) -> Option<RunTime> {
        if history.ended().is_some() {
            return None;
        }
        let (members, state) = quiescence::at_the_end(history, &self.cluster, &self.of);
        let book = self.book(history, &members);
        let missing = self.missing(history, &book);
        if missing.first.is_none() && missing.unclear.is_none() || quiescence::unrest(&members, &state).is_some() {
            return None;
        }
        self.rest.open_until(history, book.changed)
    }
}

#[cfg(test)]
mod tests {
    use super::super::Check;
    use super::super::delivery::testing::{ALL, Act, Drawn, SLICE, Script};
    use super::super::testing::check;
    use crate::network::Paths;
    use crate::observation::{Action, ActionVerb, Phase, What};
    use crate::stories::{Story, ms};
    use crate::verdict::{Finding, Outcome};

    const PLAIN: &str = "no_loss = { sent = 'acked.msg', delivered = 'delivered.msg', quiet = '1s', within = '5s' }";

    fn with(keys: &str) -> Box<dyn Check> {
        check(&PLAIN.replace(" }", &format!(", {keys} }}")))
    }

    /// m1 is accepted and delivered by all, m2 is accepted and c has not got it yet.
    fn story() -> Story {
        let mut story = Story::of(&["a", "b", "c"]);
        story.at(100).tells_of("a", "acked", "m1").tells_of("a", "acked", "m2");
        story.at(200);
        for node in ["a", "b", "c"] {
            story.delivers(node, "m1", 1, 1);
        }
        story.at(300).delivers("a", "m2", 2, 1).delivers("b", "m2", 2, 1);
        story
    }

    #[test]
    fn what_all_have_is_accepted_and_what_one_lacks_refused_once_all_is_quiet() {
        let mut complete = story();
        complete.at(400).delivers("c", "m2", 2, 1).end();
        assert_eq!(
            check(PLAIN).judge(&complete.history),
            Finding::held(2, "2 messages acknowledged, none lost at 3 nodes")
        );

        let mut lacking = story();
        assert_eq!(check(PLAIN).open_until(&lacking.history), Some(ms(1400) + std::time::Duration::from_nanos(1)));
        let finding = check(PLAIN).judge(&lacking.at(3000).end().history);
        assert_eq!(finding.summary, "m2 was acknowledged at a, and c never delivered it");
        assert_eq!((finding.outcome, finding.at, finding.checked), (Outcome::Violated, Some(ms(1300)), 2));
        let notes: Vec<_> = finding.evidence.iter().filter_map(|shown| shown.note.as_deref()).collect();
        assert_eq!(notes, ["acked was told", "the last that c delivered"]);
    }

    #[test]
    fn what_is_under_way_is_waited_for_and_not_for_ever() {
        let mut story = story();
        let early = check(PLAIN).judge(&story.clone().at(1300).end().history);
        assert_eq!(early.summary, "something may still be under way: it was not quiet for 1s at the end");
        story.at(400).push(What::Run(Phase::StepsDone));
        for half in 1..13_u64 {
            story.at(400 + half * 500).tells_of("a", "acked", &format!("n{half}"));
        }
        assert_eq!(check(PLAIN).open_until(&story.history), None);
        assert_eq!(check(PLAIN).judge(&story.at(6500).end().history).outcome, Outcome::Unknown);
    }

    #[test]
    fn a_run_that_never_comes_to_rest_shows_nothing() {
        let judged = |change: &dyn Fn(&mut Story)| {
            let mut story = story();
            story.at(400).delivers("c", "m2", 2, 1);
            change(&mut story);
            let finding = check(PLAIN).judge(&story.at(9000).end().history);
            assert_eq!(finding.outcome, Outcome::Unknown);
            finding.summary
        };
        assert_eq!(judged(&|story| _ = story.at(500).kill("c")), "the cluster never came to rest: c is down");
        assert_eq!(judged(&|story| _ = story.at(500).pause("c")), "the cluster never came to rest: c is frozen");
        let cut = |story: &mut Story| {
            let links = Some(Paths::Apart(vec![vec!["a".into()], vec!["b".into(), "c".into()]]));
            let action = Action { links, ..Action::new(ActionVerb::Partition, vec!["a".into()], Vec::new()) };
            story.at(500).push(What::Action(action.into()));
        };
        assert_eq!(judged(&cut), "the cluster never came to rest: a network fault was not healed");
        let mut story = story();
        story.at(500).kill("c");
        let finding = with("of = '!killed'").judge(&story.at(9000).end().history);
        assert_eq!(finding.summary, "2 messages acknowledged, none lost at 2 nodes");
        let finding = check(PLAIN).judge(&story.history);
        assert_eq!(
            finding.summary,
            "the cluster never came to rest: c is down (1 of 2 acknowledged messages are missing)"
        );
    }

    #[test]
    fn a_node_has_what_any_of_its_lives_delivered() {
        let mut story = story();
        story.at(400).delivers("c", "m2", 2, 1).at(500).kill("c").at(600).restart("c").at(9000).end();
        assert_eq!(check(PLAIN).judge(&story.history).outcome, Outcome::Held);
    }

    #[test]
    fn what_came_before_a_node_joined_or_jumped_is_not_asked_of_it() {
        let mut story = story();
        story.at(350).tells_of("a", "acked", "m4").delivers("a", "m4", 4, 1).delivers("b", "m4", 4, 1);
        story.at(500).kill("c").at(600).restart("c").at(700).says("c", "snapshot", &[]);
        story.at(800).tells_of("a", "acked", "m3");
        ["a", "b", "c"].into_iter().for_each(|node| _ = story.delivers(node, "m3", 3, 1));
        story.at(9000).end();
        assert_eq!(check(PLAIN).judge(&story.history).outcome, Outcome::Violated);
        assert_eq!(with("joins = 'late'").judge(&story.history).outcome, Outcome::Violated);
        assert_eq!(with("joins = 'anywhere'").judge(&story.history).outcome, Outcome::Held);
        assert_eq!(with("jumps = 'snapshot'").judge(&story.history).outcome, Outcome::Held);
    }

    #[test]
    fn a_node_that_joins_is_asked_from_its_first_delivery_on() {
        let mut story = Story::of(&["a", "b", "c"]);
        story.at(100).kill("c").at(5000).restart("c").at(5500).tells_of("a", "acked", "m2");
        story.delivers("a", "m2", 1, 1).delivers("b", "m2", 1, 1).at(5900).tells_of("a", "acked", "m3");
        for node in ["a", "b", "c"] {
            story.at(6000).delivers(node, "m3", 2, 1);
        }
        for keys in ["joins = 'anywhere'", "joins = 'late'"] {
            let finding = with(keys).judge(&story.clone().at(9000).end().history);
            assert_eq!(finding, Finding::held(1, "1 message acknowledged, none lost at 3 nodes"));
        }
        story.at(6100).tells_of("a", "acked", "m4").delivers("a", "m4", 3, 1).delivers("b", "m4", 3, 1);
        story.at(9000).end();
        for keys in ["joins = 'anywhere'", "joins = 'late'"] {
            let finding = with(keys).judge(&story.history);
            assert_eq!(finding.summary, "m4 was acknowledged at a, and c never delivered it");
        }
    }

    #[test]
    fn what_is_acknowledged_late_came_before_all_the_same() {
        let mut story = Story::of(&["a", "b", "c"]);
        story.at(100).kill("c").at(5000).delivers("a", "m1", 1, 1).delivers("a", "m2", 2, 1);
        story.delivers("b", "m1", 1, 1).delivers("b", "m2", 2, 1).at(5500).restart("c");
        story.at(5600).says("c", "snapshot", &[]).at(5700).delivers("c", "m2", 2, 1);
        story.at(5800).tells_of("b", "acked", "m1").tells_of("b", "acked", "m2").at(9000).end();
        for keys in ["joins = 'anywhere'", "joins = 'late'", "jumps = 'snapshot'"] {
            let finding = with(keys).judge(&story.history);
            assert_eq!(finding, Finding::held(2, "2 messages acknowledged, none lost at 3 nodes"), "{keys}");
        }
        assert_eq!(check(PLAIN).judge(&story.history).outcome, Outcome::Violated);
    }

    #[test]
    fn of_a_node_that_never_told_where_it_joined_it_is_not_known_what_it_lacks() {
        let mut story = story();
        story.at(500).kill("c").at(600).restart("c").at(700).tells_of("a", "acked", "m3");
        story.delivers("a", "m3", 3, 1).delivers("b", "m3", 3, 1).at(9000).end();
        let finding = with("joins = 'anywhere'").judge(&story.history);
        assert_eq!(finding.summary, "it is not known what c must have: it delivered nothing since it joined");
        assert_eq!(finding.outcome, Outcome::Unknown);
    }

    #[test]
    fn without_acknowledgements_or_their_messages_nothing_is_shown() {
        assert_eq!(check(PLAIN).judge(&Story::of(&["a"]).history).summary, "never exercised: no acked occurred");
        let mut story = story();
        story.says("a", "acked", &[]).at(9000).end();
        assert_eq!(check(PLAIN).judge(&story.history).summary, "1 of 8 acked and delivered do not tell their message");
    }

    /// The definition: what anybody heard of has every node delivered in some life. After a jump, only what was heard of later, and was
    /// delivered by nobody before what the node delivered next, or before the jump where it delivered nothing since.
    fn is_lost(script: &Script, jumps: bool) -> bool {
        let acts = script.0.iter().enumerate();
        let heard = acts
            .clone()
            .filter_map(|(at, (_, act))| if let Act::Hears(message) = act { Some((at, *message)) } else { None });
        heard.into_iter().any(|(at, message)| {
            (0..3).any(|node| {
                let of_node = || acts.clone().filter(move |(_, (of, _))| *of == node);
                let has = of_node().any(|(_, (_, act))| matches!(act, Act::Delivers(other, ..) if *other == message));
                let jumped = of_node().rfind(|(_, (_, act))| jumps && *act == Act::Jumps);
                let is_exempt = jumped.is_some_and(|(jump, _)| jump > at || came_before(script, node, jump, message));
                !has && !is_exempt
            })
        })
    }

    fn came_before(script: &Script, node: usize, jump: usize, message: u8) -> bool {
        let delivered = |(at, (of, act)): (usize, &(usize, Act))| match act {
            Act::Delivers(message, ..) => Some((at, *of, *message)),
            _ => None,
        };
        let told: Vec<(usize, usize, u8)> = script.0.iter().enumerate().filter_map(delivered).collect();
        let first = told.iter().find(|(at, of, _)| *of == node && *at > jump).map(|(_, _, message)| *message);
        let Some(first) = first else {
            return told.iter().any(|(at, of, other)| *of != node && *at < jump && *other == message);
        };
        (0..3).filter(|other| *other != node).flat_map(|other| script.lives(other)).any(|life| {
            let of_life = life.iter().filter_map(|act| if let Act::Delivers(of, ..) = act { Some(*of) } else { None });
            let of_life: Vec<u8> = of_life.collect();
            let place = |message: u8| of_life.iter().position(|other| *other == message);
            place(first).is_some_and(|first| place(message).is_some_and(|place| place < first))
        })
    }

    fn compare(numbers: std::ops::Range<u64>) -> [u64; 3] {
        let checks = [(false, check(PLAIN)), (true, with("jumps = 'snapshot'"))];
        let once = check(&PLAIN.replacen("no_loss", "exactly_once", 1));
        let mut outcomes = [0; 3];
        for number in numbers {
            let (jumps, check) = &checks[number as usize % 2];
            let drawn = Drawn { messages: 2 + number % 3, sends: true, views: false, jumps: *jumps };
            let mut script = drawn.script(number);
            // Often all three have everything.
            for node in 0..3 {
                let has = |message: u8| {
                    script
                        .0
                        .iter()
                        .any(|(of, act)| *of == node && matches!(act, Act::Delivers(other, ..) if *other == message))
                };
                let missing: Vec<u8> =
                    (0..drawn.messages as u8).filter(|message| !has(*message) && !number.is_multiple_of(5)).collect();
                script.0.extend(missing.into_iter().map(|message| (node, Act::Delivers(message, 0, 1))));
            }
            let history = script.history();
            let finding = check.judge(&history);
            outcomes[finding.outcome as usize] += 1;
            assert_eq!(
                finding.outcome == Outcome::Violated,
                is_lost(&script, *jumps),
                "{number}: {finding:?}\n{script:?}"
            );
            if !jumps {
                let delivers_twice = (0..3).flat_map(|node| script.lives(node)).any(|life| {
                    let told = life
                        .iter()
                        .filter_map(|act| if let Act::Delivers(message, ..) = act { Some(*message) } else { None });
                    let told: Vec<u8> = told.collect();
                    (0..told.len()).any(|at| told[at + 1..].contains(&told[at]))
                });
                let finding = once.judge(&history);
                assert_eq!(
                    finding.outcome == Outcome::Violated,
                    is_lost(&script, false) || delivers_twice,
                    "{number}: {finding:?}"
                );
            }
        }
        outcomes
    }

    #[test]
    fn it_agrees_with_the_definition_and_so_does_exactly_once() {
        let outcomes = compare(0..SLICE);
        assert!(outcomes.iter().all(|count| *count > SLICE / 50), "{outcomes:?}");
    }

    #[test]
    #[ignore = "a million histories: cargo test --release -p dsbench-core --lib a_million -- --ignored"]
    fn it_agrees_with_the_definition_on_a_million_histories() {
        compare(SLICE..ALL);
    }
}
