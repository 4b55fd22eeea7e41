//! The Container Storage Interface 1.12 and kubelet's plugin registration, generated from the definitions beside this
//! crate.

#[allow(missing_docs, clippy::all, clippy::pedantic)]
/// The Container Storage Interface, package `csi.v1`.
pub mod csi {
    tonic::include_proto!("csi.v1");
}

#[allow(missing_docs, clippy::all, clippy::pedantic)]
/// Kubelet's plugin registration, package `pluginregistration`.
pub mod registration {
    tonic::include_proto!("pluginregistration");
}

/// Both definitions and what they import, as a serialized `google.protobuf.FileDescriptorSet`.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
