//! A crash at any moment: the driver is killed in front of every system call with which a call of CSI changes something.
//! After the next start the same call completes and the data is whole, or, without a repeat, the opposite calls take all
//! away that there was. Nothing is left either way: no mount, loop device or file, and no filesystem frozen.
//!
//! A first call lists the moments. Those are tried that leave something else than the one before, this one in the one way
//! and the next in the other; with the variable `HAWSER_CRASH_ALL` set, all of them in both ways.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]
#![allow(clippy::print_stdout, reason = "the story of a failed test")]

mod after;
mod before;
mod calls;
mod sweep;
mod world;

use testkit::csi::{PoolKind, Scene, Tripwire};

use after::*;
use before::*;
use calls::*;
use sweep::Sweep;
use world::{Case, World};

macro_rules! sweeps {
    ($($name:ident: $pool:ident, $shape:ident, $before:ident, $call:ident, $after:ident, $instead:ident;)+) => {
        $(#[test]
        fn $name() {
            Sweep { pool: PoolKind::$pool, shape: $shape, before: $before, call: $call, after: $after, instead: $instead }.run();
        })+
    };
}

sweeps! {
    // name: pool, volumes, before, call, after a repeat, instead of it
    create_directory: Btrfs, directory, nothing, create, used, nothing;
    create_unenforced: Ext4, unenforced, nothing, create, used, nothing;
    create_ext4: Ext4, ext4, nothing, create, used, nothing;
    create_xfs: Xfs, xfs, nothing, create, used, nothing;
    create_block: Xfs, raw, nothing, create, used, nothing;
    restore_directory: Btrfs, directory, with_snapshot, restore, whole, nothing;
    restore_directory_by_copying: Ext4, unenforced, with_snapshot, restore, whole, nothing;
    restore_image: Xfs, ext4, with_snapshot, restore, whole, nothing;
    restore_image_by_copying: Ext4, ext4, with_snapshot, restore, whole, nothing;
    clone_directory: Btrfs, directory, published, clone, whole, whole;
    clone_directory_by_copying: Ext4, unenforced, unstaged, clone, whole, whole;
    clone_image: Xfs, ext4, published, clone, whole, whole;
    clone_image_by_copying: Ext4, ext4, published, clone, whole, whole;
    clone_block: Xfs, raw, published, clone, whole, whole;
    delete_directory: Btrfs, directory, unstaged, delete, gone, nothing;
    delete_unenforced: Ext4, unenforced, unstaged, delete, gone, nothing;
    delete_image: Xfs, ext4, unstaged, delete, gone, nothing;
    stage_directory: Btrfs, directory, unstaged, stage, whole, nothing;
    stage_image: Xfs, ext4, unstaged, stage, whole, nothing;
    stage_image_that_grows: Ext4, ext4, to_be_grown, stage, whole, whole;
    stage_block: Xfs, raw, unstaged, stage, whole, nothing;
    publish_directory: Btrfs, directory, staged, publish, whole, nothing;
    publish_image: Xfs, xfs, staged, publish, whole, nothing;
    publish_block: Ext4, raw, staged, publish, whole, nothing;
    publish_block_for_reading: Ext4, raw, staged_for_reading, publish, whole, nothing;
    publish_inline_image: Xfs, ext4, inline_image, publish, used, nothing;
    publish_inline_directory: Btrfs, directory, inline_directory, publish, used, nothing;
    unpublish_directory: Btrfs, directory, published, unpublish, whole, whole;
    unpublish_image: Xfs, ext4, published, unpublish, whole, whole;
    unpublish_block: Ext4, raw, published, unpublish, whole, whole;
    unpublish_block_for_reading: Ext4, raw, published_for_reading, unpublish, whole, whole;
    unpublish_inline_image: Xfs, ext4, used_inline_image, unpublish, used, used;
    unpublish_inline_directory: Btrfs, directory, used_inline_directory, unpublish, used, used;
    unstage_directory: Btrfs, directory, staged, unstage, whole, staged_again;
    unstage_image: Xfs, xfs, staged, unstage, whole, staged_again;
    unstage_block: Ext4, raw, staged, unstage, whole, staged_again;
    expand_image: Xfs, xfs, published, expand_both, grown, whole;
    expand_what_was_promised: Xfs, xfs, promised, expand_both, grown, whole;
    expand_directory: Btrfs, directory, published, expand_both, whole, whole;
    expand_block: Ext4, raw, published, expand_both, whole, whole;
    reserve_space: Xfs, ext4, published, reserve, whole, whole;
    give_space_back: Ext4, raw, unstaged, give_back, whole, whole;
    snapshot_directory: Btrfs, directory, published, take_snapshot, restorable, whole;
    snapshot_directory_by_copying: Ext4, unenforced, unstaged, take_snapshot, restorable, whole;
    snapshot_image: Xfs, xfs, published, take_snapshot, restorable, whole;
    snapshot_image_by_copying: Ext4, ext4, published, take_snapshot, restorable, whole;
    snapshot_block: Xfs, raw, published, take_snapshot, restorable, whole;
    delete_snapshot_of_directory: Btrfs, directory, with_snapshot, remove_snapshot, no_snapshots, whole;
    delete_snapshot_of_image: Ext4, ext4, with_snapshot, remove_snapshot, no_snapshots, whole;
    group_of_images: Xfs, ext4, two_published, take_group, restorable, whole;
    group_of_images_by_copying: Ext4, ext4, two_published, take_group, restorable, whole;
    group_of_directories: Btrfs, directory, two_staged, take_group, restorable, whole;
    delete_group_of_images: Xfs, ext4, with_group, remove_group, no_snapshots, whole;
    delete_group_of_directories: Btrfs, directory, with_group, remove_group, no_snapshots, whole;
}

#[test]
fn a_reboot_ends_a_freeze() {
    let sweep = Sweep {
        pool: PoolKind::Xfs,
        shape: xfs,
        before: published,
        call: take_snapshot,
        after: nothing,
        instead: nothing,
    };
    let mut world = World {
        scene: Scene::on(sweep.pool),
    };
    let calls = sweep.round(&mut world, "undisturbed", None);
    let thaw = calls.iter().position(|call| call == "FITHAW").unwrap();
    let mut case = Case {
        name: "frozen".to_owned(),
        shape: xfs,
        volumes: Vec::new(),
    };
    published(&world, &mut case);
    let tripwire = Tripwire::before(&world.scene.driver, thaw + 1);
    take_snapshot(&world, &mut case).unwrap_err();
    assert_eq!(tripwire.calls(), calls[..=thaw]);
    world.scene.reboot();
    whole(&world, &mut case);
    expand_both(&world, &mut case).unwrap();
    grown(&world, &mut case);
    world.take_back(&case);
}
