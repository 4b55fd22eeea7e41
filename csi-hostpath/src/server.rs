//! The driver as a process: takes its state, listens, recovers, answers, ends.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use proto::csi::controller_server::ControllerServer;
use proto::csi::group_controller_server::GroupControllerServer;
use proto::csi::identity_server::IdentityServer;
use proto::csi::node_server::NodeServer;
use proto::csi::snapshot_metadata_server::SnapshotMetadataServer;
use tokio::net::{TcpListener, UnixListener};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::{task, time};
use tokio_stream::wrappers::UnixListenerStream;
use tonic::server::NamedService;
use tonic::service::Routes;
use tonic::transport::Server;
use tonic_health::pb::health_server::HealthServer;
use tracing::{info, warn};

use crate::args::Mode;
use crate::call::Calls;
use crate::config::Config;
use crate::controller::ControllerService;
use crate::driver::Driver;
use crate::error::Error;
use crate::group::GroupService;
use crate::health::{Health, Place};
use crate::http::{self, Pages};
use crate::identity::IdentityService;
use crate::metadata::MetadataService;
use crate::metrics::Metrics;
use crate::node::NodeService;
use crate::pool::Pools;
use crate::recover::recover;
use crate::registration::{self, Standing};
use crate::socket::{self, Socket};
use crate::statedir::{self, Note, StateDir};
use crate::store::Store;

/// Calls that are worked on at once; further ones wait.
const THREADS: usize = 64;
/// Stack of each of their threads, in bytes. Only what is used takes memory.
const STACK: usize = 512 << 10;
/// How long calls in flight may take to finish at the end, and then those that nobody waits for any more. Together less
/// than the 30 s that kubelet grants a pod.
const FINISH: Duration = Duration::from_secs(20);
const ABANDONED: Duration = Duration::from_secs(5);

/// Runs the driver until it is told to end. An error is one line that says what to change.
pub fn run(config: Config) -> Result<(), String> {
    if config.mode.is_node() && !config.settings.kubelet_dir.is_dir() {
        return Err(format!(
            "kubelet's directory {} is not there, mount it or say where it is by --kubelet-dir",
            config.settings.kubelet_dir.display()
        ));
    }
    if cfg!(panic = "abort") {
        warn!(
            "built without unwinding: a fault in one call ends the driver, build it with --profile driver"
        );
    }
    let note = config
        .mode
        .is_node()
        .then(|| Note::new(&config.settings.kubelet_dir, &config.settings.name));
    if let Some(Err(why)) = note.as_ref().map(|note| note.check(&config.statedir)) {
        alone(&config)?;
        return Err(why);
    }
    // Held until the last thread has ended.
    let _state = StateDir::take(&config.statedir)?;
    alone(&config)?;
    let driver = open(&config)?;
    if let Some(note) = &note {
        note.write(&config.statedir);
    }
    let runtime = runtime().map_err(|error| format!("runtime: {error}"))?;
    let outcome = runtime.block_on(serve(config, Arc::clone(&driver)));
    runtime.shutdown_timeout(ABANDONED);
    driver.stopping.store(true, Ordering::Relaxed);
    driver.copies.end();
    outcome
}

/// Refuses to be the second driver of its name on the node.
fn alone(config: &Config) -> Result<(), String> {
    let Some(registration) = &config.registration else {
        return Ok(());
    };
    let (name, path) = (&registration.name, registration.socket.display());
    match socket::holder(&registration.socket) {
        None => Ok(()),
        Some(holder) => Err(format!(
            "another driver named {name}{holder} registers with kubelet at {path}, stop it or give this one another --drivername"
        )),
    }
}

fn open(config: &Config) -> Result<Arc<Driver>, String> {
    let open = || {
        let store = Store::open(&config.statedir.join(statedir::STORE))?;
        let pools = config.pools.iter().cloned();
        let pools = pools.map(|pool| (pool.name, pool.path, pool.limit));
        let pools = Pools::open(&store, pools)?;
        Ok(Driver::new(config.settings.clone(), store, pools))
    };
    open().map_err(|error: Error| error.to_string())
}

fn runtime() -> io::Result<Runtime> {
    Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(THREADS)
        .thread_stack_size(STACK)
        .thread_name("call")
        .build()
}

/// What callers come in by.
struct Doors {
    socket: Socket,
    csi: UnixListener,
    http: Option<TcpListener>,
}

impl Doors {
    async fn open(config: &Config) -> Result<Self, String> {
        let socket = Socket::bind(&config.endpoint)?;
        let csi = socket.listener().and_then(UnixListener::from_std);
        let csi = csi.map_err(|error| format!("{}: {error}", config.endpoint.display()))?;
        let http = match &config.http {
            Some(address) => Some(http::listen(address).await?),
            None => None,
        };
        info!(
            version = env!("CARGO_PKG_VERSION"),
            driver = config.settings.name,
            node = config.settings.node,
            endpoint = %config.endpoint.display(),
            "listening"
        );
        if let Some(Ok(address)) = http.as_ref().map(TcpListener::local_addr) {
            info!(%address, "serving HTTP");
        }
        Ok(Self { socket, csi, http })
    }
}

async fn serve(config: Config, driver: Arc<Driver>) -> Result<(), String> {
    let stop = Stop::new().map_err(|error| format!("signals: {error}"))?;
    let places = places(&config)?;
    let Doors { socket, csi, http } = Doors::open(&config).await?;
    let (recovered, has_recovered) = watch::channel(false);
    let (standing, stands) = watch::channel(Standing::Off);
    let (end, ends) = watch::channel(false);
    let health = Health::new(has_recovered.clone(), places);
    let metrics = Metrics::new(Arc::clone(&driver), stands.clone());
    let calls = Calls::new(Arc::clone(&driver), metrics.clone(), has_recovered);

    let answering = Server::builder()
        .add_routes(routes(config.mode, &calls, health.clone())?)
        .serve_with_incoming_shutdown(UnixListenerStream::new(csi), ended(ends));
    if let Some(listener) = http {
        let pages = Pages {
            health,
            metrics,
            standing: stands,
        };
        task::spawn(http::serve(listener, pages));
    }
    let registering = config
        .registration
        .map(|registration| task::spawn(registration::keep(registration, standing)));
    let outcome = tokio::select! {
        outcome = answering => outcome.map_err(|error| format!("{}: {error}", config.endpoint.display())),
        () = ending(stop, &driver, registering, end) => Ok(()),
        Err(error) = recovering(Arc::clone(&driver), recovered) => Err(format!("recovery: {error}")),
    };
    drop(socket);
    outcome
}

/// Finishes what a crash left, while the first calls come in.
async fn recovering(driver: Arc<Driver>, recovered: watch::Sender<bool>) -> Result<(), Error> {
    let outcome = task::spawn_blocking(move || recover(&driver)).await;
    outcome.unwrap_or_else(|fault| Err(Error::Internal(fault.to_string())))?;
    info!("recovered");
    recovered.send_replace(true);
    Ok(())
}

/// Waits for the signal to end, passes it on, and returns when calls in flight have had their time.
async fn ending(
    stop: Stop,
    driver: &Driver,
    registering: Option<JoinHandle<()>>,
    end: watch::Sender<bool>,
) {
    stop.told().await;
    info!("ending, calls in flight may finish");
    // Kubelet is told by the socket that goes.
    if let Some(registering) = registering {
        registering.abort();
    }
    driver.stopping.store(true, Ordering::Relaxed);
    end.send_replace(true);
    time::sleep(FINISH).await;
    warn!("calls are still in flight after {FINISH:?}, not waiting for them");
}

async fn ended(mut ends: watch::Receiver<bool>) {
    let _ = ends.wait_for(|ended| *ended).await;
}

/// The directories that health looks at.
fn places(config: &Config) -> Result<Vec<Place>, String> {
    config
        .pools
        .iter()
        .map(|pool| Place::new(format!("pool {}", pool.name), pool.path.clone()))
        .collect()
}

/// The services of a mode, all at one socket (G-01).
fn routes(mode: Mode, calls: &Calls, health: Health) -> Result<Routes, String> {
    let calls = || calls.clone();
    let mut names = vec![name::<IdentityServer<IdentityService>>()];
    let mut routes = Routes::builder();
    routes
        .add_service(HealthServer::new(health.clone()))
        .add_service(IdentityServer::new(IdentityService {
            calls: calls(),
            health,
        }));
    if mode.is_controller() {
        routes
            .add_service(ControllerServer::new(ControllerService { calls: calls() }))
            .add_service(GroupControllerServer::new(GroupService { calls: calls() }))
            .add_service(SnapshotMetadataServer::new(MetadataService {
                calls: calls(),
            }));
        names.push(name::<ControllerServer<ControllerService>>());
        names.push(name::<GroupControllerServer<GroupService>>());
        names.push(name::<SnapshotMetadataServer<MetadataService>>());
    }
    if mode.is_node() {
        routes.add_service(NodeServer::new(NodeService { calls: calls() }));
        names.push(name::<NodeServer<NodeService>>());
    }
    let reflection = names.into_iter().fold(
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(proto::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .with_service_name(name::<HealthServer<Health>>()),
        |builder, name| builder.with_service_name(name),
    );
    routes.add_service(
        reflection
            .build_v1()
            .map_err(|error| format!("reflection: {error}"))?,
    );
    Ok(routes.routes())
}

fn name<S: NamedService>() -> &'static str {
    S::NAME
}

/// The signals that end the driver.
struct Stop {
    terminate: Signal,
    interrupt: Signal,
}

impl Stop {
    fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn told(mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
