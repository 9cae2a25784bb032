//! A connection to a Postgres for others than checks: it may write, and a task of its own drives it.
//!
//! It is opened as that of a check is, with the same TLS and the same bounds on what a server may send, only wider ones.

use std::fmt;
use std::path::PathBuf;

use seaworthy_core::dsn::Dsn;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, Error};

use super::frame::Nonsense;
use super::session::Server;
use super::words::trouble;
use crate::probe::bounded::Allowance;
use crate::probe::kept::Place as _;
use crate::probe::trouble::Trouble;

/// The longest message, such as a row.
const LONGEST: usize = 4 << 20;

/// The most that comes between two calls of `client`.
const MOST: usize = 32 << 20;

/// See the [module documentation](self). Dropping it ends the connection.
pub struct Link {
    client: Client,
    task: JoinHandle<()>,
    allowance: Allowance,
    nonsense: Nonsense,
}

impl Link {
    /// Connects and logs in. `ca` is a file with the certificates to trust instead of the system's.
    ///
    /// # Errors
    /// When there is no way in, in words.
    pub async fn open(url: &Dsn, ca: Option<PathBuf>) -> Result<Self, String> {
        let (allowance, nonsense) = (Allowance::of(MOST), Nonsense::default());
        let server = Server::of_writer(url, ca);
        let opened = server.log_in(LONGEST, &allowance, &nonsense).await;
        let (client, connection) = opened.map_err(words)?;
        let task = tokio::spawn(async {
            // Whoever waits for an answer is told.
            connection.await.ok();
        });
        Ok(Self {
            client,
            task,
            allowance,
            nonsense,
        })
    }

    /// Whether the connection has ended.
    pub fn is_closed(&self) -> bool {
        self.client.is_closed()
    }

    /// The client, for statements whose answers together have no more than 32 MiB.
    pub fn client(&mut self) -> &mut Client {
        self.allowance.renew();
        &mut self.client
    }

    /// What an error of the client means. The words of the server are never shown: its code is.
    pub fn words(&self, error: &Error) -> String {
        if self.nonsense.was_seen() || self.allowance.is_used_up() {
            return "it sends more than was asked for".to_owned();
        }
        words(trouble(error))
    }
}

fn words(trouble: Trouble) -> String {
    trouble.outcome(Server::TONGUE).message
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").finish_non_exhaustive()
    }
}
