//! How a cluster that is up is spoken to: the words of the protocol, and where its socket is.
//!
//! Lines of JSON over a Unix socket in the run's directory, which only its owner may enter. Whoever speaks says `{"v":1,"id":1,"do":"kill",
//! "target":["leader"]}` and hears `{"v":1,"done":{"id":1,..}}` when it is done, or `{"v":1,"refused":{"id":1,"why":".."}}`.

pub(crate) mod call;
pub(crate) mod clusters;
mod request;
mod word;

pub(crate) use request::{Ask, Request, no_such_verb, typed_verbs};
pub(crate) use word::{Done, NodeStatus, Status, Told, Word};

/// The version of the protocol. Within one version it only grows by keys, and a reader passes over keys that it does not know.
pub(crate) const VERSION: u32 = 1;
