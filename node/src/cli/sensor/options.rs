//! The options of a sensor peer, and what makes sense among them.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, RandomState};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use clap::builder::{PossibleValuesParser, TypedValueParser};
use dsbench_protocol::{Config, ConfigError, Founding, Quorum, Takeover};
use dsbench_wire::{IdError, NodeId};
use rand_pcg::Pcg64Mcg;

use super::console;
use crate::transport::{Address, AddressError};

const EXAMPLES: &str = "\
Examples:
  Three terminals, the list and one of the commands in each; then stop one with Ctrl-C, or with
  kill -9, and start it again:

    PEERS=peer1=127.0.0.1:7001,peer2=127.0.0.1:7002,peer3=127.0.0.1:7003
    dsbench node sensor --id peer1 --peers $PEERS
    dsbench node sensor --id peer2 --peers $PEERS
    dsbench node sensor --id peer3 --peers $PEERS

  The same quicker, as a classroom would do it, and without a trace of earlier runs:

    dsbench node sensor --id peer1 --peers $PEERS --quorum none --data $(mktemp -d) \\
        --heartbeat-interval 200ms --heartbeat-timeout 600ms --election-timeout 300ms

On a terminal or a pipe, stdin takes the commands status, help and quit; its end leaves gracefully, as Ctrl-C and SIGTERM do. \
`dsnode sensor ...` is the same as `dsbench node sensor ...`.";

/// The options of a peer.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct SensorArgs {
    /// This peer's name. Of the peers that are alive, the one with the greatest name leads
    #[arg(long, value_name = "ID")]
    id: NodeId,

    /// All members, as id=host:port with commas between; may be repeated. Whether this peer is among them makes no difference
    #[arg(long, value_name = "ID=ADDRESS,...", required = true, value_delimiter = ',')]
    peers: Vec<Member>,

    /// How many members the list must have, this peer included: a check against a forgotten one
    #[arg(long, value_name = "N")]
    expect: Option<usize>,

    /// Where to accept connections [default: the address of this peer in --peers]
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<Address>,

    /// Where the others reach this peer, if that is not where it listens (NAT, containers)
    #[arg(long, value_name = "ADDRESS")]
    advertise: Option<Address>,

    /// The directory of its durable state: term and vote [default: data/ID]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,

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

    /// Makes this peer's random choices repeatable [default: different each time]
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,

    /// Plants a mistake
    #[cfg(feature = "mistakes")]
    #[arg(long, value_name = "NAME", hide = true)]
    mistake: Option<dsbench_protocol::Mistake>,
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
    /// Without this peer.
    pub(super) peers: BTreeMap<NodeId, Address>,
    pub(super) data: PathBuf,
    pub(super) rng: Pcg64Mcg,
}

impl SensorArgs {
    pub(super) fn settings(self) -> Result<Settings, UsageError> {
        let me = self.id;
        let mut peers = BTreeMap::new();
        for Member { id, address } in self.peers {
            if let Some((other, _)) = peers.iter().find(|(other, taken)| **other != id && **taken == address) {
                return Err(UsageError::DuplicateAddress { first: NodeId::clone(other), second: id, address });
            }
            if peers.insert(id.clone(), address).is_some() {
                return Err(UsageError::DuplicateId(id));
            }
        }
        let listed = peers.remove(&me);
        let found = peers.len() + 1;
        if let Some(expected) = self.expect.filter(|&expected| expected != found) {
            let members: BTreeSet<_> = peers.keys().chain([&me]).collect();
            let members = console::list(members);
            return Err(UsageError::Expected { me, found, expected, members });
        }
        let Some(listen) = self.listen.or_else(|| listed.clone()) else {
            return Err(UsageError::NowhereToListen(me));
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
        let members = peers.clone().into_iter().chain([(me.clone(), advertise.clone())]).collect();
        let config = Config {
            quorum: self.quorum,
            takeover: self.takeover,
            heartbeat_interval: self.heartbeat_interval,
            heartbeat_timeout: self.heartbeat_timeout,
            election_timeout: self.election_timeout,
            #[cfg(feature = "mistakes")]
            mistake: self.mistake,
            ..Config::new(advertise.clone(), Founding::Members(members))
        };
        config.validate()?;
        let data = match self.data {
            Some(data) => data,
            // `..` is an id like any other, but not a directory like any other.
            None if me.as_str().starts_with('.') => return Err(UsageError::NoDirectory(me)),
            None => PathBuf::from("data").join(me.as_str()),
        };
        let rng = randomness(self.seed, &me);
        Ok(Settings { me, config, listen, advertise, peers, data, rng })
    }
}

/// From a seed, keyed by the node's id so that nodes with the same seed do not act in step; without one, from the system.
fn randomness(seed: Option<u64>, me: &NodeId) -> Pcg64Mcg {
    let state = match seed {
        Some(seed) => {
            // FNV-1a over seed and id: an own, fixed hash, because a seed is an interface.
            let bytes = seed.to_le_bytes().into_iter().chain(me.as_str().bytes());
            bytes.fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d_u128, |hash, byte| {
                (hash ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
            })
        }
        None => {
            let half = || u128::from(RandomState::new().hash_one(std::process::id()));
            half() << 64 | half()
        }
    };
    Pcg64Mcg::new(state)
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
        assert_eq!(settings.config, Config::new(endpoint, founding));
        assert_eq!(settings.listen.to_string(), "127.0.0.1:7001");
        assert_eq!(settings.data, PathBuf::from("data/peer1"));
        assert_eq!(settings.peers.len(), 2);
    }

    #[test]
    fn a_list_without_this_peer_means_the_same_as_one_with_it() {
        let with = settings(&format!("--id peer1 --peers {PEERS} --expect 3")).unwrap();
        let without = settings(
            "--id peer1 --listen 127.0.0.1:7001 --peers peer2=127.0.0.1:7002 --peers peer3=127.0.0.1:7003 --expect 3",
        )
        .unwrap();
        assert_eq!((with.config, with.peers), (without.config, without.peers));
        assert_eq!(with.listen, without.listen);
    }

    #[test]
    fn every_wrong_use_is_refused_with_its_reason() {
        for (options, reason) in [
            ("--peers peer1=127.0.0.1:7001", "--id"),
            ("--id peer1", "--peers"),
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
    fn a_seed_repeats_a_node_and_still_tells_nodes_apart() {
        let of = |id: &str| randomness(Some(7), &id.parse().unwrap());
        assert_eq!(of("peer1"), of("peer1"));
        assert_ne!(of("peer1"), of("peer2"));
        let random = || randomness(None, &"peer1".parse().unwrap());
        assert_ne!(random(), random());
    }
}
