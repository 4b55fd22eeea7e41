//! `hawser install`.

use super::say;
use crate::conflist::{self, Conflist, Placed};
use crate::install::{self, Changes, Error};
use clap::Args;
use ipnetwork::IpNetwork;
use std::path::{Path, PathBuf};

/// The running executable, also when its file was replaced meanwhile.
const THIS: &str = "/proc/self/exe";

#[derive(Debug, Args)]
pub struct Install {
    /// Take the plugins and the configuration out again, and put back what they replaced.
    #[arg(long, conflicts_with_all = ["subnets", "network", "bridge", "mtu", "no_ip_masq"])]
    uninstall: bool,
    /// The folder in which the container runtime looks for plugins.
    #[arg(long, default_value = "/opt/cni/bin")]
    bin_dir: PathBuf,
    /// The folder in which the container runtime looks for configurations.
    #[arg(long, default_value = "/etc/cni/net.d")]
    conf_dir: PathBuf,
    /// This node's part of the pod network, such as 10.244.3.0/24; once for each family. Without one no configuration is
    /// written.
    #[arg(long = "subnet", value_name = "CIDR")]
    subnets: Vec<IpNetwork>,
    /// The network's name.
    #[arg(long, default_value = "podnet")]
    network: String,
    /// The bridge's name.
    #[arg(long, default_value = "cni0")]
    bridge: String,
    /// The MTU of pods, in bytes.
    #[arg(long)]
    mtu: Option<u32>,
    /// Let pods reach the outside under their own addresses.
    #[arg(long)]
    no_ip_masq: bool,
}

impl Install {
    /// Does as asked, and tells what was done.
    pub fn run(self, out: &mut Vec<u8>) -> Result<(), Error> {
        if self.uninstall {
            return self.undo(out);
        }
        let conflist = self.conflist();
        // Before anything is done.
        conflist.check()?;
        let changes = install::install(Path::new(THIS), &self.bin_dir)?;
        tell(out, &self.bin_dir, &changes);
        if !conflist.subnets.is_empty() {
            // After the plugins: the runtime acts on it at once.
            tell_conflist(out, &conflist.write(&self.conf_dir)?);
        }
        Ok(())
    }

    fn undo(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        // Before the plugins: no pod is to be promised a network that nobody makes.
        let removed = conflist::remove(&self.conf_dir);
        if matches!(removed, Ok(true)) {
            let path = self.conf_dir.join(conflist::FILE);
            say(out, format_args!("{}: removed", path.display()));
        }
        let changes = install::uninstall(&self.bin_dir)?;
        if changes.is_empty() {
            let dir = self.bin_dir.display();
            say(
                out,
                format_args!("{dir}: nothing of Hawser is installed there"),
            );
        }
        tell(out, &self.bin_dir, &changes);
        removed.map(|_| ())
    }

    fn conflist(&self) -> Conflist {
        Conflist {
            network: self.network.clone(),
            bridge: self.bridge.clone(),
            subnets: self.subnets.clone(),
            mtu: self.mtu,
            masquerade: !self.no_ip_masq,
        }
    }
}

fn tell(out: &mut Vec<u8>, dir: &Path, changes: &Changes) {
    for (name, change) in changes {
        say(out, format_args!("{}: {change}", dir.join(name).display()));
    }
}

fn tell_conflist(out: &mut Vec<u8>, placed: &Placed) {
    let path = placed.path.display();
    let what = if placed.changed {
        "written"
    } else {
        "already there"
    };
    say(out, format_args!("{path}: {what}"));
    if let Some(first) = placed.before.first() {
        say(
            out,
            format_args!(
                "note: {first} comes before it by name, and the runtime uses the first: move {first} away to use Hawser's"
            ),
        );
    }
    for other in &placed.overlapping {
        say(
            out,
            format_args!(
                "note: {other} hands out addresses of the same range: two networks must not share one"
            ),
        );
    }
}
