//! The daemon: its configuration, its lives, its images.

use super::client::Cri;
use super::cri::{ImageSpec, ImageStatusRequest, StatusRequest};
use crate::host::Host;
use crate::image::Image;
use crate::init::Init;
use crate::place::Place;
use crate::plugins::Plugins;
use crate::process::{Appearance, Process};
use crate::wait::{PATIENCE, within};
use rustix::process::Signal;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// The image that every [`Containerd`] has: a static busybox, as [`Image::busybox`] makes it.
pub const BUSYBOX: &str = "localhost/busybox:testkit";

/// A containerd with runc. All of it ends with the test: the daemon, its shims and the pods.
///
/// Control groups are there, and without controllers, which not every machine can lend: a container is not limited, whatever
/// it asks for, and its out-of-memory score does not go below that of the test.
#[derive(Debug)]
pub struct Containerd {
    host: Place,
    dir: PathBuf,
    conf_dir: PathBuf,
    cri: Cri,
    process: Option<Process>,
    init: Option<Init>,
}

impl Containerd {
    /// Starts it on a host, with these plugins and this configuration list.
    pub fn start(host: &Host, plugins: &Plugins, conflist: &str) -> Self {
        let conf_dir = host.scratch("containerd/net.d");
        let mut containerd = Self::prepared(host, plugins.dir(), conf_dir);
        containerd.write_conflist(conflist);
        containerd.launch();
        containerd.await_conflist(conflist);
        containerd.import_busybox(host);
        containerd
    }

    /// Starts it on a host that has no network for pods yet: somebody will put plugins into `bin_dir`, and a configuration
    /// into `conf_dir`. Pods in the host's network run before that.
    pub fn without_network(host: &Host, bin_dir: &Path, conf_dir: &Path) -> Self {
        let mut containerd = Self::prepared(host, bin_dir, conf_dir.to_owned());
        containerd.launch();
        containerd.import_busybox(host);
        containerd
    }

    fn prepared(host: &Host, bin_dir: &Path, conf_dir: PathBuf) -> Self {
        let dir = host.scratch("containerd");
        let config = configuration(&dir, bin_dir, &conf_dir);
        host.write(dir.join("config.toml"), &config);
        Self {
            host: host.place().clone(),
            cri: Cri::on(host, dir.join("socket")),
            dir,
            conf_dir,
            process: None,
            init: Some(Init::of(host)),
        }
    }

    fn import_busybox(&self, host: &Host) {
        let archive = self.dir.join("busybox.tar");
        Image::busybox(BUSYBOX).write(host, &archive);
        self.import(&archive);
    }

    /// Its host.
    pub const fn host(&self) -> &Place {
        &self.host
    }

    /// The host with the daemon's processes: `inside().sh("ps aux")` shows them.
    pub fn inside(&self) -> &Place {
        self.init.as_ref().expect("an init").place()
    }

    /// The calls of its interface.
    pub const fn cri(&self) -> &Cri {
        &self.cri
    }

    /// Where it looks for configurations of networks, `/etc/cni/net.d` elsewhere.
    pub fn conf_dir(&self) -> PathBuf {
        self.conf_dir.clone()
    }

    /// Where the logs of containers are, in a folder for each pod.
    pub fn log_dir(&self) -> PathBuf {
        self.dir.join("logs")
    }

    /// Puts another configuration list in place of the one that it has, and waits until the daemon has read it.
    pub fn configure(&self, conflist: &str) {
        self.write_conflist(conflist);
        self.await_conflist(conflist);
    }

    /// Waits until it has a network for pods.
    pub fn await_network(&self) {
        within(PATIENCE, "there is a network for pods", || {
            let status = self.cri.status(StatusRequest { verbose: false });
            let conditions = status.ok().and_then(|answer| answer.status);
            let mut conditions = conditions.into_iter().flat_map(|status| status.conditions);
            conditions.any(|it| it.r#type == "NetworkReady" && it.status)
        });
    }

    /// Whether the interface knows an image of this name, so that kubelet would not pull it.
    pub fn has_image(&self, name: &str) -> bool {
        let request = ImageStatusRequest {
            image: Some(image(name)),
            verbose: false,
        };
        let status = self.cri.image_status(request);
        status.is_ok_and(|status| status.image.is_some())
    }

    /// Loads the images of an archive, OCI or Docker's, and returns their names.
    pub fn import(&self, archive: &Path) -> Vec<String> {
        let said = self.ctr(&format!("images import {}", archive.display()));
        let names = said.lines().filter_map(|line| {
            let (name, _digest) = line.strip_prefix("unpacking ")?.split_once(" (")?;
            Some(name.to_owned())
        });
        let names: Vec<String> = names.collect();
        assert!(!names.is_empty(), "no image: {said}");
        for name in &names {
            // The interface hears of images by events.
            within(PATIENCE, &format!("{name} is known"), || {
                self.has_image(name)
            });
        }
        names
    }

    /// Runs `ctr` with these words, on what the interface sees, and returns what it prints.
    pub fn ctr(&self, words: &str) -> String {
        let socket = self.dir.join("socket");
        let ctr = format!("ctr -a {} -n k8s.io {words}", socket.display());
        self.inside().sh(&ctr)
    }

    /// Asks it to end (SIGTERM) and waits until it has. Pods go on.
    pub fn stop(&mut self) {
        let ended = self.running().end(Signal::TERM, PATIENCE);
        assert!(ended.is_some(), "it does not stop; {}", self.log());
    }

    /// Kills it (SIGKILL). Pods go on, and so do plugins that it has started.
    pub fn kill(&mut self) {
        self.running().end(Signal::KILL, PATIENCE);
    }

    /// Starts it again, and waits until it answers.
    pub fn launch(&mut self) {
        assert!(self.process.is_none(), "containerd runs already");
        let socket = self.dir.join("socket");
        let appearance = Appearance::of(&self.host, &socket);
        let command = ["containerd".into(), "--config".into(), self.config()];
        let init = self.init.as_ref().expect("an init");
        let process = init.start(&command, &self.log_file());
        let deadline = Instant::now() + PATIENCE;
        while !appearance.listens() {
            let runs = Instant::now() < deadline && !process.has_ended();
            assert!(runs, "it does not listen; {}", self.log());
            process.wait_with(appearance.event(), PATIENCE);
        }
        self.process = Some(process);
        within(PATIENCE, "containerd serves the interface", || {
            self.cri.status(StatusRequest { verbose: false }).is_ok()
        });
    }

    /// Kills and starts it.
    pub fn crash(&mut self) {
        self.kill();
        self.launch();
    }

    /// Takes the power away and starts everything anew: processes, mounts and what is in memory are gone, and the boot id is
    /// another. The host's network stays, for the test to do with it as it likes.
    pub fn reboot(&mut self, host: &Host) {
        self.kill();
        drop(self.init.take());
        let dir = self.dir.display();
        host.sh(&format!(
            "for at in $(tac /proc/self/mounts | awk '{{ print $2 }}'); do \
                case $at in {dir}/* | /run/containerd/* | /run/netns/cni-*) umount $at;; esac; \
             done; rm -rf {dir}/state {dir}/socket* /run/containerd /run/netns/cni-*"
        ));
        host.pretend_reboot();
        self.init = Some(Init::of(host));
        self.launch();
    }

    /// What it said so far, in all of its lives.
    pub fn log(&self) -> String {
        self.host.read(self.log_file()).unwrap_or_default()
    }

    fn log_file(&self) -> PathBuf {
        self.dir.join("log")
    }

    fn config(&self) -> OsString {
        self.dir.join("config.toml").into()
    }

    fn running(&mut self) -> Process {
        self.process.take().expect("containerd runs")
    }

    /// Renames a complete file, as an installer does.
    fn write_conflist(&self, conflist: &str) {
        let dir = self.conf_dir();
        let file = dir.join("10-hawser.conflist");
        let aside = dir.join(".10-hawser.conflist.new");
        self.host.write(&aside, conflist);
        let renamed = self.host.run(|| std::fs::rename(&aside, &file));
        renamed.expect("put a configuration list in place");
    }

    /// The daemon shows, beside its status, the very text that it has read.
    fn await_conflist(&self, conflist: &str) {
        within(PATIENCE, "the configuration list is read", || {
            let status = self.cri.status(StatusRequest { verbose: true });
            let shown = status.ok().and_then(|mut s| s.info.remove("cniconfig"));
            let shown: serde_json::Value =
                serde_json::from_str(&shown.unwrap_or_default()).unwrap_or_default();
            let mut networks = shown["Networks"].as_array().into_iter().flatten();
            networks.any(|network| network["Config"]["Source"] == conflist)
        });
    }
}

impl Drop for Containerd {
    #[expect(clippy::print_stderr, reason = "a failed test shows what it prints")]
    fn drop(&mut self) {
        if let Some(process) = self.process.take() {
            process.end(Signal::KILL, PATIENCE);
        }
        drop(self.init.take());
        if std::thread::panicking() {
            let log = self.log();
            let told = log.lines().filter(|line| !is_start_up(line));
            eprintln!("containerd said:");
            told.for_each(|line| eprintln!("{line}"));
            let logs = self.log_dir();
            let said = format!("cd {} && grep -r '' . || true", logs.display());
            eprintln!("containers said:\n{}", self.host.sh(&said));
        }
    }
}

/// Whether a line of the log tells of a plugin of the daemon's that starts: dozens do.
fn is_start_up(line: &str) -> bool {
    ["loading plugin", "Start cri plugin"]
        .iter()
        .any(|words| line.contains(words))
}

/// An image, by its name.
pub(super) fn image(name: &str) -> ImageSpec {
    ImageSpec {
        image: name.to_owned(),
        ..ImageSpec::default()
    }
}

/// config.toml. Plugins of containerd that need something of the machine are left out.
fn configuration(dir: &Path, bin_dir: &Path, conf_dir: &Path) -> String {
    let (dir, bin_dir, conf_dir) = (dir.display(), bin_dir.display(), conf_dir.display());
    format!(
        r#"version = 2
root = "{dir}/root"
state = "{dir}/state"
disabled_plugins = [
  "io.containerd.internal.v1.opt",
  "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.snapshotter.v1.zfs",
]

[grpc]
address = "{dir}/socket"

[plugins."io.containerd.grpc.v1.cri"]
disable_apparmor = true
disable_cgroup = true
restrict_oom_score_adj = true
sandbox_image = "{BUSYBOX}"

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "{bin_dir}"
conf_dir = "{conf_dir}"
"#
    )
}
