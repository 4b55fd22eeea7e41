//! A running `hawser-node` on a host, with folders of its own.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs::File;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};
use testkit::api_server::Server;
use testkit::{Host, Plugins};

pub const BIN: &str = "/run/testkit/bin";
pub const CONF: &str = "/run/testkit/net.d";
pub const CONFLIST: &str = "/run/testkit/net.d/10-hawser.conflist";
const LAST_WORDS: &str = "/run/testkit/termination-log";
const LOG: &str = "/run/testkit/log";
const PAGES: &str = "127.0.0.1:9809";

pub struct Agent<'a> {
    host: &'a Host,
    child: Child,
}

/// The command with what every test needs, and no more rights than the manifests give it.
fn command(server: Option<&Server>, words: &[&str]) -> Command {
    let plugins = Plugins::built_here();
    let rights = if words.contains(&"--routes") || words.contains(&"remove") {
        "-all,+net_admin"
    } else {
        "-all"
    };
    let mut command = Command::new("/usr/bin/setpriv");
    command
        .env_clear()
        .args(["--inh-caps=-all", &format!("--bounding-set={rights}")])
        .arg(plugins.executable("hawser-node"))
        .args(words)
        .args([
            "--bin-dir",
            BIN,
            "--conf-dir",
            CONF,
            "--termination-log",
            LAST_WORDS,
        ]);
    if let Some(server) = server {
        command
            .env("KUBERNETES_SERVICE_HOST", "127.0.0.1")
            .env("KUBERNETES_SERVICE_PORT", server.port().to_string())
            .env("NODE_NAME", "n1")
            .env("POD_NAMESPACE", "hawser-system")
            .env("DAEMONSET_NAME", "hawser-node");
    }
    command
}

/// Runs `hawser-node remove` to its end.
pub fn remove(host: &Host) -> ExitStatus {
    let output = host.output(&mut command(None, &["remove"]));
    assert!(output.status.success(), "{output:?}");
    output.status
}

impl<'a> Agent<'a> {
    pub fn start(host: &'a Host, server: Option<&Server>, words: &[&str]) -> Self {
        host.write(LAST_WORDS, "");
        let hawser = Plugins::built_here().executable("hawser");
        let log = host.run(|| File::options().create(true).append(true).open(LOG).unwrap());
        let mut command = command(server, words);
        command
            .arg("--hawser")
            .arg(hawser)
            .args(["--http-endpoint", PAGES])
            .stderr(log);
        let child = host.spawn(&mut command);
        Self { host, child }
    }

    /// Status and text of a page; 0 while nobody answers.
    pub fn page(&self, path: &str) -> (u16, String) {
        let url = format!("http://{PAGES}{path}");
        let script = format!("curl -s -m 4 -w '\\n%{{http_code}}' {url} || true");
        let told = self.host.sh(&script);
        let (text, code) = told.rsplit_once('\n').unwrap_or(("", &told));
        (code.parse().unwrap_or(0), text.to_owned())
    }

    #[track_caller]
    pub fn await_ready(&self) {
        testkit::eventually("the node is ready", || self.page("/readyz").0 == 200);
    }

    /// Waits until it knows that its DaemonSet is there, for the `nth` time on this host.
    #[track_caller]
    pub fn await_owner(&self, nth: usize) {
        testkit::eventually("it has seen its DaemonSet", || {
            log(self.host)
                .matches("belongs to the DaemonSet hawser-system/hawser-node")
                .count()
                == nth
        });
    }

    /// Asks for the end, and waits for it.
    pub fn stop(mut self) -> ExitStatus {
        let pid = i32::try_from(self.child.id()).unwrap();
        kill(Pid::from_raw(pid), Signal::SIGTERM).unwrap();
        self.child.wait().unwrap()
    }

    /// Waits until it ends by itself; returns its last words.
    pub fn last_words(mut self) -> String {
        let status = self.child.wait().unwrap();
        assert_eq!(status.code(), Some(1), "{}", log(self.host));
        self.host.read(LAST_WORDS).unwrap()
    }
}

impl Drop for Agent<'_> {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn log(host: &Host) -> String {
    host.read(LOG).unwrap_or_default()
}

/// An executable of somebody else in the folder of plugins.
pub fn foreign(host: &Host, name: &str) -> PathBuf {
    let path = PathBuf::from(BIN).join(name);
    host.write(&path, "#!/bin/sh\necho somebody else\n");
    host.run(|| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap());
    path
}
