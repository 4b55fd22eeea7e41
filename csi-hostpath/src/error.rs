//! What can go wrong, and the one place where that becomes a gRPC status.

use rustix::io::Errno;
use tonic::{Code, Status};

/// Why a call failed. The texts are for the person who reads a pod's events: they name the thing, the value and the way
/// out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The request itself is wrong.
    #[error("{0}")]
    Invalid(String),
    /// The volume, snapshot, group or node does not exist.
    #[error("{what} {id} does not exist")]
    Missing {
        /// "volume", "snapshot", "group" or "node".
        what: &'static str,
        /// Its id, as the caller gave it.
        id: String,
    },
    /// The object exists and differs from what is asked for.
    #[error("{0}")]
    Differs(String),
    /// Another call works on the same object.
    #[error("{0} is being worked on by another call, try again")]
    Busy(String),
    /// A paging token that was never issued.
    #[error("token {0:?} was not issued by this driver, start again with an empty one")]
    Token(String),
    /// The object's state does not allow it now.
    #[error("{0}")]
    Unready(String),
    /// What holds the object is not there now.
    #[error("{0}")]
    Away(String),
    /// No size within the limits would do.
    #[error("{0}")]
    Size(String),
    /// There is no room.
    #[error("{0}")]
    Full(String),
    /// Not offered by this driver as it was started.
    #[error("{0} is not offered by this driver as it was started")]
    NotOffered(&'static str),
    /// The kernel refused.
    #[error(transparent)]
    Kernel(#[from] kernel::storage::Error),
    /// A program that makes, checks or grows filesystems failed.
    #[error(transparent)]
    Tool(#[from] crate::tools::Error),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] crate::store::Error),
    /// Something that must hold does not.
    #[error("{0}")]
    Internal(String),
}

impl Error {
    /// The gRPC code that callers act on.
    pub fn code(&self) -> Code {
        match self {
            Self::Invalid(_) => Code::InvalidArgument,
            Self::Missing { .. } => Code::NotFound,
            Self::Differs(_) => Code::AlreadyExists,
            Self::Busy(_) | Self::Token(_) => Code::Aborted,
            Self::Unready(_) => Code::FailedPrecondition,
            Self::Away(_) => Code::Unavailable,
            Self::Size(_) => Code::OutOfRange,
            Self::Full(_) => Code::ResourceExhausted,
            Self::NotOffered(_) => Code::Unimplemented,
            Self::Kernel(error) => of_errno(error.errno()),
            Self::Tool(error) => error.code(),
            Self::Store(error) => error.code(),
            Self::Internal(_) => Code::Internal,
        }
    }
}

/// The code for what the kernel said.
pub fn of_errno(errno: Errno) -> Code {
    match errno {
        Errno::NOSPC | Errno::DQUOT => Code::ResourceExhausted,
        Errno::ROFS => Code::FailedPrecondition,
        // Long work stops so when the driver ends.
        Errno::CANCELED => Code::Unavailable,
        _ => Code::Internal,
    }
}

impl From<Error> for Status {
    fn from(error: Error) -> Self {
        Status::new(error.code(), error.to_string())
    }
}
