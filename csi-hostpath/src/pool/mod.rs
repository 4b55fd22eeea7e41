//! Pools: directories in which volumes and snapshots lie. To be written.

/// The pools of this node, by name.
pub struct Pools {}
