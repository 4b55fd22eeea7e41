//! An entry of `ListVolumesResponse`, by hand.

use std::fmt;

use prost::bytes::Bytes;
use prost::{DecodeError, Message};

use crate::csi::Volume;
use crate::csi::list_volumes_response::VolumeStatus;

/// `csi.v1.ListVolumesResponse.Entry`, whose two messages stay encoded: on the wire that is the same. One answer has
/// thousands of entries that are alike in most, and a server need not make each of them of parts.
#[derive(Clone, Message)]
#[prost(skip_debug)]
pub struct ListedVolume {
    /// An encoded [`Volume`].
    #[prost(bytes = "bytes", tag = "1")]
    pub volume: Bytes,
    /// An encoded [`VolumeStatus`].
    #[prost(bytes = "bytes", tag = "2")]
    pub status: Bytes,
}

impl ListedVolume {
    /// The volume. An error if the bytes are none.
    pub fn volume(&self) -> Result<Volume, DecodeError> {
        Volume::decode(self.volume.clone())
    }

    /// Where the volume is published, and its condition. An error if the bytes are no status.
    pub fn status(&self) -> Result<VolumeStatus, DecodeError> {
        VolumeStatus::decode(self.status.clone())
    }
}

/// As of the messages themselves: the entries of a map come in any order.
impl PartialEq for ListedVolume {
    fn eq(&self, other: &Self) -> bool {
        self.volume() == other.volume() && self.status() == other.status()
    }
}

/// As of the messages themselves, which hide what must reach no log.
impl fmt::Debug for ListedVolume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ListedVolume")
            .field("volume", &self.volume())
            .field("status", &self.status())
            .finish()
    }
}
