//! The laboratory that a run needs: who is where on its network, and where what went over it is recorded.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use dsbench_core::network::{Layout, Machine};
use dsbench_core::observation::Name;
use dsbench_core::plan::Plan;
use dsbench_core::scenario::Node;
use dsbench_world::{
    EndpointSpec, Guardian, Lab, LabSpec, LinkKind, Place, SwitchConfig, User, World, WorldError, give_node,
};

use crate::error::BenchError;
use crate::report::tell;
use crate::store::{Exposed, Store};

/// What a packet may have, if the scenario does not say: as on Ethernet.
const MTU: u16 = 1500;

/// What is asked of the laboratory.
#[derive(Debug, Clone)]
pub(crate) struct LabSetting {
    /// Everybody's addresses.
    layout: Layout,
    /// The seed of what the network does.
    seed: u64,
    /// The largest packet between nodes.
    mtu: u16,
    /// Addresses that nodes may take over from each other.
    addresses: Vec<Ipv4Addr>,
    /// Where every packet is recorded, if that is wanted.
    pcap: Option<PathBuf>,
    /// Where the messages between nodes are recorded.
    messages: PathBuf,
    /// What programs must see, wherever it is.
    visible: Vec<PathBuf>,
}

/// A laboratory, and what its switch connects.
pub(crate) struct Built {
    pub(crate) lab: Lab,
    pub(crate) switch: SwitchConfig,
}

impl LabSetting {
    /// What the plan needs; none if it runs in host mode.
    pub(crate) fn of(plan: &Plan, store: &Store, scenario_dir: &Path, executable: &Path, pcap: bool) -> Option<Self> {
        let network = &plan.scenario.network;
        let executable = executable.parent().filter(|dir| !dir.as_os_str().is_empty());
        let visible = [Some(store.dir()), Some(scenario_dir), executable].into_iter().flatten();
        network.is_lab().then(|| Self {
            layout: network.layout(&plan.scenario.nodes),
            seed: plan.seed,
            mtu: network.mtu.unwrap_or(MTU),
            addresses: network.addresses.clone(),
            pcap: pcap.then(|| store.pcap_path()),
            messages: store.messages_path(),
            visible: visible.filter_map(|path| path.canonicalize().ok()).collect(),
        })
    }

    /// Builds it, in the guardian's process, before the world that shall use it.
    pub(crate) fn build(&self, guardian: &Guardian) -> Result<Built, BenchError> {
        let mut lab = guardian.build_lab(&self.spec()).map_err(|error| {
            BenchError::Environment(format!(
                "this machine gives no network laboratory: {}",
                WorldError::from(error).told()
            ))
        })?;
        let switch = SwitchConfig {
            seed: self.seed,
            ports: std::mem::take(&mut lab.cables).into_iter().map(Into::into).collect(),
            exempt: [Name::clone(&self.layout.bench.name)].into(),
            movable: self.addresses.iter().copied().map(IpAddr::V4).collect(),
            pcap: self.pcap.clone(),
            messages: Some(self.messages.clone()),
            ..SwitchConfig::default()
        };
        Ok(Built { lab, switch })
    }

    fn spec(&self) -> LabSpec {
        let Layout { subnet, endpoints, bench } = &self.layout;
        LabSpec {
            endpoints: endpoints.iter().map(machine).collect(),
            bench: machine(bench),
            prefix: subnet.prefix(),
            mtu: self.mtu.into(),
            hosts: Vec::new(),
            link: LinkKind::Any,
            offloads: true,
            root_user: User::behind_sudo(),
            visible: self.visible.clone(),
        }
    }

    /// Where a node's programs run, and with which rights.
    pub(crate) fn place_of(&self, node: &Node) -> Place {
        let user = node.rights.user.as_deref().map(Name::from);
        let caps = node.rights.caps.iter().map(|cap| Name::from(*cap)).collect();
        Place { endpoint: node.name.clone(), user, caps }
    }

    /// Where the programs of a client run: on a machine of its own, that faults of the network can be about.
    pub(crate) fn place_of_client(&self, client: &Name) -> Place {
        Place::at(client.clone())
    }

    /// Where programs of the bench run that are not for a node: they reach every node, over links that no fault touches.
    pub(crate) fn place_of_bench(&self) -> Place {
        Place::at(self.layout.bench.name.clone())
    }
}

/// Makes the ports reachable from the host that the scenario wants to be: by node and port, where.
pub(crate) fn expose(world: &mut World, plan: &Plan) -> Result<Exposed, BenchError> {
    let mut exposed = Exposed::new();
    for node in &plan.scenario.nodes {
        let own = node.own_ports();
        for door in &node.rights.expose {
            let Some(port) = own.get(&door.port) else { continue };
            let wanted = door.number(node);
            let here = world.expose(&node.name, *port, wanted).map_err(|error| match wanted {
                Some(number) => not_to_be_had(node, &door.port, number, &error),
                None => error.into(),
            })?;
            let ports = exposed.entry(node.name.to_string()).or_default();
            ports.insert(door.port.to_string(), format!("127.0.0.1:{here}"));
        }
    }
    Ok(exposed)
}

/// A port of this machine was asked for by its number, and cannot be had.
fn not_to_be_had(node: &Node, port: &Name, number: u16, error: &WorldError) -> BenchError {
    let cause = std::error::Error::source(error).and_then(|cause| cause.downcast_ref::<io::Error>());
    let why = match cause.map(io::Error::kind) {
        Some(io::ErrorKind::AddrInUse) => {
            format!("a program of this machine, or another run, has it (which: ss -ltnp 'sport = :{number}')")
        }
        Some(io::ErrorKind::PermissionDenied) => "ports below 1024 are not an ordinary user's".to_owned(),
        _ => error.told(),
    };
    BenchError::Environment(format!(
        "{}: its port `{port}` cannot be 127.0.0.1:{number} on this machine: {why}; `expose` takes another number, or [\"{port}\"] for any that is free",
        node.name
    ))
}

/// Each exposed port, in words.
pub(crate) fn tell(exposed: &Exposed) -> impl Iterator<Item = String> {
    exposed.iter().flat_map(|(node, ports)| ports.iter().map(move |(port, addr)| tell::exposed(node, port, addr)))
}

/// Gives a node's data directory to whom the node runs as, where that is somebody else.
pub(crate) fn give(node: &Node, data_dir: &Path) -> Result<(), WorldError> {
    let failed = |source| WorldError::Create { path: data_dir.to_owned(), source };
    let user = match node.rights.user.as_deref() {
        // Who is not known here is told when the node is started.
        Some(name) => User::named(name).map_err(failed)?,
        None => User::behind_sudo(),
    };
    user.map_or(Ok(()), |user| give_node(data_dir, &user))
}

fn machine(at: &Machine) -> EndpointSpec {
    let Machine { name, ip4, ip6, mac } = at;
    EndpointSpec { name: name.to_string(), hostname: name.to_string(), ip4: *ip4, ip6: *ip6, mac: *mac }
}
