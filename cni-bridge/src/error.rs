//! Everything that can go wrong in this plugin, and the code under which the specification lists it.

use cni::{Code, ConfigError};
use ipnetwork::IpNetwork;
use kernel::net;
use kernel::net::nft;
use std::io;
use std::net::IpAddr;

/// Why a verb could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration cannot be read or breaks a rule.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Two keys of the configuration exclude each other, or one lacks what it needs.
    #[error("{0}")]
    Conflict(String),
    /// The frame, or a delegate through it, answered.
    #[error(transparent)]
    Frame(#[from] cni_plugin::Error),
    /// A delegate answered, and its answer is passed on as it is.
    #[error("{}", .0.msg)]
    Delegate(cni::Error),
    /// The kernel did not do as asked.
    #[error(transparent)]
    Kernel(#[from] net::Error),
    /// nf_tables did not do as asked.
    #[error(transparent)]
    Netfilter(#[from] nft::Error),
    /// The attachment is already there.
    #[error(
        "interface {ifname} already exists in {netns}: run DEL for container {container_id} first, or ask for another CNI_IFNAME"
    )]
    InterfaceExists {
        /// The interface that was asked for.
        ifname: String,
        /// The pod's namespace.
        netns: String,
        /// The container.
        container_id: String,
    },
    /// The host already has this attachment's port.
    #[error(
        "{label} is already attached by {port}: run DEL for this attachment before another ADD"
    )]
    AlreadyAttached {
        /// The attachment.
        label: String,
        /// The host's end of its veth pair.
        port: String,
    },
    /// A device has the bridge's name and is no bridge.
    #[error(
        "{name} already exists and is a {kind} device, not a bridge: set \"bridge\" to another name, or remove it"
    )]
    NotABridge {
        /// The name in the configuration.
        name: String,
        /// What it is instead.
        kind: String,
    },
    /// The bridge is another network's gateway.
    #[error(
        "{bridge} already has address {present}, not {wanted}: set \"forceAddress\": true to replace it, or use another bridge"
    )]
    OtherAddress {
        /// The bridge.
        bridge: String,
        /// What it has.
        present: IpNetwork,
        /// What the network wants.
        wanted: IpNetwork,
    },
    /// The IPAM plugin returned no address although one is needed.
    #[error("IPAM plugin {ipam} returned no IP address for network {network}")]
    NoAddress {
        /// Its type.
        ipam: String,
        /// The network.
        network: String,
    },
    /// An address with no room for a gateway.
    #[error("no gateway can be derived for {0}: let the IPAM plugin return one")]
    NoGateway(IpNetwork),
    /// The kernel cannot filter VLANs on bridges.
    #[error(
        "\"{key}\" needs bridge VLAN filtering, which this kernel lacks (CONFIG_BRIDGE_VLAN_FILTERING): remove the key or use another kernel"
    )]
    NoVlanFiltering {
        /// The key that asks for it.
        key: &'static str,
    },
    /// The kernel has no IPv6.
    #[error(
        "the IPAM plugin returned {0}, but IPv6 is disabled in this kernel: remove the IPv6 range or enable IPv6"
    )]
    NoIpv6(IpAddr),
    /// Something shared was removed by somebody else while an ADD built on it.
    #[error("{0} vanished while it was being set up: try again, and find out who removes it")]
    Vanished(String),
    /// Another host on the link has the address already.
    #[error(
        "address {0} is already used by another host on the link (duplicate address detection)"
    )]
    DuplicateAddress(IpAddr),
    /// CHECK found something missing or different.
    #[error("{0}")]
    Differs(String),
    /// CHECK without the earlier result.
    #[error(
        "CHECK of network {network} needs prevResult, the result of the ADD: let the runtime pass it"
    )]
    NoPrevResult {
        /// The network.
        network: String,
    },
    /// STATUS found that an ADD could not be served.
    #[error("an ADD could not be served: {0}")]
    NotReady(String),
    /// Signals could not be held back, so nothing was begun.
    #[error("hold back signals: {0}")]
    Signals(io::Error),
    /// A signal to stop arrived; everything was taken back.
    #[error("interrupted by a signal to stop; everything made so far was removed")]
    Stopped,
    /// Several things went wrong; the first stands for all.
    #[error("{first}")]
    Several {
        /// The first one.
        first: Box<Error>,
        /// What came after it, as text.
        others: String,
    },
}

impl Error {
    /// The same error, with what went wrong in undoing beside it.
    pub fn and_undo(self, undone: Result<(), Self>) -> Self {
        match undone {
            Ok(()) => self,
            Err(left) => Self::Several {
                first: Box::new(self),
                others: format!("something was left behind: {left}"),
            },
        }
    }

    /// One error for all of `errors`, or none.
    pub fn all(errors: impl IntoIterator<Item = Self>) -> Result<(), Self> {
        let mut errors = errors.into_iter();
        let Some(first) = errors.next() else {
            return Ok(());
        };
        let others: Vec<_> = errors.map(|error| error.to_string()).collect();
        if others.is_empty() {
            return Err(first);
        }
        Err(Self::Several {
            first: Box::new(first),
            others: others.join("; "),
        })
    }

    /// The specification's code (ERR-2).
    pub fn code(&self) -> Code {
        match self {
            Self::Config(error) => error.code(),
            Self::Frame(error) => error.code(),
            Self::Delegate(error) => error.code,
            Self::Kernel(net::Error::Late { .. } | net::Error::Stopped { .. })
            | Self::Netfilter(nft::Error::Unsettled { .. }) => Code::TryAgainLater,
            Self::Kernel(error) => Code::of_errno(error.errno().map(|errno| errno as i32)),
            Self::Netfilter(error) => Code::of_errno(error.errno().map(|errno| errno as i32)),
            Self::Conflict(_) | Self::NoPrevResult { .. } => Code::InvalidConfig,
            Self::InterfaceExists { .. } | Self::AlreadyAttached { .. } => Code::InvalidEnvironment,
            Self::NoVlanFiltering { .. } => Code::UnsupportedField,
            Self::NotABridge { .. } | Self::OtherAddress { .. } => CONFLICT_ON_THE_HOST,
            Self::NoAddress { .. }
            | Self::NoGateway(_)
            | Self::NoIpv6(_)
            | Self::DuplicateAddress(_) => UNUSABLE_ADDRESS,
            Self::Differs(_) => DIFFERS,
            Self::NotReady(_) => Code::NotAvailable,
            Self::Signals(_) => Code::Io,
            Self::Stopped | Self::Vanished(_) => Code::TryAgainLater,
            Self::Several { first, .. } => first.code(),
        }
    }
}

/// Something on the host stands in the way of the configuration.
const CONFLICT_ON_THE_HOST: Code = Code::Plugin(101);
/// The IPAM's answer cannot be used on this node.
const UNUSABLE_ADDRESS: Code = Code::Plugin(102);
/// CHECK found a difference.
const DIFFERS: Code = Code::Plugin(103);

impl From<Error> for cni::Error {
    fn from(error: Error) -> Self {
        match error {
            // A delegate's own words, code and details stay as they are.
            Error::Frame(error) => error.into(),
            Error::Delegate(error) => error,
            Error::Several { first, others } => {
                let first = Self::from(*first);
                let details = if first.details.is_empty() {
                    others
                } else {
                    format!("{}; {others}", first.details)
                };
                first.with_details(details)
            }
            error => Self::new(error.code(), error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::errno::Errno;

    #[test]
    fn what_may_go_better_later_says_so() {
        let what = || "wait until veth0 passes packets".to_owned();
        let later: [Error; 5] = [
            net::Error::Late {
                what: what(),
                seconds: 10,
            }
            .into(),
            net::Error::Stopped { what: what() }.into(),
            nft::Error::Unsettled {
                what: what(),
                attempts: 10,
            }
            .into(),
            net::Error::Refused {
                what: what(),
                errno: Errno::EBUSY,
                text: None,
            }
            .into(),
            Error::Stopped,
        ];
        for error in later {
            assert_eq!(error.code(), Code::TryAgainLater, "{error}");
        }
        let refused = net::Error::Refused {
            what: what(),
            errno: Errno::EPERM,
            text: None,
        };
        assert_eq!(Error::from(refused).code(), Code::Io);
    }

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
}
