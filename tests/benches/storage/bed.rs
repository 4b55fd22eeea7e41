//! Where calls are measured: a node with a pool and a driver, and volumes of one kind on it.

use crate::operation::Kind;
use proto::csi::{CreateVolumeRequest, ProbeRequest, Volume, VolumeCapability};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use testkit::csi::requests::*;
use testkit::csi::{Client, Driver, Node, PoolDisk, PoolKind, Setup};

/// What pools of their own may hold at most. Sparse.
const POOL: u64 = 24 << 30;
/// How long the driver may take to clear away.
const PATIENCE: Duration = Duration::from_secs(120);

/// A driver at work. Parts go in the order in which they are listed.
#[derive(Debug)]
pub struct Bed {
    pub client: Client,
    pub driver: Driver,
    pub pool: PoolDisk,
    pub node: Node,
}

impl Bed {
    /// A driver whose pool suits that kind.
    pub fn for_kind(kind: Kind) -> Self {
        let disk = match kind {
            Kind::Subvolume => PoolKind::Btrfs,
            Kind::Reflink => PoolKind::Xfs,
            Kind::Directory | Kind::Ext4 | Kind::Xfs | Kind::Block => PoolKind::Plain,
        };
        let node = Node::new();
        let pool = PoolDisk::new(&node, disk, POOL);
        // As it is deployed, but that nobody is there to be registered with.
        let setup = Setup::on(&node, pool.path()).flag("registration", "false");
        let driver = setup.start();
        let client = Client::on(node.place(), driver.setup().socket());
        Self {
            client,
            driver,
            pool,
            node,
        }
    }

    /// Makes a volume.
    pub fn create(&self, request: CreateVolumeRequest) -> Volume {
        create(&self.client, request)
    }

    /// Deletes a volume.
    pub fn delete(&self, volume: &Volume) {
        let deleted = self.client.delete_volume(delete_volume(&volume.volume_id));
        deleted.expect("DeleteVolume");
    }

    /// Paths at which a volume is staged and published, the directories above them made.
    pub fn paths(&self, name: &str) -> Paths {
        let dir = self.node.kubelet_dir().join("pods").join(name);
        let paths = Paths {
            staging: dir.join("staging"),
            target: dir.join("mount"),
        };
        let made = self.node.run(|| std::fs::create_dir_all(&paths.staging));
        made.expect("make the staging path");
        paths
    }

    /// Stages and publishes a volume.
    pub fn publish(&self, kind: Kind, volume: &Volume, paths: &Paths) {
        let id = &volume.volume_id;
        let request = stage(id, &paths.staging).used_as(capability(kind));
        self.client
            .node_stage_volume(request)
            .expect("NodeStageVolume");
        let request = publish(id, &paths.staging, &paths.target).used_as(capability(kind));
        self.client
            .node_publish_volume(request)
            .expect("NodePublishVolume");
    }

    /// Unpublishes and unstages a volume.
    pub fn unpublish(&self, volume: &Volume, paths: &Paths) {
        let id = &volume.volume_id;
        let request = unpublish(id, &paths.target);
        self.client
            .node_unpublish_volume(request)
            .expect("NodeUnpublishVolume");
        let request = unstage(id, &paths.staging);
        self.client
            .node_unstage_volume(request)
            .expect("NodeUnstageVolume");
    }

    /// Asks whether the driver is there.
    pub fn probe(&self) {
        self.client.probe(ProbeRequest {}).expect("Probe");
    }

    /// The driver's resident memory, in MB.
    pub fn memory(&self) -> f64 {
        let path = format!("/proc/{}/status", self.driver.pid());
        let status = std::fs::read_to_string(&path).expect("the driver's status");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kibibytes =
            line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<f64>().ok());
        kibibytes.expect("a size in kB") * 1024.0 / 1e6
    }

    /// Waits until the pool holds so many paths: deleted volumes are cleared away while nobody waits.
    pub fn settle(&self, paths: usize) {
        let deadline = Instant::now() + PATIENCE;
        while self.pool.files().len() > paths {
            assert!(Instant::now() < deadline, "the driver does not clear away");
            std::thread::sleep(Duration::from_millis(20));
        }
        self.node
            .sh(&format!("sync -f {}", self.pool.path().display()));
    }
}

/// Where a volume is used.
#[derive(Debug)]
pub struct Paths {
    /// By the node.
    pub staging: PathBuf,
    /// By the pod.
    pub target: PathBuf,
}

/// A request for a volume: an image of 1 GiB, or a directory, which costs the same whatever its size, of 64 MiB: room is
/// granted to calls in flight, and there are many.
pub fn wanted(kind: Kind, name: &str) -> CreateVolumeRequest {
    let parameter = match kind {
        Kind::Directory => "unenforced-directory",
        Kind::Subvolume => "directory",
        Kind::Ext4 | Kind::Xfs | Kind::Block | Kind::Reflink => "image",
    };
    let size = match kind {
        Kind::Directory | Kind::Subvolume => 64 * MIB,
        Kind::Ext4 | Kind::Xfs | Kind::Block | Kind::Reflink => GIB,
    };
    let request = create_volume(name).size(size).parameter("kind", parameter);
    request.used_as(capability(kind))
}

fn capability(kind: Kind) -> VolumeCapability {
    match kind {
        Kind::Directory | Kind::Subvolume => mount(),
        Kind::Ext4 => mount().filesystem("ext4"),
        Kind::Xfs | Kind::Reflink => mount().filesystem("xfs"),
        Kind::Block => block(),
    }
}

/// Makes a volume.
pub fn create(client: &Client, request: CreateVolumeRequest) -> Volume {
    let created = client.create_volume(request).expect("CreateVolume");
    created.volume.expect("a volume in the answer")
}
