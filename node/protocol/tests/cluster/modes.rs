//! The ways in which a sensor network can be set up, as scripts and stories name them.

use dsbench_protocol::{Config, Founding, Quorum, Takeover};

pub(crate) fn majority(config: Config) -> Config {
    config
}

pub(crate) fn sticky(config: Config) -> Config {
    Config { takeover: Takeover::Sticky, ..config }
}

pub(crate) fn classroom(config: Config) -> Config {
    Config { quorum: Quorum::None, ..config }
}

pub(crate) fn classroom_joining(config: Config) -> Config {
    classroom(joining(config))
}

pub(crate) fn multicast(config: Config) -> Config {
    Config { multicast: true, ..config }
}

pub(crate) fn checkpoints(config: Config) -> Config {
    Config { checkpoint_every: 4, ..config }
}

pub(crate) fn expecting(config: Config) -> Config {
    Config { founding: Founding::Expect(3), ..config }
}

pub(crate) fn joining(config: Config) -> Config {
    Config { founding: Founding::Join, ..config }
}

pub(crate) fn bootstrap(config: Config) -> Config {
    Config { founding: Founding::Bootstrap, ..config }
}
