//! `link`: what happens to frames on their way.

use std::fmt;
use std::time::Duration;

use super::partition::both;
use super::side::Side;
use super::{NetworkVerb, read};
use crate::cluster::ClusterState;
use crate::diagnostic::{self, Diagnostic};
use crate::names::Names;
use crate::network::{Corrupt, Delay, Effect, Filter, Harm, Loss, Paths, Protocol, Rate, SeenBy};
use crate::random::Keyed;
use crate::scenario::steps::{StepTable, VerbKind};
use crate::table::{Item, Key, Kind, Need, Table};

/// What is done to which frames of which links.
#[derive(Debug, Clone, PartialEq)]
pub struct LinkFault {
    /// The links.
    pub at: Where,
    /// Which frames; none for all.
    pub only: Option<Filter>,
    /// What becomes of them.
    pub effect: Effect,
}

/// The links that a fault is on, as the scenario has them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Where {
    /// Between all nodes.
    Everywhere,
    /// Both ways.
    Between(Side, Side),
    /// From the first to the second.
    OneWay(Side, Side),
}

/// How many bytes may wait for a slow link if the scenario does not say.
const QUEUE: u64 = 64 << 10;
/// More in a row is an outage, and `partition` says that better.
const LONGEST_BURST: i64 = 1_000;

/// Bandwidths: `500kbit`, `1mbit`, `1.5gbit`.
const RATE: &str = r"^0*[1-9][0-9]*(\.[0-9]+)?[kmg]?bit$";

const EFFECT: Need = Need::SomeOf("an effect");

const KEYS: &[Key] = &[
    Key::new(
        "between",
        Kind::List(&Kind::Target),
        "The links between two targets, both ways: [\"peer1\", \"peer2\"]; \"*\" is everybody else. All links if neither this nor `from` or `to` is given.",
    ),
    Key::new("from", Kind::Target, "One way: what these send; \"*\" or left out for everybody else."),
    Key::new("to", Kind::Target, "One way: what these would get; \"*\" or left out for everybody else."),
    Key::new("delay", Kind::Duration, "How much later frames come.").with(EFFECT),
    Key::new(
        "jitter",
        Kind::Duration,
        "How much more or less than `delay` it may be, for each frame; frames of one link keep their order.",
    )
    .with(EFFECT),
    Key::new(
        "loss",
        Kind::TableOr("share", LOSS_KEYS),
        "How much is lost, from 0 to 1: 0.1; or { share, burst }, where several are lost in a row.",
    )
    .with(EFFECT),
    Key::new("duplicate", Kind::Share, "How much comes twice, from 0 to 1.").with(EFFECT),
    Key::new("reorder", Kind::Share, "How much is overtaken by what is sent after it, from 0 to 1.").with(EFFECT),
    Key::new(
        "corrupt",
        Kind::TableOr("share", CORRUPT_KEYS),
        "How much is changed in one bit, from 0 to 1; { share, seen_by = \"program\" } repairs the checksum, so that the program gets it.",
    )
    .with(EFFECT),
    Key::new("rate", Kind::Pattern(RATE), "The bandwidth: \"500kbit\", \"1mbit\", \"2gbit\" per second.").with(EFFECT),
    Key::new("queue", Kind::Size, "With `rate`: how much may wait; what comes beyond that is lost. 64KiB if not given.")
        .with(Need::Beside(&["rate"])),
    Key::new("mtu", Kind::IntIn(68, 65_535), "IP packets of more bytes are dropped, and their sender is told so.")
        .with(EFFECT),
    Key::new("reset", Kind::Bool, "true: TCP connections over the link are reset.").with(EFFECT),
    Key::new(
        "only",
        Kind::Table(ONLY_KEYS),
        "Only these frames: { protocol = \"udp\", port = 5007, payload = 'HEARTBEAT' }.",
    ),
];

const LOSS_KEYS: &[Key] = &[
    Key::required("share", Kind::Share, "How much is lost in the long run, from 0 to 1."),
    Key::new("burst", Kind::IntIn(1, LONGEST_BURST), "How many are lost in a row, on average; 1 if not given."),
];

const CORRUPT_KEYS: &[Key] = &[
    Key::required("share", Kind::Share, "How much is changed, from 0 to 1."),
    Key::new(
        "seen_by",
        Kind::OneOf(SEEN_BY),
        "\"kernel\" (if not given): the checksum is wrong, and the packet is dropped there. \"program\": it gets wrong bytes.",
    ),
];
const SEEN_BY: &[&str] = &["kernel", "program"];

const FILTER: Need = Need::SomeOf("a filter");

const ONLY_KEYS: &[Key] = &[
    Key::new("protocol", Kind::OneOf(Protocol::WORDS), "The protocol.").with(FILTER),
    Key::new("port", Kind::IntIn(1, 65_535), "A TCP or UDP port, of either side.").with(FILTER),
    Key::new("payload", Kind::Text, "A pattern that the payload must match, in the bytes of one packet.").with(FILTER),
];

pub(in crate::scenario::steps) const LINK: VerbKind = VerbKind {
    key: Key::new(
        "link",
        Kind::Table(KEYS),
        "Delays, loses, repeats or changes what goes over links, beside what other faults do.",
    ),
    modifiers: &["for"],
    acts: true,
    parse: |step| read(step, || parse(step).map(NetworkVerb::Link)),
};

fn parse(step: &StepTable<'_, '_, '_>) -> Option<LinkFault> {
    let table = step.item.table(KEYS, "a link")?;
    let at = parse_where(&table, step.names);
    let only = table.item("only").map(|item| parse_only(&item.table(ONLY_KEYS, "the filter of a link")?));
    let effect = parse_effect(&table);
    let only = match only {
        Some(only) => Some(only?),
        None => None,
    };
    Some(LinkFault { at: at?, only, effect: effect? })
}

fn parse_where(table: &Table<'_, '_>, names: &Names<'_>) -> Option<Where> {
    let refuse = |item: &Item<'_, '_>, message: &str, help: &str| {
        let label = "which links are these?";
        table.report(Diagnostic::error(diagnostic::NO_SUCH_LINK, message, item.span(), label).help(help));
    };
    let sides = |one: Option<Side>, other: Option<Side>, item: &Item<'_, '_>| {
        let (one, other) = (one?, other?);
        if one.has_rest && other.has_rest {
            let help = "name one of the two; without `between`, `from` and `to` all links are meant";
            refuse(item, "`*` on both sides", help);
            return None;
        }
        Some((one, other))
    };
    let side = |key| table.item(key).map_or(Some(Side::rest()), |item| Side::parse(&item, names));
    match (table.item("between"), table.item("from").or_else(|| table.item("to"))) {
        (None, None) => Some(Where::Everywhere),
        (Some(_), Some(way)) => {
            refuse(&way, "`between` is both ways, `from` and `to` are one way", "leave one of them out");
            None
        }
        (None, Some(way)) => {
            let (from, to) = sides(side("from"), side("to"), &way)?;
            Some(Where::OneWay(from, to))
        }
        (Some(between), None) => {
            let elements = between.array()?;
            let [one, other] = elements.as_slice() else {
                refuse(&between, "`between` takes two sides", "[\"peer1\", \"peer2\"], or [\"peer1\", \"*\"]");
                return None;
            };
            let (one, other) = sides(Side::parse(one, names), Side::parse(other, names), &between)?;
            Some(Where::Between(one, other))
        }
    }
}

const EFFECTS: &[&str] = &["delay", "jitter", "loss", "duplicate", "reorder", "corrupt", "rate", "mtu", "reset"];

fn parse_effect(table: &Table<'_, '_>) -> Option<Effect> {
    if !EFFECTS.iter().any(|effect| table.has(effect)) {
        table.exactly_one(EFFECTS, "an effect", "delay, loss, rate ...: what becomes of the frames");
        return None;
    }
    let share = |key| table.item(key).map_or(Some(0.0), |item| item.share());
    let duration = |key| table.item(key).map_or(Some(Duration::ZERO), |item| Some(item.duration()?.value));
    let (mean, jitter) = (duration("delay"), duration("jitter"));
    let loss = optional(table.item("loss"), |item| parse_loss(&item));
    let corrupt = optional(table.item("corrupt"), |item| parse_corrupt(&item));
    let queue = table.item("queue").map_or(Some(QUEUE), |item| Some(item.size()?.value));
    let rate = optional(table.item("rate"), |item| parse_rate(&item));
    refuse_queue_alone(table);
    let mtu = optional(table.item("mtu"), |item| u32::try_from(item.int(68..=65_535)?.value).ok());
    let (duplicate, reorder) = (share("duplicate"), share("reorder"));
    let reset = table.item("reset").map_or(Some(false), |item| Some(item.boolean()?.value));
    let (mean, jitter, queue_bytes) = (mean?, jitter?, queue?);
    let is_late = table.has("delay") || table.has("jitter");
    Some(Effect {
        cut: false,
        loss: loss?,
        duplicate: duplicate?,
        reorder: reorder?,
        corrupt: corrupt?,
        delay: is_late.then_some(Delay { mean, jitter }),
        rate: rate?.map(|bits_per_second| Rate { bits_per_second, queue_bytes }),
        mtu: mtu?,
        reset: reset?,
    })
}

/// A part that was not given is fine, one that could not be read is not.
fn optional<'d, 's, T>(item: Option<Item<'d, 's>>, read: impl FnOnce(Item<'d, 's>) -> Option<T>) -> Option<Option<T>> {
    match item {
        Some(item) => read(item).map(Some),
        None => Some(None),
    }
}

fn parse_loss(item: &Item<'_, '_>) -> Option<Loss> {
    let table = item.table_or("share", LOSS_KEYS, "loss")?;
    let share = table.required("share", |table, key| table.item(key)?.share());
    let burst = table.item("burst").map_or(Some(1), |item| Some(item.int(1..=LONGEST_BURST)?.value));
    Some(Loss { share: share?, burst: burst? as f64 })
}

fn parse_corrupt(item: &Item<'_, '_>) -> Option<Corrupt> {
    let table = item.table_or("share", CORRUPT_KEYS, "corrupt")?;
    let share = table.required("share", |table, key| table.item(key)?.share());
    let seen_by = match table.item("seen_by") {
        Some(item) if item.word(SEEN_BY)?.value == "program" => SeenBy::Program,
        _ => SeenBy::Kernel,
    };
    Some(Corrupt { share: share?, seen_by })
}

fn parse_rate(item: &Item<'_, '_>) -> Option<u64> {
    let text = item.text()?;
    let digits = text.value.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit = match &text.value[digits.len()..] {
        "bit" => Some(1.0),
        "kbit" => Some(1e3),
        "mbit" => Some(1e6),
        "gbit" => Some(1e9),
        _ => None,
    };
    let is_rate = regex::Regex::new(RATE).is_ok_and(|pattern| pattern.is_match(text.value));
    let rate = unit.zip(digits.parse::<f64>().ok()).map(|(unit, number)| unit * number);
    // A terabit is more than any clock can tell from none at all.
    match rate.filter(|rate| is_rate && (1.0..=1e12).contains(rate)) {
        Some(rate) => Some(rate as u64),
        None => {
            let message = format!("`{}` is not a bandwidth", text.value.escape_debug());
            let label = "a number with bit, kbit, mbit or gbit";
            item.report(
                Diagnostic::error(diagnostic::BAD_RATE, message, text.span, label)
                    .help("bits per second: \"500kbit\", \"1mbit\", \"1.5gbit\""),
            );
            None
        }
    }
}

fn refuse_queue_alone(table: &Table<'_, '_>) {
    if let Some(queue) = table.item("queue").filter(|_| !table.has("rate")) {
        let message = "`queue` does nothing without `rate`";
        let code = diagnostic::MISPLACED_MODIFIER;
        table.report(
            Diagnostic::error(code, message, queue.key_span(), "nothing waits")
                .help("rate = \"1mbit\" makes frames wait"),
        );
    }
}

fn parse_only(table: &Table<'_, '_>) -> Option<Filter> {
    let filters = ["protocol", "port", "payload"];
    if !filters.iter().any(|key| table.has(key)) {
        table.exactly_one(&filters, "a filter", "protocol, port or payload");
        return None;
    }
    let protocol = optional(table.item("protocol"), |item| Protocol::named(item.word(Protocol::WORDS)?.value));
    let port = optional(table.item("port"), |item| u16::try_from(item.int(1..=65_535)?.value).ok());
    let payload = optional(table.item("payload"), |item| parse_payload(&item));
    Some(Filter { protocol: protocol?, port: port?, payload: payload? })
}

fn parse_payload(item: &Item<'_, '_>) -> Option<regex::bytes::Regex> {
    let text = item.nonempty_text()?;
    regex::bytes::Regex::new(text.value)
        .map_err(|error| {
            let why = error.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            let message = format!("`{}` is not a regular expression", item.key());
            item.report(Diagnostic::error(diagnostic::BAD_PATTERN, message, text.span, why));
        })
        .ok()
}

impl LinkFault {
    /// What it does at this moment.
    ///
    /// # Errors
    ///
    /// When somebody who is named is nobody, or there is no link, for people.
    pub fn resolve(&self, state: &ClusterState, random: &mut Keyed) -> Result<Harm, String> {
        let paths = match &self.at {
            Where::Everywhere => Paths::Among(state.nodes().to_vec()),
            Where::Between(one, other) => {
                let (one, other) = both(one, other, state, random)?;
                Paths::Between(one, other)
            }
            Where::OneWay(from, to) => {
                let (from, to) = both(from, to, state, random)?;
                Paths::OneWay { from, to }
            }
        };
        match paths.links().is_empty() {
            true => Err(format!("{paths}: there is no such link")),
            false => Ok(Harm::link(paths, self.effect.clone(), self.only.clone())),
        }
    }
}

impl fmt::Display for LinkFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.at {
            Where::Everywhere => f.write_str("link everywhere")?,
            Where::Between(one, other) => write!(f, "link {one} <-> {other}")?,
            Where::OneWay(from, to) => write!(f, "link {from} -> {to}")?,
        }
        match &self.only {
            Some(only) => write!(f, " ({}; only {only})", self.effect),
            None => write!(f, " ({})", self.effect),
        }
    }
}
