//! `loopback`: the pod's own `lo`, up.
//!
//! Runtimes call it once for each sandbox, whatever network the pod is to have. The interface is `lo` whatever
//! `CNI_IFNAME` says; the kernel gives it its addresses when it goes up.

mod error;
mod verbs;

use cni::Version;
use cni_plugin::Plugin;

/// The plugin, as the frame runs it.
pub static PLUGIN: Plugin = Plugin {
    name: "loopback",
    about: "brings up the loopback interface of a pod",
    versions: &Version::ALL,
    enters_netns: true,
    add: |request| Ok(verbs::add(request)?),
    del: |request| Ok(verbs::del(request)?),
    check: |request| Ok(verbs::check(request)?),
    // Nothing of it outlives the namespace, and it needs nothing but a kernel.
    gc: |_| Ok(()),
    status: |_| Ok(()),
};
