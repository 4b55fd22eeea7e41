//! One call at a time on one object. Nobody waits: whoever finds an object held is told so (`ABORTED`) and comes again.
//! To be written.

use crate::error::Error;

/// Who holds what. Cheap to clone.
#[derive(Clone, Default)]
pub struct Locks {}

/// A hold on an object, given up when dropped.
#[must_use]
pub struct Held {}

#[allow(unused_variables)]
impl Locks {
    /// Holds `object` (such as "volume vol-1") alone.
    pub fn hold(&self, object: &str) -> Result<Held, Error> {
        Ok(Held {})
    }

    /// Holds `object` together with others that share it; nobody can hold it alone meanwhile.
    pub fn share(&self, object: &str) -> Result<Held, Error> {
        Ok(Held {})
    }
}
