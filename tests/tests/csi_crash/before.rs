//! The volumes that calls are about, and what is there before.

use proto::csi::*;
use testkit::csi::Pv;
use testkit::csi::requests::*;

use crate::after::used;
use crate::calls::{expand_to, take_group, take_snapshot};
use crate::world::{Case, World};

pub fn directory(request: CreateVolumeRequest) -> CreateVolumeRequest {
    request.size(64 * MIB).parameter("kind", "directory")
}

pub fn unenforced(request: CreateVolumeRequest) -> CreateVolumeRequest {
    request
        .size(64 * MIB)
        .parameter("kind", "unenforced-directory")
}

pub fn ext4(request: CreateVolumeRequest) -> CreateVolumeRequest {
    request
        .size(64 * MIB)
        .parameter("kind", "image")
        .filesystem("ext4")
}

pub fn xfs(request: CreateVolumeRequest) -> CreateVolumeRequest {
    request
        .size(300 * MIB)
        .parameter("kind", "image")
        .filesystem("xfs")
}

pub fn raw(request: CreateVolumeRequest) -> CreateVolumeRequest {
    request.size(16 * MIB).block()
}

pub fn nothing(_: &World, _: &mut Case) {}

pub fn published(world: &World, case: &mut Case) {
    let pv = world.make(case, |request| request).unwrap();
    world.publish(&pv).unwrap();
    world.write(&pv);
}

pub fn two_published(world: &World, case: &mut Case) {
    published(world, case);
    published(world, case);
}

pub fn staged(world: &World, case: &mut Case) {
    published(world, case);
    world.unpublish(&case.volumes[0]).unwrap();
}

pub fn staged_for_reading(world: &World, case: &mut Case) {
    staged(world, case);
    case.volumes[0].readonly = true;
}

pub fn published_for_reading(world: &World, case: &mut Case) {
    staged_for_reading(world, case);
    world.publish(&case.volumes[0]).unwrap();
}

pub fn unstaged(world: &World, case: &mut Case) {
    staged(world, case);
    world.unstage(&case.volumes[0]).unwrap();
}

/// Growth of ext4 that has to wait until it is not mounted.
pub fn to_be_grown(world: &World, case: &mut Case) {
    unstaged(world, case);
    expand_to(world, case, 100).unwrap();
}

pub fn promised(world: &World, case: &mut Case) {
    published(world, case);
    expand_to(world, case, 400).unwrap();
}

pub fn with_snapshot(world: &World, case: &mut Case) {
    unstaged(world, case);
    take_snapshot(world, case).unwrap();
}

pub fn two_staged(world: &World, case: &mut Case) {
    two_published(world, case);
    for pv in &case.volumes {
        world.unpublish(pv).unwrap();
    }
}

pub fn with_group(world: &World, case: &mut Case) {
    two_staged(world, case);
    take_group(world, case).unwrap();
}

pub fn inline(case: &mut Case, kind: &str) {
    let attributes = [("size", "64Mi"), ("kind", kind)];
    case.volumes.push(Pv::inline(&case.name, &attributes));
}

pub fn inline_image(_: &World, case: &mut Case) {
    inline(case, "image");
}

pub fn inline_directory(_: &World, case: &mut Case) {
    inline(case, "directory");
}

pub fn used_inline_image(world: &World, case: &mut Case) {
    inline_image(world, case);
    used(world, case);
}

pub fn used_inline_directory(world: &World, case: &mut Case) {
    inline_directory(world, case);
    used(world, case);
}
