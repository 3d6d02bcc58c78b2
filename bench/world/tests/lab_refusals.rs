//! What a machine can refuse, made so that it really does: the laboratory works without it, or says what is missing and how to get it.

mod stage;

use std::fs;

use dsbench_core::observation::Exit;
use dsbench_world::{FileSpec, Guardian, Happening, LabSpec, LinkKind, User, give_node, prepare_node};

use stage::lab::{Elsewhere, LabStage, place, three};
use stage::{PATIENCE, is_alive, life};

/// What the program below is to do.
const ROLE: &str = "DSBENCH_TEST_ROLE";

/// No test, but what the tests below execute in a place where something is refused.
#[test]
fn inside() {
    match std::env::var(ROLE).as_deref() {
        Err(_) => {}
        Ok("refused") => {
            let error = Guardian::fork().unwrap().build_lab(&three()).unwrap_err();
            println!("\nremedy: {}\nerror: {error}", error.remedy().unwrap_or_default());
        }
        Ok("packet") => {
            let lab = LabStage::new(&three());
            println!("\n{:?}", lab.hub.cable("peer1").kind);
            lab.end();
        }
        Ok("container") => container(),
        Ok("sudo") => {
            let user = User::behind_sudo();
            println!("\nuser: {:?}", user.map(|user| (user.name().to_owned(), user.uid(), user.gid())));
        }
        Ok(role) => panic!("{role}"),
    }
}

/// Executes what follows where no packet socket can be opened.
const NO_PACKETS: &str = include_str!("../../../tests/no_packets.py");

/// A run of this program in a role.
const INSIDE: &str = "$TESTS --exact inside --nocapture";

#[test]
#[ignore = "needs root and unshare"]
fn without_user_namespaces_the_setting_is_named_that_forbids_them() {
    // A limit for this namespace alone: nobody else on the machine notices.
    let script = format!(
        "exec unshare --user --map-root-user sh -ec 'echo 0 > /proc/sys/user/max_user_namespaces; exec {INSIDE}'"
    );
    let said = Elsewhere::new().run(&script, &[(ROLE, "refused")]);
    assert!(said.contains("make a user namespace: No space left on device"), "{said}");
    assert!(
        said.contains("remedy: the limit of namespaces (0: none at all)") && said.contains("user.max_user_namespaces"),
        "{said}"
    );
    let script = script.replace("max_user_namespaces", "max_net_namespaces");
    let said = Elsewhere::new().run(&script, &[(ROLE, "refused")]);
    assert!(said.contains("user.max_net_namespaces"), "{said}");
}

#[test]
#[ignore = "needs root, unshare and python3"]
fn without_tun_pairs_of_devices_take_its_place_and_without_both_the_ways_to_both_are_named() {
    let no_tun = "mount --bind /dev/null /dev/net/tun";
    let script = format!("exec unshare --mount sh -ec '{no_tun}; exec {INSIDE}'");
    let said = Elsewhere::new().run(&script, &[(ROLE, "packet")]);
    assert!(said.contains("Packet("), "{said}");
    let script = format!("exec unshare --mount sh -ec '{no_tun}; exec python3 -c \"$NO_PACKETS\" {INSIDE}'");
    let said = Elsewhere::new().run(&script, &[(ROLE, "refused"), ("NO_PACKETS", NO_PACKETS)]);
    assert!(said.contains("chmod 0666 /dev/net/tun") && said.contains("modprobe -a veth af_packet"), "{said}");
}

#[test]
#[ignore = "needs root, unshare, setpriv and python3"]
fn where_proc_is_half_closed_as_in_a_container_nodes_run_with_the_numbers_of_the_host() {
    let closed = "mount --bind /proc/sys /proc/sys; mount -o remount,bind,ro /proc/sys";
    let user = "setpriv --reuid=65534 --regid=65534 --clear-groups";
    let script = format!("exec unshare --mount sh -ec '{closed}; exec {user} {INSIDE}'");
    Elsewhere::new().run(&script, &[(ROLE, "container")]);
}

fn container() {
    assert!(fs::write("/proc/sys/net/ipv4/ip_unprivileged_port_start", "0").is_err(), "the place is not closed");
    let mut lab = LabStage::new(&three());
    let one = life("peer1", 1);
    let pid = lab.sh(
        &one,
        "(setsid sh -c 'while :; do :; done' &); exec python3 -c \"
import os, socket, time
s = socket.create_server(('', 80))
print('say', os.readlink('/proc/self'), flush=True)
time.sleep(1000)
\"",
    );
    lab.stage.until_said(&pid.to_string());
    let caps = lab.ask("peer2", "grep -E 'CapEff|CapAmb' /proc/self/status | tr -d '\\t' | tr '\\n' ' '");
    assert_eq!(caps, "CapEff:0000000000000400 CapAmb:0000000000000400", "low ports, and nothing else");
    assert!(lab.stage.world.pause(&one));
    let paused = lab.stage.until(|what| matches!(what, Happening::Paused { .. })).what;
    assert_eq!(paused, Happening::Paused { of: one.clone(), running: vec![] });
    let frozen = lab.stage.world.sample()[0].cpu;
    assert_eq!(lab.stage.world.sample()[0].cpu, frozen);
    assert!(lab.stage.world.resume(&one));
    lab.stage.until(|what| matches!(what, Happening::Resumed { .. }));
    let deadline = lab.stage.world.clock().now() + PATIENCE;
    while lab.stage.world.sample()[0].cpu == frozen {
        assert!(lab.stage.world.clock().now() < deadline, "it runs again");
    }
    assert!(lab.stage.world.kill(&one));
    assert_eq!(lab.stage.until_exited(&one), Exit::Signal(9));
    lab.stage.until_empty(&one);
    assert!(!is_alive(pid));
    lab.end();
}

#[test]
#[ignore = "needs root, and a user called nobody"]
fn started_as_root_programs_are_who_they_shall_be() {
    let nobody = User::named("nobody").unwrap().unwrap();
    for link in [LinkKind::Any, LinkKind::Packet] {
        let mut lab = LabStage::new(&LabSpec { link, root_user: Some(nobody.clone()), ..three() });
        let who = "echo $(id -u) $(id -g) $(id -G) $(grep CapEff /proc/self/status)";
        let gid = nobody.gid();
        let plain = format!("{} {gid} {gid} CapEff: 0000000000000000", nobody.uid());
        assert_eq!(lab.ask("peer1", who), plain);
        assert_eq!(lab.ask_at(place("peer1", Some("nobody"), &[]), who), plain);
        let capable = lab.ask_at(place("peer1", None, &["NET_RAW"]), who);
        assert_eq!(capable, plain.replace("0000000000000000", "0000000000002000"));
        assert!(lab.ask_at(place("peer1", Some("root"), &[]), who).starts_with("0 0 0 CapEff: 000001ff"));
        // Its output is its own: it may open it again.
        assert_eq!(lab.ask("peer1", "echo again > /dev/stdout; (: > /run/lock) && echo and locks"), "again\nand locks");
        // It dies with its keeper though it is somebody else's: it can be killed, and nothing is left.
        let one = life("peer1", 1);
        let pid = lab.sh(&one, "trap '' TERM; (setsid sleep 1000 &); echo say up; while :; do sleep 1000; done");
        lab.stage.until_said("up");
        lab.stage.world.pause(&one);
        let paused = lab.stage.until(|what| matches!(what, Happening::Paused { .. })).what;
        assert_eq!(paused, Happening::Paused { of: one.clone(), running: vec![] });
        lab.stage.world.kill(&one);
        lab.stage.until_empty(&one);
        assert!(!is_alive(pid));
        lab.end();
    }
}

#[test]
#[ignore = "needs root, and a user called nobody"]
fn a_data_directory_belongs_to_whom_the_node_runs_as() {
    use std::os::unix::fs::MetadataExt;
    let nobody = User::named("nobody").unwrap().unwrap();
    let mut lab = LabStage::new(&LabSpec { root_user: Some(nobody.clone()), ..three() });
    let data = lab.stage.dir.path().join("peer1");
    let file = FileSpec { path: "keys/own".into(), text: "secret".to_owned(), mode: 0o400 };
    prepare_node(&data, &[file]).unwrap();
    give_node(&data, &nobody).unwrap();
    for path in [&data, &data.join("keys"), &data.join("keys/own")] {
        let owner = path.symlink_metadata().unwrap();
        assert_eq!((owner.uid(), owner.gid()), (nobody.uid(), nobody.gid()), "{}", path.display());
    }
    let data = data.display();
    assert_eq!(lab.ask("peer1", &format!("cd {data}; cat keys/own; echo x > new; cat new")), "secretx");
    lab.end();
}

#[test]
#[ignore = "needs root, and a user called nobody"]
fn whoever_called_sudo_is_known_by_name_or_by_number() {
    let place = Elsewhere::new();
    let said = |uid: &str| place.run(INSIDE, &[(ROLE, "sudo"), ("SUDO_UID", uid), ("SUDO_GID", "65534")]);
    assert!(said("65534").contains("user: Some((\"nobody\", 65534, 65534))"), "{}", said("65534"));
    assert!(said("54321").contains("user: Some((\"54321\", 54321, 65534))"), "{}", said("54321"));
    assert!(said("0").contains("user: None"), "root called it for itself");
    assert!(said("x").contains("user: None"));
}
