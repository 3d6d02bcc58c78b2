//! One GET, as a probe makes it: what is sent, and what of the answer says that the answer is good.
//!
//! No library: no redirect is followed, nothing is encrypted or unpacked, and of the body only its end is of interest.

use crate::process::HttpGet;

/// More of an answer than this is not read.
const MOST: usize = 64 * 1024;

/// What stands between a head and its body.
const END: &[u8] = b"\r\n\r\n";

/// What has come of an answer so far.
#[derive(Debug, Default)]
pub(super) struct Response {
    bytes: Vec<u8>,
}

/// What the request is, byte for byte.
pub(super) fn request(get: &HttpGet) -> Vec<u8> {
    let HttpGet { authority, path, .. } = get;
    let version = env!("CARGO_PKG_VERSION");
    // It asks for the connection to be closed, so that the end of the answer is seen whatever its form.
    format!("GET {path} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: dsbench/{version}\r\nAccept: */*\r\nConnection: close\r\n\r\n")
        .into_bytes()
}

impl Response {
    /// Takes more of it. True if that is enough.
    pub(super) fn take(&mut self, bytes: &[u8]) -> bool {
        let room = MOST - self.bytes.len();
        self.bytes.extend_from_slice(&bytes[..bytes.len().min(room)]);
        self.bytes.len() == MOST || self.is_whole()
    }

    /// Whether the answer is the one that was wanted; why not, for people.
    pub(super) fn judge(&self, get: &HttpGet) -> Result<(), String> {
        let (line, _) = self.head();
        let Some(code) = code(line) else {
            return Err(match line {
                [] => "the connection was closed without an answer".to_owned(),
                line => format!("what answers speaks no HTTP: `{}`", excerpt(line)),
            });
        };
        match get.status {
            Some(wanted) if code == wanted => Ok(()),
            None if (200..300).contains(&code) => Ok(()),
            wanted => {
                let wanted = wanted.map_or_else(|| "2xx".to_owned(), |wanted| wanted.to_string());
                let text = line.splitn(2, |byte| *byte == b' ').nth(1).unwrap_or_default();
                Err(format!("it answers `{}`, and {wanted} is wanted", excerpt(text)))
            }
        }
    }

    /// True if it has said by now what it is.
    pub(super) fn has_code(&self) -> bool {
        code(self.head().0).is_some_and(|code| code >= 200 || code == 101)
    }

    /// The first line, and all from there on; of the last answer, if others came before it that only announce it (1xx).
    fn head(&self) -> (&[u8], &[u8]) {
        let mut rest = &self.bytes[..];
        loop {
            let end = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
            let line = rest[..end].trim_ascii_end();
            let is_announcement = code(line).is_some_and(|code| (100..200).contains(&code) && code != 101);
            match is_announcement.then(|| memchr::memmem::find(rest, END)).flatten() {
                Some(next) => rest = &rest[next + END.len()..],
                None => return (line, rest),
            }
        }
    }

    /// True if its end has come, as far as its head tells. Else the connection's end is its end.
    fn is_whole(&self) -> bool {
        let (line, all) = self.head();
        let Some(end) = memchr::memmem::find(all, END) else { return false };
        let (fields, body) = (all[..end].to_ascii_lowercase(), &all[end + END.len()..]);
        let field = |name: &str| {
            let lines = fields.split(|byte| *byte == b'\n');
            lines.filter_map(|line| line.strip_prefix(name.as_bytes())).map(<[u8]>::trim_ascii).next()
        };
        if matches!(code(line), Some(204 | 304)) {
            return true;
        }
        match (field("content-length:"), field("transfer-encoding:")) {
            (_, Some(b"chunked")) => body.ends_with(b"0\r\n\r\n"),
            (Some(length), _) => {
                let length = std::str::from_utf8(length).ok().and_then(|length| length.parse::<usize>().ok());
                length.is_some_and(|length| body.len() >= length)
            }
            (None, _) => false,
        }
    }
}

/// `HTTP/1.1 200 OK` is 200.
fn code(line: &[u8]) -> Option<u16> {
    let line = std::str::from_utf8(line.get(..12)?).ok()?;
    let (version, code) = line.split_once(' ')?;
    let is_code = code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_digit());
    (matches!(version, "HTTP/1.0" | "HTTP/1.1") && is_code).then(|| code.parse().ok()).flatten()
}

/// What a person needs of it.
fn excerpt(bytes: &[u8]) -> String {
    let text: String = String::from_utf8_lossy(bytes).chars().take(60).collect();
    text.escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(status: Option<u16>) -> HttpGet {
        HttpGet { authority: "127.0.0.1:80".into(), path: "/health?x=1".into(), status }
    }

    fn answer(text: &str) -> (bool, Result<(), String>) {
        let mut response = Response::default();
        let is_enough = response.take(text.as_bytes());
        (is_enough, response.judge(&get(None)))
    }

    #[test]
    fn a_request_is_one_that_every_server_understands() {
        let text = String::from_utf8(request(&get(None))).unwrap();
        assert!(text.starts_with("GET /health?x=1 HTTP/1.1\r\nHost: 127.0.0.1:80\r\n") && text.ends_with("\r\n\r\n"));
    }

    #[test]
    fn the_end_of_an_answer_is_where_its_head_says() {
        let whole = [
            "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
            "HTTP/1.1 204 No Content\r\nServer: x\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTRANSFER-ENCODING:  chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
        ];
        for text in whole {
            assert_eq!(answer(text), (true, Ok(())), "{text}");
            for cut in 0..text.len() {
                assert!(!answer(&text[..cut]).0, "{}", &text[..cut]);
            }
        }
        // Without a length it ends with the connection, and is good.
        assert_eq!(answer("HTTP/1.0 200 OK\r\n\r\nwhatever"), (false, Ok(())));
        assert_eq!(answer(&format!("HTTP/1.0 200 OK\r\n\r\n{}", "x".repeat(MOST))), (true, Ok(())));
    }

    #[test]
    fn what_is_no_good_answer_is_told() {
        let why = |text: &str| answer(text).1.unwrap_err();
        assert_eq!(why(""), "the connection was closed without an answer");
        assert_eq!(why("SSH-2.0-x\r\n"), "what answers speaks no HTTP: `SSH-2.0-x`");
        assert_eq!(why("HTTP/1.1 503 Not yet\r\n\r\n"), "it answers `503 Not yet`, and 2xx is wanted");
        assert_eq!(why("HTTP/1.1 302 Found\r\n\r\n"), "it answers `302 Found`, and 2xx is wanted");
        assert_eq!(why("HTTP/1.1 103 Early Hints\r\n\r\n"), "the connection was closed without an answer");
        for no in ["HTTP/1.1 20", "HTTP/3 200 x", "HTTP/1.1 2x0 a", "\u{1b}[2J"] {
            assert!(why(no).starts_with("what answers speaks no HTTP"), "{no}");
        }
        assert!(!why("\u{1b}[2J").contains('\u{1b}'));
        let mut response = Response::default();
        response.take(b"HTTP/1.1 404 Not Found\r\n\r\n");
        assert_eq!(response.judge(&get(Some(404))), Ok(()));
        assert!(response.judge(&get(Some(200))).unwrap_err().ends_with("and 200 is wanted"));
    }
}
