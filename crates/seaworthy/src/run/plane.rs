//! Everything that serves, as the shutdown sees it.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use seaworthy_core::names::event;
use seaworthy_telemetry::access::Writer;

use crate::components::{Components, State};
use crate::listeners::public::Public;
use crate::listeners::tls::{self, Acceptor, Files};

/// How often the end of the workers is looked for.
const LOOK: Duration = Duration::from_millis(5);

/// The data plane with what has to end after it.
#[derive(Debug)]
pub(super) struct Plane {
    pub(super) public: Public,
    pub(super) address: SocketAddr,
    access: Option<Writer>,
}

impl Plane {
    /// Starts the workers.
    pub(super) fn start(
        components: &Arc<Components>,
        listener: TcpListener,
        files: Option<Files>,
        access: Option<Writer>,
    ) -> anyhow::Result<Self> {
        let address = listener.local_addr()?;
        let acceptor = match files {
            None => None,
            Some(files) => {
                let (config, seen) = files.load()?;
                let acceptor = Acceptor::new(config);
                tokio::spawn(tls::watch(files, seen, acceptor.clone()));
                Some(acceptor)
            }
        };
        let public = Public::start(components, &listener, acceptor.as_ref(), access.as_ref())?;
        Ok(Self {
            public,
            address,
            access,
        })
    }

    /// Has all workers serve with `components` from now on.
    pub(super) async fn renew(&mut self, components: Arc<Components>, state: &State) {
        if let Some(access) = &self.access {
            access.renew(&state.templates());
        }
        self.public.renew(components).await;
    }

    /// Waits until every worker has ended, and the listening socket with them.
    pub(super) async fn workers_ended(&self) {
        while !self.public.is_over() {
            tokio::time::sleep(LOOK).await;
        }
        // The queue of the socket was emptied before: nobody who connected is without an answer.
        let public = self.address;
        tracing::info!(event = event::LISTENER_CLOSED, %public, "no longer listening on {public}");
    }

    /// Writes the access lines that wait.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        let complete = self.access.take().is_none_or(Writer::close);
        if complete {
            Ok(())
        } else {
            Err(io::ErrorKind::TimedOut.into())
        }
    }
}
