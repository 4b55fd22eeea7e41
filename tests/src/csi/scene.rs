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
    /// Where volumes of a class lie that asks for another pool.
    pub other: Option<PoolDisk>,
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
        Self::start(Node::new(), kind, None, change)
    }

    /// A scene whose driver has a further pool `other`, so many bytes large.
    pub fn with_other(kind: PoolKind, other: PoolKind, size: u64) -> Self {
        let node = Node::new();
        let other = PoolDisk::named(&node, "other", other, size);
        let flag = format!("other={}", other.path().display());
        Self::start(node, kind, Some(other), |setup| setup.flag("pool", &flag))
    }

    fn start(
        node: Node,
        kind: PoolKind,
        other: Option<PoolDisk>,
        change: impl FnOnce(Setup) -> Setup,
    ) -> Self {
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
            other,
            node,
        }
    }

    /// What lies around now, to be compared with later.
    pub fn leaks(&self) -> Leaks<'_> {
        let pools: Vec<_> = [&self.pool].into_iter().chain(&self.other).collect();
        Leaks::of(&self.node, &pools)
    }

    /// The node loses its power and comes back: as [`Self::reboot`], and what no filesystem had written to the pool's disk is
    /// lost.
    pub fn lose_power(&mut self) {
        self.driver.kill();
        let disk = self.pool.on_disk();
        self.kubelet.lose_mounts();
        self.node.beneath(self.pool.path()).detach();
        self.pool.come_back(disk);
        self.node.pretend_reboot();
        self.driver.start();
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
