//! `csi-hostpath`: a CSI driver for volumes on a node's own disks.
//!
//! A call comes in over gRPC (`controller`, `node`, `group`, `metadata`), is checked and becomes one of the types of
//! `request` (`check`, pure), takes the locks of what it touches (`locks`), and is carried out by [`driver::Driver`],
//! whose verbs are the files of `volume`, `snapshot` and `attachment`. `store` is the truth about objects, the kernel's
//! mount table the truth about mounts, `pool` the place where data lies.

pub mod access;
pub mod args;
pub mod attachment;
pub mod call;
pub mod check;
pub mod config;
pub mod controller;
pub mod driver;
pub mod error;
pub mod excerpt;
pub mod group;
pub mod health;
pub mod http;
pub mod id;
pub mod identity;
pub mod janitor;
pub mod listing;
pub mod locks;
pub mod log;
pub mod metadata;
pub mod metrics;
pub mod mount_flags;
pub mod node;
pub mod parameters;
pub mod pool;
pub mod quantity;
pub mod record;
pub mod recover;
pub mod registration;
pub mod reply;
pub mod request;
pub mod server;
pub mod settler;
pub mod snapshot;
pub mod socket;
pub mod statedir;
pub mod store;
pub mod termination;
pub mod tools;
pub mod volume;
