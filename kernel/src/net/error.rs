//! What the network wing answers when the kernel does not do as asked.

use nix::errno::Errno;
use std::io;

/// A request that did not come about: what was asked, and what the kernel said.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel refused a request.
    #[error("{what}: {} ({errno:?}){}", errno.desc(), text.as_ref().map(|t| format!(": {t}")).unwrap_or_default())]
    Refused {
        /// The request, as a phrase: `add address 10.1.0.7/24 to eth0`.
        what: String,
        /// The kernel's error number.
        errno: Errno,
        /// The kernel's extended acknowledgement, where it gave one.
        text: Option<String>,
    },
    /// A system call beside netlink failed.
    #[error("{what}: {source}")]
    Io {
        /// The action, as a phrase.
        what: String,
        /// The system's answer.
        source: io::Error,
    },
    /// The kernel's reply could not be read.
    #[error("{what}: the kernel's reply is malformed: {why}")]
    Malformed {
        /// The request, as a phrase.
        what: String,
        /// What is wrong with the reply.
        why: &'static str,
    },
    /// Something did not happen in time.
    #[error("{what}: it did not happen within {seconds} s")]
    Late {
        /// What was waited for.
        what: String,
        /// How long it was waited for.
        seconds: u64,
    },
    /// A wait was given up because the process was asked to stop.
    #[error("{what}: interrupted by a signal to stop")]
    Stopped {
        /// What was waited for.
        what: String,
    },
}

impl Error {
    /// The error number behind it, where there is one.
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::Refused { errno, .. } => Some(*errno),
            Self::Io { source, .. } => source.raw_os_error().map(Errno::from_raw),
            Self::Malformed { .. } | Self::Late { .. } | Self::Stopped { .. } => None,
        }
    }

    pub(crate) fn io(what: impl Into<String>, source: impl Into<io::Error>) -> Self {
        Self::Io {
            what: what.into(),
            source: source.into(),
        }
    }
}
