//! A host's first process: with it, processes and control groups are the host's own, as the network and the mounts are.

use crate::groups::Groups;
use crate::host::Host;
use crate::place::{Namespaces, Place, Processes};
use crate::process::Process;
use crate::wait::PATIENCE;
use nix::sched::{CloneFlags, unshare};
use rustix::process::Signal;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::path::Path;
use std::thread;
use std::time::Duration;

/// What init does at first: it mounts a /proc for its namespace, with the boot id that the host has, and enters its group.
/// Nobody else sees this /proc, because threads of the test find themselves in the machine's alone.
const BOOT: &str = r#"
cp /proc/sys/kernel/random/boot_id "$2"
mount --make-private /proc
mount -t proc proc /proc
mount --bind "$2" /proc/sys/kernel/random/boot_id
echo 0 >"$1/cgroup.procs"
exec unshare --cgroup sh -ec "$3"
"#;

/// What it does then, as the root of its group. Processes must not be in a group that has others beneath it, so they have one
/// of their own. Waiting reaps whoever has lost its parent.
const SERVE: &str = r#"
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir /sys/fs/cgroup/init
echo 0 >/sys/fs/cgroup/init/cgroup.procs
echo ready
while :; do sleep infinity & wait; done
"#;

/// Enters the group of init and becomes another program.
const LAUNCH: &str = r#"echo 0 >/sys/fs/cgroup/init/cgroup.procs && exec "$@""#;

/// The first process of a host, for programs that leave processes behind, as container runtimes do: all of them end with
/// it, and it ends with the test.
///
/// The host's mounts are shared from then on, as on a machine with systemd: what is mounted in here is seen on the host, and
/// the other way round.
#[derive(Debug)]
pub struct Init {
    host: Place,
    place: Place,
    process: Option<Process>,
    _groups: Groups,
}

impl Init {
    /// Starts it. A host has one at a time.
    pub fn of(host: &Host) -> Self {
        host.sh("mount --make-rshared /");
        let groups = Groups::on(host.place());
        let log = host.scratch("init.log");
        let command = [
            "sh".into(),
            "-ec".into(),
            BOOT.into(),
            "init".into(),
            groups.dir().into(),
            host.scratch("init.boot_id").into(),
            OsString::from(SERVE),
        ];
        host.write(&log, "");
        let process = Process::start_after(become_a_family, host.place(), &command, &log);
        while !host.read(&log).is_some_and(|said| said.contains("ready")) {
            let said = || host.read(&log).unwrap_or_default();
            assert!(!process.has_ended(), "init has ended: {}", said());
            thread::sleep(Duration::from_millis(2));
        }
        let namespaces = namespaces(process.pid());
        Self {
            host: host.place().clone(),
            place: Place::host(namespaces.expect("open the namespaces of init")),
            process: Some(process),
            _groups: groups,
        }
    }

    /// The host, with the processes of init: what is started here is one of them.
    pub const fn place(&self) -> &Place {
        &self.place
    }

    /// A program with arguments as it has to be started in the [`place`](Self::place), to be in its control group as well.
    pub fn command(program: impl AsRef<OsStr>) -> std::process::Command {
        let mut command = std::process::Command::new("sh");
        command.args(["-c", LAUNCH, "launch"]).arg(program);
        command
    }

    /// Starts a program that runs until it is ended, its output added to `log`.
    pub(crate) fn start(&self, command: &[OsString], log: &Path) -> Process {
        let launch = ["sh", "-c", LAUNCH, "launch"].map(OsString::from);
        Process::start(&self.place, &[&launch, command].concat(), log)
    }
}

impl Drop for Init {
    fn drop(&mut self) {
        if let Some(process) = self.process.take() {
            process.end(Signal::KILL, PATIENCE);
        }
        self.host.sh("umount /sys/fs/cgroup");
    }
}

/// Makes the calling thread's next child the first process of a namespace, with mounts of its own.
fn become_a_family() {
    let unshared = unshare(CloneFlags::CLONE_NEWPID | CloneFlags::CLONE_NEWNS);
    unshared.expect("make a namespace of processes");
}

fn namespaces(pid: u32) -> io::Result<Namespaces> {
    let open = |name: &str| File::open(format!("/proc/{pid}/ns/{name}"));
    Ok(Namespaces {
        net: open("net")?,
        mnt: open("mnt")?,
        processes: Some(Processes {
            pid: open("pid")?,
            cgroup: open("cgroup")?,
        }),
    })
}
