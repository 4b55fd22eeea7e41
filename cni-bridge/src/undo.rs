//! What an ADD makes for one pod, and how each is taken back.

use crate::error::Error;
use crate::filter::Membership;
use cni::Verb;
use cni_plugin::{Delegate, Request};
use kernel::net::Rtnl;
use kernel::{Step, Undo};

/// The record of one ADD.
pub type Record<'a> = Undo<Made<'a>>;

/// One thing made for one pod.
pub enum Made<'a> {
    /// The veth pair, by its host's end; with it go the pod's interface, addresses and routes.
    Port(String),
    /// The elements in the packet filter.
    Membership(Membership),
    /// The addresses that the IPAM plugin gave, or was about to give (ADD-6).
    Lease {
        /// The IPAM plugin.
        ipam: Delegate,
        /// The ADD it was asked in.
        request: &'a Request,
    },
}

impl Step for Made<'_> {
    type Error = Error;

    fn revert(&mut self) -> Result<(), Error> {
        match self {
            Self::Port(name) => Rtnl::open()?
                .delete_link(name)
                .map(|_| ())
                .map_err(Error::from),
            Self::Membership(membership) => membership.leave(),
            // Runs to its end even though a stop was asked for: the address is released or it leaks.
            Self::Lease { ipam, request } => ipam
                .run(request, Verb::Del, None)
                .map(|_| ())
                .map_err(Error::from),
        }
    }
}
