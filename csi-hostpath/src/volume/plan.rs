//! What a new volume will be: kind, filesystem and size, decided from what is asked for and what a pool can do. Pure.

use std::collections::BTreeMap;

use kernel::storage::filesystem;

use crate::access::{Access, Capability, Filesystem};
use crate::error::Error;
use crate::mount_flags::Flags;
use crate::pool::Enforcement;
use crate::quantity::Bytes;
use crate::record::{Kind, Snapshot, Volume};
use crate::request::{CreateVolume, SizeRange, Source};
use crate::tools;

/// The size of a volume whose size nobody tells, in bytes.
const DEFAULT_SIZE: u64 = 1 << 30;
/// Sizes are multiples of this where a range allows, so that every device and filesystem can use all of them.
const GRAIN: u64 = 4096;
/// The sector of a loop device: no size is smaller, or no multiple of it.
const SECTOR: u64 = 512;

/// What a pool can do.
#[derive(Debug, Clone, Copy)]
pub(super) struct Abilities {
    /// How it enforces the size of directories.
    pub enforcement: Enforcement,
    /// The filesystem it lies on.
    pub filesystem: filesystem::Kind,
}

/// The shape of a volume.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    /// How its bytes are kept.
    pub kind: Kind,
    /// Whether pods get a raw device.
    pub block: bool,
    /// The filesystem inside an image that pods mount.
    pub filesystem: Option<Filesystem>,
    /// Whether space is reserved.
    pub thick: bool,
}

/// What a volume starts with, as far as its shape depends on it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Origin {
    /// "snapshot snap-..." or "volume vol-...".
    pub name: String,
    /// How its bytes are kept.
    pub kind: Kind,
    /// Whether it is a raw device.
    pub block: bool,
    /// The filesystem inside.
    pub filesystem: Option<Filesystem>,
    /// The least size of a copy, in bytes.
    pub size: u64,
    /// The size of the filesystem inside, in bytes.
    pub filled: u64,
}

impl Origin {
    pub(super) fn of_snapshot(snapshot: &Snapshot) -> Self {
        Self {
            name: format!("snapshot {}", snapshot.id),
            kind: snapshot.kind(),
            block: snapshot.block,
            filesystem: snapshot.filesystem.is_some().then(|| snapshot.filesystem()),
            size: snapshot.size,
            filled: snapshot.filled,
        }
    }

    pub(super) fn of_volume(volume: &Volume) -> Self {
        Self {
            name: format!("volume {}", volume.id),
            kind: volume.kind(),
            block: volume.block,
            filesystem: volume.filesystem.is_some().then(|| volume.filesystem()),
            // A directory has no size of its own: whatever it was promised, a copy needs no less.
            size: if volume.kind().is_directory() {
                volume.size
            } else {
                volume.backing
            },
            filled: volume.filled,
        }
    }
}

/// The shape of a volume that is asked for.
pub(super) fn shape(
    wanted: &CreateVolume,
    origin: Option<&Origin>,
    pool: Abilities,
) -> Result<Shape, Error> {
    let block = wanted
        .capabilities
        .iter()
        .any(|capability| capability.access == Access::Block);
    let asked = filesystem_asked(wanted);
    let thick = wanted
        .attributes
        .thick
        .or(wanted.class.thick)
        .unwrap_or(false);
    if let Some(origin) = origin {
        return of_origin(wanted, origin, block, asked, thick);
    }
    let own_options = flags(wanted).any(|flags| flags.for_directory().is_err());
    let kind = match wanted.class.kind {
        Some(kind) => kind,
        // Only a filesystem of its own can have options of its own.
        None if own_options => Kind::Image,
        None if block || thick || pool.enforcement == Enforcement::Nothing => Kind::Image,
        // A directory has the pool's filesystem; whoever names another wants an image.
        None if asked.is_some_and(|asked| !is(asked, pool.filesystem)) => Kind::Image,
        None => Kind::Directory,
    };
    if kind.is_directory() {
        directory(kind, block, asked, thick, pool)?;
        flags(wanted)
            .try_for_each(|flags| flags.for_directory())
            .map_err(Error::Invalid)?;
    }
    let filesystem = (kind == Kind::Image && !block).then(|| asked.unwrap_or(Filesystem::Ext4));
    Ok(Shape {
        kind,
        block,
        filesystem,
        thick,
    })
}

/// A copy has the shape of what it is copied from.
fn of_origin(
    wanted: &CreateVolume,
    origin: &Origin,
    block: bool,
    asked: Option<Filesystem>,
    thick: bool,
) -> Result<Shape, Error> {
    let name = &origin.name;
    if origin.block != block {
        let (is, wants) = if block {
            ("a filesystem", "a raw device")
        } else {
            ("a raw device", "a filesystem")
        };
        return Err(Error::Invalid(format!(
            "{name} holds {is} and cannot become a volume with {wants}"
        )));
    }
    if let Some(kind) = wanted.class.kind
        && kind != origin.kind
    {
        return Err(Error::Invalid(format!(
            "{name} is of kind {} and cannot become a volume of kind {}",
            origin.kind.name(),
            kind.name()
        )));
    }
    if let (Some(asked), Some(has)) = (asked, origin.filesystem)
        && asked != has
    {
        return Err(Error::Invalid(format!(
            "{name} holds {}, fs_type asks for {}",
            has.name(),
            asked.name()
        )));
    }
    if thick && origin.kind.is_directory() {
        return Err(cannot_reserve());
    }
    Ok(Shape {
        kind: origin.kind,
        block,
        filesystem: origin.filesystem,
        thick,
    })
}

fn directory(
    kind: Kind,
    block: bool,
    asked: Option<Filesystem>,
    thick: bool,
    pool: Abilities,
) -> Result<(), Error> {
    if block {
        return Err(Error::Invalid(format!(
            "a raw device is of kind image, the class asks for {}",
            kind.name()
        )));
    }
    if thick {
        return Err(cannot_reserve());
    }
    if let Some(asked) = asked
        && !is(asked, pool.filesystem)
    {
        return Err(Error::Invalid(format!(
            "a {} has the filesystem of its pool, fs_type asks for {}: leave one of them out",
            kind.name(),
            asked.name()
        )));
    }
    if kind == Kind::Directory && pool.enforcement == Enforcement::Nothing {
        return Err(Error::Full(
            "no quota enforces the size of a directory in this pool: mount its filesystem with project quotas, use kind \
             image, or ask for unenforced-directory"
                .to_owned(),
        ));
    }
    Ok(())
}

fn cannot_reserve() -> Error {
    Error::Invalid(
        "a directory cannot reserve space: use kind image for provisioning thick".to_owned(),
    )
}

fn filesystem_asked(wanted: &CreateVolume) -> Option<Filesystem> {
    wanted
        .capabilities
        .iter()
        .find_map(|capability| match &capability.access {
            Access::Mount(options) => options.filesystem,
            Access::Block => None,
        })
}

/// The mount flags asked for; they have been checked one by one.
fn flags(wanted: &CreateVolume) -> impl Iterator<Item = Flags> {
    wanted
        .capabilities
        .iter()
        .filter_map(|capability| match &capability.access {
            Access::Mount(options) => Flags::parse(&options.flags).ok(),
            Access::Block => None,
        })
}

/// Whether `asked` is what the pool lies on.
fn is(asked: Filesystem, pool: filesystem::Kind) -> bool {
    matches!(
        (asked, pool),
        (Filesystem::Ext4, filesystem::Kind::Ext)
            | (Filesystem::Xfs, filesystem::Kind::Xfs)
            | (Filesystem::Btrfs, filesystem::Kind::Btrfs)
    )
}

/// The smallest volume of a shape, in bytes.
pub(super) fn smallest(shape: Shape) -> u64 {
    match shape.filesystem {
        Some(filesystem) => tools::minimum(filesystem),
        None if shape.kind == Kind::Image => GRAIN,
        None => 1 << 20,
    }
}

/// The size of a new volume (CV-03, CV-06), in bytes.
pub(super) fn size(
    range: Option<SizeRange>,
    shape: Shape,
    origin: Option<&Origin>,
    largest: u64,
) -> Result<u64, Error> {
    let SizeRange { required, limit } = range.unwrap_or(SizeRange {
        required: 0,
        limit: None,
    });
    let most = limit.unwrap_or(u64::MAX).min(largest);
    if required > largest {
        return Err(Error::Size(format!(
            "{} are asked for, no volume here is larger than {}",
            Bytes(required),
            Bytes(largest)
        )));
    }
    let least = smallest(shape);
    let wanted = match (required, origin) {
        (0, Some(origin)) => origin.size,
        (0, None) => DEFAULT_SIZE.min(most / GRAIN * GRAIN),
        (required, _) => required,
    };
    if let Some(origin) = origin {
        // A size asked for by itself may be too small for the copy; a limit that is, is as well.
        if wanted < origin.size {
            return Err(Error::Size(format!(
                "{} has {}, a volume of {} cannot hold it",
                origin.name,
                Bytes(origin.size),
                Bytes(wanted)
            )));
        }
    }
    fit(wanted.max(least), most).ok_or_else(|| {
        Error::Size(format!(
            "no size between {} and {} is possible here: the smallest is {}",
            Bytes(required),
            Bytes(most),
            Bytes(least)
        ))
    })
}

/// `wanted` rounded up to what devices can have, if that is not over `most`.
pub(super) fn fit(wanted: u64, most: u64) -> Option<u64> {
    [GRAIN, SECTOR].into_iter().find_map(|grain| {
        let rounded = wanted.checked_next_multiple_of(grain)?;
        (rounded <= most).then_some(rounded)
    })
}

/// Whether a volume is what a repeated call asks for (CV-04, CV-05); otherwise in what it differs.
pub(super) fn same(
    volume: &Volume,
    wanted: &CreateVolume,
    pool: filesystem::Kind,
) -> Result<(), Error> {
    let differs = |in_what: String| {
        Error::Differs(format!(
            "volume {} named {:?} {in_what}",
            volume.id, wanted.name
        ))
    };
    if let Some(range) = wanted.range {
        let fits =
            volume.size >= range.required && range.limit.is_none_or(|limit| volume.size <= limit);
        if !fits {
            return Err(differs(format!("has {}", Bytes(volume.size))));
        }
    }
    let source = match &wanted.source {
        Some(Source::Snapshot(id)) => (Some(id.as_str()), None),
        Some(Source::Volume(id)) => (None, Some(id.as_str())),
        None => (None, None),
    };
    if source
        != (
            volume.from_snapshot.as_deref(),
            volume.from_volume.as_deref(),
        )
    {
        return Err(differs("was made from another source".to_owned()));
    }
    wanted
        .capabilities
        .iter()
        .try_for_each(|capability| suits(volume, capability, pool).map_err(differs))?;
    if own(&wanted.parameters) != own(&volume.parameters) {
        return Err(differs("was made with other parameters".to_owned()));
    }
    if wanted
        .attributes
        .thick
        .or(wanted.class.thick)
        .unwrap_or(false)
        != volume.thick
    {
        return Err(differs(format!(
            "is provisioned {}",
            if volume.thick { "thick" } else { "thin" }
        )));
    }
    Ok(())
}

/// Whether a volume can be used like this (C-02, CV-05); otherwise what it is instead.
pub(super) fn suits(
    volume: &Volume,
    capability: &Capability,
    pool: filesystem::Kind,
) -> Result<(), String> {
    let options = match &capability.access {
        Access::Block if volume.block => return Ok(()),
        Access::Block => return Err("is a filesystem, not a raw device".to_owned()),
        Access::Mount(_) if volume.block => {
            return Err("is a raw device, not a filesystem".to_owned());
        }
        Access::Mount(options) => options,
    };
    let is_directory = volume.kind().is_directory();
    match options.filesystem {
        Some(asked) if !is_directory && volume.filesystem() != asked => Err(format!(
            "holds {}, not {}",
            volume.filesystem().name(),
            asked.name()
        )),
        Some(asked) if is_directory && !is(asked, pool) => Err(format!(
            "has the filesystem of its pool, not {}",
            asked.name()
        )),
        _ if is_directory => Flags::parse(&options.flags)?
            .for_directory()
            .map_err(|why| format!("is a directory: {why}")),
        _ => Ok(()),
    }
}

/// The parameters that are ours; sidecars add others that tell of the claim.
pub(super) fn own(parameters: &BTreeMap<String, String>) -> BTreeMap<&str, &str> {
    parameters
        .iter()
        .filter(|(key, _)| !key.starts_with("csi.storage.k8s.io/"))
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .collect()
}

#[cfg(test)]
mod tests;
