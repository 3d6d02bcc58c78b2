//! `host:port`, where a node listens or is dialled.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::text::is_invisible;

/// A host (name, IPv4 address, or IPv6 address in brackets) and a port. Names are looked up at each dial, not before.
///
/// On the wire it is its text. A host from outside is bounded and cannot forge a log line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Endpoint {
    host: String,
    port: u16,
}

/// Why a text is not an endpoint.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// No `:port` at the end, or a host that is none.
    #[error("`{0}` is not an address: expected host:port, such as 127.0.0.1:7001")]
    Shape(String),
    /// The part after the colon.
    #[error("`{0}` is not a port: expected 1 to 65535")]
    Port(String),
}

impl Endpoint {
    /// The longest host, in bytes: that of a DNS name.
    pub const HOST_MAX: usize = 253;

    /// A host, an IPv6 address with or without its brackets, and a port.
    ///
    /// # Errors
    /// When the host is none, or the port is 0.
    pub fn new(host: &str, port: u16) -> Result<Self, EndpointError> {
        let is_bare = host.contains(':') && !host.starts_with('[');
        if is_bare { format!("[{host}]:{port}") } else { format!("{host}:{port}") }.parse()
    }

    /// The host, an IPv6 address without its brackets.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, never 0: nobody could dial it.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let shape = || EndpointError::Shape(text.chars().take(300).collect::<String>().escape_debug().to_string());
        let (host, port) = text.rsplit_once(':').ok_or_else(shape)?;
        let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        let allowed = |c: char| c.is_alphanumeric() && !is_invisible(c) || matches!(c, '.' | '-' | '_');
        let host = match bracketed {
            Some(host) if host.parse::<std::net::Ipv6Addr>().is_ok() => host,
            None if !host.is_empty() && host.len() <= Self::HOST_MAX && host.chars().all(allowed) => host,
            _ => return Err(shape()),
        };
        match port.parse() {
            Ok(port) if port != 0 => Ok(Self { host: host.to_owned(), port }),
            _ => Err(EndpointError::Port(port.chars().take(20).collect::<String>().escape_debug().to_string())),
        }
    }
}

impl TryFrom<String> for Endpoint {
    type Error = EndpointError;

    fn try_from(text: String) -> Result<Self, EndpointError> {
        text.parse()
    }
}

impl From<Endpoint> for String {
    fn from(endpoint: Endpoint) -> Self {
        endpoint.to_string()
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_both_kinds_of_ip_address_are_read_and_printed_alike() {
        for text in ["127.0.0.1:7001", "node-1.lab:80", "localhost:65535", "[::1]:7001"] {
            assert_eq!(text.parse::<Endpoint>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_host_and_a_port_are_an_address() {
        for (host, text) in [("localhost", "localhost:80"), ("::1", "[::1]:80"), ("[::1]", "[::1]:80")] {
            assert_eq!(Endpoint::new(host, 80).unwrap().to_string(), text);
        }
        for (host, port) in [("a:b", 80), ("a b", 80), ("", 80), ("localhost", 0), ("[localhost", 80)] {
            assert!(Endpoint::new(host, port).is_err(), "{host}");
        }
    }

    #[test]
    fn what_is_not_an_address_is_refused_with_its_reason() {
        for text in [
            "",
            "7001",
            ":7001",
            "::1:7001",
            "[peer]:1",
            "a b:1",
            "http://a:1",
            "a\nb:1",
            "a\u{200b}b:1",
            "a\u{202e}b:1",
            "a\u{3164}b:1",
        ] {
            assert!(matches!(text.parse::<Endpoint>(), Err(EndpointError::Shape(_))), "{text}");
        }
        for text in ["a:", "a:0", "a:65536", "a:http"] {
            assert!(matches!(text.parse::<Endpoint>(), Err(EndpointError::Port(_))), "{text}");
        }
        assert!(format!("{}:1", "a".repeat(254)).parse::<Endpoint>().is_err());
    }
}
