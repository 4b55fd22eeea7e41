//! Why the store failed.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use tonic::Code;

/// Why the store failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The name belongs to another object. Whoever looks again finds that object.
    #[error("name {name:?} was just taken by {owner}, try again")]
    NameTaken {
        /// The name.
        name: String,
        /// The id of the object that has it.
        owner: String,
    },
    /// No room on the store's filesystem.
    #[error("{path}: no room on the filesystem to record the change; make some")]
    Full {
        /// The store's file.
        path: PathBuf,
    },
    /// The kernel refused something else.
    #[error("{path}: {why}")]
    Io {
        /// The store's file.
        path: PathBuf,
        /// What it said.
        why: String,
    },
    /// Another process has it.
    #[error(
        "{path} is in use by another process: stop the other driver, or give this one a state directory of its own"
    )]
    InUse {
        /// The store's file.
        path: PathBuf,
    },
    /// The file is something else.
    #[error("{path} is not a store of this driver and is left alone: {ADVICE}")]
    Foreign {
        /// The store's file.
        path: PathBuf,
    },
    /// The file was a store once.
    #[error("{path} is damaged and is left alone ({why}): {ADVICE}")]
    Damaged {
        /// The store's file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A newer driver wrote it.
    #[error(
        "{path} was written by a newer driver (schema {found}, this driver knows up to {known}): start that version again"
    )]
    Newer {
        /// The store's file.
        path: PathBuf,
        /// The schema it has.
        found: u64,
        /// The newest schema that this driver knows.
        known: u64,
    },
    /// Another call's write failed, and this call's along with it.
    #[error("the store was closed after another call's write failed, try again")]
    Lost,
}

/// The way out where a file cannot be read.
const ADVICE: &str = "restore it from a copy, or move it away to start with no volumes known; volumes stay in their pools";

impl Error {
    /// The gRPC code.
    pub fn code(&self) -> Code {
        match self {
            Self::NameTaken { .. } | Self::Lost => Code::Aborted,
            Self::Full { .. } => Code::ResourceExhausted,
            Self::Io { .. } | Self::InUse { .. } | Self::Newer { .. } => Code::Internal,
            Self::Foreign { .. } | Self::Damaged { .. } => Code::DataLoss,
        }
    }

    /// What redb said of the store at `path`.
    pub(super) fn of(path: &Path, error: redb::Error) -> Self {
        let path = path.to_owned();
        match error {
            redb::Error::Io(error) => Self::io(&path, &error),
            redb::Error::PreviousIo | redb::Error::DatabaseClosed => Self::Lost,
            redb::Error::DatabaseAlreadyOpen => Self::InUse { path },
            redb::Error::Corrupted(why) => Self::Damaged { path, why },
            redb::Error::TableDoesNotExist(_) | redb::Error::UpgradeRequired(_) => {
                Self::Foreign { path }
            }
            error @ (redb::Error::TableTypeMismatch { .. }
            | redb::Error::TypeDefinitionChanged { .. }
            | redb::Error::TableIsMultimap(_)
            | redb::Error::TableIsNotMultimap(_)) => Self::Damaged {
                path,
                why: error.to_string(),
            },
            error => Self::Io {
                path,
                why: error.to_string(),
            },
        }
    }

    /// What the kernel said of the store at `path`.
    pub(super) fn io(path: &Path, error: &std::io::Error) -> Self {
        let path = path.to_owned();
        match error.kind() {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Self::Full { path },
            // redb's word for a file without its mark.
            ErrorKind::InvalidData => Self::Foreign { path },
            ErrorKind::UnexpectedEof => Self::Damaged {
                path,
                why: "it ends too early".into(),
            },
            _ => Self::Io {
                path,
                why: error.to_string(),
            },
        }
    }
}
