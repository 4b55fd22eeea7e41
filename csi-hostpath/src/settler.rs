//! Sees to it that what volumes are recorded as is on disk, where that can wait (`Pool::settles_later`).

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crate::driver::Driver;
use crate::error::Error;
use crate::pool::Pools;
use crate::record::Volume;
use crate::store::{Change, Store, Unsettled};

/// How long volumes gather, which one commit of their pool's filesystem then settles.
const GATHER: Duration = Duration::from_secs(1);
/// How long after a failure it is tried again.
const AGAIN: Duration = Duration::from_secs(60);
/// Stack of the thread, in bytes.
const STACK: usize = 256 << 10;

/// Settles volumes in the background. Those that a process does not get to are recorded, and the next one begins with them.
pub struct Settler {
    shared: Arc<Shared>,
}

struct Shared {
    waiting: Mutex<Waiting>,
    store: Store,
    pools: Arc<Pools>,
}

#[derive(Default)]
struct Waiting {
    /// They stay until they are recorded as settled.
    volumes: BTreeSet<Unsettled>,
    /// Whether the thread is there, as it is while somebody waits.
    attended: bool,
}

impl Settler {
    /// Nobody waits yet.
    pub fn new(store: &Store, pools: &Arc<Pools>) -> Self {
        Self {
            shared: Arc::new(Shared {
                waiting: Mutex::default(),
                store: store.clone(),
                pools: Arc::clone(pools),
            }),
        }
    }

    /// Settles a volume that is recorded as unsettled, before long.
    pub fn settle(&self, volume: Unsettled) {
        let mut waiting = self.shared.waiting();
        waiting.volumes.insert(volume);
        if !waiting.attended {
            let shared = Arc::clone(&self.shared);
            let thread = thread::Builder::new()
                .name("settler".to_owned())
                .stack_size(STACK);
            // One that cannot be started now is tried again with the next volume.
            waiting.attended = thread.spawn(move || shared.attend()).is_ok();
        }
    }

    /// Whether a volume is still to be settled.
    pub fn has_to_settle(&self, volume: &str) -> bool {
        let waiting = self.shared.waiting();
        let mut volumes = waiting.volumes.iter();
        volumes.any(|unsettled| unsettled.volume == volume)
    }
}

impl Driver {
    /// Records a volume, durably. What of it is on disk `later` is recorded as unsettled and settled before long.
    pub(crate) fn put_volume(&self, volume: Volume, later: bool) -> Result<(), Error> {
        let unsettled = later.then(|| Unsettled::now(&volume.id));
        let mut changes = vec![Change::PutVolume(volume)];
        changes.extend(unsettled.clone().map(Change::Unsettle));
        self.store.commit(changes)?;
        if let Some(unsettled) = unsettled {
            self.settler.settle(unsettled);
        }
        Ok(())
    }
}

impl Shared {
    /// Settles volumes until nobody waits.
    fn attend(&self) {
        let mut pause = GATHER;
        loop {
            thread::sleep(pause);
            let volumes = self.waiting().volumes.clone();
            let settled = self.settle(&volumes);
            pause = if settled == volumes { GATHER } else { AGAIN };
            let mut waiting = self.waiting();
            waiting.volumes.retain(|volume| !settled.contains(volume));
            if waiting.volumes.is_empty() {
                waiting.attended = false;
                return;
            }
        }
    }

    /// Settles what can be, and returns it.
    fn settle(&self, volumes: &BTreeSet<Unsettled>) -> BTreeSet<Unsettled> {
        let mut settled = BTreeSet::new();
        let mut committed = BTreeSet::new();
        for unsettled in volumes {
            match self.put_on_disk(&unsettled.volume, &mut committed) {
                Ok(()) => drop(settled.insert(unsettled.clone())),
                Err(error) => {
                    let id = &unsettled.volume;
                    tracing::warn!(id, %error, "perhaps not on disk yet, it is tried again");
                }
            }
        }
        if settled.is_empty() {
            return settled;
        }
        let changes = settled.iter().cloned().map(Change::Settle).collect();
        match self.store.commit(changes) {
            Ok(()) => tracing::debug!(volumes = settled.len(), "settled"),
            Err(error) => {
                tracing::warn!(%error, "volumes not recorded as settled, it is tried again");
                settled.clear();
            }
        }
        settled
    }

    /// Commits the filesystem of a volume's pool, unless that is among the `committed`. A volume that is gone needs none.
    fn put_on_disk(&self, volume: &str, committed: &mut BTreeSet<String>) -> Result<(), Error> {
        let Some(volume) = self.store.volume(volume)? else {
            return Ok(());
        };
        if !committed.contains(&volume.pool) {
            self.pools.get(&volume.pool)?.commit()?;
            committed.insert(volume.pool);
        }
        Ok(())
    }

    /// Who waits. No code that could panic runs while it is locked, so a poisoned one is as good as any.
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
