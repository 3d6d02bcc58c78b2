//! What somebody types while the nodes run: targets in the scenario's own words.

use super::Scenario;
use crate::diagnostic::{Diagnostic, Problems};
use crate::names::Names;
use crate::target::Target;

impl Scenario {
    /// The target that these words mean, one or several: `leader`, `!killed`, `peer1 peer3`.
    ///
    /// # Errors
    /// Everything that is wrong with them and what to type instead, in one line for people.
    pub fn target<'w>(&self, words: impl IntoIterator<Item = &'w str>) -> Result<Target, String> {
        let mut words = words.into_iter().peekable();
        if words.peek().is_none() {
            return Err("nobody is named: name a node, a role, or a word like `all`".to_owned());
        }
        let problems = Problems::new();
        let target = Target::typed(words, &self.names(&problems));
        target.ok_or_else(|| problems.into_sorted().iter().map(told).collect::<Vec<_>>().join("; "))
    }

    /// Whom a target may name.
    fn names<'p>(&self, problems: &'p Problems) -> Names<'p> {
        let mut names = Names::new(problems);
        if !self.network.is_lab() {
            names.ask_for_host();
        }
        let mut group = None;
        for node in &self.nodes {
            // The nodes of a group stand together.
            if node.group != group {
                group.clone_from(&node.group);
                names.begin_group(node.group.clone());
            }
            names.add_node(node.name.clone(), node.processes.iter().map(|process| process.name.clone()));
        }
        for role in &self.roles {
            names.add_role(role.name.clone());
        }
        names
    }
}

fn told(mistake: &Diagnostic) -> String {
    match &mistake.help {
        Some(help) => format!("{} ({help})", mistake.message),
        None => mistake.message.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const THREE: &str = r#"
        schema = 1
        name = "three"
        [nodes]
        count = 3
        command = ["true"]
        [nodes.process.aid]
        command = ["true"]
        [events]
        led = { log = "led" }
        [roles]
        leader = { last = "led" }
        [[invariants]]
        sometimes = { event = "led" }
    "#;

    const GROUPS: &str = r#"
        schema = 1
        name = "groups"
        [groups.server]
        count = 2
        command = ["true"]
        [groups.client]
        count = 2
        command = ["true"]
        [events]
        led = { log = "led" }
        [[invariants]]
        sometimes = { event = "led" }
    "#;

    fn typed(words: &str) -> Result<String, String> {
        typed_in(THREE, words)
    }

    fn typed_in(scenario: &str, words: &str) -> Result<String, String> {
        let scenario = Scenario::parse(scenario, &[]).unwrap();
        scenario.target(words.split_whitespace()).map(|target| target.to_string())
    }

    #[test]
    fn every_target_of_the_language_can_be_typed() {
        for word in ["peer2", "peer2/aid", "leader", "all", "random", "random/aid", "killed", "!leader", "minority"] {
            assert_eq!(typed(word).as_deref(), Ok(word));
        }
        assert_eq!(typed("peer1 leader").as_deref(), Ok("peer1, leader"));
        assert_eq!(typed("all !leader").as_deref(), Ok("all, !leader"));
    }

    #[test]
    fn a_group_can_be_typed() {
        for word in ["server", "!client", "client2", "server/main"] {
            assert_eq!(typed_in(GROUPS, word).as_deref(), Ok(word));
        }
        assert!(typed_in(GROUPS, "sever").unwrap_err().contains("did you mean `server`?"));
    }

    #[test]
    fn every_mistake_is_told_with_what_to_type_instead() {
        let why = typed("leder !peer9 peer1/aids").unwrap_err();
        for part in ["`leder`", "did you mean `leader`?", "`peer9`", "`aids`", "did you mean `aid`?"] {
            assert!(why.contains(part), "{part} is missing in {why}");
        }
        assert!(typed("isolated").unwrap_err().contains("network laboratory"));
        assert!(typed("").unwrap_err().contains("nobody is named"));
        assert!(typed("!").is_err() && typed("/").is_err());
    }
}
