//! What somebody types while the nodes run: targets in the scenario's own words.

use super::{NetworkAct, Scenario, steps};
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

    /// The network fault (or its healing) that these words mean: `partition` with `leader | *`, `link` with `peer1 <-> peer2 delay=50ms`.
    ///
    /// # Errors
    /// Everything that is wrong with them and what to type instead, in one line for people.
    pub fn network_act(&self, verb: &str, words: &[&str]) -> Result<NetworkAct, String> {
        let problems = Problems::new();
        let act = steps::network::typed(verb, words, &self.names(&problems), &problems);
        act.ok_or_else(|| problems.into_sorted().iter().map(told).collect::<Vec<_>>().join("; "))
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
    fn network_verbs_are_typed_as_people_think_of_them() {
        let in_lab = THREE.replace("[nodes]", "network.mode = \"lab\"\n[nodes]");
        let scenario = Scenario::parse(&in_lab, &[]).unwrap();
        let typed = |text: &str| {
            let (verb, words) = text.split_once(' ').unwrap_or((text, ""));
            scenario.network_act(verb, &words.split_whitespace().collect::<Vec<_>>()).map(|act| act.to_string())
        };
        for (text, meaning) in [
            ("partition leader", "partition {leader} | {*}"),
            ("partition peer1 | peer2 peer3", "partition {peer1} | {peer2, peer3}"),
            ("partition peer1 -> peer2", "partition peer1 -> peer2"),
            ("partition leader ->", "partition leader -> *"),
            ("partition halves", "partition into halves"),
            ("partition isolate minority", "partition minority from everybody"),
            ("link delay=50ms", "link everywhere (delay 50ms)"),
            ("link leader delay=50ms loss=0.1", "link leader <-> * (delay 50ms, loss 10%)"),
            (
                "link peer1 <-> peer2 peer3 loss.share=0.1 loss.burst=3",
                "link peer1 <-> peer2, peer3 (loss 10% in bursts of 3)",
            ),
            (
                "link -> peer1 rate=1mbit only.port=80",
                "link * -> peer1 (rate 1mbit with a queue of 64KiB; only port 80)",
            ),
            ("unplug peer1 peer2", "unplug peer1, peer2"),
            ("heal", "heal all"),
        ] {
            assert_eq!(typed(text).as_deref(), Ok(meaning), "{text}");
        }
        for (text, part) in [
            ("partition", "a group of nobody"),
            ("partition leder", "did you mean `leader`?"),
            ("partition ring", "needs 4 nodes"),
            ("link leader", "an effect"),
            ("link leader delay=50", "did you mean \"50s\"?"),
            ("link leader dely=50ms", "did you mean `delay`?"),
            ("heal cut", "no step is called `cut`"),
            ("unplug peer1/aid", "name the node"),
            ("link \u{7f}\"=1", "unknown key"),
        ] {
            let why = typed(text).expect_err(text);
            assert!(why.contains(part), "{text}: {why}");
        }
        let in_host = Scenario::parse(THREE, &[]).unwrap().network_act("heal", &[]).unwrap_err();
        assert!(in_host.contains("needs the network laboratory"), "{in_host}");
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
