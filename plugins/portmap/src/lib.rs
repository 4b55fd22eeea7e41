//! `portmap`: under construction.

use cni::{Code, Error, Version};
use cni_plugin::Plugin;

/// The plugin, as the frame runs it.
pub static PLUGIN: Plugin = Plugin {
    name: "portmap",
    about: "leads ports of the node to pods",
    versions: &Version::ALL,
    enters_netns: false,
    add: |_| Err(Error::new(Code::Io, "not built yet")),
    del: |_| Err(Error::new(Code::Io, "not built yet")),
    check: |_| Err(Error::new(Code::Io, "not built yet")),
    gc: |_| Err(Error::new(Code::Io, "not built yet")),
    status: |_| Err(Error::new(Code::Io, "not built yet")),
};
