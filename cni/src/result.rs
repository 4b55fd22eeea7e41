//! What an ADD made, in every version of the specification.
//!
//! In memory a result has the shape of 1.1.0; [`read`] and [`write`] hold the conversions
//! CNV-1 to CNV-7. What a version cannot hold is left out when writing it, and only a result
//! without any address cannot be written at all, under 0.1.0 and 0.2.0 (CNV-2).

mod read;
mod write;

pub(crate) use read::prev_result;

use crate::{Code, ConfigError, Dns, Error, Route, Version};
use ipnetwork::IpNetwork;
use serde_json::Value;
use std::net::IpAddr;

/// What an ADD made: the result of a plugin, or of the plugins before it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddResult {
    /// The links, on the host and in the container.
    pub interfaces: Vec<Interface>,
    /// The addresses.
    pub ips: Vec<IpConfig>,
    /// The routes.
    pub routes: Vec<Route>,
    /// The resolver settings.
    pub dns: Dns,
}

/// A link that belongs to an attachment. Texts are empty when there is nothing to say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// Its name.
    pub name: String,
    /// Its hardware address.
    pub mac: String,
    /// Its MTU in bytes; never zero.
    pub mtu: Option<u32>,
    /// The path of the namespace it is in; empty on the host.
    pub sandbox: String,
    /// The socket of a user-space device.
    pub socket_path: String,
    /// The PCI address of a device.
    pub pci_id: String,
}

/// An address given to the container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IpConfig {
    /// The address and the length of its network's prefix.
    pub address: IpNetwork,
    /// The network's gateway.
    pub gateway: Option<IpAddr>,
    /// Which of the result's interfaces has it; an IPAM does not say (DLG-4).
    pub interface: Option<usize>,
}

/// A result that cannot be read, or not be written in a version.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ResultError {
    /// A key of it is wrong.
    #[error(transparent)]
    Field(#[from] ConfigError),
    /// The version's result is made of addresses, and there is none (CNV-2).
    #[error(
        "a result without an address cannot be told in cniVersion {0}: \
         use 0.3.0 or later, or an ipam"
    )]
    NoAddress(Version),
}

impl ResultError {
    /// The specification's code for it.
    pub const fn code(&self) -> Code {
        match self {
            Self::Field(error) => error.code(),
            Self::NoAddress(_) => Code::InvalidConfig,
        }
    }
}

impl From<ResultError> for Error {
    fn from(error: ResultError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

impl AddResult {
    /// Reads a result in the version it names itself, or else in `default`.
    pub fn from_json(value: &Value, default: Version) -> Result<Self, ResultError> {
        Ok(read::result(value, default)?)
    }

    /// Reads a result from its bytes, as a plugin printed it.
    pub fn parse(bytes: &[u8], default: Version) -> Result<Self, ResultError> {
        let value = serde_json::from_slice(bytes).map_err(|error| ConfigError::Syntax {
            what: "the result",
            why: error.to_string(),
        })?;
        Self::from_json(&value, default)
    }

    /// Writes the result as the version has it, with its `cniVersion` (CNV-7).
    pub fn to_json(&self, version: Version) -> Result<Value, ResultError> {
        write::result(self, version)
    }
}

#[cfg(test)]
mod tests;
