//! `dsnode log`: what a node has on its disk.

use std::fs;
use std::process::{Command, Output};

use crate::harness::{Cluster, QUICK};

fn log(path: &std::path::Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_dsnode")).arg("log").arg(path).output().unwrap()
}

#[test]
fn a_log_is_printed_with_its_state_in_the_exit_code() {
    let cluster = Cluster::new(1, QUICK);
    let mut node = cluster.start(1);
    node.reports("role=leader");
    node.crash();
    let whole = log(&cluster.directory(1));
    let text = String::from_utf8(whole.stdout).unwrap();
    assert_eq!(whole.status.code(), Some(0), "{text}");
    assert!(text.contains("\"segment\":{\"node\":\"peer1\"}") && text.contains("\"ballot\":{\"term\":1"), "{text}");

    let path = cluster.directory(1).join("log.0000000001");
    let bytes = fs::read(&path).unwrap();
    let end = bytes.windows(4).rposition(|found| found == b"dsn1").unwrap() + 40;
    fs::write(&path, [&bytes[..end], b"half a record"].concat()).unwrap();
    let torn = log(&path);
    assert_eq!(torn.status.code(), Some(3));
    assert!(String::from_utf8(torn.stdout).unwrap().ends_with("\"torn\":{\"bytes\":13}}\n"));

    let mut damaged = bytes.clone();
    damaged[60] ^= 1;
    fs::write(&path, damaged).unwrap();
    assert_eq!(log(&cluster.directory(1)).status.code(), Some(1));
    let missing = log(&cluster.directory(2));
    assert_eq!(missing.status.code(), Some(1));
    assert!(String::from_utf8(missing.stderr).unwrap().contains("failed to read"));
}
