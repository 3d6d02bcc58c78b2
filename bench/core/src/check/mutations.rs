//! A good run, and the mistakes that a cluster could have made in it: each is caught, and by the checks that are about it.

use super::testing::check;
use crate::observation::{Exit, PANIC};
use crate::stories::Story;
use crate::verdict::Outcome;

/// Three nodes; the leader is killed and comes back, then the next one is frozen and wakes up. The default is a good run.
struct Run {
    first_leads: u64,
    first_term: i64,
    second_leads: u64,
    second_term: i64,
    third_leads: Option<u64>,
    /// When the frozen leader, awake again, steps down and follows the third.
    wakes_to_follow: Option<u64>,
    /// Whom the killed node follows in the end.
    returned_follows: &'static str,
    also_leads: Option<(&'static str, i64)>,
    panics: bool,
    crashes: bool,
    /// The view that is installed when the killed node has been noticed.
    second_view: (i64, &'static [&'static str]),
    /// The others go on without the node that came back.
    shut_out: bool,
    /// What the returned node applies.
    catches_up: (i64, &'static str),
    /// What is left at a node that has given one of ten to another.
    gave: i64,
    /// What becomes of messages.
    messages: Messages,
}

/// What nodes do with the messages that they get.
#[derive(Clone, Copy, PartialEq)]
enum Messages {
    AllInOrder,
    /// The node that came back never gets what it missed.
    LosesOnReturn,
    /// A node never gets the last one.
    LosesLast,
    Swaps,
    Repeats,
    /// A node takes one for another view's.
    MovesToAnotherView,
}

impl Default for Run {
    fn default() -> Self {
        Self {
            first_leads: 100,
            first_term: 1,
            second_leads: 2500,
            second_term: 2,
            third_leads: Some(6800),
            wakes_to_follow: Some(9100),
            returned_follows: "c",
            also_leads: None,
            panics: false,
            crashes: false,
            second_view: (2, &["b", "c"]),
            shut_out: false,
            catches_up: (2, "y"),
            gave: 9,
            messages: Messages::AllInOrder,
        }
    }
}

impl Run {
    fn story(&self) -> Story {
        let mut tale = Tale::default();
        self.elections(&mut tale);
        self.group(&mut tale);
        self.messages(&mut tale);
        tale.at(2000, |story| story.kill("a")).at(5300, |story| story.restart("a"));
        tale.at(6000, |story| story.pause("b")).at(9000, |story| story.resume("b"));
        if self.panics {
            tale.at(12_000, |story| story.says("a", PANIC, &[]));
        }
        if self.crashes {
            tale.at(12_000, |story| story.exit("a", Exit::Signal(11), false));
        }
        tale.at(20_000, Story::end);
        tale.told_of(&["a", "b", "c"])
    }

    fn elections(&self, tale: &mut Tale) {
        let (first, second) = (self.first_term, self.second_term);
        tale.at(self.first_leads, move |story| story.leads("a", first).follows("b", "a").follows("c", "a"));
        tale.at(self.second_leads, move |story| story.leads("b", second).follows("c", "b"));
        tale.at(5400, |story| story.follows("a", "b"));
        if let Some(third) = self.third_leads {
            tale.at(third, |story| story.leads("c", 3));
        }
        if let Some((node, term)) = self.also_leads {
            tale.at(6850, move |story| story.leads(node, term).says(node, "stepped_down", &[]));
        }
        let follows = self.returned_follows;
        tale.at(6900, move |story| story.follows("a", follows));
        if let Some(awake) = self.wakes_to_follow {
            tale.at(awake, |story| story.says("b", "stepped_down", &[]).follows("b", "c"));
        }
    }

    /// Views, a replicated log, and energy that changes hands.
    fn group(&self, tale: &mut Tale) {
        let (second_view, catches_up, gave, shut_out) = (self.second_view, self.catches_up, self.gave, self.shut_out);
        for node in ["a", "b", "c"] {
            tale.at(1200, |story| story.view(node, 1, &["a", "b", "c"]).applied(node, 1, "x").holds(node, 10));
            tale.at(5500, |story| story.view(node, 3, &["a", "b", "c"]));
            let (id, members) = if shut_out && node != "a" { (6, &["b", "c"][..]) } else { (5, &["a", "b", "c"][..]) };
            tale.at(9050, move |story| story.view(node, id, members));
        }
        for node in ["b", "c"] {
            tale.at(3000, move |story| story.view(node, second_view.0, second_view.1).applied(node, 2, "y"));
        }
        tale.at(3100, move |story| story.holds("b", gave).holds("c", 11));
        tale.at(5600, move |story| story.applied("a", catches_up.0, catches_up.1).holds("a", 10));
        tale.at(7000, |story| story.view("a", 4, &["a", "c"]).view("c", 4, &["a", "c"]));
    }

    /// One message of each node, each sent when the one before was there, and a second one of c.
    fn messages(&self, tale: &mut Tale) {
        let messages = self.messages;
        for (at, node, message) in [(1300, "a", "a/1"), (3200, "b", "b/2"), (5800, "c", "c/3"), (5810, "c", "c/4")] {
            tale.at(at, move |story| story.tells_of(node, "sent", message));
            tale.at(at + 150, move |story| story.tells_of(node, "acked", message));
        }
        for node in ["a", "b", "c"] {
            tale.at(1350, move |story| story.delivers(node, "a/1", 1, 1));
            // The one that was down then catches up, and knows in which view it was.
            let at = if node == "a" { 5650 } else { 3250 };
            if (node, messages) != ("a", Messages::LosesOnReturn) {
                tale.at(at, move |story| story.delivers(node, "b/2", 2, 2));
            }
            let swaps = (node, messages) == ("b", Messages::Swaps);
            let (third, fourth) = if swaps { (5870, 5860) } else { (5850, 5860) };
            tale.at(third, move |story| story.delivers(node, "c/3", 3, 3));
            let view = if (node, messages) == ("b", Messages::MovesToAnotherView) { 5 } else { 3 };
            if (node, messages) != ("c", Messages::LosesLast) {
                tale.at(fourth, move |story| story.delivers(node, "c/4", 4, view));
            }
            if (node, messages) == ("b", Messages::Repeats) {
                tale.at(5880, move |story| story.delivers(node, "c/4", 4, 3));
            }
        }
    }

    /// The checks that it violates.
    fn violates(&self) -> Vec<&'static str> {
        let story = self.story();
        let violated = |text: &&str| check(text).judge(&story.history).outcome == Outcome::Violated;
        let violated = CHECKS.iter().copied().filter(violated);
        violated.map(|text| text.split(' ').next().expect("the name of a check")).collect()
    }
}

/// What happens, in any order; it is told in the order of time.
#[derive(Default)]
struct Tale(Vec<(u64, Happening)>);

type Happening = Box<dyn Fn(&mut Story) -> &mut Story>;

impl Tale {
    fn at(&mut self, at: u64, happens: impl Fn(&mut Story) -> &mut Story + 'static) -> &mut Self {
        self.0.push((at, Box::new(happens)));
        self
    }

    fn told_of(mut self, nodes: &[&str]) -> Story {
        self.0.sort_by_key(|(at, _)| *at);
        let mut story = Story::of(nodes);
        for (at, happens) in self.0 {
            happens(story.at(at));
        }
        story
    }
}

const CHECKS: [&str; 20] = [
    "single_leader = { event = 'leads', per = 'term' }",
    "leader_overlap = { begin = 'leads', end = ['stepped_down', 'follows', 'fault.kill'], limit = '1s' }",
    "agreement = { leads = 'leads', follows = 'follows.leader', within = '3s' }",
    "deadline = { from = 'fault', until = 'leads', limit = '3s' }",
    "eventually = { event = 'follows', each = '!a', within = '1s' }",
    "always = { event = 'leads', where = { term = '>= 1' } }",
    "never = 'node.panic'",
    "sometimes = { event = 'leads', at_least = 3 }",
    "view_changes = { event = 'view', id = 'id', members = 'members', leave_within = '3s', return_within = '3s', min = 4, delivered = 'delivered.msg', delivered_in = 'in' }",
    "monotonic = { event = 'applied', field = 'index' }",
    "agree_on = { event = 'applied', key = 'index', value = 'value' }",
    "unique = { field = 'applied.index', per = 'node' }",
    "conserved = { field = 'holds.amount', total = 30 }",
    "process = {}",
    "total_order = { event = 'delivered', message = 'msg', sent = 'sent.msg' }",
    "no_loss = { sent = 'acked.msg', delivered = 'delivered.msg' }",
    "no_duplicates = 'delivered.msg'",
    "exactly_once = { sent = 'acked.msg', delivered = 'delivered.msg' }",
    "fifo = { delivered = 'delivered.msg', sent = 'sent.msg' }",
    "causal_order = { sent = 'sent.msg', delivered = 'delivered.msg' }",
];

#[test]
fn the_good_run_is_accepted_by_every_check() {
    let story = Run::default().story();
    for text in CHECKS {
        let finding = check(text).judge(&story.history);
        assert_eq!(finding.outcome, Outcome::Held, "{text}: {finding:?}");
    }
}

#[test]
fn every_mistake_is_caught_by_the_checks_that_are_about_it() {
    let good = Run::default;
    let mistakes = [
        ("a term is led twice", Run { second_term: 1, ..good() }, vec!["single_leader"]),
        (
            "a second leader of the same term, for a moment",
            Run { also_leads: Some(("a", 3)), ..good() },
            vec!["single_leader"],
        ),
        (
            "a leader does not step down after a pause",
            Run { wakes_to_follow: None, ..good() },
            vec!["leader_overlap", "agreement"],
        ),
        ("it steps down late", Run { wakes_to_follow: Some(10_001), ..good() }, vec!["leader_overlap"]),
        (
            "it steps down very late",
            Run { wakes_to_follow: Some(12_001), ..good() },
            vec!["leader_overlap", "agreement"],
        ),
        ("nobody takes over", Run { third_leads: None, ..good() }, vec!["agreement", "deadline"]),
        ("someone takes over late", Run { second_leads: 5001, ..good() }, vec!["deadline"]),
        ("a node follows the wrong leader", Run { returned_follows: "b", ..good() }, vec!["agreement"]),
        ("the first election is slow", Run { first_leads: 1001, ..good() }, vec!["eventually"]),
        ("a term is below the first", Run { first_term: 0, ..good() }, vec!["always"]),
        ("the dead stay members", Run { second_view: (2, &["a", "b", "c"]), ..good() }, vec!["view_changes"]),
        ("a view without its own node", Run { second_view: (2, &["c"]), ..good() }, vec!["view_changes"]),
        ("two views with one id", Run { second_view: (1, &["b", "c"]), ..good() }, vec!["view_changes"]),
        ("a node is not let in again", Run { shut_out: true, ..good() }, vec!["view_changes"]),
        ("an entry is applied twice", Run { catches_up: (1, "x"), ..good() }, vec!["unique"]),
        ("an index goes down", Run { catches_up: (0, "w"), ..good() }, vec!["monotonic"]),
        ("two entries at one index", Run { catches_up: (2, "z"), ..good() }, vec!["agree_on"]),
        ("energy is lost", Run { gave: 8, ..good() }, vec!["conserved"]),
        ("more is given than there is", Run { gave: -1, ..good() }, vec!["conserved"]),
        (
            "what a node missed while it was down is never made up for",
            Run { messages: Messages::LosesOnReturn, ..good() },
            vec!["total_order", "no_loss", "exactly_once", "causal_order"],
        ),
        (
            "the last message before a view is lost at one of those who leave it",
            Run { messages: Messages::LosesLast, ..good() },
            vec!["view_changes", "no_loss", "exactly_once"],
        ),
        (
            "two messages of one sender are swapped",
            Run { messages: Messages::Swaps, ..good() },
            vec!["total_order", "fifo", "causal_order"],
        ),
        (
            "a message is delivered twice",
            Run { messages: Messages::Repeats, ..good() },
            vec!["total_order", "no_duplicates", "exactly_once", "fifo"],
        ),
        (
            "a message is delivered in another view",
            Run { messages: Messages::MovesToAnotherView, ..good() },
            vec!["view_changes"],
        ),
        ("a thread crashes", Run { panics: true, ..good() }, vec!["never", "process"]),
    ];
    for (mistake, run, caught_by) in mistakes {
        assert_eq!(run.violates(), caught_by, "{mistake}");
    }
    let crash = Run { crashes: true, ..good() };
    assert!(crash.violates().contains(&"process"));
}
