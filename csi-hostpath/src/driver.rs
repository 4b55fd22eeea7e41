//! The driver: what every verb works with.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::janitor::Janitor;
use crate::locks::Locks;
use crate::pool::Pools;
use crate::settler::Settler;
use crate::snapshot::Copies;
use crate::store::Store;

/// How the driver was started, as far as verbs care.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The driver's name, `--drivername`.
    pub name: String,
    /// This node's id, `--nodeid`.
    pub node: String,
    /// Where kubelet lives, `--kubelet-dir`.
    pub kubelet_dir: std::path::PathBuf,
    /// The largest volume in bytes, `--max-volume-size`.
    pub max_volume_size: u64,
    /// How many volumes may be used on this node, `--attach-limit`; 0 for no limit.
    pub attach_limit: u32,
    /// Which optional RPCs are offered.
    pub offers: Offers,
    /// Whether this process answers for volumes of other nodes (mode `controller`): growing one is then promised without
    /// knowing it, because the owning node grows it.
    pub remote: bool,
}

/// Optional RPCs that a cluster may want or not.
#[derive(Debug, Clone, Copy)]
#[allow(clippy::struct_excessive_bools)]
pub struct Offers {
    /// `ControllerPublishVolume` and its counterpart, `--enable-attach`.
    pub attach: bool,
    /// Topology, `--enable-topology`.
    pub topology: bool,
    /// Growing volumes, `--enable-volume-expansion`.
    pub expansion: bool,
    /// `ControllerModifyVolume`, `--enable-controller-modify-volume`.
    pub modify: bool,
    /// The SnapshotMetadata service, `--enable-snapshot-metadata`.
    pub metadata: bool,
    /// `VOLUME_MOUNT_GROUP`, `--enable-volume-mount-group`.
    pub mount_group: bool,
}

/// The driver.
pub struct Driver {
    /// How it was started.
    pub settings: Settings,
    /// The truth about objects.
    pub store: Store,
    /// Where data lies.
    pub pools: Arc<Pools>,
    /// Who works on what.
    pub locks: Locks,
    /// Who frees the space of what was deleted.
    pub janitor: Janitor,
    /// Who settles volumes that can wait.
    pub settler: Settler,
    /// Who copies in the background.
    pub copies: Copies,
    /// Set when the driver ends: work in the background stops at the next chunk.
    pub stopping: AtomicBool,
}

impl Driver {
    /// A driver over an open store and open pools.
    pub fn new(settings: Settings, store: Store, pools: Pools) -> Arc<Self> {
        let pools = Arc::new(pools);
        let janitor = Janitor::new(&pools);
        let settler = Settler::new(&store, &pools);
        Arc::new(Self {
            settings,
            store,
            pools,
            locks: Locks::default(),
            janitor,
            settler,
            copies: Copies::default(),
            stopping: AtomicBool::new(false),
        })
    }
}

/// Nanoseconds since 1970.
pub fn now() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

/// Whether a volume is well, and why not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Condition {
    /// Something is wrong.
    pub abnormal: bool,
    /// What.
    pub message: String,
}
