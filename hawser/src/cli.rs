//! The operator's command line.

mod node;

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use node::Install;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{fs, iter};

/// The pod network of a Kubernetes node.
///
/// Under the name of a plugin this executable is that plugin, called by a container runtime; under its own it is the
/// operator's command.
#[derive(Debug, Parser)]
#[command(
    name = "hawser",
    bin_name = "hawser",
    version,
    propagate_version = true
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Put the plugins, and a configuration if a subnet is given, where the container runtime looks for them.
    Install(Install),
    /// List the plugins in this executable.
    Plugins,
    /// Print what a shell needs to complete this command line.
    Completions {
        /// For which shell.
        shell: Shell,
    },
    /// Write the manual pages into a folder.
    Man {
        /// The folder; it is made.
        dir: PathBuf,
    },
}

/// Why a command could not be carried out.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error(transparent)]
    Install(#[from] crate::install::Error),
    #[error("{what} {}: {source}", .path.display())]
    Io {
        what: &'static str,
        path: PathBuf,
        source: io::Error,
    },
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let mut out = Vec::new();
    let outcome = run(Cli::parse().command, &mut out);
    // What was done is told, also of a command that then failed.
    let told = io::stdout().write_all(&out).map_err(|source| Error::Io {
        what: "write to",
        path: "standard output".into(),
        source,
    });
    match outcome.and(told) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to tell it by when stderr is gone.
            let _ = writeln!(io::stderr(), "hawser: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command, out: &mut Vec<u8>) -> Result<(), Error> {
    match command {
        Command::Install(install) => install.run(out)?,
        Command::Plugins => {
            for plugin in crate::plugins::ALL {
                say(out, format_args!("{:<12} {}", plugin.name, plugin.about));
            }
        }
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "hawser", out);
        }
        Command::Man { dir } => write_man_pages(&dir).map_err(|source| Error::Io {
            what: "write into",
            path: dir,
            source,
        })?,
    }
    Ok(())
}

/// Adds a line to what is told.
fn say(out: &mut Vec<u8>, line: std::fmt::Arguments<'_>) {
    // Writing to memory cannot go wrong.
    let _ = writeln!(out, "{line}");
}

fn write_man_pages(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    let mut whole = Cli::command();
    whole.build();
    let parts = whole
        .get_subcommands()
        .filter(|part| part.get_name() != "help");
    for page in iter::once(&whole).chain(parts) {
        clap_mangen::Man::new(page.clone()).generate_to(dir)?;
    }
    Ok(())
}
