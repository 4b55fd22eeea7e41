//! Which executables are tested: ours by default, any folder of plugins on request.

use std::path::{Path, PathBuf};

/// Where Debian's package `containernetworking-plugins` puts the reference plugins.
pub const REFERENCE: &str = "/usr/lib/cni";

/// The variable that names the folder of the plugins under test.
pub const PLUGIN_DIR: &str = "HAWSER_PLUGIN_DIR";

/// A folder of plugin executables.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plugins {
    dir: PathBuf,
}

impl Plugins {
    /// The plugins under test: those of the folder in [`PLUGIN_DIR`], else those that cargo built beside the test.
    pub fn under_test() -> Self {
        std::env::var_os(PLUGIN_DIR).map_or_else(Self::built_here, Self::at)
    }

    /// The plugins that cargo built beside the test, each an executable of its own.
    pub fn built_here() -> Self {
        Self::at(built_here())
    }

    /// The reference plugins.
    pub fn reference() -> Self {
        Self::at(REFERENCE)
    }

    /// The plugins of a folder.
    pub fn at(dir: impl Into<PathBuf>) -> Self {
        // Plugins run in other places, with another working directory.
        let dir = dir.into();
        Self {
            dir: std::path::absolute(&dir).unwrap_or(dir),
        }
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Whether these are the reference plugins, whose error codes and later protocol versions are not held to the spec.
    pub fn is_reference(&self) -> bool {
        self.dir == Path::new(REFERENCE)
    }

    /// The executable of a plugin. That it is missing is said with the way to get it.
    pub fn executable(&self, plugin_type: &str) -> PathBuf {
        let path = self.dir.join(plugin_type);
        let remedy = if self.is_reference() {
            "install Debian's package containernetworking-plugins".to_owned()
        } else {
            format!(
                "build it (cargo build -p the crate of `{plugin_type}`), or name another folder in {PLUGIN_DIR}"
            )
        };
        assert!(
            path.is_file(),
            "there is no plugin {}: {remedy}",
            path.display()
        );
        path
    }
}

/// `target/<triple>/<profile>`: a test runs from `deps` below it, a program from the folder itself.
pub(crate) fn built_here() -> PathBuf {
    let exe = std::env::current_exe().expect("the path of the running test");
    let dir = exe.parent().unwrap_or(Path::new("/"));
    let profile = if dir.ends_with("deps") || dir.ends_with("examples") {
        dir.parent().unwrap_or(dir)
    } else {
        dir
    };
    profile.to_owned()
}
