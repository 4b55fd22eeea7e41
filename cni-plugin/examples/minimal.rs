//! The smallest plugin: it attaches nothing and passes on what the plugins before it made.
//!
//! `CNI_COMMAND=VERSION cargo run --example minimal` shows it at work. The tests of the frame run
//! it too, and ask it for the one thing that no plugin should do: its GC panics.

use cni::{AddResult, Error, Version};
use cni_plugin::{Plugin, Request};
use std::process::ExitCode;

static PLUGIN: Plugin = Plugin {
    name: "minimal",
    about: "passes on what the plugins before it made",
    versions: &Version::ALL,
    enters_netns: true,
    add,
    del: nothing,
    check: nothing,
    gc: bug,
    status: nothing,
};

fn add(request: &Request) -> Result<AddResult, Error> {
    Ok(request.config().prev_result()?.unwrap_or_default())
}

const fn nothing(_: &Request) -> Result<(), Error> {
    Ok(())
}

#[allow(clippy::panic, reason = "to show what the frame makes of it")]
fn bug(_: &Request) -> Result<(), Error> {
    panic!("there is no garbage here");
}

fn main() -> ExitCode {
    cni_plugin::main(&PLUGIN)
}
