//! Who takes part.

use std::path::{Path, PathBuf};
use testkit::Plugins;

/// One of the three.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Contender {
    /// Debian's containernetworking-plugins.
    Reference,
    /// Ours.
    Hawser,
    /// The bare program `floor`.
    Floor,
}

impl Contender {
    pub const ALL: [Self; 3] = [Self::Reference, Self::Hawser, Self::Floor];

    /// As tables name it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reference => "reference",
            Self::Hawser => "Hawser",
            Self::Floor => "floor",
        }
    }

    /// Its executable for a plugin; the floor is one for all.
    pub fn executable(self, plugin: &str) -> PathBuf {
        match self {
            Self::Reference => Plugins::reference().executable(plugin),
            Self::Hawser => Plugins::under_test().executable(plugin),
            Self::Floor => Path::new(env!("CARGO_BIN_EXE_floor")).to_owned(),
        }
    }
}
