//! Copies in the background, of volumes that are held still. They survive a crash: a frozen filesystem stays frozen when
//! the driver dies, and nobody publishes a volume while no driver runs, so the next start copies anew.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tonic::Code;

use super::cut::Cut;
use crate::driver::Driver;
use crate::error::Error;
use crate::locks::Held;
use crate::pool::Shelf;
use crate::record::{Progress, Snapshot, Volume};
use crate::store::Change;

/// The threads that copy.
#[derive(Default)]
pub struct Copies {
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl Copies {
    pub(super) fn add(&self, thread: JoinHandle<()>) {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        threads.retain(|thread| !thread.is_finished());
        threads.push(thread);
    }

    /// Waits until all have let their volumes go, which is soon once the driver is stopping: a filesystem that is frozen
    /// would stay so until the next start.
    pub fn end(&self) {
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        for thread in threads.drain(..) {
            let _ = thread.join();
        }
    }
}

/// Snapshots whose bytes are being copied.
pub(super) struct Copying {
    pub snapshots: Vec<Snapshot>,
    pub volumes: Vec<Volume>,
    pub cut: Cut,
    pub held: Vec<Held>,
}

impl Copying {
    /// Copies everything, and records how it went.
    pub fn run(mut self, driver: &Driver) {
        let copied = self.copy(driver);
        if copied.is_err() && !driver.goes_on() && !self.cut.is_frozen() {
            // Stopped, and nobody can write to the volumes meanwhile: the next start goes on.
            return;
        }
        let Self {
            mut snapshots,
            cut,
            held,
            ..
        } = self;
        let ended = copied.and_then(|()| cut.end());
        if let Err(error) = &ended {
            snapshots = snapshots
                .into_iter()
                .map(|snapshot| failed(snapshot, error))
                .collect();
        } else {
            snapshots
                .iter_mut()
                .for_each(|snapshot| snapshot.set_progress(Progress::Ready));
        }
        if let Err(error) = record(driver, &snapshots, ended.is_ok()) {
            tracing::error!(%error, "a copied snapshot could not be recorded, it is copied again after the next start");
        }
        drop(held);
    }

    fn copy(&mut self, driver: &Driver) -> Result<(), Error> {
        for (snapshot, volume) in self.snapshots.iter().zip(&self.volumes) {
            if snapshot.progress() == Progress::Ready {
                continue;
            }
            let pool = driver.pools.get(&snapshot.pool)?;
            let making = pool.make(&snapshot.id)?;
            let copied = making
                .clear()
                .and_then(|()| driver.cut_slowly(volume, &making))
                .and_then(|()| making.settle());
            if copied.is_err() {
                // Before the volume may be written again: a pool that is full has room for that only then.
                let _ = making.clear();
            }
            // Whole or not, the record says what becomes of the folder.
            making.keep();
            copied?;
        }
        Ok(())
    }
}

fn record(driver: &Driver, snapshots: &[Snapshot], whole: bool) -> Result<(), Error> {
    driver
        .store
        .commit(snapshots.iter().cloned().map(Change::PutSnapshot).collect())?;
    for snapshot in snapshots {
        let pool = driver.pools.get(&snapshot.pool)?;
        if whole {
            pool.shelve(Shelf::Snapshots, &snapshot.id)?;
        } else {
            pool.abandon(&snapshot.id)?;
        }
    }
    Ok(())
}

impl Driver {
    /// Copies snapshots anew that a crash interrupted: one, or the members of one group. Tells whether their volumes are
    /// held still meanwhile; otherwise they have failed.
    pub(crate) fn resume(self: &Arc<Self>, snapshots: Vec<Snapshot>) -> Result<bool, Error> {
        let resumed = self.hold_sources(&snapshots);
        match resumed {
            Ok((volumes, held, cut)) => {
                drop(self.spawn(Copying {
                    snapshots,
                    volumes,
                    cut,
                    held,
                }));
                Ok(true)
            }
            Err(error) => {
                let failed: Vec<_> = snapshots
                    .into_iter()
                    .map(|snapshot| failed(snapshot, &error))
                    .collect();
                record(self, &failed, false)?;
                Ok(false)
            }
        }
    }

    fn hold_sources(&self, snapshots: &[Snapshot]) -> Result<(Vec<Volume>, Vec<Held>, Cut), Error> {
        let mut volumes = Vec::new();
        let mut held = Vec::new();
        for snapshot in snapshots {
            held.push(self.hold_volume(&snapshot.source)?);
            let missing = || Error::Missing {
                what: "volume",
                id: snapshot.source.clone(),
            };
            volumes.push(self.store.volume(&snapshot.source)?.ok_or_else(missing)?);
        }
        let cut = self.begin_cut(&volumes)?;
        cut.may_copy()?;
        Ok((volumes, held, cut))
    }
}

fn failed(snapshot: Snapshot, error: &Error) -> Snapshot {
    Snapshot {
        progress: Progress::Failed.into(),
        failure: error.to_string(),
        full: error.code() == Code::ResourceExhausted,
        ..snapshot
    }
}

/// What callers are told of a snapshot that failed (CS-01, CS-02).
pub(super) fn failure(snapshot: &Snapshot) -> Error {
    let told = format!("snapshot {} failed: {}", snapshot.id, snapshot.failure);
    if snapshot.full {
        Error::Full(told)
    } else {
        Error::Internal(told)
    }
}
