//! `process`: nothing crashed, nothing leaked, and no process outgrew its bounds.
//!
//! A scenario without this check has the [`implicit`] one, so that an unexplained crash never passes. An exit is unexplained if the bench
//! did not ask for it, by stopping or killing the process or by a signal that means "end", and the process is not expected to end like
//! that by itself. A crash of a part of a program shows only in its output, so lines that runtimes print when they die are looked for
//! ([`PANICS`], recorded as the event [`PANIC`]).

use std::collections::BTreeSet;

use super::moment::decided_after;
use super::must_end::{self, End};
use super::scope::Scope;
use super::{Check, CheckKind};
use crate::cluster::ClusterState;
use crate::expected::{Exits, Expectations, Expected};
use crate::history::History;
use crate::names::Names;
use crate::observation::{
    Action, ActionVerb, Change, Exit, Life, Name, Observation, PANIC, ProcessChange, Sample, What,
};
use crate::table::{Key, Kind, Table};
use crate::target::Target;
use crate::time::RunTime;
use crate::verdict::Finding;

/// Lines by which runtimes tell that a program, or a part of it, has crashed: regular expressions on bytes, searched anywhere in a line.
/// Plain ASCII classes: every run compiles these, and `\s` or `\w` of all of Unicode would cost it milliseconds.
pub const PANICS: &[&str] = &[
    // Rust
    r"thread '[^']*' (\([0-9]+\) )?panicked at",
    // Python; also a thread of it that dies alone
    r"Traceback \(most recent call last\):",
    // Go
    r"(^|[ \t])panic: ",
    r"(^|[ \t])fatal error: ",
    r"WARNING: DATA RACE",
    // Java and its relatives
    r#"Exception in thread ""#,
    // C and C++
    r"terminate called (after throwing|without an active exception)",
    r"Assertion [`'].*' failed",
    r"\*\*\* (stack smashing|buffer overflow) detected \*\*\*",
    r"(double free or corruption|(malloc|free|realloc)\(\): (invalid|corrupted))",
    r"==\d+==[ ]?ERROR: [A-Za-z]+Sanitizer",
    r"WARNING: ThreadSanitizer",
    // Node.js
    r"^[ \t]*(Uncaught|throw er; // Unhandled)",
    r"UnhandledPromiseRejection",
    // .NET
    r"^Unhandled exception\. ",
];

const WORDS: &[&str] = &["none", "any"];

pub(super) const KIND: CheckKind = CheckKind {
    name: "process",
    keys: &[
        Key::new("of", Kind::Target, "Whose processes; \"all\" if not said."),
        Key::new(
            "exit",
            Kind::OneOf(WORDS),
            "Exits that the bench did not ask for: \"none\" are allowed (as if not said), or \"any\".",
        ),
        Key::new(
            "panics",
            Kind::OneOf(WORDS),
            "Lines that tell of a crash: \"none\" are allowed (as if not said), or \"any\".",
        ),
        Key::new(
            "leaks",
            Kind::OneOf(WORDS),
            "Children that outlive the main program: \"none\" are allowed (as if not said), or \"any\".",
        ),
        Key::new("rss_max", Kind::Size, "Resident memory that no process may exceed."),
        Key::new(
            "open_files_max",
            Kind::IntIn(1, u32::MAX as i64),
            "Open file descriptors that no main program may exceed.",
        ),
    ],
    short: None,
    doc: "No unexpected exit, no panic line, no leaked child; memory and open files within bounds.",
    parse,
};

#[derive(Debug)]
struct Process {
    of: Scope,
    cluster: ClusterState,
    exits: bool,
    panics: bool,
    leaks: bool,
    rss_bytes_max: Option<u64>,
    open_files_max: Option<u32>,
    /// What single processes are expected to do by themselves; their bounds take the place of those above.
    expected: Expectations,
}

/// The check of a scenario that does not say anything of processes: no unexpected exit, no panic line, no leak, anywhere.
pub fn implicit(expected: Expectations) -> Box<dyn Check> {
    Box::new(Process { expected, ..Process::strict(ClusterState::new([], &[])) })
}

fn parse(table: &Table<'_, '_>, names: &Names<'_>) -> Option<Box<dyn Check>> {
    let of = Scope::parse(table, "of", names);
    let [exits, panics, leaks] = ["exit", "panics", "leaks"].map(|key| match table.word(key) {
        Some(word) => Some(word.value == "none"),
        None if table.has(key) => None,
        None => Some(true),
    });
    let rss_bytes_max = table.size("rss_max").map(|size| size.value);
    let open_files_max = table.int("open_files_max", 1..=i64::from(u32::MAX)).map(|files| files.value);
    if table.has("rss_max") && rss_bytes_max.is_none() || table.has("open_files_max") && open_files_max.is_none() {
        return None;
    }
    let open_files_max = open_files_max.and_then(|files| u32::try_from(files).ok());
    let of = of?.unwrap_or(Scope::all());
    let (exits, panics, leaks, cluster) = (exits?, panics?, leaks?, names.cluster());
    let expected = names.expectations().clone();
    Some(Box::new(Process { of, cluster, exits, panics, leaks, rss_bytes_max, open_files_max, expected }))
}

/// What is wrong at one observation.
struct Problem {
    number: u64,
    at: RunTime,
    what: String,
}

impl Process {
    fn strict(cluster: ClusterState) -> Self {
        let of = Scope::all();
        Self {
            of,
            cluster,
            exits: true,
            panics: true,
            leaks: true,
            rss_bytes_max: None,
            open_files_max: None,
            expected: Expectations::default(),
        }
    }

    /// What is wrong with an observation, if anything is.
    fn problem(&self, what: &What) -> Option<String> {
        match what {
            What::Process(process) => match &process.change {
                Change::Exited { exit, expected: false } if self.exits => self.wrong_exit(&process.of, *exit),
                Change::Leaking { children } if self.leaks => {
                    Some(format!("{} ended and left children: {}", name(&process.of), children.join(", ")))
                }
                _ => None,
            },
            What::Event(event) if self.panics && &*event.name == PANIC => {
                Some(format!("{} printed: {}", name(&event.of), event.log.text.trim()))
            }
            What::Sample(sample) => self.outgrown(sample),
            _ => None,
        }
    }

    fn wrong_exit(&self, of: &Life, exit: Exit) -> Option<String> {
        let exits = &self.expected.of(of).exits;
        let wanted = match exits {
            _ if exits.admit(exit) => return None,
            Exits::Never => String::new(),
            exits => format!(" (expected: {exits})"),
        };
        Some(format!("{} ended by itself: {exit}{wanted}", name(of)))
    }

    fn rss_bytes_max(&self, of: &Life) -> Option<u64> {
        self.expected.of(of).rss_bytes_max.or(self.rss_bytes_max)
    }

    fn open_files_max(&self, of: &Life) -> Option<u32> {
        self.expected.of(of).open_files_max.or(self.open_files_max)
    }

    fn outgrown(&self, sample: &Sample) -> Option<String> {
        let of = name(&sample.of);
        if let Some(max) = self.rss_bytes_max(&sample.of).filter(|max| sample.rss_bytes > *max) {
            return Some(format!("{of} used {} of memory (at most {})", size(sample.rss_bytes), size(max)));
        }
        let max = self.open_files_max(&sample.of).filter(|max| sample.open_files > *max)?;
        Some(format!("{of} had {} open files (at most {max})", sample.open_files))
    }

    /// What became of the processes that must end by themselves, of the nodes that are looked at.
    fn ends<'h>(&'h self, history: &'h History, admits: impl Fn(&Name) -> bool) -> Vec<End<'h>> {
        if self.exits { must_end::ends(&self.expected, history, admits) } else { Vec::new() }
    }
}

impl Check for Process {
    fn judge(&self, history: &History) -> Finding {
        let everything = self.of == Scope::Target(Target::all());
        let mut state = self.cluster.clone();
        let (mut lives, mut problems, mut first) = (0, 0, None::<Problem>);
        let (mut rss, mut open_files, mut by_itself) = (0, 0, 0);
        let mut asked_to_end: BTreeSet<&Life> = BTreeSet::new();
        for observation in history.judged() {
            let Observation { number, at, what } = observation;
            if !everything {
                state.observe(observation);
            }
            let admits = |node: &Name| everything || self.of.admits(node, &[], &state);
            match what {
                What::Action(action) if asks_to_end(action) => {
                    asked_to_end.extend(&action.hit);
                    continue;
                }
                What::Process(ProcessChange { of, change: Change::Exited { .. } }) if asked_to_end.contains(of) => {
                    continue;
                }
                What::Process(process) if admits(&process.of.node) => {
                    lives += u64::from(matches!(process.change, Change::Started { .. }));
                    by_itself += u64::from(matches!(process.change, Change::Exited { expected: false, .. }));
                }
                What::Sample(sample) if admits(&sample.of.node) => {
                    rss = rss.max(sample.rss_bytes);
                    open_files = open_files.max(sample.open_files);
                }
                What::Event(event) if &*event.name == PANIC && admits(&event.of.node) => {}
                _ => continue,
            }
            if let Some(what) = self.problem(what) {
                problems += 1;
                // By time: a stamp of another thread may be older than what stands before it.
                if first.as_ref().is_none_or(|first| *at < first.at) {
                    first = Some(Problem { number: *number, at: *at, what });
                }
            }
        }
        let ends = self.ends(history, |node| everything || self.of.admits(node, &[], &state));
        for overdue in ends.iter().filter(|end| end.is_overdue) {
            problems += 1;
            if first.as_ref().is_none_or(|first| overdue.until < first.at) {
                first = Some(Problem { number: overdue.started, at: overdue.until, what: overdue.to_string() });
            }
        }
        if let Some(first) = first {
            let more = if problems > 1 { format!(" (and {} more)", problems - 1) } else { String::new() };
            let summary = format!("{}{more}", first.what);
            return Finding::violated(lives, problems, first.at, summary).showing(first.number);
        }
        if lives == 0 {
            return Finding::never_exercised("no process ran");
        }
        if let Some(open) = ends.first() {
            return Finding::unknown(lives, format!("the run ended before {open}"));
        }
        let is_bounded = |bound: fn(&Expected) -> bool| self.expected.iter().any(|(.., expected)| bound(expected));
        if (self.rss_bytes_max.is_some() || is_bounded(|expected| expected.rss_bytes_max.is_some())) && rss == 0 {
            return Finding::unknown(lives, "memory was never measured");
        }
        let are_files_bounded =
            self.open_files_max.is_some() || is_bounded(|expected| expected.open_files_max.is_some());
        if are_files_bounded && open_files == 0 {
            return Finding::unknown(lives, "open files could not be counted");
        }
        let plural = if lives == 1 { "process" } else { "processes" };
        let memory = self.rss_bytes_max.map(|max| format!(", at most {} of {}", size(rss), size(max)));
        let files = self.open_files_max.map(|max| format!(", at most {open_files} of {max} open files"));
        let (memory, files) = (memory.unwrap_or_default(), files.unwrap_or_default());
        let ended = match by_itself {
            0 => String::new(),
            ended => format!(", {ended} ended as expected"),
        };
        let ended = if self.exits { ended } else { String::new() };
        Finding::held(lives, format!("{lives} {plural}, none crashed{ended}{memory}{files}"))
    }

    fn open_until(&self, history: &History) -> Option<RunTime> {
        let open = self.ends(history, |_| true);
        open.iter().filter(|end| !end.is_overdue).map(|end| decided_after(end.until)).max()
    }
}

/// True for a signal after which a process may be gone. (One that dies of another, of a HUP or USR1 that it does not know, has crashed.)
fn asks_to_end(action: &Action) -> bool {
    action.verb == ActionVerb::Signal
        && matches!(action.with.as_deref(), Some("TERM" | "INT" | "QUIT" | "ABRT" | "SEGV"))
}

/// The node, and the process if it is not the main one.
pub(super) fn name(of: &Life) -> String {
    if &*of.process == crate::observation::MAIN { of.node.to_string() } else { format!("{}/{}", of.node, of.process) }
}

fn size(bytes: u64) -> String {
    match bytes {
        0..0x10_0000 => format!("{}KiB", bytes >> 10),
        _ => format!("{}MiB", bytes >> 20),
    }
}

#[cfg(test)]
mod tests {
    use regex::bytes::Regex;

    use super::*;
    use crate::observation::Nanos;
    use crate::stories::Story;
    use crate::verdict::Outcome;

    fn strict() -> Process {
        Process::strict(ClusterState::new([], &[]))
    }

    #[test]
    fn an_exit_that_nobody_asked_for_is_refused_and_a_kill_accepted() {
        let mut story = Story::of(&["a", "b"]);
        story.at(1).kill("a").at(2).restart("a");
        assert_eq!(strict().judge(&story.history), Finding::held(3, "3 processes, none crashed"));
        story.at(5).exit("b", Exit::Signal(11), false);
        let finding = implicit(Expectations::default()).judge(&story.history);
        assert_eq!((finding.outcome, finding.summary.as_str()), (Outcome::Violated, "b ended by itself: signal 11"));
        let lenient = Process { exits: false, ..strict() };
        assert_eq!(lenient.judge(&story.history).outcome, Outcome::Held);
    }

    #[test]
    fn a_node_may_end_of_a_signal_that_asks_for_it_and_not_of_another() {
        let judged = |signal: &str| {
            let mut story = Story::of(&["a"]);
            let (of, with) = (story.life("a"), Some(signal.to_owned()));
            let action = Action { with, ..Action::new(ActionVerb::Signal, vec!["a".into()], vec![of]) };
            story.at(1).push(What::Action(action.into())).at(2).exit("a", Exit::Code(0), false);
            strict().judge(&story.history).outcome
        };
        assert_eq!((judged("TERM"), judged("USR1")), (Outcome::Held, Outcome::Violated));
    }

    fn expecting(exits: Exits) -> Process {
        let mut expected = Expectations::default();
        expected.add("a".into(), crate::observation::MAIN.into(), Expected { exits, ..Expected::default() });
        Process { expected, ..strict() }
    }

    #[test]
    fn a_process_may_end_as_it_is_expected_to_and_in_no_other_way() {
        let judged = |exits: &Exits, exit: Exit| {
            let mut story = Story::of(&["a", "b"]);
            story.at(5).exit("a", exit, false).at(9).end();
            expecting(exits.clone()).judge(&story.history)
        };
        let with = Exits::With { codes: vec![0, 3], within: None };
        for (exits, exit, is_right) in [
            (&Exits::May, Exit::Code(7), true),
            (&Exits::May, Exit::Signal(11), false),
            (&with, Exit::Code(3), true),
            (&with, Exit::Code(1), false),
            (&with, Exit::Signal(9), false),
            (&Exits::Never, Exit::Code(0), false),
        ] {
            let finding = judged(exits, exit);
            assert_eq!(finding.outcome == Outcome::Held, is_right, "{exits}: {exit}: {finding:?}");
        }
        assert_eq!(judged(&with, Exit::Code(1)).summary, "a ended by itself: exit code 1 (expected: with 0 or 3)");
        assert_eq!(judged(&with, Exit::Code(0)).summary, "2 processes, none crashed, 1 ended as expected");
        // What is expected of one is not expected of another.
        let mut story = Story::of(&["a", "b"]);
        story.at(5).exit("b", Exit::Code(0), false).at(9).end();
        assert_eq!(expecting(with).judge(&story.history).outcome, Outcome::Violated);
    }

    #[test]
    fn a_bound_of_its_own_takes_the_place_of_the_common_one() {
        let mut expected = Expectations::default();
        let own = Expected { rss_bytes_max: Some(8 << 20), ..Expected::default() };
        expected.add("a".into(), crate::observation::MAIN.into(), own);
        let bounded = Process { rss_bytes_max: Some(2 << 20), expected, ..strict() };
        let judged = |node: &str, rss_bytes: u64| {
            let mut story = Story::of(&["a", "b"]);
            let sample = Sample { of: story.life(node), cpu: Nanos(0), rss_bytes, open_files: 1 };
            story.at(1).push(What::Sample(sample));
            bounded.judge(&story.history).outcome
        };
        assert_eq!([judged("a", 8 << 20), judged("a", 9 << 20)], [Outcome::Held, Outcome::Violated]);
        assert_eq!([judged("b", 2 << 20), judged("b", 3 << 20)], [Outcome::Held, Outcome::Violated]);
    }

    #[test]
    fn a_panic_line_and_a_leaked_child_are_refused() {
        let mut story = Story::of(&["a"]);
        story.at(5).says("a", PANIC, &[]);
        assert_eq!(strict().judge(&story.history).summary, "a printed: a node.panic");
        story.at(4).process("a", Change::Leaking { children: vec!["sh".into(), "nc".into()] });
        let finding = strict().judge(&story.history);
        assert_eq!(finding.summary, "a ended and left children: sh, nc (and 1 more)");
        assert_eq!((finding.at, finding.violations), (Some(crate::stories::ms(4)), 2));
    }

    #[test]
    fn a_bound_is_exceeded_kept_or_was_never_measured() {
        let bounded = Process { rss_bytes_max: Some(2 << 20), open_files_max: Some(10), ..strict() };
        let mut story = Story::of(&["a"]);
        assert_eq!(bounded.judge(&story.history).outcome, Outcome::Unknown);
        let of = story.life("a");
        let mut sample = Sample { of, cpu: Nanos(0), rss_bytes: 2 << 20, open_files: 10 };
        story.at(1).push(What::Sample(sample.clone()));
        let finding = bounded.judge(&story.history);
        assert_eq!(finding.summary, "1 process, none crashed, at most 2MiB of 2MiB, at most 10 of 10 open files");
        sample.open_files = 11;
        story.at(2).push(What::Sample(sample.clone()));
        assert_eq!(bounded.judge(&story.history).summary, "a had 11 open files (at most 10)");
    }

    #[test]
    fn what_happens_while_the_nodes_are_stopped_is_not_judged() {
        let mut story = Story::of(&["a"]);
        story.at(5).end().at(6).exit("a", Exit::Code(1), false);
        assert_eq!(strict().judge(&story.history).outcome, Outcome::Held);
        assert_eq!(strict().judge(&History::default()).outcome, Outcome::Unknown);
    }

    #[test]
    fn crashes_of_many_languages_are_recognised_and_ordinary_lines_are_not() {
        let patterns: Vec<_> = PANICS.iter().map(|pattern| Regex::new(pattern).unwrap()).collect();
        let crashes = |line: &str| patterns.iter().any(|pattern| pattern.is_match(line.as_bytes()));
        for line in [
            "thread 'main' panicked at src/main.rs:2:5:",
            "thread 'main' (4711) panicked at src/main.rs:2:5:",
            "Traceback (most recent call last):",
            "prompt> Traceback (most recent call last):",
            "panic: runtime error: index out of range [3] with length 3",
            "fatal error: all goroutines are asleep - deadlock!",
            "Exception in thread \"main\" java.lang.NullPointerException",
            "terminate called after throwing an instance of 'std::runtime_error'",
            "a.out: t.c:3: main: Assertion `0' failed.",
            "==12==ERROR: AddressSanitizer: heap-use-after-free",
            "Unhandled exception. System.Exception: x",
        ] {
            assert!(crashes(line), "{line}");
        }
        for line in ["peer1 became the Group Leader", "do not panic", "recovered from a panic", "0 fatal errors", ""] {
            assert!(!crashes(line), "{line}");
        }
    }
}
