//! Which addresses an attachment will get: one of each range set, all of them chosen before the first is reserved.
//!
//! So whatever an ADD is refused for, it is refused before anything is made. Only leftovers of an earlier boot are
//! cleared on the way; they are nobody's.

use crate::address::Address;
use crate::bits::ChunkId;
use crate::conf::Settings;
use crate::error::Error;
use crate::pick;
use crate::range::RangeSet;
use crate::store::{Age, Holder, Locked, StoreError};

/// Why there is no plan.
#[derive(Debug)]
pub enum Refusal {
    /// The range set with this number has no free address.
    Full(usize),
    /// Anything else.
    Error(Error),
}

impl<E: Into<Error>> From<E> for Refusal {
    fn from(error: E) -> Self {
        Self::Error(error.into())
    }
}

/// What one range set is to give.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Choice {
    /// The address.
    pub address: Address,
    /// The address that the set gave out before it.
    pub after: Option<Address>,
}

/// What each range set is to give, in their order.
pub fn plan(
    locked: &mut Locked<'_>,
    settings: &Settings,
    requested: &[Option<Address>],
    holder: &Holder,
) -> Result<Vec<Choice>, Refusal> {
    none_held(locked, settings, holder)?;
    let mut choices = Vec::with_capacity(settings.sets.len());
    for (number, set) in settings.sets.iter().enumerate() {
        let after = locked.cursor(number);
        let address = match requested.get(number).copied().flatten() {
            Some(wish) => {
                available(locked, settings, wish)?;
                wish
            }
            None => free(locked, settings, set, after)?.ok_or(Refusal::Full(number))?,
        };
        choices.push(Choice { address, after });
    }
    Ok(choices)
}

/// An attachment has one address of a set. What it has from an earlier boot, when its pod was another one, goes.
fn none_held(locked: &mut Locked<'_>, settings: &Settings, holder: &Holder) -> Result<(), Error> {
    for holder in [holder.clone(), holder.without_ifname()] {
        for (address, age) in locked.holdings(&holder)? {
            if settings.reclaim && age == Age::EarlierBoot {
                locked.release(address, &holder)?;
                continue;
            }
            let mut sets = settings.sets.iter();
            if let Some(set) = sets.find(|set| set.range_of(address).is_some()) {
                return Err(Error::Duplicate {
                    holder: holder.to_string(),
                    address,
                    set: set.to_string(),
                    network: settings.network.clone(),
                });
            }
        }
    }
    Ok(())
}

/// Whether a requested address can be given.
fn available(locked: &mut Locked<'_>, settings: &Settings, address: Address) -> Result<(), Error> {
    if !occupied(locked, address)? {
        return Ok(());
    }
    let Some(found) = locked.files().read(address)? else {
        // The view was wrong; with a right one the address is free.
        locked.rescan()?;
        return Ok(());
    };
    if let Some(holder) = &found.holder
        && settings.reclaim
        && found.age == Age::EarlierBoot
    {
        locked.release(address, holder)?;
        return Ok(());
    }
    let holder = found.holder.map_or_else(
        || String::from("a file that no plugin wrote"),
        |holder| holder.to_string(),
    );
    Err(Error::Taken {
        address,
        holder,
        network: settings.network.clone(),
    })
}

fn occupied(locked: &mut Locked<'_>, address: Address) -> Result<bool, StoreError> {
    let id = ChunkId::of(address);
    let chunk = locked.chunk(id)?;
    Ok(chunk.is_some_and(|chunk| chunk.first_free(id, address, address).is_none()))
}

/// The next free address of a set, if need be after leftovers of an earlier boot are reclaimed.
fn free(
    locked: &mut Locked<'_>,
    settings: &Settings,
    set: &RangeSet,
    after: Option<Address>,
) -> Result<Option<Address>, StoreError> {
    let found = next(locked, settings, set, after)?;
    if found.is_some() || !settings.reclaim || locked.reclaim(set)? == 0 {
        return Ok(found);
    }
    next(locked, settings, set, after)
}

/// The next free address of a set, searched for behind the one that it gave out last.
pub fn next(
    locked: &mut Locked<'_>,
    settings: &Settings,
    set: &RangeSet,
    after: Option<Address>,
) -> Result<Option<Address>, StoreError> {
    pick::next(set, &settings.gateways, after, |id| locked.chunk(id))
}
