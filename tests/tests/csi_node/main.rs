//! Volumes on their way into pods and out of them, on real filesystems: staged, published, used, measured, grown, through
//! restarts, reboots and trouble. Test names begin with the ids of the rules that they hold the driver to.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test says what is wrong by panicking"
)]

mod access;
mod calls;
mod flags;
mod growth;
mod inline;
mod places;
mod power;
mod restarts;
mod round;
mod sizes;
mod stats;
mod trouble;

use std::fmt::Debug;
use std::fs::File;
use std::path::{Path, PathBuf};

use proto::csi::CreateVolumeRequest;
use testkit::csi::requests::*;
use testkit::csi::{PoolKind, Pv, Scene};
use tonic::{Code, Status};

/// A sort of volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sort {
    kind: &'static str,
    /// What it is made with; empty for the pool's own and for none.
    filesystem: &'static str,
    raw: bool,
    mib: i64,
}

const EXT4: Sort = Sort {
    kind: "image",
    filesystem: "ext4",
    raw: false,
    mib: 32,
};
const XFS: Sort = Sort {
    filesystem: "xfs",
    mib: 300,
    ..EXT4
};
const BTRFS: Sort = Sort {
    filesystem: "btrfs",
    mib: 256,
    ..EXT4
};
const RAW: Sort = Sort {
    filesystem: "",
    raw: true,
    mib: 16,
    ..EXT4
};
const DIRECTORY: Sort = Sort {
    kind: "directory",
    filesystem: "",
    ..EXT4
};
const UNENFORCED: Sort = Sort {
    kind: "unenforced-directory",
    ..DIRECTORY
};

/// The sorts whose size holds on a pool. Quotas of XFS and ext4 need a kernel of their own.
fn enforced(pool: PoolKind) -> Vec<Sort> {
    let directory = (pool == PoolKind::Btrfs).then_some(DIRECTORY);
    [EXT4, XFS, BTRFS, RAW]
        .into_iter()
        .chain(directory)
        .collect()
}

impl Sort {
    fn bytes(self) -> u64 {
        (self.mib * MIB).unsigned_abs()
    }

    fn request(self, name: &str) -> CreateVolumeRequest {
        let request = create_volume(name)
            .size(self.mib * MIB)
            .parameter("kind", self.kind);
        match (self.raw, self.filesystem) {
            (true, _) => request.block(),
            (false, "") => request,
            (false, filesystem) => request.filesystem(filesystem),
        }
    }
}

/// Takes a volume from its pods and from the node, and deletes it.
#[track_caller]
fn give_back(scene: &Scene, pv: &Pv, pods: &[&str]) {
    let unpublished = pods
        .iter()
        .try_for_each(|pod| scene.kubelet.unpublish(pv, pod));
    let done = unpublished.and_then(|()| scene.kubelet.unstage(pv));
    done.unwrap_or_else(|refused| panic!("give {} back: {refused}", pv.name));
    scene.delete(pv);
}

fn id(pv: &Pv) -> &str {
    &pv.volume.volume_id
}

/// Fails the test unless a call was refused with this code and a text that has these words.
#[track_caller]
fn refused<T: Debug>(answer: Result<T, Status>, code: Code, words: &str) {
    let status = answer.unwrap_err();
    assert_eq!(status.code(), code, "{status}");
    assert!(
        status.message().contains(words),
        "no {words:?} in {:?}",
        status.message()
    );
}

/// Opens a file of the node; it can be used from everywhere.
fn open(scene: &Scene, path: &Path, how: &std::fs::OpenOptions) -> std::io::Result<File> {
    scene.node.run(|| how.open(path))
}

/// What is in a file of the node.
fn text(scene: &Scene, path: impl AsRef<Path>) -> String {
    scene.node.read(path).unwrap_or_default()
}

/// Whether a shell script that names `path` as `$1` ends well.
fn can(scene: &Scene, script: &str, path: &Path) -> bool {
    scene
        .node
        .succeeds(&format!("set -- '{}'; {script}", path.display()))
}

/// Runs such a script, which has to end well.
#[track_caller]
fn sh(scene: &Scene, script: &str, path: &Path) -> String {
    scene
        .node
        .sh(&format!("set -- '{}'; {script}", path.display()))
}

/// Stages a volume as kubelet does, and publishes it elsewhere than kubelet, which would pin a device.
fn published(scene: &Scene, pv: &Pv) -> PathBuf {
    scene.kubelet.stage(pv).unwrap();
    let target = spare(scene, "target");
    publish_at(scene, pv, &target).unwrap();
    target
}

/// Publishes a volume at a place.
fn publish_at(scene: &Scene, pv: &Pv, target: &Path) -> Result<(), Status> {
    let request = publish(id(pv), scene.kubelet.staging_path(pv), target);
    let request = request.used_as(pv.capability.clone());
    scene.client.node_publish_volume(request).map(drop)
}

fn unpublish_at(scene: &Scene, pv: &Pv, target: &Path) -> Result<(), Status> {
    let request = unpublish(id(pv), target);
    scene.client.node_unpublish_volume(request).map(drop)
}

/// A path in kubelet's directory that kubelet does not use; its directory is made.
fn spare(scene: &Scene, name: &str) -> PathBuf {
    let path = scene.node.kubelet_dir().join("spare").join(name);
    let parent = path.parent().unwrap().to_owned();
    scene.node.sh(&format!("mkdir -p {}", parent.display()));
    path
}
