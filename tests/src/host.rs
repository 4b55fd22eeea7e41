//! A host of its own for each test: fresh network and mount namespaces, so that tests run in parallel, as often as one
//! likes, and leave the machine as it was, also when they panic or are killed.

use crate::place::{Namespaces, Place};
use crate::pod::Pod;
use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use std::fs::File;
use std::io;
use std::ops::Deref;
use std::path::{Path, PathBuf};

/// Where [`Host`] keeps what tests put on it: delegates, configurations, stores.
pub const SCRATCH: &str = "/run/testkit";

const NETNS_DIR: &str = "/run/netns";
const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// A machine as a plugin sees it: its own network, empty directories of its own at /run and /var/lib/cni, and what it
/// writes to /var/lib elsewhere.
#[derive(Debug)]
pub struct Host {
    place: Place,
}

impl Host {
    /// Makes a host. Needs root.
    #[expect(
        clippy::new_without_default,
        reason = "it takes root's rights and asks the kernel for namespaces"
    )]
    pub fn new() -> Self {
        let made = std::thread::Builder::new()
            .name("make a host".to_owned())
            .spawn(make_namespaces);
        let namespaces = made.expect("start a thread").join().expect("make a host");
        let place = Place::host(
            namespaces.unwrap_or_else(|e| panic!("make a host's namespaces (are you root?): {e}")),
        );
        place.sh("ip link set lo up");
        Self { place }
    }

    /// The place that this host is.
    pub const fn place(&self) -> &Place {
        &self.place
    }

    /// A pod's empty network namespace on this host.
    pub fn pod(&self, name: &str) -> Pod {
        Pod::new(&self.place, name, Path::new(NETNS_DIR))
    }

    /// A path under [`SCRATCH`]; nothing is made there.
    pub fn scratch(&self, name: &str) -> PathBuf {
        Path::new(SCRATCH).join(name)
    }

    /// Lets the kernel answer with another boot id from now on, as after a reboot. Nothing else is lost.
    pub fn pretend_reboot(&self) {
        let old = self.read(BOOT_ID).unwrap_or_default();
        let (first, rest) = old.trim_end().split_at(1);
        let next = if first == "f" { "0" } else { "f" };
        let file = self.scratch(&format!("boot_id.{next}"));
        self.write(&file, &format!("{next}{rest}\n"));
        let bound = self.run(|| bind(&file, Path::new(BOOT_ID)));
        bound.unwrap_or_else(|e| panic!("bind {} over {BOOT_ID}: {e}", file.display()));
    }
}

impl Deref for Host {
    type Target = Place;

    fn deref(&self) -> &Place {
        &self.place
    }
}

fn make_namespaces() -> io::Result<Namespaces> {
    unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS)?;
    mount(
        None::<&str>,
        "/",
        None::<&str>,
        MsFlags::MS_REC | MsFlags::MS_PRIVATE,
        None::<&str>,
    )?;
    tmpfs(Path::new("/run"))?;
    std::fs::create_dir(NETNS_DIR)?;
    std::fs::create_dir(SCRATCH)?;
    own_state()?;
    // The files of /sys show the network namespace in which sysfs was mounted.
    mount(
        Some("sysfs"),
        "/sys",
        Some("sysfs"),
        MsFlags::empty(),
        None::<&str>,
    )?;
    Ok(Namespaces {
        net: File::open("/proc/thread-self/ns/net")?,
        mnt: File::open("/proc/thread-self/ns/mnt")?,
        processes: None,
    })
}

/// Gives the host a layer of its own over /var/lib, where the kernel has overlays, and an empty /var/lib/cni.
fn own_state() -> io::Result<()> {
    let layers = Path::new(SCRATCH).join("var-lib");
    for layer in ["upper", "work"] {
        std::fs::create_dir_all(layers.join(layer))?;
    }
    let layers = layers.display();
    let options = format!("lowerdir=/var/lib,upperdir={layers}/upper,workdir={layers}/work");
    let layered = mount(
        Some("overlay"),
        "/var/lib",
        Some("overlay"),
        MsFlags::empty(),
        Some(options.as_str()),
    );
    // The VM is nobody's but the test's.
    if !matches!(layered, Err(Errno::ENODEV)) {
        layered?;
    }
    let cni = Path::new("/var/lib/cni");
    std::fs::create_dir_all(cni)?;
    tmpfs(cni)
}

fn tmpfs(at: &Path) -> io::Result<()> {
    Ok(mount(
        Some("tmpfs"),
        at,
        Some("tmpfs"),
        MsFlags::empty(),
        Some("mode=0755"),
    )?)
}

pub(crate) fn bind(from: &Path, to: &Path) -> io::Result<()> {
    Ok(mount(
        Some(from),
        to,
        None::<&str>,
        MsFlags::MS_BIND,
        None::<&str>,
    )?)
}
