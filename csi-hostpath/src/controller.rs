//! The service Controller: volumes and snapshots.

use proto::ListedVolume;
use proto::csi::controller_server::Controller;
use proto::csi::controller_service_capability::rpc::Type as Offer;
use proto::csi::controller_service_capability::{Rpc, Type};
use proto::csi::validate_volume_capabilities_response::Confirmed;
use proto::csi::*;
use tonic::{Request, Response, Status};

use crate::call::Calls;
use crate::check::{self, Rules};
use crate::driver::Offers;
use crate::error::Error;
use crate::listing::Listing;
use crate::reply;
use crate::request;
use crate::store::Most;

/// Entries of a list told at once, when the caller sets no bound.
const ENTRIES: usize = 8000;
/// Bytes of them at most: clients take messages of 4 MiB, in which there is a token as well.
const BYTES: usize = (4 << 20) - 1024;

/// The service.
pub struct ControllerService {
    /// The frame of its calls.
    pub calls: Calls,
}

#[tonic::async_trait]
impl Controller for ControllerService {
    async fn controller_get_capabilities(
        &self,
        request: Request<ControllerGetCapabilitiesRequest>,
    ) -> Result<Response<ControllerGetCapabilitiesResponse>, Status> {
        let capabilities = capabilities(self.calls.driver().settings.offers);
        self.calls
            .tell("ControllerGetCapabilities", &request, async {
                Ok(ControllerGetCapabilitiesResponse { capabilities })
            })
            .await
    }

    async fn create_volume(
        &self,
        request: Request<CreateVolumeRequest>,
    ) -> Result<Response<CreateVolumeResponse>, Status> {
        self.calls
            .answer(
                "CreateVolume",
                request,
                check::create_volume,
                |driver, wanted| {
                    let volume = driver.create_volume(wanted)?;
                    Ok(CreateVolumeResponse {
                        volume: Some(reply::volume(&driver.settings, volume)),
                    })
                },
            )
            .await
    }

    async fn delete_volume(
        &self,
        request: Request<DeleteVolumeRequest>,
    ) -> Result<Response<DeleteVolumeResponse>, Status> {
        self.calls
            .answer(
                "DeleteVolume",
                request,
                check::delete_volume,
                |driver, volume| {
                    driver.delete_volume(volume.as_ref())?;
                    Ok(DeleteVolumeResponse {})
                },
            )
            .await
    }

    async fn controller_publish_volume(
        &self,
        request: Request<ControllerPublishVolumeRequest>,
    ) -> Result<Response<ControllerPublishVolumeResponse>, Status> {
        self.calls
            .answer(
                "ControllerPublishVolume",
                request,
                check::controller_publish_volume,
                |driver, wanted| {
                    driver.attach(&wanted)?;
                    Ok(ControllerPublishVolumeResponse::default())
                },
            )
            .await
    }

    async fn controller_unpublish_volume(
        &self,
        request: Request<ControllerUnpublishVolumeRequest>,
    ) -> Result<Response<ControllerUnpublishVolumeResponse>, Status> {
        self.calls
            .answer(
                "ControllerUnpublishVolume",
                request,
                check::controller_unpublish_volume,
                |driver, wanted| {
                    // Nothing is attached under an id that cannot be ours.
                    if let Some(wanted) = wanted {
                        driver.detach(&wanted)?;
                    }
                    Ok(ControllerUnpublishVolumeResponse {})
                },
            )
            .await
    }

    async fn validate_volume_capabilities(
        &self,
        request: Request<ValidateVolumeCapabilitiesRequest>,
    ) -> Result<Response<ValidateVolumeCapabilitiesResponse>, Status> {
        self.calls
            .answer(
                "ValidateVolumeCapabilities",
                request,
                validated,
                |driver, (wanted, confirmed)| {
                    Ok(match driver.validate(&wanted)? {
                        Ok(_) => ValidateVolumeCapabilitiesResponse {
                            confirmed: Some(confirmed),
                            message: String::new(),
                        },
                        Err(message) => ValidateVolumeCapabilitiesResponse {
                            confirmed: None,
                            message,
                        },
                    })
                },
            )
            .await
    }

    async fn list_volumes(
        &self,
        request: Request<ListVolumesRequest>,
    ) -> Result<Response<ListVolumesResponse>, Status> {
        self.calls
            .answer(
                "ListVolumes",
                request,
                check::list_volumes,
                |driver, page| {
                    let listing = Listing::new(&driver.settings);
                    let part = driver.list_volumes(
                        page.after.as_deref(),
                        bounded(page.most),
                        |volume, condition| listing.entry(volume, condition),
                    )?;
                    let last = part.items.last().map(ListedVolume::volume).transpose();
                    let last = last.map_err(|error| Error::Internal(error.to_string()))?;
                    Ok(ListVolumesResponse {
                        next_token: next(part.more, last.as_ref().map(|last| &last.volume_id)),
                        entries: part.items,
                    })
                },
            )
            .await
    }

    async fn controller_get_volume(
        &self,
        request: Request<ControllerGetVolumeRequest>,
    ) -> Result<Response<ControllerGetVolumeResponse>, Status> {
        self.calls
            .answer(
                "ControllerGetVolume",
                request,
                check::controller_get_volume,
                |driver, id| {
                    let volume = driver.volume(&id)?;
                    Ok(ControllerGetVolumeResponse {
                        status: Some(controller_get_volume_response::VolumeStatus {
                            published_node_ids: reply::nodes(&driver.settings, &volume),
                            volume_condition: Some(reply::condition(driver.condition(&volume))),
                        }),
                        volume: Some(reply::volume(&driver.settings, volume)),
                    })
                },
            )
            .await
    }

    async fn get_capacity(
        &self,
        request: Request<GetCapacityRequest>,
    ) -> Result<Response<GetCapacityResponse>, Status> {
        self.calls
            .answer(
                "GetCapacity",
                request,
                check::get_capacity,
                |driver, wanted| {
                    let room = driver.room(&wanted)?;
                    Ok(GetCapacityResponse {
                        available_capacity: reply::bytes(room.available),
                        maximum_volume_size: Some(reply::bytes(room.largest)),
                        minimum_volume_size: Some(reply::bytes(room.smallest)),
                    })
                },
            )
            .await
    }

    async fn controller_expand_volume(
        &self,
        request: Request<ControllerExpandVolumeRequest>,
    ) -> Result<Response<ControllerExpandVolumeResponse>, Status> {
        self.calls
            .answer(
                "ControllerExpandVolume",
                request,
                check::controller_expand_volume,
                |driver, wanted| {
                    let expanded = driver.expand(&wanted)?;
                    Ok(ControllerExpandVolumeResponse {
                        capacity_bytes: reply::bytes(expanded.size),
                        node_expansion_required: expanded.node,
                    })
                },
            )
            .await
    }

    async fn controller_modify_volume(
        &self,
        request: Request<ControllerModifyVolumeRequest>,
    ) -> Result<Response<ControllerModifyVolumeResponse>, Status> {
        self.calls
            .answer(
                "ControllerModifyVolume",
                request,
                check::controller_modify_volume,
                |driver, wanted| {
                    driver.modify(&wanted)?;
                    Ok(ControllerModifyVolumeResponse {})
                },
            )
            .await
    }

    async fn create_snapshot(
        &self,
        request: Request<CreateSnapshotRequest>,
    ) -> Result<Response<CreateSnapshotResponse>, Status> {
        self.calls
            .answer(
                "CreateSnapshot",
                request,
                check::create_snapshot,
                |driver, wanted| {
                    let snapshot = driver.create_snapshot(&wanted)?;
                    Ok(CreateSnapshotResponse {
                        snapshot: Some(reply::snapshot(&snapshot)),
                    })
                },
            )
            .await
    }

    async fn delete_snapshot(
        &self,
        request: Request<DeleteSnapshotRequest>,
    ) -> Result<Response<DeleteSnapshotResponse>, Status> {
        self.calls
            .answer(
                "DeleteSnapshot",
                request,
                check::delete_snapshot,
                |driver, snapshot| {
                    driver.delete_snapshot(snapshot.as_ref())?;
                    Ok(DeleteSnapshotResponse {})
                },
            )
            .await
    }

    async fn list_snapshots(
        &self,
        request: Request<ListSnapshotsRequest>,
    ) -> Result<Response<ListSnapshotsResponse>, Status> {
        self.calls
            .answer(
                "ListSnapshots",
                request,
                check::list_snapshots,
                |driver, mut wanted| {
                    wanted.page.most = Some(bounded(wanted.page.most).entries);
                    let part = driver.list_snapshots(&wanted)?;
                    Ok(ListSnapshotsResponse {
                        next_token: next(part.more, part.items.last().map(|snapshot| &snapshot.id)),
                        entries: part
                            .items
                            .iter()
                            .map(|snapshot| list_snapshots_response::Entry {
                                snapshot: Some(reply::snapshot(snapshot)),
                            })
                            .collect(),
                    })
                },
            )
            .await
    }

    async fn get_snapshot(
        &self,
        request: Request<GetSnapshotRequest>,
    ) -> Result<Response<GetSnapshotResponse>, Status> {
        self.calls
            .answer("GetSnapshot", request, check::get_snapshot, |driver, id| {
                Ok(GetSnapshotResponse {
                    snapshot: Some(reply::snapshot(&driver.snapshot(&id)?)),
                })
            })
            .await
    }
}

fn capabilities(offers: Offers) -> Vec<ControllerServiceCapability> {
    let offered = [
        (true, Offer::CreateDeleteVolume),
        (offers.attach, Offer::PublishUnpublishVolume),
        (true, Offer::ListVolumes),
        (true, Offer::GetCapacity),
        (true, Offer::CreateDeleteSnapshot),
        (true, Offer::ListSnapshots),
        (true, Offer::CloneVolume),
        (offers.attach, Offer::PublishReadonly),
        (offers.expansion, Offer::ExpandVolume),
        (offers.attach, Offer::ListVolumesPublishedNodes),
        (true, Offer::VolumeCondition),
        (true, Offer::GetVolume),
        (true, Offer::SingleNodeMultiWriter),
        (offers.modify, Offer::ModifyVolume),
        (true, Offer::GetSnapshot),
    ];
    offered
        .into_iter()
        .filter(|(is_offered, _)| *is_offered)
        .map(|(_, rpc)| ControllerServiceCapability {
            r#type: Some(Type::Rpc(Rpc { r#type: rpc.into() })),
        })
        .collect()
}

/// What is confirmed is what was asked, word for word (C-02).
fn validated(
    rules: &Rules,
    request: ValidateVolumeCapabilitiesRequest,
) -> Result<(request::Validate, Confirmed), Error> {
    let confirmed = Confirmed {
        volume_context: request.volume_context.clone(),
        volume_capabilities: request.volume_capabilities.clone(),
        parameters: request.parameters.clone(),
        mutable_parameters: request.mutable_parameters.clone(),
    };
    let wanted = check::validate_volume_capabilities(rules, request)?;
    Ok((wanted, confirmed))
}

fn bounded(most: Option<usize>) -> Most {
    Most {
        entries: most.map_or(ENTRIES, |most| most.min(ENTRIES)),
        bytes: BYTES,
    }
}

/// The token for what follows the entry `last` (LV-01).
fn next(more: bool, last: Option<&String>) -> String {
    last.filter(|_| more).cloned().unwrap_or_default()
}
