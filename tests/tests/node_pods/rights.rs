//! What the processes of our pods may do, and what they see: what the manifests give them, looked at from outside.

use crate::machine::{KUBELET_DIR, Machine, Running, daemonset};
use testkit::manifests::{find, render};

/// DAC_OVERRIDE, as /proc tells capabilities.
const FILES: &str = "0000000000000002";
/// That and NET_ADMIN.
const ROUTES: &str = "0000000000001002";
const NONE: &str = "0000000000000000";

impl Machine {
    /// A file of a container's process in /proc.
    fn proc(&self, running: &Running, file: &str) -> String {
        let pid = self.containerd().pid(&running.container);
        let file = format!("/proc/{pid}/{file}");
        self.containerd().inside().sh(&format!("cat {file}"))
    }

    /// A line of its `status`.
    fn right(&self, running: &Running, name: &str) -> String {
        let status = self.proc(running, "status");
        let mut lines = status.lines();
        let line = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(":\t"));
        line.unwrap().to_owned()
    }

    /// The fields of a mount of its namespace.
    fn mount(&self, running: &Running, target: &str) -> Vec<String> {
        let table = self.proc(running, "mountinfo");
        let mut mounts = table
            .lines()
            .map(|line| line.split(' ').map(str::to_owned).collect());
        let found = mounts.rfind(|fields: &Vec<String>| fields[4] == target);
        found.unwrap_or_else(|| panic!("nothing is mounted at {target}: {table}"))
    }

    /// Root, and nothing of what root may do.
    #[track_caller]
    pub fn assert_without_rights(&self, running: &Running) {
        self.assert_rights(running, NONE);
    }

    #[track_caller]
    fn assert_rights(&self, running: &Running, capabilities: &str) {
        assert_eq!(self.right(running, "Uid"), "0\t0\t0\t0");
        for set in ["CapEff", "CapPrm", "CapBnd", "CapInh", "CapAmb"] {
            let of_set = self.right(running, set);
            let expected = if matches!(set, "CapInh" | "CapAmb") {
                NONE
            } else {
                capabilities
            };
            assert_eq!(of_set, expected, "{set}");
        }
        assert_eq!(self.right(running, "NoNewPrivs"), "1");
        assert_eq!(self.right(running, "Seccomp"), "2");
        self.assert_root_is_read_only(running);
    }

    #[track_caller]
    fn assert_root_is_read_only(&self, running: &Running) {
        let root = self.mount(running, "/");
        assert!(root[5].starts_with("ro"), "{root:?}");
    }
}

#[test]
fn the_agent_has_no_rights_but_those_for_folders_and_routes() {
    for (overlay, capabilities) in [
        ("overlays/minikube", FILES),
        ("overlays/multi-node", ROUTES),
    ] {
        let machine = Machine::new();
        let workload = find(&render(overlay), "DaemonSet", "hawser-node").clone();
        let agent = machine.start(&workload, "hawser-node");
        machine.assert_rights(&agent, capabilities);
        let routes = machine.node.sh("nft list tables").contains("hawser_node");
        assert_eq!(routes, capabilities == ROUTES, "{overlay}");
        machine.containerd().await_network();
        machine.end_agent_for_good(&agent);
        assert_eq!(machine.node.sh("nft list tables"), "", "{overlay}");
    }
}

#[test]
fn the_driver_shares_kubelets_mounts_and_nothing_else() {
    let machine = Machine::new();
    let _agent = machine.start(&daemonset("hawser-node"), "hawser-node");
    machine.containerd().await_network();
    let driver = machine.start(&daemonset("hawser-csi-node"), "driver");
    assert_eq!(machine.right(&driver, "Uid"), "0\t0\t0\t0");
    machine.assert_root_is_read_only(&driver);
    assert_eq!(machine.mount(&driver, "/dev")[8], "devtmpfs");
    let shared = |target: &str| {
        let fields = machine.mount(&driver, target);
        fields.iter().any(|field| field.starts_with("shared:"))
    };
    assert!(shared(KUBELET_DIR));
    for own in ["/csi", "/dev", "/var/lib/hawser/pool"] {
        assert!(!shared(own), "{own}");
    }
    // What is mounted on the node later is seen inside, so that kubelet and driver speak of the same.
    let later = format!("{KUBELET_DIR}/later");
    machine
        .node
        .sh(&format!("mkdir {later}; mount -t tmpfs tmpfs {later}"));
    assert_eq!(machine.mount(&driver, &later)[8], "tmpfs");
    machine.node.sh(&format!("umount {later}"));
}
