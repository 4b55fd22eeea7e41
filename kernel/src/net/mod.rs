//! The network wing: namespaces, links, addresses, routes, nf_tables, tracked connections, sysctls.
//!
//! Everything is blocking and runs on the caller's thread. A socket stays in the namespace in which it was opened, so
//! one thread speaks with the host and with a pod at the same time.

pub mod address;
pub mod conf;
pub mod conntrack;
pub mod error;
mod extack;
pub mod link;
pub mod mac;
pub mod monitor;
pub mod netns;
pub mod nft;
pub mod port;
pub mod route;
pub mod rtnl;
pub mod sysctl;

pub use address::Address;
pub use conntrack::Conntrack;
pub use error::Error;
pub use link::{Device, Link};
pub use mac::Mac;
pub use netns::Netns;
pub use route::Route;
pub use rtnl::Rtnl;
