//! What is wrong with a scenario: where, why, and what to write instead. Rendering is the shell's job.

use std::cell::RefCell;
use std::ops::Range;

/// A byte range in the scenario's text.
pub type Span = Range<usize>;

/// A value and where it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub span: Span,
}

impl<T> Located<T> {
    /// The same place, another value.
    pub fn map<U>(self, f: impl FnOnce(T) -> U) -> Located<U> {
        Located { value: f(self.value), span: self.span }
    }
}

/// A stable code: `DS0101`. Only the constants of this file make one, so every code is in [`CODES`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Code(u16);

impl Code {
    /// The code that is written `DS0101` (or `ds101`, or `101`), if there is one.
    pub fn named(text: &str) -> Option<Self> {
        let digits = text.trim_start_matches(['D', 'd', 'S', 's']);
        let number: u16 = digits.parse().ok()?;
        CODES.iter().map(|meaning| meaning.code).find(|code| code.0 == number)
    }
}

impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "DS{:04}", self.0)
    }
}

/// What a code means. Its example is a whole scenario that gets this code and no other, in which comments say how it is right (see
/// [`example`](crate::explain::example)).
#[derive(Debug, Clone, Copy)]
pub struct Meaning {
    /// The code.
    pub code: Code,
    /// What is wrong, in a few words.
    pub title: &'static str,
    /// Why it is, and what to do.
    pub explanation: &'static str,
    /// True for mistakes of shape, which an editor sees from the schema alone; false for those for which one must know what is declared.
    pub is_structure: bool,
    /// The text of `bench/core/tests/bad/DSxxxx.toml`.
    pub example: &'static str,
}

impl Code {
    /// What it means.
    pub fn meaning(self) -> &'static Meaning {
        CODES.iter().find(|meaning| meaning.code == self).expect("only the constants of this file make a code")
    }
}

/// Declares each code once: its constant, and its line in [`CODES`]. `structure` after the number marks a mistake of shape.
macro_rules! codes {
    ($($name:ident = $number:literal $($structure:ident)?, $title:literal, $explanation:literal;)+) => {
        $(#[doc = $title] pub const $name: Code = Code($number);)+

        /// Every code with its title and what `dsbench explain` says about it, in ascending order.
        pub const CODES: &[Meaning] = &[$(Meaning {
            code: $name,
            title: $title,
            explanation: $explanation,
            is_structure: codes!(@ $($structure)?),
            example: include_str!(concat!("../tests/bad/DS0", stringify!($number), ".toml")),
        }),+];
    };
    (@ structure) => { true };
    (@) => { false };
}

codes! {
    SYNTAX = 100, "not TOML",
        "The text is not TOML at this place. Texts stand in quotes, lists in [..], tables in {..} or under a [header].";
    UNKNOWN_KEY = 101 structure, "unknown key",
        "A key that nothing reads is a mistake, not a comment: it is often a misspelt one, or one that stands in the wrong table.";
    MISSING_KEY = 102 structure, "missing key",
        "The table is of no use without this key.";
    NOTHING_CHOSEN = 103 structure, "none of several keys",
        "Exactly one of these keys says what the table is: a step has one verb, an invariant one check.";
    CONTRADICTION = 104 structure, "keys that exclude each other",
        "Only one of these keys can be meant. A step has one verb, an invariant one check; write two of them for both.";
    WRONG_TYPE = 110 structure, "wrong type of value",
        "The key takes another type of value. Texts stand in quotes, numbers and true/false do not.";
    BAD_DURATION = 111 structure, "not a duration",
        "Lengths of time are texts with a unit: \"300ms\", \"5s\", \"1m 30s\", \"1.5s\".";
    BAD_SIZE = 112 structure, "not a size",
        "Sizes are texts with a unit: \"64KiB\", \"10MiB\", \"1GB\". KiB counts 1024 bytes, KB counts 1000.";
    OUT_OF_RANGE = 113 structure, "number out of range",
        "The number is smaller or larger than makes sense here.";
    BAD_WORD = 114 structure, "not one of the words allowed here",
        "The key takes one of a few words.";
    EMPTY = 115, "nothing there",
        "An empty text or list says nothing here; leave the key out, or fill it in.";
    UNKNOWN_TARGET = 120, "unknown node, role or group",
        "A target is a node, NODE/PROCESS, a group, a role of [roles], one of any, all, random, killed, paused, restarted, minority, majority, one of these with `!` before it, or a list of them.";
    UNKNOWN_EVENT = 121, "unknown event",
        "No [events] entry has this name. The phrases of the reference node come with events.preset = \"node\".";
    UNKNOWN_FIELD = 122, "unknown field",
        "The event has no such field. A field is a named group of its pattern that `fields` gives a type: log = 'term=(?<term>\\d+)', fields = { term = \"int\" }.";
    UNKNOWN_STEP = 123, "unknown step",
        "No step has this name. A step is named by its `name` key.";
    DUPLICATE_NAME = 124, "name given twice",
        "Names are what reports, overrides and other keys refer to, so each is given once.";
    UNSAFE_NAME = 125, "unusable name",
        "Names of nodes, processes and files become names of log files and directories: letters, digits, `.`, `_` and `-`, not beginning with `.` or `-`.";
    RESERVED_NAME = 126, "name that has a meaning of its own",
        "The name is a word of the language (all, any, killed ...), so a target could not tell one from the other.";
    FIELD_TYPE = 127, "field of another type",
        "What is asked for needs a field of another type; the type is what the event's `fields` says.";
    RANDOM_LOOK = 128, "random choice where one only looks",
        "A random choice is made when a step acts. A condition or a check looks again and again, and must mean the same nodes each time.";
    BAD_PATTERN = 130, "not a regular expression",
        "Patterns are regular expressions in the syntax of the regex crate: no look-around, no back-references, `(?<name>..)` for a named group. Single quotes spare doubled backslashes.";
    OUT_OF_ORDER = 131, "steps out of order",
        "Steps run in the order of the file, so `at` may not go back. `after` counts from the step before.";
    MISSING_GROUP = 132, "pattern without the field's group",
        "Every typed field is a named group of the event's pattern (of each of its patterns, if there are several): (?<term>\\d+).";
    MISPLACED_MODIFIER = 133 structure, "modifier that does nothing here",
        "The key changes how some verbs act, and this verb is none of them.";
    BAD_PLACEHOLDER = 134, "unknown placeholder",
        "Known are {id} {name} {ip} {port} {addr} {port.NAME} {addr.NAME} {data_dir} {peers} {node} {nodes.count} {groups.NAME.count} {scenario_dir} {life} {vars.NAME}, and {NODE.ip} {NODE.port.NAME} {NODE.addr.NAME} of another node. `{{` writes a brace.";
    NOT_IN_HOST_MODE = 150, "needs the network laboratory",
        "In host mode nodes share this machine's network, where single links cannot be cut or delayed. `pause` silences a node completely, and works everywhere.";
    NOT_YET = 151, "not in this version",
        "The key belongs to the language but this version of dsbench does not act on it; it refuses rather than pass a test that it did not run.";
    NO_SUCH_PATH = 160, "override of something that is not there",
        "`--set PATH=VALUE` replaces or adds a key: nodes.count, vars.NAME, events.NAME.KEY, and steps by their name: steps.crash.after.";
    BAD_OVERRIDE = 161, "override without a value",
        "Overrides are written PATH=VALUE with a TOML value; a bare word is taken as text.";
    NOTHING_JUDGED = 165, "nothing is judged",
        "Without an invariant and without an `expect` step, whatever happens would pass.";
    UNKNOWN_INVARIANT = 170, "unknown invariant",
        "`violates` and `may_violate` name invariants by their `name`.";
    MISPLACED_KEY = 210 structure, "key of another table",
        "The key belongs to the language, but not to this table: what is true of all nodes of a group is said in [nodes] or [groups.NAME], and [override.NODE] is of one node.";
    PORT_REPLACED = 211, "port number that is replaced",
        "In host mode all nodes share 127.0.0.1, so each gets ports of its own, whatever number the scenario gives. {port.NAME} and {addr.NAME} are the ones to use.";
    NO_MEANING_HERE = 220, "means nothing at this place",
        "Steps of a setup, a teardown or a repeated group are like others, but some keys cannot mean anything there: a setup or a teardown has nothing to `end`, nothing undoes a `for` after the end, and an `at` is over before the second round.";
    CIRCLE = 221, "processes that wait for each other",
        "`before` and `after` say in which order the processes of a node start, each when the one before is ready. In a circle none of them would ever start.";
    BAD_GLOB = 222, "not a pattern of files in the data directory",
        "`artifacts` names files below a node's data directory: \"state/*.json\", \"{data_dir}/js/**\". `*` stands for any part of one name, `**` for any number of directories, `?` for one letter, [abc] for one of these; neither an absolute path nor `..` leads out of the directory.";
    BAD_ADDRESS = 223, "not an address to connect to",
        "`tcp` connects to a host and a port: \"{addr}\", \"{peer1.addr.client}\", \"127.0.0.1:8080\". A name in the place of the host is looked up once, before anything starts.";
    NO_FAULT_FITS = 230, "no fault fits",
        "The time of the nemesis must have a beginning and an end, and hold at least one of its faults: `duration`, `stop`, a step with stop = \"nemesis\", or steps after whose last one it stops.";
    NEMESIS_BY_STEPS = 231, "steps that do not fit the nemesis",
        "With start = \"manual\" steps start the nemesis (start = \"nemesis\"); without it, it starts by itself. How long it goes on is said by `duration` or by a step with stop = \"nemesis\".";
    NO_NEMESIS = 232, "no nemesis to start or stop",
        "start = \"nemesis\" and stop = \"nemesis\" are about the table [nemesis], which this scenario does not have.";
    NOBODY_MAY_BE_DOWN = 233, "nobody may be down",
        "A minority of one or two nodes is nobody, so a nemesis that leaves a majority alone can do nothing to them. `max_down` may be a number.";
    UNKNOWN_OPERATION = 240, "unknown operation",
        "No workload has an operation of this name. It is written OP, or WORKLOAD.OP if several workloads have one.";
    NO_WAY = 241, "operation that cannot be performed",
        "An operation is performed in one way: it runs a command (`exec`), or types a line (`input`), which is acknowledged (`ack`) by an event or by being \"written\"; or the workload has a `client` program that performs all of them.";
    AMBIGUOUS_ACK = 242, "acknowledgement that could be another operation's",
        "An acknowledgement is found by what its event says. A late one of another operation must not be taken for it, so it has the operation's {value}, which no other writes, or its {serial}.";
    WORKLOAD_TIME = 243, "workload that does not begin or end",
        "A workload begins by itself, or with start = \"manual\" when a step starts it. It ends after its `duration`, its `count` or its last phase, when a step stops it, or with the last step.";
    BAD_EXTENDS = 270, "file that cannot be extended",
        "`extends` names a file by its path from the directory of the file that says it. It lies in or below that directory, so that a stored run can hold all of its scenario, and no file extends itself.";
    TOO_MANY_RUNS = 271, "too many runs",
        "A matrix means a run for every combination of its values, and these are more than anybody waits for.";
    VALUE_TWICE = 272, "value given twice",
        "Two values of a matrix are the same, so the same would be run twice under one name. `--repeat` runs everything several times.";
    UNKNOWN_CASE = 273, "unknown case",
        "No [[cases]] entry has this name.";
    CUTS_NOTHING = 300, "partition that cuts nothing",
        "A partition has at least two groups that do not reach each other. Whoever is named in none of them reaches everybody; \"*\" is everybody who is not named, and stands in one group.";
    NETWORK_OF_PROCESS = 301, "network fault on a process",
        "The processes of a node share its network, so a cable or a link is a whole node's.";
    BAD_RATE = 302 structure, "not a bandwidth",
        "Bandwidths are texts with a unit, in bits per second: \"500kbit\", \"1mbit\", \"1.5gbit\".";
    NO_SUCH_LINK = 303, "unclear which links",
        "`between = [A, B]` means the links between two sides in both directions, `from` and `to` those in one; without them all links are meant. \"*\" is everybody else, so it can stand on one side only.";
    NOTHING_TO_HEAL = 304, "step that there is nothing to heal of",
        "`heal` undoes what a step with `partition`, `link` or `unplug` did, or \"all\" network faults. Processes are resumed or restarted.";
    BAD_SUBNET = 305, "not a usable network",
        "The laboratory's network is written with its prefix, has nothing beside it, and has room for every node and the bench: \"10.77.0.0/24\". Addresses that may move lie in it.";
    UNKNOWN_PORT = 306, "unknown port",
        "`expose` names ports of the nodes, as `ports` has them.";
    TAKEN_PORT = 307, "not a port for each node",
        "`expose = { http = 18080 }` takes a port of 127.0.0.1 for each node of its group, from that number on: none above 65535, and none that another takes. `expose = [\"http\"]` takes any that are free.";
}

/// One mistake (or warning) in a scenario.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Its stable code.
    pub code: Code,
    /// False for a warning.
    pub is_error: bool,
    /// One line, lower case, without a full stop.
    pub message: String,
    /// The place, with a few words beside the underline.
    pub at: (Span, String),
    /// Other places that explain it, each with a few words.
    pub also: Vec<(Span, String)>,
    /// What to do about it.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error at a place.
    pub fn error(code: Code, message: impl Into<String>, span: Span, label: impl Into<String>) -> Self {
        Self { code, is_error: true, message: message.into(), at: (span, label.into()), also: Vec::new(), help: None }
    }

    /// What is odd at a place, though not wrong.
    pub fn warning(code: Code, message: impl Into<String>, span: Span, label: impl Into<String>) -> Self {
        Self { is_error: false, ..Self::error(code, message, span, label) }
    }

    /// With advice.
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// With another place that explains it.
    pub fn also(mut self, span: Span, label: impl Into<String>) -> Self {
        self.also.push((span, label.into()));
        self
    }
}

/// Collects every mistake of a file, so that all are reported at once.
#[derive(Debug, Default)]
pub struct Problems(RefCell<Vec<Diagnostic>>);

impl Problems {
    /// Nothing wrong yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one.
    pub fn report(&self, diagnostic: Diagnostic) {
        self.0.borrow_mut().push(diagnostic);
    }

    /// True if any of them is an error.
    pub fn has_errors(&self) -> bool {
        self.0.borrow().iter().any(|d| d.is_error)
    }

    /// All of them, in the order of the text. A value that two readers looked at is reported once.
    pub fn into_sorted(self) -> Vec<Diagnostic> {
        let mut all = self.0.into_inner();
        sort(&mut all);
        all
    }

    /// Takes back what was reported with this code: what was read later has made it untrue.
    pub fn forget(&self, code: Code) {
        self.0.borrow_mut().retain(|d| d.code != code);
    }

    /// True if one of them has this code.
    pub fn has(&self, code: Code) -> bool {
        self.0.borrow().iter().any(|d| d.code == code)
    }
}

/// Puts them into the order of the text, each once.
pub fn sort(diagnostics: &mut Vec<Diagnostic>) {
    diagnostics.sort_by(|a, b| (a.at.0.start, a.code, &a.message).cmp(&(b.at.0.start, b.code, &b.message)));
    diagnostics.dedup();
}

/// The candidate that was probably meant: the nearest one, if it is near; the first of several by the alphabet.
pub fn did_you_mean<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    nearest(word, candidates).into_iter().next()
}

/// All candidates that are equally near, sorted; none if none is near.
fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Vec<&'c str> {
    // A third of the word may be wrong, and at most three letters: more is another word.
    let limit = (word.chars().count() / 3).clamp(1, 3);
    let distance = |candidate| (strsim::damerau_levenshtein(word, candidate), candidate);
    let mut near: Vec<_> = candidates.into_iter().map(distance).filter(|(distance, _)| *distance <= limit).collect();
    near.sort_unstable();
    near.dedup();
    let best = near.first().map_or(0, |(distance, _)| *distance);
    near.into_iter().filter(|(distance, _)| *distance == best).map(|(_, candidate)| candidate).collect()
}

/// ``did you mean `leader`?``, or the list of what there is.
pub fn suggestion<'c>(word: &str, what: &str, candidates: impl IntoIterator<Item = &'c str>) -> String {
    let mut candidates: Vec<&str> = candidates.into_iter().collect();
    match nearest(word, candidates.iter().copied()).as_slice() {
        [near] => return format!("did you mean `{near}`?"),
        [first, second] => return format!("did you mean `{first}` or `{second}`?"),
        _ => {}
    }
    candidates.sort_unstable();
    candidates.dedup();
    match candidates.len() {
        0 => format!("there are no {what}"),
        n => {
            let shown = candidates.iter().take(20).map(|c| format!("`{c}`")).collect::<Vec<_>>().join(", ");
            format!("{what}: {shown}{}", if n > 20 { ", ..." } else { "" })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_ascend_and_are_found_by_what_people_type() {
        assert!(CODES.windows(2).all(|pair| pair[0].code < pair[1].code));
        assert_eq!(Code::named("DS0101"), Some(UNKNOWN_KEY));
        assert_eq!(Code::named("ds101"), Some(UNKNOWN_KEY));
        assert_eq!(Code::named("DS0999"), None);
    }

    #[test]
    fn a_near_word_is_suggested_and_a_far_one_is_not() {
        assert_eq!(did_you_mean("timout", ["timeout", "tags"]), Some("timeout"));
        assert_eq!(did_you_mean("xyz", ["timeout", "tags"]), None);
        assert_eq!(suggestion("xyz", "keys", ["b", "a"]), "keys: `a`, `b`");
        assert_eq!(suggestion("peer4", "nodes", ["peer2", "peer1"]), "did you mean `peer1` or `peer2`?");
        assert_eq!(suggestion("peer4", "nodes", ["peer3", "peer2", "peer1"]), "nodes: `peer1`, `peer2`, `peer3`");
    }
}
