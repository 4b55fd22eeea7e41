//! The command line.

use crate::archive::{Name, archive};
use crate::contents;
use crate::error::Error;
use clap::Parser;
use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// Packs Hawser's executables, and the programs that they need, as an OCI image archive.
#[derive(Debug, Parser)]
#[command(name = "hawser-image", version)]
struct Cli {
    /// The folder with the executables.
    #[arg(long)]
    bin_dir: PathBuf,
    /// The folder in which the packages of the programs were unpacked.
    #[arg(long)]
    root: PathBuf,
    /// A table of what each package brought there: package, version and path, a line for each file.
    #[arg(long)]
    files: PathBuf,
    /// The image's name, without its tag.
    #[arg(long, default_value = "docker.io/hawser/hawser")]
    repository: String,
    /// The image's tag.
    #[arg(long, default_value = env!("CARGO_PKG_VERSION"))]
    tag: String,
    /// How old everything in the image is, in seconds since 1970.
    #[arg(long, env = "SOURCE_DATE_EPOCH", default_value_t = 0)]
    epoch: u64,
    /// The archive.
    out: PathBuf,
}

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nothing is left to tell it by when stderr is gone.
            let _ = writeln!(io::stderr(), "hawser-image: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<(), Error> {
    let files = fs::read_to_string(&cli.files).map_err(Error::io("read", &cli.files))?;
    let layers = [
        contents::system(&cli.root, &files)?.pack(cli.epoch)?,
        contents::executables(&cli.bin_dir)?.pack(cli.epoch)?,
    ];
    let name = Name {
        repository: cli.repository.clone(),
        tag: cli.tag.clone(),
    };
    let archive = archive(&name, &layers, cli.epoch)?;
    let aside = cli.out.with_extension("tar.new");
    fs::write(&aside, archive).map_err(Error::io("write", &aside))?;
    fs::rename(&aside, &cli.out).map_err(Error::io("write", &cli.out))
}
