//! What is said over both networks, but for datagrams in numbers: a stream, and words that are echoed.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use dsbench_world::Clock;

/// Where the server listens, in both networks.
const SERVER: &str = "10.77.0.1:5001";

/// Connects as soon as somebody listens.
pub(super) fn connect() -> TcpStream {
    let server: SocketAddr = SERVER.parse().unwrap();
    let clock = Clock::start();
    loop {
        match TcpStream::connect_timeout(&server, Duration::from_secs(10)) {
            Ok(stream) => return stream,
            Err(error) => assert!(clock.now().elapsed() < Duration::from_secs(10), "{error}"),
        }
        std::thread::yield_now();
    }
}

pub(super) fn stream_server() {
    let (mut stream, _) = TcpListener::bind("0.0.0.0:5001").unwrap().accept().unwrap();
    let mut room = vec![0; 1 << 18];
    while stream.read(&mut room).unwrap() > 0 {}
}

pub(super) fn stream(during: Duration) {
    let mut stream = connect();
    let (clock, bytes) = (Clock::start(), vec![7; 1 << 17]);
    let mut sent = 0_u64;
    while clock.now().elapsed() < during {
        sent += stream.write(&bytes).unwrap() as u64;
    }
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    // The server closes when it has read all.
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    println!("{}", sent as f64 * 8.0 / clock.now().elapsed().as_nanos() as f64);
}

/// A socket of the server, and whom it waits for until the word that ends it.
pub(super) fn echo_server() {
    let socket = UdpSocket::bind("0.0.0.0:5001").unwrap();
    let mut room = [0; 2048];
    loop {
        let (length, from) = socket.recv_from(&mut room).unwrap();
        socket.send_to(&room[..length], from).unwrap();
        if &room[..length] == b"end" {
            return;
        }
    }
}

pub(super) fn client() -> UdpSocket {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    socket.connect(SERVER).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    socket
}

/// Sends until it is answered: the first may come before the server, the last may be lost.
pub(super) fn until_answered(socket: &UdpSocket, word: &[u8]) {
    let mut room = [0; 64];
    loop {
        // A refusal: nobody listens yet.
        let _ = socket.send(word);
        if socket.recv(&mut room).is_ok_and(|length| &room[..length] == word) {
            return;
        }
    }
}

pub(super) fn echo(count: usize) {
    let socket = client();
    until_answered(&socket, b"begin");
    let (clock, mut room) = (Clock::start(), [0; 64]);
    let mut times = Vec::new();
    for _ in 0..count {
        let start = clock.now();
        socket.send(&[7; 64]).unwrap();
        socket.recv(&mut room).unwrap();
        times.push(clock.now().since(start).as_nanos() as f64 / 1e3);
    }
    until_answered(&socket, b"end");
    times.sort_by(f64::total_cmp);
    println!("{} {}", times[times.len() / 2], times[times.len() * 99 / 100]);
}
