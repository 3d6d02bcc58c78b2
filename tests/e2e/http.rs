//! Readiness and conditions by HTTP. The server is the test's own: a shell cannot be one.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::{Place, stderr};

/// A server on a port of its own that gives these answers, the last one again and again. It lives as long as the test's process.
fn server(answers: &'static [&'static str]) -> (u16, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let number = count.fetch_add(1, Ordering::SeqCst);
            answer(client, answers[number.min(answers.len() - 1)]);
        }
    });
    (port, asked)
}

/// Reads a request to its end and answers it; a path other than `/health` is 404.
fn answer(mut client: TcpStream, answer: &str) {
    let mut lines = BufReader::new(client.try_clone().expect("a socket")).lines();
    let first = lines.next().and_then(Result::ok).unwrap_or_default();
    let _ = lines.map_while(Result::ok).take_while(|line| !line.is_empty()).count();
    let answer = if first == "GET /health HTTP/1.1" { answer } else { "HTTP/1.1 404 Not Found\r\n\r\n" };
    let _ = client.write_all(answer.as_bytes());
}

const GOOD: &str = "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\nyes";
const NOT_YET: &str = "HTTP/1.1 503 Not yet\r\nContent-Length: 0\r\n\r\n";

/// A node that is ready when the server says so, and a step.
fn scenario(port: u16, ready: &str, step: &str) -> String {
    format!(
        r#"schema = 1
name = "http"
timeout = "60s"
[vars]
url = "http://127.0.0.1:{port}/health"
[nodes]
count = 1
command = ["sleep", "1000"]
ready = {ready}
[[steps]]
{step}
[[invariants]]
process = {{}}
"#
    )
    .replace("URL", &format!("http://127.0.0.1:{port}"))
}

#[test]
fn a_node_is_ready_when_it_answers_well_and_a_step_waits_for_an_answer() {
    let place = Place::new();
    let (port, asked) = server(&[NOT_YET, "", NOT_YET, GOOD]);
    let step = "wait = [{ http = \"{vars.url}\", status = 200 }, { http = \"URL/nowhere?x\", status = 404 }]";
    place.write("x.toml", &scenario(port, "{ http = \"URL/health\", within = \"50s\" }", step));
    let said = stderr(&place.dsbench(&["run", "x.toml"]).success());
    assert!(asked.load(Ordering::SeqCst) >= 6, "{said}");
    assert!(said.contains("/nowhere?x to answer with 404"), "{said}");
}

#[test]
fn who_does_not_answer_well_is_not_ready_and_the_last_answer_is_told() {
    let place = Place::new();
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for (port, why) in [
        (server(&[NOT_YET]).0, "it answers `503 Not yet`, and 204 is wanted"),
        (server(&["SSH-2.0-OpenSSH\r\n"]).0, "what answers speaks no HTTP: `SSH-2.0-OpenSSH`"),
        (server(&[""]).0, "the connection was closed without an answer"),
        (free, "Connection refused"),
        // It takes connections, and says nothing: each question is given up after a second.
        (silent.local_addr().unwrap().port(), "no answer in time"),
    ] {
        let ready = "{ http = \"URL/health\", status = 204, within = \"2500ms\" }";
        place.write("x.toml", &scenario(port, ready, "mark = \"never reached\""));
        let said = stderr(&place.dsbench(&["run", "x.toml"]).code(5));
        let wanted = format!("waited 2s 500ms for http://127.0.0.1:{port}/health to answer with 204 (last answer: ");
        assert!(said.contains(&wanted) && said.contains(why), "{why}\n{said}");
    }
}

#[test]
fn an_answer_that_never_comes_is_a_missed_step_and_mistakes_are_told_where_they_stand() {
    let place = Place::new();
    let (port, _) = server(&[NOT_YET]);
    let step = "expect = { http = \"URL/health\" }\nwithin = \"300ms\"";
    place.write("x.toml", &scenario(port, "{ http = \"URL/else\", status = 404 }", step));
    let said = stderr(&place.dsbench(&["run", "x.toml"]).code(1));
    assert!(said.contains("it answers `503 Not yet`, and 2xx is wanted"), "{said}");
    for (ready, step, mistake) in [
        ("{ http = \"127.0.0.1/x\" }", "mark = \"x\"", "no http://"),
        ("{ http = \"https://{addr}/x\" }", "mark = \"x\"", "curl"),
        ("{ http = \"http:///x\" }", "mark = \"x\"", "nobody is asked"),
        ("{ tcp = \"{addr}\", status = 200 }", "mark = \"x\"", "`status` does nothing without `http`"),
        ("{ http = \"URL\", status = 700 }", "mark = \"x\"", "700"),
        ("{ log = 'x' }", "wait = { tcp = \"{peer1.addr}\", status = 200 }", "`status` does nothing beside `tcp`"),
    ] {
        place.write("x.toml", &scenario(port, ready, step));
        let said = stderr(&place.dsbench(&["check", "x.toml"]).code(2));
        assert!(said.contains(mistake), "{mistake}\n{said}");
    }
}
