//! The admin API under `/-/`, and the views of the admin listener.
//!
//! Reading needs no token, because only this machine can connect; changing does. Requests must be addressed to this machine
//! by name as well, or a web page could make a visitor's browser send them (DNS rebinding).

mod api;
mod armour;
mod breakers;
mod checks;
mod config;
mod documents;
mod errors;
mod features;
mod flags;
mod guard;
mod limits;
mod operation;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use seaworthy_config::history::History;
use seaworthy_core::address::Address;
use seaworthy_health::probe::Around;
use seaworthy_health::{Board, Health};
use tokio::net::{TcpListener, UnixListener};
use tokio::sync::mpsc;

use crate::armour::Armour;
use crate::config::check::Pace;
use crate::documents::Documents;
use crate::flags::Flags;
use crate::instance::Status;
use crate::reload::{Asker, ConfigDocument};
use crate::views::Table;

pub use api::{operations, router};
pub use operation::{ONLY, Operation, Parameter};

/// What the API asks of the one who runs the service.
#[derive(Debug)]
pub enum Request {
    /// Begin the shutdown.
    Stop,
    /// Take the service out of rotation; answered once balancers have had the time to notice.
    Prestop(tokio::sync::oneshot::Sender<()>),
}

/// What the API knows and may do.
#[derive(Clone)]
pub struct Admin {
    /// The token for changes.
    pub token: Arc<str>,
    /// What changes with the configuration.
    pub shown: Arc<ArcSwap<Shown>>,
    /// What probes are answered from.
    pub board: Board,
    /// What `status` shows.
    pub status: Arc<dyn Fn() -> Status + Send + Sync>,
    /// Requests to whoever runs the service.
    pub requests: mpsc::Sender<Request>,
    /// The app, for views that carry its part.
    pub roster: seaworthy_http::upstream::Roster,
    /// What the service depends on.
    pub health: Health,
    /// What the rules in front of the app remember.
    pub armour: Armour,
    /// The feature flags.
    pub flags: Flags,
    /// The application's own settings.
    pub documents: Documents,
    /// The configurations that held.
    pub history: Arc<History>,
    /// The way to have the configuration taken in anew.
    pub asker: Asker,
}

/// What the API shows of the configuration that holds.
#[derive(Debug)]
pub struct Shown {
    /// The views.
    pub views: Table,
    /// What is answered on which path, as OpenAPI has it.
    pub openapi: bytes::Bytes,
    /// The defaults for new checks.
    pub pace: Pace,
    /// What new checks have to know.
    pub around: Around,
    /// The configuration itself.
    pub config: ConfigDocument,
}

impl std::fmt::Debug for Admin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Admin").finish_non_exhaustive()
    }
}

/// A bound admin listener.
#[derive(Debug)]
pub enum Listener {
    /// On a loopback port.
    Tcp(TcpListener),
    /// On a unix socket, which is removed at the end.
    Unix(UnixListener, Socket),
}

/// A free port other than `promised`.
async fn bind_another(address: SocketAddr, promised: Option<u16>) -> io::Result<Listener> {
    let first = TcpListener::bind(address).await?;
    if Some(first.local_addr()?.port()) != promised {
        return Ok(Listener::Tcp(first));
    }
    // While the first is held, the system chooses another one.
    TcpListener::bind(address).await.map(Listener::Tcp)
}

/// The file of a unix socket; dropping it removes the file.
#[derive(Debug)]
pub struct Socket(PathBuf);

impl Drop for Socket {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).ok();
    }
}

impl Listener {
    /// Listens on `address`. A default port that is taken moves on to the next free one; a chosen one is an error. A port that
    /// the system chooses is never the `promised` one, which the app has been given and does not hold yet.
    ///
    /// # Errors
    /// When the address cannot be had.
    pub async fn bind(
        address: &Address,
        may_move: bool,
        promised: Option<u16>,
    ) -> io::Result<Self> {
        match address {
            Address::Tcp(address) => match TcpListener::bind(address).await {
                Err(error) if may_move && error.kind() == io::ErrorKind::AddrInUse => {
                    bind_another((address.ip(), 0).into(), promised).await
                }
                Ok(_) if address.port() == 0 => bind_another(*address, promised).await,
                bound => bound.map(Self::Tcp),
            },
            Address::Unix(path) => {
                if std::os::unix::net::UnixStream::connect(path).is_err() {
                    // Nobody answers there: it is what a killed process left behind.
                    std::fs::remove_file(path).ok();
                }
                let listener = UnixListener::bind(path)?;
                rustix::fs::chmod(path, rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR)?;
                Ok(Self::Unix(listener, Socket(path.clone())))
            }
        }
    }

    /// Where it listens.
    ///
    /// # Errors
    /// The system's, when it does not say.
    pub fn address(&self) -> io::Result<Address> {
        match self {
            Self::Tcp(listener) => listener.local_addr().map(Address::Tcp),
            Self::Unix(_, socket) => Ok(Address::Unix(socket.0.clone())),
        }
    }

    /// Serves for ever.
    ///
    /// # Errors
    /// Those of accepting, which axum retries by itself.
    pub async fn serve(self, admin: Admin) -> io::Result<()> {
        match self {
            Self::Tcp(listener) => axum::serve(listener, router(admin, true)).await,
            Self::Unix(listener, _socket) => axum::serve(listener, router(admin, false)).await,
        }
    }
}
