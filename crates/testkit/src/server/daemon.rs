//! A real server on a port of its own, which can be stopped, started again and frozen.

use std::net::SocketAddr;

use rustix::process::Signal;
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::address;
use crate::process::Group;
use crate::wait::{self, PATIENCE};

/// See the [module documentation](self). Dropping it kills the server.
pub struct Daemon {
    name: &'static str,
    address: SocketAddr,
    command: Box<dyn Fn(SocketAddr) -> Command + Send + Sync>,
    group: Option<Group>,
}

impl Daemon {
    /// Starts what `command` makes for an address, and waits until it accepts connections.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start_with(
        name: &'static str,
        command: impl Fn(SocketAddr) -> Command + Send + Sync + 'static,
    ) -> crate::Result<Self> {
        let mut daemon = Self {
            name,
            address: address::free()?,
            command: Box::new(command),
            group: None,
        };
        daemon.start().await?;
        Ok(daemon)
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Starts it at the same address as before, unless it runs.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn start(&mut self) -> crate::Result<()> {
        if self.group.is_some() {
            return Ok(());
        }
        let mut group = Group::start(self.name, (self.command)(self.address))?;
        let address = self.address;
        wait::until(&format!("{} to listen", self.name), PATIENCE, || {
            let ended = group.has_ended();
            async move { (ended || TcpStream::connect(address).await.is_ok()).then_some(()) }
        })
        .await?;
        anyhow::ensure!(
            !group.has_ended(),
            "{} ended:\n{}",
            self.name,
            group.output().stderr()
        );
        self.group = Some(group);
        Ok(())
    }

    /// Kills it and waits for its end.
    ///
    /// # Errors
    /// When it does not end.
    pub async fn stop(&mut self) -> crate::Result<()> {
        if let Some(mut group) = self.group.take() {
            group.signal_group(Signal::KILL)?;
            group.wait(PATIENCE).await?;
        }
        Ok(())
    }

    /// Freezes it: it stays connected and does nothing.
    ///
    /// # Errors
    /// When it is gone.
    pub fn pause(&self) -> crate::Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// When it is gone.
    pub fn resume(&self) -> crate::Result<()> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> crate::Result<()> {
        match &self.group {
            Some(group) => group.signal_group(signal),
            None => anyhow::bail!("{} is stopped", self.name),
        }
    }
}

impl std::fmt::Debug for Daemon {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Daemon")
            .field("name", &self.name)
            .field("address", &self.address)
            .field("group", &self.group)
            .finish_non_exhaustive()
    }
}
