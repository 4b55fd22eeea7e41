//! `hawser install` in folders of its own: what it puts there, what it restores, and what a crash at any moment leaves.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{fs, thread};
use tempfile::TempDir;
use testkit::{Host, Plugins, at_once};

const NAMES: [&str; 6] = [
    "bridge",
    "firewall",
    "hawser",
    "host-local",
    "loopback",
    "portmap",
];
const THEIRS: &str = "#!/bin/sh\necho somebody else\n";

/// A folder for executables and one for configurations, and an executable to install.
struct Node {
    dir: TempDir,
}

impl Node {
    /// A node on which somebody else's `bridge` and `tuning` are.
    fn new() -> Self {
        let node = Self {
            dir: tempfile::tempdir().unwrap(),
        };
        fs::create_dir_all(node.bin()).unwrap();
        for name in ["bridge", "tuning"] {
            node.put(name, THEIRS);
        }
        node
    }

    fn bin(&self) -> PathBuf {
        self.dir.path().join("bin")
    }

    fn conf(&self) -> PathBuf {
        self.dir.path().join("net.d")
    }

    fn put(&self, name: &str, content: &str) {
        // Whoever writes an executable in place may meet somebody who runs it.
        let aside = self.dir.path().join(name);
        fs::write(&aside, content).unwrap();
        fs::set_permissions(&aside, fs::Permissions::from_mode(0o755)).unwrap();
        fs::rename(aside, self.bin().join(name)).unwrap();
    }

    fn command(&self, before: &[&str], hawser: &Path, words: &[&str]) -> Command {
        let mut line: Vec<_> = before.iter().map(PathBuf::from).collect();
        line.push(hawser.to_owned());
        let mut command = Command::new(&line[0]);
        command.args(&line[1..]).arg("install").args(words);
        command
            .arg("--bin-dir")
            .arg(self.bin())
            .arg("--conf-dir")
            .arg(self.conf());
        command
    }

    fn run(&self, hawser: &Path, words: &[&str]) -> Output {
        self.command(&[], hawser, words).output().unwrap()
    }

    #[track_caller]
    fn ok(&self, hawser: &Path, words: &[&str]) -> String {
        let output = self.run(hawser, words);
        assert!(output.status.success(), "{words:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// What each name leads to, without what is ours beside them.
    fn state(&self) -> BTreeMap<String, String> {
        let mut state = BTreeMap::new();
        for dir in [self.bin(), self.conf()] {
            for entry in fs::read_dir(dir).into_iter().flatten() {
                let path = entry.unwrap().path();
                let name = path.file_name().unwrap().to_string_lossy().into_owned();
                if !path.is_file() {
                    state.insert(name, "a folder".to_owned());
                    continue;
                }
                // Ours is an executable of megabytes.
                let content = if fs::metadata(&path).unwrap().len() < 1 << 16 {
                    String::from_utf8_lossy(&fs::read(&path).unwrap()).into_owned()
                } else {
                    "hawser".to_owned()
                };
                state.insert(name, content);
            }
        }
        state
    }

    #[track_caller]
    fn assert_installed(&self, hawser: &Path) {
        let wanted = fs::read(hawser).unwrap();
        let inode = fs::metadata(self.bin().join("hawser")).unwrap().ino();
        for name in NAMES {
            let path = self.bin().join(name);
            assert_eq!(
                fs::metadata(&path).unwrap().ino(),
                inode,
                "{name} is a link"
            );
        }
        assert!(
            fs::read(self.bin().join("hawser")).unwrap() == wanted,
            "the whole executable"
        );
    }
}

/// The executable without what is for debuggers: the sweeps copy it a thousand times.
fn hawser() -> &'static Path {
    static LIGHT: OnceLock<PathBuf> = OnceLock::new();
    LIGHT.get_or_init(|| {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("hawser-light");
        let built = Plugins::built_here().executable("hawser");
        let mut strip = Command::new("strip");
        let stripped = strip.arg("-o").arg(&path).arg(built).status();
        assert!(stripped.unwrap().success());
        path
    })
}

/// Another version: the same program in another file.
fn older(node: &Node) -> PathBuf {
    let path = node.dir.path().join("older");
    // By another process: one that is started meanwhile would have the file open for writing, and keep it from being run.
    let script = format!(
        "cp {0} {1}; printf older >>{1}",
        hawser().display(),
        path.display()
    );
    let copied = Command::new("sh").args(["-ec", &script]).status();
    assert!(copied.unwrap().success());
    path
}

const SUBNET: [&str; 2] = ["--subnet", "10.244.1.0/24"];
const UNINSTALL: [&str; 1] = ["--uninstall"];

#[test]
fn what_is_replaced_comes_back() {
    let node = Node::new();
    let before = node.state();
    let told = node.ok(hawser(), &SUBNET);
    node.assert_installed(hawser());
    assert!(
        told.contains("bridge: installed; what was there is kept"),
        "{told}"
    );
    assert!(node.conf().join("10-hawser.conflist").is_file());
    let told = node.ok(hawser(), &UNINSTALL);
    assert!(
        told.contains("bridge: removed; what was there before is back"),
        "{told}"
    );
    assert_eq!(node.state(), before);
    let told = node.ok(hawser(), &UNINSTALL);
    assert!(
        told.contains("nothing of Hawser is installed there"),
        "{told}"
    );
}

#[test]
fn twice_changes_nothing() {
    let node = Node::new();
    node.ok(hawser(), &SUBNET);
    let look = || {
        let paths = NAMES.map(|name| node.bin().join(name)).into_iter();
        let all = paths.chain([
            node.bin().join(".hawser/record"),
            node.bin().join(".hawser/kept/bridge"),
            node.conf().join("10-hawser.conflist"),
        ]);
        all.map(|path| fs::metadata(path).unwrap())
            .map(|found| (found.ino(), found.mtime(), found.mtime_nsec()))
            .collect::<Vec<_>>()
    };
    let before = look();
    let told = node.ok(hawser(), &SUBNET);
    assert_eq!(
        told.matches("already there").count(),
        NAMES.len() + 1,
        "{told}"
    );
    assert_eq!(look(), before);
}

#[test]
fn an_older_version_is_replaced_and_not_kept() {
    let node = Node::new();
    let before = node.state();
    let older = older(&node);
    node.ok(&older, &[]);
    node.assert_installed(&older);
    node.ok(hawser(), &[]);
    node.assert_installed(hawser());
    // Back, and forth: whatever version takes it out, what was there before any of them comes back.
    node.ok(&older, &[]);
    node.ok(hawser(), &UNINSTALL);
    assert_eq!(node.state(), before);
}

#[test]
fn what_somebody_put_there_since_stays() {
    let node = Node::new();
    node.ok(hawser(), &[]);
    node.put("portmap", "#!/bin/sh\necho a third\n");
    let told = node.ok(hawser(), &UNINSTALL);
    assert!(!told.contains("portmap: removed"), "{told}");
    assert_eq!(node.state()["portmap"], "#!/bin/sh\necho a third\n");
    assert_eq!(node.state()["bridge"], THEIRS);
}

#[test]
fn a_name_always_leads_to_a_whole_executable() {
    let node = Node::new();
    let older = older(&node);
    node.ok(&older, &[]);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let starts = scope.spawn(|| {
            let mut starts = 0;
            while !done.load(Ordering::Relaxed) {
                let mut bridge = Command::new(node.bin().join("bridge"));
                let output = bridge.env("CNI_COMMAND", "VERSION").output().unwrap();
                assert!(output.status.success(), "{output:?}");
                starts += 1;
            }
            starts
        });
        for _ in 0..5 {
            node.ok(hawser(), &[]);
            node.ok(&older, &[]);
        }
        done.store(true, Ordering::Relaxed);
        assert!(starts.join().unwrap() > 5);
    });
}

#[test]
fn several_at_once_are_as_one() {
    let node = Node::new();
    let before = node.state();
    for outcome in at_once(&[(); 4], |()| node.run(hawser(), &SUBNET)) {
        assert!(outcome.status.success(), "{outcome:?}");
    }
    node.assert_installed(hawser());
    for outcome in at_once(&[(); 4], |()| node.run(hawser(), &UNINSTALL)) {
        assert!(outcome.status.success(), "{outcome:?}");
    }
    assert_eq!(node.state(), before);
    // Some come while others take away what was made.
    for words in [&SUBNET[..], &UNINSTALL[..]].repeat(4) {
        let outcomes = at_once(&[words, &UNINSTALL, words, &UNINSTALL], |words| {
            node.run(hawser(), words)
        });
        for outcome in outcomes {
            assert!(outcome.status.success(), "{outcome:?}");
        }
    }
    node.ok(hawser(), &UNINSTALL);
    assert_eq!(node.state(), before);
}

/// Kills a command in front of each call that changes something, and looks what `check` says of what it left.
fn sweep(prepare: impl Fn(&Node) + Sync, words: &[&str], check: impl Fn(&Node, &str) + Sync) {
    let tripwire = Plugins::built_here().dir().join("tripwire");
    let tripwire = tripwire.to_str().unwrap();
    let trip = |node: &Node, number: usize| {
        let number = number.to_string();
        let mut command = node.command(&[tripwire, &number], hawser(), words);
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    let node = Node::new();
    prepare(&node);
    let calls: Vec<String> = trip(&node, 0).lines().map(str::to_owned).collect();
    assert!(
        calls.len() > 15 && calls.iter().any(|call| call.starts_with("rename")),
        "{calls:?}"
    );
    let numbers: Vec<usize> = (1..=calls.len()).collect();
    for two in numbers.chunks(2) {
        at_once(two, |number| {
            let node = Node::new();
            prepare(&node);
            trip(&node, *number);
            let moment = format!("killed before {} ({number})", calls[number - 1]);
            // No name is missing or torn at any moment.
            let bridge = &node.state()["bridge"];
            assert!(bridge == THEIRS || bridge == "hawser", "{moment}: {bridge}");
            check(&node, &moment);
        });
    }
}

/// Whatever was going on: the next run puts everything right.
fn put_right(node: &Node, moment: &str) {
    let before = Node::new().state();
    node.ok(hawser(), &SUBNET);
    node.assert_installed(hawser());
    node.ok(hawser(), &UNINSTALL);
    assert_eq!(node.state(), before, "{moment}");
}

/// The same, without another install in between.
fn taken_back(node: &Node, moment: &str) {
    let before = Node::new().state();
    node.ok(hawser(), &UNINSTALL);
    assert_eq!(node.state(), before, "{moment}");
}

#[test]
fn an_install_that_is_killed_can_be_gone_on_with() {
    sweep(|_| {}, &SUBNET, put_right);
}

#[test]
fn an_install_that_is_killed_can_be_taken_back() {
    sweep(|_| {}, &SUBNET, taken_back);
}

#[test]
fn an_upgrade_that_is_killed_can_be_taken_back() {
    let prepare = |node: &Node| {
        let older = older(node);
        node.ok(&older, &SUBNET);
    };
    sweep(prepare, &SUBNET, taken_back);
}

#[test]
fn an_uninstall_that_is_killed_can_be_repeated_or_reversed() {
    let prepare = |node: &Node| {
        node.ok(hawser(), &SUBNET);
    };
    sweep(prepare, &UNINSTALL, taken_back);
    sweep(prepare, &UNINSTALL, put_right);
}

#[test]
fn a_folder_that_cannot_be_written_is_named_with_the_way_out() {
    let built = hawser().display();
    for (mount, words) in [
        ("-o ro", "mount it writable"),
        ("-o size=64k", "make room"),
        ("-o size=2m", "make room"),
    ] {
        let host = Host::new();
        let script = format!(
            "mkdir /run/bin; mount -t tmpfs {mount} none /run/bin; {built} install --bin-dir /run/bin --conf-dir /run/conf \
             --subnet 10.0.0.0/24 2>&1 && exit 1; ls -A /run/bin /run/conf 2>&1 || true"
        );
        let told = host.sh(&script);
        assert!(
            told.contains("/run/bin") && told.contains(words),
            "{mount}: {told}"
        );
        assert!(!told.contains("hawser.conflist"), "{mount}: {told}");
    }
}

#[test]
fn a_full_disk_leaves_what_was_there() {
    let host = Host::new();
    let built = hawser().display();
    let script = format!(
        "mkdir /run/bin; mount -t tmpfs -o size=2m none /run/bin; printf theirs >/run/bin/bridge
         {built} install --bin-dir /run/bin 2>/dev/null && exit 1
         cat /run/bin/bridge; mount -o remount,size=100m /run/bin
         {built} install --bin-dir /run/bin >/dev/null; test /run/bin/bridge -ef /run/bin/hawser
         {built} install --bin-dir /run/bin --uninstall >/dev/null; cat /run/bin/bridge; ls -A /run/bin"
    );
    assert_eq!(host.sh(&script), "theirstheirsbridge");
}

#[test]
fn others_configurations_stay_and_the_order_is_explained() {
    let node = Node::new();
    fs::create_dir_all(node.conf()).unwrap();
    let theirs =
        r#"{"name": "a", "plugins": [{"type": "bridge", "ipam": {"subnet": "10.244.0.0/16"}}]}"#;
    for name in ["05-theirs.conflist", "87-podman.conflist"] {
        fs::write(node.conf().join(name), theirs).unwrap();
    }
    let told = node.ok(hawser(), &SUBNET);
    assert!(
        told.contains("05-theirs.conflist comes before it"),
        "{told}"
    );
    assert!(
        !told.contains("87-podman.conflist comes before it"),
        "{told}"
    );
    assert_eq!(told.matches("the same range").count(), 2, "{told}");
    node.ok(hawser(), &UNINSTALL);
    let state = node.state();
    assert!(state["05-theirs.conflist"] == theirs && state["87-podman.conflist"] == theirs);
    assert!(!state.contains_key("10-hawser.conflist"));
}
