//! The sensor network's protocol in an in-memory cluster: virtual time, keyed randomness, and every fault there is.
//!
//! * `rules`: one script per rule, one core alone, in the ways of `modes`.
//! * `noise`: one core under messages that no correct node would send.
//! * `stories`: faults that people know by name, in a whole cluster; `long_stories`: messages and members under them.
//! * `schedules`: thousands of random fault schedules; see there for the command that runs them all, or one of them again.
//! * `oracle`: what must be true of each of them; `planted` and `mistakes` show that it bites.

mod chance;
mod clients;
mod cluster;
mod disk;
mod faults;
mod foundings;
mod hostile;
mod long_stories;
#[cfg(feature = "mistakes")]
mod mistakes;
mod modes;
mod network;
mod noise;
mod oracle;
mod planted;
mod rules;
mod schedules;
mod script;
mod stories;
