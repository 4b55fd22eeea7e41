//! Everything that can go wrong, with its text and its code.

use cni::{Code, ConfigError};
use ipnetwork::IpNetwork;
use kernel::net;
use std::io;

/// Why a verb was not served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The frame refused something.
    #[error(transparent)]
    Frame(#[from] cni_plugin::Error),
    /// The configuration or its earlier result cannot be read.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The kernel refused something.
    #[error(transparent)]
    Kernel(#[from] net::Error),
    /// An address on `lo` that the rest of the node's world might be meant by.
    #[error(
        "lo of {netns} has {address}, which is not a loopback address: remove it, or put it on another interface"
    )]
    Foreign {
        /// The path of the namespace.
        netns: String,
        /// The address.
        address: IpNetwork,
    },
    /// A namespace without `lo`.
    #[error("{0} has no interface lo: is it a network namespace of this kernel?")]
    NoLoopback(String),
    /// CHECK found something missing or different.
    #[error("{0}: DEL and ADD it again")]
    Differs(String),
    /// Signals could not be held back, so nothing was begun.
    #[error("hold back signals: {0}")]
    Signals(io::Error),
}

impl Error {
    /// The specification's code (ERR-2).
    fn code(&self) -> Code {
        match self {
            Self::Frame(error) => error.code(),
            Self::Config(error) => error.code(),
            Self::Kernel(error) => Code::of_errno(error.errno().map(|errno| errno as i32)),
            Self::Foreign { .. } | Self::NoLoopback(_) => UNUSABLE,
            Self::Differs(_) => DIFFERS,
            Self::Signals(_) => Code::Io,
        }
    }
}

/// The namespace's `lo` cannot serve.
const UNUSABLE: Code = Code::Plugin(101);
/// CHECK found a difference.
const DIFFERS: Code = Code::Plugin(103);

impl From<Error> for cni::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Frame(error) => error.into(),
            error => Self::new(error.code(), error.to_string()),
        }
    }
}
