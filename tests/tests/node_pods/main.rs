//! The pods of `manifests/` on a node: a real containerd runs the packed image as the rendered manifests say (arguments,
//! mounts, propagation, users, rights), a kubelet's part is played at kubelet's own paths, and in the end the node is as it
//! was. There are no sidecars: they are not of this repository, and talk to an API server.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says what is wrong by panicking"
)]

mod controller;
mod last_words;
mod life;
mod machine;
mod rights;
mod state;
mod translation;
mod volumes;
