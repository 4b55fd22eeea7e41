//! A node with containerd, our image, a pool on a disk of its own and an API server, before anything of Hawser runs.

use crate::state::State;
use serde_json::{Value, json};
use std::path::Path;
use testkit::api_server::{ACCOUNT, Server, node};
use testkit::containerd::manifest::{ManifestPod, Placement};
use testkit::containerd::{
    BUSYBOX, Container, ContainerOptions, Containerd, PodOptions, Propagation, Sandbox,
};
use testkit::csi::requests::GIB;
use testkit::csi::{Client, Kubelet, Mount, Node, PoolDisk, PoolKind};
use testkit::manifests::{find, render};

pub const BIN_DIR: &str = "/opt/cni/bin";
pub const CONF_DIR: &str = "/etc/cni/net.d";
pub const KUBELET_DIR: &str = "/var/lib/kubelet";
/// Where `overlays/minikube` has the pool.
pub const POOL_DIR: &str = "/var/lib/minikube/hawser/pool";
pub const DRIVER: &str = "hostpath.hawser.io";
pub const DAEMONSET: &str = "/apis/apps/v1/namespaces/hawser-system/daemonsets/hawser-node";
/// The node's part of the pod network.
const POD_CIDR: &str = "10.244.1.0/24";
const NODE: &str = "n1";

/// A container of a manifest's pod, running.
pub struct Running {
    pub pod: ManifestPod,
    pub sandbox: Sandbox,
    pub container: Container,
    name: String,
    attempt: u32,
}

/// Parts go in the order in which they are listed, after what [`Drop`] does.
pub struct Machine {
    containerd: Option<Containerd>,
    pub kubelet: Kubelet,
    pub client: Client,
    pub server: Server,
    pool: PoolDisk,
    pub node: Node,
}

impl Machine {
    pub fn new() -> Self {
        Self::with_pool(PoolKind::Xfs)
    }

    pub fn with_pool(kind: PoolKind) -> Self {
        let node = Node::new();
        own_folders(&node);
        // Kubernetes asks every node for it.
        node.set_sysctl("net/ipv4/ip_forward", "1");
        let pool = PoolDisk::new(&node, kind, 2 * GIB.unsigned_abs());
        mounted_at(&node, pool.path(), POOL_DIR);
        let client = Client::on(
            node.place(),
            format!("{KUBELET_DIR}/plugins/{DRIVER}/csi.sock"),
        );
        let kubelet = Kubelet::new(node.place(), KUBELET_DIR, DRIVER, &client);
        let server = Server::start(&node);
        server.nodes(&[testkit::api_server::node(NODE, &[POD_CIDR], &["192.0.2.1"])]);
        server.answer(DAEMONSET, 200, json!({"metadata": {"name": "hawser-node"}}));
        let (bin_dir, conf_dir) = (Path::new(BIN_DIR), Path::new(CONF_DIR));
        let containerd = Containerd::without_network(&node, bin_dir, conf_dir);
        let archive = node.scratch("image.tar");
        node.run(|| std::fs::write(&archive, testkit::packed()))
            .unwrap();
        assert_eq!(containerd.import(&archive), [testkit::IMAGE]);
        Self {
            containerd: Some(containerd),
            kubelet,
            client,
            server,
            pool,
            node,
        }
    }

    pub const fn containerd(&self) -> &Containerd {
        self.containerd.as_ref().unwrap()
    }

    /// The node has no pod CIDR any more.
    pub fn take_pod_cidr(&self) {
        self.server.nodes(&[node(NODE, &[], &["192.0.2.1"])]);
    }

    /// What there is on the node.
    pub fn state(&self) -> State {
        State::of(&self.node, self.pool.path())
    }

    /// The mounts at kubelet's paths of volumes.
    pub fn mounts_of_volumes(&self) -> Vec<Mount> {
        self.node.beneath(KUBELET_DIR).mounts()
    }

    /// The pod of a DaemonSet, as kubelet would run it here under a name.
    pub fn pod_of(&self, workload: &Value, name: &str) -> ManifestPod {
        let placement = Placement {
            pod: name.to_owned(),
            node: NODE.to_owned(),
            kubelet_dir: KUBELET_DIR.into(),
            account: ACCOUNT.into(),
            api_server: ("127.0.0.1".to_owned(), self.server.port()),
        };
        ManifestPod::of(workload, &placement).unwrap_or_else(|unknown| panic!("{unknown}"))
    }

    /// Starts a container of a DaemonSet's pod and waits until it is ready.
    pub fn start(&self, workload: &Value, container: &str) -> Running {
        let name = workload["metadata"]["name"].as_str().unwrap();
        let running = self.launch(self.pod_of(workload, name), container);
        self.await_started(&running);
        running
    }

    /// Starts a container of a pod.
    pub fn launch(&self, pod: ManifestPod, container: &str) -> Running {
        let containerd = self.containerd();
        let sandbox = containerd.run_manifest_pod(&pod).unwrap();
        let of_manifest = pod.container(container);
        let started = containerd.run_manifest_container(&sandbox, of_manifest, 0);
        Running {
            container: started.unwrap(),
            name: container.to_owned(),
            attempt: 0,
            sandbox,
            pod,
        }
    }

    /// Starts a container that has ended once more in its pod, as kubelet does, and waits until it is ready.
    pub fn restart(&self, running: &mut Running) {
        running.attempt += 1;
        let of_manifest = running.pod.container(&running.name);
        let containerd = self.containerd();
        let started =
            containerd.run_manifest_container(&running.sandbox, of_manifest, running.attempt);
        running.container = started.unwrap();
        self.await_started(running);
    }

    fn await_started(&self, running: &Running) {
        let of_manifest = running.pod.container(&running.name);
        self.containerd()
            .await_started(&running.sandbox, of_manifest, &running.container);
    }

    /// Waits until a container has ended by itself; returns what kubelet would show of it.
    pub fn last_words(&self, running: &Running) -> String {
        let code = self.containerd().exit_code(&running.container);
        assert_ne!(
            code,
            0,
            "{}",
            self.containerd().output_of(&running.container)
        );
        let file = running
            .pod
            .container(&running.name)
            .last_words(running.attempt);
        self.node.read(file).unwrap()
    }

    /// Ends a pod, as kubelet does when it is deleted.
    pub fn end(&self, running: &Running) {
        self.containerd()
            .end_manifest_pod(&running.sandbox, &running.pod, &[&running.container]);
    }

    /// A pod of somebody else, with one container.
    pub fn user(&self, name: &str, options: ContainerOptions) -> (Sandbox, Container) {
        let containerd = self.containerd();
        let sandbox = containerd.run_pod(PodOptions::new(name)).unwrap();
        let container = containerd.run_container(&sandbox, options).unwrap();
        (sandbox, container)
    }

    /// What such a container prints. The pod comes and goes for it.
    pub fn printed(&self, name: &str, options: ContainerOptions) -> String {
        let (sandbox, container) = self.user(name, options);
        let code = self.containerd().exit_code(&container);
        let said = self.containerd().output_of(&container);
        assert_eq!(code, 0, "{name}: {said}");
        self.gone(&sandbox);
        // The next pod of this name has a log of its own.
        let logs = self.containerd().log_dir().join(name);
        self.node.sh(&format!("rm -r {}", logs.display()));
        said
    }

    /// Takes such a pod away.
    pub fn gone(&self, sandbox: &Sandbox) {
        self.containerd().stop_pod(&sandbox.id).unwrap();
        self.containerd().remove_pod(&sandbox.id).unwrap();
    }
}

/// A container that runs a shell script and finds a folder of the host at /data, as kubelet shows a volume.
pub fn shell(folder: &Path, script: &str) -> ContainerOptions {
    ContainerOptions::new("main", BUSYBOX)
        .command(&["/bin/busybox", "sh", "-ec", script])
        .mount(folder, "/data", Propagation::Private)
}

/// The DaemonSet of that name in `overlays/minikube`.
pub fn daemonset(name: &str) -> Value {
    find(&render("overlays/minikube"), "DaemonSet", name).clone()
}

/// Puts folders that are the node's alone where the machine has others. /var/lib is the host's own already.
fn own_folders(node: &Node) {
    let layers = node.scratch("etc-layers");
    let layers = layers.display();
    node.sh(&format!(
        "mkdir -p {layers}/upper {layers}/work {KUBELET_DIR}/plugins_registry {POOL_DIR}
         mount -t overlay -o lowerdir=/etc,upperdir={layers}/upper,workdir={layers}/work overlay /etc
         rm -rf /etc/cni
         mount -t tmpfs -o mode=0755 tmpfs /opt
         mkdir -p {BIN_DIR} {CONF_DIR} /var/lib/cni/networks"
    ));
}

fn mounted_at(node: &Node, from: &Path, to: &str) {
    node.sh(&format!("mount --bind {} {to}", from.display()));
}

impl Drop for Machine {
    /// What a failed test has left mounted or looped is in the way of the pool's end. Loop devices over published devices are
    /// known by kubelet's paths, which all tests here share, so that one of another test may go as well: nobody misses it.
    fn drop(&mut self) {
        drop(self.containerd.take());
        self.node.beneath(KUBELET_DIR).release();
        crate::state::detach_loops(&self.node, self.pool.path());
        self.node.succeeds(&format!("umount {POOL_DIR}"));
    }
}
