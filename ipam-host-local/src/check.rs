//! CHECK: the attachment still holds what its ADD gave it (CHK-1, CHK-4).

use crate::address::Address;
use crate::conf::Settings;
use crate::error::Error;
use crate::store::{Boot, Holder, Locked, Store};
use cni_plugin::Request;

pub(crate) fn check(request: &Request) -> Result<(), cni::Error> {
    Ok(serve(request)?)
}

fn serve(request: &Request) -> Result<(), Error> {
    let settings = Settings::parse(request.config())?;
    let expected = expected(request, &settings)?;
    let holder = Holder::from(request.attachment()?);
    let boot = Boot::current().map_err(Error::BootId)?;
    let Some(store) = Store::open(&settings.store, boot)? else {
        return verify(&settings, &expected, &[], &holder, |_| Ok(None));
    };
    let mut locked = store.lock()?;
    let held = held(&mut locked, &holder)?;
    locked.seal();
    verify(&settings, &expected, &held, &holder, |address| {
        let found = locked.files().read(address)?;
        Ok(found.and_then(|reservation| reservation.holder))
    })
}

/// The addresses of the previous result that are ours to give.
fn expected(request: &Request, settings: &Settings) -> Result<Vec<Address>, Error> {
    let result = request.config().prev_result()?.unwrap_or_default();
    let ours = |address: &Address| {
        let mut sets = settings.sets.iter();
        sets.any(|set| set.range_of(*address).is_some())
    };
    let addresses = result.ips.iter().map(|ip| Address::from(ip.address.ip()));
    Ok(addresses.filter(ours).collect())
}

fn held(locked: &mut Locked<'_>, holder: &Holder) -> Result<Vec<Address>, Error> {
    let mut held = locked.holdings(holder)?;
    held.extend(locked.holdings(&holder.without_ifname())?);
    Ok(held.into_iter().map(|(address, _)| address).collect())
}

/// Compares; `holder_of` is asked who has an address that the attachment should have.
fn verify(
    settings: &Settings,
    expected: &[Address],
    held: &[Address],
    holder: &Holder,
    holder_of: impl Fn(Address) -> Result<Option<Holder>, Error>,
) -> Result<(), Error> {
    let mut missing = expected.iter().filter(|address| !held.contains(address));
    if let Some(&address) = missing.next() {
        return Err(Error::NotHeld {
            holder: holder.to_string(),
            address,
            instead: holder_of(address)?.map_or_else(
                || String::from("nobody does"),
                |other| format!("{other} does"),
            ),
            network: settings.network.clone(),
        });
    }
    for set in &settings.sets {
        if !held.iter().any(|address| set.range_of(*address).is_some()) {
            return Err(Error::NoneHeld {
                holder: holder.to_string(),
                set: set.to_string(),
                network: settings.network.clone(),
            });
        }
    }
    Ok(())
}
