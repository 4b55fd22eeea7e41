//! The GroupController service.

use std::collections::BTreeSet;

use proto::csi::{
    CreateVolumeGroupSnapshotRequest, DeleteVolumeGroupSnapshotRequest,
    GetVolumeGroupSnapshotRequest,
};

use super::{Rules, absent, ids, text};
use crate::error::Error;
use crate::excerpt::excerpt;
use crate::id::SnapshotId;
use crate::parameters;
use crate::request::{CreateGroup, Group};

/// `CreateVolumeGroupSnapshot` (GG-02).
pub fn create_volume_group_snapshot(
    _: &Rules,
    request: CreateVolumeGroupSnapshotRequest,
) -> Result<CreateGroup, Error> {
    text::secrets(&request.secrets)?;
    let name = text::name(request.name)?;
    let field = "source_volume_ids";
    if request.source_volume_ids.is_empty() {
        return Err(absent(field, "name the volumes"));
    }
    let mut seen = BTreeSet::new();
    if let Some(twice) = request
        .source_volume_ids
        .iter()
        .find(|id| !seen.insert(*id))
    {
        return Err(Error::Invalid(format!(
            "{field} has {} twice",
            excerpt(twice)
        )));
    }
    let sources = request.source_volume_ids.iter().enumerate();
    let sources = sources.map(|(index, id)| ids::volume(&format!("{field}[{index}]"), id));
    let sources = sources.collect::<Result<Vec<_>, _>>()?;
    let parameters = text::map("parameters", request.parameters)?;
    parameters::refuse_all(&parameters).map_err(Error::Invalid)?;
    let sources = sources.into_iter().map(ids::Given::persistent);
    Ok(CreateGroup {
        name,
        sources: sources.collect::<Result<_, _>>()?,
    })
}

/// `DeleteVolumeGroupSnapshot` (GG-04); `None` when there cannot be such a group, whatever members are told.
pub fn delete_volume_group_snapshot(
    _: &Rules,
    request: DeleteVolumeGroupSnapshotRequest,
) -> Result<Option<Group>, Error> {
    text::secrets(&request.secrets)?;
    let group = ids::group("group_snapshot_id", &request.group_snapshot_id)?;
    let Some(group) = group.if_ours() else {
        return Ok(None);
    };
    let snapshots = members(&request.snapshot_ids)?;
    Ok(Some(Group { group, snapshots }))
}

/// `GetVolumeGroupSnapshot` (GG-05).
pub fn get_volume_group_snapshot(
    _: &Rules,
    request: GetVolumeGroupSnapshotRequest,
) -> Result<Group, Error> {
    text::secrets(&request.secrets)?;
    let group = ids::group("group_snapshot_id", &request.group_snapshot_id)?;
    Ok(Group {
        group: group.known()?,
        snapshots: members(&request.snapshot_ids)?,
    })
}

/// What is no snapshot of ours is no member of a group either: the lists differ.
fn members(given: &[String]) -> Result<Vec<SnapshotId>, Error> {
    if given.is_empty() {
        return Err(absent("snapshot_ids", "name the members of the group"));
    }
    let member = |(index, id): (usize, &String)| {
        let field = format!("snapshot_ids[{index}]");
        ids::snapshot(&field, id)?.if_ours().ok_or_else(|| {
            Error::Invalid(format!(
                "{field} {} is not a member of the group",
                excerpt(id)
            ))
        })
    };
    given.iter().enumerate().map(member).collect()
}
