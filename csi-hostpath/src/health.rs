//! Whether the driver can do its work: it has recovered, and its directories are the ones that it started with.

use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::{fs, io};

use tokio::sync::{Mutex, watch};
use tokio::task;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse, health_server};

/// How the driver is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It still finishes what a crash left.
    Starting,
    /// It works.
    Well,
    /// It cannot work, and why.
    Ill(String),
}

/// A directory that must stay what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    what: String,
    path: PathBuf,
    identity: (u64, u64),
}

impl Place {
    /// The directory at `path` as it is now; `what` is its name in texts.
    pub fn new(what: String, path: PathBuf) -> Result<Self, String> {
        match identity(&path) {
            Ok(identity) => Ok(Self {
                what,
                path,
                identity,
            }),
            Err(error) => Err(format!("{what} {}: {error}", path.display())),
        }
    }

    /// What is wrong with it now.
    fn complaint(&self) -> Option<String> {
        let (what, path) = (&self.what, self.path.display());
        match identity(&self.path) {
            Ok(found) if found == self.identity => None,
            Ok(_) => Some(format!(
                "{what} {path} is another directory than at the start: mount its filesystem and restart the driver"
            )),
            Err(error) => Some(format!("{what} {path}: {error}")),
        }
    }
}

fn identity(path: &PathBuf) -> io::Result<(u64, u64)> {
    let found = fs::metadata(path)?;
    if !found.is_dir() {
        return Err(io::ErrorKind::NotADirectory.into());
    }
    Ok((found.dev(), found.ino()))
}

/// Looks after the driver's health. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Health {
    recovered: watch::Receiver<bool>,
    places: Arc<[Place]>,
    /// One looks at a time: a disk that hangs takes one thread, and whoever asks waits for it without one.
    turn: Arc<Mutex<()>>,
}

impl Health {
    /// Watches over `places`.
    pub fn new(recovered: watch::Receiver<bool>, places: Vec<Place>) -> Self {
        Self {
            recovered,
            places: places.into(),
            turn: Arc::default(),
        }
    }

    /// Looks now. Costs a stat per pool.
    pub async fn look(&self) -> Verdict {
        let turn = Arc::clone(&self.turn).lock_owned().await;
        let places = Arc::clone(&self.places);
        let looked = task::spawn_blocking(move || {
            let _turn = turn;
            places.iter().find_map(Place::complaint)
        });
        match looked.await {
            Ok(Some(complaint)) => Verdict::Ill(complaint),
            Ok(None) if *self.recovered.borrow() => Verdict::Well,
            Ok(None) => Verdict::Starting,
            Err(_) => Verdict::Ill("the driver is being stopped".to_owned()),
        }
    }
}

/// The same as `grpc.health.v1`. It is looked at with every check, so there is nothing to watch.
#[tonic::async_trait]
impl health_server::Health for Health {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let service = request.into_inner().service;
        if !service.is_empty() {
            return Err(Status::not_found(format!(
                "service {} is not told about by itself, ask with an empty name",
                crate::excerpt::excerpt(&service)
            )));
        }
        let status = match self.look().await {
            Verdict::Well => ServingStatus::Serving,
            Verdict::Starting | Verdict::Ill(_) => ServingStatus::NotServing,
        };
        Ok(Response::new(HealthCheckResponse {
            status: status.into(),
        }))
    }

    type WatchStream = tokio_stream::Empty<Result<HealthCheckResponse, Status>>;

    async fn watch(
        &self,
        _: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        Err(Status::unimplemented(
            "health is looked at when asked for, use Check",
        ))
    }
}
