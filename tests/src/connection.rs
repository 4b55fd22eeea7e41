//! A connection that lives between calls, too.

use crate::place::Place;
use hyper_util::rt::TokioIo;
use std::error::Error as _;
use std::fmt;
use std::future::Future;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Code, Status};

/// A channel to a unix socket and a thread that keeps it alive: a client that only listens while it calls does not hear
/// that its server ends, and lets it wait.
pub(crate) struct Connection {
    place: Option<Place>,
    socket: PathBuf,
    channel: Channel,
    runtime: Handle,
    end: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl Connection {
    /// Connects to `socket` when it is first needed, and anew when the connection is lost.
    pub(crate) fn new(place: Option<Place>, socket: PathBuf) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("make a runtime");
        let handle = runtime.handle().clone();
        let channel = {
            let _inside = handle.enter();
            let (place, socket) = (place.clone(), socket.clone());
            let connect = tower::service_fn(move |_: Uri| {
                let stream = connect(place.as_ref(), &socket);
                async move { tokio::net::UnixStream::from_std(stream?).map(TokioIo::new) }
            });
            Endpoint::from_static("http://socket").connect_with_connector_lazy(connect)
        };
        let (end, ended) = oneshot::channel();
        let thread = std::thread::Builder::new().name("connection".to_owned());
        let thread = thread.spawn(move || {
            // Its sender goes with the connection.
            let _ = runtime.block_on(ended);
        });
        let thread = thread.expect("start a thread");
        Self {
            place,
            socket,
            channel,
            runtime: handle,
            end: Some((end, thread)),
        }
    }

    pub(crate) fn channel(&self) -> Channel {
        self.channel.clone()
    }

    /// Runs a call to its end.
    pub(crate) fn run<T>(
        &self,
        call: impl Future<Output = Result<T, Status>>,
    ) -> Result<T, Status> {
        self.runtime.block_on(call).map_err(|status| {
            let lost = status
                .source()
                .is_some_and(|source| source.is::<tonic::transport::Error>());
            match status.code() {
                // tonic says that it does not know when a connection breaks; every other client says unavailable.
                Code::Unknown if lost => Status::unavailable(format!("{status:?}")),
                _ => status,
            }
        })
    }
}

impl Clone for Connection {
    fn clone(&self) -> Self {
        Self::new(self.place.clone(), self.socket.clone())
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("socket", &self.socket)
            .finish_non_exhaustive()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some((end, thread)) = self.end.take() {
            drop(end);
            // What went wrong in it has failed a call already.
            let _ = thread.join();
        }
    }
}

fn connect(place: Option<&Place>, socket: &Path) -> io::Result<UnixStream> {
    let stream = match place {
        Some(place) => place.run(|| UnixStream::connect(socket)),
        None => UnixStream::connect(socket),
    }?;
    stream.set_nonblocking(true)?;
    Ok(stream)
}
