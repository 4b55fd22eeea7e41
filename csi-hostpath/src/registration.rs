//! Registration with kubelet, without node-driver-registrar: a second socket that kubelet finds in its directory and asks
//! for the driver's name and CSI socket (K-01 to K-07).

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::Duration;

use proto::registration::registration_server::{Registration as Service, RegistrationServer};
use proto::registration::{
    InfoRequest, PluginInfo, RegistrationStatus, RegistrationStatusResponse,
};
use tokio::net::UnixListener;
use tokio::sync::watch;
use tokio::time::{self, Instant};
use tokio_stream::wrappers::UnixListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};
use tracing::{error, info, warn};

use crate::config::Registration;
use crate::socket::Socket;

/// How often is looked whether the socket is still there: kubelet empties its directory when it starts.
const LOOK: Duration = Duration::from_secs(2);
/// The pause before the first retry; each further one is twice as long.
const RETRY: Duration = Duration::from_secs(1);
/// The longest pause between retries.
const SLOWEST: Duration = Duration::from_secs(60);

/// How the driver stands with kubelet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It does not register by itself.
    Off,
    /// Kubelet has not come yet.
    Waiting,
    /// Kubelet knows it.
    Registered,
    /// Kubelet refused it, or the socket cannot be made.
    Refused(String),
}

/// Keeps the driver registered until dropped.
pub async fn keep(registration: Registration, standing: watch::Sender<Standing>) {
    let mut pause = RETRY;
    standing.send_replace(Standing::Waiting);
    loop {
        let began = Instant::now();
        match serve(&registration, &standing).await {
            End::Vanished => {
                warn!(socket = %registration.socket.display(), "registration socket is gone, making it again");
                // Only kubelet removes it, when it starts anew.
                standing.send_replace(Standing::Waiting);
                pause = RETRY;
            }
            End::Refused(why) => {
                error!(why, "kubelet refused the registration, trying again");
                standing.send_replace(Standing::Refused(why));
            }
            End::Unmade(why) => {
                error!(why, "no registration socket, trying again");
                standing.send_replace(Standing::Refused(why));
            }
        }
        if began.elapsed() > SLOWEST {
            pause = RETRY;
        }
        time::sleep(pause).await;
        pause = SLOWEST.min(pause * 2);
    }
}

/// Why a registration socket is no longer served.
enum End {
    /// Somebody removed it.
    Vanished,
    /// Kubelet refused the driver.
    Refused(String),
    /// It could not be made.
    Unmade(String),
}

async fn serve(registration: &Registration, standing: &watch::Sender<Standing>) -> End {
    let (socket, listener) = match listen(&registration.socket) {
        Ok(made) => made,
        Err(why) => return End::Unmade(why),
    };
    info!(socket = %registration.socket.display(), "waiting for kubelet");
    let (refuse, mut refused) = watch::channel(None);
    let service = RegistrationServer::new(Registrar {
        registration: registration.clone(),
        standing: standing.clone(),
        refuse,
    });
    let serving = Server::builder()
        .add_service(service)
        .serve_with_incoming(UnixListenerStream::new(listener));
    tokio::select! {
        outcome = serving => End::Unmade(match outcome {
            Ok(()) => "the registration socket was closed".to_owned(),
            Err(error) => format!("registration socket: {error}"),
        }),
        () = vanished(&socket) => End::Vanished,
        Ok(why) = refused.wait_for(Option::is_some) => End::Refused(why.clone().unwrap_or_default()),
    }
}

/// The socket and its listener. Kubelet makes the directory when it starts, which may be later.
fn listen(path: &Path) -> Result<(Socket, UnixListener), String> {
    if let Some(directory) = path.parent().filter(|directory| !directory.exists()) {
        fs::DirBuilder::new()
            .mode(0o750)
            .create(directory)
            .map_err(|error| format!("directory {}: {error}", directory.display()))?;
    }
    let socket = Socket::bind(path)?;
    let listener = socket.listener().and_then(UnixListener::from_std);
    let listener = listener.map_err(|error| format!("socket {}: {error}", path.display()))?;
    Ok((socket, listener))
}

async fn vanished(socket: &Socket) {
    while socket.is_there() {
        time::sleep(LOOK).await;
    }
}

/// The service that kubelet calls.
struct Registrar {
    registration: Registration,
    standing: watch::Sender<Standing>,
    refuse: watch::Sender<Option<String>>,
}

#[tonic::async_trait]
impl Service for Registrar {
    async fn get_info(&self, _: Request<InfoRequest>) -> Result<Response<PluginInfo>, Status> {
        Ok(Response::new(PluginInfo {
            r#type: "CSIPlugin".to_owned(),
            name: self.registration.name.clone(),
            endpoint: self.registration.endpoint.to_string_lossy().into_owned(),
            supported_versions: vec!["1.0.0".to_owned()],
        }))
    }

    async fn notify_registration_status(
        &self,
        request: Request<RegistrationStatus>,
    ) -> Result<Response<RegistrationStatusResponse>, Status> {
        let status = request.into_inner();
        if status.plugin_registered {
            info!("registered with kubelet");
            self.standing.send_replace(Standing::Registered);
        } else {
            self.refuse.send_replace(Some(status.error));
        }
        Ok(Response::new(RegistrationStatusResponse {}))
    }
}
