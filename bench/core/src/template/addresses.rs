//! What placeholders stand for: where everything is, seen from one node.

use std::collections::BTreeMap;

use super::{Fact, Hole, Template};
use crate::names::VarShape;
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
    /// 1 for the first.
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
    /// One text for each node.
    Each {
        /// The text, from that node's point of view.
        each: Template,
        /// True leaves out the node that uses the variable.
        others: bool,
        /// What stands between them; none makes them a list.
        join: Option<String>,
    },
    /// A path relative to the scenario's directory.
    Path(String),
}

impl Var {
    /// What it may be used for.
    pub fn shape(&self) -> VarShape {
        match self {
            Self::Text(text) => VarShape { is_list: false, needs_node: text.needs_node() },
            Self::List(texts) => VarShape { is_list: true, needs_node: texts.iter().any(Template::needs_node) },
            Self::Each { others, join, .. } => VarShape { is_list: join.is_none(), needs_node: *others },
            Self::Path(_) => VarShape { is_list: false, needs_node: false },
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
            Self::Peers => {
                let peer = |node: &Name| {
                    let at = addresses.nodes.get(node)?;
                    Some(format!("{node}={}", Fact::Addr(MAIN.into()).of(node, at, 0)?))
                };
                addresses.order.iter().filter_map(peer).collect::<Vec<_>>().join(",")
            }
            Self::Executable => format!("{} node", addresses.executable),
            Self::NodesCount => addresses.nodes.len().to_string(),
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

fn variable<'a>(name: &str, place: &Place<'a>) -> Option<&'a Var> {
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
        Some(Var::Each { each, others, .. }) => {
            let nodes = place.addresses.order.iter().filter(|node| !(*others && place.node == Some(node)));
            nodes.map(|node| each.expand(&Place { node: Some(node), ..*place })).collect()
        }
    }
}
