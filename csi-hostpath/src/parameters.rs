//! What classes and pods may ask for: StorageClass, VolumeSnapshotClass and VolumeAttributesClass parameters, and the
//! attributes of an inline volume. To be written.

use crate::record::Kind;

/// A StorageClass, understood.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Class {
    /// `kind`; `None` where the driver chooses.
    pub kind: Option<Kind>,
    /// `pool`; `None` where the driver chooses.
    pub pool: Option<String>,
    /// `provisioning`: whether space is reserved. `None` is thin.
    pub thick: Option<bool>,
}

/// A VolumeAttributesClass, understood: what may change while a volume exists.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attributes {
    /// `provisioning`: whether space is reserved.
    pub thick: Option<bool>,
}
