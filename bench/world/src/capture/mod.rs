//! Output of nodes: read without loss, stored as it is, shown as people read it, and searched for events.

mod patterns;

pub use patterns::{Found, LINE_CONSIDERED, Meaning, Patterns};
