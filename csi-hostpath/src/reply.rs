//! To be written.

use std::collections::BTreeMap;

use crate::record::Volume;

/// The volume context (G-17).
pub fn context(_volume: &Volume) -> BTreeMap<String, String> {
    BTreeMap::new()
}
