//! The usual beginning: one node with a pool, a driver and a kubelet.

use super::client::Client;
use super::driver::{Driver, Setup};
use super::kubelet::Kubelet;
use super::leaks::Leaks;
use super::node::Node;
use super::pool::{PoolDisk, PoolKind};
use super::requests::GIB;

/// A node with everything on it. Parts go in the order in which they are listed.
#[derive(Debug)]
pub struct Scene {
    /// Calls the driver.
    pub client: Client,
    /// Uses the driver as kubelet does.
    pub kubelet: Kubelet,
    /// The driver, running.
    pub driver: Driver,
    /// Where its volumes lie.
    pub pool: PoolDisk,
    /// The machine.
    pub node: Node,
}

impl Scene {
    /// A scene with a pool of that kind, large enough for most tests.
    pub fn on(kind: PoolKind) -> Self {
        Self::with(kind, |setup| setup)
    }

    /// A scene whose driver is started otherwise.
    pub fn with(kind: PoolKind, change: impl FnOnce(Setup) -> Setup) -> Self {
        let node = Node::new();
        let pool = PoolDisk::new(&node, kind, 4 * GIB.unsigned_abs());
        let driver = change(Setup::on(&node, pool.path())).start();
        let setup = driver.setup();
        let client = Client::on(node.place(), setup.socket());
        let kubelet = Kubelet::new(node.place(), node.kubelet_dir(), setup.name(), &client);
        Self {
            client,
            kubelet,
            driver,
            pool,
            node,
        }
    }

    /// What lies around now, to be compared with later.
    pub fn leaks(&self) -> Leaks<'_> {
        Leaks::of(&self.node, &[&self.pool])
    }

    /// Reboots the node: the driver dies, mounts and loop devices vanish, the boot id changes, the driver starts. Kubelet has
    /// forgotten what was in use.
    pub fn reboot(&mut self) {
        self.driver.kill();
        self.kubelet.lose_mounts();
        let volumes = self.node.beneath(self.pool.path());
        volumes.detach();
        self.node.pretend_reboot();
        self.driver.start();
    }
}
