//! From a bare node to a bare node: network and storage come with their pods, are used, outlive what happens to those, and
//! go.

use crate::machine::{
    BIN_DIR, CONF_DIR, DAEMONSET, DRIVER, KUBELET_DIR, Machine, POOL_DIR, Running, daemonset, shell,
};
use serde_json::{Value, json};
use testkit::containerd::{Container, Sandbox};
use testkit::csi::requests::*;
use testkit::csi::{Mount, Pv};
use testkit::eventually;

/// Writes a line with the next number, again and again, and ends at the first failure.
const WRITER: &str = "n=0; while :; do echo $n >>/data/lines; n=$((n + 1)); sleep 0.02; done";

/// A volume that a pod of somebody else is writing to.
struct Use<'a> {
    machine: &'a Machine,
    pv: Pv,
    file: String,
    sandbox: Sandbox,
    writer: Container,
}

impl<'a> Use<'a> {
    fn begin(machine: &'a Machine) -> Self {
        let request = create_volume("one").size(64 * MIB);
        let request = request.parameter("kind", "image");
        let volume = machine.client.create_volume(request).unwrap().volume;
        let pv = Pv::of("one", &volume.unwrap());
        let path = machine.kubelet.publish(&pv, "pod-one").unwrap();
        let (sandbox, writer) = machine.user("writer", shell(&path, WRITER));
        let used = Self {
            machine,
            file: path.join("lines").display().to_string(),
            pv,
            sandbox,
            writer,
        };
        used.assert_goes_on();
        used
    }

    fn lines(&self) -> usize {
        let text = self.machine.node.read(&self.file).unwrap_or_default();
        let lines: Vec<_> = text.lines().collect();
        let counted = lines.iter().enumerate();
        let wrong = counted
            .map(|(n, line)| (n.to_string(), line))
            .find(|(n, line)| n != *line);
        assert_eq!(wrong, None, "every line is there, once");
        lines.len()
    }

    /// The other pod writes, and the host sees it.
    #[track_caller]
    fn assert_goes_on(&self) {
        let before = self.lines();
        eventually("the pod goes on writing", || self.lines() > before);
    }

    /// Kubelet registers the driver again, repeats its calls, and finds everything as it was.
    #[track_caller]
    fn assert_known_again(&self, mounts: &[Mount]) {
        register(self.machine);
        self.machine.kubelet.restart().unwrap();
        assert_eq!(self.machine.mounts_of_volumes(), mounts);
        self.assert_goes_on();
    }

    /// Takes the pod away, and then its volume.
    fn end(self) {
        self.machine
            .containerd()
            .kill_container(&self.writer)
            .unwrap();
        self.machine.gone(&self.sandbox);
        self.machine.kubelet.unpublish(&self.pv, "pod-one").unwrap();
        self.machine.kubelet.unstage(&self.pv).unwrap();
        let id = &self.pv.volume.volume_id;
        self.machine
            .client
            .delete_volume(delete_volume(id))
            .unwrap();
    }
}

/// Kubelet finds the driver's socket, learns who it is, reaches it at the path that it tells, and says that it is known.
fn register(machine: &Machine) {
    let (info, node) = machine.kubelet.register().unwrap();
    assert_eq!(
        (info.r#type.as_str(), info.name.as_str()),
        ("CSIPlugin", DRIVER)
    );
    assert_eq!(
        info.endpoint,
        format!("{KUBELET_DIR}/plugins/{DRIVER}/csi.sock")
    );
    assert_eq!(node.node_id, "n1");
}

/// Kills the process of a container, whoever it is to the runtime.
fn kill(machine: &Machine, running: &Running) {
    let containerd = machine.containerd();
    let pid = containerd.pid(&running.container);
    containerd.inside().sh(&format!("kill -KILL {pid}"));
    assert_eq!(containerd.exit_code(&running.container), 137);
}

/// A DaemonSet with the next version's image, which is on the node.
fn upgraded(machine: &Machine, mut workload: Value) -> Value {
    let next = "hawser/hawser:next";
    let tag = format!("images tag --force {} docker.io/{next}", testkit::IMAGE);
    machine.containerd().ctr(&tag);
    eventually("the next image is known", || {
        machine.containerd().has_image(next)
    });
    let image = workload.pointer_mut("/spec/template/spec/containers/0/image");
    *image.unwrap() = json!(next);
    workload
}

#[test]
fn a_node_gets_network_and_storage_and_gives_them_back() {
    let machine = Machine::new();
    let before = machine.state();
    let agent = machine.start(&daemonset("hawser-node"), "hawser-node");
    machine.containerd().await_network();
    let driver = machine.start(&daemonset("hawser-csi-node"), "driver");
    assert_eq!(driver.sandbox.ips.len(), 1, "it is in the pod network");
    register(&machine);

    let unused = machine.state();
    let used = Use::begin(&machine);
    used.assert_goes_on();
    used.end();
    unused.assert_regained(&machine);
    machine.end_for_good(&driver, &agent);
    before.assert_regained(&machine);
}

#[test]
fn folders_of_another_user_are_installed_into_and_given_back() {
    let machine = Machine::new();
    machine.node.sh(&format!(
        "echo theirs >{BIN_DIR}/bridge; chmod 755 {BIN_DIR}/bridge; chmod 700 {CONF_DIR}
         chown -R 1001:127 {BIN_DIR} {CONF_DIR}"
    ));
    let before = machine.state();
    let agent = machine.start(&daemonset("hawser-node"), "hawser-node");
    machine.containerd().await_network();
    let bridge = format!("cmp {BIN_DIR}/bridge {BIN_DIR}/hawser");
    machine.node.sh(&bridge);
    machine.delete_agent(&agent);
    before.assert_regained(&machine);
    let bridge = machine.node.sh(&format!("cat {BIN_DIR}/bridge"));
    assert_eq!(bridge.trim(), "theirs");
}

#[test]
fn pods_and_their_volumes_outlive_killed_and_replaced_pods_of_ours() {
    let machine = Machine::new();
    let before = machine.state();
    let workloads = ["hawser-node", "hawser-csi-node"].map(daemonset);
    let mut agent = machine.start(&workloads[0], "hawser-node");
    machine.containerd().await_network();
    let mut driver = machine.start(&workloads[1], "driver");
    register(&machine);
    let used = Use::begin(&machine);
    let mounts = machine.mounts_of_volumes();

    kill(&machine, &driver);
    kill(&machine, &agent);
    used.assert_goes_on();
    machine.restart(&mut agent);
    machine.restart(&mut driver);
    used.assert_known_again(&mounts);

    let [next_agent, next_driver] = workloads.map(|workload| upgraded(&machine, workload));
    machine.end(&driver);
    machine.end(&agent);
    used.assert_goes_on();
    let agent = machine.start(&next_agent, "hawser-node");
    let driver = machine.start(&next_driver, "driver");
    used.assert_known_again(&mounts);

    used.end();
    assert_eq!(machine.mounts_of_volumes(), []);
    machine.end_for_good(&driver, &agent);
    before.assert_regained(&machine);
}

impl Machine {
    /// Hawser is removed as docs/install.md says: the storage's pods, which are in the network as well, then the network's
    /// DaemonSet, then what remains on the node.
    fn end_for_good(&self, driver: &Running, agent: &Running) {
        self.end(driver);
        let registry = self.node.list(format!("{KUBELET_DIR}/plugins_registry"));
        assert_eq!(registry, [""; 0], "kubelet does not look for it any more");
        self.end_agent_for_good(agent);
        self.node.sh(&format!(
            "rm -r {POOL_DIR}/* {KUBELET_DIR}/plugins/{DRIVER} /var/lib/cni/networks/podnet /run/hawser
             ip link delete cni0
             nft delete table inet hawser_masquerade
             nft delete table inet hawser_firewall"
        ));
    }

    /// The same of an agent that found the folders empty.
    pub fn end_agent_for_good(&self, agent: &Running) {
        self.delete_agent(agent);
        for folder in [BIN_DIR, CONF_DIR] {
            assert_eq!(self.node.list(folder), [""; 0], "{folder}");
        }
    }

    /// The agent's DaemonSet is deleted, and its pod with it.
    fn delete_agent(&self, agent: &Running) {
        eventually("the agent has seen its DaemonSet", || {
            let said = self.containerd().output_of(&agent.container);
            said.contains("belongs to the DaemonSet hawser-system/hawser-node")
        });
        self.server.answer(DAEMONSET, 404, json!({}));
        self.end(agent);
    }
}
