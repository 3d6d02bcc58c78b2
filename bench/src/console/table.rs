//! What every node does, a line each.

use crate::control::{NodeStatus, Status};
use crate::report::terminal::clean_line;

/// The state, roles, process and newest event of every node.
pub(crate) fn table(status: &Status) -> String {
    let width =
        |of: fn(&NodeStatus) -> String| status.nodes.iter().map(|node| of(node).chars().count()).max().unwrap_or(0);
    let (names, roles) = (width(|node| node.name.clone()), width(|node| node.roles.join(",")));
    let line = |node: &NodeStatus| {
        let pid = node.pid.map_or_else(|| "-".to_owned(), |pid| pid.to_string());
        let (name, role) = (clean_line(&node.name), node.roles.join(","));
        let ports = node.exposed.iter().map(|(port, addr)| format!("{port}={addr}  ")).collect::<String>();
        let said = clean_line(&node.said);
        let line =
            format!("  {name:<names$}  {:<7}  {role:<roles$}  {pid:>7}  {}{said}", node.state, clean_line(&ports));
        format!("{}\n", line.trim_end())
    };
    status.nodes.iter().map(line).collect()
}

/// `1h 2m 3s`
pub(crate) fn for_how_long(seconds: f64) -> String {
    humantime::format_duration(std::time::Duration::from_secs(seconds.max(0.0) as u64)).to_string()
}
