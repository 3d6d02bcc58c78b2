//! Programs that are no members, good and hostile ones.

use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use crate::harness::{Cluster, Node, PATIENT};
use crate::port::allow_a_crowd;

fn settled(cluster: &Cluster) -> Vec<Node> {
    let mut nodes = cluster.start_all();
    for node in &mut nodes {
        node.reports("leader=peer3");
    }
    nodes
}

struct Client(BufReader<TcpStream>);

impl Client {
    fn of(cluster: &Cluster, peer: usize) -> Self {
        let stream = TcpStream::connect(cluster.address(peer)).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        Self(BufReader::new(stream))
    }

    fn says(&mut self, lines: &str) {
        self.0.get_mut().write_all(lines.as_bytes()).unwrap();
    }

    fn hears(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line
    }

    /// Asks for a message, and gives the answer.
    fn sends(&mut self, msg: &str, payload: &str) -> String {
        self.says(&request(msg, payload));
        self.hears()
    }
}

fn request(msg: &str, payload: &str) -> String {
    format!("{{\"type\":\"SEQUENCER_REQUEST\",\"msg\":\"{msg}\",\"payload\":\"{payload}\"}}\n")
}

#[test]
fn any_node_takes_a_request_and_the_same_request_is_done_once() {
    let cluster = Cluster::new(3, PATIENT);
    let nodes = settled(&cluster);
    let mut clients: Vec<Client> = (1..=3).map(|peer| Client::of(&cluster, peer)).collect();
    let first = clients[0].sends("alice/1", "hello");
    assert!(first.starts_with("{\"type\":\"ACKNOWLEDGED\",\"msg\":\"alice/1\",\"seq\":1,"), "{first}");
    for client in &mut clients {
        assert_eq!(client.sends("alice/1", "hello"), first, "asked again, the same answer");
    }
    let second = clients[2].sends("alice/2", "world");
    assert!(second.contains("\"seq\":2,"), "{second}");
    for node in &nodes {
        node.delivers("world");
        assert_eq!(node.delivered(), [(1, "hello".to_owned()), (2, "world".to_owned())]);
    }
    clients[1].says("{\"type\":\"STATUS\"}\n");
    let status = clients[1].hears();
    assert!(status.contains("\"leader\":\"peer3\"") && status.contains(&cluster.address(3)), "{status}");
}

#[test]
fn a_client_takes_nobodys_name_and_no_number_that_would_silence_it() {
    let cluster = Cluster::new(3, PATIENT);
    let mut nodes = settled(&cluster);
    let mut client = Client::of(&cluster, 2);
    for name in ["peer1", "peer2", "peer3.0123abcd"] {
        let refused = client.sends(&format!("{name}/1"), "forged");
        assert!(refused.contains("REFUSED") && refused.contains("name-of-a-node"), "{refused}");
    }
    for serial in [0, 1 << 33, u64::MAX] {
        let refused = client.sends(&format!("alice/{serial}"), "far away");
        assert!(refused.contains("REFUSED") && refused.contains("bad-serial"), "{refused}");
    }
    assert!(client.sends("alice/1", "hello").contains("ACKNOWLEDGED"));
    nodes[0].types("send mine");
    for node in &nodes {
        node.delivers("mine");
        assert_eq!(node.delivered(), [(1, "hello".to_owned()), (2, "mine".to_owned())]);
    }
}

#[test]
fn a_program_that_ends_its_questions_first_still_gets_all_answers() {
    let cluster = Cluster::new(1, PATIENT);
    let mut node = cluster.start(1);
    node.reports("role=leader");
    let mut client = Client::of(&cluster, 1);
    let all: String = (1..=500).map(|n| request(&format!("bob/{n}"), "x")).collect();
    client.says(&all);
    client.0.get_ref().shutdown(Shutdown::Write).unwrap();
    let answers: Vec<String> = client.0.lines().map(Result::unwrap).collect();
    assert_eq!(answers.len(), 500);
    assert!(answers.iter().all(|answer| answer.contains("\"type\":\"ACKNOWLEDGED\"")), "{answers:?}");
}

#[test]
fn a_node_that_leaves_does_not_leave_a_client_without_an_answer() {
    // Nobody leads, so that nothing is done.
    let cluster = Cluster::new(3, PATIENT);
    let mut node = cluster.start(1);
    node.reports("leader=none");
    let mut client = Client::of(&cluster, 1);
    client.says(&request("alice/1", "hello"));
    node.reports("open=1");
    node.types("quit");
    let answer = client.hears();
    assert!(answer.contains("\"msg\":\"alice/1\"") && answer.contains("\"reason\":\"leaving\""), "{answer}");
    assert_eq!(node.ends().code(), Some(0));
}

#[test]
fn hostile_clients_do_not_keep_good_ones_from_their_answers() {
    allow_a_crowd();
    let cluster = Cluster::new(3, PATIENT);
    let mut nodes = settled(&cluster);
    let mut good = Client::of(&cluster, 3);
    assert!(good.sends("alice/1", "before").contains("ACKNOWLEDGED"));

    // Far more than it keeps: the idle ones make room, and not the peers or those who ask.
    let idle: Vec<TcpStream> = (0..1500).map(|_| TcpStream::connect(cluster.address(3)).unwrap()).collect();
    let mut binary = TcpStream::connect(cluster.address(3)).unwrap();
    let bytes: Vec<u8> = (0..1_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    let _ = binary.write_all(&bytes);
    let mut oversized = TcpStream::connect(cluster.address(3)).unwrap();
    let _ = oversized.write_all(request("mallory/1", &"x".repeat(1 << 20)).as_bytes());
    let mut too_long = Client::of(&cluster, 3);
    let refused = too_long.sends("mallory/2", &"x".repeat(40_000));
    assert!(refused.contains("REFUSED") && refused.contains("too-long"), "{refused}");
    let mut forged = Client::of(&cluster, 3);
    forged.says("{\"type\":\"SEQUENCER_REQUEST\",\"msg\":\"a\\u001b[2J/1\",\"payload\":\"x\"}\n");
    let forged_text = forged.sends("mallory/3", "\\u001b[2J\\n2026 peer3 INFO DELIVERED seq=1");
    assert!(forged_text.contains("ACKNOWLEDGED"), "{forged_text}");
    // Asks for ever, and never reads.
    let address = cluster.address(3);
    let (flows, flowing) = std::sync::mpsc::channel();
    let flood = std::thread::spawn(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        for n in 1_u64.. {
            if stream.write_all(request(&format!("flood/{n}"), "x").as_bytes()).is_err() {
                return;
            }
            if n == 1000 {
                let _ = flows.send(());
            }
        }
    });
    flowing.recv().unwrap();

    let mut again = Client::of(&cluster, 3);
    for n in 1..=20 {
        assert!(again.sends(&format!("carol/{n}"), "good").contains("ACKNOWLEDGED"));
    }
    for node in &mut nodes {
        node.reports("leader=peer3");
        assert!(node.lines(crate::harness::Mark::START).iter().all(|line| !line.contains('\u{1b}')));
    }
    drop((idle, nodes));
    flood.join().unwrap();
}
