//! The Container Network Interface as types: configuration, results of every version, errors.
//!
//! Everything here is pure: bytes and values in, values out; no file, no environment, no clock.
//! The crate knows every published version of the specification (0.1.0 to 1.1.0), reads what
//! configurations in the field look like rather than what they should look like, and names in
//! each error the key, the value found and what was wanted instead.

mod args;
mod config;
mod dns;
mod error;
mod name;
mod network;
mod result;
mod route;
mod section;
mod value;
mod verb;
mod version;

pub use args::{ArgsError, CniArgs};
pub use config::{Config, declared_version};
pub use dns::Dns;
pub use error::{Code, Error};
pub use name::{Attachment, ContainerId, IfName, NameError, NetworkName};
pub use network::{parse_address, parse_cidr};
pub use result::{AddResult, Interface, IpConfig, ResultError};
pub use route::Route;
pub use section::{Item, Section};
pub use value::{ConfigError, excerpt};
pub use verb::{UnknownVerb, Verb};
pub use version::{UnknownVersion, Version};
