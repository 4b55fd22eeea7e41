//! A volume's way into a pod and out of it: staged, published, measured, grown, unpublished, unstaged. One verb a file.
//!
//! A use is recorded before its mount is made, so that whatever a crash leaves is known; whether it is really there, the
//! mount table and the loop devices tell (K-14). `own` says by what a mount is recognised as a volume's, `sight` what is
//! at a place, `terms` decides, purely.

mod device;
mod expand;
mod growth;
mod mounting;
mod observe;
mod own;
mod publish;
mod sight;
mod stage;
mod stats;
mod target;
mod terms;
mod undo;
mod unpublish;
mod unstage;

pub use observe::Observed;
pub use stats::{Stats, Usage};
