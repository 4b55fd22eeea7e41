//! The experiments, in the order in which they are run.

mod attachments;
mod chain;
mod growth;
mod parallel;
mod start;
mod store;
mod weight;

use crate::options::Options;
use crate::process::Failed;
use crate::record::Record;

/// A group of operations that are measured together.
#[derive(Debug)]
pub struct Experiment {
    /// As the command line names it.
    pub name: &'static str,
    /// What happens, for the one who waits.
    pub about: &'static str,
    /// Measures.
    pub run: fn(&Options, &mut Record) -> Result<(), Failed>,
}

/// All of them; those that leave the kernel much to clear away come last.
pub const ALL: [Experiment; 9] = [
    Experiment {
        name: "weight",
        about: "sizes of the executables and peaks of memory",
        run: weight::run,
    },
    Experiment {
        name: "start",
        about: "VERSION, and an ADD refused for its configuration",
        run: start::run,
    },
    Experiment {
        name: "plain",
        about: "ADD, CHECK, DEL of one pod",
        run: attachments::plain,
    },
    Experiment {
        name: "masquerade",
        about: "the same with isGateway and ipMasq, in one family and in both",
        run: attachments::masquerade,
    },
    Experiment {
        name: "store",
        about: "host-local ADD and DEL with an empty store and with 60,000 reservations",
        run: store::sizes,
    },
    Experiment {
        name: "full",
        about: "host-local ADD with one address free in a /16",
        run: store::full,
    },
    Experiment {
        name: "parallel",
        about: "50 ADDs at once, 50 DELs at once, with ipMasq",
        run: parallel::run,
    },
    Experiment {
        name: "chain",
        about: "the chain of a node: bridge, host-local, portmap, firewall; alone and among 1,000 pods",
        run: chain::run,
    },
    Experiment {
        name: "growth",
        about: "300 pods one after the other",
        run: growth::run,
    },
];
