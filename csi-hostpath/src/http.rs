//! `/healthz` and `/metrics` over HTTP, for kubelet's probes and Prometheus.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio::{task, time};

use crate::health::{Health, Verdict};
use crate::metrics::Metrics;
use crate::registration::Standing;

/// Connections served at once.
const CONNECTIONS: usize = 16;
/// How long a client may take for the head of a request.
const HEAD: Duration = Duration::from_secs(5);
/// The pause after a connection could not be accepted, so that a lack of descriptors is no busy loop.
const PAUSE: Duration = Duration::from_millis(100);
/// What `/metrics` is written in.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What is served.
#[derive(Clone)]
pub struct Pages {
    /// `/healthz`.
    pub health: Health,
    /// `/metrics`.
    pub metrics: Metrics,
    /// How the driver stands with kubelet, a line of `/healthz`.
    pub standing: watch::Receiver<Standing>,
}

/// Listens at `address`, host and port; an empty host is every address of this machine.
pub async fn listen(address: &str) -> Result<TcpListener, String> {
    let listener = match address.strip_prefix(':').map(str::parse::<u16>) {
        Some(Ok(port)) => match TcpListener::bind((Ipv6Addr::UNSPECIFIED, port)).await {
            // A machine without IPv6.
            Err(error) if error.kind() != io::ErrorKind::AddrInUse => {
                TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).await
            }
            listener => listener,
        },
        _ => TcpListener::bind(address).await,
    };
    listener.map_err(|error| format!("--http-endpoint {address}: {error}"))
}

/// Serves until dropped.
pub async fn serve(listener: TcpListener, pages: Pages) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let Ok((stream, _)) = listener.accept().await else {
            time::sleep(PAUSE).await;
            continue;
        };
        let pages = pages.clone();
        let answer = service_fn(move |request| {
            let pages = pages.clone();
            async move { Ok::<_, Infallible>(pages.answer(&request).await) }
        });
        task::spawn(async move {
            let _place = place;
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD)
                .serve_connection(TokioIo::new(stream), answer);
            // A client that goes away has nobody to be told.
            let _ = connection.await;
        });
    }
}

impl Pages {
    async fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "only GET\n".to_owned());
            response
                .headers_mut()
                .insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
            return response;
        }
        match request.uri().path() {
            "/healthz" => self.healthz().await,
            "/metrics" => self.metrics().await,
            _ => text(
                StatusCode::NOT_FOUND,
                "here are /healthz and /metrics\n".to_owned(),
            ),
        }
    }

    /// As livenessprobe has it: 200 or 500. A refused registration is told and is no reason to restart the driver, whose
    /// mounts live on.
    async fn healthz(&self) -> Response<Full<Bytes>> {
        let (code, mut body) = match self.health.look().await {
            Verdict::Well => (StatusCode::OK, "ok\n".to_owned()),
            Verdict::Starting => (
                StatusCode::INTERNAL_SERVER_ERROR,
                "recovering after the start\n".to_owned(),
            ),
            Verdict::Ill(why) => (StatusCode::INTERNAL_SERVER_ERROR, format!("{why}\n")),
        };
        match &*self.standing.borrow() {
            Standing::Off => {}
            Standing::Waiting => body += "registration: waiting for kubelet\n",
            Standing::Registered => body += "registration: done\n",
            Standing::Refused(why) => body += &format!("registration: {why}\n"),
        }
        text(code, body)
    }

    /// Off the reactor, for it looks at every pool and mounted volume.
    async fn metrics(&self) -> Response<Full<Bytes>> {
        let metrics = self.metrics.clone();
        match task::spawn_blocking(move || metrics.encode()).await {
            Ok(Ok(body)) => {
                let mut response = text(StatusCode::OK, body);
                response
                    .headers_mut()
                    .insert(CONTENT_TYPE, HeaderValue::from_static(OPENMETRICS));
                response
            }
            _ => text(
                StatusCode::INTERNAL_SERVER_ERROR,
                "no metrics, see the driver's log\n".to_owned(),
            ),
        }
    }
}

fn text(code: StatusCode, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = code;
    response.headers_mut().insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/plain; charset=utf-8"),
    );
    response
}
