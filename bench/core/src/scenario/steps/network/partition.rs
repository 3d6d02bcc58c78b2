//! `partition`: links are cut, in any shape.

use std::fmt;

use super::side::{Side, but, nodes, whole};
use super::{NetworkVerb, read};
use crate::cluster::ClusterState;
use crate::diagnostic::{self, Diagnostic};
use crate::names::Names;
use crate::network::{self, Harm, Paths};
use crate::observation::Name;
use crate::random::Keyed;
use crate::scenario::steps::{StepTable, VerbKind};
use crate::table::{Item, Key, Kind, Need, Table};
use crate::target::Target;

/// A partition as the scenario has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// Its shape.
    pub shape: Shape,
    /// The nodes that it is about; others reach everybody.
    pub of: Target,
}

/// Who is cut off from whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shape {
    /// These groups from each other. Whoever stands in several reaches all of them, whoever stands in none reaches everybody.
    Groups(Vec<Side>),
    /// Each of these alone, from everybody else and from each other.
    Isolate(Target),
    /// What the first send does not reach the second; the other way stays open.
    OneWay(Side, Side),
    /// Two halves, at random.
    Halves,
    /// Two halves of the others, at random, that both reach these.
    Bridge(Target),
    /// Each node reaches two neighbours, at random.
    Ring,
}

const SHAPE: Need = Need::OneOf("a shape");

const KEYS: &[Key] = &[
    Key::new("isolate", Kind::Target, "Each of these alone: cut off from everybody else, and from each other.")
        .with(SHAPE),
    Key::new(
        "from",
        Kind::Target,
        "One way: what these send does not reach `to`; \"*\" or left out for everybody else.",
    )
    .with(Need::OrElse("a shape")),
    Key::new("to", Kind::Target, "One way: whom nothing of `from` reaches; \"*\" or left out for everybody else.")
        .with(Need::OrElse("a shape")),
    Key::new("halves", Kind::Bool, "true: two halves chosen at random, a minority and a majority of an odd number.")
        .with(SHAPE),
    Key::new(
        "bridge",
        Kind::Target,
        "The others in two halves chosen at random that do not reach each other; both reach these.",
    )
    .with(SHAPE),
    Key::new("ring", Kind::Bool, "true: a ring in random order, in which each node reaches its two neighbours only.")
        .with(SHAPE),
    Key::new("of", Kind::Target, "The nodes that it is about; all if not given. Others reach everybody.")
        .with(Need::Beside(&["isolate", "halves", "bridge", "ring"])),
];

pub(in crate::scenario::steps) const PARTITION: VerbKind = VerbKind {
    key: Key::new(
        "partition",
        Kind::Either(&[Kind::List(&Kind::Target), Kind::Table(KEYS)]),
        "Cuts links silently, in the place of the partition in force. Groups that do not reach each other, \"*\" for everybody else: [[\"leader\"], [\"*\"]]; or a shape: { isolate = \"leader\" }.",
    ),
    modifiers: &["for"],
    acts: true,
    parse: |step| read(step, || parse(step).map(NetworkVerb::Partition)),
};

fn parse(step: &StepTable<'_, '_, '_>) -> Option<Partition> {
    let (item, names) = (&step.item, step.names);
    if item.is_array() {
        return Some(Partition { shape: Shape::Groups(parse_groups(item, names)?), of: Target::all() });
    }
    if !item.is_table() {
        return item.wrong_type("groups of nodes, or a table with a shape");
    }
    let table = item.table(KEYS, "a partition")?;
    let of = table.item("of").map_or(Some(Target::all()), |item| whole(&item, names));
    let shape = parse_shape(&table, names);
    if let (Some(shape), Some(of)) = (&shape, &of) {
        refuse_too_few(shape, of, &table, names)?;
    }
    Some(Partition { shape: shape?, of: of? })
}

fn cuts_nothing<T>(item: &Item<'_, '_>, message: impl Into<String>, help: &str) -> Option<T> {
    let diagnostic = Diagnostic::error(diagnostic::CUTS_NOTHING, message, item.span(), "cuts nothing");
    item.report(diagnostic.help(help));
    None
}

fn parse_groups(item: &Item<'_, '_>, names: &Names<'_>) -> Option<Vec<Side>> {
    let group = |group: &Item<'_, '_>| match group.is_array() && group.array()?.is_empty() {
        true => cuts_nothing(group, "a group of nobody", "name who stands in it, or leave it out"),
        false => Side::parse(group, names),
    };
    let groups: Vec<_> = item.array()?.iter().map(group).collect();
    let groups = groups.into_iter().collect::<Option<Vec<_>>>()?;
    if groups.len() < 2 {
        let message = "a partition into fewer than two groups";
        return cuts_nothing(item, message, "\"*\" is everybody else: [[\"leader\"], [\"*\"]]");
    }
    let rests = groups.iter().filter(|group| group.has_rest).count();
    if rests > 1 {
        let message = format!("`*` stands in {rests} groups, which then reach each other");
        return cuts_nothing(item, message, "\"*\" is everybody who is not named, in one group");
    }
    Some(groups)
}

fn parse_shape(table: &Table<'_, '_>, names: &Names<'_>) -> Option<Shape> {
    if table.has("from") || table.has("to") {
        let side = |key| table.item(key).map_or(Some(Side::rest()), |item| Side::parse(&item, names));
        let (from, to) = (side("from"), side("to"));
        if let Some(other) = table.at_most_one(&["isolate", "halves", "bridge", "ring"]) {
            let message = format!("`{}` beside one way: only one shape can be meant", other.key());
            let diagnostic = Diagnostic::error(diagnostic::CUTS_NOTHING, message, other.key_span(), "another shape");
            table.report(diagnostic.help("a step has one partition"));
            return None;
        }
        if [&from, &to].iter().all(|side| side.as_ref().is_some_and(|side| side.has_rest)) {
            let item = table.item("from").or_else(|| table.item("to"))?;
            return cuts_nothing(&item, "one way from everybody else to everybody else", "name one of the two sides");
        }
        return Some(Shape::OneWay(from?, to?));
    }
    let help = "isolate, from and to, halves, bridge or ring";
    let chosen = table.exactly_one(&["isolate", "halves", "bridge", "ring"], "a shape", help)?;
    match chosen.key() {
        "isolate" => whole(&chosen, names).map(Shape::Isolate),
        "bridge" => whole(&chosen, names).map(Shape::Bridge),
        key => {
            if !chosen.boolean()?.value {
                return cuts_nothing(&chosen, format!("`{key} = false` is no shape"), "leave it out");
            }
            Some(if key == "ring" { Shape::Ring } else { Shape::Halves })
        }
    }
}

/// A shape that no choice of so few nodes has.
fn refuse_too_few(shape: &Shape, of: &Target, table: &Table<'_, '_>, names: &Names<'_>) -> Option<()> {
    let least = match shape {
        Shape::Ring => network::SMALLEST_RING,
        Shape::Bridge(_) => 3,
        Shape::Halves | Shape::Isolate(_) => 2,
        Shape::Groups(_) | Shape::OneWay(..) => return Some(()),
    };
    let count = of.members(&names.cluster()).len();
    if count >= least || names.nodes_are_unknown() || count == 0 {
        return Some(());
    }
    let item = ["ring", "bridge", "halves", "isolate"].into_iter().find_map(|key| table.item(key))?;
    cuts_nothing(
        &item,
        format!("of {count} nodes, this shape cuts nothing"),
        &format!("it needs {least} nodes at least"),
    )
}

impl Partition {
    /// What it cuts at this moment.
    ///
    /// # Errors
    ///
    /// When somebody who is named is nobody, or nothing is cut, for people.
    pub fn resolve(&self, state: &ClusterState, random: &mut Keyed) -> Result<Harm, String> {
        let of = nodes(&self.of, state, random)?;
        // Who is meant comes in the order of the scenario, whoever was named first.
        let of: Vec<Name> = state.nodes().iter().filter(|node| of.contains(node)).cloned().collect();
        let paths = match &self.shape {
            Shape::Groups(groups) => apart(groups, state, random)?,
            Shape::Isolate(target) => {
                let alone = nodes(target, state, random)?;
                let rest = but(&of, &alone);
                let groups = alone.into_iter().map(|node| vec![node]).chain([rest]);
                Paths::Apart(groups.filter(|group| !group.is_empty()).collect())
            }
            Shape::OneWay(from, to) => {
                let (from, to) = both(from, to, state, random)?;
                Paths::OneWay { from, to }
            }
            Shape::Halves => network::halves(&of, random),
            Shape::Bridge(target) => {
                let bridge = nodes(target, state, random)?;
                network::bridge(&of, &bridge, random)
            }
            Shape::Ring => network::ring(&of, random),
        };
        match paths.links().is_empty() {
            true => Err(format!("{paths} cuts no link: whoever is in a group together reaches each other")),
            false => Ok(Harm::partition(paths, state.nodes())),
        }
    }
}

fn apart(groups: &[Side], state: &ClusterState, random: &mut Keyed) -> Result<Paths, String> {
    let mut named = Vec::new();
    for group in groups {
        named.push(group.named(state, random)?);
    }
    let rest = but(state.nodes(), &named.concat());
    for (group, _) in named.iter_mut().zip(groups).filter(|(_, side)| side.has_rest) {
        group.extend(rest.iter().cloned());
    }
    named.retain(|group| !group.is_empty());
    Ok(Paths::Apart(named))
}

/// Whoever stands on two sides.
pub(super) fn both(
    one: &Side,
    other: &Side,
    state: &ClusterState,
    random: &mut Keyed,
) -> Result<(Vec<Name>, Vec<Name>), String> {
    let (mut these, mut those) = (one.named(state, random)?, other.named(state, random)?);
    let rest = but(state.nodes(), &[these.as_slice(), those.as_slice()].concat());
    these.extend(rest.iter().filter(|_| one.has_rest).cloned());
    those.extend(rest.iter().filter(|_| other.has_rest).cloned());
    Ok((these, those))
}

impl fmt::Display for Partition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.shape {
            Shape::Groups(groups) => {
                let groups: Vec<String> = groups.iter().map(|side| format!("{{{side}}}")).collect();
                write!(f, "partition {}", groups.join(" | "))?;
            }
            Shape::Isolate(target) => write!(f, "partition {target} from everybody")?,
            Shape::OneWay(from, to) => write!(f, "partition {from} -> {to}")?,
            Shape::Halves => f.write_str("partition into halves")?,
            Shape::Bridge(target) => write!(f, "partition into halves with {target} as the bridge")?,
            Shape::Ring => f.write_str("partition into a ring")?,
        }
        if self.of == Target::all() { Ok(()) } else { write!(f, " of {}", self.of) }
    }
}
