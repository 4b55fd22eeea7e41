//! What a mount allows, apart from what its filesystem does.

use super::Change;
use rustix::mount::MountAttrFlags;
use std::fmt;

/// Attributes to add to a mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[allow(clippy::struct_excessive_bools)]
pub struct Attributes {
    /// `ro`.
    pub readonly: bool,
    /// `nosuid`.
    pub nosuid: bool,
    /// `nodev`.
    pub nodev: bool,
    /// `noexec`.
    pub noexec: bool,
    /// `nodiratime`.
    pub nodiratime: bool,
    /// When access times are written; `None` leaves that as it is.
    pub access_times: Option<AccessTimes>,
}

/// When access times are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AccessTimes {
    /// `noatime`: never.
    Never,
    /// `relatime`: when they are older than the last change, or than a day.
    Relative,
    /// `strictatime`: at each access.
    Always,
}

impl Attributes {
    pub(super) fn change(&self) -> Change {
        let mut set = self
            .flags()
            .into_iter()
            .filter_map(|(wanted, flag, _)| wanted.then_some(flag))
            .collect::<MountAttrFlags>();
        let mut clear = MountAttrFlags::empty();
        if let Some(times) = self.access_times {
            // The three share a field, which has to be cleared whole.
            clear = MountAttrFlags::MOUNT_ATTR__ATIME;
            set |= times.flag();
        }
        Change::new(u64::from(set.bits()), u64::from(clear.bits()), 0)
    }

    const fn flags(&self) -> [(bool, MountAttrFlags, &'static str); 5] {
        [
            (self.readonly, MountAttrFlags::MOUNT_ATTR_RDONLY, "ro"),
            (self.nosuid, MountAttrFlags::MOUNT_ATTR_NOSUID, "nosuid"),
            (self.nodev, MountAttrFlags::MOUNT_ATTR_NODEV, "nodev"),
            (self.noexec, MountAttrFlags::MOUNT_ATTR_NOEXEC, "noexec"),
            (
                self.nodiratime,
                MountAttrFlags::MOUNT_ATTR_NODIRATIME,
                "nodiratime",
            ),
        ]
    }
}

impl AccessTimes {
    const fn flag(self) -> MountAttrFlags {
        match self {
            Self::Never => MountAttrFlags::MOUNT_ATTR_NOATIME,
            Self::Relative => MountAttrFlags::MOUNT_ATTR_RELATIME,
            Self::Always => MountAttrFlags::MOUNT_ATTR_STRICTATIME,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Never => "noatime",
            Self::Relative => "relatime",
            Self::Always => "strictatime",
        }
    }
}

/// As mount(8) writes them.
impl fmt::Display for Attributes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = self.flags();
        let flags = flags
            .iter()
            .filter_map(|(set, _, name)| set.then_some(*name));
        let names: Vec<_> = flags
            .chain(self.access_times.map(AccessTimes::name))
            .collect();
        f.write_str(if names.is_empty() {
            "no attributes"
        } else {
            ""
        })?;
        f.write_str(&names.join(","))
    }
}
