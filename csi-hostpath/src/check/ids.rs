//! Ids that callers refer to. One that we never issue is refused as missing, or means that there is nothing to do; it
//! never becomes a path.

use super::text;
use crate::error::Error;
use crate::excerpt::excerpt;
use crate::id::{GroupId, SnapshotId, VolumeId};

/// An id as a caller gave it: not empty, and `None` when it cannot be ours.
pub(super) struct Given<T> {
    what: &'static str,
    text: String,
    id: Option<T>,
}

/// The volume that `field` names.
pub(super) fn volume(field: &str, text: &str) -> Result<Given<VolumeId>, Error> {
    given("volume", field, text, VolumeId::parse)
}

/// The snapshot that `field` names.
pub(super) fn snapshot(field: &str, text: &str) -> Result<Given<SnapshotId>, Error> {
    given("snapshot", field, text, SnapshotId::parse)
}

/// The group that `field` names.
pub(super) fn group(field: &str, text: &str) -> Result<Given<GroupId>, Error> {
    given("group", field, text, GroupId::parse)
}

fn given<T>(
    what: &'static str,
    field: &str,
    text: &str,
    parse: fn(&str) -> Option<T>,
) -> Result<Given<T>, Error> {
    text::required(field, text, text::TEXT)?;
    let id = parse(text);
    let text = text.to_owned();
    Ok(Given { what, text, id })
}

impl<T> Given<T> {
    /// The id; `None` when there cannot be such an object.
    pub(super) fn if_ours(self) -> Option<T> {
        self.id
    }

    /// The id of an object that has to exist.
    pub(super) fn known(self) -> Result<T, Error> {
        let missing = missing(self.what, &self.text);
        self.id.ok_or(missing)
    }
}

impl Given<VolumeId> {
    /// Whether it is the id of an inline volume.
    pub(super) fn is_inline(&self) -> bool {
        self.id.as_ref().is_some_and(VolumeId::is_inline)
    }

    /// The id of a volume that was made by `CreateVolume`. An inline volume belongs to its pod alone, so that nobody
    /// gets at it through a volume handle written by hand.
    pub(super) fn persistent(self) -> Result<VolumeId, Error> {
        let missing = missing(self.what, &self.text);
        self.id.filter(|id| !id.is_inline()).ok_or(missing)
    }
}

fn missing(what: &'static str, text: &str) -> Error {
    let id = excerpt(text);
    Error::Missing { what, id }
}
