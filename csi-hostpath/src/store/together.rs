//! Calls that come while others are being worked on are worked on together, next. There is no thread of its own: the
//! first caller leads, and hands the lead to one of those who came meanwhile.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Gathers items of several callers; each gets its own outcome.
pub(super) struct Together<T, R> {
    queue: Mutex<Queue<T, R>>,
}

struct Queue<T, R> {
    /// Whether somebody leads, or was told to.
    led: bool,
    waiting: Vec<Waiting<T, R>>,
}

struct Waiting<T, R> {
    item: T,
    caller: SyncSender<Word<R>>,
}

/// What a caller who waits is told.
enum Word<R> {
    Lead,
    Done(R),
}

impl<T, R> Default for Together<T, R> {
    fn default() -> Self {
        let queue = Queue {
            led: false,
            waiting: Vec::new(),
        };
        Self {
            queue: Mutex::new(queue),
        }
    }
}

impl<T, R> Together<T, R> {
    /// Has `item` worked on, with those of others, and returns its outcome. `work` is done by one caller at a time, and
    /// returns an outcome for each item in their order. `None` when it did not, or panicked.
    pub(super) fn run(&self, item: T, work: impl FnOnce(Vec<T>) -> Vec<R>) -> Option<R> {
        let told = self.join(item);
        match told.recv().ok()? {
            Word::Done(outcome) => return Some(outcome),
            Word::Lead => self.lead(work),
        }
        match told.recv().ok()? {
            Word::Done(outcome) => Some(outcome),
            Word::Lead => None,
        }
    }

    /// Joins the queue. Whoever finds nobody leading is told to.
    fn join(&self, item: T) -> Receiver<Word<R>> {
        // Told to lead, then of the outcome: there is room for both, so that nobody ever waits to tell.
        let (caller, told) = sync_channel(2);
        let mut queue = self.queue();
        queue.waiting.push(Waiting { item, caller });
        if !queue.led {
            queue.pass_on();
        }
        told
    }

    /// Works on what has gathered, the leader's own item among it.
    fn lead(&self, work: impl FnOnce(Vec<T>) -> Vec<R>) {
        let _lead = Lead(self);
        let waiting = std::mem::take(&mut self.queue().waiting);
        let (items, callers): (Vec<_>, Vec<_>) = waiting
            .into_iter()
            .map(|waiting| (waiting.item, waiting.caller))
            .unzip();
        for (caller, outcome) in callers.into_iter().zip(work(items)) {
            // The caller is there: it waits for nothing else.
            let _ = caller.send(Word::Done(outcome));
        }
    }

    /// The queue. No code that could panic runs while it is locked, so a poisoned one is as good as any.
    fn queue(&self) -> MutexGuard<'_, Queue<T, R>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T, R> Queue<T, R> {
    /// Tells the first who waits to lead.
    fn pass_on(&mut self) {
        let first = self.waiting.first();
        self.led = first.is_some_and(|first| first.caller.send(Word::Lead).is_ok());
    }
}

/// The lead, passed on when dropped.
struct Lead<'a, T, R>(&'a Together<T, R>);

impl<T, R> Drop for Lead<'_, T, R> {
    fn drop(&mut self) {
        self.0.queue().pass_on();
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::thread;

    use super::*;

    const CALLERS: usize = 50;

    impl<T, R> Together<T, R> {
        /// Waits until so many wait.
        pub(in crate::store) fn until_waiting(&self, count: usize) {
            while self.queue().waiting.len() < count {
                thread::yield_now();
            }
        }
    }

    #[test]
    fn those_who_come_meanwhile_share_the_next_turn() {
        let together = Together::default();
        let turns = AtomicUsize::new(0);
        let double = |items: Vec<usize>| {
            // The first turn lasts until everybody else waits.
            if turns.fetch_add(1, Ordering::SeqCst) == 0 {
                together.until_waiting(CALLERS - items.len());
            }
            items.into_iter().map(|item| item * 2).collect()
        };
        thread::scope(|scope| {
            for item in 0..CALLERS {
                let (together, double) = (&together, &double);
                scope.spawn(move || assert_eq!(together.run(item, double), Some(item * 2)));
            }
        });
        assert_eq!(turns.load(Ordering::SeqCst), 2);
        assert_eq!(together.run(7, double), Some(14));
        assert_eq!(turns.load(Ordering::SeqCst), 3);
    }

    #[test]
    fn turns_do_not_overlap_and_nobody_is_forgotten() {
        let together = Together::default();
        let inside = AtomicUsize::new(0);
        let echo = |items: Vec<usize>| {
            assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
            inside.fetch_sub(1, Ordering::SeqCst);
            items
        };
        thread::scope(|scope| {
            for caller in 0..8 {
                let (together, echo) = (&together, &echo);
                scope.spawn(move || {
                    for item in (0..1000).map(|number| caller * 1000 + number) {
                        assert_eq!(together.run(item, echo), Some(item));
                    }
                });
            }
        });
        assert!(!together.queue().led);
    }

    #[test]
    fn a_leader_that_panics_takes_nobody_with_it() {
        let together = Together::<usize, usize>::default();
        thread::scope(|scope| {
            let leader = scope.spawn(|| {
                let panicking = |_| {
                    together.until_waiting(1);
                    panic!("on purpose");
                };
                catch_unwind(AssertUnwindSafe(|| together.run(1, panicking)))
            });
            let next = scope.spawn(|| {
                while !together.queue().led {
                    thread::yield_now();
                }
                together.run(2, |items| items)
            });
            assert!(leader.join().unwrap().is_err());
            assert_eq!(next.join().unwrap(), Some(2));
        });
        assert_eq!(together.run(3, |_| Vec::new()), None);
        assert_eq!(together.run(4, |items| items), Some(4));
    }
}
