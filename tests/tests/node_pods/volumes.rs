//! Every sort of volume, used by containers: in the driver's own, with its read-only root and the image's programs, all of
//! it works that works on a node itself.

use crate::machine::{Machine, daemonset, shell};
use proto::csi::volume_usage::Unit;
use proto::csi::{CreateVolumeRequest, VolumeUsage};
use std::path::Path;
use testkit::containerd::cri::Device;
use testkit::containerd::{BUSYBOX, ContainerOptions};
use testkit::csi::requests::*;
use testkit::csi::{PoolKind, Pv};

/// A filesystem of images, and the smallest of them in MiB.
const IMAGES: [(&str, i64); 3] = [("ext4", 64), ("xfs", 300), ("btrfs", 256)];

impl Machine {
    fn create(&self, request: CreateVolumeRequest) -> Pv {
        let (name, used) = (request.name.clone(), request.volume_capabilities[0].clone());
        let volume = self.client.create_volume(request).unwrap().volume;
        Pv::of(&name, &volume.unwrap()).used_as(used)
    }

    /// What a script prints in a pod that has the volume for so long.
    fn in_pod(&self, pv: &Pv, script: &str) -> String {
        let pod = format!("pod-of-{}", pv.name);
        let path = self.kubelet.publish(pv, &pod).unwrap();
        let printed = self.printed(&pod, shell(&path, script));
        self.release(pv, &pod);
        printed
    }

    /// How many bytes the driver tells kubelet that the volume has.
    fn size(&self, pv: &Pv) -> i64 {
        self.kubelet.publish(pv, "looking").unwrap();
        let stats = self.kubelet.stats(pv, "looking").unwrap();
        self.release(pv, "looking");
        let bytes = |usage: &&VolumeUsage| usage.unit() == Unit::Bytes;
        stats.usage.iter().find(bytes).unwrap().total
    }

    fn release(&self, pv: &Pv, pod: &str) {
        self.kubelet.unpublish(pv, pod).unwrap();
        self.kubelet.unstage(pv).unwrap();
    }

    fn delete(&self, pv: &Pv) {
        let request = delete_volume(&pv.volume.volume_id);
        self.client.delete_volume(request).unwrap();
    }

    /// A volume's life: written, snapshotted, restored, read, grown, deleted.
    fn lives(&self, request: CreateVolumeRequest) {
        let (used, bytes) = (
            request.volume_capabilities[0].clone(),
            request.clone().range().required_bytes,
        );
        let pv = self.create(request);
        self.in_pod(&pv, "echo hello >/data/file");
        let taken = create_snapshot("snapshot", &pv.volume.volume_id);
        let taken = self
            .client
            .create_snapshot(taken)
            .unwrap()
            .snapshot
            .unwrap();
        let copy = create_volume("copy")
            .used_as(used)
            .restoring(&taken.snapshot_id);
        let copy = self.create(copy);
        assert_eq!(self.in_pod(&copy, "cat /data/file"), "hello\n", "{pv:?}");

        let before = self.size(&pv);
        let larger = expand(&pv.volume.volume_id, 2 * bytes);
        self.client.controller_expand_volume(larger).unwrap();
        let after = self.size(&pv);
        assert!(after > before * 3 / 2, "{before} {after} {pv:?}");

        self.delete(&copy);
        self.client
            .delete_snapshot(delete_snapshot(&taken.snapshot_id))
            .unwrap();
        self.delete(&pv);
    }
}

/// A machine with both DaemonSets, which end with it.
fn with_driver(pool: PoolKind) -> Machine {
    let machine = Machine::with_pool(pool);
    machine.start(&daemonset("hawser-node"), "hawser-node");
    machine.containerd().await_network();
    machine.start(&daemonset("hawser-csi-node"), "driver");
    machine
}

#[test]
fn images_of_every_filesystem_are_made_copied_and_grown() {
    let machine = with_driver(PoolKind::Xfs);
    let before = machine.state();
    for (filesystem, mib) in IMAGES {
        let request = create_volume("one").size(mib * MIB).filesystem(filesystem);
        machine.lives(request.parameter("kind", "image"));
    }
    before.assert_regained(&machine);
}

#[test]
fn subvolumes_are_made_copied_and_grown() {
    let machine = with_driver(PoolKind::Btrfs);
    let before = machine.state();
    machine.lives(
        create_volume("one")
            .size(64 * MIB)
            .parameter("kind", "directory"),
    );
    before.assert_regained(&machine);
}

#[test]
fn a_raw_device_is_given_to_a_pod() {
    let machine = with_driver(PoolKind::Xfs);
    let before = machine.state();
    let pv = machine.create(create_volume("raw").size(16 * MIB).block());
    let device = machine.kubelet.publish(&pv, "pod-raw").unwrap();
    let write =
        "echo hello | dd of=/dev/disk bs=4096 conv=sync,fsync 2>/dev/null; head -c 5 /dev/disk";
    let said = machine.printed("raw", with_device(&device, write));
    assert_eq!(said, "hello");
    let seen = machine.node.sh(&format!("head -c 5 {}", device.display()));
    assert_eq!(seen, "hello");
    machine.release(&pv, "pod-raw");
    machine.delete(&pv);
    before.assert_regained(&machine);
}

/// A container with a device of the host, as kubelet gives it a raw volume.
fn with_device(device: &Path, script: &str) -> ContainerOptions {
    let command = ["/bin/busybox", "sh", "-ec", script];
    let mut options = ContainerOptions::new("main", BUSYBOX).command(&command);
    options.config.devices.push(Device {
        container_path: "/dev/disk".to_owned(),
        host_path: device.display().to_string(),
        permissions: "mrw".to_owned(),
    });
    options
}
