//! One call at a time on one object. Nobody waits: whoever finds an object held is told so (`ABORTED`) and comes again.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::Error;

/// Who holds what. Cheap to clone. An object that nobody holds takes no room.
#[derive(Clone, Default)]
pub struct Locks {
    holds: Arc<Mutex<HashMap<String, Hold>>>,
}

/// How an object is held.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hold {
    Alone,
    /// By so many, at least one.
    Shared(usize),
}

/// A hold on an object, given up when dropped.
#[must_use = "the hold is given up at once"]
pub struct Held {
    locks: Locks,
    object: String,
}

impl Locks {
    /// Holds `object` (such as "volume vol-1") alone.
    pub fn hold(&self, object: &str) -> Result<Held, Error> {
        self.take(object, Hold::Alone)
    }

    /// Holds `object` together with others that share it; nobody can hold it alone meanwhile.
    pub fn share(&self, object: &str) -> Result<Held, Error> {
        self.take(object, Hold::Shared(1))
    }

    fn take(&self, object: &str, wanted: Hold) -> Result<Held, Error> {
        match self.holds().entry(object.to_owned()) {
            Entry::Vacant(free) => {
                free.insert(wanted);
            }
            Entry::Occupied(mut held) => match (held.get_mut(), wanted) {
                (Hold::Shared(others), Hold::Shared(_)) => *others += 1,
                _ => return Err(Error::Busy(object.to_owned())),
            },
        }
        Ok(Held {
            locks: self.clone(),
            object: object.to_owned(),
        })
    }

    /// The table. No code that could panic runs while it is locked, so a poisoned one is as good as any.
    fn holds(&self) -> MutexGuard<'_, HashMap<String, Hold>> {
        self.holds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut holds = self.locks.holds();
        match holds.get_mut(&self.object) {
            Some(Hold::Shared(holders)) if *holders > 1 => *holders -= 1,
            _ => {
                holds.remove(&self.object);
            }
        }
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Held({:?})", self.object)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use tonic::Code;

    use super::*;

    #[test]
    fn alone_means_alone() {
        let locks = Locks::default();
        let held = locks.hold("volume vol-1").unwrap();
        for again in [locks.hold("volume vol-1"), locks.share("volume vol-1")] {
            let refused = again.unwrap_err();
            assert_eq!(refused.code(), Code::Aborted);
            assert!(refused.to_string().starts_with("volume vol-1 is "));
        }
        let _other = locks.hold("volume vol-2").unwrap();
        drop(held);
        let _again = locks.clone().hold("volume vol-1").unwrap();
    }

    #[test]
    fn the_last_of_those_who_share_frees_the_object() {
        let locks = Locks::default();
        let first = locks.share("volume vol-1").unwrap();
        let second = locks.clone().share("volume vol-1").unwrap();
        drop(first);
        assert!(locks.hold("volume vol-1").is_err());
        drop(second);
        let _alone = locks.hold("volume vol-1").unwrap();
    }

    #[test]
    fn objects_seen_are_forgotten() {
        let locks = Locks::default();
        for number in 0..1000 {
            let object = format!("volume vol-{number}");
            let _first = locks.share(&object).unwrap();
            let _second = locks.share(&object).unwrap();
            assert!(locks.hold(&object).is_err());
            assert_eq!(locks.holds().len(), 1);
        }
        assert!(locks.holds().is_empty());
    }

    #[test]
    fn of_many_who_come_at_once_one_gets_it() {
        const THREADS: usize = 8;
        let locks = Locks::default();
        for _ in 0..200 {
            let (start, end) = (Barrier::new(THREADS), Barrier::new(THREADS));
            let winners = AtomicUsize::new(0);
            thread::scope(|scope| {
                for _ in 0..THREADS {
                    scope.spawn(|| {
                        start.wait();
                        let held = locks.hold("volume vol-1");
                        winners.fetch_add(usize::from(held.is_ok()), Ordering::Relaxed);
                        end.wait();
                    });
                }
            });
            assert_eq!(winners.into_inner(), 1);
        }
        assert!(locks.holds().is_empty());
    }

    #[test]
    fn nobody_holds_alone_what_others_share() {
        let locks = Locks::default();
        let (sharers, owners) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let inside =
            |counter: &AtomicUsize, held: Result<Held, Error>, other: &AtomicUsize, most| {
                let Ok(_held) = held else { return };
                let now = counter.fetch_add(1, Ordering::SeqCst) + 1;
                assert!(now <= most && other.load(Ordering::SeqCst) == 0);
                counter.fetch_sub(1, Ordering::SeqCst);
            };
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..2000 {
                        inside(&sharers, locks.share("volume vol-1"), &owners, 4);
                        inside(&owners, locks.hold("volume vol-1"), &sharers, 1);
                    }
                });
            }
        });
        assert!(locks.holds().is_empty());
    }
}
