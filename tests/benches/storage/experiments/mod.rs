//! The experiments, in the order in which they are run.

mod copies;
mod growth;
mod primitives;
mod stats;
mod usage;

use crate::options::Options;
use crate::record::Record;

/// A group of operations that are measured together.
#[derive(Debug)]
pub struct Experiment {
    /// As the command line names it.
    pub name: &'static str,
    /// What happens, for the one who waits.
    pub about: &'static str,
    /// Measures.
    pub run: fn(&Options, &mut Record),
}

/// All of them; those that leave the disk much to do come last.
pub const ALL: [Experiment; 6] = [
    Experiment {
        name: "primitives",
        about: "what the machine does in one step, without a driver",
        run: primitives::run,
    },
    Experiment {
        name: "use",
        about: "volumes staged, published, unpublished, unstaged",
        run: usage::run,
    },
    Experiment {
        name: "growth",
        about: "volumes made, listed and found again at 0, 5,000 and 20,000; memory",
        run: growth::of_directories,
    },
    Experiment {
        name: "subvolumes",
        about: "volumes made on btrfs at 0, 5,000 and 20,000",
        run: growth::of_subvolumes,
    },
    Experiment {
        name: "stats",
        about: "NodeGetVolumeStats, quietly and while another volume is snapshotted",
        run: stats::run,
    },
    Experiment {
        name: "copies",
        about: "snapshot, restore and clone of 1 GiB of random data",
        run: copies::run,
    },
];
