//! What the VM's root directory holds: the kernel's modules; where they are on this machine the programs that tests run,
//! our executables and the test executable itself; and an init that runs it once and turns the machine off.

use super::archive::Archive;
use super::equipment::Equipment;
use super::kernel::Kernel;
use crate::plugins::{PLUGIN_DIR, Plugins};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The programs that init runs and testkit itself, with the Debian packages they are from.
const PROGRAMS: [(&str, &str); 4] = [
    ("sh", "dash"),
    ("cat", "coreutils"),
    ("env", "coreutils"),
    ("busybox", "busybox-static"),
];
const SEARCHED: [&str; 4] = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];
const EMPTY: [&str; 7] = [
    "/dev",
    "/proc",
    "/run",
    "/sys",
    "/tmp",
    "/etc",
    "/var/lib/cni",
];
const MODULES: &str = "/modules";
/// What init prints before the exit status of the test executable.
pub const MARKER: &str = "testkit: the test executable ended with status ";

/// The root directory, as the kernel unpacks it.
pub fn archive(kernel: &Kernel, equipment: &Equipment, arguments: &[&str]) -> Vec<u8> {
    let mut root = Archive::default();
    for path in EMPTY {
        root.directory(Path::new(path));
    }
    let mut modules = Vec::new();
    for (name, content) in kernel.modules(equipment.modules) {
        root.file(&Path::new(MODULES).join(&name), &content);
        modules.push(name);
    }
    for (program, package) in PROGRAMS.iter().chain(equipment.programs) {
        add_program(&mut root, &find(program, package));
    }
    let plugins = Plugins::under_test();
    for executable in equipment.executables {
        add_program(&mut root, &plugins.executable(executable));
    }
    let test = std::env::current_exe().expect("the path of the running test");
    root.file(&test, &read(&test));
    let command = format!("'{}' {}", test.display(), arguments.join(" "));
    let init = init(&modules, &plugins, &command);
    root.file(Path::new("/init"), init.as_bytes());
    root.finish()
}

/// The first process. The programs of busybox have their full names, so that nobody else takes them for the real ones.
fn init(modules: &[String], plugins: &Plugins, command: &str) -> String {
    let busybox = find("busybox", "busybox-static");
    let busybox = busybox.display();
    let (path, inside) = (SEARCHED.join(":"), super::INSIDE);
    let modules = modules.join(" ");
    let plugins = plugins.dir().display();
    format!(
        "#!{busybox} sh\n\
         export PATH={path} {inside}=1 {PLUGIN_DIR}='{plugins}' RUST_BACKTRACE=0\n\
         bb={busybox}\n\
         $bb mount -t proc proc /proc\n\
         $bb mount -t sysfs sysfs /sys\n\
         $bb mount -t devtmpfs devtmpfs /dev\n\
         for module in {modules}; do $bb insmod {MODULES}/$module || echo \"module $module: not loaded\"; done\n\
         {command} </dev/null\n\
         echo \"{MARKER}$?\"\n\
         $bb poweroff -f\n"
    )
}

fn find(program: &str, package: &str) -> PathBuf {
    let found = SEARCHED
        .iter()
        .map(|dir| Path::new(dir).join(program))
        .find(|path| path.is_file());
    found.unwrap_or_else(|| {
        panic!("there is no {program}: install Debian's package {package}, or run scripts/prepare")
    })
}

/// Adds a program at the path that it has here, and the shared libraries that it needs.
fn add_program(root: &mut Archive, program: &Path) {
    root.file(program, &read(program));
    for library in libraries(program) {
        root.file(&library, &read(&library));
    }
}

/// Every path that ldd prints; none for a program that is linked statically.
fn libraries(program: &Path) -> Vec<PathBuf> {
    let output = Command::new("ldd")
        .arg(program)
        .output()
        .expect("run ldd (Debian's package libc-bin)");
    let listing = String::from_utf8_lossy(&output.stdout).into_owned();
    listing
        .lines()
        .filter_map(|line| {
            line.split_whitespace()
                .find(|word| word.starts_with('/') && !word.ends_with(':'))
        })
        .map(PathBuf::from)
        .collect()
}

fn read(path: &Path) -> Vec<u8> {
    fs::read(path).unwrap_or_else(|e| panic!("read {}: {e}", path.display()))
}
