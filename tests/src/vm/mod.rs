//! A VM with another kernel, for tests of what this machine's kernel may lack, such as VLAN filtering on bridges and
//! project quotas.
//!
//! [`where_able`] and [`Equipment::where_able`] run a test here when this kernel can, else in the VM. There the same test
//! executable runs with all its tests, one VM for all of them; each test of the outer run then answers with what became
//! of its namesake.

mod archive;
mod equipment;
mod kernel;
mod machine;
mod report;
mod root;

pub use equipment::{Equipment, NETWORK, STORAGE};

use crate::host::Host;
use kernel::Kernel;
use report::{Report, Verdict};
use std::any::type_name;
use std::path::PathBuf;
use std::sync::OnceLock;

/// The variable that is set inside of the VM.
const INSIDE: &str = "HAWSER_INSIDE_VM";

/// Whether this process runs inside of the VM.
pub fn inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// Whether this kernel's bridges can filter VLANs (CONFIG_BRIDGE_VLAN_FILTERING).
pub fn filters_vlans() -> bool {
    let host = Host::new();
    // Older kernels that cannot do it pass over the wish in silence.
    host.succeeds("ip link add probe type bridge vlan_filtering 1")
        && host
            .read("/sys/class/net/probe/bridge/vlan_filtering")
            .is_some_and(|value| value.trim_end() == "1")
}

/// [`Equipment::where_able`] for networks of pods.
#[track_caller]
pub fn where_able<F: FnOnce()>(able: bool, body: F) {
    NETWORK.where_able(able, body);
}

impl Equipment {
    /// Runs `body`, a closure in a test function, here when this kernel is `able` to serve it, else in a VM with this
    /// equipment.
    ///
    /// A test that is to see the VM's own kernel says `false`.
    #[track_caller]
    pub fn where_able<F: FnOnce()>(&'static self, able: bool, body: F) {
        if able || inside() {
            return body();
        }
        let test = test_around::<F>();
        let report = self.report().unwrap_or_else(|what| panic!("{what}"));
        match report.verdict(test) {
            Verdict::Passed => {}
            Verdict::Failed(output) => panic!("in the VM:\n{output}"),
            Verdict::Unknown(console) => {
                panic!("the VM says nothing of {test}; its console:\n{console}")
            }
        }
    }

    /// What all tests of this executable say in the VM, which is booted once, also when that comes to nothing.
    fn report(&'static self) -> Result<&'static Report, &'static str> {
        static REPORT: OnceLock<(&Equipment, Result<Report, String>)> = OnceLock::new();
        let (equipment, report) = REPORT.get_or_init(|| (self, self.run()));
        assert_eq!(*equipment, self, "one VM for one test executable");
        report.as_ref().map_err(String::as_str)
    }

    fn run(&self) -> Result<Report, String> {
        let kernel = Kernel::unpacked();
        let initramfs = Initramfs::of(&kernel, self);
        machine::run(&kernel.image, &initramfs.0, self.memory).and_then(Report::of)
    }
}

/// The name that libtest has for the test function around a closure: the path without the crate.
fn test_around<F>() -> &'static str {
    let path = type_name::<F>();
    let path = path.split_once("::").map_or(path, |(_, path)| path);
    path.split("::{{closure}}").next().unwrap_or(path)
}

/// The VM's root directory, in a file for as long as the VM runs.
struct Initramfs(PathBuf);

impl Initramfs {
    fn of(kernel: &Kernel, equipment: &Equipment) -> Self {
        let name = format!("testkit-initramfs.{}", std::process::id());
        let file = Self(std::env::temp_dir().join(name));
        let content = root::archive(kernel, equipment, &["--test-threads=2"]);
        std::fs::write(&file.0, content)
            .unwrap_or_else(|e| panic!("write {}: {e}", file.0.display()));
        file
    }
}

impl Drop for Initramfs {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
