//! The frame around every call: its number, its log lines, its share in the metrics, and the way off the reactor.

use std::fmt::Debug;
use std::future::Future;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use proto::csi;
use tokio::sync::watch;
use tokio::task;
use tonic::{Code, Request, Response, Status};
use tracing::{Level, Span, debug, error, info, info_span};

use crate::check::Rules;
use crate::driver::Driver;
use crate::error::Error;
use crate::excerpt::excerpt;
use crate::metrics::Metrics;

/// Answers calls. Cheap to clone; each service has one.
#[derive(Clone)]
pub struct Calls {
    desk: Arc<Desk>,
}

struct Desk {
    driver: Arc<Driver>,
    rules: Rules,
    metrics: Metrics,
    recovered: watch::Receiver<bool>,
    last: AtomicU64,
}

/// What a request is about, for the log.
pub trait About {
    /// The id of the object, or the name that a new one shall have. Empty for calls about no object.
    fn about(&self) -> &str;
}

impl Calls {
    /// Answers for `driver`. Calls about objects wait until it has `recovered`.
    pub fn new(driver: Arc<Driver>, metrics: Metrics, recovered: watch::Receiver<bool>) -> Self {
        Self {
            desk: Arc::new(Desk {
                rules: Rules::new(&driver.settings),
                driver,
                metrics,
                recovered,
                last: AtomicU64::new(0),
            }),
        }
    }

    /// The driver.
    pub fn driver(&self) -> &Driver {
        &self.desk.driver
    }

    /// Checks a request, does what it asks for and answers it. The work blocks a thread of its own and is not stopped
    /// when the caller goes away: the caller comes again and finds it done (G-10).
    pub async fn answer<Q, W, A>(
        &self,
        rpc: &'static str,
        request: Request<Q>,
        check: fn(&Rules, Q) -> Result<W, Error>,
        work: fn(&Arc<Driver>, W) -> Result<A, Error>,
    ) -> Result<Response<A>, Status>
    where
        Q: About + Debug + Send + 'static,
        W: 'static,
        A: Send + 'static,
    {
        let call = Call::begin(&self.desk, rpc, request.get_ref());
        // Only a driver that is gone is never recovered, and then nobody is there to wait.
        let _ = self.desk.recovered.clone().wait_for(|done| *done).await;
        let desk = Arc::clone(&self.desk);
        let work = move || {
            let _inside = call.span.clone().entered();
            let outcome = panic::catch_unwind(AssertUnwindSafe(|| {
                work(&desk.driver, check(&desk.rules, request.into_inner())?)
            }));
            call.end(outcome.unwrap_or_else(|_| Err(Error::Internal(PANICKED.to_owned()))))
        };
        match task::spawn_blocking(work).await {
            Ok(answer) => answer.map(Response::new),
            Err(_) => Err(Status::unavailable(
                "the driver is being stopped, try again",
            )),
        }
    }

    /// Answers a call that needs no work.
    pub async fn tell<Q, A>(
        &self,
        rpc: &'static str,
        request: &Request<Q>,
        answer: impl Future<Output = Result<A, Error>>,
    ) -> Result<Response<A>, Status>
    where
        Q: About + Debug,
    {
        let call = Call::begin(&self.desk, rpc, request.get_ref());
        call.end(answer.await).map(Response::new)
    }
}

const PANICKED: &str =
    "the call ran into a fault of the driver, its log says where; please report it";

/// One call, from its first log line to its last.
struct Call {
    rpc: &'static str,
    started: Instant,
    span: Span,
    metrics: Metrics,
}

impl Call {
    fn begin<Q: About + Debug>(desk: &Desk, rpc: &'static str, request: &Q) -> Self {
        let number = desk.last.fetch_add(1, Ordering::Relaxed) + 1;
        let about = Some(request.about())
            .filter(|about| !about.is_empty())
            .map(excerpt);
        let span = info_span!("call", number, rpc, about);
        debug!(parent: &span, ?request, "begins");
        Self {
            rpc,
            started: Instant::now(),
            span,
            metrics: desk.metrics.clone(),
        }
    }

    fn end<A>(self, outcome: Result<A, Error>) -> Result<A, Status> {
        let outcome = outcome.map_err(Status::from);
        let elapsed = self.started.elapsed();
        let code = outcome.as_ref().err().map_or(Code::Ok, Status::code);
        let ms = elapsed.as_secs_f64() * 1e3;
        self.metrics.count(self.rpc, code, elapsed);
        let _inside = self.span.enter();
        match &outcome {
            Ok(_) if level(self.rpc) == Level::INFO => info!(?code, ms, "ends"),
            Ok(_) => debug!(?code, ms, "ends"),
            Err(status) if code == Code::Internal => error!(?code, ms, "{}", status.message()),
            Err(status) => info!(?code, ms, "{}", status.message()),
        }
        outcome
    }
}

/// Calls that change something are worth a line; those that ask come by the minute.
fn level(rpc: &str) -> Level {
    let asks = ["Get", "List", "Probe", "Validate"];
    if asks.iter().any(|verb| rpc.contains(verb)) {
        Level::DEBUG
    } else {
        Level::INFO
    }
}

macro_rules! about {
    ($($request:ident $(: $field:ident)?),+ $(,)?) => {
        $(impl About for csi::$request {
            fn about(&self) -> &str {
                about!(@ self $($field)?)
            }
        })+
    };
    (@ $request:ident $field:ident) => { &$request.$field };
    (@ $request:ident) => { "" };
}

about! {
    GetPluginInfoRequest,
    GetPluginCapabilitiesRequest,
    ProbeRequest,
    CreateVolumeRequest: name,
    DeleteVolumeRequest: volume_id,
    ControllerPublishVolumeRequest: volume_id,
    ControllerUnpublishVolumeRequest: volume_id,
    ValidateVolumeCapabilitiesRequest: volume_id,
    ListVolumesRequest: starting_token,
    ControllerGetVolumeRequest: volume_id,
    ControllerModifyVolumeRequest: volume_id,
    GetCapacityRequest,
    ControllerGetCapabilitiesRequest,
    CreateSnapshotRequest: name,
    DeleteSnapshotRequest: snapshot_id,
    ListSnapshotsRequest: starting_token,
    GetSnapshotRequest: snapshot_id,
    ControllerExpandVolumeRequest: volume_id,
    NodeStageVolumeRequest: volume_id,
    NodeUnstageVolumeRequest: volume_id,
    NodePublishVolumeRequest: volume_id,
    NodeUnpublishVolumeRequest: volume_id,
    NodeGetVolumeStatsRequest: volume_id,
    NodeExpandVolumeRequest: volume_id,
    NodeGetCapabilitiesRequest,
    NodeGetInfoRequest,
    GroupControllerGetCapabilitiesRequest,
    CreateVolumeGroupSnapshotRequest: name,
    DeleteVolumeGroupSnapshotRequest: group_snapshot_id,
    GetVolumeGroupSnapshotRequest: group_snapshot_id,
    GetMetadataAllocatedRequest: snapshot_id,
    GetMetadataDeltaRequest: target_snapshot_id,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_something_is_logged() {
        for rpc in ["CreateVolume", "NodePublishVolume", "DeleteSnapshot"] {
            assert_eq!(level(rpc), Level::INFO, "{rpc}");
        }
        for rpc in ["Probe", "NodeGetVolumeStats", "ListVolumes", "GetCapacity"] {
            assert_eq!(level(rpc), Level::DEBUG, "{rpc}");
        }
    }

    #[test]
    fn objects_are_named() {
        let request = csi::GetMetadataDeltaRequest {
            base_snapshot_id: "a".to_owned(),
            target_snapshot_id: "b".to_owned(),
            ..Default::default()
        };
        assert_eq!(request.about(), "b");
        assert_eq!(csi::ProbeRequest {}.about(), "");
    }
}
