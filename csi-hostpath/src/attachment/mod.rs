//! A volume's way into a pod and out of it: staged, published, measured, grown, unpublished, unstaged. To be written.

use crate::driver::{Condition, Driver};
use crate::error::Error;
use crate::request;

/// What a volume uses and has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// In all.
    pub total: u64,
    /// Taken.
    pub used: u64,
    /// Free.
    pub available: u64,
}

/// What `NodeGetVolumeStats` tells.
#[derive(Debug, Clone, Default)]
pub struct Stats {
    /// In bytes. Of a raw device only `total` is known.
    pub bytes: Usage,
    /// Whether `bytes.used` and `bytes.available` are known.
    pub measured: bool,
    /// In inodes, where the filesystem counts them.
    pub inodes: Option<Usage>,
    /// Whether the volume is well.
    pub condition: Condition,
}

/// How a volume is used at this moment, as the mount table and the loop devices have it.
#[derive(Default)]
pub struct Observed {
    /// The root of the staged mount, open: where an image's filesystem can be frozen or trimmed.
    pub staged: Option<std::os::fd::OwnedFd>,
    /// The writable loop device of a staged block volume.
    pub device: Option<std::fs::File>,
    /// The targets at which it is really published, of those recorded.
    pub targets: Vec<crate::record::Published>,
}

impl Observed {
    /// Whether anything uses it: it must not be deleted (DV-02).
    pub fn in_use(&self) -> bool {
        self.staged.is_some() || self.device.is_some() || !self.targets.is_empty()
    }

    /// Whether a pod may be writing to it.
    pub fn written(&self) -> bool {
        self.targets.iter().any(|target| !target.readonly)
    }
}

#[allow(unused_variables, missing_docs)]
impl Driver {
    /// Looks at the recorded staging path and targets. What is recorded but not there does not count.
    pub fn observe(&self, volume: &crate::record::Volume) -> Result<Observed, Error> {
        Err(Error::NotOffered("todo"))
    }
    pub fn stage(&self, wanted: &request::Stage) -> Result<(), Error> {
        Err(Error::NotOffered("todo"))
    }
    pub fn unstage(&self, wanted: &request::Unstage) -> Result<(), Error> {
        Err(Error::NotOffered("todo"))
    }
    pub fn publish(&self, wanted: &request::Publish) -> Result<(), Error> {
        Err(Error::NotOffered("todo"))
    }
    pub fn unpublish(&self, wanted: &request::Unpublish) -> Result<(), Error> {
        Err(Error::NotOffered("todo"))
    }
    pub fn stats(&self, wanted: &request::Stats) -> Result<Stats, Error> {
        Err(Error::NotOffered("todo"))
    }
    /// Returns the size in bytes.
    pub fn node_expand(&self, wanted: &request::NodeExpand) -> Result<u64, Error> {
        Err(Error::NotOffered("todo"))
    }
}
