//! A node of its own for each test: a driver with a pool and kubelet's folder, mounts that nobody else sees.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use csi_hostpath::access::{Access, Capability, Filesystem, Mode, MountOptions};
use csi_hostpath::driver::{Driver, Offers, Settings};
use csi_hostpath::error::Error;
use csi_hostpath::id::VolumeId;
use csi_hostpath::parameters::{Attributes, Class};
use csi_hostpath::pool::Pools;
use csi_hostpath::record::{Kind, Volume};
use csi_hostpath::request::{self, SizeRange};
use csi_hostpath::store::Store;
use kernel::storage::loopdev;
use nix::sched::{CloneFlags, unshare};
use rustix::mount::{MountPropagationFlags, mount_change};

pub struct Node {
    folder: PathBuf,
    pub driver: Arc<Driver>,
}

/// Runs a test on a node of its own, whose pool lies where temporary files do. Its mounts end with its thread, and so do
/// the loop devices behind them.
pub fn on_a_node(test: impl FnOnce(&Node) + Send + 'static) {
    inside(|_| {}, test);
}

/// The same with a pool on btrfs.
pub fn on_a_node_with_btrfs(test: impl FnOnce(&Node) + Send + 'static) {
    let mount = |pool: &Path| {
        let image = pool.with_file_name("pool");
        let file = fs::File::create_new(&image).unwrap();
        file.set_len(512 << 20).unwrap();
        run("mkfs.btrfs", &["-q"], &image);
        run("mount", &["-o", "loop", image.to_str().unwrap()], pool);
    };
    inside(mount, test);
}

fn inside(prepare: impl FnOnce(&Path) + Send + 'static, test: impl FnOnce(&Node) + Send + 'static) {
    // Removed when the mounts in it are gone.
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().to_owned();
    let thread = std::thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNS).expect("a mount namespace needs CAP_SYS_ADMIN");
        let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
        mount_change("/", private).expect("private mounts");
        for name in ["state", "kubelet"] {
            fs::create_dir(path.join(name)).unwrap();
        }
        prepare(&path.join("state"));
        let node = Node::new(&path);
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| test(&node)));
        node.let_devices_go();
        if let Err(panic) = result {
            std::panic::resume_unwind(panic);
        }
    });
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}

impl Node {
    fn new(folder: &Path) -> Self {
        let store = Store::open(&folder.join("state/state.redb")).unwrap();
        let pools = [("default".to_owned(), folder.join("state"), None)];
        let pools = Pools::open(&store, pools).unwrap();
        let settings = Settings {
            name: "hostpath.hawser.io".to_owned(),
            node: "node".to_owned(),
            kubelet_dir: folder.join("kubelet"),
            max_volume_size: 1 << 40,
            attach_limit: 0,
            offers: Offers {
                attach: false,
                topology: true,
                expansion: true,
                modify: false,
                metadata: false,
                mount_group: true,
            },
            remote: false,
        };
        Self {
            folder: folder.to_owned(),
            driver: Driver::new(settings, store, pools),
        }
    }

    /// Detaches what raw volumes of a failed test left.
    fn let_devices_go(&self) {
        for volume in self.driver.store.volumes(None, None).unwrap().items {
            for device in devices(&volume.id) {
                let device = loopdev::Device::open(device).unwrap();
                let _ = device.map(loopdev::Device::detach);
            }
        }
    }

    /// A path in kubelet's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join("kubelet").join(name)
    }

    /// A staging path, made as kubelet makes it.
    pub fn staging(&self) -> PathBuf {
        let path = self.path("staging");
        fs::create_dir_all(&path).unwrap();
        path
    }

    pub fn create(&self, kind: Kind, mib: u64, capability: &Capability) -> Made {
        let wanted = request::CreateVolume {
            name: "claim".to_owned(),
            range: Some(SizeRange {
                required: mib << 20,
                limit: None,
            }),
            capabilities: vec![capability.clone()],
            class: Class {
                kind: Some(kind),
                ..Class::default()
            },
            parameters: Default::default(),
            attributes: Attributes::default(),
            source: None,
        };
        let volume = self.driver.create_volume(wanted).unwrap();
        Made {
            id: VolumeId::parse(&volume.id).unwrap(),
            capability: capability.clone(),
            driver: Arc::clone(&self.driver),
        }
    }
}

/// A volume that was made, and how it is used.
pub struct Made {
    pub id: VolumeId,
    pub capability: Capability,
    pub driver: Arc<Driver>,
}

impl Made {
    pub fn stage(&self, path: &Path) -> Result<(), Error> {
        self.driver.stage(&request::Stage {
            volume: self.id.clone(),
            path: path.to_owned(),
            capability: self.capability.clone(),
        })
    }

    pub fn unstage(&self, path: &Path) -> Result<(), Error> {
        self.driver.unstage(&request::Unstage {
            volume: Some(self.id.clone()),
            path: path.to_owned(),
        })
    }

    pub fn publish(&self, staging: &Path, target: &Path, readonly: bool) -> Result<(), Error> {
        self.driver.publish(&request::Publish {
            volume: self.id.clone(),
            staging: Some(staging.to_owned()),
            target: target.to_owned(),
            capability: self.capability.clone(),
            readonly,
            ephemeral: None,
        })
    }

    pub fn unpublish(&self, target: &Path) -> Result<(), Error> {
        self.driver.unpublish(&request::Unpublish {
            volume: Some(self.id.clone()),
            target: target.to_owned(),
        })
    }

    pub fn stats(&self, path: &Path) -> Result<csi_hostpath::attachment::Stats, Error> {
        self.driver.stats(&request::Stats {
            volume: self.id.clone(),
            path: path.to_owned(),
        })
    }

    pub fn expand(&self, path: &Path, mib: u64) -> Result<u64, Error> {
        self.driver.node_expand(&request::NodeExpand {
            volume: self.id.clone(),
            path: path.to_owned(),
            range: Some(SizeRange {
                required: mib << 20,
                limit: None,
            }),
            capability: None,
        })
    }

    pub fn record(&self) -> Volume {
        self.driver.volume(&self.id).unwrap()
    }

    /// The numbers of its loop devices.
    pub fn devices(&self) -> Vec<u32> {
        devices(self.id.as_str())
    }

    /// Whether it has so many, at the latest when other tests, which may hold one open for a look, have let it go.
    pub fn has_devices(&self, count: usize) -> bool {
        eventually(|| self.devices().len() == count)
    }
}

fn devices(id: &str) -> Vec<u32> {
    let all = loopdev::attached().unwrap().into_iter();
    let ours = all.filter(|(_, backing)| id.starts_with(&backing.label));
    ours.map(|(number, _)| number).collect()
}

/// Waits until something is so, for a while.
fn eventually(mut is_so: impl FnMut() -> bool) -> bool {
    let end = Instant::now() + Duration::from_secs(10);
    while Instant::now() < end {
        if is_so() {
            return true;
        }
        std::thread::yield_now();
    }
    is_so()
}

pub fn mounted(filesystem: Option<Filesystem>, mode: Mode, flags: &[&str]) -> Capability {
    Capability {
        access: Access::Mount(MountOptions {
            filesystem,
            flags: flags.iter().map(|&flag| flag.to_owned()).collect(),
            group: None,
        }),
        mode,
    }
}

pub fn raw(mode: Mode) -> Capability {
    Capability {
        access: Access::Block,
        mode,
    }
}

/// Runs a program to success.
pub fn run(program: &str, arguments: &[&str], path: &Path) {
    let ran = Command::new(program)
        .args(arguments)
        .arg(path)
        .output()
        .expect(program);
    assert!(ran.status.success(), "{program}: {ran:?}");
}

/// Whether something is mounted at a path.
pub fn is_mount(path: &Path) -> bool {
    let table = kernel::storage::mountinfo::read().unwrap();
    table.iter().any(|mount| mount.point == path)
}
