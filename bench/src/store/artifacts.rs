//! `artifacts/<node>/`: files of the nodes' data directories that the scenario wants to be kept.

use dsbench_core::plan::Plan;
use dsbench_core::template::{Addresses, Place};
use dsbench_world::Harvest;
use serde::{Deserialize, Serialize};

use super::Store;

/// What was kept, in `run.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gathered {
    /// The patterns of the scenario.
    pub paths: String,
    /// How many files were copied.
    pub files: u64,
    /// How many bytes they have.
    pub bytes: u64,
    /// What fits the patterns and was not copied, with the reason: `peer1/js/big: ...`. The first of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
    /// How many more there are.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more_left_out: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over like this")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Store {
    /// Copies what the scenario wants to be kept, when the nodes are gone. None if it wants nothing.
    pub(crate) fn gather(&self, plan: &Plan, addresses: &Addresses) -> Option<Gathered> {
        let artifacts = plan.scenario.artifacts.as_ref()?;
        let mut harvest = Harvest::new(artifacts.size_max);
        let mut left_out = Vec::new();
        for (node, at) in &addresses.nodes {
            let wanted = artifacts.wanted(&Place { addresses, node: Some(node), life: 1 });
            let into = self.dir().join("artifacts").join(&**node);
            let named = harvest.left_out.len();
            harvest.take(at.data_dir.as_ref(), &into, &|path| wanted.admits(path));
            let of_this = harvest.left_out[named..].iter();
            left_out.extend(of_this.map(|left| format!("{node}/{}: {}", left.path.to_string_lossy(), left.why)));
        }
        Some(Gathered {
            paths: artifacts.paths(),
            files: harvest.files,
            bytes: harvest.bytes,
            left_out,
            more_left_out: harvest.more_left_out,
        })
    }
}
