//! Internal: real servers, misbehaving peers and a process harness for tests.
//!
//! A rule that a test can show is shown on the real binary with real sockets, so this crate starts processes and speaks
//! bytes; it never mocks the product. Everything binds to free loopback ports and ends with the value that started it:
//! dropping a handle kills what it owns. Nothing here sleeps where an event can be awaited, and every wait has a deadline
//! whose error says what was awaited.
//!
//! It knows the product only through its command line, its output and its sockets; it depends on no crate of it.

pub mod address;
mod alone;
pub mod binary;
pub mod certificate;
pub mod client;
pub mod issuer;
pub mod load;
pub mod origin;
pub mod process;
pub mod scale;
pub mod server;
pub mod wait;

pub use alone::alone;

/// What every fallible call of the kit returns.
pub type Result<T> = anyhow::Result<T>;

/// The root of the repository.
#[must_use]
pub fn root() -> std::path::PathBuf {
    let crate_dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    crate_dir
        .ancestors()
        .nth(2)
        .unwrap_or(crate_dir)
        .to_path_buf()
}

/// The folder of applications and data that tests share.
#[must_use]
pub fn fixtures() -> std::path::PathBuf {
    root().join("tests/fixtures")
}
