//! The calls that are to survive a crash. Each can be repeated.

use testkit::csi::requests::*;
use tonic::Status;

use crate::world::{Case, POD, World, patiently, until_ready};

pub fn create(world: &World, case: &mut Case) -> Result<(), Status> {
    world.make(case, |request| request).map(drop)
}

pub fn restore(world: &World, case: &mut Case) -> Result<(), Status> {
    let snapshot = world.snapshots().pop().unwrap().snapshot_id;
    world
        .make(case, |request| request.restoring(&snapshot))
        .map(drop)
}

pub fn clone(world: &World, case: &mut Case) -> Result<(), Status> {
    let source = case.volumes[0].volume.volume_id.clone();
    world
        .make(case, |request| request.cloning(&source))
        .map(drop)
}

pub fn delete(world: &World, case: &mut Case) -> Result<(), Status> {
    let request = delete_volume(&case.volumes[0].volume.volume_id);
    patiently(|| world.scene.client.delete_volume(request.clone())).map(drop)
}

pub fn stage(world: &World, case: &mut Case) -> Result<(), Status> {
    patiently(|| world.scene.kubelet.stage(&case.volumes[0]))
}

pub fn publish(world: &World, case: &mut Case) -> Result<(), Status> {
    world.publish(&case.volumes[0])
}

pub fn unpublish(world: &World, case: &mut Case) -> Result<(), Status> {
    world.unpublish(&case.volumes[0])
}

pub fn unstage(world: &World, case: &mut Case) -> Result<(), Status> {
    world.unstage(&case.volumes[0])
}

pub fn expand_to(world: &World, case: &mut Case, mib: i64) -> Result<(), Status> {
    let request = expand(&case.volumes[0].volume.volume_id, mib * MIB);
    patiently(|| world.scene.client.controller_expand_volume(request.clone())).map(drop)
}

pub fn expand_both(world: &World, case: &mut Case) -> Result<(), Status> {
    expand_to(world, case, 400)?;
    patiently(|| world.scene.kubelet.expand(&case.volumes[0], POD, 400 * MIB)).map(drop)
}

pub fn reserve(world: &World, case: &mut Case) -> Result<(), Status> {
    let request = modify(&case.volumes[0].volume.volume_id).mutable("provisioning", "thick");
    patiently(|| world.scene.client.controller_modify_volume(request.clone())).map(drop)
}

pub fn give_back(world: &World, case: &mut Case) -> Result<(), Status> {
    let request = modify(&case.volumes[0].volume.volume_id).mutable("provisioning", "thin");
    patiently(|| world.scene.client.controller_modify_volume(request.clone())).map(drop)
}

pub fn take_snapshot(world: &World, case: &mut Case) -> Result<(), Status> {
    let request = create_snapshot(&case.name, &case.volumes[0].volume.volume_id);
    let take = || world.scene.client.create_snapshot(request.clone());
    until_ready(take, |taken| taken.snapshot.as_ref().unwrap().ready_to_use).map(drop)
}

pub fn remove_snapshot(world: &World, _: &mut Case) -> Result<(), Status> {
    let Some(snapshot) = world.snapshots().pop() else {
        return Ok(());
    };
    let request = delete_snapshot(&snapshot.snapshot_id);
    patiently(|| world.scene.client.delete_snapshot(request.clone())).map(drop)
}

pub fn take_group(world: &World, case: &mut Case) -> Result<(), Status> {
    let ids: Vec<_> = case
        .volumes
        .iter()
        .map(|pv| pv.volume.volume_id.as_str())
        .collect();
    let request = create_group(&case.name, &ids);
    let take = || {
        world
            .scene
            .client
            .create_volume_group_snapshot(request.clone())
    };
    until_ready(take, |taken| {
        taken.group_snapshot.as_ref().unwrap().ready_to_use
    })
    .map(drop)
}

pub fn remove_group(world: &World, _: &mut Case) -> Result<(), Status> {
    let Some(group) = world.groups().pop() else {
        return Ok(());
    };
    patiently(|| {
        world
            .scene
            .client
            .delete_volume_group_snapshot(delete_group(&group))
    })
    .map(drop)
}
