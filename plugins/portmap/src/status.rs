//! STATUS: could an ADD be served now? (STA-1 to STA-3)

use crate::conf::Settings;
use crate::error::Error;
use crate::table;
use cni_plugin::Request;
use kernel::net::nft::Socket;

/// Succeeds if an ADD could be served; otherwise the error has code 50 and says why.
pub fn status(request: &Request) -> Result<(), Error> {
    Settings::parse(request)?;
    let found = look().map_err(|error| Error::NotReady(error.to_string()))?;
    found.map_or(Ok(()), |damage| Err(Error::NotReady(damage)))
}

fn look() -> Result<Option<String>, Error> {
    table::damage(&mut Socket::open()?)
}
