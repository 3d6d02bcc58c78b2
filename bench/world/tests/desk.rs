//! The desk: what callers say comes to the run, what they are told is read by them, also when the world is over.

#![expect(clippy::unwrap_used, reason = "test code outside of test functions")]

mod stage;

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use dsbench_world::{
    CallerId, Clock, Desk, DeskConfig, Guardian, Happening, LINE_HEARD_MAX, Socket, World, WorldConfig,
};
use stage::PATIENCE;
use tempfile::TempDir;

struct Place {
    world: World,
    socket: Socket,
    owner: UnixStream,
    _dir: TempDir,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let guardian = Guardian::fork().unwrap();
        let socket = Socket::at(dir.path().join("control"));
        let (owner, its_owner) = UnixStream::pair().unwrap();
        let desk = Some(DeskConfig { listener: Some(socket.listen().unwrap()), owner: Some(its_owner) });
        let config = WorldConfig {
            log_dir: dir.path().to_owned(),
            signals: None,
            desk,
            lab: None,
            switch: None,
            lifts_limits: true,
            tick: WorldConfig::EXACT,
        };
        let world = World::new(guardian, Clock::start(), config).unwrap();
        Self { world, socket, owner, _dir: dir }
    }

    fn desk(&self) -> &Desk {
        self.world.desk().unwrap()
    }

    fn next(&mut self) -> Happening {
        let deadline = self.world.clock().now() + PATIENCE;
        self.world.next(deadline).unwrap().what
    }

    /// The next line that somebody says.
    fn heard(&mut self) -> (CallerId, String) {
        match self.next() {
            Happening::Heard { from, line: Some(line) } => (from, String::from_utf8(line).unwrap()),
            other => panic!("{other:?}"),
        }
    }
}

fn line(stream: &UnixStream) -> String {
    let mut line = String::new();
    BufReader::new(stream.try_clone().unwrap()).read_line(&mut line).unwrap();
    line
}

#[test]
fn callers_are_heard_and_answered_each_for_itself() {
    let mut place = Place::new();
    let (mut one, mut other) = (place.socket.connect().unwrap(), place.socket.connect().unwrap());
    one.write_all(b"I am one\n").unwrap();
    let (first, said) = place.heard();
    assert_eq!(said, "I am one");
    other.write_all(b"I am other\n").unwrap();
    let (second, _) = place.heard();
    assert_ne!(first, second);
    place.owner.write_all(b"I am the owner\n").unwrap();
    assert_eq!(place.heard().0, CallerId::OWNER);
    place.desk().tell(first, b"hello one\n".to_vec());
    place.desk().tell(CallerId::OWNER, b"hello owner\n".to_vec());
    assert_eq!(line(&one), "hello one\n");
    assert_eq!(line(&place.owner), "hello owner\n");
    drop(other);
    assert_eq!(place.next(), Happening::Left { caller: second });
}

#[test]
fn a_caller_that_says_no_more_is_still_told_what_it_waits_for() {
    let mut place = Place::new();
    let mut caller = place.socket.connect().unwrap();
    caller.write_all(b"a question\n").unwrap();
    caller.shutdown(std::net::Shutdown::Write).unwrap();
    let (from, _) = place.heard();
    assert_eq!(place.next(), Happening::Left { caller: from });
    place.desk().tell(from, b"an answer\n".to_vec());
    place.desk().hang_up(from);
    assert_eq!(line(&caller), "an answer\n");
    assert_eq!(line(&caller), "");
}

#[test]
fn a_line_without_end_is_told_and_nothing_more_is_heard() {
    let mut place = Place::new();
    let mut caller = place.socket.connect().unwrap();
    let endless = vec![b'x'; LINE_HEARD_MAX + 1];
    caller.write_all(&endless).unwrap();
    let Happening::Heard { from, line: None } = place.next() else { panic!("it was too long") };
    place.desk().tell(from, b"too long\n".to_vec());
    place.desk().hang_up(from);
    assert_eq!(line(&caller), "too long\n");
    assert_eq!(line(&caller), "");
}

#[test]
fn callers_are_told_how_it_ended_when_the_world_is_over() {
    let mut place = Place::new();
    let mut caller = place.socket.connect().unwrap();
    caller.write_all(b"wait for the end\n").unwrap();
    place.heard();
    let Place { world, socket, owner, .. } = place;
    let ended = world.shutdown(Duration::from_secs(10));
    assert_eq!(ended.survivors, [""; 0]);
    // Nobody hears this any more, and it holds up nobody.
    caller.write_all(b"still there?\n").unwrap();
    ended.desk.unwrap().close(b"nothing is left\n".to_vec(), Duration::from_secs(10));
    assert_eq!(line(&caller), "nothing is left\n");
    assert_eq!(line(&owner), "nothing is left\n");
    assert_eq!(socket.connect().unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
}

#[test]
fn one_who_reads_nothing_does_not_keep_the_desk_from_closing() {
    let mut place = Place::new();
    let mut caller = place.socket.connect().unwrap();
    caller.write_all(b"I never read\n").unwrap();
    let (from, _) = place.heard();
    place.desk().tell(from, vec![b'x'; 2 << 20]);
    let ended = place.world.shutdown(Duration::from_secs(10));
    ended.desk.unwrap().close(b"the end\n".to_vec(), Duration::from_millis(100));
}
