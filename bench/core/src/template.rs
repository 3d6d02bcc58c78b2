//! Placeholders: `{name}`, `{addr}`, `{vars.X}` in commands, files and conditions.
//!
//! Only a known placeholder is replaced; every other brace is text, or no configuration file could be written. `{{` before a
//! placeholder's name keeps it as text. In commands, a word that is nearly a placeholder is a mistake; in files it is text, unless it
//! begins like one of ours (`{vars.`, `{port.`, `{addr.`, a node's name and a dot).

use std::collections::BTreeMap;

use crate::diagnostic::{self, Diagnostic, Located, did_you_mean, suggestion};
use crate::names::{Names, VarShape};
use crate::observation::{MAIN, Name};

/// The placeholders that stand by themselves.
const WORDS: &[&str] =
    &["id", "name", "ip", "port", "addr", "data_dir", "life", "peers", "node", "nodes.count", "scenario_dir"];
/// The words that are followed by a dot and a name.
const HEADS: &[&str] = &["port", "addr", "vars", "nodes"];

/// A text with placeholders.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Template {
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Hole(Hole),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Hole {
    /// Something about a node: this one, or the one named.
    Node(Option<Name>, Fact),
    Peers,
    Executable,
    NodesCount,
    ScenarioDir,
    Var(Name, VarShape),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Fact {
    Id,
    Name,
    Ip,
    Port(Name),
    Addr(Name),
    DataDir,
    Life,
}

/// Where a template stands, which decides what it may speak of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// There is a "this node" (`{name}`, `{addr}` ...).
    pub has_node: bool,
    /// It is an argument or the like, where a misspelt placeholder is a mistake; in a file it may be the file's own brace.
    pub is_strict: bool,
}

impl Setting {
    /// A command, environment or path of a node.
    pub const NODE: Self = Self { has_node: true, is_strict: true };
    /// The contents of a node's file.
    pub const FILE: Self = Self { has_node: true, is_strict: false };
    /// A command that the bench runs for itself.
    pub const BENCH: Self = Self { has_node: false, is_strict: true };
}

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

impl Template {
    /// A text without placeholders.
    pub fn text(text: impl Into<String>) -> Self {
        Self { pieces: vec![Piece::Text(text.into())] }
    }

    /// Reads a text; reports unknown placeholders.
    pub fn parse(text: &Located<&str>, setting: Setting, names: &Names<'_>) -> Option<Self> {
        let mut template = Self::default();
        let mut is_good = true;
        let mut rest = text.value;
        while let Some(open) = rest.find('{') {
            template.push_text(&rest[..open]);
            rest = &rest[open..];
            let is_escaped = rest.starts_with("{{");
            let Some(word) = placeholder_word(&rest[if is_escaped { 2 } else { 1 }..]) else {
                let braces = if is_escaped { 2 } else { 1 };
                template.push_text(&rest[..braces]);
                rest = &rest[braces..];
                continue;
            };
            let reading = Reading::of(word, setting, names);
            if is_escaped {
                let doubled = if matches!(reading, Reading::Text) { "{{" } else { "{" };
                template.push_text(&format!("{doubled}{word}}}"));
                rest = &rest[2 + word.len() + 1..];
                // Whoever doubles the opening brace may double the closing one.
                if doubled == "{" {
                    rest = rest.strip_prefix('}').unwrap_or(rest);
                }
                continue;
            }
            match reading {
                Reading::Hole(hole) => template.pieces.push(Piece::Hole(hole)),
                Reading::Text => template.push_text(&rest[..word.len() + 2]),
                Reading::Mistake { label, help } => {
                    is_good = false;
                    let message = format!("unknown placeholder `{{{word}}}`");
                    names.problems().report(
                        Diagnostic::error(diagnostic::BAD_PLACEHOLDER, message, text.span.clone(), label).help(help),
                    );
                }
            }
            rest = &rest[word.len() + 2..];
        }
        template.push_text(rest);
        is_good.then_some(template)
    }

    fn push_text(&mut self, text: &str) {
        match self.pieces.last_mut() {
            _ if text.is_empty() => {}
            Some(Piece::Text(last)) => last.push_str(text),
            _ => self.pieces.push(Piece::Text(text.to_owned())),
        }
    }

    /// True if it speaks of "this node".
    pub fn needs_node(&self) -> bool {
        self.pieces.iter().any(|piece| match piece {
            Piece::Hole(Hole::Node(None, _)) => true,
            Piece::Hole(Hole::Var(_, shape)) => shape.needs_node,
            _ => false,
        })
    }

    /// True if it is exactly `{node}`: dsbench's own reference node.
    pub fn is_reference_node(&self) -> bool {
        self.pieces == [Piece::Hole(Hole::Executable)]
    }

    /// The text without placeholders, if there are none in it.
    pub fn plain(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [] => Some(""),
            [Piece::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The text with its placeholders replaced.
    pub fn expand(&self, place: &Place<'_>) -> String {
        let mut text = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(piece) => text.push_str(piece),
                Piece::Hole(hole) => text.push_str(&hole.expand(place)),
            }
        }
        text
    }

    /// The arguments of a command: `{node}` becomes two, a list that is an argument by itself becomes as many as it has.
    pub fn arguments(command: &[Self], place: &Place<'_>) -> Vec<String> {
        let mut arguments = Vec::new();
        for argument in command {
            match argument.pieces.as_slice() {
                [Piece::Hole(Hole::Executable)] => {
                    arguments.extend([place.addresses.executable.clone(), "node".to_owned()]);
                }
                [Piece::Hole(Hole::Var(name, shape))] if shape.is_list => arguments.extend(values(name, place)),
                _ => arguments.push(argument.expand(place)),
            }
        }
        arguments
    }
}

impl std::fmt::Display for Template {
    /// As the scenario has it.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => f.write_str(text)?,
                Piece::Hole(hole) => write!(f, "{{{hole}}}")?,
            }
        }
        Ok(())
    }
}

impl std::fmt::Display for Hole {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Node(of, fact) => {
                if let Some(node) = of {
                    write!(f, "{node}.")?;
                }
                match fact {
                    Fact::Id => f.write_str("id"),
                    Fact::Name => f.write_str("name"),
                    Fact::Ip => f.write_str("ip"),
                    Fact::Port(port) if &**port == MAIN => f.write_str("port"),
                    Fact::Port(port) => write!(f, "port.{port}"),
                    Fact::Addr(port) if &**port == MAIN => f.write_str("addr"),
                    Fact::Addr(port) => write!(f, "addr.{port}"),
                    Fact::DataDir => f.write_str("data_dir"),
                    Fact::Life => f.write_str("life"),
                }
            }
            Self::Peers => f.write_str("peers"),
            Self::Executable => f.write_str("node"),
            Self::NodesCount => f.write_str("nodes.count"),
            Self::ScenarioDir => f.write_str("scenario_dir"),
            Self::Var(name, _) => write!(f, "vars.{name}"),
        }
    }
}

/// What stands before the closing brace, if it can be a placeholder's name.
fn placeholder_word(rest: &str) -> Option<&str> {
    let word = &rest[..rest.find('}')?];
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    (word.starts_with(|c: char| c.is_ascii_alphabetic()) && word.chars().all(is_name)).then_some(word)
}

/// What a word in braces is.
enum Reading {
    Hole(Hole),
    Text,
    Mistake { label: String, help: String },
}

impl Reading {
    fn of(word: &str, setting: Setting, names: &Names<'_>) -> Self {
        let (head, tail) = word.split_once('.').map_or((word, None), |(head, tail)| (head, Some(tail)));
        let reading = match (head, tail) {
            ("peers", None) if names.ports().iter().any(|port| &**port == MAIN) => Self::Hole(Hole::Peers),
            ("peers", None) => Self::Mistake {
                label: "lists the ports called `main`, and there is none".to_owned(),
                help: "write a variable: [vars] peers = { each = \"{name}={addr.PORT}\", join = \",\" }".to_owned(),
            },
            ("node", None) => Self::Hole(Hole::Executable),
            ("scenario_dir", None) => Self::Hole(Hole::ScenarioDir),
            ("nodes", Some("count")) => Self::Hole(Hole::NodesCount),
            ("vars", Some(var)) => match names.vars().iter().find(|(name, _)| &**name == var) {
                Some((name, shape)) => Self::Hole(Hole::Var(name.clone(), *shape)),
                None => Self::mistake(var, "variables defined before", names.vars().iter().map(|(name, _)| &**name)),
            },
            (_, Some(_)) if names.nodes_are_unknown() => Self::Text,
            (node, Some(fact)) if names.is_node(node) => Self::fact(fact, names)
                .map_or_else(|mistake| mistake, |fact| Self::Hole(Hole::Node(Some(node.into()), fact))),
            (word, Some(_)) if !HEADS.contains(&word) => Self::unknown(word, setting, names),
            _ => Self::fact(word, names).map_or_else(
                |mistake| {
                    if tail.is_some() || head == "port" || head == "addr" {
                        mistake
                    } else {
                        Self::unknown(word, setting, names)
                    }
                },
                |fact| Self::Hole(Hole::Node(None, fact)),
            ),
        };
        match &reading {
            Self::Hole(Hole::Node(None, _)) if !setting.has_node => Self::Mistake {
                label: "there is no \"this node\" here".to_owned(),
                help: format!("name the node: `{{peer1.{word}}}`, or say on whom it runs: on = \"peer1\""),
            },
            Self::Hole(Hole::Var(_, VarShape { needs_node: true, .. })) if !setting.has_node => Self::Mistake {
                label: "the variable speaks of \"this node\", and there is none here".to_owned(),
                help: "say on whom the command runs: on = \"peer1\"".to_owned(),
            },
            _ => reading,
        }
    }

    fn fact(word: &str, names: &Names<'_>) -> Result<Fact, Self> {
        let port = |name: &str| {
            let known = || names.ports().iter().map(|port| &**port);
            known().find(|port| *port == name).map(Name::from).ok_or_else(|| Self::mistake(name, "ports", known()))
        };
        Ok(match word.split_once('.') {
            None => match word {
                "id" => Fact::Id,
                "name" => Fact::Name,
                "ip" => Fact::Ip,
                "port" => Fact::Port(port(MAIN)?),
                "addr" => Fact::Addr(port(MAIN)?),
                "data_dir" => Fact::DataDir,
                "life" => Fact::Life,
                _ => return Err(Self::mistake(word, "facts of a node", WORDS[..7].iter().copied())),
            },
            Some(("port", name)) => Fact::Port(port(name)?),
            Some(("addr", name)) => Fact::Addr(port(name)?),
            Some(_) => return Err(Self::mistake(word, "placeholders", WORDS.iter().copied())),
        })
    }

    fn unknown(word: &str, setting: Setting, names: &Names<'_>) -> Self {
        let nodes = names.nodes().map(|node| &**node);
        match did_you_mean(word, WORDS.iter().copied().chain(HEADS.iter().copied()).chain(nodes)) {
            Some(near) if setting.is_strict => {
                let help = format!("did you mean `{{{near}}}`? `{{{{{word}}}` keeps it as text");
                Self::Mistake { label: "nearly a placeholder".to_owned(), help }
            }
            _ => Self::Text,
        }
    }

    fn mistake<'n>(word: &str, what: &str, known: impl Iterator<Item = &'n str>) -> Self {
        let help = format!("{}; `{{{{` before it keeps it as text", suggestion(word, what, known));
        Self::Mistake { label: format!("`{word}` is none of the {what}"), help }
    }
}

impl Hole {
    fn expand(&self, place: &Place<'_>) -> String {
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
fn values(name: &str, place: &Place<'_>) -> Vec<String> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostic::Problems;

    /// Two nodes with the ports main and peer.
    fn addresses() -> Addresses {
        let node = |id: u32| NodeAddress {
            id,
            ip: "127.0.0.1".to_owned(),
            ports: [("main".into(), 7000 + id as u16), ("peer".into(), 8000 + id as u16)].into(),
            data_dir: format!("/data/n{id}"),
            vars: BTreeMap::new(),
        };
        let text = |text: &str| Template::parse(&located(text), Setting::NODE, &names(&Problems::new())).unwrap();
        let urls = |join: Option<&str>| Var::Each {
            each: text("{name}=http://{addr.peer}"),
            others: join.is_none(),
            join: join.map(str::to_owned),
        };
        Addresses {
            executable: "/bin/dsbench".to_owned(),
            scenario_dir: "/scenarios".to_owned(),
            nodes: [("n1".into(), node(1)), ("n2".into(), node(2))].into(),
            order: vec!["n1".into(), "n2".into()],
            vars: [
                ("urls".into(), urls(Some(","))),
                ("others".into(), urls(None)),
                ("home".into(), Var::Path("x".into())),
            ]
            .into(),
        }
    }

    fn names(problems: &Problems) -> Names<'_> {
        let mut names = Names::new(problems);
        for node in ["n1", "n2"] {
            names.add_node(node, [MAIN.into()]);
        }
        names.add_port(MAIN);
        names.add_port("peer");
        names.add_var("urls", VarShape { is_list: false, needs_node: false });
        names.add_var("others", VarShape { is_list: true, needs_node: true });
        names.add_var("home", VarShape { is_list: false, needs_node: false });
        names
    }

    fn located(value: &str) -> Located<&str> {
        Located { value, span: 0..value.len() }
    }

    fn expand(text: &str) -> String {
        let problems = Problems::new();
        let template = Template::parse(&located(text), Setting::NODE, &names(&problems));
        assert!(!problems.has_errors(), "{:?}", problems.into_sorted());
        template.unwrap().expand(&Place { addresses: &addresses(), node: Some("n2"), life: 3 })
    }

    #[test]
    fn placeholders_are_replaced_from_the_nodes_point_of_view() {
        assert_eq!(
            expand("{id} {name} {ip} {port} {addr} {port.peer} {addr.peer}"),
            "2 n2 127.0.0.1 7002 127.0.0.1:7002 8002 127.0.0.1:8002"
        );
        assert_eq!(expand("{data_dir}/x {nodes.count} {life} {scenario_dir}"), "/data/n2/x 2 3 /scenarios");
        assert_eq!(expand("{peers}"), "n1=127.0.0.1:7001,n2=127.0.0.1:7002");
        assert_eq!(expand("{n1.addr} {n1.port.peer} {n1.id} {n1.data_dir}"), "127.0.0.1:7001 8001 1 /data/n1");
        assert_eq!(expand("{vars.urls} {vars.home}"), "n1=http://127.0.0.1:8001,n2=http://127.0.0.1:8002 /scenarios/x");
        assert_eq!(expand("{vars.others}"), "n1=http://127.0.0.1:8001");
    }

    #[test]
    fn every_other_brace_is_text() {
        for text in [
            "{\"a\": {\"b\": {}}}",
            "{{ .Name }}",
            "awk '{print $1}'",
            "{",
            "}{",
            "{}",
            "{an unknown one}",
            "{ip6tables_}",
        ] {
            assert_eq!(expand(text), text);
        }
        assert_eq!(expand("{{name} {{name}} {{nothing}"), "{name} {name} {{nothing}");
    }

    #[test]
    fn the_reference_node_and_lists_become_several_arguments() {
        let problems = Problems::new();
        let names = names(&problems);
        let command: Vec<Template> = ["{node}", "sensor", "{vars.others}", "--x={vars.urls}"]
            .iter()
            .map(|text| Template::parse(&located(text), Setting::NODE, &names).unwrap())
            .collect();
        let arguments = Template::arguments(&command, &Place { addresses: &addresses(), node: Some("n1"), life: 1 });
        assert_eq!(
            arguments,
            [
                "/bin/dsbench",
                "node",
                "sensor",
                "n2=http://127.0.0.1:8002",
                "--x=n1=http://127.0.0.1:8001,n2=http://127.0.0.1:8002"
            ]
        );
        assert_eq!(command[3].to_string(), "--x={vars.urls}");
    }

    #[test]
    fn a_misspelt_placeholder_is_a_mistake_in_a_command_and_text_in_a_file() {
        let mistakes = |text: &str, setting: Setting| {
            let problems = Problems::new();
            Template::parse(&located(text), setting, &names(&problems));
            problems.into_sorted().len()
        };
        assert_eq!(mistakes("{nmae} {adr} {dat_dir}", Setting::NODE), 3);
        assert_eq!(mistakes("{nmae} {adr} {dat_dir}", Setting::FILE), 0);
        assert_eq!(mistakes("{vars.nothing} {port.x} {n1.x} {nodes.cuont}", Setting::FILE), 4);
        assert_eq!(mistakes("{name} {addr} {vars.others} {n1.addr} {vars.urls}", Setting::BENCH), 3);
    }
}
