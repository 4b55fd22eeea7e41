//! Generates the client of the Container Runtime Interface from its definition, with no installed protoc.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    // Without source info: the definition's comments were written to be read there.
    let definition = protox::Compiler::new(["proto"])?
        .open_file("cri.proto")?
        .file_descriptor_set();
    tonic_prost_build::configure()
        .build_server(false)
        .compile_fds(definition)?;
    Ok(())
}
