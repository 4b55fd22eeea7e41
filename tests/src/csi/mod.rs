//! A node with real filesystems and a kubelet's part, for testing CSI drivers.
//!
//! ```no_run
//! use testkit::csi::{PoolKind, Pv, Scene, requests::*};
//!
//! let scene = Scene::on(PoolKind::Xfs);
//! let leaks = scene.leaks();
//! let made = scene.client.create_volume(create_volume("pvc-1").size(64 * MIB)).unwrap();
//! let pv = Pv::of("pv-1", &made.volume.unwrap());
//! let path = scene.kubelet.publish(&pv, "pod-1").unwrap();
//! scene.node.write(path.join("file"), "hello");
//! scene.kubelet.unpublish(&pv, "pod-1").unwrap();
//! scene.kubelet.unstage(&pv).unwrap();
//! scene.client.delete_volume(delete_volume(&pv.volume.volume_id)).unwrap();
//! leaks.assert_none();
//! ```
//!
//! * [`Node`]: a machine with mounts of its own; [`PoolDisk`]: a filesystem on it for volumes.
//! * [`Driver`]: the driver under test as a process; [`Client`]: every call, blocking; [`requests`]: what to call with.
//! * [`Kubelet`]: what kubelet does with a volume, at the paths that it uses.
//! * [`Tree`]: a directory that is hard to copy, and [`Fingerprint`] to tell whether it was copied well.
//! * [`Writer`]: a pod that never stops writing, and [`records`] to tell whether what was taken of it is of one moment.
//! * [`Leaks`]: what is left behind; [`Tripwire`]: the driver killed in front of a system call.
//! * [`Scene`]: the usual beginning, all of it on one node.

mod answer;
mod client;
mod driver;
mod fingerprint;
mod kubelet;
mod leaks;
mod node;
mod objects;
mod paths;
mod pool;
mod pv;
pub mod requests;
mod scene;
mod scope;
mod tree;
mod tripwire;
mod writer;

pub use answer::Answer;
pub use client::{Client, Collected};
pub use driver::{DRIVER, Driver, Setup};
pub use fingerprint::Fingerprint;
pub use kubelet::Kubelet;
pub use leaks::Leaks;
pub use node::Node;
pub use pool::{PoolDisk, PoolKind};
pub use pv::Pv;
pub use scene::Scene;
pub use scope::{Loop, Mount, Scope};
pub use tree::Tree;
pub use tripwire::Tripwire;
pub use writer::{Writer, records};
