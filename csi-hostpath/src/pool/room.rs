//! How much more a pool can hold.

use std::sync::{Mutex, PoisonError};

use kernel::storage::filesystem;

use super::Pool;
use crate::error::Error;
use crate::quantity::Bytes;
use crate::store::Promised;

/// What limits a pool beyond its filesystem, and what calls in flight have been granted.
pub(super) struct Ledger {
    limit: Option<u64>,
    granted: Mutex<u64>,
}

/// Room in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// For new volumes.
    pub available: u64,
    /// The whole pool.
    pub total: u64,
}

/// Room that was granted to a call in flight, until its volume is recorded.
pub struct Reservation<'pool> {
    ledger: &'pool Ledger,
    bytes: u64,
}

impl Ledger {
    pub(super) const fn new(limit: Option<u64>) -> Self {
        Self {
            limit,
            granted: Mutex::new(0),
        }
    }

    fn room(&self, space: filesystem::Space, promised: Promised, granted: u64) -> Room {
        let disk = space.available.saturating_sub(granted);
        let Some(limit) = self.limit else {
            return Room {
                available: disk,
                total: space.total,
            };
        };
        let left = limit.saturating_sub(promised.bytes).saturating_sub(granted);
        Room {
            available: disk.min(left),
            total: space.total.min(limit),
        }
    }
}

impl Pool {
    /// What its filesystem has.
    pub fn space(&self) -> Result<filesystem::Space, Error> {
        Ok(filesystem::of(&self.root, &self.path)?.space)
    }

    /// The room for new volumes, where `promised` is what the pool's volumes have been promised.
    pub fn room(&self, promised: Promised) -> Result<Room, Error> {
        let granted = *self
            .room
            .granted
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        Ok(self.room.room(self.space()?, promised, granted))
    }

    /// Grants `bytes` of the disk to a copy, which counts towards no promise.
    pub fn reserve_copy(&self, bytes: u64) -> Result<Reservation<'_>, Error> {
        let space = self.space()?;
        let mut granted = self
            .room
            .granted
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let available = space.available.saturating_sub(*granted);
        self.grant(&mut granted, available, bytes)
    }

    /// Grants `bytes` to a call, so that calls side by side cannot be granted the same room.
    /// `promised` is asked while nobody else is granted anything.
    pub fn reserve(
        &self,
        promised: impl FnOnce() -> Result<Promised, Error>,
        bytes: u64,
    ) -> Result<Reservation<'_>, Error> {
        let space = self.space()?;
        let mut granted = self
            .room
            .granted
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let available = self.room.room(space, promised()?, *granted).available;
        self.grant(&mut granted, available, bytes)
    }

    fn grant(
        &self,
        granted: &mut u64,
        available: u64,
        bytes: u64,
    ) -> Result<Reservation<'_>, Error> {
        if bytes > available {
            return Err(Error::Full(format!(
                "pool {} has room for {}, {} are asked for",
                self.name,
                Bytes(available),
                Bytes(bytes)
            )));
        }
        *granted += bytes;
        Ok(Reservation {
            ledger: &self.room,
            bytes,
        })
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        let mut granted = self
            .ledger
            .granted
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *granted = granted.saturating_sub(self.bytes);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn space(available: u64) -> filesystem::Space {
        filesystem::Space {
            total: 1000,
            available,
            free: available,
            inodes: None,
        }
    }

    fn promised(bytes: u64) -> Promised {
        Promised {
            bytes,
            ..Promised::default()
        }
    }

    #[test]
    fn without_a_limit_the_disk_decides() {
        let ledger = Ledger::new(None);
        assert_eq!(
            ledger.room(space(600), promised(5000), 100),
            Room {
                available: 500,
                total: 1000
            }
        );
    }

    #[test]
    fn a_limit_counts_promises_and_never_adds_to_the_disk() {
        let ledger = Ledger::new(Some(800));
        assert_eq!(
            ledger.room(space(600), promised(500), 100),
            Room {
                available: 200,
                total: 800
            }
        );
        assert_eq!(
            ledger.room(space(50), promised(0), 0),
            Room {
                available: 50,
                total: 800
            }
        );
        assert_eq!(
            ledger.room(space(600), promised(900), 0),
            Room {
                available: 0,
                total: 800
            }
        );
    }
}
