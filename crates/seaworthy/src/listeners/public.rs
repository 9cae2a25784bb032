//! The public port with all its workers, from the control plane's side.

use std::io;
use std::net::TcpListener;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use seaworthy_core::budget::Ramp;
use seaworthy_http::drain::{Drain, Phase};
use seaworthy_telemetry::access::Writer;
use tokio::sync::watch;

use super::balance;
use super::tls::Acceptor;
use super::worker;
use crate::components::Components;

/// A worker changes over between two of its tasks, which are short.
const PATIENCE: Duration = Duration::from_secs(2);

/// The data plane.
#[derive(Debug)]
pub struct Public {
    drains: Vec<Drain>,
    threads: Vec<JoinHandle<io::Result<()>>>,
    closing: watch::Sender<bool>,
    components: watch::Sender<Arc<Components>>,
    serving: Vec<watch::Receiver<u64>>,
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
        let newest = watch::Sender::new(components.clone());
        let mut serving = Vec::new();
        let mut drains = Vec::new();
        let mut threads = Vec::new();
        for (index, (balance, door)) in balance::between(components.threads).into_iter().enumerate()
        {
            if index == 0 {
                components.watch_connections(balance.reader());
            }
            let drain = Drain::default();
            drains.push(drain.clone());
            let (serves, served) = watch::channel(0);
            serving.push(served);
            let parts = worker::Parts {
                components: newest.subscribe(),
                serves,
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
            components: newest,
            serving,
        })
    }

    /// Has every worker serve with `components` from now on, and waits until all do, but not for one that is stuck.
    pub async fn renew(&mut self, components: Arc<Components>) {
        let number = components.number;
        self.components.send_replace(components);
        let all = async {
            for worker in &mut self.serving {
                // One that has ended serves nobody.
                worker.wait_for(|serves| *serves >= number).await.ok();
            }
        };
        tokio::time::timeout(PATIENCE, all).await.ok();
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
