//! What every kind of server answers for itself: whether a command is its own, what it says, and how to move it.

use std::fmt::Debug;
use std::time::Duration;

use seaworthy_core::address::Address;

use super::Refusal;
use super::call::Call;
use super::edit::Edit;
use super::named::Named;

/// What one kind of server has been told, and how it behaves.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) named: Named,
    /// Its own port when only a host is named.
    pub(super) default_port: u16,
    pub(super) keep_alive: Duration,
    pub(super) max_connections: Option<u32>,
    /// It can listen on a unix socket.
    pub(super) unix: bool,
}

/// Where a server shall go, and whom it shall believe.
#[derive(Debug)]
pub(super) struct Wish<'a> {
    pub(super) address: &'a Address,
    pub(super) trusted_proxies: &'a [String],
    /// The command is a string for a shell.
    pub(super) shell: bool,
}

/// One kind of server: knows its own command line and nothing of the others'.
pub(super) trait Server: Debug + Sync {
    fn name(&self) -> &'static str;

    /// Whether this command, seen through its wrappers, is of this kind.
    fn owns(&self, program: &str, args: &[String]) -> bool;

    /// The first version that can listen on a unix socket, where not all in use can.
    fn unix_since(&self) -> Option<(u32, u32)> {
        None
    }

    /// Reads what the command says.
    fn told(&self, call: &Call<'_>) -> Result<Told, Refusal>;

    /// Rewrites the command so that it listens where it shall.
    fn steer(&self, call: &Call<'_>, edit: &mut Edit, told: &Told, wish: &Wish<'_>);
}

/// Replaces host and port for the servers that take them as two options and know no unix socket.
pub(super) fn host_and_port(edit: &mut Edit, told: &Told, wish: &Wish<'_>, names: &[&str]) {
    let Address::Tcp(address) = wish.address else {
        return;
    };
    let (host, port) = (address.ip().to_string(), address.port().to_string());
    edit.swap(names, &["--host", &host, "--port", &port]);
    edit.say_moved(&told.named.words, &format!("--host {host} --port {port}"));
}
