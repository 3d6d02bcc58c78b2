//! What placeholders stand for: where everything is, seen from one node.

use std::collections::BTreeMap;

use super::{Fact, Hole, Piece, Template};
use crate::groups::{Needs, VarShape};
use crate::observation::{MAIN, Name};

/// What the shell knows before the first start: where everything is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Addresses {
    /// The path of the running dsbench: `{node}` is this with the argument `node`.
    pub executable: String,
    /// The directory of the scenario file.
    pub scenario_dir: String,
    /// Every node.
    pub nodes: BTreeMap<Name, NodeAddress>,
    /// The nodes' names in the order of the scenario.
    pub order: Vec<Name>,
    /// The scenario's variables.
    pub vars: BTreeMap<Name, Var>,
}

/// Where a node is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NodeAddress {
    /// Its group, if the scenario has named ones.
    pub group: Option<Name>,
    /// 1 for the first of its group.
    pub id: u32,
    /// Its address, `127.0.0.1` in host mode.
    pub ip: String,
    /// Its ports.
    pub ports: BTreeMap<Name, u16>,
    /// Its data directory.
    pub data_dir: String,
    /// Its own variables, which come before the scenario's.
    pub vars: BTreeMap<Name, Var>,
}

/// The value of a variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Var {
    /// A text.
    Text(Template),
    /// Several texts.
    List(Vec<Template>),
    /// One text for each of several nodes.
    Each {
        /// The text, from that node's point of view.
        each: Template,
        /// Which nodes.
        of: Of,
        /// What stands between them; none makes them a list.
        join: Option<String>,
    },
    /// A path relative to the scenario's directory.
    Path(String),
}

/// The nodes that a variable speaks of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Of {
    /// Every node of the scenario.
    All,
    /// The nodes of the group of the one that uses it, without itself.
    Others,
    /// The nodes of a group.
    Group(Name),
    /// One node: by its name, in which `{id}` is that of the node that uses it.
    One(String),
}

impl Of {
    /// True if it depends on who uses the variable.
    pub fn needs_node(&self) -> bool {
        match self {
            Self::Others => true,
            Self::One(name) => name.contains("{id}"),
            Self::All | Self::Group(_) => false,
        }
    }

    fn nodes<'a>(&'a self, place: &Place<'a>) -> Vec<&'a Name> {
        let addresses = place.addresses;
        let group_of = |node: &str| addresses.nodes.get(node).map(|at| &at.group);
        let name = match self {
            Self::All => return addresses.order.iter().collect(),
            Self::Others => {
                let me = place.node.unwrap_or_default();
                let is_other = |node: &&Name| &***node != me && group_of(node) == group_of(me);
                return addresses.order.iter().filter(is_other).collect();
            }
            Self::Group(group) => return addresses.group(group).collect(),
            Self::One(name) => name,
        };
        let id = place.node.and_then(|node| addresses.nodes.get(node)).map(|at| at.id.to_string()).unwrap_or_default();
        let name = name.replace("{id}", &id);
        addresses.nodes.get_key_value(name.as_str()).map(|(node, _)| node).into_iter().collect()
    }
}

impl Addresses {
    /// The nodes of a group, in the order of the scenario.
    pub fn group<'a>(&'a self, group: &'a str) -> impl Iterator<Item = &'a Name> {
        let is_member = move |node: &&Name| {
            self.nodes.get(*node).is_some_and(|at| at.group.as_deref().is_some_and(|of| of == group))
        };
        self.order.iter().filter(is_member)
    }
}

impl Var {
    /// What it may be used for.
    pub fn shape(&self) -> VarShape {
        let needs = match self {
            Self::Text(text) => text.needs(),
            Self::List(texts) => texts.iter().map(Template::needs).fold(Needs::default(), Needs::with),
            // What the others lack was looked at where it was defined; but theirs is the group of whoever uses it.
            Self::Each { each, of: Of::Others, .. } => Needs { node: true, ports: each.needs().ports },
            Self::Each { of, .. } => Needs { node: of.needs_node(), ports: Vec::new() },
            Self::Path(_) => Needs::default(),
        };
        VarShape { is_list: self.is_list(), needs }
    }

    /// True if it becomes several arguments.
    pub fn is_list(&self) -> bool {
        match self {
            Self::List(_) => true,
            // One node gives one text.
            Self::Each { of: Of::One(_), .. } => false,
            Self::Each { join, .. } => join.is_none(),
            Self::Text(_) | Self::Path(_) => false,
        }
    }
}

/// From where a template is read: which node, in which life.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// Where everything is.
    pub addresses: &'a Addresses,
    /// "This node"; none for the bench's own commands.
    pub node: Option<&'a str>,
    /// The node's life, from 1.
    pub life: u32,
}

impl Hole {
    pub(super) fn expand(&self, place: &Place<'_>) -> String {
        let addresses = place.addresses;
        match self {
            Self::Node(of, fact) => {
                let node = of.as_deref().or(place.node);
                let known = node.and_then(|node| Some((node, addresses.nodes.get(node)?)));
                // Parsing has proven that there is a node; a shell that does not know it gets the placeholder back, to be seen.
                known.and_then(|(node, at)| fact.of(node, at, place.life)).unwrap_or_else(|| format!("{{{self}}}"))
            }
            Self::Peers { of_group } => {
                let group_of = |node: &str| addresses.nodes.get(node).map(|at| &at.group);
                let is_peer = |node: &&Name| !of_group || group_of(node) == place.node.and_then(group_of);
                let peer = |node: &Name| {
                    let at = addresses.nodes.get(node)?;
                    Some(format!("{node}={}", Fact::Addr(MAIN.into()).of(node, at, 0)?))
                };
                addresses.order.iter().filter(is_peer).filter_map(peer).collect::<Vec<_>>().join(",")
            }
            Self::Executable => format!("{} node", addresses.executable),
            Self::NodesCount => addresses.nodes.len().to_string(),
            Self::GroupCount(group) => addresses.group(group).count().to_string(),
            Self::ScenarioDir => addresses.scenario_dir.clone(),
            Self::Var(name, _) => {
                let join = match variable(name, place) {
                    Some(Var::Each { join: Some(join), .. }) => join,
                    _ => " ",
                };
                values(name, place).join(join)
            }
        }
    }
}

impl Fact {
    fn of(&self, node: &str, at: &NodeAddress, life: u32) -> Option<String> {
        Some(match self {
            Self::Id => at.id.to_string(),
            Self::Name => node.to_owned(),
            Self::Ip => at.ip.clone(),
            Self::Port(port) => at.ports.get(port)?.to_string(),
            Self::Addr(port) => format!("{}:{}", at.ip, at.ports.get(port)?),
            Self::DataDir => at.data_dir.clone(),
            Self::Life => life.to_string(),
        })
    }
}

pub(super) fn variable<'a>(name: &str, place: &Place<'a>) -> Option<&'a Var> {
    let own = place.node.and_then(|node| place.addresses.nodes.get(node)).and_then(|node| node.vars.get(name));
    own.or_else(|| place.addresses.vars.get(name))
}

/// What a variable stands for. It ends: a variable uses only those that are defined before it.
pub(super) fn values(name: &str, place: &Place<'_>) -> Vec<String> {
    match variable(name, place) {
        None => Vec::new(),
        Some(Var::Text(text)) => vec![text.expand(place)],
        Some(Var::List(texts)) => texts.iter().map(|text| text.expand(place)).collect(),
        Some(Var::Path(path)) if path.starts_with('/') => vec![path.clone()],
        Some(Var::Path(path)) => vec![format!("{}/{path}", place.addresses.scenario_dir)],
        Some(Var::Each { each, of, .. }) => {
            of.nodes(place).into_iter().map(|node| each.expand(&Place { node: Some(node), ..*place })).collect()
        }
    }
}

/// What "this node" would have to have for a text to be complete, and does not; for people. A step does not know beforehand whose
/// point of view a text will be read from.
pub(super) fn lacking(piece: &Piece, place: &Place<'_>) -> Option<String> {
    match piece {
        Piece::Hole(Hole::Node(of, fact)) => {
            let node = of.as_deref().or(place.node)?;
            let at = place.addresses.nodes.get(node)?;
            fact.of(node, at, place.life).is_none().then(|| format!("{node} has no {{{fact}}}"))
        }
        Piece::Hole(Hole::Var(name, _)) => match variable(name, place) {
            None => Some(format!("{} has no {{vars.{name}}}", place.node.unwrap_or("the scenario"))),
            Some(Var::Text(text)) => text.lacks(place),
            Some(Var::List(texts)) => texts.iter().find_map(|text| text.lacks(place)),
            Some(Var::Each { each, of, .. }) => {
                of.nodes(place).into_iter().find_map(|node| each.lacks(&Place { node: Some(node), ..*place }))
            }
            Some(Var::Path(_)) => None,
        },
        Piece::Hole(_) | Piece::Text(_) => None,
    }
}
