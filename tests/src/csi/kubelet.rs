//! What kubelet does with a driver and its volumes, at the paths that it uses.

use super::client::Client;
use super::paths::{Paths, notes_beside};
use super::pv::Pv;
use super::requests::{self, Used};
use super::scope::Scope;
use crate::place::Place;
use crate::process::Appearance;
use crate::wait::PATIENCE;
use proto::csi::{
    NodeExpandVolumeResponse, NodeGetInfoRequest, NodeGetInfoResponse, NodeGetVolumeStatsResponse,
};
use proto::registration::{InfoRequest, PluginInfo, RegistrationStatus};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tonic::Status;

/// What kubelet believes to be in use.
#[derive(Debug, Default)]
struct Beliefs {
    staged: Vec<Pv>,
    published: Vec<(Pv, String)>,
}

/// A kubelet for one driver. Pods are known by their uid alone. It removes directories as kubelet does, with rmdir; what is
/// in the way of that fails the test.
#[derive(Debug)]
pub struct Kubelet {
    place: Place,
    paths: Paths,
    client: Client,
    beliefs: Mutex<Beliefs>,
}

impl Kubelet {
    /// A kubelet that lives in `dir` of a place and calls the driver of that name with `client`.
    pub fn new(place: &Place, dir: impl Into<PathBuf>, driver: &str, client: &Client) -> Self {
        let paths = Paths {
            kubelet: dir.into(),
            driver: driver.to_owned(),
        };
        for dir in paths.lasting() {
            place.sh(&format!("mkdir -p {}", dir.display()));
        }
        Self {
            place: place.clone(),
            paths,
            client: client.clone().within(Duration::from_secs(120)),
            beliefs: Mutex::default(),
        }
    }

    /// Registers the driver: waits for its socket in `plugins_registry`, asks who it is and where the node is, and tells it
    /// that it is registered. The driver's endpoint is called, not the one of this kubelet's client.
    pub fn register(&self) -> Result<(PluginInfo, NodeGetInfoResponse), Status> {
        let registry = self.registry();
        let info = registry.get_info(InfoRequest {})?;
        let driver = Client::on(&self.place, &info.endpoint).within(Duration::from_secs(120));
        let node = driver.node_get_info(NodeGetInfoRequest {})?;
        self.notify(true, "")?;
        Ok((info, node))
    }

    /// Tells the driver how registration went (K-03).
    pub fn notify(&self, plugin_registered: bool, error: &str) -> Result<(), Status> {
        let error = error.to_owned();
        let status = RegistrationStatus {
            plugin_registered,
            error,
        };
        let registry = self.registry().within(Duration::from_secs(5));
        registry.notify_registration_status(status).map(drop)
    }

    /// A caller of the driver's registration socket, once that is there, with kubelet's patience of one second.
    pub fn registry(&self) -> Client {
        let socket = self.paths.registry();
        let appearance = Appearance::of(&self.place, &socket);
        assert!(
            appearance.wait(PATIENCE),
            "nobody listens at {}",
            socket.display()
        );
        Client::on(&self.place, socket).within(Duration::from_secs(1))
    }

    /// Where a volume is staged.
    pub fn staging_path(&self, pv: &Pv) -> PathBuf {
        if pv.is_block() {
            self.paths.staging_block(&pv.name)
        } else {
            self.paths.staging_mount(&pv.volume.volume_id)
        }
    }

    /// Where a pod finds a volume: a mount, or a device.
    pub fn target_path(&self, pv: &Pv, pod: &str) -> PathBuf {
        if pv.is_block() {
            self.paths.target_block(&pv.name, pod)
        } else {
            self.paths.target_mount(&pv.name, pod)
        }
    }

    /// Stages a volume.
    pub fn stage(&self, pv: &Pv) -> Result<(), Status> {
        let path = self.staging_path(pv);
        self.make_dir(&path);
        self.write_notes(pv, &path);
        let mut request =
            requests::stage(&pv.volume.volume_id, &path).used_as(pv.capability.clone());
        request.volume_context.clone_from(&pv.volume.volume_context);
        request.secrets.clone_from(&pv.secrets);
        self.client.node_stage_volume(request)?;
        let mut beliefs = self.beliefs();
        if !beliefs.staged.contains(pv) {
            beliefs.staged.push(pv.clone());
        }
        Ok(())
    }

    /// Gives a volume to a pod, and returns where. It is staged first when it is not, as far as kubelet knows.
    pub fn publish(&self, pv: &Pv, pod: &str) -> Result<PathBuf, Status> {
        if !pv.inline && !self.beliefs().staged.contains(pv) {
            self.stage(pv)?;
        }
        self.publish_unstaged(pv, pod)
    }

    /// Gives a volume to a pod without staging it, as kubelet may do after a reboot (K-14).
    pub fn publish_unstaged(&self, pv: &Pv, pod: &str) -> Result<PathBuf, Status> {
        let target = self.target_path(pv, pod);
        self.make_dir(target.parent().unwrap_or(&target));
        self.write_notes(pv, &target);
        let staging = if pv.inline {
            PathBuf::new()
        } else {
            self.staging_path(pv)
        };
        let request = requests::publish(&pv.handle(pod), staging, &target);
        let mut request = request.used_as(pv.capability.clone());
        request.readonly = pv.readonly;
        request.volume_context = pv.context(pod);
        request.secrets.clone_from(&pv.secrets);
        self.client.node_publish_volume(request)?;
        if pv.is_block() {
            self.pin(&target);
        }
        let mut beliefs = self.beliefs();
        let published = (pv.clone(), pod.to_owned());
        if !beliefs.published.contains(&published) {
            beliefs.published.push(published);
        }
        Ok(target)
    }

    /// Takes a volume from a pod and removes the directories around it, the pod's own with its last volume.
    pub fn unpublish(&self, pv: &Pv, pod: &str) -> Result<(), Status> {
        let target = self.target_path(pv, pod);
        self.unpin(&target);
        let request = requests::unpublish(&pv.handle(pod), &target);
        self.client.node_unpublish_volume(request)?;
        if !pv.is_block() {
            self.remove_mount_dir(&target);
            // Not empty as long as the pod has other volumes.
            let dir = self.paths.pod(pod);
            let volumes = "volumes/kubernetes.io~csi";
            self.place.succeeds(&format!(
                "cd {} && rmdir -p {volumes} && rmdir {}",
                dir.display(),
                dir.display()
            ));
        }
        let other = |(known, user): &(Pv, String)| known != pv || user != pod;
        self.beliefs().published.retain(other);
        Ok(())
    }

    /// Undoes staging and removes the directories around it.
    pub fn unstage(&self, pv: &Pv) -> Result<(), Status> {
        let path = self.staging_path(pv);
        let request = requests::unstage(&pv.volume.volume_id, &path);
        self.client.node_unstage_volume(request)?;
        if pv.is_block() {
            let data = self.paths.data_block(&pv.name);
            self.remove_file(&data.join("vol_data.json"));
            self.remove_dir(&data);
            self.remove_dir(data.parent().unwrap_or(&data));
            self.remove_dir(&self.paths.published_block(&pv.name));
            self.remove_dir(&path);
        } else {
            self.remove_mount_dir(&path);
        }
        self.beliefs().staged.retain(|known| known != pv);
        Ok(())
    }

    /// How full a volume is, as its pod sees it.
    pub fn stats(&self, pv: &Pv, pod: &str) -> Result<NodeGetVolumeStatsResponse, Status> {
        let mut request = requests::stats(&pv.handle(pod), self.target_path(pv, pod));
        request.staging_target_path = self.staging_path(pv).display().to_string();
        self.client.node_get_volume_stats(request)
    }

    /// Lets the node do its part of growing a volume, after the controller's, while a pod has it.
    pub fn expand(
        &self,
        pv: &Pv,
        pod: &str,
        bytes: i64,
    ) -> Result<NodeExpandVolumeResponse, Status> {
        let request = requests::node_expand(&pv.handle(pod), self.target_path(pv, pod));
        let mut request = requests::Ranged::size(request, bytes).used_as(pv.capability.clone());
        request.staging_target_path = self.staging_path(pv).display().to_string();
        self.client.node_expand_volume(request)
    }

    /// Is restarted: stages and publishes once more what it knows to be in use (K-14).
    pub fn restart(&self) -> Result<(), Status> {
        let (staged, published) = {
            let beliefs = self.beliefs();
            (beliefs.staged.clone(), beliefs.published.clone())
        };
        staged.iter().try_for_each(|pv| self.stage(pv))?;
        published.iter().try_for_each(|(pv, pod)| {
            self.unpin(&self.target_path(pv, pod));
            self.publish_unstaged(pv, pod).map(drop)
        })
    }

    /// Loses everything that a reboot takes: mounts, and the devices that pin block volumes. What is in use is forgotten, too;
    /// directories stay. A driver should be dead by then.
    pub fn lose_mounts(&self) {
        let left = Scope::new(&self.place, &self.paths.kubelet).release();
        assert!(left.is_empty(), "does not go: {left:#?}");
        *self.beliefs() = Beliefs::default();
    }

    /// Opens a loop device on a published device, so that nobody detaches it (K-12).
    fn pin(&self, device: &Path) {
        let device = device.display();
        self.place.sh(&format!("losetup --find --show {device}"));
    }

    fn unpin(&self, device: &Path) {
        let loops = Scope::new(&self.place, device).loops();
        for pin in loops.iter().filter(|pin| pin.file == device) {
            self.place
                .sh(&format!("losetup --detach {}", pin.device.display()));
        }
    }

    /// Kubelet's way to remove a mount point: only one that nothing is mounted at, with what lies beside it.
    fn remove_mount_dir(&self, path: &Path) {
        let mounts = Scope::new(&self.place, path).mounts();
        assert!(mounts.is_empty(), "still mounted: {mounts:#?}");
        self.remove_dir(path);
        self.remove_file(&notes_beside(path));
        self.remove_dir(path.parent().unwrap_or(path));
    }

    fn make_dir(&self, path: &Path) {
        let made = self.place.run(|| std::fs::create_dir_all(path));
        made.unwrap_or_else(|e| panic!("make {}: {e}", path.display()));
    }

    fn remove_dir(&self, path: &Path) {
        self.remove(path, self.place.run(|| std::fs::remove_dir(path)));
    }

    fn remove_file(&self, path: &Path) {
        self.remove(path, self.place.run(|| std::fs::remove_file(path)));
    }

    fn remove(&self, path: &Path, removed: std::io::Result<()>) {
        match removed {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                let within = self.place.list(path);
                panic!("remove {}: {e}; it holds {within:?}", path.display());
            }
            _ => {}
        }
    }

    /// Writes `vol_data.json`, beside a mount or where it belongs for a block volume.
    fn write_notes(&self, pv: &Pv, mount: &Path) {
        let notes = if pv.is_block() {
            self.paths.data_block(&pv.name).join("vol_data.json")
        } else {
            notes_beside(mount)
        };
        let content = serde_json::json!({
            "driverName": self.paths.driver,
            "specVolID": pv.name,
            "volumeHandle": pv.volume.volume_id,
            "volumeLifecycleMode": if pv.inline { "Ephemeral" } else { "Persistent" },
        });
        self.place.write(notes, &content.to_string());
    }

    fn beliefs(&self) -> MutexGuard<'_, Beliefs> {
        self.beliefs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
