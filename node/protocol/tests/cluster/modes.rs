//! The ways in which a sensor network can be set up, as scripts and stories name them.

use dsbench_protocol::{Config, Quorum, Takeover};

pub(crate) fn majority(config: Config) -> Config {
    config
}

pub(crate) fn sticky(config: Config) -> Config {
    Config { takeover: Takeover::Sticky, ..config }
}

pub(crate) fn classroom(config: Config) -> Config {
    Config { quorum: Quorum::None, ..config }
}
