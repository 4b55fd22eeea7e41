//! What needs another kernel than the one that the tests run on, or more rights: project quotas, growth of a mounted ext4,
//! which wants CAP_SYS_RESOURCE, and everything as of Linux 6.1. All of it runs in a VM.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says what is wrong by panicking"
)]

mod directories;
mod driver;
mod kernel;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use testkit::csi::requests::*;
use testkit::csi::{Pv, Scene};
use testkit::vm::{Equipment, STORAGE};

const MACHINE: Equipment = Equipment {
    executables: &["csi-hostpath"],
    ..STORAGE
};
const MIB: u64 = 1 << 20;
/// What a full project may leave unused, and what a directory itself takes.
const SLACK: u64 = 64 << 10;
const NOBODY: u32 = 65_534;

fn run(command: &mut Command) {
    let ran = command
        .output()
        .unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(ran.status.success(), "{command:?}: {ran:?}");
}

/// Appends to a file, as somebody without privileges, until it has `mib` or no more fits. Returns its size in bytes.
fn fill(file: &Path, mib: u64) -> u64 {
    let size = || fs::metadata(file).map_or(0, |meta| meta.len());
    let missing = (mib * MIB).saturating_sub(size()) >> 12;
    let script = format!(
        "dd if=/dev/zero bs=4k count={missing} conv=fsync >>{}",
        file.display()
    );
    let dd = Command::new("busybox")
        .args(["sh", "-c", &script])
        .uid(NOBODY)
        .gid(NOBODY)
        .output()
        .unwrap();
    let full = ["No space left on device", "Disk quota exceeded"];
    let said = String::from_utf8_lossy(&dd.stderr);
    assert!(
        dd.status.success() || full.iter().any(|words| said.contains(words)),
        "{said}"
    );
    size()
}

/// Whether `bytes` is `mib` MiB, or a little less.
fn about(bytes: u64, mib: u64) -> bool {
    (mib * MIB - SLACK..=mib * MIB).contains(&bytes)
}

/// A volume that is asked for, made.
fn made(scene: &Scene, request: proto::csi::CreateVolumeRequest) -> Pv {
    let name = request.name.clone();
    let made = scene.client.create_volume(request).unwrap();
    Pv::of(&name, &made.volume.unwrap())
}

/// Gives a volume to a pod that may write to it, whoever it is. Returns where.
fn publish(scene: &Scene, pv: &Pv, pod: &str) -> PathBuf {
    let path = scene.kubelet.publish(pv, pod).unwrap();
    let everybody = PermissionsExt::from_mode(0o777);
    let opened = scene.node.run(|| fs::set_permissions(&path, everybody));
    opened.unwrap();
    path
}

/// [`fill`] on the scene's node.
fn fill_there(scene: &Scene, file: &Path, mib: u64) -> u64 {
    scene.node.run(|| fill(file, mib))
}

/// Takes a volume from its only pod, and deletes it.
fn put_away(scene: &Scene, pv: &Pv, pod: &str) {
    scene.kubelet.unpublish(pv, pod).unwrap();
    if !pv.inline {
        scene.kubelet.unstage(pv).unwrap();
        let id = &pv.volume.volume_id;
        scene.client.delete_volume(delete_volume(id)).unwrap();
    }
}

/// Grows a volume while a pod has it, to MiB.
fn grow(scene: &Scene, pv: &Pv, pod: &str, mib: i64) {
    let id = &pv.volume.volume_id;
    let promised = scene.client.controller_expand_volume(expand(id, mib << 20));
    assert!(promised.unwrap().node_expansion_required);
    let grown = scene.kubelet.expand(pv, pod, mib << 20).unwrap();
    assert_eq!(grown.capacity_bytes, mib << 20);
}
