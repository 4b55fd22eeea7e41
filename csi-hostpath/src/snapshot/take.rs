//! Taking snapshots: of one volume, or of several at one moment.

use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use super::copying::Copying;
use super::cut::Cut;
use crate::driver::{Driver, now};
use crate::error::Error;
use crate::id::{GroupId, SnapshotId, VolumeId};
use crate::locks::Held;
use crate::pool::{Making, Shelf, Writable};
use crate::record::{Group, Kind, Progress, Snapshot, Volume};
use crate::store::Change;

/// How long a caller waits for a copy before it is told to come again. Most copies are done by then.
const PATIENCE: Duration = Duration::from_secs(4);
/// Stack of a copying thread, in bytes.
const STACK: usize = 256 << 10;

/// A volume of which a snapshot is taken, held.
pub(super) struct Member {
    pub volume: Volume,
    pub held: Held,
}

/// What is taken.
#[derive(Clone, Copy)]
pub(super) enum As<'name> {
    /// A snapshot of its own, under this name.
    Snapshot(&'name str),
    /// The members of a group, under this name.
    Group(&'name str),
}

/// Snapshots on their way: records, and folders being filled.
struct Taken<'pool> {
    group: Option<Group>,
    snapshots: Vec<Snapshot>,
    makings: Vec<Making<'pool>>,
}

impl Driver {
    /// Holds a volume of which a snapshot is to be taken.
    pub(super) fn member(&self, id: &VolumeId) -> Result<Member, Error> {
        if id.is_inline() {
            return Err(Error::Invalid(format!(
                "volume {id} is an inline volume, which ends with its pod"
            )));
        }
        let held = self.hold_volume(id.as_str())?;
        Ok(Member {
            volume: self.volume(id)?,
            held,
        })
    }

    /// Takes snapshots of all members at one moment, or of none. Those that had to be copied may have failed by now.
    pub(super) fn take(
        self: &Arc<Self>,
        members: Vec<Member>,
        what: As<'_>,
    ) -> Result<(Option<Group>, Vec<Snapshot>), Error> {
        let (volumes, held): (Vec<_>, Vec<_>) = members
            .into_iter()
            .map(|member| (member.volume, member.held))
            .unzip();
        let mut taken = self.prepare(&volumes, what)?;
        let cut = self.begin_cut(&volumes)?;
        taken.at(now());
        for ((volume, making), snapshot) in
            volumes.iter().zip(&taken.makings).zip(&mut taken.snapshots)
        {
            if self.cut_now(volume, making, Writable::No)? {
                snapshot.set_progress(Progress::Ready);
            }
        }
        if taken.is_ready() {
            self.finish(taken, cut)
        } else {
            self.go_on_copying(taken, volumes, held, cut)
        }
    }

    fn prepare(&self, volumes: &[Volume], what: As<'_>) -> Result<Taken<'_>, Error> {
        let (name, mut group) = match what {
            As::Snapshot(name) => (name, None),
            As::Group(name) => {
                let id = GroupId::mint().map_err(random)?.to_string();
                (
                    "",
                    Some(Group {
                        id,
                        name: name.to_owned(),
                        ..Group::default()
                    }),
                )
            }
        };
        let mut taken = Taken {
            group: None,
            snapshots: Vec::new(),
            makings: Vec::new(),
        };
        for volume in volumes {
            let id = SnapshotId::mint().map_err(random)?.to_string();
            if let Some(group) = &mut group {
                group.sources.push(volume.id.clone());
                group.snapshots.push(id.clone());
            }
            taken.makings.push(self.pools.get(&volume.pool)?.make(&id)?);
            taken
                .snapshots
                .push(record(id, name, volume, group.as_ref()));
        }
        taken.group = group;
        Ok(taken)
    }

    /// Everything was taken at once.
    fn finish(&self, taken: Taken<'_>, cut: Cut) -> Result<(Option<Group>, Vec<Snapshot>), Error> {
        cut.end()?;
        for making in &taken.makings {
            making.settle()?;
        }
        self.store.commit(taken.changes())?;
        for making in taken.makings {
            making.finish(Shelf::Snapshots);
        }
        Ok((taken.group, taken.snapshots))
    }

    /// Some bytes have to be copied: recorded, and left to a thread that keeps the volumes still until it is done.
    fn go_on_copying(
        self: &Arc<Self>,
        taken: Taken<'_>,
        volumes: Vec<Volume>,
        held: Vec<Held>,
        cut: Cut,
    ) -> Result<(Option<Group>, Vec<Snapshot>), Error> {
        cut.may_copy()?;
        let _room = self.room_for_copies(&taken, &volumes)?;
        for making in &taken.makings {
            making.settle()?;
        }
        self.store.commit(taken.changes())?;
        let Taken {
            group,
            snapshots,
            makings,
        } = taken;
        makings.into_iter().for_each(Making::keep);
        let done = self.spawn(Copying {
            snapshots: snapshots.clone(),
            volumes,
            cut,
            held,
        });
        let _ = done.recv_timeout(PATIENCE);
        let now = snapshots
            .iter()
            .map(|snapshot| self.store.snapshot(&snapshot.id))
            .collect::<Result<Vec<_>, _>>()?;
        let now = now
            .into_iter()
            .zip(snapshots)
            .map(|(now, then)| now.unwrap_or(then))
            .collect();
        Ok((group, now))
    }

    /// Copies in a thread; the receiver hears when it is done.
    pub(super) fn spawn(self: &Arc<Self>, copying: Copying) -> mpsc::Receiver<()> {
        let (done, receiver) = mpsc::channel();
        let driver = Arc::clone(self);
        let thread = thread::Builder::new()
            .name("copy".to_owned())
            .stack_size(STACK);
        let started = thread.spawn(move || {
            copying.run(&driver);
            let _ = done.send(());
        });
        match started {
            Ok(thread) => self.copies.add(thread),
            Err(error) => {
                tracing::error!(%error, "no thread to copy a snapshot, it is copied after the next start");
            }
        }
        receiver
    }

    /// Copies take as much room as the bytes have that they copy.
    fn room_for_copies(
        &self,
        taken: &Taken<'_>,
        volumes: &[Volume],
    ) -> Result<Vec<crate::pool::Reservation<'_>>, Error> {
        let copies = taken
            .snapshots
            .iter()
            .zip(volumes)
            .filter(|(snapshot, _)| snapshot.progress() != Progress::Ready);
        copies
            .filter(|(_, volume)| volume.kind() == Kind::Image)
            .map(|(_, volume)| {
                let pool = self.pools.get(&volume.pool)?;
                let stat = rustix::fs::fstat(pool.image(volume)?).map_err(|errno| {
                    kernel::storage::Error::new(format!("measure volume {}", volume.id), errno)
                })?;
                let bytes = u64::try_from(stat.st_blocks)
                    .unwrap_or_default()
                    .saturating_mul(512);
                pool.reserve_copy(bytes)
            })
            .collect()
    }
}

impl Taken<'_> {
    fn at(&mut self, moment: i64) {
        self.snapshots
            .iter_mut()
            .for_each(|snapshot| snapshot.created = moment);
        if let Some(group) = &mut self.group {
            group.created = moment;
        }
    }

    fn is_ready(&self) -> bool {
        self.snapshots
            .iter()
            .all(|snapshot| snapshot.progress() == Progress::Ready)
    }

    fn changes(&self) -> Vec<Change> {
        let snapshots = self.snapshots.iter().cloned().map(Change::PutSnapshot);
        snapshots
            .chain(self.group.clone().map(Change::PutGroup))
            .collect()
    }
}

fn record(id: String, name: &str, volume: &Volume, group: Option<&Group>) -> Snapshot {
    Snapshot {
        id,
        name: name.to_owned(),
        source: volume.id.clone(),
        pool: volume.pool.clone(),
        kind: volume.kind,
        block: volume.block,
        filesystem: volume.filesystem,
        size: if volume.kind().is_directory() {
            volume.size
        } else {
            volume.backing
        },
        filled: volume.filled,
        created: 0,
        group: group.map(|group| group.id.clone()),
        progress: Progress::Copying.into(),
        failure: String::new(),
        full: false,
    }
}

fn random(errno: rustix::io::Errno) -> Error {
    kernel::storage::Error::new("draw a random id", errno).into()
}
