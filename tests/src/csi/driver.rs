//! The driver under test as a process on a node.

use super::node::Node;
use crate::place::Place;
use crate::plugins::built_here;
use crate::process::{Appearance, Process};
use crate::wait::PATIENCE;
use rustix::process::Signal;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::Instant;

/// The variable that names another driver to be tested: an executable, or a script that translates our flags for it.
pub const DRIVER: &str = "HAWSER_CSI_DRIVER";

/// How a driver is to be started. Flags are `--name=value`; the usual ones are there already.
#[derive(Debug, Clone)]
pub struct Setup {
    place: Place,
    executable: PathBuf,
    name: String,
    kubelet_dir: PathBuf,
    log: PathBuf,
    flags: Vec<(String, String)>,
}

impl Setup {
    /// The driver under test on `node`, with its state in `state`: the one of [`DRIVER`], else the one that cargo built
    /// beside the test.
    pub fn on(node: &Node, state: &Path) -> Self {
        let executable = std::env::var_os(DRIVER)
            .map_or_else(|| built_here().join("csi-hostpath"), PathBuf::from);
        let setup = Self {
            place: node.place().clone(),
            executable: std::path::absolute(&executable).unwrap_or(executable),
            name: String::new(),
            kubelet_dir: node.kubelet_dir(),
            log: node.root().join("driver.log"),
            flags: Vec::new(),
        };
        setup
            .flag("nodeid", "node-1")
            .flag("statedir", &state.display().to_string())
            .flag("kubelet-dir", &node.kubelet_dir().display().to_string())
            .named("hostpath.hawser.io")
    }

    /// Another executable: an older version, or one that a test brings along.
    #[must_use]
    pub fn running(mut self, executable: impl Into<PathBuf>) -> Self {
        self.executable = executable.into();
        self
    }

    /// The executable.
    pub fn executable(&self) -> &Path {
        &self.executable
    }

    /// Gives the driver another name, and the socket that goes with it.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        name.clone_into(&mut self.name);
        let endpoint = format!("unix://{}", self.socket().display());
        self.flag("drivername", name).flag("endpoint", &endpoint)
    }

    /// Sets a flag: `flag("attach-limit", "3")` is `--attach-limit=3`. It replaces one that is set already.
    #[must_use]
    pub fn flag(mut self, name: &str, value: &str) -> Self {
        self.flags.retain(|(set, _)| set != name);
        self.flags.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Leaves a flag out.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.flags.retain(|(set, _)| set != name);
        self
    }

    /// The driver's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its CSI socket.
    pub fn socket(&self) -> PathBuf {
        let plugins = self.kubelet_dir.join("plugins");
        plugins.join(&self.name).join("csi.sock")
    }

    /// Starts the driver and waits until it listens.
    pub fn start(self) -> Driver {
        let mut driver = Driver {
            setup: self,
            process: None,
            watch: None,
        };
        driver.start();
        driver
    }

    /// Starts a driver that is to end by itself, and returns how it ended and what it said.
    pub fn fails(self) -> (ExitStatus, String) {
        let appearance = Appearance::of(&self.place, &self.socket());
        // Another driver may have the socket.
        let before = appearance.listens();
        let process = self.process();
        let deadline = Instant::now() + PATIENCE;
        while !process.has_ended() && Instant::now() < deadline {
            let listens = !before && appearance.listens();
            assert!(!listens, "the driver listens: {}", self.said());
            process.wait_with(appearance.event(), PATIENCE);
        }
        let status = process.end(Signal::KILL, PATIENCE);
        (status.expect("a status"), self.said())
    }

    fn process(&self) -> Process {
        let found = self.place.run(|| self.executable.is_file());
        let remedy = format!("build it (cargo build -p csi-hostpath), or name another in {DRIVER}");
        let executable = self.executable.display();
        assert!(found, "there is no driver {executable}: {remedy}");
        let flags = self.flags.iter();
        let flags = flags.map(|(name, value)| OsString::from(format!("--{name}={value}")));
        let command: Vec<OsString> = std::iter::once(self.executable.clone().into())
            .chain(flags)
            .collect();
        Process::start(&self.place, &command, &self.log)
    }

    fn said(&self) -> String {
        self.place.read(&self.log).unwrap_or_default()
    }
}

/// A driver, running or stopped. It is killed when it is dropped, and its log is printed when the test has failed.
#[derive(Debug)]
pub struct Driver {
    setup: Setup,
    process: Option<Process>,
    /// By which its socket was seen. The kernel takes longer to close an inotify than the driver to start, which a bench
    /// would measure: it is closed when the driver ends.
    watch: Option<Appearance>,
}

impl Driver {
    /// How it is started.
    pub const fn setup(&self) -> &Setup {
        &self.setup
    }

    /// Starts it again, on the same state, and waits until it listens.
    pub fn start(&mut self) {
        assert!(self.process.is_none(), "the driver runs already");
        let appearance = Appearance::of(&self.setup.place, &self.setup.socket());
        let process = self.setup.process();
        let deadline = Instant::now() + PATIENCE;
        while !appearance.listens() {
            let late = Instant::now() > deadline;
            assert!(
                !late && !process.has_ended(),
                "the driver does not listen at {}; it {} and said:\n{}",
                self.setup.socket().display(),
                if late { "runs" } else { "has ended" },
                self.log(),
            );
            process.wait_with(appearance.event(), PATIENCE);
        }
        self.process = Some(process);
        self.watch = Some(appearance);
    }

    /// Starts it again with other flags; it is stopped first where it runs.
    pub fn start_with(&mut self, change: impl FnOnce(Setup) -> Setup) {
        if self.process.is_some() {
            self.stop();
        }
        self.setup = change(self.setup.clone());
        self.start();
    }

    /// Asks it to end (SIGTERM) and waits until it has.
    pub fn stop(&mut self) -> ExitStatus {
        let ended = self.running().end(Signal::TERM, PATIENCE);
        self.watch = None;
        ended.unwrap_or_else(|| panic!("the driver does not stop; it said:\n{}", self.log()))
    }

    /// Kills it (SIGKILL), as a crash would.
    pub fn kill(&mut self) {
        self.running().end(Signal::KILL, PATIENCE);
        self.watch = None;
    }

    /// Stops and starts it.
    pub fn restart(&mut self) {
        self.stop();
        self.start();
    }

    /// Kills and starts it.
    pub fn crash(&mut self) {
        self.kill();
        self.start();
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        let process = self.process.as_ref();
        process.expect("the driver runs").pid()
    }

    /// What it said so far, in all of its lives.
    pub fn log(&self) -> String {
        self.setup.said()
    }

    fn running(&mut self) -> Process {
        self.process.take().expect("the driver runs")
    }
}

impl Drop for Driver {
    #[expect(clippy::print_stderr, reason = "a failed test shows what it prints")]
    fn drop(&mut self) {
        if let Some(process) = self.process.take() {
            process.end(Signal::KILL, PATIENCE);
        }
        if std::thread::panicking() {
            eprintln!("the driver said:\n{}", self.log());
        }
    }
}
