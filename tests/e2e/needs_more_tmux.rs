//! What people see and press at a terminal: dsbench in a pane of tmux, read as it stands there.

#![expect(clippy::disallowed_methods, reason = "a test's patience is not run time")]

use std::path::Path;
use std::process::{Command, Output};

use crate::support::{Place, stderr, stdout};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// A terminal of 120 columns and 40 rows in which one dsbench runs.
struct Pane<'p> {
    place: &'p Place,
}

impl<'p> Pane<'p> {
    /// Its temporary files would go to `tmp`.
    fn new(place: &'p Place, args: &str) -> Self {
        std::fs::create_dir(place.path("tmp")).expect("create its directory");
        let pane = Self { place };
        let (dir, dsbench) = (place.path(""), env!("CARGO_BIN_EXE_dsbench"));
        let line = format!(
            "cd '{}' && env -u CI TMPDIR=tmp '{dsbench}' {args}; echo $? > code.new; mv code.new code",
            dir.display()
        );
        // A pane that stays when its program has ended can still be read. tmux does not always learn the exit code, so the shell writes it.
        let options = ["set-option", "-g", "remain-on-exit", "on", ";"];
        let session = ["new-session", "-d", "-x", "120", "-y", "40", &line];
        let began = pane.tmux(&[&["start-server", ";"][..], &options, &session].concat());
        assert!(began.status.success(), "{}", String::from_utf8_lossy(&began.stderr));
        pane
    }

    fn tmux(&self, args: &[&str]) -> Output {
        let mut tmux = Command::new("tmux");
        tmux.args(["-f", "/dev/null", "-S"]).arg(self.place.path("terminal")).args(args);
        // Whoever looks for processes in the place must not find the terminal.
        tmux.current_dir("/").env_remove("TMUX").env("LC_ALL", "C.UTF-8").output().expect("tmux is installed")
    }

    fn screen(&self) -> String {
        String::from_utf8_lossy(&self.tmux(&["capture-pane", "-p", "-J", "-S", "-"]).stdout).into_owned()
    }

    fn wait_for(&self, what: &str, holds: impl Fn(&str) -> bool) {
        let mut screen = String::new();
        let begun = std::time::Instant::now();
        while begun.elapsed() < crate::support::PATIENCE {
            screen = self.screen();
            if holds(&screen) {
                return;
            }
            std::thread::park_timeout(std::time::Duration::from_millis(20));
        }
        panic!("still waiting for: {what}\n{screen}");
    }

    fn press(&self, key: &str) {
        assert!(self.tmux(&["send-keys", key]).status.success());
    }

    /// Types text as it is.
    fn type_in(&self, text: &str) {
        assert!(self.tmux(&["send-keys", "-l", text]).status.success());
    }

    /// The exit code of what ran there, once it has ended.
    fn exit_code(&self) -> String {
        self.place.wait_until("the end of what runs in the pane", |place| place.path("code").exists());
        self.place.read("code").trim().to_owned()
    }

    /// Nothing of it is left but the records: no process, no socket, no temporary file.
    fn left_nothing(&self) {
        self.place.wait_until_empty();
        assert_eq!(sockets(&self.place.path("logs")), Vec::<String>::new());
        let files = std::fs::read_dir(self.place.path("tmp")).expect("read its directory");
        assert_eq!(files.count(), 0, "temporary files are left");
    }
}

impl Drop for Pane<'_> {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}

fn sockets(dir: &Path) -> Vec<String> {
    let found = Command::new("find").arg(dir).args(["-type", "s"]).output().expect("find exists");
    String::from_utf8_lossy(&found.stdout).lines().map(str::to_owned).collect()
}

/// The node of whom the lines at the bottom say that it leads: `  3 peer3  up       leader  became_leader term=1`.
fn leader(screen: &str) -> Option<String> {
    let from = screen.lines().collect::<Vec<_>>();
    let bottom = from.iter().rposition(|line| line.starts_with("-- "))?;
    let line = from[bottom..]
        .iter()
        .find(|line| line.split_whitespace().any(|word| word == "leader") && line.contains("peer"))?;
    line.split_whitespace().find(|word| word.starts_with("peer") && !word.contains(':')).map(str::to_owned)
}

#[test]
#[ignore = "needs tmux"]
fn a_leader_is_killed_by_a_key_another_one_is_elected_and_quitting_leaves_nothing() {
    let place = Place::new();
    let pane = Pane::new(&place, &format!("up {ROOT}/scenarios/leader-election.toml"));
    pane.wait_for("a leader", |screen| leader(screen).is_some());
    pane.press("l");
    pane.press("k");
    // Who it is can change until the key is read: the highest takes the office over when it is there.
    let killed = |screen: &str| {
        let line = screen.lines().find(|line| line.contains("kill peer") && line.ends_with(" by hand"))?;
        line.split_whitespace().find(|word| word.starts_with("peer")).map(str::to_owned)
    };
    pane.wait_for("the kill is told", |screen| killed(screen).is_some());
    let first = killed(&pane.screen()).unwrap();
    pane.wait_for("another one leads", |screen| leader(screen).is_some_and(|leader| leader != first));
    assert!(pane.screen().contains("SUSPECTED"), "its log rolls by: {}", pane.screen());

    let second = leader(&pane.screen()).unwrap();
    pane.press(second.trim_start_matches("peer"));
    pane.press("i");
    pane.wait_for("the line for the input", |screen| screen.contains(&format!("\n{second} <")));
    pane.type_in("status");
    pane.press("Enter");
    pane.wait_for("its answer", |screen| screen.contains("| status role="));
    pane.press("Escape");
    pane.type_in(":restart killed");
    pane.press("Enter");
    pane.wait_for("it is back", |screen| screen.contains(&format!("{first} started again, life 2")));
    pane.press("q");
    assert_eq!(pane.exit_code(), "0");
    assert!(pane.screen().contains("leader-election is down"), "{}", pane.screen());
    pane.left_nothing();
}

#[test]
#[ignore = "needs tmux and the right to become an ordinary user"]
fn a_cluster_in_the_background_outlives_its_terminal_obeys_others_and_is_its_owners_alone() {
    let place = Place::new();
    std::fs::copy(env!("CARGO_BIN_EXE_dsbench"), place.path("dsbench")).unwrap();
    let open = Command::new("chmod").args(["-R", "a+rX"]).arg(place.path("")).status().unwrap();
    assert!(open.success());
    let pane = Pane::new(&place, &format!("up -d {ROOT}/scenarios/leader-election.toml"));
    assert_eq!(pane.exit_code(), "0");
    assert!(pane.screen().contains("dsbench down"), "it says how to go on: {}", pane.screen());
    drop(pane);
    place.wait_until("a leader", |place| stdout(&place.beside(&["ps"])).contains("leader"));

    let stranger = |args: &[&str]| {
        let mut stranger = Command::new("setpriv");
        stranger.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups"]).args(args);
        stranger.current_dir(place.path("")).output().unwrap()
    };
    let socket = sockets(&place.path("logs")).pop().expect("there is a socket");
    assert!(!stranger(&["test", "-e", &socket]).status.success(), "a stranger sees {socket}");
    for args in [&["./dsbench", "kill", "all"][..], &["./dsbench", "down"], &["./dsbench", "input", "all", "status"]] {
        let refused = stranger(args);
        let told = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(!refused.status.success() && told.contains("error"), "{args:?}: {told}");
    }
    let ps = stdout(&place.beside(&["ps"]).success());
    let are_up = ps.lines().filter(|line| line.starts_with("  peer") && line.contains(" up ")).count();
    assert_eq!(are_up, 3, "{ps}");

    place.beside(&["kill", "leader"]).success();
    assert!(stdout(&place.beside(&["ps"]).success()).contains("killed"));
    place.wait_until("another one leads", |place| {
        let ps = stdout(&place.beside(&["ps"]));
        ps.lines().any(|line| line.contains(" up ") && line.contains(" leader "))
    });
    place.beside(&["restart", "killed"]).success();
    assert!(stdout(&place.beside(&["logs"]).success()).contains("became the Group Leader"));
    assert!(stderr(&place.dsbench(&["down"]).success()).contains("nothing of it is left"));
    assert_eq!(sockets(&place.path("logs")), Vec::<String>::new());
}

/// Three nodes, of which one is killed and must not be missed; it is.
const MISSED: &str = r#"schema = 1
name = "missed"
[nodes]
count = 3
command = ["sh", "-c", "echo up {life}; while :; do if read line; then echo \"heard $line\"; fi; done"]
ready = { log = 'up' }
stop = { grace = "200ms" }
[events]
up = { log = 'up (?<life>\d+)', fields = { life = "int" } }
[[steps]]
kill = "peer2"
[[steps]]
expect = { event = "up", from = "peer2", where = { life = 2 } }
within = "100ms"
"#;

#[test]
#[ignore = "needs tmux"]
fn a_run_that_failed_is_kept_at_its_terminal_until_it_is_quit_and_its_exit_code_stands() {
    for key in ["q", "C-c"] {
        let place = Place::new();
        place.write("x.toml", MISSED);
        let pane = Pane::new(&place, "run --keep-running x.toml");
        pane.wait_for("the cluster as the run left it", |screen| {
            screen.contains("    FAIL") && screen.lines().any(|line| line.contains("peer2  killed"))
        });
        pane.press("2");
        pane.press("r");
        pane.wait_for("it is back", |screen| screen.contains("peer2 started again, life 2"));
        pane.press(key);
        assert_eq!(pane.exit_code(), "1", "{}", pane.screen());
        pane.left_nothing();
    }
    let place = Place::new();
    place.write("x.toml", MISSED);
    let pane = Pane::new(&place, "run --keep-running x.toml");
    pane.wait_for("its keys", |screen| screen.contains("q quit"));
    pane.press("d");
    assert_eq!(pane.exit_code(), "1", "{}", pane.screen());
    assert!(stdout(&place.beside(&["ps"]).success()).contains("missed  kept"));
    place.beside(&["down"]).success();
    pane.left_nothing();
}

#[test]
#[ignore = "needs tmux"]
fn the_live_screen_of_a_run_shows_nodes_step_and_nemesis_and_leaves_only_the_result() {
    let place = Place::new();
    let faults = "[nemesis]\nevery = \"200ms\"\nfaults = { pause = 1 }\nfor = \"100ms\"\ntargets = { random = 1 }\nduration = \"30m\"\n";
    let scenario = MISSED.replace("[[steps]]\nkill = \"peer2\"\n", faults);
    place.write("x.toml", &scenario.replace("name = \"missed\"", "name = \"missed\"\ntimeout = \"1h\""));
    let pane = Pane::new(&place, "run x.toml");
    pane.wait_for("a fault in its line", |screen| {
        screen.lines().any(|line| line.starts_with("  nemesis  fault ") && line.contains(" done"))
            && screen.contains("  step     1 of 1 is over")
    });
    // Waited for: a look can fall into the middle of a drawing.
    pane.wait_for("a line for each node", |screen| {
        ["  peer1", "  peer2", "  peer3"].iter().all(|node| screen.lines().any(|line| line.starts_with(node)))
    });
    pane.press("C-c");
    assert_eq!(pane.exit_code(), "1", "it had failed before: {}", pane.screen());
    let screen = pane.screen();
    assert!(screen.contains("    FAIL") && !screen.contains("  time "), "{screen}");
    pane.left_nothing();
}
