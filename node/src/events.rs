//! What wakes the agent: signals, changes of the folders, news of the cluster.

use crate::api::Api;
use crate::cluster::Cluster;
use crate::error::Error;
use crate::follow::Follow;
use crate::leave::Owner;
use crate::settings::Settings;
use kernel::Termination;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use rustix::io::Errno;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread;

/// One reason to look.
#[derive(Debug)]
pub enum Event {
    /// The process is to end.
    Stop,
    /// Something changed in a folder.
    Files,
    /// Nodes, or why there is no answer.
    News(Result<Cluster, Error>),
}

/// Tells when a signal asks for the end.
pub fn stop(termination: Termination, events: Sender<Event>) -> Result<(), Error> {
    start("signals", move || {
        let mut fds = [PollFd::new(termination.as_fd(), PollFlags::POLLIN)];
        while poll(&mut fds, PollTimeout::NONE).is_err() {}
        // Nobody listens: the process ends anyway.
        let _ = events.send(Event::Stop);
    })
}

/// Tells of nodes.
pub fn news(api: Api, node: String, all: bool, events: Sender<Event>) -> Result<(), Error> {
    start("cluster", move || {
        Follow { api, node, all }.run(|news| events.send(Event::News(news)).is_ok());
    })
}

/// Looks for the DaemonSet aside.
pub fn look_for(owner: Owner, settings: Settings) -> Result<(), Error> {
    start("owner", move || owner.look_for(&settings))
}

fn start(name: &'static str, job: impl FnOnce() + Send + 'static) -> Result<(), Error> {
    let started = thread::Builder::new().name(name.to_owned()).spawn(job);
    started.map(|_| ()).map_err(failed("start a thread"))
}

fn failed<E: Into<io::Error>>(what: &'static str) -> impl FnOnce(E) -> Error {
    move |source| Error::Events {
        what,
        source: source.into(),
    }
}

/// Folders under watch.
#[derive(Debug)]
pub struct Folders {
    inotify: Arc<OwnedFd>,
}

impl Folders {
    /// Tells whenever a name in a folder changes.
    pub fn new(events: Sender<Event>) -> Result<Self, Error> {
        let inotify = inotify::init(CreateFlags::CLOEXEC).map_err(failed("watch folders"))?;
        let inotify = Arc::new(inotify);
        let read = Arc::clone(&inotify);
        start("folders", move || {
            let mut space = [MaybeUninit::uninit(); 4096];
            let mut reader = inotify::Reader::new(&*read, &mut space);
            // Which name it was does not matter: everything is looked at.
            loop {
                match reader.next() {
                    Ok(_) if events.send(Event::Files).is_ok() => {}
                    Err(Errno::INTR) => {}
                    // The agent has ended, or will look once a minute.
                    _ => return,
                }
            }
        })?;
        Ok(Self { inotify })
    }

    /// Watches a folder; one that is watched already stays so. A folder that was replaced is watched anew.
    pub fn watch(&self, folder: &Path) {
        let changes = WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVE
            | WatchFlags::CLOSE_WRITE
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR;
        if let Err(error) = inotify::add_watch(&*self.inotify, folder, changes) {
            tracing::warn!(
                "watch {}: {error}: it is looked at once a minute",
                folder.display()
            );
        }
    }
}
