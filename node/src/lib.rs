//! `hawser-node`: the process of the DaemonSet that brings Hawser's network to every node of a cluster.
//!
//! It installs the plugins from its own image into the node's folders, learns the node's part of the pod network from the
//! API server, writes the configuration for it, and keeps both there. With `--routes` it also keeps routes to the pods of
//! the other nodes. When its DaemonSet is removed it takes everything back.
//!
//! ```text
//! args      the command line
//! settings  the command line with every rule checked
//! agent     the loop: what is to be there is made to be there, at every event and every minute
//!   events    signals, changes of the folders, news of the cluster
//!   cluster   nodes as the API describes them. Pure
//!   follow    asking for them
//!   api       the API server
//!   routes    routes to the other nodes' pods
//!   masquerade  which traffic leaves under the node's address
//! leave     what happens at the end: everything stays, or everything goes
//! standing  how it stands, and the pages that tell it
//! last_words  what a pod's status shows of a process that failed
//! ```

mod agent;
mod api;
mod args;
mod cluster;
mod error;
mod events;
mod follow;
mod last_words;
mod leave;
mod log;
mod masquerade;
mod prefixes;
mod routes;
mod settings;
mod standing;

pub use error::Error;

use args::{Args, Command};
use clap::Parser;
use settings::Settings;
use std::process::ExitCode;

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(refusal) => return refuse(&refusal),
    };
    log::start();
    let last_words = args.termination_log.clone();
    match run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error}");
            last_words::leave(&last_words, &error.to_string());
            ExitCode::FAILURE
        }
    }
}

/// Help is printed where it was asked for. What is wrong with a flag is told as every reason for an end is, and where it is
/// told unless a flag says otherwise, because none has been understood.
fn refuse(refusal: &clap::Error) -> ExitCode {
    // Nobody may be listening any more.
    let _ = refusal.print();
    if !refusal.use_stderr() {
        return ExitCode::SUCCESS;
    }
    last_words::leave(args::TERMINATION_LOG.as_ref(), &refusal.to_string());
    ExitCode::from(2)
}

fn run(args: Args) -> Result<(), Error> {
    let command = args.command;
    let settings = Settings::new(args)?;
    match command {
        Some(Command::Remove) => leave::remove(&settings),
        None => agent::run(settings),
    }
}
