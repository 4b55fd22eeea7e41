//! Volumes, snapshots and their use in one word, where a test is about what comes after.

use super::pv::Pv;
use super::requests::{create_snapshot, delete_snapshot, delete_volume};
use super::scene::Scene;
use proto::csi::{CreateVolumeRequest, Snapshot};
use std::path::PathBuf;

impl Scene {
    /// A new volume, used as the request says.
    #[track_caller]
    pub fn volume(&self, request: CreateVolumeRequest) -> Pv {
        let name = request.name.clone();
        let capability = request.volume_capabilities[0].clone();
        let made = self
            .client
            .create_volume(request)
            .unwrap_or_else(|refused| panic!("make volume {name}: {refused}"));
        let volume = made.volume.expect("a volume");
        Pv {
            capability,
            ..Pv::of(&name, &volume)
        }
    }

    /// A new snapshot of a volume, ready to use.
    #[track_caller]
    pub fn snapshot(&self, name: &str, pv: &Pv) -> Snapshot {
        let taken = self
            .client
            .create_snapshot(create_snapshot(name, &pv.volume.volume_id))
            .unwrap_or_else(|refused| panic!("take snapshot {name} of {}: {refused}", pv.name));
        let snapshot = taken.snapshot.expect("a snapshot");
        assert!(snapshot.ready_to_use, "not ready: {snapshot:?}");
        snapshot
    }

    /// Gives a volume to a pod that is called after it, and returns where.
    #[track_caller]
    pub fn publish(&self, pv: &Pv) -> PathBuf {
        self.kubelet
            .publish(pv, &pod(pv))
            .unwrap_or_else(|refused| panic!("publish {}: {refused}", pv.name))
    }

    /// Takes a volume from the pod that is called after it, and from the node.
    #[track_caller]
    pub fn release(&self, pv: &Pv) {
        let released = self.kubelet.unpublish(pv, &pod(pv));
        released
            .and_then(|()| self.kubelet.unstage(pv))
            .unwrap_or_else(|refused| panic!("release {}: {refused}", pv.name));
    }

    /// Deletes a volume.
    #[track_caller]
    pub fn delete(&self, pv: &Pv) {
        let deleted = self
            .client
            .delete_volume(delete_volume(&pv.volume.volume_id));
        deleted.unwrap_or_else(|refused| panic!("delete {}: {refused}", pv.name));
    }

    /// Deletes a snapshot.
    #[track_caller]
    pub fn forget(&self, snapshot: &Snapshot) {
        let id = &snapshot.snapshot_id;
        let deleted = self.client.delete_snapshot(delete_snapshot(id));
        deleted.unwrap_or_else(|refused| panic!("delete {id}: {refused}"));
    }
}

fn pod(pv: &Pv) -> String {
    format!("pod-of-{}", pv.name)
}
