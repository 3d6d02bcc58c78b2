//! What network verbs mean: read from a scenario, resolved in a cluster of five with n4 as the leader.

use proptest::prelude::*;

use crate::network::{Harm, Paths};
use crate::observation::Name;
use crate::random::Keyed;
use crate::scenario::{NetworkVerb, Scenario, Verb};

fn text(head: &str, step: &str) -> String {
    format!(
        "schema = 1\nname = 'x'\n[nodes]\ncount = 5\nname = 'n{{id}}'\ncommand = ['true']\n[events]\nled = {{ log = 'led' }}\n\
         [roles]\nleader = {{ last = 'led', initially = 'n4' }}\n[[invariants]]\nnever = 'led'\n{head}[[steps]]\n{step}\n"
    )
}

fn read(head: &str, step: &str) -> Result<Scenario, Vec<String>> {
    Scenario::parse(&text(head, step), &[]).map_err(|found| found.iter().map(|d| d.code.to_string()).collect())
}

fn codes(step: &str) -> String {
    read("", step).map(|_| ()).expect_err(step).join(" ")
}

/// What the first step does now.
fn harm(step: &str, seed: u64) -> Result<Harm, String> {
    let scenario = read("", step).unwrap_or_else(|codes| panic!("{step}: {codes:?}"));
    let nodes: Vec<(&Name, [Name; 1])> = scenario.nodes.iter().map(|node| (&node.name, ["main".into()])).collect();
    let state = crate::cluster::ClusterState::new(nodes.iter().map(|(node, main)| (*node, &main[..])), &scenario.roles);
    let Verb::Network(act) = &scenario.steps[0].verb else { panic!("{step}") };
    let random = &mut Keyed::new(seed, "test");
    match &act.what {
        NetworkVerb::Partition(partition) => partition.resolve(&state, random),
        NetworkVerb::Link(link) => link.resolve(&state, random),
        NetworkVerb::Unplug(unplug) => unplug.resolve(&state, random),
        NetworkVerb::Heal(_) => panic!("{step}"),
    }
}

fn links(step: &str) -> String {
    harm(step, 1)
        .map_or_else(|why| why, |harm| harm.links.map_or_else(|| harm.nodes.join(" "), |links| links.to_string()))
}

#[test]
fn a_partition_is_between_groups_and_a_star_is_everybody_else() {
    assert_eq!(links("partition = [['leader'], ['*']]"), "{n4} | {n1, n2, n3, n5}");
    assert_eq!(links("partition = ['leader', '*']"), "{n4} | {n1, n2, n3, n5}");
    assert_eq!(links("partition = [['n1'], ['n2', '*']]"), "{n1} | {n2, n3, n4, n5}");
    assert_eq!(links("partition = [['n1', 'n2'], ['n3']]"), "{n1, n2} | {n3}", "n4 and n5 reach everybody");
    assert_eq!(links("partition = [['n3', 'n1'], ['n3', '*']]"), "{n3, n1} | {n3, n2, n4, n5}", "n3 is a bridge");
    assert_eq!(links("partition = [['all', '!leader'], ['leader']]"), "{n1, n2, n3, n5} | {n4}");
    let nothing = "{n4} | {n1, n2, n3, n4, n5} cuts no link: whoever is in a group together reaches each other";
    assert_eq!(links("partition = [['leader'], ['all']]"), nothing);
}

#[test]
fn shapes_are_drawn_among_those_that_are_meant() {
    assert_eq!(links("partition = { isolate = ['n1', 'leader'] }"), "{n1} | {n4} | {n2, n3, n5}");
    assert_eq!(links("partition = { isolate = 'n1', of = ['n1', 'n2'] }"), "{n1} | {n2}");
    assert_eq!(links("partition = { from = 'leader' }"), "n4 -> n1, n2, n3, n5");
    assert_eq!(links("partition = { from = '*', to = 'n1' }"), "n2, n3, n4, n5 -> n1");
    for seed in 0..20 {
        let groups = |step: &str| match harm(step, seed).unwrap().links {
            Some(Paths::Apart(groups)) => groups,
            other => panic!("{other:?}"),
        };
        let halves = groups("partition = { halves = true }");
        assert_eq!(halves.iter().map(Vec::len).collect::<Vec<_>>(), [2, 3]);
        let bridge = groups("partition = { bridge = 'leader' }");
        assert!(bridge.iter().all(|side| side.len() == 3 && side.contains(&"n4".into())));
        assert_eq!(groups("partition = { ring = true, of = ['n1', 'n2', 'n3', 'n4'] }").len(), 4);
    }
}

#[test]
fn a_link_is_where_it_is_said_to_be_or_everywhere() {
    assert_eq!(links("link = { delay = '1s' }"), "among n1, n2, n3, n4, n5");
    assert_eq!(links("link = { between = ['leader', '*'], delay = '1s' }"), "n4 <-> n1, n2, n3, n5");
    assert_eq!(links("link = { to = 'n1', delay = '1s' }"), "n2, n3, n4, n5 -> n1");
    assert_eq!(links("link = { between = ['n1', 'n1'], delay = '1s' }"), "n1 <-> n1: there is no such link");
    assert_eq!(links("unplug = ['leader', 'n1', 'n4']"), "n1 n4");
    let words = |step: &str| harm(step, 1).unwrap().action().with.unwrap();
    assert_eq!(
        words("link = { jitter = '5ms', rate = '1.5mbit', queue = '1KiB' }"),
        "delay 0s +- 5ms, rate 1.5mbit with a queue of 1.0KiB"
    );
    assert_eq!(
        words("link = { loss = { share = 0.5, burst = 4 }, only = { protocol = 'udp', payload = 'x+' } }"),
        "loss 50% in bursts of 4; only udp with 'x+'"
    );
}

#[test]
fn what_cuts_nothing_or_is_nowhere_is_refused() {
    for (step, code) in [
        ("partition = [['n1']]", "DS0300"),
        ("partition = []", "DS0300"),
        ("partition = [[], ['*']]", "DS0300"),
        ("partition = [['*'], ['*']]", "DS0300"),
        ("partition = { halves = false }", "DS0300"),
        ("partition = { ring = true, of = ['n1', 'n2', 'n3'] }", "DS0300"),
        ("partition = { from = '*', to = '*' }", "DS0300"),
        ("partition = { from = 'n1', isolate = 'n2' }", "DS0300"),
        ("partition = {}", "DS0103"),
        ("partition = { halves = true, ring = true }", "DS0104"),
        ("partition = 'leader'", "DS0110"),
        ("partition = [['n1/main'], ['*']]", "DS0301"),
        ("unplug = '!n1/main'", "DS0301"),
        ("link = { between = ['n1'], delay = '1s' }", "DS0303"),
        ("link = { between = ['*', '*'], delay = '1s' }", "DS0303"),
        ("link = { between = ['n1', 'n2'], to = 'n1', delay = '1s' }", "DS0303"),
        ("link = { between = ['n1', 'n2'] }", "DS0103"),
        ("link = { loss = 1.5 }", "DS0113"),
        ("link = { loss = { burst = 3 } }", "DS0102"),
        ("link = { delay = 50 }", "DS0111"),
        ("link = { rate = '0mbit' }", "DS0302"),
        ("link = { rate = '1e9bit' }", "DS0302"),
        ("link = { rate = '9999999gbit' }", "DS0302"),
        ("link = { delay = '1s', queue = '1KiB' }", "DS0133"),
        ("link = { delay = '1s', only = {} }", "DS0103"),
        ("link = { delay = '1s', only = { payload = '(' } }", "DS0130"),
        ("link = { delay = '1s', only = { protocol = 'sctp' } }", "DS0114"),
        ("heal = 'nothing'", "DS0123"),
        ("heal = ''", "DS0115"),
    ] {
        assert_eq!(codes(step), code, "{step}");
    }
}

#[test]
fn a_step_is_healed_that_did_something_to_the_network_before() {
    let steps = |first: &str, heal: &str| {
        let text = format!("name = 'a'\n{first}\n[[steps]]\nname = 'b'\nheal = '{heal}'");
        read("", &text).map(|scenario| scenario.steps[1].words()).map_err(|codes| codes.join(" "))
    };
    assert_eq!(steps("partition = { halves = true }", "a"), Ok("heal what step 1 (a) did".into()));
    assert_eq!(steps("kill = 'n1'", "a"), Err("DS0304".into()));
    assert_eq!(steps("partition = { halves = true }", "b"), Err("DS0131".into()));
    assert_eq!(steps("heal = 'all'", "a"), Err("DS0304".into()));
}

#[test]
fn the_scenario_alone_decides_where_it_runs() {
    let lab = |head: &str, step: &str| read(head, step).map(|scenario| scenario.network.lab);
    assert_eq!(lab("", "mark = 'x'"), Ok(None));
    assert_eq!(lab("[network]\nmode = 'auto'\n", "mark = 'x'"), Ok(None));
    assert_eq!(lab("", "unplug = 'n1'"), Ok(Some("`unplug`".into())));
    assert_eq!(lab("", "wait = { event = 'led', from = '!isolated' }"), Ok(Some("the target `isolated`".into())));
    assert_eq!(lab("[network]\nmode = 'lab'\n", "mark = 'x'"), Ok(Some("mode = \"lab\"".into())));
    assert_eq!(lab("[network]\nmtu = 9000\n", "mark = 'x'"), Ok(Some("`mtu`".into())));
    let host = "[network]\nmode = 'host'\n";
    for step in [
        "unplug = 'n1'",
        "heal = 'all'",
        "kill = '!isolated'",
        "partition = { halves = true }",
        "link = { delay = '1s' }",
    ] {
        assert_eq!(lab(host, step), Err(vec!["DS0150".to_owned()]), "{step}");
    }
    assert_eq!(lab("[network]\nmode = 'host'\nsubnet = '10.0.0.0/24'\n", "mark = 'x'"), Err(vec!["DS0150".to_owned()]));
}

#[test]
fn clients_are_where_they_are_named_and_reach_everybody_else() {
    let head = "[network]\nclients = ['alice', 'bob']\n";
    let words =
        |step: &str| read(head, step).map(|scenario| scenario.steps[0].words()).map_err(|codes| codes.join(" "));
    let told = |step: &str| {
        let scenario = read(head, step).unwrap();
        let Verb::Network(act) = &scenario.steps[0].verb else { panic!("{step}") };
        let NetworkVerb::Partition(partition) = &act.what else { panic!("{step}") };
        let state = crate::plan::Plan::new(Scenario::parse(&text(head, step), &[]).unwrap(), 1).cluster();
        partition.resolve(&state, &mut Keyed::new(1, "test")).unwrap()
    };
    let cut = told("partition = [['leader', 'alice'], ['*']]");
    assert_eq!(cut.links.as_ref().unwrap().to_string(), "{n4, alice} | {n1, n2, n3, n5}", "bob reaches both sides");
    assert_eq!(cut.nodes, ["n4".into()], "a client is no node that could be cut off");
    assert_eq!(words("partition = { from = 'alice', to = '*' }").as_deref(), Ok("partition alice -> *"));
    assert_eq!(words("exec = ['true']\nas = 'alice'").as_deref(), Ok("run `true` as alice"));
    for (step, code) in [
        ("exec = ['true']\nas = 'carol'", "DS0120"),
        ("exec = ['true']\nas = 'alice'\non = 'n1'", "DS0104"),
        ("kill = 'alice'", "DS0120"),
        ("unplug = 'alice'", "DS0120"),
    ] {
        assert_eq!(words(step), Err(code.to_owned()), "{step}");
    }
    let refused = |clients: &str| {
        let head = format!("[network]\nclients = {clients}\n");
        read(&head, "mark = 'x'").map(|_| ()).unwrap_err().join(" ")
    };
    assert_eq!(refused("['n1']"), "DS0124");
    assert_eq!(refused("['a', 'a']"), "DS0124");
    assert_eq!(refused("['leader']"), "DS0124");
    assert_eq!(refused("['all']"), "DS0126");
    assert_eq!(refused("['dsbench']"), "DS0126");
    assert_eq!(refused("['a/b']"), "DS0125");
}

proptest! {
    #[test]
    fn no_rate_makes_the_reader_panic(rate in "[0-9.eE]{0,12}[kmgt]?(bit)?", share in any::<f64>()) {
        let _ = read("", &format!("link = {{ rate = '{rate}', loss = {share:e} }}"));
    }
}
