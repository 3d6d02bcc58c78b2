//! Workloads on real processes: operations that are typed, and what becomes of them.

use serde_json::Value;

use crate::support::{Place, stderr, stdout};

/// Three nodes of a chat: each says what it is sent, keeps what it is told to keep to itself, and counts.
const CHAT: &str = r#"schema = 1
name = "chat"
timeout = "60s"
[nodes]
count = 3
name = "chat{id}"
command = ["sh", "-c", """
echo listening
while read -r word text; do
  case "$word" in
    send) echo "deliver {name}: $text" ;;
    count) echo "counted $text" ;;
    leave) exit 0 ;;
  esac
done"""]
ready = { log = "listening", within = "30s" }
exits = "may"
[events]
delivered = { log = 'deliver (?<from>\w+): (?<text>.*)', fields = { from = "node", text = "text" } }
counted = { log = 'counted (?<number>\d+)', fields = { number = "int" } }
[[invariants]]
process = {}
"#;

/// The observations of the last run that are operations.
fn operations(place: &Place) -> Vec<Value> {
    let history = std::fs::read_to_string(place.run_dir().join("history.jsonl")).expect("the run has a history");
    let lines = history.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line of JSON"));
    lines.filter_map(|mut line| line.get_mut("operation").map(Value::take)).collect()
}

fn of_type<'o>(operations: &'o [Value], kind: &str) -> Vec<&'o Value> {
    operations.iter().filter(|operation| operation["type"] == kind).collect()
}

/// Every operation that was begun ended once, one at a time in each process, and no process did anything after an `info`.
pub(crate) fn assert_sound(operations: &[Value]) {
    let mut open = std::collections::BTreeMap::<u64, (u64, Value)>::new();
    let mut retired = std::collections::BTreeSet::new();
    for operation in operations {
        let number = |key: &str| operation[key].as_u64().expect("a number");
        let (id, process) = (number("id"), number("process"));
        if operation["type"] == "invoke" {
            assert!(!retired.contains(&process), "process {process} goes on after an info: {operation}");
            assert!(
                open.values().all(|(other, _)| *other != process),
                "process {process} does two things: {operation}"
            );
            assert!(open.insert(id, (process, operation.clone())).is_none(), "{operation}");
            continue;
        }
        let (by, invoked) = open.remove(&id).unwrap_or_else(|| panic!("it ends and was not begun: {operation}"));
        assert_eq!((by, &invoked["op"], &invoked["client"]), (process, &operation["op"], &operation["client"]));
        assert_eq!(operation["why"].is_string(), operation["type"] != "ok", "{operation}");
        if operation["type"] == "info" {
            retired.insert(process);
        }
    }
    assert!(open.is_empty(), "these did not end: {open:?}");
}

#[test]
fn lines_are_typed_at_their_rate_and_acknowledged_by_what_the_node_says() {
    let place = Place::new();
    let workload = "[workload]\nclients = 3\nrate = 60\nduration = '1s'\ntarget = 'each'\n\
        [workload.ops.say]\nweight = 2\ninput = 'send m{value}'\nack = { event = 'delivered', where = { text = 'm{value}', from = '{target.name}' } }\n\
        [workload.ops.count]\ninput = 'count {serial}'\nack = { event = 'counted', where = { number = '{serial}' } }\n\
        [[invariants]]\nsometimes = { op = 'say', at_least = 20 }\n";
    place.write("x.toml", &format!("{CHAT}{workload}"));
    let text = stderr(&place.dsbench(&["run", "x.toml", "--seed", "7"]).success());
    assert!(text.contains("clients:   workload: count ") && text.contains("sometimes"), "{text}");
    let all = operations(&place);
    assert_sound(&all);
    assert_eq!((of_type(&all, "invoke").len(), of_type(&all, "ok").len()), (60, 60));
    place.dsbench(&["recheck"]).success();
    let shown = stdout(&place.dsbench(&["show"]).success());
    let said = *of_type(&all, "ok").iter().find(|op| op["op"] == "say").expect("one was said");
    let (client, value, node) = (&said["client"], &said["value"], &said["node"]);
    let line = format!("{client}  ok say {value} at {node} [process ").replace('"', "");
    assert!(shown.contains(&line), "{line} is missing in\n{shown}");
    // The same seed asks the same again.
    let choices = |all: &[Value]| -> Vec<Value> {
        let mut asked: Vec<Value> = of_type(all, "invoke")
            .iter()
            .map(|op| serde_json::json!([op["client"], op["op"], op["value"], op["node"]]))
            .collect();
        asked.sort_by_key(ToString::to_string);
        asked
    };
    place.dsbench(&["run", "x.toml", "--seed", "7"]).success();
    assert_eq!(choices(&operations(&place)), choices(&all));
}

#[test]
fn what_is_not_acknowledged_is_in_doubt_and_what_was_never_typed_certainly_did_not_happen() {
    let place = Place::new();
    let workload = "[workload]\nrate = 'max'\ncount = 8\ntarget = 'chat1'\nwithin = '100ms'\n\
        [workload.ops.lose]\ninput = 'keep {value}'\nack = { event = 'delivered', where = { text = '~{value}' } }\n\
        [workloads.late]\nname = 'late{id}'\nrate = 'max'\nstart = 'manual'\ncount = 3\ntarget = 'chat2'\n\
        [workloads.late.ops.say]\ninput = 'send {value}'\nack = { event = 'delivered', where = { text = '{value}' } }\n\
        [[steps]]\nkill = 'chat2'\n[[steps]]\nstart = 'late'\n[[steps]]\nwait = { op = 'say', is = 'fail', at_least = 3, since = 'start' }\n\
        [[steps]]\nexpect = { op = 'lose', is = 'info', at_least = 8, since = 'start' }\nwithin = '30s'\n";
    place.write("x.toml", &format!("{CHAT}{workload}"));
    let text = stderr(&place.dsbench(&["run", "x.toml"]).code(3));
    assert!(text.contains("no operation of the workload `workload` succeeded"), "{text}");
    let all = operations(&place);
    assert_sound(&all);
    let (info, fail) = (of_type(&all, "info"), of_type(&all, "fail"));
    assert_eq!((info.len(), fail.len()), (8, 3));
    assert!(
        info.iter().all(|op| op["why"] == "no `delivered` that acknowledges it from chat1 within 100ms"),
        "{info:?}"
    );
    assert!(fail.iter().all(|op| op["why"] == "chat2 is not running"), "{fail:?}");
}

#[test]
fn a_node_that_ends_leaves_its_operation_in_doubt() {
    let place = Place::new();
    let workload = "[workload]\nrate = 'max'\ncount = 1\ntarget = 'chat3'\nwithin = '50s'\n\
        [workload.ops.leave]\ninput = 'leave {value}'\nack = { event = 'delivered', where = { text = '{value}' } }\n\
        [workloads.rest]\nrate = 'max'\ncount = 1\ntarget = 'chat1'\n\
        [workloads.rest.ops.say]\ninput = 'send {value}'\nack = 'written'\n";
    place.write("x.toml", &format!("{CHAT}{workload}"));
    place.dsbench(&["run", "x.toml"]).code(3);
    let all = operations(&place);
    assert_sound(&all);
    assert_eq!(of_type(&all, "info")[0]["why"], "chat3 ended before it acknowledged it");
    assert_eq!(of_type(&all, "ok")[0]["op"], "say");
}

#[test]
fn steps_start_and_stop_a_workload_and_it_goes_on_where_it_was() {
    let place = Place::new();
    let workload = "[workloads.people]\nclients = 2\nrate = 100\nstart = 'manual'\n\
        [workloads.people.ops.say]\ninput = 'send {value}'\nack = { event = 'delivered', from = 'all', where = { text = '{value}' } }\n\
        [[steps]]\nstart = 'people'\n[[steps]]\nwait = { op = 'say', at_least = 10 }\n[[steps]]\nname = 'pause'\nstop = 'people'\n\
        [[steps]]\nmark = 'nothing happens'\n[[steps]]\nafter = '300ms'\nstart = 'people'\n\
        [[steps]]\nwait = { op = 'people.say', at_least = 10 }\n[[steps]]\nstop = 'people'\n";
    place.write("x.toml", &format!("{CHAT}{workload}"));
    place.dsbench(&["run", "x.toml"]).success();
    let all = operations(&place);
    assert_sound(&all);
    let values: Vec<u64> = of_type(&all, "invoke").iter().map(|op| op["value"].as_u64().expect("a number")).collect();
    let unique: std::collections::BTreeSet<u64> = values.iter().copied().collect();
    assert_eq!(unique.len(), values.len(), "no value is written twice: {values:?}");
    assert!((20..60).contains(&values.len()), "{values:?}");
    let history = std::fs::read_to_string(place.run_dir().join("history.jsonl")).expect("a history");
    let (before, after) = history.split_once("\"step\":3,").expect("step 4 was begun");
    let (paused, _) = after.split_once("\"step\":4,\"state\":\"begun\"").expect("step 5 was begun");
    assert!(before.contains("\"stopped\":{\"behind\":"), "{before}");
    assert!(!paused.contains("\"operation\""), "{paused}");
}

#[test]
fn a_rate_that_cannot_be_kept_is_told() {
    let place = Place::new();
    let workload = "[workload]\nrate = 1000\nduration = '500ms'\nwithin = '100ms'\ntarget = 'chat1'\n\
        [workload.ops.say]\ninput = 'send {value}'\nack = { event = 'delivered', where = { text = '{value}' } }\nweight = 9\n\
        [workload.ops.lose]\ninput = 'keep {value}'\nack = { event = 'delivered', where = { text = '{value}' } }\n";
    place.write("x.toml", &format!("{CHAT}{workload}"));
    let text = stderr(&place.dsbench(&["run", "x.toml", "--seed", "7"]).success());
    assert!(text.contains("the workload `workload` could not keep its rate"), "{text}");
    assert!(text.contains("behind its rate"), "{text}");
    assert_sound(&operations(&place));
}

#[test]
fn the_plan_tells_what_a_seed_makes_of_a_workload() {
    let place = Place::new();
    let workload =
        "[workload]\nclients = 2\nrate = 4\ncount = 3\n[workload.ops.say]\ninput = 'send {value}'\nack = 'written'\n";
    place.write("x.toml", &format!("{CHAT}{workload}"));
    let told = stdout(&place.dsbench(&["plan", "x.toml", "--seed", "7"]).success());
    assert!(told.contains("  3. at 0.500s                    client1: say 1000000003\n"), "{told}");
    assert!(!told.contains("and so on"), "{told}");
}

/// Nodes that do nothing, and clients that are programs: this script reads requests, and does `bad` at the second of each of its lives.
fn with_client(bad: &str, keys: &str) -> String {
    let client = r#"n=0
while read -r line; do
  id=${line#*\"id\":}; id=${id%%,*}; n=$((n + 1))
  if [ $n = 2 ]; then
    BAD
  fi
  echo "{\"id\":$id,\"type\":\"ok\",\"value\":[$n,\"$DSBENCH_CLIENT\",\"$DSBENCH_TARGET\"]}"
done"#;
    let client = client.replace("BAD", bad);
    format!(
        "schema = 1\nname = 'asked'\ntimeout = '60s'\n[nodes]\ncount = 2\ncommand = ['sleep', '1000']\n[[invariants]]\nprocess = {{}}\n\
         [workload]\nclients = 2\nrate = 'max'\ncount = 12\ntarget = 'each'\nclient = ['sh', '-c', '''{client}''']\n{keys}\n\
         [workload.ops.write]\ntakes = ['key', 'value']\n[workload.ops.read]\ntakes = []\n"
    )
}

#[test]
fn a_program_performs_the_operations_of_its_client() {
    let place = Place::new();
    place.write("x.toml", &with_client(":", "keys = 3"));
    let text = stderr(&place.dsbench(&["run", "x.toml"]).success());
    assert!(text.contains("clients:   workload: "), "{text}");
    let all = operations(&place);
    assert_sound(&all);
    let ok = of_type(&all, "ok");
    assert_eq!(ok.len(), 12);
    for op in &ok {
        assert_eq!((&op["value"][1], &op["value"][2]), (&op["client"], &op["node"]), "{op}");
    }
    for op in of_type(&all, "invoke") {
        assert_eq!((op["key"].is_u64(), op["value"].is_u64()), (op["op"] == "write", op["op"] == "write"), "{op}");
    }
    let log = place.read("logs/client1_log.txt");
    assert!(log.contains("\"type\":\"ok\""), "{log}");
    place.dsbench(&["recheck"]).success();
}

#[test]
fn a_client_that_cannot_be_believed_leaves_its_operation_in_doubt_and_is_started_again() {
    let answer = |id: &str, kind: &str| format!(r#"echo "{{\"id\":{id},\"type\":\"{kind}\"}}""#);
    let (twice, other) = (answer("$id", "ok"), answer("4711", "ok"));
    let unknown = format!("{}; continue", answer("$id", "perhaps"));
    let late = format!("sleep 1000; {twice}");
    for (what, bad, why) in [
        ("prints garbage", "echo hello", "a line that is no JSON: hello"),
        ("prints bytes", r"printf '\377\376\n'", "no UTF-8"),
        ("never answers", "sleep 1000", "no answer within 700ms"),
        ("answers too late", &*late, "no answer within 700ms"),
        ("answers what it was not asked", &*other, "which it was not asked or had answered"),
        ("answers in its own words", &*unknown, "whose type is not ok, fail or info"),
        ("ends", "exit 3", "ended with exit code 3"),
        ("is killed", "kill -9 $$", "was ended by SIGKILL"),
        ("ends and leaves children", "sleep 1000 & exit 0", "ended with exit code 0"),
        ("prints a flood", "while :; do echo '[]'; done", "no JSON object"),
        ("prints a huge line", "head -c 3000000 /dev/zero | tr '\\0' x; echo", "a line of 64 KiB or more"),
        ("prints one that never ends", "head -c 3000000 /dev/zero | tr '\\0' x; sleep 1000", "no answer within 700ms"),
        ("reads nothing more", "exec <&-; sleep 1000", ""),
    ] {
        let place = Place::new();
        place.write("x.toml", &with_client(bad, "within = '700ms'"));
        let text = stderr(&place.dsbench(&["run", "x.toml"]).success());
        assert!(text.contains(" info"), "{what}: {text}");
        let all = operations(&place);
        assert_sound(&all);
        // The first of every life is answered, and the second is not.
        let (ok, info) = (of_type(&all, "ok"), of_type(&all, "info"));
        assert_eq!((ok.len(), info.len()), (6, 6), "{what}: {all:?}");
        assert!(info.iter().all(|op| op["why"].as_str().is_some_and(|told| told.contains(why))), "{what}: {info:?}");
    }
}

#[test]
fn an_answer_that_comes_twice_spoils_the_next_operation_or_none() {
    let place = Place::new();
    place.write("x.toml", &with_client(r#"echo "{\"id\":$id,\"type\":\"ok\"}""#, ""));
    place.dsbench(&["run", "x.toml"]).success();
    let all = operations(&place);
    assert_sound(&all);
    assert_eq!(of_type(&all, "invoke").len(), 12);
    let history = std::fs::read_to_string(place.run_dir().join("history.jsonl")).expect("a history");
    assert!(history.contains("which it was not asked or had answered; it is killed"), "{history}");
}

#[test]
fn a_client_may_say_itself_that_it_failed_or_does_not_know() {
    let place = Place::new();
    let fail = r#"echo "{\"id\":$id,\"type\":\"fail\",\"why\":\"refused\"}"; n=2; read -r line; id=${line#*\"id\":}; id=${id%%,*}; echo "{\"id\":$id,\"type\":\"info\"}"; continue"#;
    place.write("x.toml", &with_client(fail, "").replace("clients = 2", "clients = 1"));
    place.dsbench(&["run", "x.toml"]).success();
    let all = operations(&place);
    assert_sound(&all);
    let (fail, info) = (of_type(&all, "fail"), of_type(&all, "info"));
    assert_eq!((fail.len(), info.len()), (1, 1));
    assert_eq!((&fail[0]["why"], &info[0]["why"]), (&Value::from("refused"), &Value::from("the client does not know")));
    // It was honest, so it goes on: as another process, but the same program.
    let processes: std::collections::BTreeSet<u64> =
        all.iter().map(|op| op["process"].as_u64().expect("a number")).collect();
    assert_eq!(processes.len(), 2);
    let history = std::fs::read_to_string(place.run_dir().join("history.jsonl")).expect("a history");
    assert_eq!(history.matches("client_started").count(), 1);
}

#[test]
fn a_client_that_cannot_be_started_does_nothing_and_ends_nothing() {
    let place = Place::new();
    let text = with_client(":", "").replace("['sh', '-c', '''", "['./missing', '''").replace("count = 12", "count = 4");
    place.write("x.toml", &text);
    let text = stderr(&place.dsbench(&["run", "x.toml"]).code(3));
    assert!(text.contains("of 4, 4 certainly did not happen and 0 may have"), "{text}");
    assert_sound(&operations(&place));
}

#[test]
fn commands_perform_operations_and_their_exit_codes_say_how_they_ended() {
    let place = Place::new();
    let script = r#"case $(($1 % 5)) in
  0) echo "noise"; echo "[$1]" ;;
  1) echo "refused" >&2; exit 3 ;;
  2) exit 4 ;;
  3) sleep 1000 ;;
  4) kill -9 $$ ;;
esac"#;
    let workload = format!(
        "[workload]\nrate = 'max'\ncount = 10\nwithin = '500ms'\n[workload.ops.add]\nexec = ['sh', '-c', '''{script}''', 'add', '{{value}}']\nfails = 3\n"
    );
    place.write("x.toml", &format!("{CHAT}{workload}"));
    place.dsbench(&["run", "x.toml"]).success();
    let all = operations(&place);
    assert_sound(&all);
    let ends = |digit: u64| -> Vec<String> {
        let of = |op: &&Value| op["type"] != "invoke" && op["why"].as_str().is_some_and(|why| !why.is_empty());
        let written: std::collections::BTreeMap<u64, u64> = of_type(&all, "invoke")
            .iter()
            .map(|op| (op["id"].as_u64().expect("an id"), op["value"].as_u64().expect("a value")))
            .collect();
        all.iter()
            .filter(of)
            .filter(|op| written[&op["id"].as_u64().expect("an id")] % 5 == digit)
            .map(|op| format!("{} {}", op["type"].as_str().unwrap_or_default(), op["why"].as_str().unwrap_or_default()))
            .collect()
    };
    let ok = of_type(&all, "ok");
    assert_eq!(ok.iter().map(|op| op["value"].to_string()).collect::<Vec<_>>(), ["[1000000005]", "[1000000010]"]);
    assert_eq!(ends(1), ["fail it ended with exit code 3: refused"; 2]);
    assert_eq!(ends(2), ["info it ended with exit code 4"; 2]);
    assert_eq!(ends(3), ["info its command has not ended within 500ms"; 2]);
    assert_eq!(ends(4), ["info it was ended by SIGKILL"; 2]);
    place.dsbench(&["recheck"]).success();
}

#[test]
fn a_step_calls_an_operation_on_each_node_and_is_done_when_all_have_ended() {
    let place = Place::new();
    let workload = "[workloads.tool]\ntarget = 'chat1'\nwithin = '300ms'\n\
        [workloads.tool.calls.dump]\nexec = ['sh', '-c', 'echo \"{\\\"of\\\": \\\"{target.name}\\\"}\"']\n\
        [workloads.tool.calls.say]\ninput = 'send {value}'\nack = { event = 'delivered', where = { text = '{value}' } }\n\
        [workloads.tool.calls.lose]\ninput = 'keep {value}'\nack = { event = 'delivered', where = { text = '{value}' } }\n\
        [[steps]]\ncall = 'tool.say'\n[[steps]]\nexpect = { op = 'say' }\n\
        [[steps]]\nkill = 'chat3'\n[[steps]]\ncall = 'say'\non = ['chat2', 'chat3']\n\
        [[steps]]\nexpect = [{ op = 'say' }, { op = 'say', is = 'fail' }]\n\
        [[steps]]\ncall = 'lose'\non = 'chat2'\n[[steps]]\nexpect = { op = 'lose', is = 'info' }\n\
        [[steps]]\ncall = 'dump'\non = 'all'\n[[steps]]\nexpect = { op = 'dump', at_least = 2 }\n";
    place.write("x.toml", &format!("{CHAT}{workload}"));
    place.dsbench(&["run", "x.toml"]).success();
    let all = operations(&place);
    assert_sound(&all);
    let of = |op: &'static str| all.iter().filter(move |one| one["op"] == op && one["type"] != "invoke");
    let said: Vec<_> = of("say").map(|op| (op["node"].as_str(), op["type"].as_str())).collect();
    let ok = (Some("chat1"), Some("ok"));
    assert_eq!(said[0], ok);
    assert!(said.contains(&(Some("chat2"), Some("ok"))) && said.contains(&(Some("chat3"), Some("fail"))), "{said:?}");
    let dumped: Vec<_> = of("dump").map(|op| (&op["node"], &op["value"]["of"])).collect();
    assert!(dumped.len() == 2 && dumped.iter().all(|(node, of)| node == of), "{dumped:?}");
    // All values are of their own, also those of calls.
    let values: Vec<_> = of("say").chain(of("lose")).map(|op| op["value"].as_u64()).collect();
    assert_eq!(values.iter().collect::<std::collections::BTreeSet<_>>().len(), 4, "{values:?}");
    place.dsbench(&["recheck"]).success();
}

#[test]
fn a_call_of_a_client_program_is_asked_by_one_of_its_own() {
    let place = Place::new();
    let text = with_client(":", "").replace("count = 12", "count = 4")
        + "[workload.calls.dump]\ntakes = []\n[[steps]]\ncall = 'dump'\non = 'all'\n[[steps]]\nexpect = { op = 'dump', at_least = 2 }\n";
    place.write("x.toml", &text);
    place.dsbench(&["run", "x.toml"]).success();
    let all = operations(&place);
    assert_sound(&all);
    let dumped: Vec<_> = all.iter().filter(|op| op["op"] == "dump" && op["type"] == "ok").collect();
    for op in &dumped {
        assert_eq!((&op["value"][0], &op["value"][2]), (&Value::from(1), &op["node"]), "{op}");
    }
    assert_eq!(dumped.len(), 2);
}

#[test]
fn an_interrupt_leaves_neither_clients_nor_commands() {
    for way in ["client = ['sh', '-c', 'sleep 1000 & cat > /dev/null']", ""] {
        let place = Place::new();
        let op = if way.is_empty() { "exec = ['sh', '-c', 'sleep 1000 & wait']" } else { "" };
        let workload =
            format!("[workload]\nclients = 3\nduration = '50s'\nwithin = '50s'\n{way}\n[workload.ops.ask]\n{op}\n");
        place.write("x.toml", &format!("{CHAT}{workload}"));
        let mut dsbench = place.start(&["run", "x.toml"]);
        place.wait_until("three programs run for the clients", |place| {
            let sleeping = crate::support::processes_in(&place.path("."));
            sleeping.iter().filter(|(_, command)| command == "sleep").count() == 3
        });
        crate::support::kill(dsbench.id(), "INT");
        assert_eq!(dsbench.wait().expect("it ends").code(), Some(130));
        place.wait_until_empty();
    }
}

#[test]
fn an_operation_that_goes_on_when_the_time_is_over_is_in_doubt() {
    let place = Place::new();
    let workload = "[workload]\ncount = 1\nwithin = '50s'\ntarget = 'chat1'\n[workload.ops.lose]\ninput = 'keep {value}'\n\
        ack = { event = 'delivered', where = { text = '{value}' } }\n";
    place.write("x.toml", &format!("{CHAT}{workload}").replace("timeout = \"60s\"", "timeout = \"1s\""));
    place.dsbench(&["run", "x.toml"]).code(3);
    let all = operations(&place);
    assert_eq!((all.len(), all[0]["type"].as_str()), (1, Some("invoke")));
    place.dsbench(&["recheck"]).code(3);
}
