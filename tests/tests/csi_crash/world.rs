//! A node with the driver, and what an orchestrator and a pod do there.

use std::fs::File;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use proto::csi::*;
use testkit::csi::{Pv, Scene, requests::*};
use tonic::{Code, Status};

/// How long the driver may be busy with what it does in the background.
const PATIENCE: Duration = Duration::from_secs(20);
/// The pod that uses the volumes.
pub const POD: &str = "pod";

pub type Shape = fn(CreateVolumeRequest) -> CreateVolumeRequest;

/// What a call works on.
pub struct Case {
    /// Different in each round.
    pub name: String,
    pub shape: Shape,
    /// Volumes that the pod uses, or may use.
    pub volumes: Vec<Pv>,
}

pub struct World {
    pub scene: Scene,
}

/// What pods keep.
fn precious() -> Vec<u8> {
    b"precious".repeat(9000)
}

/// Calls again as long as the driver is busy with the object.
pub fn patiently<T>(mut call: impl FnMut() -> Result<T, Status>) -> Result<T, Status> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match call() {
            Err(busy) if busy.code() == Code::Aborted && Instant::now() < deadline => {
                thread::yield_now();
            }
            outcome => return outcome,
        }
    }
}

/// Calls again until what was asked for is ready.
pub fn until_ready<T>(
    call: impl Fn() -> Result<T, Status>,
    ready: fn(&T) -> bool,
) -> Result<T, Status> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let made = patiently(&call)?;
        if ready(&made) {
            return Ok(made);
        }
        assert!(Instant::now() < deadline, "never ready");
    }
}

fn is_block(pv: &Pv) -> bool {
    pv.capability == block()
}

impl World {
    /// Makes a volume and adds it to the case.
    pub fn make(
        &self,
        case: &mut Case,
        change: impl Fn(CreateVolumeRequest) -> CreateVolumeRequest,
    ) -> Result<Pv, Status> {
        let name = format!("{}-{}", case.name, case.volumes.len());
        let request = change((case.shape)(create_volume(&name)));
        let volume = patiently(|| self.scene.client.create_volume(request.clone()))?
            .volume
            .unwrap();
        let capability = request.volume_capabilities[0].clone();
        let pv = Pv::of(&name, &volume).used_as(capability);
        case.volumes.push(pv.clone());
        Ok(pv)
    }

    /// Where the pod has its data.
    pub fn file(&self, pv: &Pv) -> PathBuf {
        let target = self.scene.kubelet.target_path(pv, POD);
        if is_block(pv) {
            target
        } else {
            target.join("precious")
        }
    }

    pub fn publish(&self, pv: &Pv) -> Result<(), Status> {
        patiently(|| self.scene.kubelet.publish(pv, POD)).map(drop)
    }

    pub fn unpublish(&self, pv: &Pv) -> Result<(), Status> {
        patiently(|| self.scene.kubelet.unpublish(pv, POD))
    }

    pub fn unstage(&self, pv: &Pv) -> Result<(), Status> {
        patiently(|| self.scene.kubelet.unstage(pv))
    }

    pub fn write(&self, pv: &Pv) {
        let file = self.file(pv);
        self.scene.node.run(|| {
            let file = File::options().write(true).create(!is_block(pv)).open(file);
            let mut file = file.unwrap();
            file.write_all(&precious()).unwrap();
            file.sync_all().unwrap();
        });
    }

    /// Sees that a pod finds in the volume what was written to it, or to what it was copied from.
    pub fn assert_whole(&self, pv: &Pv) {
        self.publish(pv).unwrap();
        let mut found = vec![0; precious().len()];
        let file = self.file(pv);
        self.scene
            .node
            .run(|| File::open(file).unwrap().read_exact(&mut found).unwrap());
        assert!(found == precious(), "{} has lost its data", pv.name);
    }

    /// Sees that writes to what is mounted go through: nothing is frozen.
    pub fn assert_thawed(&self, case: &Case) {
        for pv in &case.volumes {
            let target = self.scene.kubelet.target_path(pv, POD);
            if is_block(pv) || self.scene.node.mount_at(&target).is_none() {
                continue;
            }
            let place = self.scene.node.place().clone();
            let target = target.display().to_string();
            let script = format!("cd {target} && echo > more && sync -f . && rm more");
            let (done, written) = mpsc::channel();
            // A thread that a frozen filesystem holds is let go when the node is dropped.
            thread::spawn(move || done.send(place.succeeds(&script)));
            assert_eq!(
                written.recv_timeout(PATIENCE),
                Ok(true),
                "a write to {target}"
            );
        }
    }

    /// Everything that takes back, by an orchestrator that has forgotten what it did before.
    pub fn take_back(&self, case: &Case) {
        let client = &self.scene.client;
        for pv in &case.volumes {
            self.unpublish(pv).unwrap();
            if !pv.inline {
                self.unstage(pv).unwrap();
            }
        }
        for group in self.groups() {
            patiently(|| client.delete_volume_group_snapshot(delete_group(&group))).unwrap();
        }
        for snapshot in self.snapshots() {
            patiently(|| client.delete_snapshot(delete_snapshot(&snapshot.snapshot_id))).unwrap();
        }
        for id in self.volumes() {
            patiently(|| client.delete_volume(delete_volume(&id))).unwrap();
        }
    }

    pub fn volumes(&self) -> Vec<String> {
        let list = self.scene.client.list_volumes(list_volumes(0, "")).unwrap();
        list.entries
            .into_iter()
            .map(|entry| entry.volume().unwrap().volume_id)
            .collect()
    }

    pub fn snapshots(&self) -> Vec<Snapshot> {
        let list = self
            .scene
            .client
            .list_snapshots(list_snapshots(0, ""))
            .unwrap();
        list.entries
            .into_iter()
            .map(|entry| entry.snapshot.unwrap())
            .collect()
    }

    pub fn groups(&self) -> Vec<VolumeGroupSnapshot> {
        let mut groups: Vec<VolumeGroupSnapshot> = Vec::new();
        for snapshot in self.snapshots() {
            let id = snapshot.group_snapshot_id.clone();
            match groups
                .iter_mut()
                .find(|group| group.group_snapshot_id == id)
            {
                _ if id.is_empty() => {}
                Some(group) => group.snapshots.push(snapshot),
                None => groups.push(VolumeGroupSnapshot {
                    group_snapshot_id: id,
                    snapshots: vec![snapshot],
                    ..VolumeGroupSnapshot::default()
                }),
            }
        }
        groups
    }
}
