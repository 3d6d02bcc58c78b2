//! Workloads that need Python, or the network laboratory.

use crate::support::{Place, stderr};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

#[test]
#[ignore = "needs python3"]
fn clients_in_python_ask_a_register_whose_server_is_killed_and_comes_back() {
    let place = Place::new();
    let text = stderr(&place.dsbench(&["run", &format!("{ROOT}/examples/python/register.toml")]).success());
    assert!(text.contains("clients:   workload: read "), "{text}");
    place.dsbench(&["recheck"]).success();
}

#[test]
#[ignore = "needs python3 and the network laboratory"]
fn a_client_is_a_machine_of_the_network_on_the_side_of_a_cut_where_it_is_named() {
    let place = Place::new();
    let example = format!("{ROOT}/examples/python");
    let scenario = format!(
        "schema = 1\nname = 'cut'\ntimeout = '60s'\n\
         [nodes]\ncount = 1\ncommand = ['python3', '{example}/register.py', '{{addr}}']\nready = {{ log = 'listening' }}\n\
         [workload]\nclients = 2\nclient = ['python3', '{example}/client.py', '{{target.addr}}']\nrate = 40\nkeys = 3\nwithin = '500ms'\n\
         [workload.ops.write]\ntakes = ['key', 'value']\n\
         [[steps]]\nwait = {{ op = 'write', at_least = 10 }}\n\
         [[steps]]\npartition = [['peer1', 'client2'], ['client1']]\n\
         [[steps]]\nexpect = [{{ op = 'write', is = 'info' }}, {{ op = 'write', at_least = 20 }}]\n\
         [[steps]]\nheal = 'all'\n[[steps]]\nexpect = {{ op = 'write', at_least = 20 }}\n"
    );
    place.write("x.toml", &scenario);
    place.dsbench(&["run", "x.toml"]).success();
    let history = std::fs::read_to_string(place.run_dir().join("history.jsonl")).expect("a history");
    let cut = history.split_once("\"verb\":\"partition\"").and_then(|(_, after)| after.split_once("\"verb\":\"heal\""));
    let (cut, _) = cut.expect("it was cut and healed");
    // Whoever was asked just before the cut may still have been answered.
    let of = |client: &str, kind: &str| {
        cut.lines()
            .filter(|line| {
                line.contains(&format!("\"client\":\"{client}\"")) && line.contains(&format!("\"type\":\"{kind}\""))
            })
            .count()
    };
    assert!(of("client1", "info") >= 1 && of("client1", "ok") <= 1, "{cut}");
    assert!(of("client2", "ok") >= 19 && of("client2", "info") == 0, "{cut}");
}
