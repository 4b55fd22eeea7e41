//! The reference that was run, beside the machine.

use crate::common::machine::{self, shell};
use crate::contender::Contender::Reference;

/// Facts as pairs of name and value.
pub fn facts() -> Vec<(&'static str, String)> {
    let reference = Reference.executable("bridge");
    let reference = reference.display();
    let about = format!("CNI_COMMAND= {reference} 2>&1 </dev/null | head -n 1");
    let package = "dpkg-query -W -f '${Package} ${Version}' containernetworking-plugins";
    let mut facts = machine::facts();
    facts.push(("reference", shell(&about)));
    facts.push(("reference's package", shell(package)));
    facts.push(("reference's packet filter", shell("iptables --version")));
    facts
}
