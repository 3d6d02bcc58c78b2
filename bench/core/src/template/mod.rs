//! Placeholders: `{name}`, `{addr}`, `{vars.X}` in commands, files and conditions.
//!
//! Only a known placeholder is replaced; every other brace is text, or no configuration file could be written. `{{` before a
//! placeholder's name keeps it as text. In commands, a word that is nearly a placeholder is a mistake; in files it is text, unless it
//! begins like one of ours (`{vars.`, `{port.`, `{addr.`, a node's name and a dot).

mod addresses;
mod reading;

pub use addresses::{Addresses, NodeAddress, Place, Var};
pub use reading::Setting;

use self::addresses::values;
use self::reading::{Reading, placeholder_word};
use crate::diagnostic::{self, Diagnostic, Located};
use crate::names::{Names, VarShape};
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

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
