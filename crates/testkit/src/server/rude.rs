//! Peers that accept connections and do not do what a client hopes for.

use std::net::SocketAddr;

use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What a peer does with each connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Manners {
    /// Reads nothing and says nothing.
    Silent,
    /// Closes it.
    Closes,
    /// Says this, whatever it is asked, and then nothing more.
    Says(Vec<u8>),
    /// Says the first once, and then the second for ever.
    Endless(Vec<u8>, Vec<u8>),
}

/// A peer without manners. Dropping it ends its connections.
#[derive(Debug)]
pub struct Rude {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Rude {
    /// Starts one on a free port.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start(manners: Manners) -> crate::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let task = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((connection, _)) = listener.accept().await {
                connections.spawn(behave(connection, manners.clone()));
            }
        });
        Ok(Self { address, task })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Rude {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn behave(mut connection: TcpStream, manners: Manners) {
    match manners {
        Manners::Silent => std::future::pending().await,
        Manners::Closes => {}
        Manners::Says(words) => {
            connection.write_all(&words).await.ok();
            std::future::pending().await
        }
        Manners::Endless(first, second) => {
            let mut more = connection.write_all(&first).await;
            while more.is_ok() {
                more = connection.write_all(&second).await;
            }
        }
    }
}
