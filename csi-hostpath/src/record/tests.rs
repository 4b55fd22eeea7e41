//! Records outlive the driver that wrote them.

use std::fmt::Debug;

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use prost::Message;

use super::*;

/// Field numbers beyond those in use.
const UNKNOWN: std::ops::Range<u32> = 100..1000;

fn text() -> impl Strategy<Value = String> {
    "\\PC{0,12}"
}

prop_compose! {
    fn attached()(node in text(), readonly: bool, mode: i32) -> Attached {
        Attached { node, readonly, mode }
    }
}

prop_compose! {
    fn staged()(path in text(), flags in vec(text(), 0..3), mode: i32) -> Staged {
        Staged { path, flags, mode }
    }
}

prop_compose! {
    fn published()(target in text(), readonly: bool, flags in vec(text(), 0..3), mode: i32, group: Option<u32>) -> Published {
        Published { target, readonly, flags, mode, group }
    }
}

prop_compose! {
    fn used()(
        attached in vec(attached(), 0..3),
        staged in option::of(staged()),
        published in vec(published(), 0..3),
        frozen: bool,
    ) -> Volume {
        Volume { attached, staged, published, frozen, ..Volume::default() }
    }
}

prop_compose! {
    fn volume()(
        used in used(),
        (id, name, pool) in (text(), text(), text()),
        (kind, filesystem) in any::<(i32, Option<i32>)>(),
        (block, thick, ephemeral) in any::<(bool, bool, bool)>(),
        (size, backing, filled) in any::<(u64, u64, u64)>(),
        from_snapshot in option::of(text()),
        from_volume in option::of(text()),
        parameters in btree_map(text(), text(), 0..3),
        mutable in btree_map(text(), text(), 0..3),
        (created, project) in any::<(i64, Option<u32>)>(),
    ) -> Volume {
        Volume {
            id, name, pool, kind, filesystem, block, thick, ephemeral, size, backing, filled, from_snapshot, from_volume,
            parameters, mutable, created, project, ..used
        }
    }
}

prop_compose! {
    fn snapshot()(
        (id, name, source, pool) in (text(), text(), text(), text()),
        (kind, progress, filesystem) in any::<(i32, i32, Option<i32>)>(),
        (block, full) in any::<(bool, bool)>(),
        (size, filled, created) in any::<(u64, u64, i64)>(),
        group in option::of(text()),
        failure in text(),
    ) -> Snapshot {
        Snapshot { id, name, source, pool, kind, block, filesystem, size, filled, created, group, progress, failure, full }
    }
}

prop_compose! {
    fn group()(
        (id, name) in (text(), text()),
        sources in vec(text(), 0..3),
        snapshots in vec(text(), 0..3),
        created: i64,
    ) -> Group {
        Group { id, name, sources, snapshots, created }
    }
}

/// The record as a newer driver would write it, with a field that we do not know.
fn newer<T: Message>(record: &T, number: u32, content: &str) -> Vec<u8> {
    let mut bytes = record.encode_to_vec();
    prost::encoding::string::encode(number, &content.to_owned(), &mut bytes);
    bytes
}

fn survives<T: Message + Default + PartialEq + Debug>(record: &T, number: u32, content: &str) {
    assert_eq!(
        &T::decode(record.encode_to_vec().as_slice()).unwrap(),
        record
    );
    assert_eq!(
        &T::decode(newer(record, number, content).as_slice()).unwrap(),
        record
    );
}

proptest! {
    #[test]
    fn records_read_back_as_written(
        volume in volume(),
        snapshot in snapshot(),
        group in group(),
        number in UNKNOWN,
        content in text(),
    ) {
        survives(&volume, number, &content);
        survives(&snapshot, number, &content);
        survives(&group, number, &content);
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
        let _ = Volume::decode(bytes.as_slice());
        let _ = Snapshot::decode(bytes.as_slice());
        let _ = Group::decode(bytes.as_slice());
    }
}

#[test]
fn every_field_has_its_own_number_for_good() {
    let volume = Volume {
        id: "v".into(),
        size: 1,
        staged: Some(Staged {
            path: "s".into(),
            ..Staged::default()
        }),
        frozen: true,
        ..Volume::default()
    };
    // Id 1, size 7, staged 19 with path 1, frozen 21.
    let bytes = [
        0x0a, 1, b'v', 0x38, 1, 0x9a, 0x01, 3, 0x0a, 1, b's', 0xa8, 0x01, 1,
    ];
    assert_eq!(volume.encode_to_vec(), bytes);
}

#[test]
fn numbers_that_stand_for_nothing_are_told() {
    let understood = Volume {
        kind: Kind::Image.into(),
        filesystem: Some(1),
        ..Volume::default()
    };
    assert!(understood.is_understood());
    // prost takes each of these for the first of its enumeration.
    let strange = Staged {
        mode: 4,
        ..Staged::default()
    };
    for volume in [
        Volume {
            kind: 0,
            ..understood.clone()
        },
        Volume {
            filesystem: Some(9),
            ..understood.clone()
        },
        Volume {
            staged: Some(strange),
            ..understood
        },
    ] {
        assert!(!volume.is_understood(), "{volume:?}");
    }
    assert!(Snapshot::default().is_understood());
    for snapshot in [
        Snapshot {
            kind: 9,
            ..Snapshot::default()
        },
        Snapshot {
            progress: -1,
            ..Snapshot::default()
        },
    ] {
        assert!(!snapshot.is_understood(), "{snapshot:?}");
    }
}
