//! A place: one network namespace and one mount namespace in which commands and closures run.
//!
//! Namespaces belong to threads, so everything that happens in a place happens on a short-lived thread that enters it
//! first. Nothing else of the test process ever leaves the machine's namespaces, several threads may be in one place at
//! once, and whatever a thread starts there (a plugin, `ip`, a socket) stays there.

use nix::sched::{CloneFlags, setns, unshare};
use serde_json::Value;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::thread;

/// The namespaces of a host. They vanish with the last descriptor and the last process inside.
#[derive(Debug)]
pub(crate) struct Namespaces {
    pub(crate) net: File,
    pub(crate) mnt: File,
    pub(crate) processes: Option<Processes>,
}

/// The process and control group namespaces of a host with an [`Init`](crate::Init).
#[derive(Debug)]
pub(crate) struct Processes {
    pub(crate) pid: File,
    pub(crate) cgroup: File,
}

/// Where commands and closures run. [`Host`](crate::Host) and [`Pod`](crate::Pod) are places.
#[derive(Debug, Clone)]
pub struct Place {
    name: String,
    host: Arc<Namespaces>,
    netns: Option<PathBuf>,
}

impl Place {
    pub(crate) fn host(host: Namespaces) -> Self {
        Self {
            name: "host".to_owned(),
            host: Arc::new(host),
            netns: None,
        }
    }

    /// The place on the same host whose network namespace is bound at `path`.
    pub(crate) fn in_netns(&self, name: &str, path: &Path) -> Self {
        Self {
            name: name.to_owned(),
            host: Arc::clone(&self.host),
            netns: Some(path.to_owned()),
        }
    }

    /// The host on which this place is.
    pub(crate) fn host_of(&self) -> Self {
        Self {
            name: "host".to_owned(),
            host: Arc::clone(&self.host),
            netns: None,
        }
    }

    /// What the place is called in reports: `host`, or the name of the pod.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs `job` in this place and returns what it returns; a panic goes on in the caller.
    pub fn run<T: Send>(&self, job: impl FnOnce() -> T + Send) -> T {
        thread::scope(|scope| {
            let worker = thread::Builder::new()
                .name(format!("in {}", self.name))
                .spawn_scoped(scope, || {
                    self.enter();
                    job()
                });
            match worker.expect("start a thread").join() {
                Ok(value) => value,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }

    fn enter(&self) {
        // A mount namespace can only be entered by a thread that shares its root directory with nobody.
        unshare(CloneFlags::CLONE_FS).expect("leave the shared root directory");
        setns(&self.host.mnt, CloneFlags::CLONE_NEWNS).expect("enter the host's mounts");
        match &self.netns {
            None => {
                setns(&self.host.net, CloneFlags::CLONE_NEWNET).expect("enter the host's network")
            }
            Some(path) => {
                let netns = File::open(path)
                    .unwrap_or_else(|e| panic!("{}: open {}: {e}", self.name, path.display()));
                setns(netns, CloneFlags::CLONE_NEWNET).expect("enter the pod's network");
            }
        }
        if let Some(own) = &self.host.processes {
            setns(&own.cgroup, CloneFlags::CLONE_NEWCGROUP).expect("enter the host's groups");
            // It is what the thread starts that is a process there; the thread itself stays where it is.
            setns(&own.pid, CloneFlags::CLONE_NEWPID).expect("enter the host's processes");
        }
    }

    /// Starts a command here. Waiting for it needs no place.
    pub fn spawn(&self, command: &mut Command) -> Child {
        let name = command.get_program().to_os_string();
        self.run(|| command.spawn())
            .unwrap_or_else(|e| panic!("start {}: {e}", name.display()))
    }

    /// Runs a command here to its end, whatever that is.
    pub fn output(&self, command: &mut Command) -> Output {
        let child = self.spawn(
            command
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped()),
        );
        child.wait_with_output().expect("read a command's output")
    }

    /// Whether a shell script run here ends well.
    pub fn succeeds(&self, script: &str) -> bool {
        self.output(Command::new("sh").args(["-c", script]))
            .status
            .success()
    }

    /// What a shell script prints here. A script that fails is a failed test.
    pub fn sh(&self, script: &str) -> String {
        let output = self.output(Command::new("sh").args(["-ec", script]));
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "in {}: {script}\n{}: {stderr}",
            self.name,
            output.status
        );
        String::from_utf8_lossy(&output.stdout)
            .trim_end()
            .to_owned()
    }

    /// The JSON that a shell script prints here; nothing at all counts as an empty list.
    pub fn json(&self, script: &str) -> Value {
        let text = self.sh(script);
        if text.is_empty() {
            return Value::Array(Vec::new());
        }
        serde_json::from_str(&text)
            .unwrap_or_else(|e| panic!("in {}: {script}\n{e}: {text}", self.name))
    }

    /// One interface as `ip -d -j addr` shows it; null when there is none of that name.
    pub fn link(&self, ifname: &str) -> Value {
        let links = self.json("ip -d -j addr");
        let mut links = links.as_array().into_iter().flatten();
        links
            .find(|link| link["ifname"] == ifname)
            .cloned()
            .unwrap_or(Value::Null)
    }

    /// A sysctl under /proc/sys, by its path: `net/ipv4/ip_forward`. None when there is none of that name.
    pub fn sysctl(&self, key: &str) -> Option<String> {
        let path = Path::new("/proc/sys").join(key);
        self.run(|| std::fs::read_to_string(path))
            .ok()
            .map(|value| value.trim_end().to_owned())
    }

    /// Sets a sysctl.
    pub fn set_sysctl(&self, key: &str, value: &str) {
        let path = Path::new("/proc/sys").join(key);
        self.run(|| std::fs::write(&path, value))
            .unwrap_or_else(|e| panic!("write {value} to {}: {e}", path.display()));
    }

    /// Writes a file of the host, with the directories above it.
    pub fn write(&self, path: impl AsRef<Path>, content: &str) {
        let path = path.as_ref();
        let written = self.run(|| {
            path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
            std::fs::write(path, content)
        });
        written.unwrap_or_else(|e| panic!("write {}: {e}", path.display()));
    }

    /// The content of a file of the host, when it is there.
    pub fn read(&self, path: impl AsRef<Path>) -> Option<String> {
        let path = path.as_ref();
        self.run(|| std::fs::read(path))
            .ok()
            .map(|content| String::from_utf8_lossy(&content).into_owned())
    }

    /// The names in a directory of the host, sorted; none when it is not there.
    pub fn list(&self, path: impl AsRef<Path>) -> Vec<String> {
        let path = path.as_ref();
        let mut names: Vec<String> = self.run(|| {
            let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
            entries
                .map(|entry| entry.file_name().to_string_lossy().into_owned())
                .collect()
        });
        names.sort();
        names
    }
}

/// The addresses of a link as [`Place::link`] gives it, each with its prefix length, without the kernel's link-local ones.
pub fn addresses(link: &Value) -> Vec<String> {
    let all = link["addr_info"].as_array().into_iter().flatten();
    let global = all.filter(|address| address["scope"] == "global");
    let text = |a: &Value| {
        format!(
            "{}/{}",
            a["local"].as_str().unwrap_or_default(),
            a["prefixlen"]
        )
    };
    global.map(text).collect()
}
