//! The network laboratory end to end: faults on links between real processes, each in a network of its own. Part of the second suite, because
//! not every machine gives an ordinary user namespaces.

use serde_json::Value;

use crate::support::{Place, stderr, stdout};

const LAB: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../scenarios/lab");

/// Three reference nodes with these steps, and a promise that always holds.
fn cluster(head: &str, steps: &str) -> String {
    format!(
        "schema = 1\nname = 'x'\n{head}\n[nodes]\ncount = 3\nports = {{ main = 7000 }}\nexpose = ['main']\n\
         command = ['{{node}}', 'sensor', '--id', '{{name}}', '--listen', '{{addr}}', '--peers', '{{peers}}', '--data', '{{data_dir}}', '--heartbeat-interval', '100ms', '--heartbeat-timeout', '400ms', '--election-timeout', '300ms']\n\
         ready = {{ log = 'listening on' }}\n[events]\npreset = 'node'\n[roles]\nleader = {{ last = 'became_leader', highest = 'term' }}\n\
         {steps}\n[[invariants]]\nsometimes = 'became_leader'\n"
    )
}

/// Every line of the history that has this key.
fn seen(place: &Place, key: &str) -> Vec<Value> {
    let history = std::fs::read_to_string(place.run_dir().join("history.jsonl")).expect("the run was recorded");
    let lines = history.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line is JSON"));
    lines.filter_map(|line| line.get(key).cloned()).collect()
}

#[test]
#[ignore = "needs a machine that gives network namespaces"]
fn a_kind_of_fault_that_met_no_frame_is_no_pass_and_one_beside_others_is_told() {
    let place = Place::new();
    let nobody =
        "[[steps]]\nwait = 'became_leader'\n[[steps]]\nlink = { loss = 1.0, only = { port = 9 } }\nfor = '300ms'\n";
    place.write("x.toml", &cluster("", nobody));
    let text = stderr(&place.dsbench(&["run", "x.toml"]).code(3));
    assert!(text.contains("met no frame, so nothing was tested by it"), "{text}");
    assert_eq!(place.run_json()["environment"]["network"], "lab");

    let beside = format!("{nobody}[[steps]]\nlink = {{ delay = '5ms' }}\nfor = '500ms'\n");
    place.write("x.toml", &cluster("", &beside));
    let text = stderr(&place.dsbench(&["run", "x.toml"]).success());
    assert!(text.contains("met no frame") && !text.contains("nothing was tested"), "{text}");
    let stored = std::fs::read(place.run_dir().join("verdict.json")).unwrap();
    assert!(stderr(&place.dsbench(&["recheck"]).success()).contains("same verdict"));
    assert_eq!(std::fs::read(place.run_dir().join("verdict.json")).unwrap(), stored);
}

#[test]
#[ignore = "needs a machine that gives network namespaces"]
fn two_leaders_are_named_with_their_lines_and_the_partition_that_made_them() {
    let place = Place::new();
    let file = format!("{LAB}/split-brain.toml");
    let text = stderr(&place.dsbench(&["run", "-q", &file, "--set", "steps.cut.for=4s"]).success());
    for part in ["both led for at least", "became the Group Leader", "_log.txt:", "while: partition {peer", "(step 2, "]
    {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
    assert!(stderr(&place.dsbench(&["recheck"]).success()).contains("same verdict"));
    let text = stderr(&place.dsbench(&["run", &file, "--no-faults"]).success());
    assert!(text.contains("left out (no faults): partition {leader} | {*}"), "{text}");
    assert!(seen(&place, "action").iter().all(|action| action["verb"] != "partition"));
}

#[test]
#[ignore = "needs a machine that gives network namespaces"]
fn a_partition_takes_the_place_of_the_one_before_and_its_time_undoes_only_its_own() {
    let place = Place::new();
    let steps = "[[steps]]\nwait = 'became_leader'\n\
        [[steps]]\nname = 'first'\npartition = [['peer1'], ['*']]\nfor = '600ms'\n\
        [[steps]]\nafter = '200ms'\npartition = [['peer2'], ['*']]\nfor = '1s'\n\
        [[steps]]\nafter = '100ms'\nunplug = 'peer3'\n\
        [[steps]]\nheal = 'first'\n\
        [[steps]]\nafter = '300ms'\nheal = 'all'\n";
    place.write("x.toml", &cluster("", steps));
    let text = stderr(&place.dsbench(&["run", "x.toml"]).success());
    assert!(!text.contains("lost by the bench"), "what is dropped because a cable is out was asked for: {text}");
    let history = std::fs::read_to_string(place.run_dir().join("history.jsonl")).unwrap();
    let lines: Vec<Value> = history.lines().skip(1).map(|line| serde_json::from_str(line).unwrap()).collect();
    let actions: Vec<&Value> = lines.iter().filter(|line| line.get("action").is_some()).collect();
    let told: Vec<String> = actions.iter().map(|line| line["action"]["verb"].as_str().unwrap().to_owned()).collect();
    // What is left in force would be healed when the nodes are stopped; here nothing is.
    assert_eq!(told, ["partition", "partition", "unplug", "heal", "heal"]);
    let ends = |nth: usize| actions[nth]["action"].get("ends").cloned().unwrap_or_else(|| Value::Array(Vec::new()));
    let number = |nth: usize| actions[nth]["n"].clone();
    assert_eq!(ends(1), Value::Array(vec![number(0)]), "replaced");
    assert_eq!(ends(3), Value::Array(Vec::new()), "what the first step did was over");
    assert_eq!(ends(4), Value::Array(vec![number(1), number(2)]));
}

#[test]
#[ignore = "needs a machine that gives network namespaces"]
fn a_client_reaches_the_side_on_which_it_is_named() {
    let place = Place::new();
    let reach = |node: &str, who: &str, code: u8| {
        format!(
            "[[steps]]\nexec = ['timeout', '2', 'bash', '-c', 'exec 3<>/dev/tcp/$1/7000', '-', '{{{node}.ip}}']\nas = '{who}'\nexit = {code}\n"
        )
    };
    // `timeout` ends what waits for an answer with 124.
    let steps = ["[[steps]]\nwait = 'became_leader'\n".to_owned(), reach("peer2", "alice", 0)]
        .into_iter()
        .chain(["[[steps]]\npartition = [['peer1', 'alice'], ['*']]\n".to_owned()])
        .chain([reach("peer1", "alice", 0), reach("peer2", "alice", 124), reach("peer2", "bob", 0)])
        .chain(["[[steps]]\nheal = 'all'\n".to_owned(), reach("peer2", "alice", 0)])
        .collect::<String>();
    place.write("x.toml", &cluster("[network]\nclients = ['alice', 'bob']", &steps));
    place.dsbench(&["run", "x.toml"]).success();
}

#[test]
#[ignore = "needs a machine that gives network namespaces"]
fn an_exposed_port_is_reached_from_outside_whatever_is_cut() {
    let place = Place::new();
    let steps = "[[steps]]\nwait = 'became_leader'\n[[steps]]\nname = 'cut'\npartition = { isolate = 'all' }\n[[steps]]\nafter = '60s'\nmark = 'x'\n";
    place.write("x.toml", &cluster("", steps));
    let mut run = place.start(&["run", "x.toml", "--timeout", "100s"]);
    place.wait_until("the network is cut", |place| place.read("out").contains("partition {peer1} | {peer2} | {peer3}"));
    let stored = place.run_json();
    let door = stored["exposed"]["peer2"]["main"].as_str().unwrap_or_else(|| panic!("{stored}"));
    assert!(place.read("out").contains(door), "{}", place.read("out"));
    std::net::TcpStream::connect(door).expect("the node listens");
    crate::support::kill(run.id(), "INT");
    assert_eq!(run.wait().unwrap().code(), Some(130));
    place.wait_until_empty();
}

#[test]
#[ignore = "needs a machine that gives network namespaces"]
fn a_network_is_broken_and_mended_by_hand() {
    let place = Place::new();
    place.write("x.toml", &cluster("[network]\nmode = 'lab'", ""));
    place.beside(&["up", "-d", "x.toml"]).success();
    let log = |place: &Place, node: &str| place.read(&format!("logs/{node}_log.txt"));
    place.wait_until("there is a leader", |place| log(place, "peer3").contains("became the Group Leader"));
    let done = |args: &[&str]| stderr(&place.beside(args).success()).trim().to_owned();
    assert_eq!(done(&["partition", "leader", "|", "*"]), "partition {peer3} | {peer1, peer2}");
    let ps = stdout(&place.beside(&["ps"]).success());
    let state =
        |node: &str| ps.lines().find(|line| line.trim_start().starts_with(node)).map(|line| line.contains("cut off"));
    assert_eq!((state("peer1"), state("peer3")), (Some(false), Some(true)), "{ps}");
    place.wait_until("the minority stops leading", |place| log(place, "peer3").contains("stepped down"));
    place.wait_until("the majority leads", |place| log(place, "peer2").contains("became the Group Leader"));
    assert_eq!(done(&["partition", "peer1", "->", "peer2"]), "partition peer1 -> peer2");
    assert_eq!(done(&["link", "peer1", "delay=20ms"]), "link peer1 <-> peer2, peer3 (delay 20ms)");
    assert_eq!(done(&["unplug", "peer3"]), "unplug peer3");
    assert_eq!(done(&["heal"]), "heal peer1, peer2, peer3");
    assert_eq!(done(&["heal"]), "heal nothing");
    for (args, part) in [
        (&["partition", "leder"][..], "did you mean `leader`?"),
        (&["link", "peer1"], "an effect"),
        (&["partition", "ring"], "needs 4 nodes"),
    ] {
        let refused = stderr(&place.beside(args).failure());
        assert!(refused.contains(part), "{args:?}: {refused}");
    }
    let down = place.dsbench(&["down"]).success();
    assert!(stderr(&down).contains("nothing of it is left") && stdout(&down).is_empty());
}

#[test]
#[ignore = "needs a machine that gives network namespaces"]
fn random_network_faults_are_told_beforehand_and_undone_at_the_end() {
    let place = Place::new();
    let file = format!("{LAB}/random/partition-minority-leader.toml");
    let plan = stdout(&place.dsbench(&["plan", &file, "--seed", "5"]).success());
    assert!(plan.contains("in the network laboratory: the fault `partition`"), "{plan}");
    place.dsbench(&["run", &file, "--seed", "5"]).success();
    let actions = seen(&place, "action");
    let (mut done, mut over) = (0, 0);
    for action in &actions {
        done += usize::from(action["verb"] == "partition");
        over += action.get("ends").and_then(Value::as_array).map_or(0, Vec::len);
    }
    assert!(done > 0 && done == over, "{done} partitions, {over} of them over");
}
