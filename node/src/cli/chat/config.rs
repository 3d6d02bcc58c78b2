//! The configuration of a chat node: a TOML file with the documented keys, and options that replace single ones.

use std::collections::BTreeMap;
use std::net::{IpAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use dsbench_protocol::{Config, ConfigError, Founding, Quorum, Takeover, UnknownChoice};
use dsbench_wire::{Endpoint, EndpointError, NodeId};
use serde::Deserialize;

/// A node to contact, as `[[seed_nodes]]` or `id:host:port`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Seed {
    node_id: u64,
    host: String,
    port: u16,
}

impl FromStr for Seed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let shape = || "expected id:host:port, such as 2:127.0.0.1:6002".to_owned();
        let (id, place) = text.split_once(':').ok_or_else(shape)?;
        let node_id = id.parse().map_err(|_| shape())?;
        let place: Endpoint = place.parse().map_err(|error: EndpointError| error.to_string())?;
        Ok(Self { node_id, host: place.host().to_owned(), port: place.port() })
    }
}

/// The file. What it leaves out has the documented default.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ConfigFile {
    node_id: Option<u64>,
    host: Option<String>,
    port: Option<u16>,
    #[serde(default)]
    seed_nodes: Vec<Seed>,
    advertise: Option<String>,
    heartbeat_interval_ms: Option<u64>,
    leader_timeout_ms: Option<u64>,
    election_timeout_ms: Option<u64>,
    log_dir: Option<PathBuf>,
    quorum: Option<String>,
    takeover: Option<String>,
    bootstrap: Option<bool>,
    expect: Option<usize>,
    checkpoint_every: Option<u64>,
    retain: Option<u64>,
}

/// Options that replace what the file says.
#[derive(Debug, Default, Args)]
pub(super) struct Knobs {
    /// Where to accept connections: an address of this machine, or 0.0.0.0 for all of them
    #[arg(long, value_name = "ADDRESS")]
    host: Option<String>,

    /// The port to accept connections on
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,

    /// A node to contact, as id:host:port; may be repeated
    #[arg(long = "seed", value_name = "ID:HOST:PORT")]
    seeds: Vec<Seed>,

    /// The host under which others reach this node, if that is not --host (containers, NAT), and its port there, if that is another
    #[arg(long, value_name = "HOST[:PORT]")]
    advertise: Option<String>,

    /// Time between two heartbeats of the leader, in milliseconds [default: 800]
    #[arg(long, value_name = "MS")]
    heartbeat_interval_ms: Option<u64>,

    /// Silence after which the leader is suspected; after as much again it has failed [default: 2500]
    #[arg(long, value_name = "MS")]
    leader_timeout_ms: Option<u64>,

    /// How long to wait for an ELECTION_OK, and for votes [default: 1000]
    #[arg(long, value_name = "MS")]
    election_timeout_ms: Option<u64>,

    /// Where message logs and records are kept [default: data/logs]
    #[arg(long, value_name = "DIR")]
    log_dir: Option<PathBuf>,

    /// What it takes to lead: majority, or none (two leaders when the network is cut in two) [default: majority]
    #[arg(long, value_name = "HOW")]
    quorum: Option<String>,

    /// What a returning node with a higher id than the leader's does: sticky (it follows) or bully (it takes back) [default: sticky]
    #[arg(long, value_name = "HOW")]
    takeover: Option<String>,

    /// Found the chat alone; others join it
    #[arg(long, conflicts_with = "expect")]
    bootstrap: bool,

    /// Found the chat with the first N nodes that find each other
    #[arg(long, value_name = "N")]
    expect: Option<usize>,

    /// After how many entries the state is saved, so that a restart need not go through them again [default: 10000]
    #[arg(long, value_name = "N")]
    checkpoint_every: Option<u64>,

    /// Entries that stay although the saved state covers them, for nodes that were away; who was away for longer gets the messages from
    /// the message logs [default: 10000]
    #[arg(long, value_name = "N")]
    retain: Option<u64>,
}

/// Why a configuration makes no sense.
#[derive(Debug, thiserror::Error)]
pub(super) enum SettingsError {
    #[error("failed to read {} (examples are in node/configs)", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error("{} is not a configuration: {reason}", path.display())]
    Syntax { path: PathBuf, reason: String },
    #[error("{key} is missing (add {option}, or the key to the file that --config names)")]
    Missing { key: &'static str, option: &'static str },
    #[error("{key}: {source}")]
    Choice { key: &'static str, source: UnknownChoice },
    #[error("seed_nodes: node {0} stands there twice")]
    SeedTwice(u64),
    #[error("seed_nodes: nodes {first} and {second} have the same address {place}")]
    SharedPlace { first: NodeId, second: NodeId, place: Endpoint },
    #[error(
        "seed_nodes: node {node_id} is this node itself, which is said to be at port {said} and listens on {port} (leave port away, or \
         correct one of them)"
    )]
    OwnPort { node_id: u64, said: u16, port: u16 },
    #[error("{key}: {source}")]
    Place { key: &'static str, source: EndpointError },
    #[error(
        "seed_nodes names no other node, so nobody says who founds the chat (list the other nodes, or say bootstrap = true for a chat that \
         begins with this node alone)"
    )]
    NobodyFounds,
    #[error("bootstrap and expect exclude each other")]
    TwoFoundings,
    #[error("host {0} is every address of this machine, and which one the others reach is not known (add advertise)")]
    NowhereToReach(String),
    #[error("{0} is no range of ports: expected first-last, such as 6001-6010")]
    PortRange(String),
    #[error("checkpoint_every must be at least 1")]
    NoCheckpoint,
    #[error(transparent)]
    Knobs(#[from] ConfigError),
}

/// What it means.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) me: NodeId,
    pub(super) config: Config,
    pub(super) listen: Endpoint,
    pub(super) advertise: Endpoint,
    pub(super) log_dir: PathBuf,
    /// Entries that stay in the record log although a checkpoint covers them.
    pub(super) retain: u64,
}

/// What a configuration without seeds means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unseeded {
    /// A mistake.
    Refused,
    /// The first peer, which founds the chat.
    Founds,
    /// Others are looked for.
    Joins,
}

impl ConfigFile {
    pub(super) fn read(path: &Path) -> Result<Self, SettingsError> {
        let text =
            std::fs::read_to_string(path).map_err(|source| SettingsError::Read { path: path.to_owned(), source })?;
        toml::from_str(&text).map_err(|error| SettingsError::Syntax {
            path: path.to_owned(),
            reason: error.to_string().trim_end().to_owned(),
        })
    }

    /// With what the options say in place of what the file says.
    pub(super) fn with(mut self, id: Option<u64>, knobs: Knobs) -> Self {
        fn replace<T>(old: &mut Option<T>, new: Option<T>) {
            if new.is_some() {
                *old = new;
            }
        }
        replace(&mut self.node_id, id);
        replace(&mut self.host, knobs.host);
        replace(&mut self.port, knobs.port);
        replace(&mut self.advertise, knobs.advertise);
        replace(&mut self.heartbeat_interval_ms, knobs.heartbeat_interval_ms);
        replace(&mut self.leader_timeout_ms, knobs.leader_timeout_ms);
        replace(&mut self.election_timeout_ms, knobs.election_timeout_ms);
        replace(&mut self.log_dir, knobs.log_dir);
        replace(&mut self.quorum, knobs.quorum);
        replace(&mut self.takeover, knobs.takeover);
        replace(&mut self.bootstrap, knobs.bootstrap.then_some(true));
        replace(&mut self.expect, knobs.expect);
        replace(&mut self.checkpoint_every, knobs.checkpoint_every);
        replace(&mut self.retain, knobs.retain);
        if !knobs.seeds.is_empty() {
            self.seed_nodes = knobs.seeds;
        }
        self
    }

    /// `usual_host` where no host is said, and what it means to have no seeds.
    pub(super) fn settings(self, usual_host: &str, unseeded: Unseeded) -> Result<Settings, SettingsError> {
        let node_id = self.node_id.ok_or(SettingsError::Missing { key: "node_id", option: "--id 1" })?;
        // One list can serve all nodes: where it names this one, it says where the others reach it.
        let own = self.seed_nodes.iter().find(|seed| seed.node_id == node_id);
        let port = self
            .port
            .or(own.map(|own| own.port))
            .ok_or(SettingsError::Missing { key: "port", option: "--port 5001" })?;
        if let Some(said) = own.map(|own| own.port).filter(|said| *said != port) {
            return Err(SettingsError::OwnPort { node_id, said, port });
        }
        let host = self.host.unwrap_or_else(|| usual_host.to_owned());
        let listen = place("host and port", &host, port)?;
        let contacts = contacts(node_id, &self.seed_nodes)?;
        let advertise = match self.advertise.as_ref().or(own.map(|own| &own.host)) {
            Some(text) => advertised(text, port)?,
            None if is_everywhere(&listen) => {
                let host = reached_at(&contacts).ok_or(SettingsError::NowhereToReach(host))?;
                place("advertise", &host, port)?
            }
            None => listen.clone(),
        };
        let founding = match (self.bootstrap.unwrap_or_default(), self.expect) {
            (true, Some(_)) => return Err(SettingsError::TwoFoundings),
            (true, None) => Founding::Bootstrap,
            (false, Some(nodes)) => Founding::Expect(nodes),
            (false, None) => match unseeded {
                Unseeded::Refused if contacts.is_empty() => return Err(SettingsError::NobodyFounds),
                // All of these list each other. Who lists others later finds a chat that is there already, and joins it.
                Unseeded::Refused => Founding::Together(contacts.keys().cloned().collect()),
                Unseeded::Founds if contacts.is_empty() => Founding::Bootstrap,
                Unseeded::Founds | Unseeded::Joins => Founding::Join,
            },
        };
        let time = |given: Option<u64>, usual| Duration::from_millis(given.unwrap_or(usual));
        let config = Config {
            contacts,
            quorum: choice("quorum", self.quorum.as_deref(), Quorum::Majority)?,
            takeover: choice("takeover", self.takeover.as_deref(), Takeover::Sticky)?,
            heartbeat_interval: time(self.heartbeat_interval_ms, 800),
            heartbeat_timeout: time(self.leader_timeout_ms, 2500),
            election_timeout: time(self.election_timeout_ms, 1000),
            checkpoint_every: self.checkpoint_every.unwrap_or(10_000),
            ..Config::new(advertise.clone(), founding)
        };
        config.validate()?;
        let log_dir = self.log_dir.unwrap_or_else(|| PathBuf::from("data/logs"));
        let retain = self.retain.unwrap_or(10_000);
        if config.checkpoint_every == 0 {
            return Err(SettingsError::NoCheckpoint);
        }
        Ok(Settings { me: number(node_id), config, listen, advertise, log_dir, retain })
    }
}

pub(super) fn number(id: u64) -> NodeId {
    id.to_string().parse().expect("digits are an id")
}

fn place(key: &'static str, host: &str, port: u16) -> Result<Endpoint, SettingsError> {
    Endpoint::new(host, port).map_err(|source| SettingsError::Place { key, source })
}

/// A host, or a host and a port where that is another one than this node listens on.
fn advertised(text: &str, port: u16) -> Result<Endpoint, SettingsError> {
    let is_bare = !text.contains(':') || text.ends_with(']') || text.parse::<std::net::Ipv6Addr>().is_ok();
    if is_bare {
        return place("advertise", text, port);
    }
    text.parse().map_err(|source| SettingsError::Place { key: "advertise", source })
}

fn choice<T>(key: &'static str, given: Option<&str>, usual: T) -> Result<T, SettingsError>
where
    T: FromStr<Err = UnknownChoice>,
{
    given.map_or(Ok(usual), |given| given.parse().map_err(|source| SettingsError::Choice { key, source }))
}

/// The others.
fn contacts(me: u64, seeds: &[Seed]) -> Result<BTreeMap<NodeId, Endpoint>, SettingsError> {
    let mut contacts = BTreeMap::<NodeId, Endpoint>::new();
    for Seed { node_id, host, port } in seeds {
        let (id, place) = (number(*node_id), place("seed_nodes", host, *port)?);
        if let Some((first, _)) = contacts.iter().find(|(other, taken)| **taken == place && **other != id) {
            return Err(SettingsError::SharedPlace { first: first.clone(), second: id, place });
        }
        if contacts.insert(id, place).is_some() {
            return Err(SettingsError::SeedTwice(*node_id));
        }
    }
    contacts.remove(&number(me));
    Ok(contacts)
}

fn is_everywhere(listen: &Endpoint) -> bool {
    listen.host().parse::<IpAddr>().is_ok_and(|ip| ip.is_unspecified())
}

/// The address of this machine from which a seed is reached, or else the machine's name.
fn reached_at(contacts: &BTreeMap<NodeId, Endpoint>) -> Option<String> {
    // Connecting a UDP socket sends nothing; it only asks for the way.
    let way_to = |seed: &Endpoint| {
        let socket = UdpSocket::bind(("0.0.0.0", 0)).ok()?;
        socket.connect((seed.host(), seed.port())).ok()?;
        Some(socket.local_addr().ok()?.ip().to_string())
    };
    contacts.values().find_map(way_to).or_else(|| nix::unistd::gethostname().ok()?.into_string().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> Result<Settings, String> {
        let file: ConfigFile = toml::from_str(text).map_err(|error| error.to_string())?;
        file.settings("0.0.0.0", Unseeded::Refused).map_err(|error| error.to_string())
    }

    const THREE: &str = "node_id = 3\nhost = \"127.0.0.1\"\nport = 5003\n\
        seed_nodes = [{ node_id = 1, host = \"127.0.0.1\", port = 5001 }, { node_id = 2, host = \"127.0.0.1\", port = 5002 }]\n";

    fn together(others: &[&str]) -> Founding {
        Founding::Together(others.iter().map(|id| id.parse().unwrap()).collect())
    }

    #[test]
    fn the_defaults_are_the_documented_ones() {
        let settings = settings(THREE).unwrap();
        let Config { heartbeat_interval, heartbeat_timeout, quorum, takeover, founding, .. } = settings.config;
        assert_eq!([heartbeat_interval, heartbeat_timeout].map(|time| time.as_millis()), [800, 2500]);
        assert_eq!((quorum, takeover, founding), (Quorum::Majority, Takeover::Sticky, together(&["1", "2"])));
        assert_eq!(settings.log_dir, PathBuf::from("data/logs"));
        assert_eq!((settings.me.as_str(), settings.advertise.to_string().as_str()), ("3", "127.0.0.1:5003"));
    }

    #[test]
    fn the_shipped_examples_are_three_nodes_that_list_each_other() {
        let mut all = Vec::new();
        for n in 1..=3 {
            let path = format!("{}/configs/chat-node{n}.toml", env!("CARGO_MANIFEST_DIR"));
            let settings = ConfigFile::read(Path::new(&path)).unwrap().settings("0.0.0.0", Unseeded::Refused).unwrap();
            let others: Vec<&str> = settings.config.contacts.keys().map(NodeId::as_str).collect();
            assert_eq!(settings.config.founding, together(&others));
            let mut members = settings.config.contacts.clone();
            assert!(members.insert(settings.me, settings.advertise).is_none());
            all.push(members);
        }
        assert!(all[0] == all[1] && all[1] == all[2], "{all:?}");
    }

    #[test]
    fn a_node_that_listens_everywhere_finds_out_where_it_is_reached() {
        let anywhere = settings(&THREE.replace("host = \"127.0.0.1\"\nport", "port")).unwrap();
        assert_eq!(anywhere.listen.to_string(), "0.0.0.0:5003");
        assert_eq!(anywhere.advertise.to_string(), "127.0.0.1:5003", "as the seeds see it");
        let said = settings(&format!("advertise = \"chat_node3\"\n{THREE}")).unwrap();
        assert_eq!(said.advertise.to_string(), "chat_node3:5003");
        for (advertise, reached) in [
            ("gateway:15003", "gateway:15003"),
            ("[::1]:15003", "[::1]:15003"),
            ("::1", "[::1]:5003"),
            ("[::1]", "[::1]:5003"),
        ] {
            let said = settings(&format!("advertise = \"{advertise}\"\n{THREE}")).unwrap();
            assert_eq!((said.advertise.to_string().as_str(), said.listen.port()), (reached, 5003));
        }
    }

    #[test]
    fn one_list_serves_all_nodes() {
        let all = "[[seed_nodes]]\nnode_id = 1\nhost = \"chat_node1\"\nport = 5001\n\
            [[seed_nodes]]\nnode_id = 2\nhost = \"chat_node2\"\nport = 5002\n";
        let settings = |id| {
            let file: ConfigFile = toml::from_str(all).unwrap();
            file.with(Some(id), Knobs::default()).settings("0.0.0.0", Unseeded::Refused).unwrap()
        };
        for (id, others) in [(1, ["2"].as_slice()), (2, &["1"])] {
            let settings = settings(id);
            assert_eq!(settings.advertise.to_string(), format!("chat_node{id}:500{id}"));
            assert_eq!(settings.listen.to_string(), format!("0.0.0.0:500{id}"));
            assert_eq!(settings.config.founding, together(others));
            assert_eq!(settings.config.contacts.keys().map(NodeId::as_str).collect::<Vec<_>>(), others);
        }
    }

    #[test]
    fn options_replace_what_the_file_says() {
        let file: ConfigFile = toml::from_str(THREE).unwrap();
        let knobs = Knobs { port: Some(6000), seeds: vec!["7:localhost:6007".parse().unwrap()], ..Knobs::default() };
        let settings = file.with(Some(9), knobs).settings("0.0.0.0", Unseeded::Refused).unwrap();
        assert_eq!((settings.me.as_str(), settings.listen.port()), ("9", 6000));
        assert_eq!(settings.config.contacts.keys().map(NodeId::as_str).collect::<Vec<_>>(), ["7"]);
    }

    #[test]
    fn every_mistake_is_refused_with_its_reason() {
        let seeds = |seeds: &str| format!("node_id = 3\nport = 5003\nseed_nodes = [{seeds}]");
        let alone = |rest: &str| format!("node_id = 3\nport = 5003\nbootstrap = true\n{rest}");
        for (text, reason) in [
            ("port = 5003".to_owned(), "node_id is missing"),
            ("node_id = 3".to_owned(), "port is missing"),
            ("node_id = 3\nport = 5003".to_owned(), "names no other node"),
            ("node_id = -3\nport = 5003".to_owned(), "invalid value"),
            ("node_id = 3\nport = 70000".to_owned(), "invalid value"),
            ("node_id = \"3\"\nport = 5003".to_owned(), "invalid type"),
            ("node_id = 3\nport = 0\nbootstrap = true".to_owned(), "is not a port"),
            ("node_id = 3\nprot = 5003".to_owned(), "unknown field `prot`"),
            ("node_id = 3\nport = 5003\nexpect = 0".to_owned(), "at least one node"),
            (alone("expect = 3"), "exclude each other"),
            (alone("checkpoint_every = 0"), "at least 1"),
            (alone("advertise = \"a:0\""), "advertise: `0` is not a port"),
            (alone("host = \"a b\""), "host and port: `a b:5003` is not an address"),
            (alone("quorum = \"most\""), "quorum: \"most\" is none of majority, none"),
            (alone("takeover = \"never\""), "takeover: \"never\" is none of bully, sticky"),
            (alone("heartbeat_interval_ms = 0"), "longer than zero"),
            (alone("leader_timeout_ms = 500"), "must be longer than heartbeat_interval"),
            (
                seeds("{ node_id = 3, host = \"a\", port = 1 }"),
                "is this node itself, which is said to be at port 1 and listens on 5003",
            ),
            (seeds("{ node_id = 3, host = \"a\", port = 5003 }"), "names no other node"),
            (
                seeds("{ node_id = 1, host = \"a\", port = 5003 }, { node_id = 3, host = \"a\", port = 5003 }"),
                "nodes 1 and 3 have the same address a:5003",
            ),
            (seeds("{ node_id = 1, host = \"a\" }"), "missing field `port`"),
            (
                seeds("{ node_id = 1, host = \"a\", port = 1 }, { node_id = 1, host = \"b\", port = 1 }"),
                "node 1 stands there twice",
            ),
            (
                seeds("{ node_id = 1, host = \"a\", port = 1 }, { node_id = 2, host = \"a\", port = 1 }"),
                "nodes 1 and 2 have the same address a:1",
            ),
        ] {
            let refusal = settings(&text).expect_err(&text);
            assert!(refusal.contains(reason), "{text}: {refusal}");
        }
        for (seed, reason) in [
            ("2", "expected id:host:port"),
            ("2:a", "not an address"),
            ("a:b:1", "expected id"),
            ("2:a:0", "not a port"),
        ] {
            let refusal = seed.parse::<Seed>().expect_err(seed);
            assert!(refusal.contains(reason), "{seed}: {refusal}");
        }
    }
}
