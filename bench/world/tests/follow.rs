//! Promises about files that are followed: every line is found in its place, whatever a node does to its file, and nothing else is read.

mod stage;

use std::fs;
use std::os::unix::fs::symlink;

use dsbench_core::observation::{Event, Exit, Output};
use dsbench_world::{FollowSpec, Happening, SpawnSpec};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use stage::{Stage, life, words};

fn event<'s>(stage: &'s Stage, word: &str) -> &'s Event {
    let said = stage.seen.iter().find_map(|outside| match &outside.what {
        Happening::Event(event) if &*event.name == word => Some(event),
        _ => None,
    });
    said.unwrap_or_else(|| panic!("nobody said {word}: {:#?}", stage.seen))
}

/// What was said in all, in order.
fn said(stage: &Stage) -> Vec<String> {
    let word = |what: &Happening| match what {
        Happening::Event(event) => Some(event.name.to_string()),
        _ => None,
    };
    stage.seen.iter().filter_map(|outside| word(&outside.what)).collect()
}

/// Why files were not followed.
fn told(stage: &Stage) -> Vec<String> {
    let why = |what: &Happening| match what {
        Happening::NotFollowed { file, why, .. } => Some(format!("{file}: {why}")),
        _ => None,
    };
    stage.seen.iter().filter_map(|outside| why(&outside.what)).collect()
}

/// Does what it is told on standard input.
const OBEY: &str = "while read -r line; do eval \"$line\"; done";

/// Lets the node do something, and waits for the word that comes of it, so that each step of a test is seen before the next.
fn tell(stage: &mut Stage, line: &str, word: &str) {
    stage.world.input(&life("n", 1), format!("{line}\n").into_bytes());
    stage.until_said_or_seen(word);
}

#[test]
fn a_file_that_comes_late_is_read_from_its_beginning_like_an_output() {
    let mut stage = Stage::new();
    let one = life("n", 1);
    let script = "echo say out; mkdir logs; echo 'say first' > logs/a.log; echo none >> logs/a.log; printf 'say last' >> logs/a.log";
    stage.sh_writing(&one, script, &["logs/a.log"]);
    stage.until_empty(&one);
    let exited = stage.seen.iter().position(|outside| matches!(outside.what, Happening::Exited { .. })).unwrap();
    let first = stage.seen.iter().position(|o| matches!(&o.what, Happening::Event(e) if &*e.name == "first")).unwrap();
    assert!(first < exited, "what was written before the exit comes before it");
    assert_eq!(event(&stage, "first").output, Output::File("logs/a.log".into()));
    assert_eq!((event(&stage, "last").log.offset, &event(&stage, "out").output), (15, &Output::Stdout));
    assert_eq!(fs::read(stage.path("raw/n.main.1.file.logs+a.log")).unwrap(), b"say first\nnone\nsay last");
    let log = fs::read_to_string(stage.path("n_log.txt")).unwrap();
    for word in ["first", "last"] {
        let line = log.lines().nth(usize::try_from(event(&stage, word).log.line).unwrap() - 1).unwrap();
        assert_eq!(line, format!("[logs/a.log] say {word}"), "{log}");
    }
    assert!(log.contains("\nsay out\n"), "{log}");
    assert_eq!(told(&stage), [""; 0]);
    stage.end();
}

#[test]
fn a_line_that_makes_a_process_ready_may_stand_in_its_file() {
    let mut stage = Stage::new();
    let one = life("n", 1);
    stage.sh_writing(&one, "echo ready > a.log; exec sleep 1000", &["a.log"]);
    stage.until(|what| matches!(what, Happening::ReadyLine { .. }));
    stage.world.kill(&one);
    stage.until_empty(&one);
    stage.end();
}

#[test]
fn a_truncated_file_is_read_anew_also_when_it_has_grown_again() {
    let mut stage = Stage::new();
    stage.sh_writing(&life("n", 1), OBEY, &["a.log"]);
    tell(&mut stage, "echo 'say one' > a.log; printf 'say half' >> a.log", "one");
    tell(&mut stage, ": > a.log; echo 'say x' > a.log", "x");
    tell(&mut stage, "printf '%s\\n' 'say much longer than before' 'say two' > a.log", "two");
    stage.world.kill(&life("n", 1));
    stage.until_empty(&life("n", 1));
    assert_eq!(said(&stage), ["one", "half", "x", "much longer than before", "two"]);
    let log = fs::read_to_string(stage.path("n_log.txt")).unwrap();
    assert_eq!(log.matches("--- dsbench: n a.log begins anew: it was truncated\n").count(), 2, "{log}");
    let raw = fs::read_to_string(stage.path("raw/n.main.1.file.a.log")).unwrap();
    assert_eq!(raw, "say one\nsay halfsay x\nsay much longer than before\nsay two\n");
    stage.end();
}

#[test]
fn a_rotated_file_is_read_to_its_end_and_then_the_new_one() {
    let mut stage = Stage::new();
    stage.sh_writing(&life("n", 1), OBEY, &["a.log"]);
    tell(&mut stage, "exec 3> a.log; echo 'say one' >&3", "one");
    // As logrotate does it: the new file is there before the writer turns to it.
    tell(&mut stage, "mv a.log a.log.1; : > a.log; echo 'say two' >&3", "two");
    tell(&mut stage, "echo 'say three' >&3; exec 3> a.log; echo 'say four' >&3", "four");
    // And by the writer itself, twice; the name is nobody's for a while.
    tell(&mut stage, "mv a.log a.log.2; echo 'say five' >&3", "five");
    tell(&mut stage, "exec 3> a.log; echo 'say six' >&3", "six");
    tell(&mut stage, "rm a.log; echo 'say seven' >&3", "seven");
    stage.world.kill(&life("n", 1));
    stage.until_empty(&life("n", 1));
    assert_eq!(said(&stage), ["one", "two", "three", "four", "five", "six", "seven"]);
    assert_eq!(told(&stage), [""; 0]);
    stage.end();
}

#[test]
fn what_lay_there_before_was_said_by_nobody_and_a_later_life_goes_on_behind_it() {
    let mut stage = Stage::new();
    fs::write(stage.path("a.log"), "say old\n").unwrap();
    stage.sh_writing(&life("n", 1), "echo 'say one' >> a.log", &["a.log"]);
    stage.until_empty(&life("n", 1));
    stage.sh_writing(&life("n", 2), "echo 'say two' >> a.log", &["a.log"]);
    stage.until_empty(&life("n", 2));
    // Another beginning shows that the file was emptied, though it is longer than it was.
    stage.sh_writing(&life("n", 3), "printf '%s\\n' 'say three' 'say four' 'say five' > a.log", &["a.log"]);
    stage.until_empty(&life("n", 3));
    assert_eq!(said(&stage), ["one", "two", "three", "four", "five"]);
    let lives: Vec<u32> = ["one", "two", "five"].map(|word| event(&stage, word).of.life).to_vec();
    assert_eq!(lives, [1, 2, 3]);
    assert_eq!(fs::read(stage.path("raw/n.main.2.file.a.log")).unwrap(), b"say two\n");
    stage.end();
}

#[test]
fn a_link_within_the_directory_is_followed_and_one_out_of_it_is_refused_once() {
    let mut stage = Stage::new();
    let elsewhere = tempfile::tempdir().unwrap();
    fs::write(elsewhere.path().join("secret"), "say secret\n").unwrap();
    symlink(elsewhere.path().join("secret"), stage.path("out.log")).unwrap();
    symlink("real.log", stage.path("in.log")).unwrap();
    let one = life("n", 1);
    stage.sh_writing(&one, OBEY, &["out.log", "in.log"]);
    tell(&mut stage, "echo 'say real' > real.log", "real");
    tell(&mut stage, "rm in.log; ln -s other.log in.log; echo 'say other' > other.log", "other");
    stage.world.kill(&one);
    stage.until_empty(&one);
    assert_eq!(said(&stage), ["real", "other"]);
    assert_eq!(told(&stage), ["out.log: it is a link that leads out of the data directory"]);
    stage.end();
}

#[test]
fn a_pipe_in_place_of_the_file_holds_nobody_up_and_its_writer_is_not_let_go() {
    let mut stage = Stage::new();
    mkfifo(&stage.path("a.log"), Mode::S_IRWXU).unwrap();
    let one = life("n", 1);
    // To open a pipe for writing waits for a reader, and the follower must not be one.
    stage.sh_writing(&one, &format!("(echo 'say released' > a.log; echo say released) & {OBEY}"), &["a.log"]);
    // It may have been told before the start was.
    if told(&stage).is_empty() {
        stage.until(|what| matches!(what, Happening::NotFollowed { .. }));
    }
    tell(&mut stage, "rm a.log; echo 'say file' > a.log", "file");
    stage.world.kill(&one);
    stage.until_empty(&one);
    assert_eq!(said(&stage), ["file"]);
    assert_eq!(told(&stage), ["a.log: it is a named pipe, and only files are followed"]);
    stage.end();
}

#[test]
fn a_file_that_never_was_is_told_once() {
    let mut stage = Stage::new();
    for number in 1..=2 {
        stage.sh_writing(&life("n", number), "true", &["a.log", "b.log"]);
        assert_eq!(stage.until_exited(&life("n", number)), Exit::Code(0));
        stage.until_empty(&life("n", number));
    }
    let absent = "there was no such file in the node's data directory";
    assert_eq!(told(&stage), [format!("a.log: {absent}"), format!("b.log: {absent}")]);
    stage.end();
}

#[test]
fn a_path_that_leads_out_of_the_directory_is_refused_before_the_start() {
    let mut stage = Stage::new();
    for path in ["../x", "/etc/passwd", "a/../../x", "./a", ""] {
        let file = FollowSpec { dir: stage.dir.path().to_owned(), path: path.into(), patterns: words() };
        let program = stage.program(&["true"]);
        let spec = SpawnSpec { program, stdout: None, stderr: None, files: vec![file], label: false, place: None };
        let refused = stage.world.spawn(life(&format!("n{path}"), 1), spec);
        assert!(path.is_empty() || path == "./a" || refused.is_err(), "{path}");
    }
    stage.end();
}

#[test]
fn a_long_file_is_read_whole_while_others_go_on() {
    let mut stage = Stage::new();
    let (flood, quiet) = (life("flood", 1), life("n", 1));
    stage.sh_writing(
        &flood,
        "yes 'a line that is of no interest to anybody' | head -c 20000000 > a.log; printf '\\nsay end\\n' >> a.log",
        &["a.log"],
    );
    stage.sh_writing(&quiet, OBEY, &["b.log"]);
    for word in ["a", "b", "c"] {
        tell(&mut stage, &format!("echo 'say {word}' >> b.log"), word);
    }
    stage.until_said_or_seen("end");
    stage.world.kill(&quiet);
    stage.until_empty(&quiet);
    assert_eq!(fs::metadata(stage.path("raw/flood.main.1.file.a.log")).unwrap().len(), 20_000_009);
    stage.end();
}
