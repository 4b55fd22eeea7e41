//! Generates types and services from the two definitions, with no installed protoc.

mod redact;

use std::env;
use std::error::Error;
use std::fs;
use std::path::PathBuf;

use protox::Compiler;
use redact::Redaction;

#[expect(
    clippy::print_stdout,
    reason = "a build script talks to cargo that way"
)]
fn main() -> Result<(), Box<dyn Error>> {
    let definitions = ["csi.proto", "pluginregistration.proto"];
    for input in definitions.iter().chain(&["build"]) {
        println!("cargo:rerun-if-changed={input}");
    }
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?);
    let mut compiler = Compiler::new(["."])?;
    compiler.include_imports(true).open_files(definitions)?;
    // Encoded by the compiler, which keeps the options that extensions define, and without comments.
    fs::write(
        out.join("descriptors.bin"),
        compiler.encode_file_descriptor_set(),
    )?;
    let pool = compiler.descriptor_pool();
    let redaction = Redaction::new(&pool)?;
    let secretive = redaction.messages(&pool)?;
    let impls = secretive
        .iter()
        .map(|message| redaction.debug_impl(message));
    fs::write(out.join("debug.rs"), impls.collect::<String>())?;
    tonic_prost_build::configure()
        .build_client(env::var_os("CARGO_FEATURE_CLIENT").is_some())
        .extern_path(".csi.v1.ListVolumesResponse.Entry", "crate::ListedVolume")
        .skip_debug(secretive.iter().map(|message| message.full_name()))
        .compile_fds(compiler.include_source_info(true).file_descriptor_set())?;
    Ok(())
}
