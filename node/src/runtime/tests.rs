//! A core that does what a test says, on real sockets and a disk that hangs.

use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};

use dsbench_protocol::{Asker, Refusal};
use dsbench_wire::{Record, RequestId, Term};
use rand_pcg::rand_core::SeedableRng;
use tokio::net::TcpListener;

use super::*;
use crate::storage::Opened;
use crate::storage::tests::disk::Disk as BrokenDisk;
use crate::terminal::Stdin;
use crate::transport::{Datagrams, Multicast, SensorLines, Setup};

const PATIENCE: Duration = Duration::from_secs(30);

/// Notes how it is called, and lets the test act in its place.
struct Scripted {
    calls: Calls,
    on_start: OnStart,
}

type OnStart = Box<dyn FnMut(&mut Cx<'_, Scripted>)>;
type Calls = Arc<Mutex<Vec<&'static str>>>;

impl Process for Scripted {
    type Timer = u8;
    type Event = &'static str;

    fn start(&mut self, _: Recovered, cx: &mut Cx<'_, Self>) {
        (self.on_start)(cx);
    }
    fn persisted(&mut self, _: Mark, _: &mut Cx<'_, Self>) {}
    fn request(&mut self, asker: Asker, id: Option<RequestId>, payload: String, cx: &mut Cx<'_, Self>) {
        // Its number and its text are the answer's.
        let answer = match id {
            Some(id) => Answer::Acknowledged { id, seq: payload.len() as u64, term: Term(1), index: 1 },
            None => Answer::Refused { id: None, reason: Refusal::Busy },
        };
        cx.answer(asker, answer);
    }
    fn more(&mut self, cx: &mut Cx<'_, Self>) {
        self.calls.lock().unwrap().push("more");
        (self.on_start)(cx);
    }
    fn message(&mut self, _: &NodeId, _: Message, _: &mut Cx<'_, Self>) {
        self.calls.lock().unwrap().push("message");
    }
    fn timer(&mut self, _: u8, _: &mut Cx<'_, Self>) {
        self.calls.lock().unwrap().push("timer");
    }
    fn stalled(&mut self, for_at_least: Duration, _: &mut Cx<'_, Self>) {
        assert!(for_at_least > STALL);
        self.calls.lock().unwrap().push("stalled");
    }
    fn ended(&mut self, _: &NodeId, _: &mut Cx<'_, Self>) {
        self.calls.lock().unwrap().push("ended");
    }
    fn hand_over(&mut self, _: &mut Cx<'_, Self>) {}
    fn is_needed(&self) -> bool {
        false
    }
    fn leave(&mut self, _: &mut Cx<'_, Self>) {}
}

struct Silent;

impl Console<Scripted> for Silent {
    fn told(&mut self, event: &&'static str) -> Saying {
        if event.starts_with("DELIVERED") { Saying::Sure } else { Saying::Plain }
    }
    fn introduction(&self, _: &Scripted) -> String {
        "{}".to_owned()
    }
    fn command(&self, _: &str, _: &Scripted, _: Traffic) -> Reply {
        Reply::Nothing
    }
}

#[derive(Clone, Default)]
struct Written(Arc<Mutex<String>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().push_str(std::str::from_utf8(bytes).unwrap());
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn id(name: &str) -> NodeId {
    name.parse().unwrap()
}

/// The node `a` with one peer `b`, where `a` listens, and its disk.
async fn ground(data: &Path, peer: &TcpListener, written: &Written) -> (Ground, std::net::SocketAddr, BrokenDisk) {
    let log = Log::to(id("a"), Some(written.clone()), None).unwrap();
    let disk = BrokenDisk::default();
    let Opened { storage, archive, .. } = Storage::open_on(Arc::new(disk.clone()), data, &id("a")).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let datagrams =
        Datagrams { cluster: "tests".to_owned(), broadcast_port: None, multicast: Multicast::Off, multicast_loss: 0.0 };
    let setup = Setup {
        listener,
        me: id("a"),
        advertise: at.to_string().parse().unwrap(),
        heartbeat: Duration::from_millis(100),
        dialect: Arc::new(SensorLines),
        datagrams,
        rng: Pcg64Mcg::seed_from_u64(2),
    };
    let mut transport = Transport::start(setup, &log).await.unwrap();
    transport.connect(id("b"), peer.local_addr().unwrap().to_string().parse().unwrap());
    let terminal = Terminal::read(Stdin::Nobody).unwrap();
    let rng = Pcg64Mcg::seed_from_u64(1);
    (Ground { me: id("a"), rng, storage, beside: None, archive, transport, terminal, log, readings: None }, at, disk)
}

async fn line(stream: &mut (impl tokio::io::AsyncBufRead + Unpin)) -> String {
    use tokio::io::AsyncBufReadExt;
    let mut line = String::new();
    timeout(PATIENCE, stream.read_line(&mut line)).await.unwrap().unwrap();
    line
}

#[tokio::test]
async fn heartbeats_overtake_a_save_that_hangs_and_nothing_that_rests_on_it_leaves_when_it_fails() {
    let data = tempfile::tempdir().unwrap();
    let written = Written::default();
    let peer = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (ground, _, disk) = ground(data.path(), &peer, &written).await;
    let go_on = disk.hang();
    let process = Scripted {
        calls: Calls::default(),
        on_start: Box::new(|cx| {
            cx.send(&id("b"), Message::Election { term: Term(1) });
            cx.event("before the save");
            cx.persist(Record::Identity { incarnation: 7 });
            cx.send(&id("b"), Message::Election { term: Term(2) });
            cx.event("after the save");
            cx.send_now(&id("b"), Message::Election { term: Term(3) });
        }),
    };
    let mut others = tokio::spawn(async move {
        let (stream, _) = peer.accept().await.unwrap();
        let mut stream = tokio::io::BufReader::new(stream);
        let first = [line(&mut stream).await, line(&mut stream).await];
        // Both are here although the save still hangs. Now it may go on, and fail.
        go_on.send(()).unwrap();
        let rest = line(&mut stream).await;
        (first, rest)
    });
    let log = ground.log.clone();
    let result = timeout(PATIENCE, run(process, Recovered::default(), Silent, ground)).await.unwrap();
    assert!(matches!(result, Err(RuntimeError::Storage(StorageError::Io { .. }))), "{result:?}");
    let (first, rest) = timeout(PATIENCE, &mut others).await.unwrap().unwrap();
    assert!(first[0].contains("\"term\":1") && first[1].contains("\"term\":3"), "{first:?}");
    assert_eq!(rest, "", "the connection ended without another message");
    assert!(log.flush(PATIENCE));
    let told = written.0.lock().unwrap();
    assert!(told.contains("before the save") && !told.contains("after the save"), "{told}");
}

#[tokio::test]
async fn a_core_that_cannot_use_its_disk_ends_the_node_and_says_why() {
    let data = tempfile::tempdir().unwrap();
    let peer = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let written = Written::default();
    let (ground, _, _) = ground(data.path(), &peer, &written).await;
    let on_start: OnStart = Box::new(|cx| {
        cx.fail("of another version");
        cx.event("after the end");
    });
    let log = ground.log.clone();
    let process = Scripted { calls: Calls::default(), on_start };
    let result = timeout(PATIENCE, run(process, Recovered::default(), Silent, ground)).await.unwrap();
    let Err(RuntimeError::Storage(StorageError::Damaged { path, reason, .. })) = result else { panic!("{result:?}") };
    assert_eq!((path, reason.as_str()), (data.path().join("snapshot"), "of another version"));
    assert!(log.flush(PATIENCE));
    assert_eq!(*written.0.lock().unwrap(), "");
}

#[tokio::test]
async fn who_is_wanted_again_before_it_is_forgotten_is_not_forgotten() {
    let data = tempfile::tempdir().unwrap();
    let peer = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (ground, _, _) = ground(data.path(), &peer, &Written::default()).await;
    let at: dsbench_wire::Endpoint = peer.local_addr().unwrap().to_string().parse().unwrap();
    let process = Scripted {
        calls: Calls::default(),
        on_start: Box::new(move |cx| {
            cx.persist(Record::Identity { incarnation: 7 });
            cx.send(&id("b"), Message::Election { term: Term(1) });
            cx.forget(&id("b"));
            cx.connect(dsbench_wire::Peer { id: id("b"), endpoint: at.clone(), incarnation: 0 });
            cx.send(&id("b"), Message::Election { term: Term(2) });
        }),
    };
    let heard = async {
        let (stream, _) = peer.accept().await.unwrap();
        let mut stream = tokio::io::BufReader::new(stream);
        [line(&mut stream).await, line(&mut stream).await]
    };
    tokio::select! {
        result = run(process, Recovered::default(), Silent, ground) => panic!("{result:?}"),
        [first, second] = heard => assert!(first.contains("\"term\":1") && second.contains("\"term\":2"), "{first}{second}"),
    }
}

#[tokio::test]
async fn after_a_standstill_messages_come_before_the_stall_and_the_stall_before_timers() {
    let data = tempfile::tempdir().unwrap();
    let peer = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (ground, at, _) = ground(data.path(), &peer, &Written::default()).await;
    let calls = Calls::default();
    let mut stream = None;
    let process = Scripted {
        calls: Arc::clone(&calls),
        on_start: Box::new(move |cx| {
            cx.arm(1, Duration::from_millis(10));
            // The node stands still here, while a message arrives on a connection that it has not even accepted.
            let message = b"{\"from\":\"b\",\"to\":\"a\",\"type\":\"ELECTION\",\"term\":1}\n";
            stream.insert(std::net::TcpStream::connect(at).unwrap()).write_all(message).unwrap();
            std::thread::sleep(4 * STALL);
        }),
    };
    let seen = async {
        while calls.lock().unwrap().len() < 3 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        result = run(process, Recovered::default(), Silent, ground) => panic!("{result:?}"),
        seen = timeout(PATIENCE, seen) => seen.unwrap(),
    }
    assert_eq!(*calls.lock().unwrap(), ["message", "stalled", "timer"]);
}

#[tokio::test]
async fn deliveries_are_told_only_so_fast_as_the_log_is_read_and_heartbeats_go_on() {
    const TOLD: usize = 20_000;
    let data = tempfile::tempdir().unwrap();
    let peer = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (mut ground, _, _) = ground(data.path(), &peer, &Written::default()).await;
    let (reader, writer) = io::pipe().unwrap();
    ground.log = Log::to(id("a"), Some(writer), None).unwrap();
    let calls = Calls::default();
    let mut told = 0;
    let process = Scripted {
        calls: Arc::clone(&calls),
        on_start: Box::new(move |cx| {
            cx.arm(1, Duration::from_millis(1));
            for _ in 0..256.min(TOLD - told) {
                cx.event("DELIVERED to somebody who reads slowly");
                told += 1;
            }
            if told < TOLD {
                cx.more();
            }
        }),
    };
    let running = run(process, Recovered::default(), Silent, ground);
    tokio::pin!(running);
    let of = |call: &str| calls.lock().unwrap().iter().filter(|known| **known == call).count();
    let stuck = async {
        // Nobody reads: it comes to a stop, while timers still fire.
        let mut seen = (0, 0);
        while seen.0 == 0 || seen != (of("more"), of("more")) {
            seen = (of("more"), of("more"));
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::select! {
        result = &mut running => panic!("{result:?}"),
        stuck = timeout(PATIENCE, stuck) => stuck.unwrap(),
    }
    assert!(of("more") < 20, "{} batches were told and not read", of("more"));
    let read = std::thread::spawn(move || {
        use std::io::BufRead;
        io::BufReader::new(reader)
            .lines()
            .map_while(Result::ok)
            .filter(|line| line.contains("DELIVERED"))
            .take(TOLD)
            .count()
    });
    let all = async {
        while !read.is_finished() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        read.join().unwrap()
    };
    tokio::select! {
        result = &mut running => panic!("{result:?}"),
        all = timeout(PATIENCE, all) => assert_eq!(all.unwrap(), TOLD, "none is lost"),
    }
    assert!(of("timer") > 0);
}

#[tokio::test]
async fn an_answer_goes_to_who_asked() {
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt};
    let data = tempfile::tempdir().unwrap();
    let peer = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (ground, at, _) = ground(data.path(), &peer, &Written::default()).await;
    let process = Scripted { calls: Calls::default(), on_start: Box::new(|_| {}) };
    let asks = |name: &'static str, payload: &'static str| async move {
        let mut stream = tokio::io::BufReader::new(tokio::net::TcpStream::connect(at).await.unwrap());
        let line = format!("{{\"type\":\"SEQUENCER_REQUEST\",\"msg\":\"{name}\",\"payload\":\"{payload}\"}}\n");
        stream.write_all(line.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_line(&mut answer).await.unwrap();
        answer
    };
    let both = async { tokio::join!(asks("alice/1", "x"), asks("bob/7", "xyz")) };
    tokio::select! {
        result = run(process, Recovered::default(), Silent, ground) => panic!("{result:?}"),
        both = timeout(PATIENCE, both) => {
            let (alice, bob) = both.unwrap();
            assert!(alice.contains("\"msg\":\"alice/1\",\"seq\":1"), "{alice}");
            assert!(bob.contains("\"msg\":\"bob/7\",\"seq\":3"), "{bob}");
        }
    }
}

#[tokio::test]
async fn a_core_is_told_that_the_process_of_a_peer_has_ended() {
    let data = tempfile::tempdir().unwrap();
    let peer = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (ground, _, _) = ground(data.path(), &peer, &Written::default()).await;
    let calls = Calls::default();
    let process = Scripted { calls: Arc::clone(&calls), on_start: Box::new(|_| {}) };
    let told = async {
        drop(peer.accept().await.unwrap());
        drop(peer);
        while calls.lock().unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::select! {
        result = run(process, Recovered::default(), Silent, ground) => panic!("{result:?}"),
        told = timeout(PATIENCE, told) => told.unwrap(),
    }
    assert_eq!(calls.lock().unwrap()[0], "ended");
}
