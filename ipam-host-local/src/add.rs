//! ADD: one address of each range set for the attachment (ADD-2, DLG-4).

use crate::address::Address;
use crate::conf::Settings;
use crate::error::Error;
use crate::full;
use crate::plan::{self, Choice, Refusal};
use crate::range::RangeSet;
use crate::reserve::{Outcome, reserve};
use crate::store::{Boot, Holder, Store};
use cni::{AddResult, IpConfig};
use cni_plugin::Request;
use kernel::Termination;

pub(crate) fn add(request: &Request) -> Result<AddResult, cni::Error> {
    Ok(serve(request)?)
}

fn serve(request: &Request) -> Result<AddResult, Error> {
    let settings = Settings::parse(request.config())?;
    let requested = settings.requested(request)?;
    let mut result = settings.result()?;
    let holder = Holder::from(request.attachment()?);
    let boot = Boot::current().map_err(Error::BootId)?;
    let store = Store::create(&settings.store, boot)?;
    let choices = full::verified(&store, &settings, |trust| {
        allocate(&store, &settings, &requested, &holder, trust)
    })?;
    result.ips = ips(&settings, &choices);
    Ok(result)
}

/// Plans and reserves under one lock.
fn allocate(
    store: &Store,
    settings: &Settings,
    requested: &[Option<Address>],
    holder: &Holder,
    trust: full::Trust,
) -> Result<Vec<Choice>, Refusal> {
    let mut locked = store.lock()?;
    if trust == full::Trust::Directory {
        locked.rescan()?;
    }
    let stop = Termination::defer().map_err(Error::Signals)?;
    loop {
        let planned = plan::plan(&mut locked, settings, requested, holder);
        let choices = planned.inspect_err(|_| locked.seal())?;
        match reserve(&mut locked, &choices, holder, &stop)? {
            Outcome::Reserved => {
                locked.seal();
                return Ok(choices);
            }
            Outcome::Outdated if locked.is_fresh() => {
                return Err(Error::Unlocked(settings.store.clone()).into());
            }
            Outcome::Outdated => locked.rescan()?,
        }
    }
}

fn ips(settings: &Settings, choices: &[Choice]) -> Vec<IpConfig> {
    let of_set = |(set, choice): (&RangeSet, &Choice)| {
        let range = set.range_of(choice.address)?;
        Some(IpConfig {
            address: range.with_prefix(choice.address),
            gateway: Some(range.gateway().ip()),
            interface: None,
        })
    };
    settings
        .sets
        .iter()
        .zip(choices)
        .filter_map(of_set)
        .collect()
}
