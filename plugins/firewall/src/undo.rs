//! What an ADD makes for one pod, and how it is taken back.

use crate::error::Error;
use crate::filter;
use crate::plan::Plan;
use kernel::{Step, Undo};

/// The record of one ADD.
pub type Record = Undo<Made>;

/// What is made for one pod: its elements. All else is shared, and stays.
pub struct Made(pub Plan);

impl Step for Made {
    type Error = Error;

    fn revert(&mut self) -> Result<(), Error> {
        filter::leave(&self.0)
    }
}
