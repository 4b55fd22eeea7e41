//! Pods, their loop devices, and the pool below them, as the kernel has them.

use super::size;
use crate::boxes;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use testkit::csi::Scene;

/// The picture of two pods with a volume each, and of a pool in which `unused` bytes were taken before.
pub fn of(scene: &Scene, pods: [(&str, &Path); 2], unused: u64) -> String {
    let insides = pods.map(|(_, dir)| inside(scene, dir));
    let devices = pods.map(|(_, dir)| mounted(scene, dir).source);
    let mut lines = boxes::upper(
        pods.map(|(name, _)| format!("pod {name}")),
        &insides,
        devices,
    );
    lines.extend(boxes::lower(&pool(scene, unused), false));
    boxes::picture(&lines)
}

fn mounted(scene: &Scene, dir: &Path) -> testkit::csi::Mount {
    scene.node.mount_at(dir).expect("a mount at the pod's path")
}

fn inside(scene: &Scene, dir: &Path) -> Vec<String> {
    let mount = mounted(scene, dir);
    let space = scene.node.run(|| rustix::fs::statvfs(dir));
    let space = space.expect("the volume's space");
    let bytes = |blocks: u64| size(blocks * space.f_frsize);
    vec![
        format!("{}    {}", mount.filesystem, telling(&mount.options)),
        format!("size   {}", bytes(space.f_blocks)),
        format!("free   {}", bytes(space.f_bavail)),
    ]
}

/// What lies in the pool: each file as large as it seems, all together as large as they are.
fn pool(scene: &Scene, unused: u64) -> Vec<String> {
    let kind = scene.pool.kind().filesystem().unwrap_or("-");
    let mut lines = vec![line(&format!("pool {kind}"), "size", "in use")];
    let mut sum = 0;
    for file in scene.pool.files() {
        if !file.ends_with("image") {
            continue;
        }
        let path = scene.pool.path().join(&file);
        let metadata = scene.node.run(|| std::fs::metadata(&path));
        let metadata = metadata.expect("a file of the pool");
        let bytes = metadata.blocks() * 512;
        sum += bytes;
        let name = file.parent().unwrap_or(&file).display().to_string();
        lines.push(line(&shortened(&name), &size(metadata.len()), &size(bytes)));
    }
    let used = scene.pool.used() - unused;
    lines.push(line("added up", "", &size(sum)));
    lines.push(line("on disk, as bytes are shared", "", &size(used)));
    lines
}

fn line(name: &str, size: &str, bytes: &str) -> String {
    format!("{name:<29}{size:>12} {bytes:>12}")
}

/// Mount options without the one that every mount has.
fn telling(options: &str) -> String {
    let options = options.split(',').filter(|option| *option != "relatime");
    options.collect::<Vec<_>>().join(",")
}

/// `volumes/vol-0123456789...`.
fn shortened(name: &str) -> String {
    name.chars().take(21).chain("...".chars()).collect()
}
