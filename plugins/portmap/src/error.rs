//! Everything that can go wrong in this plugin, and the code under which the specification lists it.

use cni::{Code, ConfigError};
use kernel::net::{self, nft};
use std::io;

/// Why a verb could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration cannot be read or breaks a rule.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The frame refused something.
    #[error(transparent)]
    Frame(#[from] cni_plugin::Error),
    /// nf_tables did not do as asked.
    #[error(transparent)]
    Netfilter(#[from] nft::Error),
    /// The kernel did not do as asked.
    #[error(transparent)]
    Kernel(#[from] net::Error),
    /// An ADD or a CHECK without the result of the plugins before.
    #[error(
        "portmap needs prevResult, the result of the plugins before it: chain it after the plugin that makes the interface, such as bridge, in network {network}"
    )]
    NoPrevResult {
        /// The network.
        network: String,
    },
    /// A mapping that has nowhere to lead.
    #[error(
        "{mapping} of {label}: the pod has no {family}address in prevResult: leave the mapping out, or give the network a range of that family"
    )]
    NoAddress {
        /// The mapping.
        mapping: String,
        /// `IPv4 `, `IPv6 ` or nothing.
        family: &'static str,
        /// The attachment.
        label: String,
    },
    /// A port that leads to another pod.
    #[error(
        "{port} already leads to {holder}: DEL that attachment first, or choose another hostPort or hostIP"
    )]
    Taken {
        /// The port, as people say it.
        port: String,
        /// Whose it is.
        holder: String,
    },
    /// CHECK found something missing or different.
    #[error("{0}: DEL and ADD it again")]
    Differs(String),
    /// STATUS found that an ADD could not be served.
    #[error("an ADD could not be served: {0}")]
    NotReady(String),
    /// Signals could not be held back, so nothing was begun.
    #[error("hold back signals: {0}")]
    Signals(io::Error),
    /// A signal to stop arrived; everything was taken back.
    #[error("interrupted by a signal to stop; everything made so far was removed")]
    Stopped,
    /// An error, and what was left behind when its changes were taken back.
    #[error("{first}")]
    LeftBehind {
        /// The error.
        first: Box<Error>,
        /// Why something could not be taken back.
        left: String,
    },
}

impl Error {
    /// The same error, with what went wrong in undoing beside it.
    pub fn and_undo(self, undone: Result<(), Self>) -> Self {
        match undone {
            Ok(()) => self,
            Err(left) => Self::LeftBehind {
                first: Box::new(self),
                left: format!("something was left behind: {left}"),
            },
        }
    }

    /// The specification's code (ERR-2).
    pub fn code(&self) -> Code {
        match self {
            Self::Config(error) => error.code(),
            Self::Frame(error) => error.code(),
            Self::Netfilter(nft::Error::Unsettled { .. }) => Code::TryAgainLater,
            Self::Netfilter(error) => Code::of_errno(error.errno().map(|errno| errno as i32)),
            Self::Kernel(error) => Code::of_errno(error.errno().map(|errno| errno as i32)),
            Self::NoPrevResult { .. } => Code::InvalidConfig,
            Self::NoAddress { .. } => UNUSABLE_ADDRESS,
            Self::Taken { .. } => TAKEN,
            Self::Differs(_) => DIFFERS,
            Self::NotReady(_) => Code::NotAvailable,
            Self::Signals(_) => Code::Io,
            Self::Stopped => Code::TryAgainLater,
            Self::LeftBehind { first, .. } => first.code(),
        }
    }
}

/// A port is another pod's.
const TAKEN: Code = Code::Plugin(101);
/// The pod's addresses are not of the family that is asked for.
const UNUSABLE_ADDRESS: Code = Code::Plugin(102);
/// CHECK found a difference.
const DIFFERS: Code = Code::Plugin(103);

impl From<Error> for cni::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Frame(error) => error.into(),
            Error::LeftBehind { first, left } => Self::from(*first).with_details(left),
            error => Self::new(error.code(), error.to_string()),
        }
    }
}
