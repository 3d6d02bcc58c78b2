//! Transports on loopback, and wrong ends of one.

use std::sync::Mutex;

use dsbench_wire::Term;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;

mod clients;
#[path = "../../tests/cluster/port.rs"]
mod port;
mod udp;
use port::{Port, allow_a_crowd};

const PATIENCE: Duration = Duration::from_secs(30);
const HEARTBEAT: Duration = Duration::from_millis(100);

#[derive(Clone, Default)]
struct Written(Arc<Mutex<String>>);

impl io::Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().push_str(std::str::from_utf8(bytes).unwrap());
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct End {
    transport: Transport,
    log: Log,
    written: Written,
}

impl End {
    fn has_told(&self, text: &str) -> bool {
        assert!(self.log.flush(PATIENCE));
        self.written.0.lock().unwrap().contains(text)
    }
}

fn id(name: &str) -> NodeId {
    name.parse().unwrap()
}

fn tcp_alone() -> Datagrams {
    let cluster = "tests".to_owned();
    Datagrams { cluster, broadcast_port: None, multicast: Multicast::Off, multicast_loss: 0.0 }
}

/// `me` on its port, with `peer` on the other.
async fn end(me: &str, mine: &Port, peer: &str, its: &Port) -> End {
    end_with(me, mine, peer, its, tcp_alone()).await
}

async fn end_with(me: &str, mine: &Port, peer: &str, its: &Port, datagrams: Datagrams) -> End {
    let written = Written::default();
    let log = Log::to(id(me), Some(written.clone()), None).unwrap();
    let listener = listen(&mine.address().parse().unwrap()).await.unwrap();
    let advertise = mine.address().parse().unwrap();
    let rng = Pcg64Mcg::new(1);
    let setup =
        Setup { listener, me: id(me), advertise, heartbeat: HEARTBEAT, dialect: Arc::new(SensorLines), datagrams, rng };
    let mut transport = Transport::start(setup, &log).await.unwrap();
    transport.connect(id(peer), its.address().parse().unwrap());
    End { transport, log, written }
}

impl End {
    /// The next message of a node.
    async fn hears(&mut self) -> Envelope {
        loop {
            if let Heard::Message(envelope) = timeout(PATIENCE, self.transport.receive()).await.unwrap() {
                return envelope;
            }
        }
    }
}

fn hello(term: u64) -> Message {
    Message::Election { term: Term(term) }
}

/// Sends until one arrives, as protocols do, and gives the first that does.
async fn insist(from: &mut End, to: &mut End) -> Envelope {
    let id = to.transport.me.clone();
    let arrival = async {
        loop {
            from.transport.send(&id, hello(1));
            if let Ok(envelope) = timeout(HEARTBEAT, to.hears()).await {
                return envelope;
            }
        }
    };
    timeout(PATIENCE, arrival).await.unwrap()
}

/// Waits until `condition` holds, letting the connections work.
async fn until(what: &str, condition: impl Fn() -> bool) {
    let held = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    timeout(PATIENCE, held).await.expect(what);
}

#[tokio::test]
async fn messages_arrive_in_order_and_as_they_were_sent() {
    let ports = [Port::free(), Port::free()];
    let mut a = end("a", &ports[0], "b", &ports[1]).await;
    let mut b = end("b", &ports[1], "a", &ports[0]).await;
    let first = insist(&mut a, &mut b).await;
    assert_eq!(first, Envelope { from: id("a"), to: id("b"), message: hello(1) });
    for term in 2..20 {
        a.transport.send(&id("b"), hello(term));
    }
    let mut terms = Vec::new();
    while terms.last() != Some(&Term(19)) {
        terms.push(b.hears().await.message.term());
    }
    terms.retain(|term| *term > Term(1));
    assert_eq!(terms, (2..20).map(Term).collect::<Vec<_>>());
}

#[tokio::test]
async fn messages_to_an_absent_peer_are_dropped_and_it_is_found_when_it_comes_and_when_it_comes_back() {
    let ports = [Port::free(), Port::free()];
    let mut a = end("a", &ports[0], "b", &ports[1]).await;
    until("the absence is told", || a.has_told("peer=b address=127.0.0.1:")).await;
    for _ in 0..1000 {
        a.transport.send(&id("b"), hello(9));
    }
    until("all are dropped", || a.transport.traffic().dropped == 1000).await;
    for _ in 0..2 {
        let mut b = end("b", &ports[1], "a", &ports[0]).await;
        assert_eq!(insist(&mut a, &mut b).await.message, hello(1));
        assert_eq!(a.transport.traffic().connected, 1);
        drop(b);
        until("the loss is noticed", || a.transport.traffic().connected == 0).await;
    }
}

#[tokio::test]
async fn the_answer_to_a_peer_that_has_just_come_is_not_lost() {
    let ports = [Port::free(), Port::free()];
    let mut a = end("a", &ports[0], "b", &ports[1]).await;
    // By then it dials after long pauses, and drops what is sent in between.
    for _ in 0..1000 {
        a.transport.send(&id("b"), hello(9));
    }
    until("the absence is long", || a.transport.traffic().dropped == 1000).await;
    let mut b = end("b", &ports[1], "a", &ports[0]).await;
    timeout(PATIENCE, async {
        b.transport.send(&id("a"), hello(1));
        a.hears().await;
        a.transport.send(&id("b"), hello(2));
        assert_eq!(b.hears().await.message, hello(2));
    })
    .await
    .unwrap();
}

#[tokio::test]
async fn a_peer_that_does_not_read_costs_a_bounded_queue_and_nothing_waits_for_it() {
    let ports = [Port::free(), Port::free()];
    let deaf = listen(&ports[1].address().parse().unwrap()).await.unwrap();
    let mut a = end("a", &ports[0], "b", &ports[1]).await;
    let (_open, _) = timeout(PATIENCE, deaf.accept()).await.unwrap().unwrap();
    // That this ends is the claim: the queue and the kernel's buffers fill up, and from then on everything is dropped at once.
    for sent in 0_u64.. {
        a.transport.send(&id("b"), hello(sent));
        if sent.is_multiple_of(32) {
            tokio::task::yield_now().await;
        }
        if a.transport.traffic().dropped >= 1000 {
            break;
        }
    }
}

#[tokio::test]
async fn what_is_not_a_message_to_this_node_is_counted_told_and_ignored() {
    let ports = [Port::free(), Port::free()];
    let mut a = end("a", &ports[0], "b", &ports[1]).await;
    let mut stranger = TcpStream::connect(ports[0].address()).await.unwrap();
    let lines = [
        "\n",
        "GET / HTTP/1.1\r\n",
        "{\"from\":\"b\",\"to\":\"a\",\"type\":\"REBOOT\\u001b[2J\",\"term\":1}\n",
        "{\"from\":\"a\",\"to\":\"a\",\"type\":\"ELECTION\",\"term\":1}\n",
        "{\"from\":\"b\",\"to\":\"c\",\"type\":\"ELECTION\",\"term\":1}\n",
        "{\"from\":\"b\",\"to\":\"a\",\"type\":\"ELECTION\",\"term\":-1}\n",
    ];
    stranger.write_all(lines.concat().as_bytes()).await.unwrap();
    until("all are counted", || a.transport.traffic().ignored == lines.len() as u64).await;
    stranger
        .write_all(b"{\"from\":\"b\",\"to\":\"a\",\"type\":\"ELECTION\",\"term\":5}\n{\"from\":\"b\"")
        .await
        .unwrap();
    let next = a.hears().await;
    assert_eq!(next.message, hello(5), "the connection is still good, and the first thing that got through");
    drop(stranger);
    until("the half line is counted", || a.transport.traffic().ignored == lines.len() as u64 + 1).await;
    assert!(a.has_told("WARN ignored input from=127.0.0.1:"));
}

#[tokio::test]
async fn a_connection_with_an_oversized_line_is_closed() {
    let ports = [Port::free(), Port::free()];
    let a = end("a", &ports[0], "b", &ports[1]).await;
    let mut stranger = TcpStream::connect(ports[0].address()).await.unwrap();
    let endless = vec![b'x'; 4 * dsbench_wire::MAX_LINE];
    let closed = async { while stranger.write_all(&endless).await.is_ok() {} };
    timeout(PATIENCE, closed).await.unwrap();
    assert_eq!(a.transport.traffic().ignored, 1);
}

#[tokio::test]
async fn a_crowd_of_strangers_pushes_out_strangers_and_not_a_member() {
    let ports = [Port::free(), Port::free()];
    let mut a = end("a", &ports[0], "b", &ports[1]).await;
    let mut b = end("b", &ports[1], "a", &ports[0]).await;
    insist(&mut b, &mut a).await;
    let mut crowd = Vec::new();
    allow_a_crowd();
    for _ in 0..1300 {
        let mut stranger = TcpStream::connect(ports[0].address()).await.unwrap();
        stranger.write_all(b"{\"from\":").await.unwrap();
        crowd.push(stranger);
    }
    let first = timeout(PATIENCE, crowd[0].read(&mut [0; 1])).await.unwrap();
    assert!(matches!(first, Ok(0) | Err(_)), "the first stranger has been pushed out");
    assert!(a.transport.traffic().ignored >= 1300 - 1024);
    b.transport.send(&id("a"), hello(7));
    while a.hears().await.message != hello(7) {}
    assert!(!b.has_told("lost the connection"));
}

#[tokio::test]
async fn a_program_that_talks_back_is_not_taken_for_a_node() {
    let ports = [Port::free(), Port::free()];
    let other = listen(&ports[1].address().parse().unwrap()).await.unwrap();
    let a = end("a", &ports[0], "b", &ports[1]).await;
    let (mut open, _) = timeout(PATIENCE, other.accept()).await.unwrap().unwrap();
    open.write_all(b"SSH-2.0-OpenSSH\r\n").await.unwrap();
    until("it is left", || a.has_told("it is not a node")).await;
}

#[tokio::test]
async fn an_address_that_is_taken_is_named_with_the_remedy() {
    let port = Port::free();
    let address = port.address().parse().unwrap();
    let _first = listen(&address).await.unwrap();
    let refusal = listen(&address).await.unwrap_err().to_string();
    assert!(refusal.contains(&format!("port {} is already in use", port.number)), "{refusal}");
    assert!(refusal.contains("choose another port with --listen"), "{refusal}");
    let foreign = "192.0.2.1:7001".parse().unwrap();
    assert!(matches!(listen(&foreign).await, Err(ListenError::Refused { .. })));
}

#[tokio::test]
async fn closing_sends_what_is_queued() {
    let ports = [Port::free(), Port::free()];
    let mut a = end("a", &ports[0], "b", &ports[1]).await;
    let mut b = end("b", &ports[1], "a", &ports[0]).await;
    insist(&mut a, &mut b).await;
    a.transport.send(&id("b"), hello(8));
    a.transport.close(PATIENCE).await;
    while b.hears().await.message != hello(8) {}
}

#[tokio::test]
async fn a_peer_that_moves_is_dialled_at_its_new_address_and_a_forgotten_one_no_more() {
    let ports = [Port::free(), Port::free(), Port::free()];
    let mut a = end("a", &ports[0], "b", &ports[1]).await;
    let mut b = end("b", &ports[1], "a", &ports[0]).await;
    insist(&mut a, &mut b).await;
    drop(b);
    let mut b = end("b", &ports[2], "a", &ports[0]).await;
    a.transport.connect(id("b"), ports[2].address().parse().unwrap());
    insist(&mut a, &mut b).await;
    a.transport.send(&id("b"), hello(77));
    a.transport.forget(&id("b"));
    a.transport.send(&id("b"), hello(78));
    while b.hears().await.message != hello(77) {}
    until("the connection ends", || b.transport.traffic().connected == 1 && a.transport.traffic().connected == 0).await;
    insist(&mut b, &mut a).await;
    assert!(b.transport.try_receive().is_none());
}

#[tokio::test]
async fn peers_are_heard_before_a_flood_of_strangers() {
    let ports = [Port::free(), Port::free()];
    let mut a = end("a", &ports[0], "b", &ports[1]).await;
    let mut b = end("b", &ports[1], "a", &ports[0]).await;
    insist(&mut b, &mut a).await;
    let mut stranger = TcpStream::connect(ports[0].address()).await.unwrap();
    let flood = tokio::spawn(async move {
        let line = b"{\"from\":\"x\",\"to\":\"a\",\"type\":\"ELECTION\",\"term\":1}\n".repeat(1000);
        while stranger.write_all(&line).await.is_ok() {}
    });
    // A queue full of the stranger's messages, before the peer says anything.
    until("the queue is full", || a.transport.strangers.len() == INBOX).await;
    b.transport.send(&id("a"), hello(9));
    until("the peer's message is there too", || a.transport.members.len() == 1).await;
    assert_eq!(a.hears().await, Envelope { from: id("b"), to: id("a"), message: hello(9) });
    flood.abort();
}

/// The next peer whose process is said to have ended.
async fn ended(end: &mut End) -> NodeId {
    let word = async {
        loop {
            if let Heard::Ended(peer) = end.transport.receive().await {
                return peer;
            }
        }
    };
    timeout(PATIENCE, word).await.unwrap()
}

#[tokio::test]
async fn a_peer_that_closed_its_connection_and_refuses_another_has_ended_until_it_is_reached_again() {
    let ports = [Port::free(), Port::free()];
    let mut a = end("a", &ports[0], "b", &ports[1]).await;
    for _ in 0..2 {
        let mut b = end("b", &ports[1], "a", &ports[0]).await;
        insist(&mut a, &mut b).await;
        // Of its last absence.
        while a.transport.ended.try_recv().is_ok() {}
        insist(&mut a, &mut b).await;
        assert!(a.transport.ended.try_recv().is_err(), "it is there");
        drop(b);
        assert_eq!([ended(&mut a).await, ended(&mut a).await], [id("b"), id("b")], "told again while it is away");
        assert!(a.has_told("refuses connections, its process seems to have ended"));
    }
}

#[tokio::test]
async fn a_peer_that_never_was_there_has_not_ended_nor_one_that_closes_a_connection_and_takes_the_next() {
    let ports = [Port::free(), Port::free()];
    let mut a = end("a", &ports[0], "b", &ports[1]).await;
    until("it is refused", || a.has_told("peer=b address=127.0.0.1:")).await;
    for _ in 0..1000 {
        a.transport.send(&id("b"), hello(9));
    }
    until("it was refused for long", || a.transport.traffic().dropped == 1000).await;
    let other = listen(&ports[1].address().parse().unwrap()).await.unwrap();
    for _ in 0..3 {
        drop(timeout(PATIENCE, other.accept()).await.unwrap().unwrap());
    }
    let (_open, _) = timeout(PATIENCE, other.accept()).await.unwrap().unwrap();
    assert!(a.transport.ended.try_recv().is_err());
}
