//! What one attachment has in the packet filter: elements of static sets and maps, each with the attachment's label.
//!
//! A plugin makes its tables, chains and rules once for a node; a pod costs one element for each address or mapping. One
//! transaction joins, one leaves, and [`label`] says whose an element is.

mod chains;
mod elements;
pub mod label;

pub use chains::remove_chains;
pub use elements::{
    Member, Place, absent, await_gone, commit_new, join, join_with, leave, leave_known, leave_told,
    lost_rules, lost_some, open, or_none,
};
