//! What a plugin is to the frame.

use crate::Request;
use cni::{AddResult, Error, Version};

/// A plugin: what it calls itself and one function for each verb.
///
/// The frame answers VERSION, and calls a verb's function only when the configuration's version
/// has that verb.
#[derive(Clone, Copy, Debug)]
pub struct Plugin {
    /// The name of the executable, and the `type` of configurations.
    pub name: &'static str,
    /// One line for somebody who starts it by hand.
    pub about: &'static str,
    /// The versions that it speaks, the oldest first.
    pub versions: &'static [Version],
    /// Whether it works inside the container's namespace. One that does not, an IPAM plugin, takes whatever
    /// `CNI_NETNS` says; people who try one out say `/dev/null`.
    pub enters_netns: bool,
    /// Attaches a container, or leaves nothing behind.
    pub add: fn(&Request) -> Result<AddResult, Error>,
    /// Detaches it; succeeds any number of times (DEL-1, DEL-2).
    pub del: fn(&Request) -> Result<(), Error>,
    /// Verifies all that ADD made (CHK-1 to CHK-4).
    pub check: fn(&Request) -> Result<(), Error>,
    /// Removes what no valid attachment needs (GC-2).
    pub gc: fn(&Request) -> Result<(), Error>,
    /// Says whether an ADD could be served (STA-1).
    pub status: fn(&Request) -> Result<(), Error>,
}

/// The plugins that one executable answers as.
pub type Siblings = &'static [&'static Plugin];

impl Plugin {
    /// The newest version that it speaks: the one for answers to a caller whose own is not known.
    pub(crate) fn newest(&self) -> Version {
        self.versions.last().copied().unwrap_or(Version::NEWEST)
    }
}
