//! The calls of the Container Runtime Interface, blocking.

use super::cri::image_service_client::ImageServiceClient;
use super::cri::runtime_service_client::RuntimeServiceClient;
use super::cri::*;
use crate::connection::Connection;
use crate::place::Place;
use std::path::PathBuf;
use std::time::Duration;
use tonic::{Request, Status};

/// Many pods at once on two cores take their time.
const DEADLINE: Duration = Duration::from_secs(60);

/// A caller with a connection of its own, which it makes anew when the runtime was restarted. A clone has another.
#[derive(Debug, Clone)]
pub struct Cri {
    connection: Connection,
}

impl Cri {
    /// A caller of the runtime at a unix socket of a host.
    pub fn on(host: &Place, socket: impl Into<PathBuf>) -> Self {
        Self {
            connection: Connection::new(Some(host.clone()), socket.into()),
        }
    }
}

/// One method for each call.
macro_rules! calls {
    ($($client:ident { $($method:ident($request:ty) -> $response:ty;)+ })+) => {
        impl Cri {
            $($(
                #[doc = concat!("`", stringify!($client), "::", stringify!($method), "`.")]
                pub fn $method(&self, message: $request) -> Result<$response, Status> {
                    let mut client = $client::new(self.connection.channel());
                    let mut request = Request::new(message);
                    request.set_timeout(DEADLINE);
                    let answer = self.connection.run(async { client.$method(request).await });
                    answer.map(tonic::Response::into_inner)
                }
            )+)+
        }
    };
}

calls! {
    RuntimeServiceClient {
        version(VersionRequest) -> VersionResponse;
        status(StatusRequest) -> StatusResponse;
        run_pod_sandbox(RunPodSandboxRequest) -> RunPodSandboxResponse;
        stop_pod_sandbox(StopPodSandboxRequest) -> StopPodSandboxResponse;
        remove_pod_sandbox(RemovePodSandboxRequest) -> RemovePodSandboxResponse;
        pod_sandbox_status(PodSandboxStatusRequest) -> PodSandboxStatusResponse;
        list_pod_sandbox(ListPodSandboxRequest) -> ListPodSandboxResponse;
        create_container(CreateContainerRequest) -> CreateContainerResponse;
        start_container(StartContainerRequest) -> StartContainerResponse;
        stop_container(StopContainerRequest) -> StopContainerResponse;
        remove_container(RemoveContainerRequest) -> RemoveContainerResponse;
        container_status(ContainerStatusRequest) -> ContainerStatusResponse;
        list_containers(ListContainersRequest) -> ListContainersResponse;
        exec_sync(ExecSyncRequest) -> ExecSyncResponse;
    }
    ImageServiceClient {
        list_images(ListImagesRequest) -> ListImagesResponse;
        image_status(ImageStatusRequest) -> ImageStatusResponse;
        remove_image(RemoveImageRequest) -> RemoveImageResponse;
    }
}
