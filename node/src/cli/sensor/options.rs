//! The options of a sensor peer, and what makes sense among them.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, RandomState};
use std::net::SocketAddrV4;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use dsbench_protocol::{Config, ConfigError, Founding, Quorum, Takeover};
use dsbench_wire::{IdError, NodeId};
use rand_pcg::Pcg64Mcg;

use crate::cli::group::list;
use crate::transport::{Address, AddressError, Datagrams, Multicast};

const EXAMPLES: &str = "\
Examples:
  Three terminals, one of the commands in each; then stop one with Ctrl-C, or with kill -9, and
  start it again:

    dsbench node sensor --id peer1 --expect 3
    dsbench node sensor --id peer2 --expect 3
    dsbench node sensor --id peer3 --expect 3

  They find each other by broadcast on this machine, and the first three found the network. Later
  ones join it:

    dsbench node sensor --id peer4

  In a network of machines, each says where it is reached:

    dsbench node sensor --id peer1 --expect 3 --listen 192.168.1.11:7001

  Without broadcast, from a list that all share:

    PEERS=peer1=127.0.0.1:7001,peer2=127.0.0.1:7002,peer3=127.0.0.1:7003
    dsbench node sensor --id peer1 --peers $PEERS

  As a classroom would do it, quickly, and without a trace of earlier runs:

    dsbench node sensor --id peer1 --peers $PEERS --quorum none --data $(mktemp -d) \\
        --heartbeat-interval 200ms --heartbeat-timeout 600ms --election-timeout 300ms

On a terminal or a pipe, stdin takes commands (`help` lists them); its end leaves gracefully, as Ctrl-C and SIGTERM do. \
`dsnode sensor ...` is the same as `dsbench node sensor ...`.";

/// The options of a peer.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct SensorArgs {
    /// This peer's name. Of the peers that are alive, the one with the greatest name leads
    #[arg(long, value_name = "ID")]
    id: NodeId,

    /// Found the network with the first N peers that find each other; with --peers, how many that list must have, this peer included.
    /// Means nothing to a directory that has been in a network. Fewer than twice N may be told so: else there may be two networks
    #[arg(long, value_name = "N", conflicts_with = "bootstrap")]
    expect: Option<usize>,

    /// Found the network alone; others join it. Only for a peer that was in none: one whose directory was lost waits for a heartbeat of
    /// the others, and if it hears none in time it founds a second network. Start such a one with --join instead
    #[arg(long, conflicts_with_all = ["peers", "join"])]
    bootstrap: bool,

    /// All first members, as id=host:port with commas between; may be repeated. Whether this peer is among them makes no difference.
    /// Without it, peers are discovered. A peer whose directory was lost counts as one that never started: start it with --join instead,
    /// because with others that never started it could found the network again
    #[arg(long, value_name = "ID=ADDRESS,...", value_delimiter = ',')]
    peers: Vec<Member>,

    /// Peers to ask to be let in, beside whoever hears a broadcast
    #[arg(long, value_name = "ID=ADDRESS,...", value_delimiter = ',', conflicts_with = "peers")]
    join: Vec<Member>,

    /// Do not discover by broadcast
    #[arg(long)]
    no_discover: bool,

    /// The UDP port of discovery, the same for all
    #[arg(long, value_name = "PORT", default_value_t = BROADCAST_PORT)]
    broadcast_port: u16,

    /// The name of the network: peers of others are not discovered [default: default; for a node of a run, the run's own]
    #[arg(long, value_name = "NAME")]
    cluster: Option<String>,

    /// Where to accept connections [default: the address of this peer in --peers, or 127.0.0.1 and a port that its name gives]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<Address>,

    /// Where the others reach this peer, if that is not where it listens (NAT, containers)
    #[arg(long, value_name = "ADDRESS")]
    advertise: Option<Address>,

    /// The directory of its durable state: term, vote and log [default: data/ID]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,

    /// Entries that stay in the log for peers that were away, although a checkpoint covers them
    #[arg(long, value_name = "ENTRIES", default_value_t = 10_000)]
    retain: u64,

    /// Entries between two checkpoints, from which a restart begins
    #[arg(long, value_name = "ENTRIES", default_value_t = 10_000)]
    checkpoint_every: u64,

    /// Time between two heartbeats of the leader
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = humantime::parse_duration)]
    heartbeat_interval: Duration,

    /// Silence after which a peer is suspected; after as much again it has failed
    #[arg(long, value_name = "TIME", default_value = "10s", value_parser = humantime::parse_duration)]
    heartbeat_timeout: Duration,

    /// How long to wait for an OK, and for votes
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = humantime::parse_duration)]
    election_timeout: Duration,

    /// What it takes to lead: the votes of a majority, or nobody higher that answers (two leaders when the network is cut in two)
    #[arg(long, default_value = "majority", value_parser = choice::<Quorum>(&["majority", "none"]))]
    quorum: Quorum,

    /// What a returning peer with a greater name than the leader's does: take back, or follow
    #[arg(long, default_value = "bully", value_parser = choice::<Takeover>(&["bully", "sticky"]))]
    takeover: Takeover,

    /// How the leader's messages also travel: off (TCP alone), peers (a datagram to each), or a group as 239.77.0.1:7077
    #[arg(long, value_name = "HOW", default_value = "peers", value_parser = how_to_multicast)]
    multicast: Multicast,

    /// The share of received multicast that is thrown away, 0 to 1: to see that gaps are repaired
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    multicast_loss: f64,

    /// Takes a reading so often, such as temperature=21.4, and sends it to all [default: none]
    #[arg(long, value_name = "TIME", value_parser = reading_time)]
    readings: Option<Duration>,

    /// Makes this peer's random choices repeatable [default: different each time]
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,

    /// Plants a mistake
    #[cfg(feature = "mistakes")]
    #[arg(long, value_name = "NAME", hide = true)]
    mistake: Option<dsbench_protocol::Mistake>,
}

/// The documented port of discovery.
const BROADCAST_PORT: u16 = 9999;
/// The name of a network whose user gave it none.
const CLUSTER: &str = "default";
/// dsbench gives every run a token of its own: runs at the same time stay apart.
const RUN: &str = "DSBENCH_RUN";
const CLUSTER_MAX: usize = 64;

fn how_to_multicast(text: &str) -> Result<Multicast, String> {
    match text {
        "off" => return Ok(Multicast::Off),
        "peers" => return Ok(Multicast::Peers),
        _ => {}
    }
    match text.parse::<SocketAddrV4>() {
        Ok(group) if group.ip().is_multicast() && group.port() != 0 => Ok(Multicast::Group(group)),
        _ => Err("expected off, peers, or a group as 239.77.0.1:7077 (224.0.0.0 to 239.255.255.255)".to_owned()),
    }
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("expected a number from 0 to 1, such as 0.2".to_owned()),
    }
}

/// A time between two readings.
pub(super) fn reading_time(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if time < Duration::from_millis(1) {
        return Err("expected 1ms or longer".to_owned());
    }
    Ok(time)
}

fn choice<T>(words: &'static [&'static str]) -> impl TypedValueParser<Value = T>
where
    T: FromStr<Err: std::fmt::Debug> + Clone + Send + Sync + 'static,
{
    PossibleValuesParser::new(words).map(|word| word.parse().expect("every possible value is one of the choices"))
}

/// `peer2=127.0.0.1:7002`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Member {
    id: NodeId,
    address: Address,
}

/// Why a text is not a member.
#[derive(Debug, thiserror::Error)]
enum MemberError {
    #[error("expected id=host:port, such as peer1=127.0.0.1:7001")]
    Shape,
    #[error(transparent)]
    Id(#[from] IdError),
    #[error(transparent)]
    Address(#[from] AddressError),
}

impl FromStr for Member {
    type Err = MemberError;

    fn from_str(text: &str) -> Result<Self, MemberError> {
        let (id, address) = text.split_once('=').ok_or(MemberError::Shape)?;
        Ok(Self { id: id.parse()?, address: address.parse()? })
    }
}

/// Why options that are each right make no sense together.
#[derive(Debug, thiserror::Error)]
pub(super) enum UsageError {
    #[error("--peers names {0} twice")]
    DuplicateId(NodeId),
    #[error("--peers gives {first} and {second} the same address {address}")]
    DuplicateAddress { first: NodeId, second: NodeId, address: Address },
    #[error("--peers and {me} itself are {found} members, but --expect says {expected}: {members}")]
    Expected { me: NodeId, found: usize, expected: usize, members: String },
    #[error("--listen is missing, and --peers does not name {0} (add --listen 127.0.0.1:7001, or {0}=... to --peers)")]
    NowhereToListen(NodeId),
    #[error("--listen {0} is every address of this machine, and the others need one of them (add --advertise)")]
    NowhereToReach(Address),
    #[error("without --peers and with --no-discover, nobody is found (add --join, --peers or --bootstrap)")]
    Alone,
    #[error("the name of a cluster has 1 to {CLUSTER_MAX} letters, digits, '-', '_', '.' and ':', which {0:?} has not")]
    Cluster(String),
    #[error("--multicast-loss means nothing without --multicast")]
    LossOfNothing,
    #[error("--advertise {advertise} is not the address of {me} in --peers, {listed}: the others would dial that one")]
    Advertise { me: NodeId, advertise: Address, listed: Address },
    #[error("--data is missing, and {0} is no name for a directory")]
    NoDirectory(NodeId),
    #[error(transparent)]
    Knobs(#[from] ConfigError),
}

/// What the options mean.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) me: NodeId,
    pub(super) config: Config,
    pub(super) listen: Address,
    pub(super) advertise: Address,
    pub(super) datagrams: Datagrams,
    pub(super) data: PathBuf,
    pub(super) retain: u64,
    pub(super) readings: Option<Duration>,
    pub(super) rng: Pcg64Mcg,
}

impl SensorArgs {
    pub(super) fn settings(self) -> Result<Settings, UsageError> {
        let me = self.id;
        let is_listed = !self.peers.is_empty();
        let mut peers = by_id(self.peers)?;
        let listed = peers.remove(&me);
        let found = peers.len() + 1;
        if let Some(expected) = self.expect.filter(|&expected| is_listed && expected != found) {
            let members: BTreeSet<_> = peers.keys().chain([&me]).collect();
            let members = list(members);
            return Err(UsageError::Expected { me, found, expected, members });
        }
        let listen = match self.listen.or_else(|| listed.clone()) {
            Some(listen) => listen,
            None if is_listed => return Err(UsageError::NowhereToListen(me)),
            None => usual_address(&me),
        };
        let advertise = match (self.advertise, listed) {
            (Some(advertise), Some(listed)) if advertise != listed => {
                return Err(UsageError::Advertise { me, advertise, listed });
            }
            (Some(address), _) | (None, Some(address)) => address,
            (None, None) => listen.clone(),
        };
        if let Some((other, _)) = peers.iter().find(|(_, taken)| **taken == listen || **taken == advertise) {
            return Err(UsageError::DuplicateAddress { first: me, second: other.clone(), address: listen });
        }
        if matches!(advertise.host(), "0.0.0.0" | "::") {
            return Err(UsageError::NowhereToReach(advertise));
        }
        let mut contacts = by_id(self.join)?;
        contacts.remove(&me);
        let discovers = !is_listed && !self.no_discover;
        if !is_listed && !discovers && contacts.is_empty() && !self.bootstrap {
            return Err(UsageError::Alone);
        }
        let founding = match self.expect {
            _ if is_listed => Founding::Members(peers.into_iter().chain([(me.clone(), advertise.clone())]).collect()),
            Some(nodes) => Founding::Expect(nodes),
            None if self.bootstrap => Founding::Bootstrap,
            None => Founding::Join,
        };
        let config = Config {
            contacts,
            quorum: self.quorum,
            takeover: self.takeover,
            heartbeat_interval: self.heartbeat_interval,
            heartbeat_timeout: self.heartbeat_timeout,
            election_timeout: self.election_timeout,
            multicast: self.multicast != Multicast::Off,
            checkpoint_every: self.checkpoint_every,
            #[cfg(feature = "mistakes")]
            mistake: self.mistake,
            ..Config::new(advertise.clone(), founding)
        };
        config.validate()?;
        if self.multicast_loss > 0.0 && self.multicast == Multicast::Off {
            return Err(UsageError::LossOfNothing);
        }
        let cluster = match self.cluster {
            Some(given) if is_cluster(&given) => given,
            Some(given) => return Err(UsageError::Cluster(given)),
            None => std::env::var(RUN).map_or_else(|_| CLUSTER.to_owned(), |run| of_run(&run)),
        };
        let datagrams = Datagrams {
            cluster,
            broadcast_port: discovers.then_some(self.broadcast_port),
            multicast: self.multicast,
            multicast_loss: self.multicast_loss,
        };
        let data = match self.data {
            Some(data) => data,
            // `..` is an id like any other, but not a directory like any other.
            None if me.as_str().starts_with('.') => return Err(UsageError::NoDirectory(me)),
            None => PathBuf::from("data").join(me.as_str()),
        };
        let (retain, readings) = (self.retain, self.readings);
        let rng = randomness(self.seed, &me);
        Ok(Settings { me, config, listen, advertise, datagrams, data, retain, readings, rng })
    }
}

fn by_id(members: Vec<Member>) -> Result<BTreeMap<NodeId, Address>, UsageError> {
    let mut peers = BTreeMap::new();
    for Member { id, address } in members {
        if let Some((other, _)) = peers.iter().find(|(other, taken)| **other != id && **taken == address) {
            return Err(UsageError::DuplicateAddress { first: NodeId::clone(other), second: id, address });
        }
        if peers.insert(id.clone(), address).is_some() {
            return Err(UsageError::DuplicateId(id));
        }
    }
    Ok(peers)
}

fn is_cluster(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ':');
    !name.is_empty() && name.len() <= CLUSTER_MAX && name.chars().all(allowed)
}

/// The network of a run of dsbench: its token, or what stands for one that is too long for a log line.
fn of_run(token: &str) -> String {
    if is_cluster(token) { token.to_owned() } else { format!("run-{:032x}", fnv(token.bytes())) }
}

/// On this machine alone, because a node believes whoever it hears; the same after a restart, because others remember it.
fn usual_address(me: &NodeId) -> Address {
    let port = 7000 + keyed(0, me) % 1000;
    format!("127.0.0.1:{port}").parse().expect("it is an address")
}

/// What the first line of the log says of the options.
pub(super) fn told(config: &Config, datagrams: &Datagrams) -> String {
    let Config { quorum, takeover, founding, .. } = config;
    let how = match founding {
        Founding::Members(members) => format!("members={}", list(members.keys())),
        Founding::Expect(nodes) => format!("expect={nodes}"),
        Founding::Together(others) => format!("together={}", others.len() + 1),
        Founding::Bootstrap => "bootstrap".to_owned(),
        Founding::Join => "joins".to_owned(),
    };
    let multicast = match datagrams.multicast {
        Multicast::Off => " multicast=off".to_owned(),
        Multicast::Peers => String::new(),
        Multicast::Group(group) => format!(" multicast={group}"),
    };
    let broadcast = match datagrams.broadcast_port {
        Some(port) => format!(" broadcast={port} cluster={}", datagrams.cluster),
        None => String::new(),
    };
    format!("quorum={quorum} takeover={takeover}{multicast}{broadcast} {how}")
}

/// From a seed, keyed by the node's id so that nodes with the same seed do not act in step; without one, from the system.
fn randomness(seed: Option<u64>, me: &NodeId) -> Pcg64Mcg {
    let state = match seed {
        Some(seed) => keyed(seed, me),
        None => {
            let half = || u128::from(RandomState::new().hash_one(std::process::id()));
            half() << 64 | half()
        }
    };
    Pcg64Mcg::new(state)
}

/// FNV-1a over seed and id: an own, fixed hash, because a seed is an interface.
fn keyed(seed: u64, me: &NodeId) -> u128 {
    fnv(seed.to_le_bytes().into_iter().chain(me.as_str().bytes()))
}

fn fnv(bytes: impl Iterator<Item = u8>) -> u128 {
    bytes.fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d_u128, |hash, byte| {
        (hash ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
    })
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: SensorArgs,
    }

    const PEERS: &str = "peer1=127.0.0.1:7001,peer2=127.0.0.1:7002,peer3=127.0.0.1:7003";

    fn settings(options: &str) -> Result<Settings, String> {
        let line = Line::try_parse_from(["sensor"].into_iter().chain(options.split_whitespace()));
        line.map_err(|error| error.to_string())?.args.settings().map_err(|error| error.to_string())
    }

    #[test]
    fn the_defaults_are_the_documented_ones() {
        let settings = settings(&format!("--id peer1 --peers {PEERS}")).unwrap();
        let [one, two, three] =
            [1, 2, 3].map(|n| (format!("peer{n}").parse().unwrap(), format!("127.0.0.1:700{n}").parse().unwrap()));
        let endpoint: Address = Address::clone(&one.1);
        let founding = Founding::Members([one, two, three].into());
        assert_eq!(settings.config, Config { multicast: true, ..Config::new(endpoint, founding) });
        assert_eq!(settings.listen.to_string(), "127.0.0.1:7001");
        assert_eq!(settings.data, PathBuf::from("data/peer1"));
        assert_eq!(settings.datagrams.broadcast_port, None, "a list needs no discovery");
    }

    #[test]
    fn without_a_list_peers_are_discovered_on_the_documented_port() {
        let expects = settings("--id peer1 --expect 3").unwrap();
        assert_eq!(expects.config.founding, Founding::Expect(3));
        assert_eq!(expects.datagrams.broadcast_port, Some(9999));
        assert_eq!(expects.listen, usual_address(&expects.me), "the same after a restart");
        let ports: BTreeSet<Address> = (1..=20).map(|n| usual_address(&format!("peer{n}").parse().unwrap())).collect();
        assert_eq!(ports.len(), 20, "peers of one machine do not meet");
        let joins = settings("--id peer4 --join peer1=10.0.0.1:7001 --no-discover").unwrap();
        assert_eq!((joins.config.founding, joins.config.contacts.len()), (Founding::Join, 1));
        assert_eq!(joins.datagrams.broadcast_port, None);
    }

    #[test]
    fn a_list_without_this_peer_means_the_same_as_one_with_it() {
        let with = settings(&format!("--id peer1 --peers {PEERS} --expect 3")).unwrap();
        let without = settings(
            "--id peer1 --listen 127.0.0.1:7001 --peers peer2=127.0.0.1:7002 --peers peer3=127.0.0.1:7003 --expect 3",
        )
        .unwrap();
        assert_eq!(with.config, without.config);
        assert_eq!(with.listen, without.listen);
    }

    #[test]
    fn every_wrong_use_is_refused_with_its_reason() {
        for (options, reason) in [
            ("--peers peer1=127.0.0.1:7001", "--id"),
            ("--id peer1 --no-discover", "nobody is found"),
            ("--id peer1 --bootstrap --peers peer1=127.0.0.1:1", "cannot be used with"),
            ("--id peer1 --bootstrap --expect 3", "cannot be used with"),
            ("--id peer1 --expect 0", "founded by at least one"),
            ("--id peer1 --listen 0.0.0.0:1", "add --advertise"),
            ("--id peer1 --multicast 10.0.0.1:5007", "expected off, peers, or a group"),
            ("--id peer1 --multicast off --multicast-loss 0.2", "means nothing without"),
            ("--id peer1 --multicast-loss 20", "a number from 0 to 1"),
            ("--id peer1 --cluster a/b", "the name of a cluster has"),
            ("--id peer1 --readings 0s", "1ms or longer"),
            ("--id a/b --peers a=127.0.0.1:7001", "an id consists of"),
            ("--id peer1 --peers a=127.0.0.1:1,a=127.0.0.1:2", "names a twice"),
            ("--id peer1 --peers a=127.0.0.1:1,b=127.0.0.1:1", "a and b the same address 127.0.0.1:1"),
            ("--id peer1 --listen 127.0.0.1:1 --peers a=127.0.0.1:1", "peer1 and a the same address"),
            ("--id peer1 --peers a=127.0.0.1:1", "--listen is missing"),
            ("--id peer1 --peers peer1", "expected id=host:port"),
            ("--id peer1 --peers peer1=7001", "expected host:port"),
            ("--id peer1 --peers peer1=127.0.0.1:99999", "1 to 65535"),
            ("--id peer1 --peers peer1=127.0.0.1:1 --expect 3", "are 1 members, but --expect says 3: peer1"),
            ("--id peer1 --peers peer1=127.0.0.1:1 --advertise a:2", "--advertise a:2 is not the address"),
            ("--id .. --peers a=127.0.0.1:1 --listen b:1", "--data is missing"),
            ("--id a --peers a=127.0.0.1:1 --heartbeat-timeout 5s", "must be longer than heartbeat_interval"),
            ("--id a --peers a=127.0.0.1:1 --election-timeout 0s", "election_timeout must be longer than zero"),
            ("--id a --peers a=127.0.0.1:1 --heartbeat-interval 5", "time unit"),
            ("--id a --peers a=127.0.0.1:1 --quorum most", "possible values: majority, none"),
        ] {
            let refusal = settings(options).expect_err(options);
            assert!(refusal.contains(reason), "{options}: {refusal}");
        }
    }

    #[test]
    fn every_run_is_a_network_of_its_own_whatever_its_token() {
        assert_eq!(of_run("20261122T1-5eed"), "20261122T1-5eed");
        let long = "x".repeat(300);
        for token in ["", "a b", long.as_str(), "scenario[nodes.count=3]"] {
            assert!(is_cluster(&of_run(token)), "{token}");
        }
        assert_ne!(of_run(&long), of_run(&format!("{long}y")));
    }

    #[test]
    fn a_seed_repeats_a_node_and_still_tells_nodes_apart() {
        let of = |id: &str| randomness(Some(7), &id.parse().unwrap());
        assert_eq!(of("peer1"), of("peer1"));
        assert_ne!(of("peer1"), of("peer2"));
        let random = || randomness(None, &"peer1".parse().unwrap());
        assert_ne!(random(), random());
    }
}
