//! How a volume will be used.

use proto::csi::VolumeCapability;
use proto::csi::volume_capability::{AccessMode, AccessType, MountVolume, access_mode};

use super::{Rules, absent, text};
use crate::access::{Access, Capability, Filesystem, Mode, MountOptions};
use crate::error::Error;
use crate::excerpt::excerpt;
use crate::mount_flags::Flags;

/// The most bytes of all mount flags together.
const FLAGS: usize = 4096;

/// Why a capability is not taken.
pub(super) enum Refusal {
    /// It is not one.
    Malformed(Error),
    /// It is one that this driver does not have.
    Unsupported(String),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::Malformed(error)
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Malformed(error) => error,
            Refusal::Unsupported(why) => Self::Invalid(why),
        }
    }
}

/// The capability of a call that needs one.
pub(super) fn required(
    rules: &Rules,
    given: Option<VolumeCapability>,
) -> Result<Capability, Error> {
    match optional(rules, given)? {
        Some(capability) => Ok(capability),
        None => Err(absent("volume_capability", "say how the volume is used")),
    }
}

/// The capability of a call that can do without.
pub(super) fn optional(
    rules: &Rules,
    given: Option<VolumeCapability>,
) -> Result<Option<Capability>, Error> {
    let read = given.map(|given| read(rules, "volume_capability", given));
    Ok(read.transpose()?)
}

/// The capabilities of a call that needs at least one. Inner refusals come one at a time, malformed ones first: they
/// are errors even where a refusal is an answer.
pub(super) fn several(
    rules: &Rules,
    given: Vec<VolumeCapability>,
) -> Result<Result<Vec<Capability>, String>, Error> {
    if given.is_empty() {
        return Err(absent("volume_capabilities", "say how the volume is used"));
    }
    any_number(rules, given)
}

/// The same, and none is fine.
pub(super) fn any_number(
    rules: &Rules,
    given: Vec<VolumeCapability>,
) -> Result<Result<Vec<Capability>, String>, Error> {
    let mut capabilities = Vec::with_capacity(given.len());
    let mut unsupported = None;
    for (index, given) in given.into_iter().enumerate() {
        match read(rules, &format!("volume_capabilities[{index}]"), given) {
            Ok(capability) => capabilities.push(capability),
            Err(Refusal::Malformed(error)) => return Err(error),
            Err(Refusal::Unsupported(why)) => _ = unsupported.get_or_insert(why),
        }
    }
    Ok(match unsupported {
        Some(why) => Err(why),
        None => alike(capabilities),
    })
}

/// One volume has one access type and one filesystem; where only some capabilities name it, it goes for all.
fn alike(mut capabilities: Vec<Capability>) -> Result<Vec<Capability>, String> {
    let blocks = capabilities
        .iter()
        .filter(|each| each.access == Access::Block);
    let blocks = blocks.count();
    if blocks != 0 && blocks != capabilities.len() {
        return Err(
            "volume_capabilities has both block and mount: a volume is one of them".to_owned(),
        );
    }
    let mut named: Option<Filesystem> = None;
    for filesystem in mounts(&mut capabilities).filter_map(|mount| mount.filesystem) {
        match named.replace(filesystem) {
            Some(other) if other != filesystem => {
                return Err(
                    "volume_capabilities has several fs_type: a volume has one of them".to_owned(),
                );
            }
            _ => {}
        }
    }
    for mount in mounts(&mut capabilities) {
        mount.filesystem = named;
    }
    Ok(capabilities)
}

fn mounts(capabilities: &mut [Capability]) -> impl Iterator<Item = &mut MountOptions> {
    capabilities
        .iter_mut()
        .filter_map(|each| match &mut each.access {
            Access::Block => None,
            Access::Mount(options) => Some(options),
        })
}

fn read(rules: &Rules, field: &str, given: VolumeCapability) -> Result<Capability, Refusal> {
    let Some(access) = given.access_type else {
        return Err(absent(field, "it has neither block nor mount, set one").into());
    };
    let Some(wanted) = given.access_mode else {
        return Err(absent(
            &format!("{field}.access_mode"),
            "say who may use the volume",
        )
        .into());
    };
    // Both are looked at before either is refused as unsupported.
    let access = match access {
        AccessType::Block(_) => Ok(Access::Block),
        AccessType::Mount(given) => {
            mount(rules, &format!("{field}.mount"), given).map(Access::Mount)
        }
    };
    match (mode(field, wanted), access) {
        (Err(malformed @ Refusal::Malformed(_)), _)
        | (_, Err(malformed @ Refusal::Malformed(_))) => Err(malformed),
        (mode, access) => Ok(Capability {
            mode: mode?,
            access: access?,
        }),
    }
}

fn mode(field: &str, given: AccessMode) -> Result<Mode, Refusal> {
    use access_mode::Mode as Given;
    match Given::try_from(given.mode) {
        Ok(Given::SingleNodeWriter) => Ok(Mode::SingleNodeWriter),
        Ok(Given::SingleNodeReaderOnly) => Ok(Mode::SingleNodeReader),
        Ok(Given::MultiNodeReaderOnly) => Ok(Mode::MultiNodeReader),
        Ok(Given::SingleNodeSingleWriter) => Ok(Mode::SingleNodeSingleWriter),
        Ok(Given::SingleNodeMultiWriter) => Ok(Mode::SingleNodeMultiWriter),
        Ok(refused @ (Given::MultiNodeSingleWriter | Given::MultiNodeMultiWriter)) => {
            Err(Refusal::Unsupported(format!(
                "{field}.access_mode {} lets other nodes in, but a volume lies on one node's own disk: \
             ask for ReadWriteOnce or ReadWriteOncePod",
                refused.as_str_name()
            )))
        }
        Ok(Given::Unknown) => Err(absent(
            &format!("{field}.access_mode.mode"),
            "say who may use the volume",
        )
        .into()),
        Err(_) => Err(Refusal::Unsupported(format!(
            "{field}.access_mode.mode {} is not known to this driver",
            given.mode
        ))),
    }
}

fn mount(rules: &Rules, field: &str, given: MountVolume) -> Result<MountOptions, Refusal> {
    text::optional(&format!("{field}.fs_type"), &given.fs_type, text::TEXT)?;
    text::optional(
        &format!("{field}.volume_mount_group"),
        &given.volume_mount_group,
        text::TEXT,
    )?;
    let bytes: usize = given.mount_flags.iter().map(String::len).sum();
    if bytes > FLAGS {
        return Err(Error::Invalid(format!(
            "{field}.mount_flags hold {bytes} bytes, more than {FLAGS}"
        ))
        .into());
    }
    if given.mount_flags.iter().any(|flag| flag.contains('\0')) {
        return Err(Error::Invalid(format!("{field}.mount_flags hold a NUL")).into());
    }
    let within = |why| Refusal::Unsupported(format!("{field}.{why}"));
    Flags::parse(&given.mount_flags).map_err(within)?;
    Ok(MountOptions {
        filesystem: filesystem(&given.fs_type).map_err(within)?,
        flags: given.mount_flags,
        group: group(rules, &given.volume_mount_group).map_err(within)?,
    })
}

fn filesystem(fs_type: &str) -> Result<Option<Filesystem>, String> {
    match fs_type {
        "" => Ok(None),
        "ext4" => Ok(Some(Filesystem::Ext4)),
        "xfs" => Ok(Some(Filesystem::Xfs)),
        "btrfs" => Ok(Some(Filesystem::Btrfs)),
        _ => Err(format!(
            "fs_type {} is not ext4, xfs or btrfs",
            excerpt(fs_type)
        )),
    }
}

fn group(rules: &Rules, text: &str) -> Result<Option<u32>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    if !rules.offers.mount_group {
        return Err(
            "volume_mount_group is set, but this driver was started without it: leave it out, or start the driver \
             with --enable-volume-mount-group"
                .to_owned(),
        );
    }
    // The greatest number is chown's "leave it as it is".
    let group = text.parse().ok().filter(|group| *group != u32::MAX);
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    match group.filter(|_| is_number) {
        Some(group) => Ok(Some(group)),
        None => Err(format!(
            "volume_mount_group {} is not the number of a group, 0 to 4294967294",
            excerpt(text)
        )),
    }
}
