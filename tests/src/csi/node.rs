//! A node of its own for each test.

use super::scope::{Loop, Mount, Scope};
use crate::host::{Host, SCRATCH};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

static MADE: AtomicU32 = AtomicU32::new(0);

/// A machine with mounts of its own ([`Host`]) and a directory on it whose name no other test uses. Whatever is mounted or
/// looped there goes with the node, also when a test panics; with the process, when a test is killed.
#[derive(Debug)]
pub struct Node {
    host: Host,
    scope: Scope,
}

impl Node {
    /// Makes a node. Needs root.
    #[expect(
        clippy::new_without_default,
        reason = "it takes root's rights and asks the kernel for namespaces"
    )]
    pub fn new() -> Self {
        let host = Host::new();
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let root = Path::new(SCRATCH).join(format!("node-{}-{number}", std::process::id()));
        let kubelet = root.join("kubelet");
        host.sh(&format!(
            "mkdir -p {kubelet} && cd {kubelet} && mkdir pods plugins plugins_registry",
            kubelet = kubelet.display()
        ));
        let scope = Scope::new(&host, root);
        Self { host, scope }
    }

    /// The directory that is this node's alone.
    pub fn root(&self) -> &Path {
        self.scope.dir()
    }

    /// What is /var/lib/kubelet on a real node.
    pub fn kubelet_dir(&self) -> PathBuf {
        self.root().join("kubelet")
    }

    /// What the kernel has beneath one directory of the node.
    pub fn beneath(&self, dir: impl Into<PathBuf>) -> Scope {
        Scope::new(&self.host, dir)
    }

    /// All mounts of this node beneath its [`root`](Self::root).
    pub fn mounts(&self) -> Vec<Mount> {
        self.scope.mounts()
    }

    /// The mount that is seen at `path`, if something is mounted just there.
    pub fn mount_at(&self, path: impl AsRef<Path>) -> Option<Mount> {
        let at = |mount: &Mount| mount.target == path.as_ref();
        self.mounts().into_iter().rfind(at)
    }

    /// All loop devices over files of this node.
    pub fn loops(&self) -> Vec<Loop> {
        self.scope.loops()
    }
}

impl Deref for Node {
    type Target = Host;

    fn deref(&self) -> &Host {
        &self.host
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        left_behind(&self.scope.release());
    }
}

/// Complains about what could not be taken away: as a failure, or as a note when the test has failed already.
#[expect(clippy::print_stderr, reason = "a panic within a panic would abort")]
pub(super) fn left_behind(what: &[String]) {
    if std::thread::panicking() && !what.is_empty() {
        eprintln!("left behind: {what:#?}");
    } else {
        assert!(what.is_empty(), "left behind: {what:#?}");
    }
}
