//! STATUS: could an ADD be served now? (STA-1 to STA-3)

use crate::conf::Settings;
use crate::error::Error;
use crate::uplink;
use cni::{Code, Verb};
use cni_plugin::Request;
use kernel::Termination;
use kernel::net::Rtnl;
use kernel::net::nft::Socket;
use std::os::fd::AsFd;

/// Succeeds if an ADD could be served; otherwise the error has code 50 and says why.
pub fn status(request: &Request) -> Result<(), Error> {
    let settings = Settings::parse(request)?;
    let stop = Termination::defer().map_err(Error::Signals)?;
    look(&settings).map_err(|error| Error::NotReady(error.to_string()))?;
    ask_ipam(request, &settings, &stop)
}

fn look(settings: &Settings) -> Result<(), Error> {
    uplink::observe(&mut Rtnl::open()?, settings)?;
    if settings.masquerade || settings.antispoof {
        Socket::open()?;
    }
    Ok(())
}

fn ask_ipam(request: &Request, settings: &Settings, stop: &Termination) -> Result<(), Error> {
    let Some(ipam) = &settings.ipam else {
        return Ok(());
    };
    let answer = request
        .delegate(ipam)
        .and_then(|ipam| ipam.run(request, Verb::Status, Some(stop.as_fd())));
    match answer.map_err(cni::Error::from) {
        Ok(_) => Ok(()),
        // It speaks of readiness itself: 50 or 51 is for the runtime to read.
        Err(error) if matches!(error.code, Code::NotAvailable | Code::NotAvailableImpaired) => {
            Err(Error::Delegate(error))
        }
        Err(error) => Err(Error::NotReady(error.msg)),
    }
}
