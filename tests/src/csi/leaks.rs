//! What a driver leaves behind: mounts, loop devices, files.

use super::node::Node;
use super::pool::PoolDisk;
use crate::dump::Diff;
use crate::wait::{PATIENCE, eventually};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::time::{Duration, Instant};

/// A snapshot of what lies around on a node: its mounts, the loop devices over its files, and the paths in its pools and in
/// kubelet's directory, but for the sockets of registration, which come some time after a driver listens. Nothing in it
/// depends on how a driver keeps its records, except that they are files.
#[derive(Debug)]
pub struct Leaks<'a> {
    node: &'a Node,
    pools: Vec<&'a PoolDisk>,
    before: BTreeMap<String, Value>,
}

impl<'a> Leaks<'a> {
    /// Takes the snapshot, once two looks find the same: what was deleted before may still be on its way out.
    pub fn of(node: &'a Node, pools: &[&'a PoolDisk]) -> Self {
        let pools = pools.to_vec();
        let mut before = state(node, &pools);
        eventually("nothing changes", || {
            let again = state(node, &pools);
            std::mem::replace(&mut before, again) == before
        });
        Self {
            node,
            pools,
            before,
        }
    }

    /// What is different now.
    pub fn diff(&self) -> Diff {
        Diff::between(&self.before, &state(self.node, &self.pools))
    }

    /// Fails the test, with the differences, unless everything is as it was, or comes to be so before [`PATIENCE`] ends: a
    /// driver may clear away in the background.
    #[track_caller]
    pub fn assert_none(&self) {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let diff = self.diff();
            if diff.is_empty() {
                return;
            }
            assert!(Instant::now() < deadline, "left behind:\n{diff}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn state(node: &Node, pools: &[&PoolDisk]) -> BTreeMap<String, Value> {
    let mut state = BTreeMap::new();
    for mount in node.mounts() {
        // One path may be mounted over several times.
        let name = format!("mount {}", mount.target.display());
        let layers = state.entry(name).or_insert_with(|| json!([]));
        if let Value::Array(layers) = layers {
            layers.push(json!(mount.to_string()));
        }
    }
    for device in node.loops() {
        state.insert(format!("loop device {device}"), json!({}));
    }
    let pools = pools.iter().map(|pool| pool.path().to_owned());
    for dir in pools.chain([node.kubelet_dir()]) {
        let files = node.beneath(&dir).files();
        for path in files.iter().filter(|path| !is_registration(path)) {
            let name = format!("file {}", dir.join(path).display());
            state.insert(name, json!({}));
        }
    }
    state
}

/// Whether a path in kubelet's directory is the socket by which a driver announces itself.
fn is_registration(path: &Path) -> bool {
    path.parent() == Some(Path::new("plugins_registry"))
        && path.extension().is_some_and(|end| end == "sock")
}
