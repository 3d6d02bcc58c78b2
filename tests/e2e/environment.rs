//! What the machine, or what is around the cluster, does not give: exit code 5 with the reason, and never the cluster's or a bug's.

use std::process::{Command, Stdio};

use crate::support::{Place, stderr};

fn scenario(rest: &str) -> String {
    format!(
        r#"schema = 1
name = "environment"
timeout = "60s"
[nodes]
count = 3
command = ["sh", "-c", "echo up; exec sleep 1000"]
ready = 'up'
[events]
up = {{ log = '^up' }}
{rest}
[[invariants]]
sometimes = {{ event = "up" }}
"#
    )
}

#[test]
fn a_required_command_that_hangs_is_ended_with_all_that_it_started_and_one_that_fails_says_why() {
    for (command, told) in [
        ("sleep 1000 & sleep 1000", "did not end within 300ms (start the database)"),
        ("echo no socket >&2; exit 2", "it ended with exit code 2: no socket (start the database)"),
    ] {
        let place = Place::new();
        let requires = format!(
            "[requires]\nexec = {{ \"start the database\" = [\"sh\", \"-c\", \"{command}\"] }}\nwithin = \"300ms\""
        );
        place.write("x.toml", &scenario(&requires));
        let said = stderr(&place.dsbench(&["run", "x.toml"]).code(5));
        assert!(said.contains("does not succeed: ") && said.contains(told), "{said}");
        place.wait_until_empty();
        let said = stderr(&place.dsbench(&["check", "x.toml"]).success());
        assert!(said.contains("warning: to run it here: ") && said.contains(told), "{said}");
        place.wait_until_empty();
    }
    let place = Place::new();
    place.write("x.toml", &scenario("[requires]\nexec = { \"never said\" = [\"test\", \"-e\", \"x.toml\"] }"));
    place.dsbench(&["run", "x.toml"]).success();
}

#[test]
fn an_address_that_a_step_asks_for_is_looked_up_before_anything_starts() {
    let place = Place::new();
    place.write("x.toml", &scenario("[[steps]]\nmark = \"x\"\n[[steps]]\nwait = { tcp = \"no..host:80\" }"));
    let said = stderr(&place.dsbench(&["run", "x.toml"]).code(5));
    assert!(said.contains("step 2: tcp: `no..host:80` is no address"), "{said}");
    assert!(!said.contains("started"), "{said}");
    // A name that is one is looked up, and may be of nobody at this moment.
    place.write("x.toml", &scenario("[[steps]]\nwait = { tcp = \"localhost:1\" }\nwithin = \"300ms\""));
    let said = stderr(&place.dsbench(&["run", "x.toml"]).code(3));
    assert!(said.contains("a connection to localhost:1"), "{said}");
}

#[test]
fn a_limit_of_the_machine_is_neither_a_bug_nor_the_clusters_fault_wherever_it_is_met() {
    let place = Place::new();
    place.write("x.toml", &scenario("[[steps]]\nkill = \"peer1\"\n[[steps]]\nrestart = \"peer1\""));
    let mut met = 0;
    for most in 5..60 {
        let done = Command::new("sh")
            .args([
                "-c",
                &format!("ulimit -n {most}; exec \"$@\""),
                "sh",
                env!("CARGO_BIN_EXE_dsbench"),
                "run",
                "x.toml",
            ])
            .current_dir(place.path(""))
            .stdin(Stdio::null())
            .output()
            .expect("a shell");
        let said = String::from_utf8_lossy(&done.stderr);
        match done.status.code() {
            Some(0) => {}
            Some(5) => {
                met += 1;
                assert!(said.contains("Too many open files"), "with {most} open files:\n{said}");
            }
            code => panic!("{code:?} with {most} open files:\n{said}"),
        }
        place.wait_until_empty();
    }
    assert!(met > 10, "the limit was met {met} times");
}
