//! Everything that can go wrong in this plugin, and the code under which the specification lists it.

use crate::conf::Ingress;
use crate::table::MARK;
use cni::{Code, ConfigError};
use kernel::net::nft;
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
    /// A backend that this plugin does not serve.
    #[error(
        "\"backend\": \"firewalld\" is not served, because this plugin speaks no D-Bus: let firewalld trust the pods' subnets once (firewall-cmd --permanent --zone={zone} --add-source=SUBNET; firewall-cmd --reload) and remove the key"
    )]
    Firewalld {
        /// `firewalldZone`.
        zone: String,
    },
    /// iptables' rules are asked for where the node's iptables is one that they are not for.
    #[error(
        "\"backend\": \"iptables\" cannot be served, because this node's {table} is one of the legacy iptables, which nf_tables does not reach: run `{program} -I FORWARD -m mark --mark {MARK:#x}/{MARK:#x} -j ACCEPT` once after each boot and set the key to \"nftables\", or change the node to iptables-nft"
    )]
    Legacy {
        /// The table, as its family names it.
        table: String,
        /// The program that reaches it.
        program: &'static str,
    },
    /// The kernel cannot hold rules of iptables.
    #[error(
        "{source}: does this kernel have nft_compat, xt_comment and xt_mark? Load them, or set \"backend\" to \"nftables\""
    )]
    NoCompatibility {
        /// What it answered.
        source: nft::Error,
    },
    /// An ADD or a CHECK without the result of the plugins before.
    #[error(
        "firewall needs prevResult, the result of the plugins before it: chain it after the plugin that makes the interface, such as bridge, in network {network}"
    )]
    NoPrevResult {
        /// The network.
        network: String,
    },
    /// An ingress policy without what it goes by.
    #[error(
        "\"ingressPolicy\": \"{}\" needs {lacking} among prevResult's interfaces: chain firewall after bridge, in cniVersion 0.3.0 or later, or set the key to \"open\"",
        policy.as_str()
    )]
    NoInterface {
        /// The policy.
        policy: Ingress,
        /// What it goes by.
        lacking: &'static str,
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
    /// What the kernel says of itself could not be read.
    #[error("read which tables the legacy iptables has: {0}")]
    Proc(io::Error),
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
            Self::Firewalld { .. } | Self::Legacy { .. } => Code::UnsupportedField,
            Self::NoCompatibility { .. } => UNABLE,
            Self::NoPrevResult { .. } | Self::NoInterface { .. } => Code::InvalidConfig,
            Self::Differs(_) => DIFFERS,
            Self::NotReady(_) => Code::NotAvailable,
            Self::Signals(_) | Self::Proc(_) => Code::Io,
            Self::Stopped => Code::TryAgainLater,
            Self::LeftBehind { first, .. } => first.code(),
        }
    }
}

/// The node cannot do what the configuration asks for.
const UNABLE: Code = Code::Plugin(101);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_left_behind_stands_beside_the_first_error() {
        let error = Error::Stopped.and_undo(Err(Error::NotReady("no".into())));
        let error = cni::Error::from(error);
        assert_eq!(
            (error.code, error.msg),
            (Code::TryAgainLater, Error::Stopped.to_string())
        );
        assert!(error.details.contains("left behind"), "{}", error.details);
    }

    #[test]
    fn the_way_out_of_the_legacy_iptables_can_be_typed() {
        let error = Error::Legacy {
            table: "ip filter".into(),
            program: "iptables-legacy",
        };
        let command = "`iptables-legacy -I FORWARD -m mark --mark 0x1000/0x1000 -j ACCEPT`";
        assert!(error.to_string().contains(command), "{error}");
    }
}
