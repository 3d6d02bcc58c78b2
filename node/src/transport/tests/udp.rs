//! Discovery and multicast.

use super::*;

/// Messages that only UDP carries.
fn ordered(commit: u64) -> Message {
    Message::Ordered { term: Term(1), prev: dsbench_wire::Position::default(), commit, entries: Vec::new() }
}

fn newcomer(name: &str) -> Message {
    let peer = dsbench_wire::Peer { id: id(name), endpoint: "127.0.0.1:1".parse().unwrap(), incarnation: 1 };
    Message::NewPeerRequest { term: Term(1), peer, is_new: true, network: 0 }
}

async fn two_ends(datagrams: &Datagrams) -> (End, End) {
    let ports = [Port::free(), Port::free()];
    let mut a = end_with("a", &ports[0], "b", &ports[1], datagrams.clone()).await;
    let mut b = end_with("b", &ports[1], "a", &ports[0], datagrams.clone()).await;
    insist(&mut a, &mut b).await;
    insist(&mut b, &mut a).await;
    (a, b)
}

/// Sends until it has arrived, as whatever may be lost must be.
async fn insist_on(what: impl Fn(&mut End), from: &mut End, to: &mut End, wanted: &Message) -> Envelope {
    let arrival = async {
        loop {
            what(from);
            while let Ok(envelope) = timeout(HEARTBEAT, to.hears()).await {
                if envelope.message == *wanted {
                    return envelope;
                }
            }
        }
    };
    timeout(PATIENCE, arrival).await.unwrap()
}

#[tokio::test]
async fn multicast_reaches_peers_and_is_not_believed_of_others() {
    let datagrams = Datagrams { multicast: Multicast::Peers, ..tcp_alone() };
    let (mut a, mut b) = two_ends(&datagrams).await;
    let heard = insist_on(|a| a.transport.multicast(&ordered(7)), &mut a, &mut b, &ordered(7)).await;
    assert_eq!(heard, Envelope { from: id("a"), to: id("b"), message: ordered(7) });
    let stranger = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let to = b.transport.local();
    let before = b.transport.traffic().ignored;
    for datagram in [
        r#"{"cluster":"tests","from":"x","at":"127.0.0.1:1","type":"ORDERED","term":1,"prev":{"term":0,"index":0},"commit":9,"entries":[]}"#,
        r#"{"cluster":"tests","from":"a","at":"127.0.0.1:1","type":"ORDERED","term":1,"prev":{"term":0,"index":0},"commit":9,"entries":[]}"#,
        r#"{"cluster":"tests","from":"a","at":"127.0.0.1:1","type":"COORDINATOR","term":9}"#,
        "rubbish",
    ] {
        stranger.send_to(datagram.as_bytes(), to).unwrap();
    }
    until("what is wrong is counted", || b.transport.traffic().ignored == before + 2).await;
    assert!(b.transport.try_receive().is_none(), "nothing of it was let in");
}

#[tokio::test]
async fn a_share_of_multicast_is_thrown_away_where_that_is_asked_for() {
    let lossless = Datagrams { multicast: Multicast::Peers, ..tcp_alone() };
    let (mut a, mut b) = two_ends(&Datagrams { multicast_loss: 0.5, ..lossless }).await;
    let mut arrived = 0;
    for round in 0..400 {
        a.transport.multicast(&ordered(round));
        // One that must arrive behind it, by the other way.
        a.transport.send(&id("b"), hello(round + 10));
        loop {
            match b.hears().await.message {
                Message::Ordered { .. } => arrived += 1,
                Message::Election { term } if term == Term(round + 10) => break,
                _ => {}
            }
        }
    }
    assert!((100..300).contains(&arrived), "{arrived} of 400 with a loss of a half");
}

#[tokio::test]
async fn a_message_that_no_datagram_carries_is_counted_and_not_sent() {
    let datagrams = Datagrams { multicast: Multicast::Peers, ..tcp_alone() };
    let (mut a, _b) = two_ends(&datagrams).await;
    let before = a.transport.traffic().dropped;
    let payload = "x".repeat(61_000).as_str().into();
    let request = Message::SequencerRequest { term: Term(1), id: "alice/1".parse().unwrap(), after: 0, payload };
    a.transport.multicast(&request);
    assert_eq!(a.transport.traffic().dropped, before + 1);
}

#[tokio::test]
async fn newcomers_are_heard_on_the_port_of_broadcasts_by_every_node_of_their_cluster_and_by_no_other() {
    let port = Port::free();
    let of =
        |cluster: &str| Datagrams { cluster: cluster.to_owned(), broadcast_port: Some(port.number), ..tcp_alone() };
    let ports: Vec<Port> = (0..4).map(|_| Port::free()).collect();
    let nobody = Port::free();
    let mut new = end_with("new", &ports[0], "nobody", &nobody, of("ours")).await;
    let mut one = end_with("one", &ports[1], "nobody", &nobody, of("ours")).await;
    let mut two = end_with("two", &ports[2], "nobody", &nobody, of("ours")).await;
    let mut other = end_with("other", &ports[3], "nobody", &nobody, of("theirs")).await;
    for end in [&mut one, &mut two] {
        let heard = insist_on(|new| new.transport.broadcast(&newcomer("new")), &mut new, end, &newcomer("new")).await;
        assert_eq!(heard.from, id("new"));
    }
    let never = newcomer("no");
    let own = insist_on(|other| other.transport.broadcast(&newcomer("other")), &mut other, &mut one, &never);
    assert!(timeout(5 * HEARTBEAT, own).await.is_err());
    assert!(other.transport.try_receive().is_none() && new.transport.try_receive().is_none());
    assert_eq!(other.transport.traffic().ignored, 0, "another cluster is nothing wrong");
}

#[tokio::test]
async fn a_port_of_broadcasts_that_is_not_shared_is_named_with_the_remedy() {
    let port = Port::free();
    let _taken = std::net::UdpSocket::bind(("0.0.0.0", port.number)).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let datagrams = Datagrams { broadcast_port: Some(port.number), ..tcp_alone() };
    let advertise = listener.local_addr().unwrap().to_string().parse().unwrap();
    let setup = Setup {
        listener,
        me: id("a"),
        advertise,
        heartbeat: HEARTBEAT,
        dialect: Arc::new(SensorLines),
        datagrams,
        rng: Pcg64Mcg::new(1),
    };
    let log = Log::to(id("a"), None::<Written>, None).unwrap();
    let refusal = Transport::start(setup, &log).await.unwrap_err().to_string();
    assert!(refusal.contains(&format!("UDP port {} is already in use", port.number)), "{refusal}");
    assert!(refusal.contains("choose another --broadcast-port"), "{refusal}");
}

#[tokio::test]
async fn without_its_udp_port_a_node_goes_without_multicast_and_says_so() {
    let ports = [Port::free(), Port::free()];
    let _taken = std::net::UdpSocket::bind(ports[0].address()).unwrap();
    let datagrams = Datagrams { multicast: Multicast::Peers, ..tcp_alone() };
    let a = end_with("a", &ports[0], "b", &ports[1], datagrams).await;
    assert!(a.has_told(&format!("WARN entries go over TCP alone, because UDP port {} is in use", ports[0].number)));
}
