//! How objects lie in the store's tables: what is changed.
//!
//! Each kind of object has a table from ids to records and one from names to ids; an empty name is none. Kept beside
//! them, in the same transaction, are the snapshots of each source and the sums of each pool.

use std::fmt::Display;

use prost::Message;
use redb::{Error, ReadableTable, TableDefinition, WriteTransaction};

use super::{Change, Unsettled};
use crate::record::{Group, Snapshot, Volume};

/// From (source, snapshot).
pub(super) const OF_SOURCE: TableDefinition<(&str, &str), ()> =
    TableDefinition::new("snapshots of sources");
/// From pools to their sums.
pub(super) const POOLS: TableDefinition<&str, Sums> = TableDefinition::new("pools");

/// From pools to the ids in their markers. Stores of older drivers have no such table.
pub(super) const IDENTITIES: TableDefinition<&str, &str> =
    TableDefinition::new("identities of pools");

/// From volumes to since when they are not settled. Stores of older drivers have no such table.
pub(super) const UNSETTLED: TableDefinition<&str, i64> = TableDefinition::new("unsettled volumes");

/// Promised bytes, volumes and snapshots. So wide that no sizes overflow them, and what was added can be taken off again.
pub(super) type Sums = [u128; 3];

/// From ids to records.
pub(super) type Rows = TableDefinition<'static, &'static str, &'static [u8]>;
/// From names to ids.
pub(super) type Names = TableDefinition<'static, &'static str, &'static str>;

/// An object as the tables see it.
pub(super) trait Object: Message + Default {
    /// The table of records.
    const ROWS: Rows;
    /// The table of names.
    const NAMES: Names;
    fn id(&self) -> &str;
    fn name(&self) -> &str;
    /// Whether this driver knows what all of it means.
    fn is_understood(&self) -> bool {
        true
    }
    /// The volume under which it is listed.
    fn source(&self) -> Option<&str> {
        None
    }
    /// Its pool, and what it adds to the pool's sums.
    fn share(&self) -> Option<(&str, Sums)> {
        None
    }
}

impl Object for Volume {
    const ROWS: Rows = TableDefinition::new("volumes");
    const NAMES: Names = TableDefinition::new("names of volumes");
    fn id(&self) -> &str {
        &self.id
    }
    fn name(&self) -> &str {
        &self.name
    }
    fn is_understood(&self) -> bool {
        self.is_understood()
    }
    fn share(&self) -> Option<(&str, Sums)> {
        Some((&self.pool, [self.size.into(), 1, 0]))
    }
}

impl Object for Snapshot {
    const ROWS: Rows = TableDefinition::new("snapshots");
    const NAMES: Names = TableDefinition::new("names of snapshots");
    fn id(&self) -> &str {
        &self.id
    }
    fn name(&self) -> &str {
        &self.name
    }
    fn is_understood(&self) -> bool {
        self.is_understood()
    }
    fn source(&self) -> Option<&str> {
        Some(&self.source)
    }
    fn share(&self) -> Option<(&str, Sums)> {
        Some((&self.pool, [0, 0, 1]))
    }
}

impl Object for Group {
    const ROWS: Rows = TableDefinition::new("groups");
    const NAMES: Names = TableDefinition::new("names of groups");
    fn id(&self) -> &str {
        &self.id
    }
    fn name(&self) -> &str {
        &self.name
    }
}

/// The name belongs to another object.
pub(super) struct NameTaken {
    pub(super) name: String,
    pub(super) owner: String,
}

/// Makes every table, so that whoever reads finds them.
pub(super) fn make(txn: &WriteTransaction) -> Result<(), Error> {
    make_of::<Volume>(txn)?;
    make_of::<Snapshot>(txn)?;
    make_of::<Group>(txn)?;
    txn.open_table(OF_SOURCE)?;
    txn.open_table(POOLS)?;
    txn.open_table(IDENTITIES)?;
    txn.open_table(UNSETTLED)?;
    Ok(())
}

fn make_of<T: Object>(txn: &WriteTransaction) -> Result<(), Error> {
    txn.open_table(T::ROWS)?;
    txn.open_table(T::NAMES)?;
    Ok(())
}

/// Makes one change, and tells the opposite that takes it back; a drop of what is not there has none. A change whose name
/// is taken is not made.
pub(super) fn apply(
    txn: &WriteTransaction,
    change: &Change,
) -> Result<Result<Option<Change>, NameTaken>, Error> {
    match change {
        Change::PutVolume(new) => put(txn, new, Change::PutVolume, Change::DropVolume),
        Change::PutSnapshot(new) => put(txn, new, Change::PutSnapshot, Change::DropSnapshot),
        Change::PutGroup(new) => put(txn, new, Change::PutGroup, Change::DropGroup),
        Change::DropVolume(id) => drop(txn, id, Change::PutVolume),
        Change::DropSnapshot(id) => drop(txn, id, Change::PutSnapshot),
        Change::DropGroup(id) => drop(txn, id, Change::PutGroup),
        Change::Unsettle(volume) => unsettle(txn, volume),
        Change::Settle(volume) => settle(txn, volume),
    }
}

fn unsettle(
    txn: &WriteTransaction,
    volume: &Unsettled,
) -> Result<Result<Option<Change>, NameTaken>, Error> {
    let mut unsettled = txn.open_table(UNSETTLED)?;
    let before = unsettled.insert(volume.volume.as_str(), volume.since)?;
    let opposite = match before.map(|since| since.value()) {
        None => Change::Settle(volume.clone()),
        Some(since) => Change::Unsettle(Unsettled {
            since,
            ..volume.clone()
        }),
    };
    Ok(Ok(Some(opposite)))
}

fn settle(
    txn: &WriteTransaction,
    volume: &Unsettled,
) -> Result<Result<Option<Change>, NameTaken>, Error> {
    let mut unsettled = txn.open_table(UNSETTLED)?;
    let since = unsettled
        .get(volume.volume.as_str())?
        .map(|since| since.value());
    if since != Some(volume.since) {
        return Ok(Ok(None));
    }
    unsettled.remove(volume.volume.as_str())?;
    Ok(Ok(Some(Change::Unsettle(volume.clone()))))
}

fn put<T: Object>(
    txn: &WriteTransaction,
    new: &T,
    put_back: fn(T) -> Change,
    drop_again: fn(String) -> Change,
) -> Result<Result<Option<Change>, NameTaken>, Error> {
    if let Some(taken) = taken(txn, new)? {
        return Ok(Err(taken));
    }
    let old: Option<T> = txn
        .open_table(T::ROWS)?
        .insert(new.id(), new.encode_to_vec().as_slice())?
        .map(|old| record(new.id(), old.value()))
        .transpose()?;
    follow(txn, old.as_ref(), Some(new))?;
    let opposite = old.map_or_else(|| drop_again(new.id().to_owned()), put_back);
    Ok(Ok(Some(opposite)))
}

fn drop<T: Object>(
    txn: &WriteTransaction,
    id: &str,
    put_back: fn(T) -> Change,
) -> Result<Result<Option<Change>, NameTaken>, Error> {
    let old: Option<T> = txn
        .open_table(T::ROWS)?
        .remove(id)?
        .map(|old| record(id, old.value()))
        .transpose()?;
    follow::<T>(txn, old.as_ref(), None)?;
    Ok(Ok(old.map(put_back)))
}

/// The record of `id` as it was written.
pub(super) fn record<T: Object>(id: &str, row: &[u8]) -> Result<T, Error> {
    let wrong = |why: &dyn Display| Error::Corrupted(format!("the record of {id}: {why}"));
    let object = T::decode(row).map_err(|error| wrong(&error))?;
    if object.is_understood() {
        Ok(object)
    } else {
        Err(wrong(&"it has a number that stands for nothing"))
    }
}

/// Whether another object has the name.
fn taken<T: Object>(txn: &WriteTransaction, new: &T) -> Result<Option<NameTaken>, Error> {
    let names = txn.open_table(T::NAMES)?;
    let owner = names.get(new.name())?;
    Ok(owner
        .filter(|owner| owner.value() != new.id())
        .map(|owner| NameTaken {
            name: new.name().to_owned(),
            owner: owner.value().to_owned(),
        }))
}

/// An object came, changed or went: what is kept beside the records follows.
fn follow<T: Object>(
    txn: &WriteTransaction,
    old: Option<&T>,
    new: Option<&T>,
) -> Result<(), Error> {
    rename(txn, old, new)?;
    relist(txn, old, new)?;
    recount(txn, old.and_then(T::share), new.and_then(T::share))
}

fn rename<T: Object>(
    txn: &WriteTransaction,
    old: Option<&T>,
    new: Option<&T>,
) -> Result<(), Error> {
    if old.map(T::name) == new.map(T::name) {
        return Ok(());
    }
    let mut names = txn.open_table(T::NAMES)?;
    if let Some(old) = old.filter(|old| !old.name().is_empty()) {
        names.remove(old.name())?;
    }
    if let Some(new) = new.filter(|new| !new.name().is_empty()) {
        names.insert(new.name(), new.id())?;
    }
    Ok(())
}

fn relist<T: Object>(
    txn: &WriteTransaction,
    old: Option<&T>,
    new: Option<&T>,
) -> Result<(), Error> {
    let key = |object: &'_ T| {
        object
            .source()
            .map(|source| (source.to_owned(), object.id().to_owned()))
    };
    let (before, after) = (old.and_then(key), new.and_then(key));
    if before == after {
        return Ok(());
    }
    let mut list = txn.open_table(OF_SOURCE)?;
    if let Some((source, id)) = &before {
        list.remove((source.as_str(), id.as_str()))?;
    }
    if let Some((source, id)) = &after {
        list.insert((source.as_str(), id.as_str()), ())?;
    }
    Ok(())
}

fn recount(
    txn: &WriteTransaction,
    before: Option<(&str, Sums)>,
    after: Option<(&str, Sums)>,
) -> Result<(), Error> {
    if before == after {
        return Ok(());
    }
    if let Some((pool, less)) = before {
        sum(txn, pool, less, u128::checked_sub)?;
    }
    if let Some((pool, more)) = after {
        sum(txn, pool, more, u128::checked_add)?;
    }
    Ok(())
}

fn sum(
    txn: &WriteTransaction,
    pool: &str,
    change: Sums,
    step: fn(u128, u128) -> Option<u128>,
) -> Result<(), Error> {
    let mut pools = txn.open_table(POOLS)?;
    let mut sums = pools.get(pool)?.map_or([0; 3], |sums| sums.value());
    for (sum, change) in sums.iter_mut().zip(change) {
        *sum = step(*sum, change)
            .ok_or_else(|| Error::Corrupted(format!("the sums of pool {pool} do not add up")))?;
    }
    // A pool without objects leaves nothing behind.
    if sums == [0; 3] {
        pools.remove(pool)?;
    } else {
        pools.insert(pool, sums)?;
    }
    Ok(())
}
