//! What a word in braces is: a placeholder, a text, or a mistake.

use super::{Fact, Hole};
use crate::diagnostic::{did_you_mean, suggestion};
use crate::names::{Names, VarShape};
use crate::observation::{MAIN, Name};

/// The placeholders that stand by themselves.
const WORDS: &[&str] =
    &["id", "name", "ip", "port", "addr", "data_dir", "life", "peers", "node", "nodes.count", "scenario_dir"];
/// The words that are followed by a dot and a name.
const HEADS: &[&str] = &["port", "addr", "vars", "nodes"];

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

/// What stands before the closing brace, if it can be a placeholder's name.
pub(super) fn placeholder_word(rest: &str) -> Option<&str> {
    let word = &rest[..rest.find('}')?];
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    (word.starts_with(|c: char| c.is_ascii_alphabetic()) && word.chars().all(is_name)).then_some(word)
}

/// What a word in braces is.
pub(super) enum Reading {
    Hole(Hole),
    Text,
    Mistake { label: String, help: String },
}

impl Reading {
    pub(super) fn of(word: &str, setting: Setting, names: &Names<'_>) -> Self {
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
