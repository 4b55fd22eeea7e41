//! Disks, files and mounts: what volumes are made of.
//!
//! Everything works on open files and directories instead of paths wherever the kernel allows, so that nobody who can
//! write beside us can swap what we look at for a link.

mod error;
#[cfg(test)]
mod scratch;
mod segments;
mod sys;

pub mod beneath;
pub mod btrfs;
pub mod clone;
pub mod extents;
pub mod filesystem;
pub mod freeze;
pub mod grow;
pub mod loopdev;
pub mod mountinfo;
pub mod mounts;
pub mod project;
pub mod superblock;
pub mod tree;

pub use error::Error;
