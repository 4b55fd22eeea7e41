//! `NodePublishVolume`: a pod gets the volume at its target.
//!
//! What is staged is mounted once more there, never an empty staging path (K-14). A raw device's node is mounted on a
//! file. An inline volume is made by this very call and mounted without being staged.

use std::os::fd::AsFd;
use std::path::Path;
use std::sync::atomic::Ordering;

use kernel::Undo;
use kernel::storage::beneath::Place;
use kernel::storage::loopdev::Device;
use kernel::storage::mounts::{self, Detached};
use kernel::storage::tree;

use super::device::{self, Purpose};
use super::expand::still;
use super::mounting::readable;
use super::own::Own;
use super::sight::{self, Sight};
use super::target::{self, Shape};
use super::terms;
use super::undo::Step;
use crate::access::Access;
use crate::driver::Driver;
use crate::error::Error;
use crate::mount_flags::Flags;
use crate::record::{Published, Volume};
use crate::request::{self, Ephemeral};
use crate::store::Change;

impl Driver {
    /// Publishes a volume (NP-01 to NP-06).
    pub fn publish(&self, wanted: &request::Publish) -> Result<(), Error> {
        let _held = self.hold_volume(wanted.volume.as_str())?;
        let mut undo = Undo::new();
        let volume = match &wanted.ephemeral {
            Some(ephemeral) => self.inline(wanted, ephemeral, &mut undo)?,
            None => self.volume(&wanted.volume)?,
        };
        self.publish_volume(wanted, volume)?;
        undo.keep();
        Ok(())
    }

    /// Makes an inline volume, unless an earlier call did (K-13).
    fn inline<'a>(
        &'a self,
        wanted: &request::Publish,
        ephemeral: &Ephemeral,
        undo: &mut Undo<Step<'a>>,
    ) -> Result<Volume, Error> {
        if wanted.capability.access == Access::Block {
            return Err(Error::Invalid(
                "an inline volume is mounted, it cannot be a raw device".to_owned(),
            ));
        }
        let id = wanted.volume.as_str();
        if self.store.volume(id)?.is_none() {
            undo.record(Step::Made(self, id.to_owned()));
        }
        self.create_inline(&wanted.volume, ephemeral, &wanted.capability)
    }

    fn publish_volume(&self, wanted: &request::Publish, volume: Volume) -> Result<(), Error> {
        let pool = self.pools.get(&volume.pool)?;
        let flags = terms::suit(&volume, &wanted.capability, pool.filesystem())?;
        pool.must_enforce(&volume)?;
        let published = record(wanted, &flags);
        if published.group.is_some() && !self.settings.offers.mount_group {
            return Err(Error::Invalid(
                "volume_mount_group is not offered by this driver as it was started".to_owned(),
            ));
        }
        let own = Own::of(&self.pools, &volume)?;
        let place = self.place(&wanted.target)?;
        if self.is_published(&volume, &own, &place, &published)? {
            return Ok(());
        }
        let mut others = self.targets(&volume, &own)?;
        others.retain(|other| other.target != published.target);
        terms::goes_with(&volume.id, &others, wanted.capability.mode)?;
        let source = match &wanted.ephemeral {
            Some(_) => Source::Own,
            None => self.source(wanted, &volume, &own, &flags)?,
        };
        self.mount_at(&place, volume, source, &published, &flags, &own)
    }

    /// Mounts the volume at a target where it is not yet.
    fn mount_at(
        &self,
        place: &Place,
        mut volume: Volume,
        source: Source,
        published: &Published,
        flags: &Flags,
        own: &Own,
    ) -> Result<(), Error> {
        let mut undo = Undo::new();
        let (id, target) = (volume.id.clone(), published.target.clone());
        undo.record(Step::Published(self, id, target));
        put(&mut volume, published.clone());
        self.store.commit(vec![Change::PutVolume(volume.clone())])?;
        make_target(place, volume.block, &mut undo)?;
        let mount = self.mount_of(volume, source, published, flags, own, &mut undo)?;
        undo.record(Step::Mount { own, place });
        target::attach(mount, place)?;
        undo.keep();
        Ok(())
    }

    /// Whether the volume is at the target as asked for. What is there of it in a way that nobody recorded is taken down.
    fn is_published(
        &self,
        volume: &Volume,
        own: &Own,
        place: &Place,
        wanted: &Published,
    ) -> Result<bool, Error> {
        let is_there = match sight::look(place)? {
            Sight::Mounted(mounted) => own.is(&mounted)?,
            _ => false,
        };
        let recorded = volume.published.iter();
        let recorded = recorded
            .filter(|_| is_there)
            .find(|other| other.target == wanted.target);
        let done = terms::is_published(&volume.id, recorded, wanted)?;
        if !done {
            target::take_down(place, own)?;
        }
        Ok(done)
    }

    /// What is staged, seen to be the volume (K-14, NP-02).
    fn source(
        &self,
        wanted: &request::Publish,
        volume: &Volume,
        own: &Own,
        flags: &Flags,
    ) -> Result<Source, Error> {
        let Some(path) = &wanted.staging else {
            return Err(Error::Unready(format!(
                "volume {} is published without a staging path, stage it first",
                volume.id
            )));
        };
        let unstaged = || {
            Error::Unready(format!(
                "volume {} is not staged at {}, stage it first",
                volume.id,
                path.display()
            ))
        };
        if volume.block {
            // Nothing is mounted there that could tell.
            let recorded = volume.staged.as_ref();
            if recorded.is_none_or(|staged| Path::new(&staged.path) != path) {
                return Err(unstaged());
            }
            let image = self.pools.get(&volume.pool)?.image(volume)?;
            let device = device::find(&image, &volume.id, false)?;
            return device.map(Source::Device).ok_or_else(unstaged);
        }
        let place = self.known_place(path)?.ok_or_else(unstaged)?;
        let mounted = match sight::look(&place)? {
            Sight::Mounted(mounted) if own.is(&mounted)? => mounted,
            _ => return Err(unstaged()),
        };
        let staged = volume.staged.as_ref().ok_or_else(unstaged)?;
        let staged = Flags::parse(&staged.flags).map_err(Error::Internal)?;
        if terms::adds_options(&staged, flags) {
            return Err(Error::Unready(format!(
                "volume {} is staged without some of these mount flags, which its filesystem takes only then: stage it \
                 anew with them",
                volume.id
            )));
        }
        let path = path.clone();
        Ok(Source::Staged(mounts::clone_tree(mounted.fd(), &path)?))
    }

    /// The mount that the pod gets, still nowhere.
    fn mount_of<'a>(
        &'a self,
        mut volume: Volume,
        source: Source,
        published: &Published,
        flags: &Flags,
        own: &'a Own,
        undo: &mut Undo<Step<'a>>,
    ) -> Result<Detached, Error> {
        let mount = match source {
            Source::Device(device) => {
                let device = if published.readonly {
                    self.readonly_device(&volume, own, undo)?
                } else {
                    device
                };
                return node(&device);
            }
            Source::Staged(mount) => mount,
            Source::Own => self.bring_up(&mut volume, flags)?,
        };
        if let Some(group) = published.group.filter(|_| !published.readonly) {
            still(&volume)?;
            let stop = || self.stopping.load(Ordering::Relaxed);
            tree::chown_group(readable(&mount, Path::new(&volume.id))?, group, &stop)?;
        }
        mount.set(&terms::attributes(flags, published.readonly))?;
        Ok(mount)
    }

    /// The device of a raw volume that refuses writes (NP-05): a mount of its node cannot.
    fn readonly_device<'a>(
        &'a self,
        volume: &Volume,
        own: &'a Own,
        undo: &mut Undo<Step<'a>>,
    ) -> Result<Device, Error> {
        let image = self.pools.get(&volume.pool)?.image(volume)?;
        if let Some(device) = device::find(&image, &volume.id, true)? {
            return Ok(device);
        }
        undo.record(Step::Device {
            own,
            readonly: true,
        });
        device::attach(&image, &volume.id, Purpose::RawReadonly)
    }
}

/// What a pod's mount is made from.
enum Source {
    /// What is mounted at the staging path.
    Staged(Detached),
    /// The writable device of a raw volume.
    Device(Device),
    /// The volume's own bytes: nobody staged it.
    Own,
}

/// The node of a device, as a mount.
fn node(device: &Device) -> Result<Detached, Error> {
    let path = device.path();
    let flags = rustix::fs::OFlags::PATH | rustix::fs::OFlags::CLOEXEC;
    let node = rustix::fs::open(&path, flags, rustix::fs::Mode::empty())
        .map_err(|errno| kernel::storage::Error::new(format!("open {}", path.display()), errno))?;
    Ok(mounts::clone_tree(node.as_fd(), &path)?)
}

/// Makes the target if it is not there (NP-01).
fn make_target<'a>(place: &'a Place, block: bool, undo: &mut Undo<Step<'a>>) -> Result<(), Error> {
    let shape = Shape::of(block);
    match sight::look(place)? {
        Sight::Bare(there) => shape.fits(there, place),
        Sight::Mounted(_) => Err(target::foreign(place)),
        Sight::Nothing => {
            undo.record(Step::Target(place));
            shape.make(place)
        }
    }
}

fn put(volume: &mut Volume, published: Published) {
    volume
        .published
        .retain(|other| other.target != published.target);
    volume.published.push(published);
}

fn record(wanted: &request::Publish, flags: &Flags) -> Published {
    let group = match &wanted.capability.access {
        Access::Mount(options) => options.group,
        Access::Block => None,
    };
    Published {
        target: wanted.target.to_string_lossy().into_owned(),
        readonly: wanted.readonly || flags.readonly || wanted.capability.mode.reads_only(),
        flags: terms::flags(&wanted.capability),
        mode: wanted.capability.mode.into(),
        group,
    }
}
