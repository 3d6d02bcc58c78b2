//! Reading targets.

use super::{Purpose, Target, WORDS, Whom};
use crate::diagnostic::{self, Diagnostic, Located, suggestion};
use crate::names::Names;
use crate::observation::Name;
use crate::table::{Item, Key, Kind, Need};

const CHOICE: Need = Need::OneOf("a choice");

/// The keys of a target that is a table: how many of another target are chosen.
pub(crate) const KEYS: &[Key; 3] = &[
    Key::new("random", Kind::Target, "Picks one of this target at random.").with(CHOICE),
    Key::new(
        "minority",
        Kind::Target,
        "Picks at random as many of this target as are fewer than half of it, alive or not: 2 of 5; nobody of 2.",
    )
    .with(CHOICE),
    Key::new(
        "majority",
        Kind::Target,
        "Picks at random as many of this target as are just more than half of it, alive or not: 3 of 5.",
    )
    .with(CHOICE),
];

impl Target {
    /// Reads a target: a text, a list of them, or `{ random = TARGET }` and its like. Reports what is no target.
    pub fn parse(item: &Item<'_, '_>, names: &Names<'_>, purpose: Purpose) -> Option<Self> {
        if item.is_text() {
            return Self::parse_text(&item.text()?, names, purpose);
        }
        if item.is_array() {
            return Self::parse_list(item, names, purpose);
        }
        if item.is_table() {
            let table = item.table(KEYS, "a target")?;
            let keys = KEYS.each_ref().map(|key| key.name);
            let choice = table.exactly_one(&keys, "a choice", "{ random = TARGET }, minority or majority")?;
            let inner = Self::parse(&choice, names, purpose)?;
            let word = keys.into_iter().find(|key| *key == choice.key())?;
            return Self::random_of(inner, word, None, item.span(), names, purpose);
        }
        item.wrong_type("a target (a node, a role, a word like \"all\", or a list of them)")
    }

    /// Reads the words of somebody who acts while the nodes run, one or several: `leader`, `!killed`, `peer1 peer3`. Reports what is no
    /// target.
    pub fn typed<'w>(words: impl IntoIterator<Item = &'w str>, names: &Names<'_>) -> Option<Self> {
        let read = |value| Self::parse_text(&Located { value, span: 0..0 }, names, Purpose::Act);
        // Every word is read before anything is given up, so that all mistakes are told at once.
        let targets: Vec<Option<Self>> = words.into_iter().map(read).collect();
        let mut targets = targets.into_iter().collect::<Option<Vec<_>>>()?;
        if targets.len() == 1 { targets.pop() } else { Some(Self::listed(targets)) }
    }

    /// The targets of a list: those with `!` are taken away from the others.
    fn listed(targets: Vec<Self>) -> Self {
        let (mut wanted, mut unwanted) = (Vec::new(), Vec::new());
        for target in targets {
            match target {
                Self { whom: Whom::Not(inner), process: None } => unwanted.push(*inner),
                target => wanted.push(target),
            }
        }
        Self { whom: Whom::Difference(wanted, unwanted), process: None }
    }

    fn parse_list(item: &Item<'_, '_>, names: &Names<'_>, purpose: Purpose) -> Option<Self> {
        let items = item.array()?;
        if items.is_empty() {
            let message = format!("`{}` names nobody", item.key());
            item.report(
                Diagnostic::error(diagnostic::EMPTY, message, item.span(), "an empty list")
                    .help("\"all\" means every node"),
            );
            return None;
        }
        Self::parse_all(&items, names, purpose)
    }

    /// Reads targets that stand together; at least one.
    pub(crate) fn parse_all(items: &[Item<'_, '_>], names: &Names<'_>, purpose: Purpose) -> Option<Self> {
        if let [only] = items {
            return Self::parse(only, names, purpose);
        }
        // Every item is read before anything is given up, so that all mistakes are told at once.
        let targets: Vec<Option<Self>> = items.iter().map(|item| Self::parse(item, names, purpose)).collect();
        targets.into_iter().collect::<Option<Vec<_>>>().map(Self::listed)
    }

    /// Reads a target that is one word.
    pub fn parse_text(text: &Located<&str>, names: &Names<'_>, purpose: Purpose) -> Option<Self> {
        if let Some(negated) = text.value.strip_prefix('!') {
            let inner = Self::parse_text(&Located { value: negated, span: text.span.clone() }, names, purpose)?;
            return Some(Self { whom: Whom::Not(Box::new(inner)), process: None });
        }
        let (word, process) = match text.value.split_once('/') {
            Some((word, process)) => (word, Some(process)),
            None => (text.value, None),
        };
        let process = match process {
            Some(process) => Some(names.process_of(word, &Located { value: process, span: text.span.clone() })?),
            None => None,
        };
        let whom = match word {
            "all" => Whom::All,
            // For one who looks, any node will do; one who acts has to pick one.
            "any" if purpose == Purpose::Look => Whom::All,
            "any" | "random" => {
                let among = Self { whom: Whom::All, process };
                return Self::random_of(among, word, None, text.span.clone(), names, purpose);
            }
            "minority" | "majority" => {
                return Self::random_of(Self::all(), word, process, text.span.clone(), names, purpose);
            }
            "killed" => Whom::Killed,
            "paused" => Whom::Paused,
            "restarted" => Whom::Restarted,
            "isolated" => {
                names.needs_lab(
                    "the target `isolated`",
                    &text.span,
                    "`paused` names nodes that the others cannot hear",
                )?;
                Whom::Isolated
            }
            super::NEMESIS => {
                let message = "`nemesis` can be started and stopped, and nothing else";
                names.problems().report(
                    Diagnostic::error(diagnostic::UNKNOWN_TARGET, message, text.span.clone(), "not a node")
                        .help("start = \"nemesis\", stop = \"nemesis\""),
                );
                return None;
            }
            role if names.is_role(role) => Whom::Role(role.into()),
            node if names.is_node(node) => Whom::Node(node.into()),
            group if names.group(group).is_some() => Whom::Group(group.into(), names.group(group)?.to_vec()),
            bound if names.is_bound(bound) => Whom::Bound(bound.into()),
            _ if names.nodes_are_unknown() => return None,
            early if names.is_to_be_bound(early) => {
                let message = format!("`{}` is bound only by a later step", early.escape_debug());
                let help = "a name means somebody from the step on that binds it";
                let label = "means nobody yet";
                let diagnostic = Diagnostic::error(diagnostic::OUT_OF_ORDER, message, text.span.clone(), label);
                names.problems().report(diagnostic.help(help));
                return None;
            }
            client if names.is_client(client) => {
                let message = format!("`{client}` is a client, and no node");
                let diagnostic =
                    Diagnostic::error(diagnostic::UNKNOWN_TARGET, message, text.span.clone(), "runs nothing by itself");
                let help = "`partition` and `link` can name clients, and `exec` with `as` runs as one";
                names.problems().report(diagnostic.help(help));
                return None;
            }
            unknown => {
                let known = names
                    .nodes()
                    .chain(names.groups().names())
                    .chain(names.roles())
                    .chain(names.all_bound())
                    .map(|name| &**name)
                    .chain(WORDS.iter().copied());
                let message = format!("nobody is called `{}`", unknown.escape_debug());
                let mut help = suggestion(unknown, "targets", known);
                if names.roles().next().is_none() && !help.starts_with("did you mean") {
                    help += "; no role is defined: leader = { last = \"EVENT\" } in [roles] makes `leader` whoever said that event last";
                }
                let diagnostic =
                    Diagnostic::error(diagnostic::UNKNOWN_TARGET, message, text.span.clone(), "unknown target");
                names.problems().report(diagnostic.help(help));
                return None;
            }
        };
        Some(Self { whom, process })
    }

    fn random_of(
        inner: Self,
        word: &str,
        process: Option<Name>,
        span: diagnostic::Span,
        names: &Names<'_>,
        purpose: Purpose,
    ) -> Option<Self> {
        if purpose == Purpose::Look {
            let message = format!("`{word}` is a random choice, and only steps that act choose");
            names.problems().report(
                Diagnostic::error(diagnostic::RANDOM_LOOK, message, span, "whom does this mean?")
                    .help("what a step chose is afterwards `killed`, `paused` or `restarted`"),
            );
            return None;
        }
        let inner = Box::new(inner);
        let whom = match word {
            "minority" => Whom::Minority(inner),
            "majority" => Whom::Majority(inner),
            _ => Whom::RandomOf(inner),
        };
        Some(Self { whom, process })
    }
}
