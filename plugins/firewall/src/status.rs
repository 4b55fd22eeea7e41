//! STATUS: could an ADD be served now? (STA-1 to STA-3)

use crate::conf::{Backend, Settings};
use crate::error::Error;
use crate::{iptables, table};
use cni_plugin::Request;
use kernel::net::nft::{Family, Socket};

/// Succeeds if an ADD could be served; otherwise the error has code 50 and says why.
pub fn status(request: &Request) -> Result<(), Error> {
    let settings = Settings::parse(request)?;
    let found = look(&settings).map_err(|error| Error::NotReady(error.to_string()))?;
    found.map_or(Ok(()), |damage| Err(Error::NotReady(damage)))
}

fn look(settings: &Settings) -> Result<Option<String>, Error> {
    let mut nft = Socket::open()?;
    if settings.backend == Backend::Iptables {
        for family in [Family::Ip, Family::Ip6] {
            iptables::refuse_legacy(&mut nft, family)?;
        }
    }
    table::damage(&mut nft)
}
