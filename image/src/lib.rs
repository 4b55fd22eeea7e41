//! The image without an engine: our static executables, the programs that the storage driver starts, and the libraries
//! that those need, as an OCI archive that containerd, podman, docker and minikube load.
//!
//! The same input gives the same bytes: entries are sorted, owned by root, and as old as one is told. [`contents`] says what
//! goes in, [`needed`] finds the libraries, [`layer`] makes a layer of files, [`archive`] the archive of layers.

pub mod archive;
mod cli;
pub mod contents;
pub mod error;
pub mod layer;
pub mod needed;

pub use cli::main;
