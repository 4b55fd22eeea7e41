//! Capabilities: access types, access modes, filesystems, mount flags, groups.

use proto::csi::volume_capability::{AccessMode, AccessType, MountVolume};
use proto::csi::{
    CreateVolumeRequest, GetCapacityRequest, NodeStageVolumeRequest,
    ValidateVolumeCapabilitiesRequest, VolumeCapability,
};

use super::super::{create_volume, get_capacity, node_stage_volume, validate_volume_capabilities};
use super::{VOLUME, bare, block, create, invalid, mount, rules, with_access};
use crate::access::{Access, Capability, Filesystem, Mode, MountOptions};
use crate::error::Error;

fn created(volume_capabilities: Vec<VolumeCapability>) -> Result<Vec<Capability>, Error> {
    let wanted = CreateVolumeRequest {
        volume_capabilities,
        ..create()
    };
    create_volume(&rules(), wanted).map(|made| made.capabilities)
}

fn staged(volume_capability: VolumeCapability) -> Result<Capability, Error> {
    let wanted = NodeStageVolumeRequest {
        volume_id: VOLUME.to_owned(),
        staging_target_path: "/stage".to_owned(),
        volume_capability: Some(volume_capability),
        ..NodeStageVolumeRequest::default()
    };
    node_stage_volume(&rules(), wanted).map(|stage| stage.capability)
}

fn validated(
    volume_capabilities: Vec<VolumeCapability>,
) -> Result<Result<Vec<Capability>, String>, Error> {
    let wanted = ValidateVolumeCapabilitiesRequest {
        volume_id: VOLUME.to_owned(),
        volume_capabilities,
        ..ValidateVolumeCapabilitiesRequest::default()
    };
    validate_volume_capabilities(&rules(), wanted).map(|validate| validate.capabilities)
}

fn measured(volume_capabilities: Vec<VolumeCapability>) -> Result<Option<Vec<Capability>>, Error> {
    let wanted = GetCapacityRequest {
        volume_capabilities,
        ..GetCapacityRequest::default()
    };
    get_capacity(&rules(), wanted).map(|capacity| capacity.capabilities)
}

fn of_mode(mode: i32) -> VolumeCapability {
    VolumeCapability {
        access_mode: Some(AccessMode { mode }),
        ..mount()
    }
}

fn of_mount(given: MountVolume) -> VolumeCapability {
    with_access(AccessType::Mount(given))
}

fn of_filesystem(fs_type: &str) -> VolumeCapability {
    of_mount(MountVolume {
        fs_type: fs_type.to_owned(),
        ..MountVolume::default()
    })
}

fn of_flags(flags: &[&str]) -> VolumeCapability {
    of_mount(MountVolume {
        mount_flags: flags.iter().map(|&flag| flag.to_owned()).collect(),
        ..MountVolume::default()
    })
}

fn of_group(group: &str) -> VolumeCapability {
    of_mount(MountVolume {
        volume_mount_group: group.to_owned(),
        ..MountVolume::default()
    })
}

fn options(capability: &Capability) -> &MountOptions {
    match &capability.access {
        Access::Mount(options) => options,
        Access::Block => panic!("{capability:?}"),
    }
}

#[test]
fn cv01_at_least_one_capability_with_type_and_mode() {
    invalid(created(vec![]), "volume_capabilities is missing");
    let no_type = VolumeCapability {
        access_type: None,
        ..mount()
    };
    let no_mode = VolumeCapability {
        access_mode: None,
        ..block()
    };
    invalid(
        created(vec![mount(), no_type.clone()]),
        "volume_capabilities[1] is missing",
    );
    invalid(
        created(vec![no_mode.clone()]),
        "volume_capabilities[0].access_mode is missing",
    );
    invalid(
        created(vec![of_mode(0)]),
        "volume_capabilities[0].access_mode.mode is missing",
    );
    invalid(staged(no_type.clone()), "volume_capability is missing");
    // Not an answer but a mistake, also where refusals are answers, and also behind one.
    for malformed in [no_type, no_mode, of_mode(0)] {
        invalid(
            validated(vec![of_mode(5), malformed.clone()]),
            "volume_capabilities[1]",
        );
        invalid(
            measured(vec![of_mode(5), malformed]),
            "volume_capabilities[1]",
        );
    }
    invalid(validated(vec![]), "volume_capabilities is missing");
    assert_eq!(measured(vec![]).unwrap(), Some(vec![]));
}

#[test]
fn cv02_access_modes_of_one_node_are_taken() {
    for (number, mode) in [
        (1, Mode::SingleNodeWriter),
        (2, Mode::SingleNodeReader),
        (3, Mode::MultiNodeReader),
        (6, Mode::SingleNodeSingleWriter),
        (7, Mode::SingleNodeMultiWriter),
    ] {
        assert_eq!(created(vec![of_mode(number)]).unwrap()[0].mode, mode);
        assert_eq!(staged(of_mode(number)).unwrap().mode, mode);
    }
}

#[test]
fn cv02_c02_gc01_other_access_modes_are_refused_not_confirmed_and_have_no_room() {
    for (number, text) in [
        (
            4,
            "access_mode MULTI_NODE_SINGLE_WRITER lets other nodes in",
        ),
        (5, "access_mode MULTI_NODE_MULTI_WRITER lets other nodes in"),
        (8, "access_mode.mode 8 is not known"),
        (-1, "access_mode.mode -1 is not known"),
        (i32::MIN, "access_mode.mode -2147483648 is not known"),
        (i32::MAX, "access_mode.mode 2147483647 is not known"),
    ] {
        invalid(
            created(vec![mount(), of_mode(number)]),
            &format!("volume_capabilities[1].{text}"),
        );
        invalid(
            staged(of_mode(number)),
            &format!("volume_capability.{text}"),
        );
        let reason = validated(vec![of_mode(number), mount()])
            .unwrap()
            .unwrap_err();
        assert!(
            reason.starts_with(&format!("volume_capabilities[0].{text}")),
            "{reason}"
        );
        assert_eq!(measured(vec![of_mode(number)]).unwrap(), None);
    }
}

#[test]
fn cv02_one_volume_is_block_or_mount() {
    assert_eq!(created(vec![block(), block()]).unwrap().len(), 2);
    for both in [vec![block(), mount()], vec![mount(), mount(), block()]] {
        invalid(
            created(both.clone()),
            "volume_capabilities has both block and mount",
        );
        validated(both.clone()).unwrap().unwrap_err();
        assert_eq!(measured(both).unwrap(), None);
    }
}

#[test]
fn np06_filesystems_are_known_by_name() {
    for (name, filesystem) in [
        ("", None),
        ("ext4", Some(Filesystem::Ext4)),
        ("xfs", Some(Filesystem::Xfs)),
        ("btrfs", Some(Filesystem::Btrfs)),
    ] {
        let made = created(vec![of_filesystem(name)]).unwrap();
        assert_eq!(options(&made[0]).filesystem, filesystem);
    }
    for name in ["ext3", "EXT4", "ext4 ", "ntfs"] {
        let text = invalid(
            created(vec![of_filesystem(name)]),
            "volume_capabilities[0].mount.fs_type \"",
        );
        assert!(
            text.contains(name) && text.ends_with("is not ext4, xfs or btrfs"),
            "{text}"
        );
        validated(vec![of_filesystem(name)]).unwrap().unwrap_err();
    }
    for longer in ["a".repeat(129), "a\0".to_owned()] {
        invalid(
            validated(vec![of_filesystem(&longer)]),
            "volume_capabilities[0].mount.fs_type",
        );
    }
}

#[test]
fn cv02_one_volume_has_one_filesystem_which_goes_for_all() {
    let made = created(vec![mount(), of_filesystem("xfs"), mount()]).unwrap();
    assert!(
        made.iter()
            .all(|each| options(each).filesystem == Some(Filesystem::Xfs))
    );
    let several = vec![of_filesystem("xfs"), mount(), of_filesystem("ext4")];
    invalid(created(several), "volume_capabilities has several fs_type");
}

#[test]
fn g06_mount_flags_hold_4_kib_in_total_and_longer_ones_than_other_texts() {
    let flags = |bytes: usize| {
        let mut flags = vec!["ro"; (bytes - 200) / 2];
        let long = format!("context={}", "x".repeat(192));
        flags.push(&long);
        of_flags(&flags)
    };
    assert_eq!(
        options(&created(vec![flags(4096)]).unwrap()[0]).flags.len(),
        1949
    );
    invalid(
        created(vec![flags(4098)]),
        "volume_capabilities[0].mount.mount_flags hold 4098 bytes",
    );
}

#[test]
fn np06_g05_mount_flags_are_kept_as_they_came_and_a_refused_one_is_not_shown() {
    let made = staged(of_flags(&["ro,noatime", "context=\"a,b\""])).unwrap();
    assert_eq!(options(&made).flags, ["ro,noatime", "context=\"a,b\""]);
    for flag in ["hunter2=\"", "hunter2 ", "hunter2\0"] {
        let text = invalid(
            staged(of_flags(&["ro", flag])),
            "volume_capability.mount.mount_flags",
        );
        assert!(!text.contains("hunter2"), "{text}");
    }
    let text = invalid(
        staged(of_flags(&["ro", "loop"])),
        "volume_capability.mount.mount_flags[1] is loop",
    );
    assert!(text.contains("refused"), "{text}");
}

#[test]
fn np06_the_mount_group_is_a_number() {
    for (text, group) in [
        ("", None),
        ("0", Some(0)),
        ("1000", Some(1000)),
        ("4294967294", Some(u32::MAX - 1)),
    ] {
        assert_eq!(options(&staged(of_group(text)).unwrap()).group, group);
    }
    for text in [
        "-1",
        "+1",
        "staff",
        "1 ",
        "0x10",
        "1.0",
        "4294967295",
        "4294967296",
        "99999999999999999999",
    ] {
        let refusal = invalid(
            staged(of_group(text)),
            "volume_capability.mount.volume_mount_group \"",
        );
        assert!(refusal.contains(text), "{refusal}");
    }
    invalid(
        staged(of_group(&"1".repeat(129))),
        "volume_capability.mount.volume_mount_group",
    );
}

#[test]
fn np06_a_mount_group_that_is_not_offered_is_refused() {
    let wanted = CreateVolumeRequest {
        volume_capabilities: vec![of_group("1000")],
        ..create()
    };
    let text = invalid(
        create_volume(&bare(), wanted),
        "volume_capabilities[0].mount.volume_mount_group is set",
    );
    assert!(text.contains("--enable-volume-mount-group"), "{text}");
}
