//! Whether a use that is asked for suits the volume, and goes with the uses that it has. Pure.

use kernel::storage::filesystem;
use kernel::storage::mounts::{AccessTimes, Attributes};

use crate::access::{Access, Capability, Filesystem, Mode};
use crate::error::Error;
use crate::mount_flags::{Atime, Flags};
use crate::record::{Published, Staged, Volume};

/// The mount flags of a use that suits the volume. `pool` is the filesystem that its pool lies on.
pub(super) fn suit(
    volume: &Volume,
    capability: &Capability,
    pool: filesystem::Kind,
) -> Result<Flags, Error> {
    let id = &volume.id;
    let options = match (&capability.access, volume.block) {
        (Access::Block, true) => return Ok(Flags::default()),
        (Access::Mount(options), false) => options,
        (Access::Block, false) => {
            return Err(Error::Unready(format!(
                "volume {id} holds a filesystem and cannot be used as a raw device"
            )));
        }
        (Access::Mount(_), true) => {
            return Err(Error::Unready(format!(
                "volume {id} is a raw device and cannot be mounted"
            )));
        }
    };
    if let Some(asked) = options.filesystem
        && !holds(volume, asked, pool)
    {
        return Err(Error::Unready(format!(
            "volume {id} does not hold {}, ask for the filesystem that it was made with",
            asked.name()
        )));
    }
    let flags = Flags::parse(&options.flags).map_err(Error::Invalid)?;
    if volume.kind().is_directory() {
        flags.for_directory().map_err(Error::Invalid)?;
    }
    Ok(flags)
}

/// The mount flags of a capability as they came.
pub(super) fn flags(capability: &Capability) -> Vec<String> {
    match &capability.access {
        Access::Mount(options) => options.flags.clone(),
        Access::Block => Vec::new(),
    }
}

/// Whether the files of a volume lie on a filesystem of that kind.
fn holds(volume: &Volume, asked: Filesystem, pool: filesystem::Kind) -> bool {
    if !volume.kind().is_directory() {
        return volume.filesystem == Some(asked.into());
    }
    matches!(
        (asked, pool),
        (Filesystem::Ext4, filesystem::Kind::Ext)
            | (Filesystem::Xfs, filesystem::Kind::Xfs)
            | (Filesystem::Btrfs, filesystem::Kind::Btrfs)
    )
}

/// The attributes of a mount with these flags.
pub(super) const fn attributes(flags: &Flags, readonly: bool) -> Attributes {
    Attributes {
        readonly: readonly || flags.readonly,
        nosuid: !flags.suid,
        nodev: !flags.dev,
        noexec: !flags.exec,
        nodiratime: !flags.diratime,
        access_times: match flags.atime {
            // The kernel's default for a filesystem of our own; for a directory, what the pool has.
            Atime::Relative => None,
            Atime::Never => Some(AccessTimes::Never),
            Atime::Always => Some(AccessTimes::Always),
        },
    }
}

/// The options with which an image's filesystem is mounted: those asked for and those that images need.
pub(super) fn options(filesystem: Filesystem, flags: &Flags) -> Vec<(&str, Option<&str>)> {
    let asked = flags.options.iter();
    let mut options: Vec<(&str, Option<&str>)> = asked
        .map(|(name, value)| (name.as_str(), value.as_deref()))
        .collect();
    match filesystem {
        Filesystem::Ext4 => {
            // A new image reads as zeroes; writing them once more would undo that it is thin.
            options.push(("noinit_itable", None));
            if !options.iter().any(|(name, _)| *name == "errors") {
                options.push(("errors", Some("remount-ro")));
            }
        }
        // A restored snapshot has the identity of its origin.
        Filesystem::Xfs => options.push(("nouuid", None)),
        Filesystem::Btrfs => {}
    }
    options
}

/// Whether a volume is staged as asked for (NS-01). `recorded` is what is recorded and really there.
pub(super) fn is_staged(
    volume: &str,
    recorded: Option<&Staged>,
    wanted: &Staged,
) -> Result<bool, Error> {
    let Some(recorded) = recorded else {
        return Ok(false);
    };
    let differs = if recorded.path != wanted.path {
        format!("at {}", recorded.path)
    } else if recorded.mode != wanted.mode {
        format!("with access mode {:?}", recorded.mode())
    } else if recorded.flags != wanted.flags {
        "with other mount flags".to_owned()
    } else {
        return Ok(true);
    };
    Err(Error::Differs(format!(
        "volume {volume} is staged {differs}, unstage it there first"
    )))
}

/// Whether a volume is published at a target as asked for (NP-03). `recorded` is what is recorded and really there.
pub(super) fn is_published(
    volume: &str,
    recorded: Option<&Published>,
    wanted: &Published,
) -> Result<bool, Error> {
    let Some(recorded) = recorded else {
        return Ok(false);
    };
    let differs = if recorded.readonly != wanted.readonly {
        let how = if recorded.readonly {
            "read-only"
        } else {
            "for writing"
        };
        how.to_owned()
    } else if recorded.mode != wanted.mode {
        format!("with access mode {:?}", recorded.mode())
    } else if recorded.flags != wanted.flags {
        "with other mount flags".to_owned()
    } else if recorded.group != wanted.group {
        "with another volume_mount_group".to_owned()
    } else {
        return Ok(true);
    };
    Err(Error::Differs(format!(
        "volume {volume} is published at {} {differs}, unpublish it there first",
        wanted.target
    )))
}

/// Whether a volume may be published at another target beside `others` (NP-04).
pub(super) fn goes_with(volume: &str, others: &[Published], mode: Mode) -> Result<(), Error> {
    let sole = |other: &&Published| !mode.many_targets() || !other.mode().many_targets();
    let Some(other) = others.iter().find(sole) else {
        return Ok(());
    };
    let mode = if mode.many_targets() {
        other.mode()
    } else {
        mode
    };
    Err(Error::Unready(format!(
        "volume {volume} is published at {} already, and access mode {mode:?} allows one target: unpublish it there first",
        other.target
    )))
}

/// Whether a publish asks for options of the filesystem with which it was not staged (NP-06): they cannot be changed by
/// then.
pub(super) fn adds_options(staged: &Flags, published: &Flags) -> bool {
    let has = |option| staged.options.contains(option);
    !published.options.iter().all(has)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::MountOptions;
    use crate::record::Kind;
    use tonic::Code;

    const WRITER: Mode = Mode::SingleNodeWriter;
    const MANY: Mode = Mode::SingleNodeMultiWriter;
    const READER: Mode = Mode::MultiNodeReader;

    fn image(filesystem: Filesystem) -> Volume {
        Volume {
            kind: Kind::Image.into(),
            filesystem: Some(filesystem.into()),
            ..Volume::default()
        }
    }

    fn mount(filesystem: Option<Filesystem>, flags: &[&str]) -> Capability {
        let flags = flags.iter().map(|&flag| flag.to_owned()).collect();
        Capability {
            access: Access::Mount(MountOptions {
                filesystem,
                flags,
                group: None,
            }),
            mode: WRITER,
        }
    }

    fn refused(volume: &Volume, capability: &Capability) -> Option<Code> {
        let suited = suit(volume, capability, filesystem::Kind::Xfs);
        suited.err().map(|error| error.code())
    }

    #[test]
    fn ns_01_a_volume_is_used_as_it_was_made() {
        let volume = image(Filesystem::Ext4);
        let block = Capability {
            access: Access::Block,
            mode: WRITER,
        };
        assert_eq!(refused(&volume, &mount(None, &[])), None);
        assert_eq!(refused(&volume, &mount(Some(Filesystem::Ext4), &[])), None);
        let xfs = mount(Some(Filesystem::Xfs), &[]);
        assert_eq!(refused(&volume, &xfs), Some(Code::FailedPrecondition));
        assert_eq!(refused(&volume, &block), Some(Code::FailedPrecondition));
        let device = Volume {
            block: true,
            filesystem: None,
            ..volume
        };
        assert_eq!(refused(&device, &block), None);
        assert_eq!(refused(&device, &xfs), Some(Code::FailedPrecondition));
    }

    #[test]
    fn a_directory_has_the_filesystem_of_its_pool_and_no_options_of_one() {
        let volume = Volume {
            kind: Kind::Directory.into(),
            ..Volume::default()
        };
        assert_eq!(refused(&volume, &mount(Some(Filesystem::Xfs), &[])), None);
        let ext4 = mount(Some(Filesystem::Ext4), &[]);
        assert_eq!(refused(&volume, &ext4), Some(Code::FailedPrecondition));
        assert_eq!(refused(&volume, &mount(None, &["noexec"])), None);
        let label = mount(None, &["context=\"a:b:c:s0\""]);
        assert_eq!(refused(&volume, &label), Some(Code::InvalidArgument));
        assert_eq!(refused(&image(Filesystem::Xfs), &label), None);
    }

    #[test]
    fn neither_suid_nor_dev_unless_asked_for() {
        let flags = Flags::parse(&["noatime,dev".to_owned()]).unwrap();
        let wanted = Attributes {
            nosuid: true,
            access_times: Some(AccessTimes::Never),
            ..Attributes::default()
        };
        assert_eq!(attributes(&flags, false), wanted);
        assert!(attributes(&flags, true).readonly);
        let read_only = Flags::parse(&["ro".to_owned()]).unwrap();
        assert!(attributes(&read_only, false).readonly);
    }

    #[test]
    fn an_image_is_mounted_as_images_need_it() {
        let plain = Flags::default();
        let ext4 = options(Filesystem::Ext4, &plain);
        assert!(ext4.contains(&("errors", Some("remount-ro"))));
        assert_eq!(options(Filesystem::Xfs, &plain), [("nouuid", None)]);
        let asked = Flags::parse(&["errors=continue,discard".to_owned()]).unwrap();
        let ext4 = options(Filesystem::Ext4, &asked);
        assert!(ext4.contains(&("discard", None)));
        assert!(!ext4.contains(&("errors", Some("remount-ro"))));
    }

    #[test]
    fn ns_01_staged_the_same_or_differently() {
        let wanted = Staged {
            path: "/staging".to_owned(),
            flags: Vec::new(),
            mode: WRITER.into(),
        };
        let staged = |recorded: Option<Staged>| {
            is_staged("vol-1", recorded.as_ref(), &wanted).map_err(|error| error.code())
        };
        assert_eq!(staged(None), Ok(false));
        assert_eq!(staged(Some(wanted.clone())), Ok(true));
        let differs = [
            Staged {
                path: "/elsewhere".to_owned(),
                ..wanted.clone()
            },
            Staged {
                flags: vec!["discard".to_owned()],
                ..wanted.clone()
            },
            Staged {
                mode: READER.into(),
                ..wanted.clone()
            },
        ];
        for recorded in differs {
            assert_eq!(staged(Some(recorded)), Err(Code::AlreadyExists));
        }
    }

    fn published(target: &str, mode: Mode) -> Published {
        Published {
            target: target.to_owned(),
            mode: mode.into(),
            ..Published::default()
        }
    }

    #[test]
    fn np_03_published_the_same_or_differently() {
        let wanted = published("/target", WRITER);
        let done = |recorded: Option<Published>| {
            is_published("vol-1", recorded.as_ref(), &wanted).map_err(|error| error.code())
        };
        assert_eq!(done(None), Ok(false));
        assert_eq!(done(Some(wanted.clone())), Ok(true));
        let differs = [
            published("/target", READER),
            Published {
                readonly: true,
                ..wanted.clone()
            },
            Published {
                flags: vec!["noexec".to_owned()],
                ..wanted.clone()
            },
            Published {
                group: Some(1),
                ..wanted.clone()
            },
        ];
        for recorded in differs {
            assert_eq!(done(Some(recorded)), Err(Code::AlreadyExists));
        }
    }

    #[test]
    fn np_04_a_second_target_takes_two_modes_that_share() {
        let sole = [WRITER, Mode::SingleNodeSingleWriter, Mode::SingleNodeReader];
        for mode in sole.into_iter().chain([MANY, READER]) {
            assert!(goes_with("vol-1", &[], mode).is_ok());
        }
        for mode in sole {
            let error = goes_with("vol-1", &[published("/first", MANY)], mode).unwrap_err();
            assert_eq!(error.code(), Code::FailedPrecondition);
            assert!(error.to_string().contains("/first"), "{error}");
            let others = [published("/first", READER), published("/second", mode)];
            let error = goes_with("vol-1", &others, MANY).unwrap_err();
            assert!(error.to_string().contains("/second"), "{error}");
        }
        assert!(goes_with("vol-1", &[published("/first", MANY)], READER).is_ok());
        assert!(goes_with("vol-1", &[published("/first", READER)], MANY).is_ok());
    }

    #[test]
    fn np_06_options_of_a_filesystem_are_for_staging() {
        let flags = |text: &str| Flags::parse(&[text.to_owned()]).unwrap();
        assert!(!adds_options(&flags("discard"), &flags("discard,noexec")));
        assert!(!adds_options(&flags("discard"), &flags("ro")));
        assert!(adds_options(&flags("commit=5"), &flags("commit=6")));
        assert!(adds_options(&flags(""), &flags("discard")));
    }
}
