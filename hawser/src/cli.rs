//! The operator's command line.

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;
use std::io::{self, Write};
use std::path::PathBuf;
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

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    let outcome = run(Cli::parse().command);
    outcome.unwrap_or_else(|error| {
        // Nothing is left to tell it by when stderr is gone.
        let _ = writeln!(io::stderr(), "hawser: {error}");
        ExitCode::FAILURE
    })
}

fn run(command: Command) -> io::Result<ExitCode> {
    let mut out = io::stdout().lock();
    match command {
        Command::Plugins => {
            for plugin in crate::plugins::ALL {
                writeln!(out, "{:<12} {}", plugin.name, plugin.about)?;
            }
        }
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "hawser", &mut out);
        }
        Command::Man { dir } => write_man_pages(&dir)?,
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn write_man_pages(dir: &std::path::Path) -> io::Result<()> {
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
