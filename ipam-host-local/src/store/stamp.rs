//! The stamp that ties the index to the directory: a time of modification that only we can have set.
//!
//! The kernel sets a directory's time of modification to the present whenever a name in it is made or removed. (On a
//! current kernel to the nanosecond, on older ones to the last tick, at most 10 ms ago.) A stamp lies one second in the
//! past, so a directory that carries it was not changed by anybody since it was set, and two stamps are never the same
//! because the clock moved on between them. A filesystem that keeps only whole seconds stores something else than the
//! stamp; there the index is simply never valid.

use rustix::fs::{Stat, Timespec, Timestamps, UTIME_OMIT};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A point in time as the filesystem keeps it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stamp {
    seconds: i64,
    nanoseconds: u32,
}

impl Stamp {
    /// A stamp that nothing carries yet.
    pub(super) fn fresh() -> Self {
        let past = SystemTime::now() - Duration::from_secs(1);
        let since = past.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            seconds: i64::try_from(since.as_secs()).unwrap_or(0),
            nanoseconds: since.subsec_nanos(),
        }
    }

    /// The time of modification that was found.
    pub(super) fn of(stat: &Stat) -> Self {
        Self {
            seconds: stat.st_mtime,
            nanoseconds: u32::try_from(stat.st_mtime_nsec).unwrap_or(0),
        }
    }

    /// Seconds since 1970, and nanoseconds.
    pub(super) const fn parts(self) -> (i64, u32) {
        (self.seconds, self.nanoseconds)
    }

    pub(super) fn times(self) -> Timestamps {
        let omitted = Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        };
        Timestamps {
            last_access: omitted,
            last_modification: Timespec {
                tv_sec: self.seconds,
                tv_nsec: self.nanoseconds.into(),
            },
        }
    }

    pub(super) fn to_bytes(self) -> [u8; 16] {
        let seconds = u128::from(self.seconds.cast_unsigned());
        (seconds << 64 | u128::from(self.nanoseconds)).to_le_bytes()
    }
}
