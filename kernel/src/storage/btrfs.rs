//! Subvolumes of btrfs, and the quota groups that count and limit them.
//!
//! All is done by ioctl. Nearly all of it needs CAP_SYS_ADMIN, and removal CAP_DAC_READ_SEARCH.

mod commit;
mod quota;
mod subvolume;
mod tree;

pub use commit::commit;
pub use quota::{Quota, Usage, enable_quota, limit, quota_state, sync, usage};
pub use subvolume::{create_subvolume, is_subvolume, remove_subvolume, set_readonly, snapshot};

#[cfg(test)]
mod tests;
