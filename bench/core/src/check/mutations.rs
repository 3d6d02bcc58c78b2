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
        }
    }
}

impl Run {
    fn story(&self) -> Story {
        let mut story = Story::of(&["a", "b", "c"]);
        story.at(self.first_leads).leads("a", self.first_term).follows("b", "a").follows("c", "a");
        story.at(2000).kill("a");
        story.at(self.second_leads).leads("b", self.second_term).follows("c", "b");
        story.at(5500).restart("a").at(5600).follows("a", "b");
        story.at(6000).pause("b");
        if let Some(third) = self.third_leads {
            story.at(third).leads("c", 3);
        }
        if let Some((node, term)) = self.also_leads {
            story.at(6850).leads(node, term).says(node, "stepped_down", &[]);
        }
        story.at(6900).follows("a", self.returned_follows);
        story.at(9000).resume("b");
        if let Some(awake) = self.wakes_to_follow {
            story.at(awake).says("b", "stepped_down", &[]).follows("b", "c");
        }
        if self.panics {
            story.at(12_000).says("a", PANIC, &[]);
        }
        if self.crashes {
            story.at(12_000).exit("a", Exit::Signal(11), false);
        }
        story.at(20_000).end();
        story
    }

    /// The checks that it violates.
    fn violates(&self) -> Vec<&'static str> {
        let story = self.story();
        let violated = |text: &&str| check(text).judge(&story.history).outcome == Outcome::Violated;
        let violated = CHECKS.iter().copied().filter(violated);
        violated.map(|text| text.split(' ').next().expect("the name of a check")).collect()
    }
}

const CHECKS: [&str; 9] = [
    "single_leader = { event = 'leads', per = 'term' }",
    "leader_overlap = { begin = 'leads', end = ['stepped_down', 'follows', 'fault.kill'], limit = '1s' }",
    "agreement = { leads = 'leads', follows = 'follows.leader', within = '3s' }",
    "deadline = { from = 'fault', until = 'leads', limit = '3s' }",
    "eventually = { event = 'follows', each = '!a', within = '1s' }",
    "always = { event = 'leads', where = { term = '>= 1' } }",
    "never = 'node.panic'",
    "sometimes = { event = 'leads', at_least = 3 }",
    "process = {}",
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
        ("a thread crashes", Run { panics: true, ..good() }, vec!["never", "process"]),
    ];
    for (mistake, run, caught_by) in mistakes {
        assert_eq!(run.violates(), caught_by, "{mistake}");
    }
    let crash = Run { crashes: true, ..good() };
    assert!(crash.violates().contains(&"process"));
}
