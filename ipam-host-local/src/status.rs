//! STATUS: could an ADD be served now (STA-1, STA-2)?
//!
//! Nothing is made and nothing reclaimed; what an ADD would reclaim counts as free.

use crate::conf::Settings;
use crate::error::Error;
use crate::full::{self, Trust};
use crate::plan::{self, Refusal};
use crate::store::{self, Boot, Locked, Store};
use cni_plugin::Request;

pub(crate) fn status(request: &Request) -> Result<(), cni::Error> {
    // What is wrong with the configuration keeps its own code; the rest is a matter of availability.
    let settings = Settings::parse(request.config())?;
    let available = available(&settings).map_err(|why| Error::NotAvailable(Box::new(why)));
    Ok(available?)
}

fn available(settings: &Settings) -> Result<(), Error> {
    settings.result()?;
    let boot = Boot::current().map_err(Error::BootId)?;
    let Some(store) = Store::open(&settings.store, boot)? else {
        return Ok(store::could_be_made(&settings.store)?);
    };
    store.writable()?;
    full::verified(&store, settings, |trust| has_room(&store, settings, trust))
}

/// Whether every range set has an address to give.
fn has_room(store: &Store, settings: &Settings, trust: Trust) -> Result<(), Refusal> {
    let mut locked = store.lock()?;
    if trust == Trust::Directory {
        locked.rescan()?;
    }
    let room = first_full(&mut locked, settings)?;
    locked.seal();
    room.map_or(Ok(()), |number| Err(Refusal::Full(number)))
}

/// The number of the first range set without an address to give.
fn first_full(locked: &mut Locked<'_>, settings: &Settings) -> Result<Option<usize>, Error> {
    for (number, set) in settings.sets.iter().enumerate() {
        let cursor = locked.cursor(number);
        if plan::next(locked, settings, set, cursor)?.is_some() {
            continue;
        }
        if !settings.reclaim || locked.leftovers(set)?.is_empty() {
            return Ok(Some(number));
        }
    }
    Ok(None)
}
