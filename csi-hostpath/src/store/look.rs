//! How objects lie in the store's tables: what is read. Each function sees one state, whatever is written meanwhile.

use std::ops::Bound;

use prost::Message;
use redb::{Error, ReadTransaction, ReadableTable, TableError};

use super::tables::{IDENTITIES, OF_SOURCE, Object, POOLS, UNSETTLED, record};
use super::{Most, Part, Promised, Unsettled};
use crate::record::Snapshot;

/// The object of that id.
pub(super) fn get<T: Object>(txn: &ReadTransaction, id: &str) -> Result<Option<T>, Error> {
    let row = txn.open_table(T::ROWS)?.get(id)?;
    row.map(|row| record(id, row.value())).transpose()
}

/// The object of that name.
pub(super) fn named<T: Object>(txn: &ReadTransaction, name: &str) -> Result<Option<T>, Error> {
    let id = txn.open_table(T::NAMES)?.get(name)?;
    id.map(|id| listed(txn, id.value())).transpose()
}

/// The object of an id that another table tells.
fn listed<T: Object>(txn: &ReadTransaction, id: &str) -> Result<T, Error> {
    get(txn, id)?.ok_or_else(|| Error::Corrupted(format!("{id} is listed and has no record")))
}

/// Up to `most` objects whose ids are greater than `after`, each as `tell` has it.
pub(super) fn list<T: Object, U: Message>(
    txn: &ReadTransaction,
    after: Option<&str>,
    most: Most,
    tell: impl Fn(T) -> U,
) -> Result<Part<U>, Error> {
    let start = after.map_or(Bound::Unbounded, Bound::Excluded);
    let rows = txn.open_table(T::ROWS)?;
    let found = rows.range::<&str>((start, Bound::Unbounded))?.map(|row| {
        let (id, row) = row?;
        record(id.value(), row.value()).map(&tell)
    });
    part(found, most)
}

/// Up to `most` snapshots of the volume `source` whose ids are greater than `after`.
pub(super) fn list_of_source(
    txn: &ReadTransaction,
    source: &str,
    after: Option<&str>,
    most: Most,
) -> Result<Part<Snapshot>, Error> {
    // No id is empty.
    let start = Bound::Excluded((source, after.unwrap_or_default()));
    let listing = txn.open_table(OF_SOURCE)?;
    let found = listing
        .range::<(&str, &str)>((start, Bound::Unbounded))?
        .take_while(|row| {
            row.as_ref()
                .map_or(true, |(key, _)| key.value().0 == source)
        })
        .map(|row| listed(txn, row?.0.value().1));
    part(found, most)
}

fn part<T: Message>(
    found: impl Iterator<Item = Result<T, Error>>,
    most: Most,
) -> Result<Part<T>, Error> {
    let mut items = Vec::new();
    let mut bytes = 0_usize;
    for item in found {
        let item = item?;
        if most.bytes < usize::MAX {
            bytes += sent(&item);
        }
        if items.len() == most.entries || (bytes > most.bytes && !items.is_empty()) {
            return Ok(Part { items, more: true });
        }
        items.push(item);
    }
    Ok(Part { items, more: false })
}

/// The bytes of an entry in a message: its own, and those that say where it begins and how long it is.
fn sent(entry: &impl Message) -> usize {
    let own = entry.encoded_len();
    1 + prost::length_delimiter_len(own) + own
}

/// The sums of `pool`.
pub(super) fn promised(txn: &ReadTransaction, pool: &str) -> Result<Promised, Error> {
    let sums = txn.open_table(POOLS)?.get(pool)?;
    let [bytes, volumes, snapshots] = sums
        .map_or([0; 3], |sums| sums.value())
        .map(|sum| u64::try_from(sum).unwrap_or(u64::MAX));
    Ok(Promised {
        bytes,
        volumes,
        snapshots,
    })
}

/// The id in the marker of `pool`.
pub(super) fn identity(txn: &ReadTransaction, pool: &str) -> Result<Option<String>, Error> {
    match txn.open_table(IDENTITIES) {
        Ok(table) => Ok(table.get(pool)?.map(|id| id.value().to_owned())),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// The volumes that are not settled.
pub(super) fn unsettled(txn: &ReadTransaction) -> Result<Vec<Unsettled>, Error> {
    let table = match txn.open_table(UNSETTLED) {
        Ok(table) => table,
        Err(TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let rows = table.iter()?.map(|row| {
        let (volume, since) = row?;
        Ok(Unsettled {
            volume: volume.value().to_owned(),
            since: since.value(),
        })
    });
    rows.collect()
}
