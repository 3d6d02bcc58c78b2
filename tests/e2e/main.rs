//! The executable end to end, on real processes.
//!
//! Everything that needs only Rust and a shell runs with `cargo test`; [`needs_more`] is the second suite, run by `.ci/run`.

mod beginning;
mod bites;
mod by_hand;
mod ci;
mod delivery;
mod environment;
mod extremes;
mod formats;
mod groups;
mod hostile;
mod http;
mod interrupts;
mod junit;
mod keeping;
mod kept;
mod library;
mod misbehaving;
mod mistakes_in_files;
mod needs_more;
mod needs_more_chat;
mod needs_more_disks;
mod needs_more_lab;
mod needs_more_network;
mod needs_more_programs;
mod needs_more_records;
mod needs_more_tmux;
mod needs_more_workloads;
mod nemesis;
mod nodes;
mod processes;
mod promises;
mod scenarios;
mod series;
mod side_by_side;
mod stages;
mod stored_runs;
mod support;
mod undoing;
mod variations;
mod workloads;
