//! Names for what an epoll event is about.

/// What an epoll event is about; the number in its upper bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    Mail,
    Signals,
    Guardian,
    Keeper(u64),
    Stdin(u64),
    Probe(u64),
    Porter,
}

impl About {
    /// As epoll carries it.
    pub(super) fn number(self) -> u64 {
        let (kind, id) = match self {
            Self::Mail => (0, 0),
            Self::Signals => (1, 0),
            Self::Guardian => (2, 0),
            Self::Keeper(id) => (3, id),
            Self::Stdin(id) => (4, id),
            Self::Probe(id) => (5, id),
            Self::Porter => (6, 0),
        };
        kind << 56 | id
    }

    /// As epoll gives it back.
    pub(super) fn from_number(number: u64) -> Self {
        let id = number & ((1 << 56) - 1);
        match number >> 56 {
            0 => Self::Mail,
            1 => Self::Signals,
            2 => Self::Guardian,
            3 => Self::Keeper(id),
            4 => Self::Stdin(id),
            5 => Self::Probe(id),
            _ => Self::Porter,
        }
    }
}
