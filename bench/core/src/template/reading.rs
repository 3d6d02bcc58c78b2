//! What a word in braces is: a placeholder, a text, or a mistake.

use super::{Fact, Hole};
use crate::diagnostic::{did_you_mean, suggestion};
use crate::groups::{ScopeId, Whose};
use crate::names::Names;
use crate::observation::{MAIN, Name};
use crate::table::Word;

/// Every placeholder, with what it stands for; names in capitals are the scenario's own.
pub const PLACEHOLDERS: &[Word] = &[
    Word::new("id", "The node's number within its group: 1, 2, 3 ..."),
    Word::new("name", "The node's name."),
    Word::new("ip", "The node's address without a port: 127.0.0.1 in host mode."),
    Word::new("port", "The node's port, if it has one called `main` (as it has if `ports` is not given)."),
    Word::new("port.NAME", "The node's port of this name: ports = [\"client\", \"peer\"]."),
    Word::new("addr", "The node's address and port, if it has a port called `main`: 127.0.0.1:7001."),
    Word::new("addr.NAME", "The node's address with the port of this name."),
    Word::new("data_dir", "The node's own directory: empty at first, kept over restarts, and where it runs."),
    Word::new("life", "How often the node's process was started, this time included: 1 at first."),
    Word::new("peers", "All nodes of the group with their `main` ports: peer1=127.0.0.1:7001,peer2=127.0.0.1:7002."),
    Word::new("NODE.addr", "A fact of another node, by its name: {peer2.addr}, {peer2.port.client}, {peer2.id} ..."),
    Word::new("node", "Alone as an argument: dsbench's own executable and `node`, which is the reference node."),
    Word::new("nodes.count", "How many nodes there are."),
    Word::new("groups.NAME.count", "How many nodes the group has."),
    Word::new("scenario_dir", "The directory of the scenario's file: {scenario_dir}/server.py."),
    Word::new("vars.NAME", "The variable of this name, of [vars], the group or the node."),
];

/// The placeholders that stand by themselves.
const WORDS: &[&str] =
    &["id", "name", "ip", "port", "addr", "data_dir", "life", "peers", "node", "nodes.count", "scenario_dir"];
/// The words that are followed by a dot and a name.
const HEADS: &[&str] = &["port", "addr", "vars", "nodes", "groups"];

/// Where a template stands, which decides what it may speak of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// Who is "this node" (`{name}`, `{addr}` ...).
    pub whose: Whose,
    /// It is an argument or the like, where a misspelt placeholder is a mistake; in a file it may be the file's own brace.
    pub is_strict: bool,
}

impl Setting {
    /// A command, environment or path of a node.
    pub const NODE: Self = Self { whose: Whose::Anybody, is_strict: true };
    /// The contents of a node's file.
    pub const FILE: Self = Self { whose: Whose::Anybody, is_strict: false };
    /// A command that the bench runs for itself.
    pub const BENCH: Self = Self { whose: Whose::Nobody, is_strict: true };

    /// The same, read from this point of view.
    pub const fn of(self, whose: Whose) -> Self {
        Self { whose, ..self }
    }
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
        let whose = setting.whose;
        let reading = match (head, tail) {
            ("peers", None) => Self::peers(whose, names),
            ("node", None) => Self::Hole(Hole::Executable),
            ("scenario_dir", None) => Self::Hole(Hole::ScenarioDir),
            ("nodes", Some("count")) => Self::Hole(Hole::NodesCount),
            ("groups", Some(tail)) => Self::group(tail, names),
            ("vars", Some(var)) => Self::var(var, whose, names),
            (_, Some(_)) if names.nodes_are_unknown() => Self::Text,
            (node, Some(fact)) if names.is_node(node) => {
                let whose = names.groups().of_node(node).map_or(Whose::Anybody, Whose::Of);
                Self::fact(fact, whose, names)
                    .map_or_else(|mistake| mistake, |fact| Self::Hole(Hole::Node(Some(node.into()), fact)))
            }
            (word, Some(_)) if !HEADS.contains(&word) => Self::unknown(word, setting, names),
            _ => Self::fact(word, whose, names).map_or_else(
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
            Self::Hole(Hole::Node(None, _)) if whose == Whose::Nobody => Self::Mistake {
                label: "there is no \"this node\" here".to_owned(),
                help: format!("name the node: `{{peer1.{word}}}`, or say on whom it runs: on = \"peer1\""),
            },
            Self::Hole(Hole::Var(_, needs)) if needs.node && whose == Whose::Nobody => Self::Mistake {
                label: "the variable speaks of \"this node\", and there is none here".to_owned(),
                help: "say on whom the command runs: on = \"peer1\"".to_owned(),
            },
            _ => reading,
        }
    }

    fn peers(whose: Whose, names: &Names<'_>) -> Self {
        let of_group = names.groups().are_named();
        if of_group && whose == Whose::Nobody {
            return Self::Mistake {
                label: "there is no \"this node\" here whose group is meant".to_owned(),
                help: "write a variable: [vars] servers = { each = \"{name}={addr}\", of = \"server\", join = \",\" }"
                    .to_owned(),
            };
        }
        let has_main = |scope| names.groups().ports(scope).iter().any(|port| &**port == MAIN);
        match from_all(whose, names, |scope| if has_main(scope) { Ok(()) } else { Err(()) }) {
            Ok(()) => Self::Hole(Hole::Peers { of_group }),
            Err(()) if names.groups().are_unknown() => Self::Text,
            Err(()) => Self::Mistake {
                label: "lists the ports called `main`, and there is none".to_owned(),
                help: "write a variable: [vars] peers = { each = \"{name}={addr.PORT}\", join = \",\" }".to_owned(),
            },
        }
    }

    /// `{groups.NAME.count}`
    fn group(tail: &str, names: &Names<'_>) -> Self {
        let Some((group, "count")) = tail.rsplit_once('.') else {
            return Self::Mistake {
                label: "of a group, its number of nodes can be named".to_owned(),
                help: "written {groups.NAME.count}; {nodes.count} is the number of all nodes".to_owned(),
            };
        };
        match names.groups().names().find(|name| &***name == group) {
            Some(group) => Self::Hole(Hole::GroupCount(group.clone())),
            None => Self::mistake(group, "groups", names.groups().names().map(|name| &**name)),
        }
    }

    fn var(var: &str, whose: Whose, names: &Names<'_>) -> Self {
        let groups = names.groups();
        let seen = from_all(whose, names, |scope| {
            let (name, shape) = groups.var(Some(scope), var).ok_or(None)?;
            let missing = shape.needs.ports.iter().find(|port| !groups.ports(scope).contains(port));
            missing.map_or_else(|| Ok((name.clone(), shape.needs.clone())), |port| Err(Some((scope, port.clone()))))
        });
        match seen {
            Ok((name, needs)) => Self::Hole(Hole::Var(name, needs)),
            Err(Some((scope, port))) => Self::Mistake {
                label: format!("the variable needs the port `{port}`, and {} has none", groups.shown(scope)),
                help: "give the group that port, or a variable of its own".to_owned(),
            },
            Err(None) if groups.are_unknown() => Self::Text,
            Err(None) => {
                let seen_by = |scope| groups.vars(scope).map(|(name, _)| &**name).collect::<Vec<_>>();
                let known = match whose {
                    Whose::Of(scope) => seen_by(Some(scope)),
                    _ => groups.iter().map(Some).chain([None]).flat_map(seen_by).collect(),
                };
                Self::mistake(var, "variables defined before", known.into_iter())
            }
        }
    }

    fn fact(word: &str, whose: Whose, names: &Names<'_>) -> Result<Fact, Self> {
        let port = |name: &str| Self::port(name, whose, names);
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

    fn port(name: &str, whose: Whose, names: &Names<'_>) -> Result<Name, Self> {
        let groups = names.groups();
        let of = |scope| groups.ports(scope).iter().find(|port| &***port == name).cloned().ok_or(scope);
        from_all(whose, names, of).map_err(|scope| {
            if groups.are_unknown() {
                return Self::Text;
            }
            let is_certain = groups.are_named() && matches!(whose, Whose::Of(_) | Whose::Everybody);
            if is_certain {
                let known = groups.ports(scope).iter().map(|port| &**port);
                return Self::mistake(name, &format!("ports of {}", groups.shown(scope)), known);
            }
            Self::mistake(name, "ports", groups.iter().flat_map(|scope| groups.ports(scope)).map(|port| &**port))
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

/// What is seen from a point of view: from that scope; from each group, if everybody has to see it; else from the first group that does.
fn from_all<T, E>(whose: Whose, names: &Names<'_>, look: impl Fn(ScopeId) -> Result<T, E>) -> Result<T, E> {
    if let Whose::Of(scope) = whose {
        return look(scope);
    }
    let (first, others) = names.groups().all();
    others.into_iter().fold(look(first), |seen, scope| match (seen, whose) {
        (Ok(_), Whose::Everybody) => look(scope),
        (Err(error), Whose::Anybody | Whose::Nobody) => look(scope).map_err(|_| error),
        (seen, _) => seen,
    })
}

#[cfg(test)]
mod tests {
    use super::{HEADS, PLACEHOLDERS, WORDS};

    #[test]
    fn every_placeholder_is_explained() {
        let is_explained = |word: &str| PLACEHOLDERS.iter().any(|known| known.word == word);
        let has_tail = |head: &str| PLACEHOLDERS.iter().any(|known| known.word.starts_with(&format!("{head}.")));
        for word in WORDS {
            assert!(is_explained(word), "`{word}`: add it to PLACEHOLDERS, with what it stands for");
        }
        for head in HEADS {
            assert!(has_tail(head), "`{head}.NAME`: add it to PLACEHOLDERS, with what it stands for");
        }
        for known in PLACEHOLDERS {
            let head = known.word.split('.').next().unwrap_or_default();
            assert!(WORDS.contains(&known.word) || HEADS.contains(&head) || head == "NODE", "{}", known.word);
        }
    }
}
