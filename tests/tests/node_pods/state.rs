//! What there is on a node, to be compared with later: its network and its mounts, the loop devices over its pool, and every
//! path in the folders that the manifests mount.

use crate::machine::{BIN_DIR, CONF_DIR, KUBELET_DIR, Machine, POOL_DIR};
use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};
use testkit::Dump;
use testkit::csi::Node;

pub struct State {
    dump: Dump,
    found: BTreeSet<String>,
}

impl State {
    pub fn of(node: &Node, pool: &Path) -> Self {
        let folders = [
            BIN_DIR,
            CONF_DIR,
            KUBELET_DIR,
            POOL_DIR,
            "/var/lib/cni/networks",
            "/run/hawser",
        ];
        let folders = folders.join(" ");
        // Not each is there, and a path may go while find looks at it.
        let paths = node.sh(&format!(
            "find {folders} -printf '%p %y %m %U:%G\\n' 2>/dev/null || true"
        ));
        // Files in the machine's own /dev would be left by whoever mounts it, and lets files be mounted into it.
        let files = node.sh("find /dev -maxdepth 1 -type f");
        let mut found: BTreeSet<_> = paths
            .lines()
            .chain(files.lines())
            .map(str::to_owned)
            .collect();
        found.extend(loops(node, pool));
        Self {
            dump: Dump::of(node),
            found,
        }
    }

    /// Asserts that the node becomes so again within some seconds.
    #[track_caller]
    pub fn assert_regained(&self, machine: &Machine) {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let differences = self.differences(&machine.state());
            if differences.is_empty() {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "something was left or lost: {differences:#?}"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What is different later.
    pub fn differences(&self, later: &Self) -> Vec<String> {
        let mut lines = self.dump.diff(&later.dump).lines().to_vec();
        let gone = self.found.difference(&later.found);
        lines.extend(gone.map(|path| format!("- {path}")));
        let come = later.found.difference(&self.found);
        lines.extend(come.map(|path| format!("+ {path}")));
        lines
    }
}

/// The loop devices over files of the pool's filesystem. Containers name these files by other paths, so that they are known
/// by the filesystem's device.
pub fn loops(node: &Node, pool: &Path) -> Vec<String> {
    let pool = pool.display();
    let all = node.sh(&format!(
        "device=$(stat -c %Hd:%Ld {pool})
         losetup --list --noheadings --output NAME,BACK-MAJ:MIN | awk -v device=$device '$2 == device {{ print $1 }}'"
    ));
    all.lines().map(str::to_owned).collect()
}

/// Detaches them.
pub fn detach_loops(node: &Node, pool: &Path) {
    for device in loops(node, pool) {
        node.succeeds(&format!("losetup --detach {device}"));
    }
}
