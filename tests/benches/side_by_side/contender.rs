//! Who takes part.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use testkit::Plugins;

/// One of the four.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Contender {
    /// Debian's containernetworking-plugins.
    Reference,
    /// Ours, an executable for each plugin.
    Apart,
    /// Ours as a node has it: one executable under the names of all plugins.
    Hawser,
    /// The bare program `floor`.
    Floor,
}

impl Contender {
    pub const ALL: [Self; 4] = [Self::Reference, Self::Apart, Self::Hawser, Self::Floor];
    /// Those between which most is decided.
    pub const MAIN: [Self; 3] = [Self::Reference, Self::Hawser, Self::Floor];

    /// As tables name it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Reference => "reference",
            Self::Apart => "Hawser, apart",
            Self::Hawser => "Hawser",
            Self::Floor => "floor",
        }
    }

    /// Its executable for a plugin; the floor is one for all.
    pub fn executable(self, plugin: &str) -> PathBuf {
        match self {
            Self::Reference => Plugins::reference().executable(plugin),
            Self::Apart => Plugins::under_test().executable(plugin),
            Self::Hawser => installed().executable(plugin),
            Self::Floor => Path::new(env!("CARGO_BIN_EXE_floor")).to_owned(),
        }
    }
}

/// The folder into which `hawser` has installed itself.
fn installed() -> &'static Plugins {
    static INSTALLED: OnceLock<Plugins> = OnceLock::new();
    INSTALLED.get_or_init(|| {
        let hawser = Plugins::under_test().executable("hawser");
        let folder = hawser.with_file_name("hawser-installed");
        let mut install = Command::new(&hawser);
        install.arg("install").arg("--bin-dir").arg(&folder);
        let output = install.output();
        let done = output.as_ref().is_ok_and(|output| output.status.success());
        assert!(done, "install {}: {output:?}", folder.display());
        Plugins::at(folder)
    })
}
