//! Promises about the laboratory: each node has a machine of its own, with a network between them.

mod stage;

use dsbench_world::{Happening, ProbeSpec};
use std::time::Duration;

use stage::lab::{LabStage, three};
use stage::life;

#[test]
#[ignore = "needs user namespaces and /dev/net/tun or AF_PACKET"]
fn a_machine_has_its_own_name_addresses_and_processes() {
    let mut lab = LabStage::new(&three());
    assert_eq!(lab.ask("peer2", "hostname"), "peer2");
    println!("{}", lab.ask("peer2", "cat /proc/net/dev /etc/hosts /proc/net/if_inet6 /proc/net/route; cat /proc/self/status | grep -E 'Cap|Uid'; echo $$; ls /proc | head -30; ls -la /run /dev/shm; cat /proc/mounts"));
    lab.end();
}

#[test]
#[ignore = "needs user namespaces and /dev/net/tun or AF_PACKET"]
fn tcp_passes_between_machines() {
    let mut lab = LabStage::new(&three());
    let one = life("peer1", 1);
    let pid = lab.sh(
        &one,
        "exec python3 -c \"
import socket
s = socket.create_server(('::', 80), family=socket.AF_INET6, dualstack_ipv6=True)
print('say up', flush=True)
while True:
    c, a = s.accept()
    d = c.recv(100)
    c.sendall(d + b' back')
    c.close()
\"",
    );
    lab.stage.until_said("up");
    println!("pid {pid} {}", std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap());
    for name in ["peer1", "10.77.0.1", "fd77::1"] {
        let said = lab.ask(
            "peer2",
            &format!(
                "python3 -c \"
import socket
c = socket.create_connection(('{name}', 80))
c.sendall(b'hello')
print(c.recv(100).decode())
\""
            ),
        );
        assert_eq!(said, "hello back");
    }
    for addr in ["10.77.0.1:80", "[fd77::1]:80"] {
        let wanted =
            lab.stage.world.probe_tcp(ProbeSpec { addr: addr.parse().unwrap(), within: Duration::from_secs(10) });
        let answer = lab.stage.until(|what| matches!(what, Happening::Probed { id, .. } if *id == wanted)).what;
        assert_eq!(answer, Happening::Probed { id: wanted, result: Ok(()) });
    }
    lab.end();
}
