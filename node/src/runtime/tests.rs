//! A core that does what a test says, on real sockets and a disk that hangs.

use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};

use dsbench_protocol::Asker;
use dsbench_wire::RequestId;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use rand_pcg::rand_core::SeedableRng;
use tokio::net::TcpListener;

use super::*;
use crate::terminal::Stdin;

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
    fn request(&mut self, _: Asker, _: Option<RequestId>, _: String, _: &mut Cx<'_, Self>) {}
    fn more(&mut self, _: &mut Cx<'_, Self>) {}
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
    fn leave(&mut self, _: &mut Cx<'_, Self>) {}
}

struct Silent;

impl Console<Scripted> for Silent {
    fn told(&mut self, _: &&'static str) {}
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

/// The node `a` with one peer `b`, and where `a` listens.
async fn ground(data: &Path, peer: &TcpListener, written: &Written) -> (Ground, std::net::SocketAddr) {
    let log = Log::to(id("a"), Some(written.clone()), None).unwrap();
    let (storage, _) = StateFile::open::<Durable>(data, &id("a")).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    let peers = [(id("b"), peer.local_addr().unwrap().to_string().parse().unwrap())].into();
    let transport = Transport::start(listener, &id("a"), peers, Duration::from_millis(100), &log).unwrap();
    let terminal = Terminal::read(Stdin::Nobody).unwrap();
    (Ground { me: id("a"), rng: Pcg64Mcg::seed_from_u64(1), storage, transport, terminal, log }, at)
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
    let (ground, _) = ground(data.path(), &peer, &written).await;
    // Opening a pipe waits for its other end, and a pipe cannot be fsynced: a disk that hangs, and then fails.
    let hanging = data.path().join("state.new");
    mkfifo(&hanging, Mode::S_IRWXU).unwrap();
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
        let mut end = tokio::task::spawn_blocking(move || std::fs::File::open(hanging)).await.unwrap().unwrap();
        let rest = line(&mut stream).await;
        let _ = tokio::task::spawn_blocking(move || io::Read::read(&mut end, &mut [0; 100])).await;
        (first, rest)
    });
    let log = ground.log.clone();
    let result = timeout(PATIENCE, run(process, None, Silent, ground)).await.unwrap();
    assert!(matches!(result, Err(RuntimeError::Storage(StorageError::Io { .. }))), "{result:?}");
    let (first, rest) = timeout(PATIENCE, &mut others).await.unwrap().unwrap();
    assert!(first[0].contains("\"term\":1") && first[1].contains("\"term\":3"), "{first:?}");
    assert_eq!(rest, "", "the connection ended without another message");
    assert!(log.flush(PATIENCE));
    let told = written.0.lock().unwrap();
    assert!(told.contains("before the save") && !told.contains("after the save"), "{told}");
}

#[tokio::test]
async fn after_a_standstill_messages_come_before_the_stall_and_the_stall_before_timers() {
    let data = tempfile::tempdir().unwrap();
    let peer = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (ground, at) = ground(data.path(), &peer, &Written::default()).await;
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
        result = run(process, None, Silent, ground) => panic!("{result:?}"),
        seen = timeout(PATIENCE, seen) => seen.unwrap(),
    }
    assert_eq!(*calls.lock().unwrap(), ["message", "stalled", "timer"]);
}
