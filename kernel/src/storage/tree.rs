//! Whole directory trees: copied, removed, given to a group.
//!
//! What is in a tree was put there by strangers, who may be at it still. Only names in open directories are looked up, no
//! link is followed and no mount entered. Depth has no limit: there is no recursion, no path longer than a name is given to
//! the kernel, and the number of open descriptors is the same at any depth.

mod copy;
mod group;
mod metadata;
mod place;
mod remove;
mod walk;

pub use copy::copy;
pub use group::chown_group;
pub use remove::remove;

#[cfg(test)]
#[path = "tests/tree.rs"]
mod tests;
