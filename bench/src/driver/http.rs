//! From a URL to whom is asked for what.

use std::net::SocketAddr;

use dsbench_core::condition::Http;
use dsbench_world::HttpGet;

use super::program::resolve;

/// Whom to connect to, and what to ask there.
#[derive(Debug, Clone)]
pub(super) struct Question {
    pub(super) addr: SocketAddr,
    pub(super) get: HttpGet,
}

impl Question {
    /// Of a URL whose placeholders are filled in. The error is for people.
    pub(super) fn of(http: &Http, url: &str) -> Result<Self, String> {
        let Some(rest) = url.strip_prefix("http://") else {
            return Err(format!("`{url}` does not begin with http://"));
        };
        let rest = rest.split('#').next().unwrap_or_default();
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        if authority.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(format!("`{}` is no host", authority.escape_debug()));
        }
        let slash = if path.starts_with('/') { "" } else { "/" };
        let get =
            HttpGet { authority: authority.to_owned(), path: format!("{slash}{}", encoded(path)), status: http.status };
        Ok(Self { addr: resolve(&with_port(authority))?, get })
    }
}

/// Port 80 is meant where none is named.
fn with_port(authority: &str) -> String {
    let after_host = authority.rsplit_once(']').map_or(authority, |(_, after)| after);
    if after_host.contains(':') { authority.to_owned() } else { format!("{authority}:80") }
}

/// What may not stand in a request as it is, as `%20`.
fn encoded(path: &str) -> String {
    let encode = |byte: u8| if byte.is_ascii_graphic() { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    path.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use dsbench_core::scenario::Scenario;

    use super::*;

    /// Any URL: what stands in its place is given.
    fn http() -> Http {
        let text = "schema = 1\nname = \"x\"\n[nodes]\ncount = 1\ncommand = [\"x\"]\nready = { http = \"http://{addr}\" }\n[[invariants]]\nprocess = {}\n";
        let scenario = Scenario::parse(text, &[]).unwrap();
        scenario.nodes[0].processes[0].ready.as_ref().unwrap().http.clone().unwrap()
    }

    #[test]
    fn a_url_says_whom_to_ask_for_what() {
        let asked = |url: &str| {
            let Question { addr, get } = Question::of(&http(), url).unwrap();
            (addr.to_string(), get.authority, get.path)
        };
        let expected =
            |addr: &str, authority: &str, path: &str| (addr.to_owned(), authority.to_owned(), path.to_owned());
        assert_eq!(asked("http://127.0.0.1:8080"), expected("127.0.0.1:8080", "127.0.0.1:8080", "/"));
        assert_eq!(asked("http://127.0.0.1/a b?x=ü#y"), expected("127.0.0.1:80", "127.0.0.1", "/a%20b?x=%C3%BC"));
        assert_eq!(asked("http://[::1]?x"), expected("[::1]:80", "[::1]", "/?x"));
        assert_eq!(asked("http://[::1]:81/\r\nEvil: 1"), expected("[::1]:81", "[::1]:81", "/%0D%0AEvil:%201"));
        for no in ["ftp://x", "http://127.0.0.1:x/", "http://", "http://a\r\nb/"] {
            assert!(Question::of(&http(), no).is_err(), "{no}");
        }
    }
}
