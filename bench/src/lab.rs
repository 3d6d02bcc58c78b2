//! The laboratory that a run needs: who is where on its network, and where what went over it is recorded.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use dsbench_core::network::Layout;
use dsbench_core::plan::Plan;

use crate::error::BenchError;
use crate::store::Store;

/// What is asked of the laboratory.
#[derive(Debug, Clone)]
#[expect(dead_code, reason = "whoever builds the laboratory reads it")]
pub(crate) struct LabSetting {
    /// Everybody's addresses.
    pub(crate) layout: Layout,
    /// The largest packet between nodes, if the scenario says.
    pub(crate) mtu: Option<u16>,
    /// Addresses that nodes may take over from each other.
    pub(crate) addresses: Vec<Ipv4Addr>,
    /// Where every packet is recorded, if that is wanted.
    pub(crate) pcap: Option<PathBuf>,
    /// Where the messages between nodes are recorded.
    pub(crate) messages: PathBuf,
}

impl LabSetting {
    /// Why there is no such laboratory.
    pub(crate) fn cannot_be_built(&self) -> BenchError {
        BenchError::Environment(format!(
            "the scenario needs the network laboratory ({} nodes in {}), which this build of dsbench does not have",
            self.layout.endpoints.len(),
            self.layout.subnet
        ))
    }

    /// What the plan needs; none if it runs in host mode.
    pub(crate) fn of(plan: &Plan, store: &Store, with_pcap: bool) -> Option<Self> {
        let network = &plan.scenario.network;
        network.is_lab().then(|| Self {
            layout: network.layout(&plan.scenario.nodes),
            mtu: network.mtu,
            addresses: network.addresses.clone(),
            pcap: with_pcap.then(|| store.pcap_path()),
            messages: store.messages_path(),
        })
    }
}
