//! The public port with all its workers, from the control plane's side.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use seaworthy_core::budget::Ramp;
use seaworthy_http::drain::{Drain, Phase};
use seaworthy_telemetry::access::Writer;
use tokio::sync::watch;

use super::balance;
use super::tls::Acceptor;
use super::worker;
use crate::components::Components;

/// The data plane.
#[derive(Debug)]
pub struct Public {
    drains: Vec<Drain>,
    threads: Vec<JoinHandle<io::Result<()>>>,
    closing: watch::Sender<bool>,
}

impl Public {
    /// Starts `components.threads` workers on `listener`.
    ///
    /// # Errors
    /// When the system refuses a thread or a second handle of the socket.
    pub fn start(
        components: &Arc<Components>,
        listener: &TcpListener,
        tls: Option<&Acceptor>,
        access: Option<&Writer>,
    ) -> io::Result<Self> {
        let (closing, closed) = watch::channel(false);
        let mut drains = Vec::new();
        let mut threads = Vec::new();
        for (index, (balance, door)) in balance::between(components.threads).into_iter().enumerate()
        {
            if index == 0 {
                components.watch_connections(balance.reader());
            }
            let drain = Drain::default();
            drains.push(drain.clone());
            let parts = worker::Parts {
                components: components.clone(),
                listener: listener.try_clone()?,
                balance,
                door,
                drain,
                closing: closed.clone(),
                tls: tls.cloned(),
                lines: access.map(Writer::worker),
            };
            threads.push(
                thread::Builder::new()
                    .name(format!("worker-{index}"))
                    .spawn(move || worker::run(parts))?,
            );
        }
        Ok(Self {
            drains,
            threads,
            closing,
        })
    }

    /// Moves every worker on to `phase`.
    pub fn advance(&self, phase: Phase) {
        for drain in &self.drains {
            drain.advance(phase);
        }
    }

    /// Lets every worker refuse a growing share of requests.
    pub fn ramp(&self, ramp: Ramp) {
        for drain in &self.drains {
            drain.ramp(ramp);
        }
    }

    /// Requests inside now.
    pub fn inside(&self) -> u64 {
        self.drains.iter().map(Drain::inside).sum()
    }

    /// Requests that were ended by the deadline.
    pub fn cut(&self) -> u64 {
        self.drains.iter().map(Drain::cut).sum()
    }

    /// Requests that finished after the shutdown began.
    pub fn completed(&self) -> u64 {
        self.drains.iter().map(Drain::completed).sum()
    }

    /// Closes the listening socket once its queue has been emptied.
    pub fn close(&self) {
        self.closing.send_replace(true);
    }

    /// Whether every worker has ended.
    pub fn is_over(&self) -> bool {
        self.threads.iter().all(JoinHandle::is_finished)
    }
}
