//! The first thing after a start: what a crash left is finished or taken back. It looks only where a crash can leave
//! something (`making`, `trash`, our loop devices), so it costs the same with many volumes.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::Arc;

use kernel::storage::{freeze, loopdev};

use crate::driver::Driver;
use crate::error::Error;
use crate::id::{SnapshotId, VolumeId};
use crate::pool::{Pool, Shelf};
use crate::record::{Progress, Snapshot, Volume};
use crate::store::Change;

/// What becomes of something found in `making`.
enum Fate {
    /// It is whole and recorded.
    Shelve(Shelf),
    /// Its bytes are to be copied anew.
    Copy(Box<Snapshot>),
    /// Nobody was told of it.
    Abandon,
}

/// Finishes or takes back what a crash left. Calls are answered after this.
pub fn recover(driver: &Arc<Driver>) -> Result<(), Error> {
    let mut copies = BTreeMap::<String, Vec<Snapshot>>::new();
    for pool in driver.pools.all() {
        finish_deletions(driver, pool)?;
        for id in pool.unfinished()? {
            match fate(driver, &id)? {
                Fate::Shelve(shelf) => {
                    pool.shelve(shelf, &id)?;
                }
                Fate::Copy(snapshot) => {
                    let together = snapshot
                        .group
                        .clone()
                        .unwrap_or_else(|| snapshot.id.clone());
                    copies.entry(together).or_default().push(*snapshot);
                }
                Fate::Abandon => pool.abandon(&id)?,
            }
        }
    }
    renew(driver)?;
    let mut kept = BTreeSet::new();
    for snapshots in copies.into_values() {
        let sources: Vec<_> = snapshots
            .iter()
            .map(|snapshot| snapshot.source.clone())
            .collect();
        if driver.resume(snapshots)? {
            kept.extend(sources);
        }
    }
    // A controller attaches nothing. Its pod has no /dev of the node, and devices of others are seen in /sys all the same.
    if driver.settings.remote {
        return Ok(());
    }
    release_devices(driver, &kept)
}

fn fate(driver: &Driver, id: &str) -> Result<Fate, Error> {
    if VolumeId::parse(id).is_some() && driver.store.volume(id)?.is_some() {
        return Ok(Fate::Shelve(Shelf::Volumes));
    }
    let snapshot = if SnapshotId::parse(id).is_some() {
        driver.store.snapshot(id)?
    } else {
        None
    };
    Ok(match snapshot {
        None => Fate::Abandon,
        Some(snapshot) => match snapshot.progress() {
            Progress::Ready => Fate::Shelve(Shelf::Snapshots),
            Progress::Copying => Fate::Copy(Box::new(snapshot)),
            Progress::Failed => Fate::Abandon,
        },
    })
}

/// Whatever lies in the trash was to be deleted, whether or not its record is gone already.
fn finish_deletions(driver: &Driver, pool: &Pool) -> Result<(), Error> {
    for id in pool.discarded()? {
        if let Some(volume) = driver.store.volume(&id)? {
            pool.unlimit(&volume)?;
        }
        let mut changes = vec![Change::DropVolume(id.clone())];
        if let Some(snapshot) = driver.store.snapshot(&id)? {
            match drop_with_group(driver, &snapshot) {
                // A member's pool is not there: it stays until the start at which it is.
                Err(Error::Away(why)) => {
                    tracing::warn!(id, why, "a group of snapshots is deleted later");
                    continue;
                }
                dropped => changes = dropped?,
            }
        }
        driver.store.commit(changes)?;
        // The id of an inline volume may come again with the next call.
        let now = VolumeId::parse(&id).is_some_and(|id| id.is_inline());
        if !now || pool.purge(&id).is_err() {
            driver.janitor.purge(pool.name(), &id);
        }
    }
    Ok(())
}

/// Does again what a loss of power may have taken back of directories.
fn renew(driver: &Driver) -> Result<(), Error> {
    for unsettled in driver.store.unsettled()? {
        let id = unsettled.volume.as_str();
        let renewed = match driver.store.volume(id)? {
            Some(volume) => driver
                .pools
                .get(&volume.pool)
                .and_then(|pool| pool.renew(&volume)),
            None => Ok(false),
        };
        match renewed {
            Err(error) => {
                tracing::warn!(id, %error, "perhaps not as it is recorded, the next start tries again");
                continue;
            }
            Ok(true) => tracing::info!(id, "made anew: it was not yet on disk, and still empty"),
            Ok(false) => {}
        }
        driver.settler.settle(unsettled);
    }
    Ok(())
}

/// A group goes as a whole: its other members follow the first one into the trash.
fn drop_with_group(driver: &Driver, snapshot: &Snapshot) -> Result<Vec<Change>, Error> {
    let mut changes = vec![Change::DropSnapshot(snapshot.id.clone())];
    let Some(group) = &snapshot.group else {
        return Ok(changes);
    };
    let members = driver
        .store
        .group(group)?
        .map(|group| group.snapshots)
        .unwrap_or_default();
    for member in members.into_iter().filter(|member| *member != snapshot.id) {
        if let Some(member) = driver.store.snapshot(&member)? {
            driver
                .pools
                .get(&member.pool)?
                .discard(Shelf::Snapshots, &member.id)?;
            driver.janitor.purge(&member.pool, &member.id);
            changes.push(Change::DropSnapshot(member.id));
        }
    }
    changes.push(Change::DropGroup(group.clone()));
    Ok(changes)
}

/// Thaws filesystems that a crash left frozen, unless a copy is still being taken of them, and lets go of loop devices
/// that nothing uses. A frozen filesystem that is seen nowhere stays recorded as frozen until it is staged.
fn release_devices(driver: &Driver, kept: &BTreeSet<String>) -> Result<(), Error> {
    for (number, backing) in loopdev::attached()? {
        let Some(id) = VolumeId::parse(&backing.label) else {
            continue;
        };
        let Some(volume) = driver.store.volume(id.as_str())? else {
            continue;
        };
        if kept.contains(&volume.id) || !is_image_of(driver, &volume, &backing) {
            continue;
        }
        let observed = driver.observe(&volume)?;
        if let (true, Some(staged)) = (volume.frozen, &observed.staged) {
            if let Err(error) = thaw(driver, staged, volume) {
                tracing::error!(id = id.as_str(), %error, "a filesystem stays frozen, the next start tries again");
            }
        } else if !observed.in_use()
            && let Some(device) = loopdev::Device::open(number)?
        {
            device.detach()?;
        }
    }
    Ok(())
}

/// Another driver on this machine may use the same ids for other files.
fn is_image_of(driver: &Driver, volume: &Volume, backing: &loopdev::Backing) -> bool {
    let image = driver
        .pools
        .get(&volume.pool)
        .and_then(|pool| pool.image(volume));
    let stat = image.ok().and_then(|image| rustix::fs::fstat(image).ok());
    stat.is_some_and(|stat| stat.st_dev == backing.dev && stat.st_ino == backing.ino)
}

fn thaw(driver: &Driver, staged: impl AsFd, volume: Volume) -> Result<(), Error> {
    freeze::thaw(staged, Path::new(&volume.id))?;
    Ok(driver.store.commit(vec![Change::PutVolume(Volume {
        frozen: false,
        ..volume
    })])?)
}
