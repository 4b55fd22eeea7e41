//! A host after `hawser install`: the plugins and the configuration list as a node has them.

use crate::host::Host;
use crate::plugins::{PLUGIN_DIR, Plugins, built_here};
use serde_json::Value;

/// What `hawser install` has put on a host.
#[derive(Debug, Clone)]
pub struct Installed {
    /// The plugins: one file under every name, in a folder of the host. Where [`PLUGIN_DIR`] names a folder, those that are
    /// there.
    pub plugins: Plugins,
    /// The configuration list, for 10.22.0.0/16 and fd00:22::/64.
    pub list: Value,
}

impl Installed {
    /// Runs the `hawser` that cargo built beside the test.
    pub fn on(host: &Host) -> Self {
        let hawser = Plugins::at(built_here()).executable("hawser");
        let hawser = hawser.display();
        let dir = host.scratch("plugins");
        let conf = host.scratch("net.d");
        let (to, conf) = (dir.display(), conf.display());
        host.sh(&format!(
            "{hawser} install --bin-dir {to} --conf-dir {conf} --subnet 10.22.0.0/16 --subnet fd00:22::/64"
        ));
        if let Some(from) = std::env::var_os(PLUGIN_DIR) {
            let from = Plugins::at(from);
            host.sh(&format!("ln -sf {}/* {to}/", from.dir().display()));
        }
        Self {
            plugins: Plugins::at(dir),
            list: host.json(&format!("cat {conf}/10-hawser.conflist")),
        }
    }
}
