//! Network namespaces, held by file descriptor so that a path that changes underneath cannot mislead.

use super::Error;
use nix::fcntl::{OFlag, open};
use nix::sched::{CloneFlags, setns};
use nix::sys::stat::Mode;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// An open network namespace.
#[derive(Debug)]
pub struct Netns {
    fd: OwnedFd,
    name: String,
}

impl Netns {
    /// Opens the namespace at `path`. That it is a *network* namespace shows when it is entered.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let name = path.display().to_string();
        // O_NONBLOCK: a FIFO at that path must not hold us up.
        let flags = OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
        let fd = open(path, flags, Mode::empty())
            .map_err(|e| Error::io(format!("open network namespace {name}"), e))?;
        Ok(Self { fd, name })
    }

    /// The namespace of the calling thread.
    pub fn current() -> Result<Self, Error> {
        Self::open(Path::new("/proc/thread-self/ns/net"))
    }

    /// Runs `work` inside this namespace and returns to `home`, the caller's own.
    ///
    /// Only the calling thread moves. Sockets that `work` opens stay inside.
    pub fn enter<T>(
        &self,
        home: &Self,
        work: impl FnOnce() -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.join()?;
        let outcome = work();
        home.join()?;
        outcome
    }

    fn join(&self) -> Result<(), Error> {
        setns(&self.fd, CloneFlags::CLONE_NEWNET)
            .map_err(|e| Error::io(format!("enter network namespace {}", self.name), e))
    }
}

impl AsFd for Netns {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}
