//! A real podman on a host of its own, whose containers get their network from plugins.

use crate::host::Host;
use crate::image::Image;
use crate::init::Init;
use crate::place::Place;
use crate::plugins::Plugins;
use std::path::{Path, PathBuf};
use std::process::Output;

/// podman with its CNI backend, and crun. It has no daemon; what it leaves running ends with the test.
///
/// ```no_run
/// use testkit::{Host, Plugins, Podman};
///
/// let host = Host::new();
/// let conflist = r#"{"cniVersion": "1.0.0", "name": "podnet", "plugins": []}"#;
/// let podman = Podman::on(&host, &Plugins::under_test(), conflist);
/// podman.ok("run --detach --name web --network podnet localhost/busybox:testkit");
/// assert_eq!(podman.ok("exec web busybox hostname -i"), "10.22.0.2");
/// podman.ok("rm --force --time 0 web");
/// ```
#[derive(Debug)]
pub struct Podman {
    host: Place,
    dir: PathBuf,
    init: Init,
}

impl Podman {
    /// The image that is there: a static busybox, as [`Image::busybox`] makes it.
    pub const BUSYBOX: &str = "localhost/busybox:testkit";

    /// Puts it on a host, with these plugins and this configuration list.
    pub fn on(host: &Host, plugins: &Plugins, conflist: &str) -> Self {
        let podman = Self {
            host: host.place().clone(),
            dir: host.scratch("podman"),
            init: Init::of(host),
        };
        let (dir, plugins) = (podman.dir.as_path(), plugins.dir());
        host.write(dir.join("containers.conf"), &engine(dir, plugins));
        host.write(dir.join("storage.conf"), &storage(dir));
        host.write(dir.join("registries.conf"), "");
        host.write(dir.join("net.d/10-hawser.conflist"), conflist);
        let archive = dir.join("busybox.tar");
        Image::busybox(Self::BUSYBOX).write(host, &archive);
        podman.ok(&format!("load --input {}", archive.display()));
        podman
    }

    /// Runs `podman` with these words, and returns what it prints. When it fails, so does the test.
    #[track_caller]
    pub fn ok(&self, words: &str) -> String {
        let output = self.run(words);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "podman {words}: {said}");
        let printed = String::from_utf8_lossy(&output.stdout);
        printed.trim_end().to_owned()
    }

    /// Runs `podman` with these words to be refused, and returns why.
    #[track_caller]
    pub fn refused(&self, words: &str) -> String {
        let output = self.run(words);
        assert!(!output.status.success(), "podman {words}: it succeeds");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// The network of a running container, with the mounts of the host.
    pub fn place_of(&self, container: &str) -> Place {
        let netns = self.inspected(container, ".NetworkSettings.SandboxKey");
        self.host.in_netns(container, Path::new(&netns))
    }

    /// A field of `podman inspect`, in the language of its templates.
    pub fn inspected(&self, container: &str, field: &str) -> String {
        self.ok(&format!("inspect --format {{{{{field}}}}} {container}"))
    }

    fn run(&self, words: &str) -> Output {
        let of = |file: &str| self.dir.join(file);
        let mut command = Init::command("podman");
        command
            .args(words.split_whitespace())
            .env("CONTAINERS_CONF", of("containers.conf"))
            .env("CONTAINERS_STORAGE_CONF", of("storage.conf"))
            .env("CONTAINERS_REGISTRIES_CONF", of("registries.conf"))
            .env("HOME", &self.dir);
        self.init.place().output(&mut command)
    }
}

/// containers.conf. Locks in files are the test's own; those in shared memory would be every podman's.
fn engine(dir: &Path, plugins: &Path) -> String {
    let (dir, plugins) = (dir.display(), plugins.display());
    format!(
        r#"[containers]
apparmor_profile = ""
cgroups = "disabled"
log_driver = "k8s-file"

[network]
network_backend = "cni"
cni_plugin_dirs = ["{plugins}"]
network_config_dir = "{dir}/net.d"
default_network = "podnet"

[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
lock_type = "file"
runtime = "crun"
tmp_dir = "{dir}/tmp"
"#
    )
}

fn storage(dir: &Path) -> String {
    let dir = dir.display();
    format!(
        r#"[storage]
driver = "overlay"
graphroot = "{dir}/root"
runroot = "{dir}/runroot"
"#
    )
}
