//! A pod: a network namespace bound to a path of its host, as a runtime hands it to a plugin.

use crate::host::bind;
use crate::place::Place;
use crate::runtime::Attachment;
use nix::mount::{MntFlags, umount2};
use nix::sched::{CloneFlags, unshare};
use serde_json::Value;
use std::fs::File;
use std::io;
use std::ops::Deref;
use std::path::{Path, PathBuf};

/// A network namespace on a [`Host`](crate::Host), and a place to run things in.
#[derive(Debug)]
pub struct Pod {
    place: Place,
    path: PathBuf,
}

impl Pod {
    pub(crate) fn new(host: &Place, name: &str, dir: &Path) -> Self {
        let path = dir.join(name);
        let made = host.run(|| -> io::Result<()> {
            File::create_new(&path)?;
            unshare(CloneFlags::CLONE_NEWNET)?;
            bind(Path::new("/proc/thread-self/ns/net"), &path)
        });
        made.unwrap_or_else(|e| panic!("make the namespace {}: {e}", path.display()));
        Self {
            place: host.in_netns(name, &path),
            path,
        }
    }

    /// The place that this pod is.
    pub const fn place(&self) -> &Place {
        &self.place
    }

    /// The path of the namespace, on the host.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The pod's interface `eth0`, under the pod's name as container id.
    pub fn attachment(&self) -> Attachment {
        Attachment::new(self.place.name(), "eth0", &self.path.to_string_lossy())
    }

    /// The host's end of one of the pod's pairs, as `ip -d -j addr` shows it; null when there is none.
    pub fn host_end(&self, ifname: &str) -> Value {
        // The ends know each other by index.
        let index = self.link(ifname)["link_index"].clone();
        let links = self.place.host_of().json("ip -d -j addr");
        let mut links = links.as_array().into_iter().flatten();
        let end = links.find(|link| !index.is_null() && link["ifindex"] == index);
        end.cloned().unwrap_or(Value::Null)
    }

    /// Takes the namespace away, as a runtime does whose DEL comes late; `self` is then only a name and a path.
    pub fn remove(&self) {
        let host = self.place.host_of();
        let removed = host.run(|| -> io::Result<()> {
            umount2(&self.path, MntFlags::MNT_DETACH)?;
            std::fs::remove_file(&self.path)
        });
        removed.unwrap_or_else(|e| panic!("remove the namespace {}: {e}", self.path.display()));
    }
}

impl Deref for Pod {
    type Target = Place;

    fn deref(&self) -> &Place {
        &self.place
    }
}
