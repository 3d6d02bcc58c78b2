//! The Linux world of dsbench in host mode: real processes on 127.0.0.1, their output, and the run clock.
//!
//! One loop on one thread (the driver's) decides everything; what happens outside reaches it through [`World::next`]. Threads beside it
//! move bytes by fixed rules and never choose.

mod background;
mod capture;
mod clock;
mod control;
mod crew;
mod desk;
mod ending;
mod error;
mod examine;
mod expose;
mod harvest;
mod lab;
mod launch;
mod lock;
mod mailbox;
mod network;
mod node_dir;
mod outside;
mod ports;
mod process;
mod sample;
mod signals;
mod thread;
mod world;

pub use background::{Background, let_go_of_terminal, outlive_parent};
pub use capture::{Found, INDEX_RECORD_BYTES, IndexRecord, LINE_CONSIDERED, Meaning, Patterns};
pub use clock::Clock;
pub use crew::{Crew, News, errand};
pub use desk::{CallerId, Desk, DeskConfig, LINE_HEARD_MAX, Socket};
pub use ending::Ended;
pub use error::WorldError;
pub use examine::{CALLS, Call, Lateness, Limit, Limits, Space, Trial, answer, lateness, limits, space, trial};
pub use harvest::{Harvest, LeftOut};
pub use lab::{
    CAPABILITIES, Cable, CableKind, EndpointSpec, LAB_PARTS, Lab, LabError, LabPart, LabSpec, LabTrial, LinkKind,
    Place, Plug, User, lab_trial,
};
pub use lock::Lock;
pub use network::{Carrier, Port, PortKind, Switch, SwitchConfig};
pub use node_dir::{FileSpec, NodeEnv, give_node, node_env, prepare_node};
pub use outside::{ExecId, Executed, Happening, InputId, Outside, ProbeId};
pub use ports::Ports;
pub use process::{ExecInput, ExecSpec, FollowSpec, Guardian, HttpGet, ProbeSpec, Program, SpawnSpec};
pub use signals::{Signals, signal_name};
pub use world::{Scope, World, WorldConfig};
