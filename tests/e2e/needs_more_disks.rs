//! Verdicts survive the disk that they are written to: one that is full, one that may not be written to.

use std::path::PathBuf;
use std::process::Command;

use crate::support::{Place, stderr, stdout};

/// A small disk of its own at `logs`.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn at(place: &Place, size: &str) -> Self {
        let logs = place.path("logs");
        std::fs::create_dir(&logs).expect("create the mount point");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(&logs);
        assert!(mount.status().expect("mount exists").success(), "a tmpfs can be mounted by root only");
        Self(logs)
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a test that has failed may have left somebody who looks at it.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// One node that counts, fills the disk, and counts on: as it should, or back.
fn counts(last: u32) -> String {
    format!(
        r#"schema = 1
name = "counts"
timeout = "100s"
[nodes]
count = 1
command = ["sh", "-c", '''echo said 1; yes 012345678901234567890123456789012345678901234567890123456789 | head -c 3000000; echo said 2; echo said {last}; exec sleep 1000''']
[events]
said = {{ log = 'said (?<n>\d+)', fields = {{ n = "int" }} }}
[[steps]]
wait = {{ event = "said", at_least = 3 }}
[[invariants]]
name = "never back"
monotonic = {{ event = "said", field = "n" }}
"#
    )
}

#[test]
#[ignore = "needs the right to mount a tmpfs"]
fn a_verdict_survives_a_full_disk_in_every_report_that_can_be_written() {
    for (last, code, word) in [(3, 0, "PASS"), (1, 1, "FAIL")] {
        let place = Place::new();
        let disk = SmallDisk::at(&place, "600k");
        place.write("x.toml", &counts(last));
        let args = ["run", "x.toml", "--format", "json", "--junit", "junit.xml", "--junit", "/dev/full"];
        let run = place.dsbench(&args).code(code);
        let (told, document) = (stderr(&run), stdout(&run));
        assert!(told.contains(&format!("    {word}")) && told.contains("No space left on device"), "{told}");
        assert!(told.contains("run.json") && told.contains("the verdict is not affected"), "{told}");
        let document: serde_json::Value = serde_json::from_str(&document).unwrap();
        assert_eq!(document["exit_code"], code);
        assert_eq!(place.read("junit.xml").contains("<failure"), code == 1);
        assert!(told.contains("/dev/full") && told.contains("no verdict is affected"), "{told}");
        if code == 1 {
            assert!(told.contains("n at peer1 goes down from 2 to 1") && told.contains("said 2"), "{told}");
        }
        // What there is of it can be looked at, and the next run says at once why it cannot be.
        let shown = stdout(&place.dsbench(&["show"]));
        assert!(shown.contains("said n=1"), "{shown}");
        assert!(!stderr(&place.dsbench(&["recheck"])).contains("panicked"));
        std::fs::write(place.path("logs/rest"), vec![0; 600_000]).unwrap_err();
        let next = stderr(&place.dsbench(&["run", "x.toml"]).code(5));
        assert!(next.contains("failed to") && next.contains("No space left on device"), "{next}");
        drop(disk);
    }
}

#[test]
#[ignore = "needs the right to become an ordinary user"]
fn a_directory_that_may_not_be_written_to_is_named_before_anything_starts() {
    let place = Place::new();
    std::fs::copy(env!("CARGO_BIN_EXE_dsbench"), place.path("dsbench")).unwrap();
    place.write("x.toml", &counts(1));
    let readable = Command::new("chmod").args(["-R", "a+rX,go-w"]).arg(place.path("")).status().unwrap();
    assert!(readable.success());
    let ran = |args: &[&str]| {
        let mut user = Command::new("setpriv");
        user.args(["--reuid=nobody", "--regid=nogroup", "--clear-groups", "./dsbench"]).args(args);
        let done = user.current_dir(place.path("")).output().unwrap();
        place.wait_until_empty();
        (done.status.code(), String::from_utf8_lossy(&done.stderr).into_owned())
    };
    let (code, told) = ran(&["run", "x.toml"]);
    assert_eq!(code, Some(5), "{told}");
    assert!(told.contains("logs") && told.contains("Permission denied") && !told.contains("started"), "{told}");
    let (code, told) = ran(&["up", "-d", "x.toml"]);
    assert_eq!(code, Some(5), "{told}");
    let (code, told) = ran(&["run", "x.toml", "--junit", "junit.xml"]);
    assert_eq!(code, Some(5), "{told}");
    assert!(told.contains("junit.xml") && told.contains("Permission denied"), "{told}");
}
