//! Where everything is: ports, data directories and files of the nodes, decided before the first start.

use std::path::Path;

use dsbench_core::observation::Name;
use dsbench_core::plan::Plan;
use dsbench_core::template::{Addresses, Place};
use dsbench_world::{FileSpec, Ports, WorldError, prepare_node};

use crate::driver::Setting;
use crate::error::BenchError;
use crate::lab::{self, LabSetting};
use crate::store::{Exposed, Store};

/// In host mode all nodes are on one address, with ports that are theirs; in the laboratory each has an address, and the ports that it wants.
const HOST: &str = "127.0.0.1";

/// Allocates the ports and makes the data directories. The ports are the run's as long as the second value lives.
pub(crate) fn settle(
    plan: &Plan,
    store: &Store,
    scenario_dir: &Path,
    executable: &Path,
    with_pcap: bool,
) -> Result<(Setting, Ports), BenchError> {
    let nodes_dir = store.nodes_dir().canonicalize().map_err(BenchError::file("find", store.nodes_dir()))?;
    let (addresses, ports) = address(plan, scenario_dir, &nodes_dir, executable)?;
    for node in &plan.scenario.nodes {
        let place = Place { addresses: &addresses, node: Some(&node.name), life: 1 };
        let files: Vec<_> = node
            .files
            .iter()
            .map(|file| FileSpec { path: file.path.clone().into(), text: file.text.expand(&place), mode: file.mode })
            .collect();
        let data_dir = nodes_dir.join(&*node.name);
        prepare_node(&data_dir, &files).map_err(environment)?;
        if plan.scenario.network.is_lab() {
            lab::give(node, &data_dir).map_err(environment)?;
        }
    }
    let token = store.dir().file_name().map(|name| format!("{}-{}", plan.scenario.name, name.to_string_lossy()));
    let lab = LabSetting::of(plan, store, scenario_dir, executable, with_pcap);
    Ok((Setting { addresses, token: token.unwrap_or_default(), seed: plan.seed, lab, exposed: Exposed::new() }, ports))
}

/// Every node's address, ports and (future) data directory.
pub(crate) fn address(
    plan: &Plan,
    scenario_dir: &Path,
    nodes_dir: &Path,
    executable: &Path,
) -> Result<(Addresses, Ports), BenchError> {
    let mut addresses = plan.addresses(executable.to_string_lossy(), scenario_dir.to_string_lossy());
    let mut ports = Ports::new(plan.seed);
    let network = &plan.scenario.network;
    let mut places = network.layout(&plan.scenario.nodes).endpoints.into_iter();
    for node in &plan.scenario.nodes {
        let Some(at) = addresses.nodes.get_mut(&node.name) else { continue };
        let place = places.next().filter(|_| network.is_lab());
        at.ip = place.as_ref().map_or_else(|| HOST.to_owned(), |place| place.ip4.to_string());
        at.data_dir = nodes_dir.join(&*node.name).to_string_lossy().into_owned();
        if place.is_some() {
            at.ports = node.own_ports();
            continue;
        }
        for port in &node.ports {
            let number = ports.allocate().map_err(environment)?;
            at.ports.insert(Name::clone(&port.name), number);
        }
    }
    Ok((addresses, ports))
}

/// What the machine refuses is its doing, not a bug.
fn environment(error: WorldError) -> BenchError {
    let remedy = error.remedy().map(|remedy| format!(" ({remedy})")).unwrap_or_default();
    BenchError::Environment(format!("{}{remedy}", error.told()))
}
