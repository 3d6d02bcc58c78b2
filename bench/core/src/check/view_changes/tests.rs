//! `view_changes` against the smallest histories it accepts and refuses, and against its definition.

use std::time::Duration;

use proptest::prelude::*;

use super::super::testing::{check, parse_for, read};
use super::*;
use crate::observation::{ActionVerb, Change, Life, Observation, Value, What};
use crate::stories::{NODES, Story, Turn, disturbance, ms, on_streams, placements, stretched, told};
use crate::verdict::Outcome;

const PLAIN: &str = "view_changes = { event = 'view', id = 'id', members = 'members' }";
const BOUNDED: &str =
    "view_changes = { event = 'view', id = 'id', members = 'members', leave_within = '3s', return_within = '2s' }";

fn judged(text: &str, story: &Story) -> Finding {
    check(text).judge(&story.history)
}

fn all_view(story: &mut Story, id: i64, members: &[&str]) {
    members.iter().for_each(|node| _ = story.view(node, id, members));
}

/// Three nodes that formed a group, of which c is killed at 1 s, left at 3 s, came back at 5 s and is in again at 6 s.
fn changes() -> Story {
    let mut story = Story::of(&["a", "b", "c"]);
    all_view(story.at(100), 1, &["a", "b", "c"]);
    story.at(1000).kill("c");
    all_view(story.at(3000), 2, &["a", "b"]);
    story.at(5000).restart("c");
    all_view(story.at(6000), 3, &["a", "b", "c"]);
    story
}

#[test]
fn who_leaves_and_returns_in_time_is_accepted() {
    let mut story = changes();
    let finding = judged(BOUNDED, story.at(9000).end());
    assert_eq!(
        finding,
        Finding::held(8, "3 views, told 8 times; out after at most 2.00s of 3s; back after at most 1.00s of 2s")
    );
}

#[test]
fn a_view_without_its_own_node_is_refused() {
    let mut story = Story::of(&["a", "b"]);
    assert_eq!(judged(PLAIN, &story).summary, "never exercised: no view occurred");
    story.at(1).view("a", 1, &["a", "b"]);
    assert_eq!(judged(PLAIN, &story), Finding::held(1, "1 view, told 1 times"));
    story.at(2).view("b", 2, &["a"]);
    let finding = judged(PLAIN, &story);
    assert_eq!(finding.summary, "view 2 at b does not hold b itself");
    assert_eq!((finding.at, finding.violations, finding.evidence.len()), (Some(ms(2)), 1, 1));
}

#[test]
fn ids_that_do_not_rise_are_refused_in_each_life() {
    let mut story = Story::of(&["a"]);
    story.at(1).view("a", 2, &["a"]).at(2).kill("a").at(3).restart("a").at(4).view("a", 1, &["a"]);
    // In a new life, 1 is another id than 2; over all lives it is below.
    assert_eq!(judged(PLAIN, &story).outcome, Outcome::Held);
    let per_node = PLAIN.replace(" }", ", per = 'node' }");
    assert_eq!(judged(&per_node, &story).summary, "a installs view 1 after view 2");
    story.at(5).view("a", 1, &["a"]);
    assert_eq!(judged(PLAIN, &story).summary, "a installs view 1 again");
}

#[test]
fn opaque_ids_may_come_in_any_order_but_not_again() {
    let opaque = PLAIN.replace(" }", ", ids = 'opaque' }");
    let mut story = Story::of(&["a"]);
    story.at(1).view("a", 7, &["a"]).at(2).view("a", 3, &["a"]);
    assert_eq!(judged(&opaque, &story).outcome, Outcome::Held);
    story.at(3).view("a", 7, &["a"]);
    assert_eq!(judged(&opaque, &story).summary, "a installs view 7 again");
}

#[test]
fn one_id_with_two_sets_of_members_is_refused_whatever_their_order() {
    let mut story = Story::of(&["a", "b"]);
    story.at(1).view("a", 1, &["a", "b"]).view("b", 1, &["b", "a"]);
    assert_eq!(judged(PLAIN, &story).outcome, Outcome::Held);
    story.at(2).view("a", 2, &["a"]).at(3).view("b", 2, &["b", "stranger"]);
    assert_eq!(judged(PLAIN, &story).summary, "view 2 is {a} at a and {b,stranger} at b");
    let mut strangers = Story::of(&["a", "b"]);
    strangers.at(1).view("a", 1, &["a", "b", "x"]).view("b", 1, &["b", "a", "y"]);
    assert_eq!(judged(PLAIN, &strangers).outcome, Outcome::Violated);
}

#[test]
fn a_dead_member_that_stays_in_the_view_too_long_is_refused() {
    let mut story = Story::of(&["a", "b", "c"]);
    all_view(story.at(100), 1, &["a", "b", "c"]);
    story.at(1000).kill("c").at(3000).view("a", 2, &["a", "b"]);
    let open = check(BOUNDED).open_until(&story.history);
    assert_eq!(open, Some(ms(4100) + Duration::from_nanos(1)));
    let mut cut = story.clone();
    let finding = judged(BOUNDED, cut.at(4000).end());
    assert_eq!(finding.outcome, Outcome::Unknown);
    assert!(
        finding
            .summary
            .ends_with("c is down, and was in the view of b for more than 3s: the run ended before the limit")
    );

    let mut late = story.clone();
    late.at(4001).view("b", 2, &["a", "b"]).at(9000).end();
    let finding = judged(BOUNDED, &late);
    assert_eq!(finding.summary, "c is down, and was in the view of b for more than 3s");
    assert_eq!((finding.at, finding.violations), (Some(ms(4000)), 1));
    assert_eq!(judged(BOUNDED, story.at(9000).end()).outcome, Outcome::Violated);
}

#[test]
fn a_ghost_that_returns_to_the_views_is_refused_if_it_stays() {
    let mut story = changes();
    story.at(7000).kill("c").at(8000).view("a", 4, &["a", "b"]).view("b", 4, &["a", "b"]);
    story.at(9000).view("a", 5, &["a", "b", "c"]);
    let mut brief = story.clone();
    brief.at(12_000).view("a", 6, &["a", "b"]).at(20_000).end();
    assert_eq!(judged(BOUNDED, &brief).outcome, Outcome::Held);
    assert_eq!(judged(BOUNDED, story.at(20_000).end()).outcome, Outcome::Violated);
}

#[test]
fn a_node_that_came_back_must_be_in_the_views_of_those_that_knew_it() {
    let mut story = Story::of(&["a", "b", "c"]);
    all_view(story.at(100), 1, &["a", "b", "c"]);
    story.at(1000).kill("c");
    all_view(story.at(2000), 2, &["a", "b"]);
    story.at(5000).restart("c").at(6000).view("a", 3, &["a", "b", "c"]).view("c", 3, &["a", "b", "c"]).at(9000).end();
    let finding = judged(BOUNDED, &story);
    assert_eq!(finding.summary, "c runs, and was not in the view of b for more than 2s");
    assert_eq!(finding.at, Some(ms(7000)));
}

#[test]
fn a_restarted_node_needs_a_view_of_its_own() {
    let mut story = Story::of(&["a", "b", "c"]);
    all_view(story.at(100), 1, &["a", "b", "c"]);
    story.at(1000).kill("c").at(1200).restart("c").at(9000).end();
    // Nobody noticed that it was gone. It itself has no view any more, and what it told before is none.
    assert_eq!(judged(BOUNDED, &story).summary, "a runs, and was not in the view of c for more than 2s");
}

#[test]
fn what_is_disturbed_again_in_the_meantime_is_not_judged() {
    let mut story = Story::of(&["a", "b", "c", "d"]);
    let within = "view_changes = { event = 'view', id = 'id', members = 'members', leave_within = '3s' }";
    let four = parse_for(&["a", "b", "c", "d"], within).expect("a check");
    all_view(story.at(100), 1, &["a", "b", "c", "d"]);
    story.at(1000).kill("c").at(3900).pause("d").at(6800).resume("d").at(7000);
    all_view(&mut story, 2, &["a", "b", "d"]);
    assert_eq!(four.judge(&story.at(12_000).end().history).outcome, Outcome::Held);
}

#[test]
fn without_a_majority_nothing_is_asked_and_nothing_shown() {
    let mut story = Story::of(&["a", "b", "c"]);
    all_view(story.at(100), 1, &["a", "b", "c"]);
    story.at(1000).kill("c").kill("b").at(9000).end();
    let finding = judged(BOUNDED, &story);
    let why = "never exercised: no node that went down left a view while a majority ran undisturbed";
    assert_eq!((finding.outcome, finding.summary.as_str()), (Outcome::Unknown, why));
}

#[test]
fn a_bound_that_nothing_put_to_the_test_shows_nothing() {
    let mut story = Story::of(&["a", "b", "c"]);
    all_view(story.at(100), 1, &["a", "b", "c"]);
    story.at(1000).kill("c");
    all_view(story.at(2000), 2, &["a", "b"]);
    let finding = judged(BOUNDED, story.at(9000).end());
    let why = "never exercised: no node that came back was in a view again while a majority ran undisturbed";
    assert_eq!(finding.summary, why);
}

#[test]
fn a_stall_of_the_bench_extends_the_bounds() {
    let mut story = Story::of(&["a", "b", "c"]);
    all_view(story.at(100), 1, &["a", "b", "c"]);
    story.at(1000).kill("c").at(3500).stall(2500).at(4900);
    let mut later = story.clone();
    all_view(&mut story, 2, &["a", "b"]);
    story.at(5500).restart("c");
    all_view(story.at(6000), 3, &["a", "b", "c"]);
    let finding = judged(BOUNDED, story.at(9000).end());
    assert_eq!(finding.outcome, Outcome::Unknown);
    assert!(finding.summary.ends_with("the bench itself was late"), "{}", finding.summary);
    all_view(later.at(5001), 2, &["a", "b"]);
    assert_eq!(judged(BOUNDED, later.at(9000).end()).outcome, Outcome::Violated);
}

#[test]
fn too_many_views_are_refused_and_too_few_show_nothing() {
    let story = changes();
    let with = |bounds: &str| judged(&PLAIN.replace(" }", &format!(", {bounds} }}")), &story);
    assert_eq!(with("min = 3, max = 3").outcome, Outcome::Held);
    assert_eq!(with("min = 4").summary, "3 different views (need 4)");
    let finding = with("max = 2");
    assert_eq!((finding.summary.as_str(), finding.at), ("3 different views (at most 2)", Some(ms(6000))));
}

#[test]
fn views_on_two_streams_have_no_order_that_bounds_could_be_judged_by() {
    let mut story = changes();
    story.at(6100).on_stderr().view("a", 4, &["a", "b", "c"]);
    let finding = judged(BOUNDED, story.at(9000).end());
    assert_eq!(
        (finding.outcome, finding.summary.as_str()),
        (Outcome::Unknown, "a tells its views on two streams, whose order is not known")
    );
}

#[test]
fn a_line_that_does_not_tell_its_view_hides_something() {
    let mut story = changes();
    story.says("a", "view", &[("id", Value::Int(9))]);
    assert_eq!(judged(PLAIN, &story).summary, "1 of 9 view do not tell their `id` and `members`");
}

const LIMIT: u64 = 3;

/// One view as the definition sees it.
struct Told<'h> {
    of: &'h Life,
    id: i64,
    members: Vec<&'h str>,
}

fn view_of(observation: &Observation) -> Option<Told<'_>> {
    let What::Event(event) = &observation.what else { return None };
    match (event.field("id"), event.field("members")) {
        (Some(Value::Int(id)), Some(Value::Nodes(members))) => {
            Some(Told { of: &event.of, id: *id, members: members.iter().map(|member| &**member).collect() })
        }
        _ => None,
    }
}

/// The rules of single views and of pairs, pair by pair, for one order of the lines.
fn are_views_wrong(history: &History, way: &[u64], over_lives: bool) -> bool {
    let views: Vec<_> = history.judged().filter_map(|seen| Some((seen.number, view_of(seen)?))).collect();
    let excludes_itself = views.iter().any(|(_, view)| !view.members.contains(&&*view.of.node));
    let pairs = || views.iter().flat_map(|a| views.iter().map(move |b| (a, b)));
    let differs = pairs().any(|((_, a), (_, b))| a.id == b.id && a.members != b.members);
    let is_before =
        |a: u64, of_a: &Life, b: u64, of_b: &Life| (of_a.life, way[a as usize], a) < (of_b.life, way[b as usize], b);
    let falls = pairs().any(|((n, a), (m, b))| {
        let compared = a.of.node == b.of.node && (over_lives || a.of == b.of);
        compared && is_before(*n, a.of, *m, b.of) && b.id <= a.id
    });
    excludes_itself || differs || falls
}

/// What the definition says of the bounds, instant by instant: is one exceeded, is one undecided, and how often was each put to the test?
#[derive(Debug, PartialEq, Eq)]
struct Bounds {
    is_violated: bool,
    is_undecided: bool,
    has_left: bool,
    has_returned: bool,
}

fn bounds_by_definition(history: &History) -> Bounds {
    let seen: Vec<_> = history.judged().collect();
    let at = |observation: &Observation| observation.at.0 / 1_000_000;
    let horizon = history.horizon().0 / 1_000_000;
    // What was written in the last 100 ms may still be on its way.
    let known = horizon.saturating_sub(1);
    let turns: Vec<usize> = (0..seen.len()).filter(|&index| super::super::disturbance::disturbs(seen[index])).collect();
    let mut bounds = Bounds { is_violated: false, is_undecided: false, has_left: false, has_returned: false };
    for (nth, &turn) in turns.iter().enumerate() {
        let (from, next) = (at(seen[turn]), turns.get(nth + 1).map(|&next| at(seen[next])));
        let until = next.unwrap_or(horizon + 1);
        let status = |node: &str| status(&seen[..=turn], node);
        let live: Vec<_> = NODES.into_iter().filter(|node| status(node).is_live).collect();
        if live.len() < 2 || from >= until {
            continue;
        }
        for teller in &live {
            let life = status(teller).life;
            let told_by = |instant: u64| {
                let of_teller = move |view: &Told<'_>| &*view.of.node == *teller;
                seen.iter().filter(move |seen| at(seen) <= instant).filter_map(|seen| view_of(seen)).filter(of_teller)
            };
            for node in NODES {
                // 0: right, 1: wrong because it holds the dead, 2: wrong because it lacks the living.
                let wrong = |instant: u64| {
                    let is_in = told_by(instant).rfind(|view| view.of.life == life);
                    let is_in = is_in.is_some_and(|view| view.members.contains(&node));
                    let is_known = told_by(instant).any(|view| view.members.contains(&node));
                    let status = status(node);
                    match () {
                        () if status.is_down && is_in => 1,
                        () if status.is_live && is_known && !is_in => 2,
                        () => 0,
                    }
                };
                let mut since = None;
                for instant in from..until {
                    match (wrong(instant), since) {
                        (0, Some(begun)) => {
                            bounds.is_violated |= instant - begun > LIMIT;
                            since = None;
                        }
                        (1.., None) => since = Some(instant),
                        _ => {}
                    }
                }
                let is_right_at_the_end =
                    since.is_none() && told_by(until - 1).any(|view| view.members.contains(&node));
                bounds.has_left |= is_right_at_the_end && status(node).is_down;
                bounds.has_returned |= is_right_at_the_end && status(node).is_live && status(node).has_returned;
                match (since, next) {
                    (Some(begun), Some(next)) => bounds.is_violated |= next - begun > LIMIT,
                    (Some(begun), None) if known > begun + LIMIT => bounds.is_violated = true,
                    (Some(_), None) => bounds.is_undecided = true,
                    (None, _) => {}
                }
            }
        }
    }
    bounds
}

/// What became of a node, by looking at everything that was seen of it.
struct Status {
    is_live: bool,
    is_down: bool,
    has_returned: bool,
    life: u32,
}

fn status(seen: &[&Observation], node: &str) -> Status {
    let mut status = Status { is_live: false, is_down: false, has_returned: false, life: 0 };
    for observation in seen {
        match &observation.what {
            What::Process(process) if &*process.of.node == node => match process.change {
                Change::Started { .. } => {
                    status.life = process.of.life;
                    (status.is_live, status.is_down) = (true, false);
                    status.has_returned |= status.life > 1;
                }
                Change::Exited { .. } => (status.is_live, status.is_down) = (false, true),
                _ => {}
            },
            What::Action(action) if action.hit.iter().any(|of| &*of.node == node) => match action.verb {
                ActionVerb::Kill | ActionVerb::Pause => status.is_live = false,
                ActionVerb::Resume => {
                    status.is_live = true;
                    status.has_returned = true;
                }
                _ => {}
            },
            _ => {}
        }
    }
    status
}

/// Histories of views, of which many are right.
fn viewing(wait: u64, early: u64, turns: usize) -> impl Strategy<Value = History> {
    let members = prop_oneof![3 => Just(7_u8), 2 => Just(3), 2 => Just(5), 1 => Just(6), 1 => 0..8_u8];
    let turn = prop_oneof![
        5 => (0..3_u8, 1..9_i64, members).prop_map(|(node, id, members)| Turn::Views(node, id, members)),
        2 => disturbance(),
    ];
    told(turn, wait, early, turns)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn views_agree_with_the_definition(history in viewing(4, 1, 8), over_lives in any::<bool>()) {
        let per = if over_lives { "node" } else { "life" };
        let finding = check(&PLAIN.replace(" }", &format!(", per = '{per}' }}"))).judge(&history);
        let way: Vec<_> = history.observations().iter().map(|seen| seen.number).collect();
        let expected = match are_views_wrong(&history, &way, over_lives) {
            true => Outcome::Violated,
            false if history.events("view").len() == 0 => Outcome::Unknown,
            false => Outcome::Held,
        };
        prop_assert_eq!(finding.outcome, expected, "{:?}", finding);
    }

    #[test]
    fn views_on_two_streams_are_decided_only_if_every_order_decides_so(
        history in viewing(6, 4, 6), stderr in prop::collection::vec(any::<bool>(), 8),
    ) {
        let history = on_streams(&history, &stderr);
        let outcome = check(PLAIN).judge(&history).outcome;
        let ways = placements(&history);
        prop_assume!(ways.len() < 200);
        for way in ways {
            let is_wrong = are_views_wrong(&history, &way, false);
            prop_assert!(outcome != Outcome::Held || !is_wrong);
            prop_assert!(outcome != Outcome::Violated || is_wrong);
        }
    }

    #[test]
    fn bounds_agree_with_the_definition(history in viewing(4, 1, 16)) {
        // The definition knows no views that last for no time.
        let told: Vec<_> = history.events("view").map(|view| (&view.what.of, view.at)).collect();
        let has_changed_twice = |nth: usize| told[..nth].contains(&told[nth]);
        prop_assume!(!(0..told.len()).any(has_changed_twice));
        let expected = bounds_by_definition(&history);
        let bounded = "view_changes = { event = 'view', id = 'id', members = 'members', leave_within = '300ms', return_within = '300ms' }";
        let history = stretched(&history, 100);
        let check = read(&NODES, bounded, |_, table, names| ViewChanges::parse(table, names)).0.expect("a check");
        let views = Views::of(&check, &history);
        let membership = check.membership(&history, &views);
        let any = |is: fn(&Judged) -> bool| membership.iter().any(is);
        let found = Bounds {
            is_violated: any(|judged| judged.kept.found.violations > 0),
            is_undecided: any(|judged| judged.kept.found.undecided.is_some()),
            has_left: membership[0].kept.decided > membership[0].kept.found.violations,
            has_returned: membership[1].kept.decided > membership[1].kept.found.violations,
        };
        prop_assert_eq!(found, expected);
    }
}
