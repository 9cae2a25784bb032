//! The binary: an allocator, a TLS provider, and the command line.

use std::process::ExitCode;

// jemalloc gives memory back that the system's allocator keeps, which matters to a process that lives for months.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    // Fails only when a provider was chosen before, and there is no code before this.
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .ok();
    seaworthy::cli::main()
}
