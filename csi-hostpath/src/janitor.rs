//! Frees the space of what was deleted, one object after the other, while nobody waits.

use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use crate::pool::Pools;

/// Stack of the thread, in bytes: trees are removed without recursion.
const STACK: usize = 128 << 10;

/// Frees space in the background. What it does not get to is freed after the next start.
pub struct Janitor {
    work: Mutex<Option<Sender<Discarded>>>,
    pools: Arc<Pools>,
}

/// An object in the trash of a pool.
struct Discarded {
    pool: String,
    id: String,
}

impl Janitor {
    /// A janitor without work. Its thread starts with the first.
    pub fn new(pools: &Arc<Pools>) -> Self {
        Self {
            work: Mutex::new(None),
            pools: Arc::clone(pools),
        }
    }

    /// Frees the space of a discarded object, soon.
    pub fn purge(&self, pool: &str, id: &str) {
        let mut work = self.work.lock().unwrap_or_else(PoisonError::into_inner);
        if work.is_none() {
            *work = start(Arc::clone(&self.pools));
        }
        if let Some(sender) = work.as_ref() {
            let _ = sender.send(Discarded {
                pool: pool.to_owned(),
                id: id.to_owned(),
            });
        }
    }
}

/// A thread that cannot be started now is tried again with the next work.
fn start(pools: Arc<Pools>) -> Option<Sender<Discarded>> {
    let (sender, receiver) = mpsc::channel();
    let thread = thread::Builder::new()
        .name("janitor".to_owned())
        .stack_size(STACK);
    thread
        .spawn(move || purge_all(&pools, &receiver))
        .ok()
        .map(|_| sender)
}

fn purge_all(pools: &Pools, work: &Receiver<Discarded>) {
    for Discarded { pool, id } in work {
        if let Err(error) = pools.get(&pool).and_then(|pool| pool.purge(&id)) {
            tracing::warn!(pool, id, %error, "space not freed, it will be after the next start");
        }
    }
}
