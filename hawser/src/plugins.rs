//! The plugins in this executable: the one place where the list stands.

use cni_plugin::Plugin;

/// Every plugin, by name.
pub static ALL: [&Plugin; 5] = [
    &cni_bridge::PLUGIN,
    &cni_firewall::PLUGIN,
    &ipam_host_local::PLUGIN,
    &cni_loopback::PLUGIN,
    &cni_portmap::PLUGIN,
];

/// The plugin of this name.
pub fn named(name: &str) -> Option<&'static Plugin> {
    ALL.into_iter().find(|plugin| plugin.name == name)
}
