//! Every call of CSI and of kubelet's plugin registration, blocking.

use crate::connection::Connection;
use crate::place::Place;
use proto::csi::controller_client::ControllerClient;
use proto::csi::group_controller_client::GroupControllerClient;
use proto::csi::identity_client::IdentityClient;
use proto::csi::node_client::NodeClient;
use proto::csi::snapshot_metadata_client::SnapshotMetadataClient;
use proto::csi::*;
use proto::registration::registration_client::RegistrationClient;
use proto::registration::{
    InfoRequest, PluginInfo, RegistrationStatus, RegistrationStatusResponse,
};
use std::future::Future;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tonic::transport::Channel;
use tonic::{Code, Request, Response, Status, Streaming};

/// How long a call may take, unless said otherwise. Kubelet's patience.
const DEADLINE: Duration = Duration::from_secs(120);

/// What a server stream gave.
#[derive(Debug)]
pub struct Collected<T> {
    /// The messages, in their order.
    pub messages: Vec<T>,
    /// How it ended.
    pub end: Result<(), Status>,
}

impl<T> Collected<T> {
    /// The messages of a stream that ended well. Another is a failed test.
    #[track_caller]
    pub fn ok(self) -> Vec<T> {
        if let Err(status) = self.end {
            panic!("after {} messages: {status}", self.messages.len());
        }
        self.messages
    }

    /// Why a stream did not end well. One that did is a failed test.
    #[track_caller]
    pub fn refused(self) -> Status {
        let messages = self.messages.len();
        let end = self.end.err();
        end.unwrap_or_else(|| panic!("the stream ended well, after {messages} messages"))
    }
}

/// A caller with a connection of its own. It connects with the first call, and again when the driver was restarted. A clone
/// has a connection of its own as well, for another thread.
#[derive(Debug, Clone)]
pub struct Client {
    connection: Connection,
    deadline: Duration,
}

impl Client {
    /// A caller of the driver at a unix socket.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self::over(Connection::new(None, socket.into()))
    }

    /// A caller of the driver at a unix socket of another place.
    pub fn on(place: &Place, socket: impl Into<PathBuf>) -> Self {
        Self::over(Connection::new(Some(place.clone()), socket.into()))
    }

    const fn over(connection: Connection) -> Self {
        Self {
            connection,
            deadline: DEADLINE,
        }
    }

    /// The same caller with another patience for each call.
    #[must_use]
    pub fn within(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    fn call<Q, R, F>(
        &self,
        request: Q,
        rpc: impl FnOnce(Channel, Request<Q>) -> F,
    ) -> Result<R, Status>
    where
        F: Future<Output = Result<Response<R>, Status>>,
    {
        let started = Instant::now();
        let rpc = rpc(self.connection.channel(), self.request(request));
        match self.connection.run(rpc) {
            Ok(response) => Ok(response.into_inner()),
            // tonic calls it cancelled when time is up.
            Err(status)
                if status.code() == Code::Cancelled && started.elapsed() >= self.deadline =>
            {
                Err(late())
            }
            Err(status) => Err(status),
        }
    }

    fn collect<Q, R, F>(
        &self,
        request: Q,
        rpc: impl FnOnce(Channel, Request<Q>) -> F,
    ) -> Collected<R>
    where
        F: Future<Output = Result<Response<Streaming<R>>, Status>>,
    {
        let rpc = rpc(self.connection.channel(), self.request(request));
        let mut messages = Vec::new();
        let all = async {
            let mut stream = rpc.await?.into_inner();
            while let Some(message) = stream.message().await? {
                messages.push(message);
            }
            Ok(())
        };
        let end = self.connection.run(async {
            let timely = tokio::time::timeout(self.deadline, all).await;
            timely.unwrap_or_else(|_| Err(late()))
        });
        Collected { messages, end }
    }

    /// The request with the deadline that the driver is told.
    fn request<Q>(&self, message: Q) -> Request<Q> {
        let mut request = Request::new(message);
        request.set_timeout(self.deadline);
        request
    }
}

fn late() -> Status {
    Status::deadline_exceeded("the call took longer than the client waits")
}

/// One method for each unary call.
macro_rules! unary {
    ($($client:ident { $($method:ident($request:ty) -> $response:ty;)+ })+) => {
        impl Client {
            $($(
                #[doc = concat!("`", stringify!($client), "::", stringify!($method), "`.")]
                pub fn $method(&self, request: $request) -> Result<$response, Status> {
                    self.call(request, |channel, request| async move {
                        let mut client = $client::new(channel).max_decoding_message_size(usize::MAX);
                        client.$method(request).await
                    })
                }
            )+)+
        }
    };
}

/// One method for each call that answers with a stream.
macro_rules! streaming {
    ($client:ident { $($method:ident($request:ty) -> $response:ty;)+ }) => {
        impl Client {
            $(
                #[doc = concat!("`", stringify!($client), "::", stringify!($method), "`, all messages.")]
                pub fn $method(&self, request: $request) -> Collected<$response> {
                    self.collect(request, |channel, request| async move {
                        $client::new(channel).$method(request).await
                    })
                }
            )+
        }
    };
}

unary! {
    IdentityClient {
        get_plugin_info(GetPluginInfoRequest) -> GetPluginInfoResponse;
        get_plugin_capabilities(GetPluginCapabilitiesRequest) -> GetPluginCapabilitiesResponse;
        probe(ProbeRequest) -> ProbeResponse;
    }
    ControllerClient {
        create_volume(CreateVolumeRequest) -> CreateVolumeResponse;
        delete_volume(DeleteVolumeRequest) -> DeleteVolumeResponse;
        controller_publish_volume(ControllerPublishVolumeRequest) -> ControllerPublishVolumeResponse;
        controller_unpublish_volume(ControllerUnpublishVolumeRequest) -> ControllerUnpublishVolumeResponse;
        validate_volume_capabilities(ValidateVolumeCapabilitiesRequest) -> ValidateVolumeCapabilitiesResponse;
        list_volumes(ListVolumesRequest) -> ListVolumesResponse;
        get_capacity(GetCapacityRequest) -> GetCapacityResponse;
        controller_get_capabilities(ControllerGetCapabilitiesRequest) -> ControllerGetCapabilitiesResponse;
        create_snapshot(CreateSnapshotRequest) -> CreateSnapshotResponse;
        delete_snapshot(DeleteSnapshotRequest) -> DeleteSnapshotResponse;
        list_snapshots(ListSnapshotsRequest) -> ListSnapshotsResponse;
        get_snapshot(GetSnapshotRequest) -> GetSnapshotResponse;
        controller_expand_volume(ControllerExpandVolumeRequest) -> ControllerExpandVolumeResponse;
        controller_get_volume(ControllerGetVolumeRequest) -> ControllerGetVolumeResponse;
        controller_modify_volume(ControllerModifyVolumeRequest) -> ControllerModifyVolumeResponse;
    }
    GroupControllerClient {
        group_controller_get_capabilities(GroupControllerGetCapabilitiesRequest)
            -> GroupControllerGetCapabilitiesResponse;
        create_volume_group_snapshot(CreateVolumeGroupSnapshotRequest) -> CreateVolumeGroupSnapshotResponse;
        delete_volume_group_snapshot(DeleteVolumeGroupSnapshotRequest) -> DeleteVolumeGroupSnapshotResponse;
        get_volume_group_snapshot(GetVolumeGroupSnapshotRequest) -> GetVolumeGroupSnapshotResponse;
    }
    NodeClient {
        node_stage_volume(NodeStageVolumeRequest) -> NodeStageVolumeResponse;
        node_unstage_volume(NodeUnstageVolumeRequest) -> NodeUnstageVolumeResponse;
        node_publish_volume(NodePublishVolumeRequest) -> NodePublishVolumeResponse;
        node_unpublish_volume(NodeUnpublishVolumeRequest) -> NodeUnpublishVolumeResponse;
        node_get_volume_stats(NodeGetVolumeStatsRequest) -> NodeGetVolumeStatsResponse;
        node_expand_volume(NodeExpandVolumeRequest) -> NodeExpandVolumeResponse;
        node_get_capabilities(NodeGetCapabilitiesRequest) -> NodeGetCapabilitiesResponse;
        node_get_info(NodeGetInfoRequest) -> NodeGetInfoResponse;
    }
    RegistrationClient {
        get_info(InfoRequest) -> PluginInfo;
        notify_registration_status(RegistrationStatus) -> RegistrationStatusResponse;
    }
}

streaming! {
    SnapshotMetadataClient {
        get_metadata_allocated(GetMetadataAllocatedRequest) -> GetMetadataAllocatedResponse;
        get_metadata_delta(GetMetadataDeltaRequest) -> GetMetadataDeltaResponse;
    }
}
