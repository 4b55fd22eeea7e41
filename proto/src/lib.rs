//! The Container Storage Interface 1.12 and kubelet's plugin registration, as types and services.
//!
//! Everything but [`ListedVolume`] is generated at build time from the two definitions beside this crate, `csi.proto` and
//! `pluginregistration.proto`, which are meant to be read. The tables in `tables/` are the specification's fields, enums and
//! calls, and a test holds the definitions to them.
//!
//! `Debug` of a message is fit for logs. What `csi_secret` marks, mount flags, and the contexts in which kubelet hands over
//! tokens of service accounts show how many entries they have, and nothing else:
//!
//! ```text
//! DeleteVolumeRequest { volume_id: "vol-1", secrets: (1 not shown) }
//! ```
//!
//! Servers are always there, clients with the feature `client`. Well-known types are those of `prost-types`.

mod listed;

pub use listed::ListedVolume;

/// The Container Storage Interface, package `csi.v1`.
#[allow(missing_docs, clippy::all, clippy::pedantic)]
pub mod csi {
    tonic::include_proto!("csi.v1");
    include!(concat!(env!("OUT_DIR"), "/debug.rs"));
}

/// Kubelet's plugin registration, package `pluginregistration`.
#[allow(missing_docs, clippy::all, clippy::pedantic)]
pub mod registration {
    tonic::include_proto!("pluginregistration");
}

/// Both definitions and what they import, as a serialized `google.protobuf.FileDescriptorSet`: for reflection, and for whoever
/// wants to know which fields are secret. Options are in it, comments are not.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
