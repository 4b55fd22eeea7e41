//! Everything that can go wrong, with its text and, in one place, its code (ERR-2).

use crate::address::Address;
use crate::moment::Moment;
use crate::range::RangeError;
use crate::store::{Census, StoreError};
use cni::{Code, ConfigError, Version};
use std::fmt;
use std::io;
use std::path::PathBuf;

/// Why a verb was not served.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration cannot be read, or lacks something.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The frame refused something.
    #[error(transparent)]
    Frame(#[from] cni_plugin::Error),
    /// A range or a set of ranges breaks a rule.
    #[error("{path}: {why}")]
    Range {
        /// Where in the configuration.
        path: String,
        /// Which rule.
        why: RangeError,
    },
    /// Two range sets have addresses in common.
    #[error("{0} and {1} overlap: an address may be offered only once")]
    SetsOverlap(String, String),
    /// Results of this version hold one address per family.
    #[error(
        "{sets} {family} range sets, but a result of cniVersion {version} has room for one {family} \
         address: use cniVersion 0.3.0 or later, or one range set per family"
    )]
    OnePerFamily {
        /// How many there are.
        sets: usize,
        /// `IPv4` or `IPv6`.
        family: &'static str,
        /// The configuration's version.
        version: Version,
    },
    /// A requested address that is none.
    #[error(
        "{source_key}: found {found}, wanted an address such as 10.1.0.7, with or without a prefix length"
    )]
    NotAnAddress {
        /// Where it was requested.
        source_key: &'static str,
        /// What was found, shortened.
        found: String,
    },
    /// A requested address that no range set offers.
    #[error("requested IP {address} is outside {sets} of network {network}: request one inside")]
    Outside {
        /// The address.
        address: Address,
        /// The range sets, as text.
        sets: String,
        /// The network.
        network: String,
    },
    /// A requested address that is a gateway.
    #[error("requested IP {address} is a gateway of network {network}: request another")]
    Gateway {
        /// The address.
        address: Address,
        /// The network.
        network: String,
    },
    /// Two requests for one range set.
    #[error(
        "requested IPs {0} and {1} are both in range set {2}, which gives one address: request one"
    )]
    TwoOfOneSet(Address, Address, String),
    /// A requested address that somebody has.
    #[error(
        "requested IP {address} of network {network} is held by {holder}: \
         DEL that attachment first, or request another"
    )]
    Taken {
        /// The address.
        address: Address,
        /// Who has it.
        holder: String,
        /// The network.
        network: String,
    },
    /// No address is left.
    #[error(transparent)]
    Exhausted(Box<Exhausted>),
    /// The attachment has an address of the set already (ADD-5).
    #[error(
        "{holder} already holds {address} of range set {set} of network {network}: DEL it before another ADD"
    )]
    Duplicate {
        /// Who has it.
        holder: String,
        /// The address.
        address: Address,
        /// The range set, as text.
        set: String,
        /// The network.
        network: String,
    },
    /// CHECK: an address of the result is not the attachment's (any more).
    #[error(
        "{holder} does not hold {address} of network {network}, {instead}: DEL and ADD it again"
    )]
    NotHeld {
        /// Who should have it.
        holder: String,
        /// The address.
        address: Address,
        /// Who has it instead.
        instead: String,
        /// The network.
        network: String,
    },
    /// CHECK: the attachment has no address of a range set.
    #[error(
        "{holder} holds no address of range set {set} of network {network}: DEL and ADD it again"
    )]
    NoneHeld {
        /// Who should have one.
        holder: String,
        /// The range set, as text.
        set: String,
        /// The network.
        network: String,
    },
    /// `resolvConf` names a file that cannot be read.
    #[error("ipam.resolvConf {}: {source}: name a file that can be read, or leave the key out", .path.display())]
    ResolvConf {
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The store could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The kernel does not say which boot this is.
    #[error("read the boot id: {0}: is /proc mounted?")]
    BootId(io::Error),
    /// The signals could not be held back.
    #[error("hold back signals: {0}")]
    Signals(io::Error),
    /// SIGTERM, SIGINT or SIGHUP came before the addresses were handed out.
    #[error("stopped by a signal: nothing was reserved")]
    Stopped,
    /// Addresses keep being taken by something that does not take the lock.
    #[error(
        "the store {} is changed by something that does not take its lock: try again",
        .0.display()
    )]
    Unlocked(PathBuf),
    /// GC could not remove everything (GC-4).
    #[error("{} reservations were not removed: {}", .0.len(), List(.0))]
    NotRemoved(Vec<StoreError>),
    /// STATUS: no ADD could be served, and why (STA-2).
    #[error(transparent)]
    NotAvailable(Box<Error>),
    /// An error whose undo did not succeed either.
    #[error("{first}")]
    NotUndone {
        /// What went wrong first.
        first: Box<Error>,
        /// What could not be taken back.
        undo: StoreError,
    },
}

/// A range set without a free address.
#[derive(Debug, thiserror::Error)]
#[error(
    "range set {set} of network {network} is exhausted: {} addresses held{}: \
     DEL or GC the attachments that are gone, or add a range",
    .census.held, Oldest(.census)
)]
pub struct Exhausted {
    /// The range set, as text.
    pub set: String,
    /// The network.
    pub network: String,
    /// Who has its addresses.
    pub census: Census,
}

/// The code of a CHECK that misses a reservation: the one that `bridge`, which passes ours on, gives to differences.
const NOT_HELD: Code = Code::Plugin(103);

impl Error {
    /// The code that a runtime sees.
    pub fn code(&self) -> Code {
        match self {
            Self::Config(error) => error.code(),
            Self::Frame(error) => error.code(),
            Self::Range { .. }
            | Self::SetsOverlap(..)
            | Self::OnePerFamily { .. }
            | Self::NotAnAddress { .. }
            | Self::Outside { .. }
            | Self::Gateway { .. }
            | Self::TwoOfOneSet(..) => Code::InvalidConfig,
            // Somebody else's DEL makes room; the same ADD may well succeed later.
            Self::Taken { .. } | Self::Exhausted(_) | Self::Stopped | Self::Unlocked(_) => {
                Code::TryAgainLater
            }
            // What is wrong is what the runtime named in CNI_CONTAINERID and CNI_IFNAME.
            Self::Duplicate { .. } => Code::InvalidEnvironment,
            Self::NotHeld { .. } | Self::NoneHeld { .. } => NOT_HELD,
            Self::ResolvConf { .. }
            | Self::Store(_)
            | Self::BootId(_)
            | Self::Signals(_)
            | Self::NotRemoved(_) => Code::Io,
            Self::NotAvailable(_) => Code::NotAvailable,
            Self::NotUndone { first, .. } => first.code(),
        }
    }
}

impl From<Error> for cni::Error {
    fn from(error: Error) -> Self {
        let answer = Self::new(error.code(), error.to_string());
        match error {
            Error::Config(error) => error.into(),
            Error::Frame(error) => error.into(),
            Error::NotUndone { undo, .. } => answer.with_details(format!("not undone: {undo}")),
            _ => answer,
        }
    }
}

/// The holders of the oldest reservations, as the end of a sentence.
struct Oldest<'a>(&'a Census);

impl fmt::Display for Oldest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (address, holder, since)) in self.0.oldest.iter().enumerate() {
            f.write_str(if index == 0 { ", the oldest by " } else { ", " })?;
            match holder {
                Some(holder) => write!(f, "{holder}")?,
                None => f.write_str("a file that no plugin wrote")?,
            }
            write!(f, " ({address}, since {})", Moment(*since))?;
        }
        Ok(())
    }
}

/// Several errors in one sentence.
struct List<'a>(&'a [StoreError]);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{error}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Holder;
    use std::time::{Duration, UNIX_EPOCH};

    fn address(text: &str) -> Address {
        Address::from_file_name(text).unwrap()
    }

    #[test]
    fn an_exhausted_set_names_the_oldest_holders() {
        let since = UNIX_EPOCH + Duration::from_secs(1_795_352_700);
        let exhausted = Exhausted {
            set: "10.1.0.2-10.1.255.254".into(),
            network: "podnet".into(),
            census: Census {
                held: 65_533,
                oldest: vec![
                    (address("10.1.0.2"), Some(Holder::new("c1", "eth0")), since),
                    (address("10.1.0.3"), None, since),
                ],
            },
        };
        assert_eq!(
            exhausted.to_string(),
            "range set 10.1.0.2-10.1.255.254 of network podnet is exhausted: 65533 addresses held, the oldest by \
             c1/eth0 (10.1.0.2, since 2026-11-22T13:05:00Z), \
             a file that no plugin wrote (10.1.0.3, since 2026-11-22T13:05:00Z): \
             DEL or GC the attachments that are gone, or add a range"
        );
    }
}
