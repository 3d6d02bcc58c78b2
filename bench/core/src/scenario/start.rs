//! Who starts when the run begins, and in which order.

use std::fmt;

use super::differences::Difference;
use super::groups::Group;
use super::process::START_WORDS;
use crate::diagnostic::{self, Diagnostic, Located, suggestion};
use crate::names::Names;
use crate::observation::Name;
use crate::table::{Item, Table};

/// The first start: nodes that start side by side, each stage when the nodes of the one before are ready. Who is in none of them is left
/// to `start` steps.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StartOrder {
    /// The stages; none is empty.
    pub stages: Vec<Vec<Name>>,
}

/// When a group starts.
struct Rule<'d> {
    /// Its own stages, and the groups whose last stage comes before its first one.
    stages: Vec<Vec<Name>>,
    after: Vec<(usize, Located<&'d str>)>,
}

impl StartOrder {
    pub(super) fn parse(
        groups: &[Group<'_, '_>],
        differences: &[Difference<'_, '_>],
        names: &Names<'_>,
    ) -> Option<Self> {
        let rules: Vec<_> = groups.iter().map(|group| Rule::parse(group, groups, differences, names)).collect();
        let rules = rules.into_iter().collect::<Option<Vec<_>>>()?;
        let mut begins: Vec<Option<usize>> = vec![None; rules.len()];
        for index in 0..rules.len() {
            begin_of(index, &rules, groups, &mut begins, &mut Vec::new())?;
        }
        let mut stages: Vec<Vec<Name>> = Vec::new();
        for (rule, begin) in rules.into_iter().zip(begins) {
            for (stage, nodes) in (begin.unwrap_or_default()..).zip(rule.stages) {
                stages.resize(stages.len().max(stage + 1), Vec::new());
                stages[stage].extend(nodes);
            }
        }
        Some(Self { stages })
    }

    /// True if this node is started when the run begins.
    pub fn has(&self, node: &str) -> bool {
        self.stages.iter().flatten().any(|known| &**known == node)
    }
}

/// The stage at which a group begins to start: the first after the last one of each group that it waits for.
fn begin_of(
    index: usize,
    rules: &[Rule<'_>],
    groups: &[Group<'_, '_>],
    begins: &mut Vec<Option<usize>>,
    path: &mut Vec<usize>,
) -> Option<usize> {
    if let Some(begin) = begins[index] {
        return Some(begin);
    }
    path.push(index);
    let mut begin = 0;
    for (before, at) in &rules[index].after {
        let refuse = |message: String, label: &str| {
            let diagnostic = Diagnostic::error(diagnostic::CONTRADICTION, message, at.span.clone(), label);
            groups[index].table.report(diagnostic);
        };
        if path.contains(before) {
            refuse(format!("`{}` would start after itself", at.value), "each waits for the other");
            return None;
        }
        if rules[*before].stages.is_empty() {
            refuse(format!("nobody of `{}` starts by itself", at.value), "there is nothing to wait for");
            return None;
        }
        begin = begin.max(begin_of(*before, rules, groups, begins, path)? + rules[*before].stages.len());
    }
    path.pop();
    begins[index] = Some(begin);
    Some(begin)
}

impl<'d> Rule<'d> {
    fn parse(
        group: &Group<'d, '_>,
        groups: &[Group<'_, '_>],
        differences: &[Difference<'_, '_>],
        names: &Names<'_>,
    ) -> Option<Self> {
        let table = &group.table;
        let after = parse_after(table, groups);
        let own = |node: &Name| {
            let difference = differences.iter().find(|difference| difference.node == *node)?;
            difference.table.word("start")
        };
        let start = table.item("start");
        if let Some(list) = start.filter(Item::is_array) {
            for (node, word) in group.nodes.iter().filter_map(|node| Some((node, own(node)?))) {
                let message = format!("the order of {node}'s group says whether it starts");
                let label = "said here once more";
                let diagnostic = Diagnostic::error(diagnostic::CONTRADICTION, message, word.span, label);
                table.report(diagnostic.also(list.span(), "the group's order"));
            }
            let order = parse_list(&list, group, names)?;
            return Some(Self { stages: order.into_iter().map(|node| vec![node]).collect(), after: after? });
        }
        let is_auto = match start {
            None => true,
            Some(start) => start.word(START_WORDS)?.value == "auto",
        };
        let starts = |node: &&Name| own(node).map_or(is_auto, |word| word.value == "auto");
        let together: Vec<Name> = group.nodes.iter().filter(starts).cloned().collect();
        let after = after?;
        if let (true, Some(after)) = (together.is_empty(), table.item("after").filter(|_| !after.is_empty())) {
            let message = "`after` does nothing: nobody of the group starts by itself";
            let label = "does nothing here";
            table.report(Diagnostic::error(diagnostic::CONTRADICTION, message, after.key_span(), label));
            return None;
        }
        Some(Self { stages: if together.is_empty() { Vec::new() } else { vec![together] }, after })
    }
}

fn parse_after<'d>(table: &Table<'d, '_>, groups: &[Group<'_, '_>]) -> Option<Vec<(usize, Located<&'d str>)>> {
    let mut after = Vec::new();
    let mut is_complete = true;
    let given = if table.has("after") { table.texts("after")? } else { Vec::new() };
    for text in given {
        match groups.iter().position(|group| group.name.as_deref() == Some(text.value)) {
            Some(index) => after.push((index, text)),
            None => {
                let known = groups.iter().filter_map(|group| group.name.as_deref());
                let message = format!("no group is called `{}`", text.value.escape_debug());
                let help = suggestion(text.value, "groups", known);
                let diagnostic = Diagnostic::error(diagnostic::UNKNOWN_TARGET, message, text.span, "unknown group");
                table.report(diagnostic.help(help));
                is_complete = false;
            }
        }
    }
    is_complete.then_some(after)
}

fn parse_list(item: &Item<'_, '_>, group: &Group<'_, '_>, names: &Names<'_>) -> Option<Vec<Name>> {
    let mut order: Vec<Name> = Vec::new();
    let mut is_complete = true;
    for text in item.texts()? {
        match names.node(&text) {
            Some(node) if order.contains(&node) => {
                let message = format!("`{node}` starts twice");
                let label = "given before";
                item.report(Diagnostic::error(diagnostic::DUPLICATE_NAME, message, text.span, label));
            }
            Some(node) if !group.nodes.contains(&node) => {
                let message = format!("`{node}` is of another group");
                let diagnostic = Diagnostic::error(diagnostic::UNKNOWN_TARGET, message, text.span, "not of this group");
                item.report(
                    diagnostic.help("the order of its own group says when it starts; `after` orders whole groups"),
                );
                is_complete = false;
            }
            Some(node) => order.push(node),
            None => is_complete = false,
        }
    }
    is_complete.then_some(order)
}

impl fmt::Display for StartOrder {
    /// `server1, server2; client1`: side by side, and one after the other.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_line = self.stages.iter().all(|nodes| nodes.len() == 1);
        let stages: Vec<String> = self.stages.iter().map(|nodes| nodes.join(", ")).collect();
        f.write_str(&stages.join(if is_line { ", " } else { "; " }))
    }
}
