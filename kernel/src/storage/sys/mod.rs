//! The calls that no safe wrapper exists for. The only place of the project where `unsafe` is allowed: each use says why
//! it is sound, and each function offers a safe face.
#![allow(unsafe_code)]

pub(super) mod btrfs;
pub(super) mod clone;
pub(super) mod extents;
pub(super) mod freeze;
pub(super) mod grow;
pub(super) mod loopdev;
pub(super) mod mounts;
pub(super) mod project;
