//! The host-local plugin: addresses for pods from ranges, kept on the node.
//!
//! A drop-in for the reference plugin of this name: the same configuration, the same results, and the same directory of
//! reservations, which both may use in turn. `store` owns that directory and an index of it, so that no verb's cost
//! grows with the number of reservations; `range`, `pick` and `bits` decide, purely, which address is next; `conf` holds
//! every rule of the configuration; each verb is a file. `docs/host-local.md` is the page for users.

pub mod address;
pub mod bits;
pub mod pick;
pub mod range;
pub mod resolv;
pub mod store;

mod conf;
mod error;
mod full;
mod moment;
mod plan;
mod reserve;

mod add;
mod check;
mod del;
mod gc;
mod status;

use cni::{Attachment, Version};
use cni_plugin::Plugin;
use store::Holder;

/// The plugin, for the frame.
pub static PLUGIN: Plugin = Plugin {
    name: "host-local",
    about: "Hawser host-local: addresses for pods from ranges, kept on the node",
    versions: &Version::ALL,
    enters_netns: false,
    add: add::add,
    del: del::del,
    check: check::check,
    gc: gc::gc,
    status: status::status,
};

impl From<&Attachment> for Holder {
    fn from(attachment: &Attachment) -> Self {
        Self::new(attachment.container_id.as_str(), attachment.ifname.as_str())
    }
}
