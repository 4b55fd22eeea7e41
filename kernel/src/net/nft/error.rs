//! What stands between a request and its answer.

use nix::errno::Errno;
use std::io;

/// A transaction or a question that did not come about.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel lacks something that no other request would supply.
    #[error("{what}: the kernel has no {lacking}; load or build it in, or use another backend")]
    Unsupported {
        /// The request, as a phrase.
        what: String,
        /// The facility, with the name of its configuration option.
        lacking: &'static str,
    },
    /// The kernel refused a request; the whole transaction is void.
    #[error("{what}: {} ({errno:?}){}", errno.desc(), text.as_ref().map(|t| format!(": {t}")).unwrap_or_default())]
    Refused {
        /// The request, as a phrase: `add element 10.1.0.7 to map pods4 of inet hawser`.
        what: String,
        /// The kernel's error number.
        errno: Errno,
        /// The kernel's own words, where it gave some.
        text: Option<String>,
    },
    /// A request that no kernel could carry out, found before anything was sent.
    #[error("{what}: {why}")]
    Invalid {
        /// The request, as a phrase.
        what: String,
        /// What is wrong with it.
        why: String,
    },
    /// The ruleset changed during every attempt to read it.
    #[error("{what}: the ruleset changed during each of {attempts} attempts")]
    Unsettled {
        /// The question, as a phrase.
        what: String,
        /// How often it was asked.
        attempts: u32,
    },
    /// The socket failed.
    #[error("{what}: {source}")]
    Io {
        /// The request, as a phrase.
        what: String,
        /// The system's answer.
        source: io::Error,
    },
    /// The kernel's answer could not be read.
    #[error("{what}: the kernel's answer is malformed: {source}")]
    Malformed {
        /// The request, as a phrase.
        what: String,
        /// What is wrong with the answer.
        source: Malformed,
    },
}

/// What is wrong with an answer of the kernel.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// A message ends before its header says so, or its header does.
    #[error("a message is cut short")]
    Message,
    /// An attribute ends before its header says so, or its header does.
    #[error("an attribute of a {0} is cut short")]
    Attribute(&'static str),
    /// An attribute that every such object has is not there, or not of its type.
    #[error("a {0} has no readable {1}")]
    Lacking(&'static str, &'static str),
    /// Nothing more came, although the answer was not complete.
    #[error("its end is missing")]
    Unfinished,
}

impl Error {
    /// The kernel's error number, where the kernel answered with one.
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::Refused { errno, .. } => Some(*errno),
            Self::Io { source, .. } => source.raw_os_error().map(Errno::from_raw),
            Self::Unsupported { .. }
            | Self::Invalid { .. }
            | Self::Unsettled { .. }
            | Self::Malformed { .. } => None,
        }
    }

    /// Whether the object asked for, or one that the request names, is not there.
    pub fn is_not_found(&self) -> bool {
        self.errno() == Some(Errno::ENOENT)
    }

    /// Whether something to be added exclusively is there already.
    pub fn already_exists(&self) -> bool {
        self.errno() == Some(Errno::EEXIST)
    }

    /// Whether something to be deleted is still referred to: a set by a rule, a chain by a jump.
    pub fn is_in_use(&self) -> bool {
        self.errno() == Some(Errno::EBUSY)
    }

    pub(super) fn no_nf_tables(what: impl Into<String>) -> Self {
        Self::Unsupported {
            what: what.into(),
            lacking: "nf_tables (CONFIG_NF_TABLES)",
        }
    }

    pub(super) fn io(what: &str, source: impl Into<io::Error>) -> Self {
        Self::Io {
            what: what.to_owned(),
            source: source.into(),
        }
    }
}
