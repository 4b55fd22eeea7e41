//! A control group of the machine that is one host's alone, and goes when its test is over.

use crate::host::SCRATCH;
use crate::place::Place;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

static MADE: AtomicU32 = AtomicU32::new(0);

/// Waits for the end of its input, which is the end of the test, however it comes. What runs in the group then is killed.
const SWEEP: &str = r#"
cat >/dev/null
for _ in $(seq 500); do
    echo 1 >"$1/cgroup.kill"
    find "$1" -depth -type d -exec rmdir {} +
    [ -d "$1" ] || exit 0
    sleep 0.01
done
exit 1
"#;

/// A group in the unified hierarchy. It has no controllers: every machine has this hierarchy, also one that keeps its
/// controllers in the older ones, and nobody here wants to be limited.
#[derive(Debug)]
pub(crate) struct Groups {
    dir: PathBuf,
    sweeper: Child,
}

impl Groups {
    /// Makes the group. Its files are seen on the host alone.
    pub(crate) fn on(host: &Place) -> Self {
        let root = Path::new(SCRATCH).join("cgroup");
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let dir = root.join(format!("testkit-{}-{number}", std::process::id()));
        let (root, group) = (root.display(), dir.display());
        host.sh(&format!(
            "if ! [ -d {root} ]; then mkdir {root}; mount -t cgroup2 cgroup2 {root}; fi; mkdir {group}"
        ));
        // In a session of its own, it is not reached by what interrupts the test.
        let sweeper = host.spawn(
            Command::new("setsid")
                .args(["sh", "-c", SWEEP, "sweep"])
                .arg(&dir)
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::null()),
        );
        Self { dir, sweeper }
    }

    /// Where the group is.
    pub(crate) fn dir(&self) -> &Path {
        &self.dir
    }
}

impl Drop for Groups {
    fn drop(&mut self) {
        drop(self.sweeper.stdin.take());
        let swept = self.sweeper.wait().is_ok_and(|status| status.success());
        assert!(
            swept || std::thread::panicking(),
            "something stays in the control group {}",
            self.dir.display()
        );
    }
}
