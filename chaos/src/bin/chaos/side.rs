//! The two regions of a pair.

use std::fmt;

/// A region: `west` is the source of the forward link, `east` its target.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    West,
    East,
}

impl Side {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::West, Self::East];

    /// Its place in arrays of both.
    pub const fn index(self) -> usize {
        match self {
            Self::West => 0,
            Self::East => 1,
        }
    }

    /// The other one.
    pub const fn other(self) -> Self {
        match self {
            Self::West => Self::East,
            Self::East => Self::West,
        }
    }

    /// Its name in the configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::West => "west",
            Self::East => "east",
        }
    }

    /// The link that brings the other region's writes here, as `/status` names it.
    pub const fn link_into(self) -> &'static str {
        match self {
            Self::West => "reverse",
            Self::East => "forward",
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.name())
    }
}
