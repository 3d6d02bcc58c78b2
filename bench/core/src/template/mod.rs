//! Placeholders: `{name}`, `{addr}`, `{vars.X}` in commands, files and conditions.
//!
//! Only a known placeholder is replaced; every other brace is text, or no configuration file could be written. `{{` before a
//! placeholder's name keeps it as text. In commands, a word that is nearly a placeholder is a mistake; in files it is text, unless it
//! begins like one of ours (`{vars.`, `{port.`, `{addr.`, a node's name and a dot).

mod addresses;
mod reading;
mod told;

pub use addresses::{Addresses, NodeAddress, Of, Place, Var};
pub use reading::{PLACEHOLDERS, Setting};
pub use told::told;

use self::addresses::{lacking, values, variable};
use self::reading::{Reading, placeholder_word};
use crate::diagnostic::{self, Diagnostic, Located};
use crate::groups::Needs;
use crate::names::Names;
use crate::observation::{MAIN, Name};

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
    /// The nodes of the same group; all of them where groups have no names.
    Peers {
        of_group: bool,
    },
    Executable,
    NodesCount,
    GroupCount(Name),
    ScenarioDir,
    Var(Name, Needs),
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

    /// What it takes to know what it says.
    pub fn needs(&self) -> Needs {
        let needs = |piece: &Piece| match piece {
            Piece::Hole(Hole::Node(None, Fact::Port(port) | Fact::Addr(port))) => {
                Needs { node: true, ports: vec![port.clone()] }
            }
            Piece::Hole(Hole::Node(None, _)) => Needs { node: true, ports: Vec::new() },
            Piece::Hole(Hole::Peers { of_group }) => Needs { node: *of_group, ports: vec![MAIN.into()] },
            Piece::Hole(Hole::Var(_, needs)) => needs.clone(),
            _ => Needs::default(),
        };
        self.pieces.iter().map(needs).fold(Needs::default(), Needs::with)
    }

    /// What is not there at a place for the text to be complete, for people: a port that only other groups have.
    pub fn lacks(&self, place: &Place<'_>) -> Option<String> {
        self.pieces.iter().find_map(|piece| lacking(piece, place))
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

    /// The text with the same word for every placeholder: what it is like, whatever they stand for.
    pub fn outline(&self, word: &str) -> String {
        let piece = |piece: &Piece| match piece {
            Piece::Text(text) => text.clone(),
            Piece::Hole(_) => word.to_owned(),
        };
        self.pieces.iter().map(piece).collect()
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
                [Piece::Hole(Hole::Var(name, _))] if variable(name, place).is_some_and(Var::is_list) => {
                    arguments.extend(values(name, place));
                }
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
                fact.fmt(f)
            }
            Self::Peers { .. } => f.write_str("peers"),
            Self::Executable => f.write_str("node"),
            Self::NodesCount => f.write_str("nodes.count"),
            Self::GroupCount(group) => write!(f, "groups.{group}.count"),
            Self::ScenarioDir => f.write_str("scenario_dir"),
            Self::Var(name, _) => write!(f, "vars.{name}"),
        }
    }
}

impl std::fmt::Display for Fact {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Id => f.write_str("id"),
            Self::Name => f.write_str("name"),
            Self::Ip => f.write_str("ip"),
            Self::Port(port) if &**port == MAIN => f.write_str("port"),
            Self::Port(port) => write!(f, "port.{port}"),
            Self::Addr(port) if &**port == MAIN => f.write_str("addr"),
            Self::Addr(port) => write!(f, "addr.{port}"),
            Self::DataDir => f.write_str("data_dir"),
            Self::Life => f.write_str("life"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::diagnostic::Problems;
    use crate::groups::{VarShape, Whose};

    /// Two nodes with the ports main and peer.
    fn addresses() -> Addresses {
        let node = |id: u32| NodeAddress {
            group: None,
            id,
            ip: "127.0.0.1".to_owned(),
            ports: [("main".into(), 7000 + id as u16), ("peer".into(), 8000 + id as u16)].into(),
            data_dir: format!("/data/n{id}"),
            vars: BTreeMap::new(),
        };
        let text = |text: &str| Template::parse(&located(text), Setting::NODE, &names(&Problems::new())).unwrap();
        let urls = |join: Option<&str>| Var::Each {
            each: text("{name}=http://{addr.peer}"),
            of: if join.is_none() { Of::Others } else { Of::All },
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
        let of_node = Needs { node: true, ports: vec!["peer".into()] };
        names.add_var(None, "urls", VarShape::default());
        names.add_var(None, "others", VarShape { is_list: true, needs: of_node });
        names.add_var(None, "home", VarShape::default());
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
    /// Servers with the ports main and peer, clients with the port ui; a client's partner is the server of its number.
    fn two_groups() -> Addresses {
        let node = |group: &str, id: u32, port: &str| NodeAddress {
            group: Some(group.into()),
            id,
            ip: "127.0.0.1".to_owned(),
            ports: [(port.into(), 7000 + id as u16), ("main".into(), 8000 + id as u16)].into(),
            data_dir: String::new(),
            vars: BTreeMap::new(),
        };
        let each = |of: Of, join: Option<&str>| Var::Each {
            each: Template { pieces: vec![Piece::Hole(Hole::Node(None, Fact::Name))] },
            of,
            join: join.map(str::to_owned),
        };
        let mut nodes: BTreeMap<Name, NodeAddress> = BTreeMap::new();
        for id in 1..=2 {
            nodes.insert(format!("server{id}").into(), node("server", id, "peer"));
            nodes.insert(format!("client{id}").into(), node("client", id, "ui"));
        }
        Addresses {
            nodes,
            order: ["server1", "server2", "client1", "client2"].map(Name::from).to_vec(),
            vars: [
                ("all".into(), each(Of::All, Some(","))),
                ("others".into(), each(Of::Others, None)),
                ("servers".into(), each(Of::Group("server".into()), Some(" "))),
                ("partner".into(), each(Of::One("server{id}".into()), None)),
            ]
            .into(),
            ..Addresses::default()
        }
    }

    fn grouped(problems: &Problems) -> Names<'_> {
        let mut names = Names::new(problems);
        for (group, port) in [("server", "peer"), ("client", "ui")] {
            names.begin_group(Some(group.into()));
            for id in 1..=2 {
                names.add_node(format!("{group}{id}"), [MAIN.into()]);
            }
            names.add_port(MAIN);
            names.add_port(port);
        }
        for (name, var) in two_groups().vars {
            names.add_var(None, name, var.shape());
        }
        names
    }

    #[test]
    fn a_variable_speaks_of_all_of_a_group_of_the_others_or_of_a_partner() {
        let problems = Problems::new();
        let names = grouped(&problems);
        let addresses = two_groups();
        let seen = |text: &str, node| {
            let template = Template::parse(&located(text), Setting::NODE, &names).unwrap();
            Template::arguments(&[template], &Place { addresses: &addresses, node: Some(node), life: 1 }).join("|")
        };
        assert_eq!(seen("{vars.all}", "client2"), "server1,server2,client1,client2");
        assert_eq!(seen("{vars.others}", "client2"), "client1");
        assert_eq!(seen("{vars.servers}", "client2"), "server1 server2");
        assert_eq!(seen("{vars.partner}", "client2"), "server2");
        assert_eq!(seen("{peers}", "client2"), "client1=127.0.0.1:8001,client2=127.0.0.1:8002");
        assert_eq!(seen("{nodes.count} {groups.server.count}", "client2"), "4 2");
        assert!(!problems.has_errors());
    }

    #[test]
    fn a_port_is_known_to_the_group_that_has_it() {
        let problems = Problems::new();
        let names = grouped(&problems);
        let group = |name| Setting::NODE.of(Whose::Of(names.groups().named(name).unwrap()));
        let is_good = |text: &str, setting| Template::parse(&located(text), setting, &names).is_some();
        assert!(is_good("{addr.peer} {client1.port.ui}", group("server")));
        assert!(!is_good("{addr.ui}", group("server")));
        assert!(!is_good("{client1.port.peer}", group("server")));
        assert!(is_good("{addr.peer}", Setting::NODE), "somebody has it, and the run tells who is meant");
        assert!(!is_good("{addr.peer}", Setting::NODE.of(Whose::Everybody)));
        assert!(is_good("{addr}", Setting::NODE.of(Whose::Everybody)));
        assert!(!is_good("{groups.sever.count}", Setting::BENCH) && !is_good("{peers}", Setting::BENCH));
        let peer = Template::parse(&located("x{addr.peer}"), Setting::NODE, &names).unwrap();
        let addresses = two_groups();
        let lacks = |node| peer.lacks(&Place { addresses: &addresses, node: Some(node), life: 1 });
        assert_eq!((lacks("server1"), lacks("client1")), (None, Some("client1 has no {addr.peer}".to_owned())));
    }
}
