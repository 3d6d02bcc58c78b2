//! Who is in the views of whom, and for how long a view may be wrong about it.
//!
//! A calm is the time from one disturbance until the next. In a calm in which more than half of the group runs, a node that is down may
//! stay in the view of one that runs for at most `leave_within`, and a node that runs may be missing from it for at most `return_within`,
//! if it had been in a view of it before. Both count from the beginning of the calm, or from the view that made it wrong; a time that the
//! next disturbance ends says nothing. Views are a sequence in each life: what a node told before it was restarted is no view of it now.

use std::collections::BTreeMap;
use std::time::Duration;

use super::calm::Calm;
use super::nodes::Set;
use super::views::{Fault, Found, View, Views};
use crate::check::moment::{Moment, bound, decided_after, known_until};
use crate::check::spans::Spans;
use crate::history::{History, LifeSpan};
use crate::observation::{Life, Name};
use crate::time::RunTime;

/// In which way a view can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrong {
    /// It holds a node that is down.
    Holds,
    /// It lacks a node that runs.
    Lacks,
}

/// How long views may be wrong in one way.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit {
    pub(super) wrong: Wrong,
    pub(super) within: Duration,
}

/// What was found of a limit.
#[derive(Debug, Default)]
pub(super) struct Kept {
    pub(super) found: Found,
    /// How often a node was seen to be out of (or back in) the view of another one, or was not in time.
    pub(super) decided: u64,
    /// The longest that a view was wrong and became right in time.
    pub(super) worst: Duration,
    /// When a time that still runs is over.
    pub(super) open: Option<RunTime>,
}

/// When a view became wrong about a node, and what made it so.
#[derive(Debug, Clone, Copy)]
struct Since {
    when: Moment,
    number: u64,
}

/// What ends the time in which a view is wrong.
#[derive(Debug, Clone, Copy)]
enum End {
    /// A view that is right.
    View {
        when: Moment,
        number: u64,
    },
    Disturbance(RunTime),
    Horizon,
}

/// Looks at the views of all nodes in all calms.
pub(super) struct Membership<'h, 'v> {
    history: &'h History,
    views: &'v Views<'h>,
    calms: &'v [Calm],
    stalls: Spans,
    /// From when on each node, by index, had come back from somewhere.
    returned: Vec<RunTime>,
}

impl<'h, 'v> Membership<'h, 'v> {
    pub(super) fn new(history: &'h History, views: &'v Views<'h>, calms: &'v [Calm]) -> Self {
        let returned = |index| returned(history, views.nodes.name(index));
        let returned = (0..views.nodes.len()).map(returned).collect();
        Self { history, views, calms, stalls: Spans::stalls(history), returned }
    }

    /// Judges a limit.
    pub(super) fn kept(&self, limit: Limit) -> Kept {
        let mut tellers: BTreeMap<(&Name, &Name), Vec<&View<'h>>> = BTreeMap::new();
        for view in &self.views.by_number {
            let Life { node, process, .. } = &view.seen.what.of;
            tellers.entry((node, process)).or_default().push(view);
        }
        let mut kept = Kept::default();
        for ((node, process), mut told) in tellers {
            let Some(index) = self.views.nodes.index(node) else { continue };
            // Lives follow one another; of one stream the order is that of the numbers.
            told.sort_by_key(|view| (view.seen.what.of.life, view.seen.number));
            if let Some((first, second)) = two_streams(&told) {
                let summary = format!("{node} tells its views on two streams, whose order is not known");
                let fault = Fault::new(second.seen.at, summary, &[first.seen.number, second.seen.number]);
                kept.found.undecided.get_or_insert(fault);
                continue;
            }
            let told = placed(&told);
            self.teller(&Teller { node, process, index, told: &told }, limit, &mut kept);
        }
        kept
    }

    fn teller(&self, teller: &Teller<'h, '_>, limit: Limit, kept: &mut Kept) {
        let told = teller.told;
        let (mut next, mut known) = (0, Set::default());
        for calm in self.calms.iter().filter(|calm| calm.live.has(teller.index)) {
            let Some(life) = present_life(self.history, teller, calm.from) else { continue };
            let is_of = |view: &&Placed<'h, '_>| view.of.seen.what.of.life == life;
            // What it has told by the beginning of the calm, in whatever life.
            let is_before = |view: &&Placed<'h, '_>| {
                view.of.seen.what.of.life < life || is_of(view) && view.when.latest <= calm.from
            };
            while let Some(view) = told.get(next).filter(is_before) {
                known = known.or(&view.of.members.nodes);
                next += 1;
            }
            let current = next.checked_sub(1).map(|last| &told[last]).filter(is_of);
            let mut course = InCalm::begin(self, calm, limit, known.clone(), current);
            // What may have been told before its end, which is not certainly so: the next calm looks at it again.
            let is_within =
                |view: &&Placed<'h, '_>| is_of(view) && calm.until.is_none_or(|until| view.when.earliest < until);
            told[next..].iter().take_while(is_within).for_each(|view| course.install(view, teller, kept));
            course.end(teller, kept);
        }
    }
}

/// Two views of one life that were not told on the same stream.
fn two_streams<'t, 'h>(told: &[&'t View<'h>]) -> Option<(&'t View<'h>, &'t View<'h>)> {
    let differ = |pair: &&[&View<'_>]| {
        let [a, b] = [pair[0].seen.what, pair[1].seen.what];
        a.of == b.of && a.source() != b.source()
    };
    told.windows(2).find(differ).map(|pair| (pair[0], pair[1]))
}

/// When each view was installed.
fn placed<'h, 'v>(told: &[&'v View<'h>]) -> Vec<Placed<'h, 'v>> {
    let mut placed: Vec<Placed<'h, 'v>> = Vec::with_capacity(told.len());
    for view in told {
        let mut when = Moment::of(&view.seen);
        if let Some(before) = placed.last().filter(|before| before.of.seen.what.of == view.seen.what.of) {
            when = Moment {
                earliest: when.earliest.max(before.when.earliest),
                latest: when.latest.max(before.when.latest),
            };
        }
        placed.push(Placed { of: view, when });
    }
    placed
}

/// A view with the time at which it was installed: not before the one before it.
struct Placed<'h, 'v> {
    of: &'v View<'h>,
    when: Moment,
}

/// A process that tells views, in the order of its lives and lines.
struct Teller<'h, 'v> {
    node: &'h Name,
    process: &'h Name,
    index: usize,
    told: &'v [Placed<'h, 'v>],
}

/// The views of one teller in one calm.
struct InCalm<'h, 'm> {
    membership: &'m Membership<'h, 'm>,
    calm: &'m Calm,
    limit: Limit,
    /// Whom the teller has had in a view.
    known: Set,
    /// About whom its view is wrong, and since when.
    wrong: Set,
    since: BTreeMap<usize, Since>,
}

impl<'h, 'm> InCalm<'h, 'm> {
    fn begin(
        membership: &'m Membership<'h, 'm>,
        calm: &'m Calm,
        limit: Limit,
        known: Set,
        current: Option<&Placed<'h, '_>>,
    ) -> Self {
        let mut this = Self { membership, calm, limit, known, wrong: Set::default(), since: BTreeMap::new() };
        this.wrong = this.wrong_in(current.map_or(&Set::default(), |view| &view.of.members.nodes));
        let since = Since { when: Moment::exact(calm.from), number: calm.number };
        this.since = this.wrong.indexes().map(|index| (index, since)).collect();
        this
    }

    /// About whom a view would be wrong.
    fn wrong_in(&self, view: &Set) -> Set {
        match self.limit.wrong {
            Wrong::Holds => self.calm.down.and(view),
            Wrong::Lacks => self.calm.live.and(&self.known).without(view),
        }
    }

    fn install(&mut self, view: &Placed<'h, '_>, teller: &Teller<'h, '_>, kept: &mut Kept) {
        let members = &view.of.members.nodes;
        self.known = self.known.or(members);
        let wrong = self.wrong_in(members);
        let within = |at: RunTime| at.max(self.calm.from).min(self.calm.until.unwrap_or(RunTime::NEVER));
        let when = Moment { earliest: within(view.when.earliest), latest: within(view.when.latest) };
        for index in self.wrong.without(&wrong).indexes() {
            let since = self.since.remove(&index);
            self.close(index, since, End::View { when, number: view.of.seen.number }, teller, kept);
        }
        for index in wrong.without(&self.wrong).indexes() {
            self.since.insert(index, Since { when, number: view.of.seen.number });
        }
        self.wrong = wrong;
    }

    fn end(mut self, teller: &Teller<'h, '_>, kept: &mut Kept) {
        let asked = match self.limit.wrong {
            Wrong::Holds => self.calm.down.clone(),
            Wrong::Lacks => self.calm.live.clone(),
        };
        // One that was always there shows nothing of how nodes come back.
        let shows = |index: &usize| match self.limit.wrong {
            Wrong::Holds => true,
            Wrong::Lacks => self.membership.returned[*index] <= self.calm.from,
        };
        kept.decided += asked.and(&self.known).without(&self.wrong).indexes().filter(shows).count() as u64;
        let end = self.calm.until.map_or(End::Horizon, End::Disturbance);
        for (index, since) in std::mem::take(&mut self.since) {
            self.close(index, Some(since), end, teller, kept);
        }
    }

    /// The end of a time in which the view was wrong about a node.
    fn close(&self, index: usize, since: Option<Since>, end: End, teller: &Teller<'h, '_>, kept: &mut Kept) {
        let Some(since) = since else { return };
        let Membership { history, stalls, views, .. } = self.membership;
        let Limit { wrong, within } = self.limit;
        let end_moment = match end {
            End::View { when, .. } => when,
            End::Disturbance(at) => Moment::exact(at),
            End::Horizon => Moment { earliest: known_until(history), latest: history.horizon() },
        };
        let elapses = stalls.after_uncovered(since.when.latest, within);
        let subject = views.nodes.name(index);
        let told = |why: &str| {
            let Teller { node, .. } = teller;
            let limit = bound(within);
            match wrong {
                Wrong::Holds => format!("{subject} is down, and was in the view of {node} for more than {limit}{why}"),
                Wrong::Lacks => format!("{subject} runs, and was not in the view of {node} for more than {limit}{why}"),
            }
        };
        if end_moment.earliest > elapses {
            kept.decided += 1;
            kept.found.violated(elapses, || {
                let mut fault = Fault::new(elapses, told(""), &[]);
                fault.evidence.push((since.number, Some(format!("{} from here", bound(within)))));
                if let End::View { number, .. } = end {
                    fault.evidence.push((number, Some("too late".into())));
                }
                fault
            });
            return;
        }
        let in_time = since.when.latest + within;
        let why = match end {
            End::View { when, .. } if when.latest.since(since.when.earliest) <= within => {
                kept.worst = kept.worst.max(when.latest.since(since.when.latest));
                return;
            }
            // What comes after a disturbance says nothing; but what came before it came too late, if the bench was not late itself.
            End::Disturbance(at) if at <= in_time => return,
            End::View { when, .. } if when.earliest <= in_time => "the times of the lines are not sure enough",
            End::View { .. } | End::Disturbance(_) => "the bench itself was late",
            End::Horizon => {
                kept.open = kept.open.max(Some(decided_after(elapses)));
                if end_moment.earliest > in_time {
                    "the bench itself was late"
                } else {
                    "the run ended before the limit"
                }
            }
        };
        let fault = Fault::new(elapses, format!("it is not known if {}: {why}", told("")), &[since.number]);
        kept.found.undecided.get_or_insert(fault);
    }
}

/// The life that a teller lives at an instant.
fn present_life(history: &History, teller: &Teller<'_, '_>, at: RunTime) -> Option<u32> {
    let lives = history.lives(teller.node).filter(|life| life.of.process == *teller.process);
    lives.filter(|life| life.is_up(at)).map(|life| life.of.life).last()
}

/// When a node had come back for the first time: it was started again, or woke up.
fn returned(history: &History, node: &Name) -> RunTime {
    let of_life = |life: &LifeSpan| {
        let restarted = (life.of.life > 1).then_some(life.started);
        life.pauses.iter().filter_map(|pause| pause.until).chain(restarted).min()
    };
    history.lives(node).filter_map(of_life).min().unwrap_or(RunTime::NEVER)
}
