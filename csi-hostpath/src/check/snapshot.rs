//! The Controller service's RPCs about snapshots.

use proto::csi::{
    CreateSnapshotRequest, DeleteSnapshotRequest, GetSnapshotRequest, ListSnapshotsRequest,
};

use super::{Rules, ids, page, text};
use crate::error::Error;
use crate::id::SnapshotId;
use crate::parameters;
use crate::request::{CreateSnapshot, ListSnapshots};

/// `CreateSnapshot` (CS-01).
pub fn create_snapshot(_: &Rules, request: CreateSnapshotRequest) -> Result<CreateSnapshot, Error> {
    text::secrets(&request.secrets)?;
    let name = text::name(request.name)?;
    let source = ids::volume("source_volume_id", &request.source_volume_id)?;
    let parameters = text::map("parameters", request.parameters)?;
    parameters::refuse_all(&parameters).map_err(Error::Invalid)?;
    Ok(CreateSnapshot {
        name,
        source: source.persistent()?,
    })
}

/// `DeleteSnapshot` (DS-01); `None` when there cannot be such a snapshot.
pub fn delete_snapshot(
    _: &Rules,
    request: DeleteSnapshotRequest,
) -> Result<Option<SnapshotId>, Error> {
    text::secrets(&request.secrets)?;
    Ok(ids::snapshot("snapshot_id", &request.snapshot_id)?.if_ours())
}

/// `ListSnapshots` (LS-01). Filters may be anything: what cannot be ours finds nothing.
pub fn list_snapshots(_: &Rules, request: ListSnapshotsRequest) -> Result<ListSnapshots, Error> {
    text::secrets(&request.secrets)?;
    text::optional("snapshot_id", &request.snapshot_id, text::TEXT)?;
    text::optional("source_volume_id", &request.source_volume_id, text::TEXT)?;
    let page = page::read(request.max_entries, request.starting_token, |token| {
        SnapshotId::parse(token).is_some()
    })?;
    Ok(ListSnapshots {
        page,
        snapshot: Some(request.snapshot_id).filter(|id| !id.is_empty()),
        source: Some(request.source_volume_id).filter(|id| !id.is_empty()),
    })
}

/// `GetSnapshot` (GS-01).
pub fn get_snapshot(_: &Rules, request: GetSnapshotRequest) -> Result<SnapshotId, Error> {
    text::secrets(&request.secrets)?;
    ids::snapshot("snapshot_id", &request.snapshot_id)?.known()
}
