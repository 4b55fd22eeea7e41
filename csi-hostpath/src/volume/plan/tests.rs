//! What volumes become, by tables.

use super::*;
use crate::access::{Mode, MountOptions};
use crate::id::SnapshotId;
use crate::parameters::{Attributes, Class};
use proptest::prelude::*;

const BTRFS: Abilities = Abilities {
    enforcement: Enforcement::QuotaGroup,
    filesystem: filesystem::Kind::Btrfs,
};
const PLAIN: Abilities = Abilities {
    enforcement: Enforcement::Nothing,
    filesystem: filesystem::Kind::Ext,
};

fn mount(filesystem: Option<Filesystem>) -> Capability {
    Capability {
        access: Access::Mount(MountOptions {
            filesystem,
            ..MountOptions::default()
        }),
        mode: Mode::SingleNodeWriter,
    }
}

fn block() -> Capability {
    Capability {
        access: Access::Block,
        mode: Mode::SingleNodeWriter,
    }
}

fn wanted(capability: Capability, class: Class) -> CreateVolume {
    CreateVolume {
        name: "pvc-1".to_owned(),
        range: None,
        capabilities: vec![capability],
        class,
        parameters: BTreeMap::new(),
        attributes: Attributes::default(),
        source: None,
    }
}

fn kind(kind: Kind) -> Class {
    Class {
        kind: Some(kind),
        ..Class::default()
    }
}

fn shaped(
    capability: Capability,
    class: Class,
    pool: Abilities,
) -> Result<(Kind, Option<Filesystem>), tonic::Code> {
    shape(&wanted(capability, class), None, pool)
        .map(|shape| (shape.kind, shape.filesystem))
        .map_err(|error| error.code())
}

#[test]
fn a_pool_that_enforces_directories_gives_directories_and_others_give_images() {
    let thick = Class {
        thick: Some(true),
        ..Class::default()
    };
    let any = Class::default;
    let ext4 = Some(Filesystem::Ext4);
    let table = [
        (mount(None), any(), BTRFS, Ok((Kind::Directory, None))),
        (mount(None), any(), PLAIN, Ok((Kind::Image, ext4))),
        (mount(ext4), any(), BTRFS, Ok((Kind::Image, ext4))),
        (
            mount(Some(Filesystem::Btrfs)),
            any(),
            BTRFS,
            Ok((Kind::Directory, None)),
        ),
        (mount(None), thick.clone(), BTRFS, Ok((Kind::Image, ext4))),
        (block(), any(), BTRFS, Ok((Kind::Image, None))),
        (
            mount(None),
            kind(Kind::Image),
            BTRFS,
            Ok((Kind::Image, ext4)),
        ),
        (
            mount(None),
            kind(Kind::UnenforcedDirectory),
            PLAIN,
            Ok((Kind::UnenforcedDirectory, None)),
        ),
        (
            mount(None),
            kind(Kind::Directory),
            PLAIN,
            Err(tonic::Code::ResourceExhausted),
        ),
        (
            mount(ext4),
            kind(Kind::Directory),
            BTRFS,
            Err(tonic::Code::InvalidArgument),
        ),
        (
            block(),
            kind(Kind::Directory),
            BTRFS,
            Err(tonic::Code::InvalidArgument),
        ),
        (
            mount(None),
            Class {
                kind: Some(Kind::Directory),
                ..thick
            },
            BTRFS,
            Err(tonic::Code::InvalidArgument),
        ),
    ];
    for (capability, class, pool, expected) in table {
        assert_eq!(
            shaped(capability.clone(), class.clone(), pool),
            expected,
            "{capability:?} {class:?}"
        );
    }
}

#[test]
fn np_06_options_of_a_filesystem_need_an_image() {
    let with = |flag: &str| Capability {
        access: Access::Mount(MountOptions {
            flags: vec![flag.to_owned()],
            ..MountOptions::default()
        }),
        mode: Mode::SingleNodeWriter,
    };
    let image = Ok((Kind::Image, Some(Filesystem::Ext4)));
    assert_eq!(shaped(with("discard"), Class::default(), BTRFS), image);
    assert_eq!(
        shaped(with("noexec"), Class::default(), BTRFS),
        Ok((Kind::Directory, None))
    );
    assert_eq!(
        shaped(with("discard"), kind(Kind::Directory), BTRFS),
        Err(tonic::Code::InvalidArgument)
    );
}

fn origin(block: bool) -> Origin {
    Origin {
        name: "snapshot snap-1".to_owned(),
        kind: Kind::Image,
        block,
        filesystem: (!block).then_some(Filesystem::Xfs),
        size: 8 << 30,
        filled: 8 << 30,
    }
}

#[test]
fn cv_07_a_copy_has_the_shape_of_its_source() {
    let copied = |capability, class, origin: &Origin| {
        shape(&wanted(capability, class), Some(origin), BTRFS)
            .map(|shape| (shape.kind, shape.filesystem))
            .map_err(|error| error.code())
    };
    let xfs = Some(Filesystem::Xfs);
    assert_eq!(
        copied(mount(None), Class::default(), &origin(false)),
        Ok((Kind::Image, xfs))
    );
    assert_eq!(
        copied(block(), Class::default(), &origin(true)),
        Ok((Kind::Image, None))
    );
    for (capability, class, origin) in [
        (block(), Class::default(), origin(false)),
        (mount(None), Class::default(), origin(true)),
        (
            mount(Some(Filesystem::Ext4)),
            Class::default(),
            origin(false),
        ),
        (mount(None), kind(Kind::Directory), origin(false)),
    ] {
        assert_eq!(
            copied(capability, class, &origin),
            Err(tonic::Code::InvalidArgument)
        );
    }
}

const DIRECTORY: Shape = Shape {
    kind: Kind::Directory,
    block: false,
    filesystem: None,
    thick: false,
};

fn sized(required: u64, limit: Option<u64>, origin: Option<&Origin>) -> Result<u64, tonic::Code> {
    size(
        Some(SizeRange { required, limit }),
        DIRECTORY,
        origin,
        1 << 40,
    )
    .map_err(|error| error.code())
}

#[test]
fn cv_03_and_cv_06_sizes() {
    let source = origin(false);
    let out = Err(tonic::Code::OutOfRange);
    let table = [
        (1 << 30, None, None, Ok(1 << 30)),
        ((1 << 30) + 1, None, None, Ok((1 << 30) + 4096)),
        (
            (1 << 30) + 1,
            Some((1 << 30) + 512),
            None,
            Ok((1 << 30) + 512),
        ),
        ((1 << 30) + 1, Some((1 << 30) + 511), None, out),
        (0, Some(8 << 20), None, Ok(8 << 20)),
        (1, None, None, Ok(1 << 20)),
        (1, Some(1 << 19), None, out),
        ((1 << 40) + 1, None, None, out),
        (u64::MAX, None, None, out),
        (0, None, Some(&source), Ok(8 << 30)),
        (9 << 30, None, Some(&source), Ok(9 << 30)),
        (1 << 30, None, Some(&source), out),
        (0, Some(1 << 30), Some(&source), out),
    ];
    for (required, limit, origin, expected) in table {
        assert_eq!(
            sized(required, limit, origin),
            expected,
            "{required} {limit:?} {}",
            origin.is_some()
        );
    }
    assert_eq!(
        size(None, DIRECTORY, None, 1 << 40).ok(),
        Some(1 << 30),
        "the default"
    );
    assert_eq!(
        size(None, DIRECTORY, None, 10 << 20).ok(),
        Some(10 << 20),
        "no larger than the largest"
    );
}

proptest! {
    #[test]
    fn a_size_is_within_its_range_whatever_the_range(required: u64, limit: Option<u64>, largest: u64) {
        if let Ok(size) = size(Some(SizeRange { required, limit }), DIRECTORY, None, largest) {
            prop_assert!(size >= required && size <= largest && size % 512 == 0);
            prop_assert!(limit.is_none_or(|limit| size <= limit));
        }
    }
}

fn made() -> Volume {
    Volume {
        id: "vol-1".to_owned(),
        name: "pvc-1".to_owned(),
        kind: Kind::Image.into(),
        filesystem: Some(Filesystem::Ext4.into()),
        size: 1 << 30,
        parameters: BTreeMap::from([("kind".to_owned(), "image".to_owned())]),
        ..Volume::default()
    }
}

#[test]
fn cv_04_and_cv_05_a_repeat_gets_the_volume_and_a_different_request_does_not() {
    let again = || CreateVolume {
        parameters: made().parameters,
        ..wanted(mount(None), kind(Kind::Image))
    };
    let is_same = |wanted: &CreateVolume| match same(&made(), wanted, filesystem::Kind::Ext) {
        Ok(()) => true,
        Err(error) => {
            assert_eq!(error.code(), tonic::Code::AlreadyExists);
            false
        }
    };
    assert!(is_same(&again()));
    let with = |change: fn(&mut CreateVolume)| {
        let mut wanted = again();
        change(&mut wanted);
        is_same(&wanted)
    };
    let range = |required, limit| Some(SizeRange { required, limit });
    assert!(with(|wanted| wanted.range = Some(SizeRange {
        required: 1 << 20,
        limit: None
    })));
    assert!(with(
        |wanted| wanted.capabilities = vec![mount(Some(Filesystem::Ext4))]
    ));
    assert!(with(|wanted| {
        wanted.parameters.insert(
            "csi.storage.k8s.io/pvc/name".to_owned(),
            "data-0".to_owned(),
        );
    }));
    assert!(!is_same(&CreateVolume {
        range: range(2 << 30, None),
        ..again()
    }));
    assert!(!is_same(&CreateVolume {
        range: range(0, Some(1 << 20)),
        ..again()
    }));
    assert!(!with(|wanted| wanted.capabilities = vec![block()]));
    assert!(!with(
        |wanted| wanted.capabilities = vec![mount(Some(Filesystem::Xfs))]
    ));
    assert!(!with(|wanted| wanted.parameters.clear()));
    assert!(!with(|wanted| wanted.class.thick = Some(true)));
    assert!(!with(|wanted| {
        wanted.source =
            SnapshotId::parse(&format!("snap-{}", "0".repeat(32))).map(Source::Snapshot);
    }));
}
