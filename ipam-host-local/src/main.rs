//! The executable `host-local`.

fn main() -> std::process::ExitCode {
    cni_plugin::main(&ipam_host_local::PLUGIN)
}
