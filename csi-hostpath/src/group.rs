//! The service GroupController: snapshots of several volumes at one moment.

use proto::csi::group_controller_server::GroupController;
use proto::csi::group_controller_service_capability::rpc::Type as Offer;
use proto::csi::group_controller_service_capability::{Rpc, Type};
use proto::csi::*;
use tonic::{Request, Response, Status};

use crate::call::Calls;
use crate::check;
use crate::reply;

/// The service.
pub struct GroupService {
    /// The frame of its calls.
    pub calls: Calls,
}

#[tonic::async_trait]
impl GroupController for GroupService {
    async fn group_controller_get_capabilities(
        &self,
        request: Request<GroupControllerGetCapabilitiesRequest>,
    ) -> Result<Response<GroupControllerGetCapabilitiesResponse>, Status> {
        let rpc = Rpc {
            r#type: Offer::CreateDeleteGetVolumeGroupSnapshot.into(),
        };
        let capabilities = vec![GroupControllerServiceCapability {
            r#type: Some(Type::Rpc(rpc)),
        }];
        self.calls
            .tell("GroupControllerGetCapabilities", &request, async {
                Ok(GroupControllerGetCapabilitiesResponse { capabilities })
            })
            .await
    }

    async fn create_volume_group_snapshot(
        &self,
        request: Request<CreateVolumeGroupSnapshotRequest>,
    ) -> Result<Response<CreateVolumeGroupSnapshotResponse>, Status> {
        self.calls
            .answer(
                "CreateVolumeGroupSnapshot",
                request,
                check::create_volume_group_snapshot,
                |driver, wanted| {
                    Ok(CreateVolumeGroupSnapshotResponse {
                        group_snapshot: Some(reply::group(&driver.create_group(&wanted)?)),
                    })
                },
            )
            .await
    }

    async fn delete_volume_group_snapshot(
        &self,
        request: Request<DeleteVolumeGroupSnapshotRequest>,
    ) -> Result<Response<DeleteVolumeGroupSnapshotResponse>, Status> {
        self.calls
            .answer(
                "DeleteVolumeGroupSnapshot",
                request,
                check::delete_volume_group_snapshot,
                |driver, wanted| {
                    // Nothing is to be deleted under an id that cannot be ours.
                    if let Some(wanted) = wanted {
                        driver.delete_group(Some(&wanted.group), &wanted.snapshots)?;
                    }
                    Ok(DeleteVolumeGroupSnapshotResponse {})
                },
            )
            .await
    }

    async fn get_volume_group_snapshot(
        &self,
        request: Request<GetVolumeGroupSnapshotRequest>,
    ) -> Result<Response<GetVolumeGroupSnapshotResponse>, Status> {
        self.calls
            .answer(
                "GetVolumeGroupSnapshot",
                request,
                check::get_volume_group_snapshot,
                |driver, wanted| {
                    Ok(GetVolumeGroupSnapshotResponse {
                        group_snapshot: Some(reply::group(&driver.group(&wanted)?)),
                    })
                },
            )
            .await
    }
}
