//! What is seen to be so after a call.

use testkit::csi::requests::*;

use crate::calls::stage;
use crate::world::{Case, POD, World};

pub fn staged_again(world: &World, case: &mut Case) {
    stage(world, case).unwrap();
    whole(world, case);
}

pub fn used(world: &World, case: &mut Case) {
    world.publish(&case.volumes[0]).unwrap();
    world.write(&case.volumes[0]);
}

pub fn whole(world: &World, case: &mut Case) {
    case.volumes.iter().for_each(|pv| world.assert_whole(pv));
}

/// A volume of which there was one, and is none.
pub fn gone(world: &World, _: &mut Case) {
    assert_eq!(world.volumes(), Vec::<String>::new());
}

pub fn grown(world: &World, case: &mut Case) {
    whole(world, case);
    let script = format!(
        "stat -f -c %b {}",
        world
            .scene
            .kubelet
            .target_path(&case.volumes[0], POD)
            .display()
    );
    let blocks: i64 = world.scene.node.sh(&script).parse().unwrap();
    assert!(blocks * 4096 > 310 * MIB, "it has {blocks} blocks");
}

/// Everything that was snapshotted can be had back.
pub fn restorable(world: &World, case: &mut Case) {
    for snapshot in world.snapshots() {
        let id = snapshot.snapshot_id;
        let copy = world.make(case, |request| request.restoring(&id)).unwrap();
        world.assert_whole(&copy);
    }
    whole(world, case);
}

pub fn no_snapshots(world: &World, case: &mut Case) {
    assert_eq!(world.snapshots(), Vec::new());
    whole(world, case);
}
