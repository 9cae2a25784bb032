//! What a worker serves with under one configuration: the stack, the edge, and a word for those that there is no room for.

use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;

use seaworthy_http::drain::Drain;
use seaworthy_http::edge::Edge;
use seaworthy_http::limit::Chosen;
use seaworthy_http::timer::SweepTimer;
use seaworthy_http::upstream::Upstream;
use tokio::net::TcpStream;
use tower::Service;

use super::courtesy::courtesy;
use super::observer::{Seen, Telemetry};
use crate::components::Components;
use crate::stack;

type Request = http::Request<seaworthy_http::body::RequestBody>;

/// See the [module documentation](self).
#[derive(Clone)]
pub(super) struct Front<S> {
    pub(super) stack: S,
    pub(super) edge: Rc<Edge>,
    pub(super) turn_away: Rc<dyn Fn(TcpStream, SocketAddr)>,
}

impl<S> fmt::Debug for Front<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Front").finish_non_exhaustive()
    }
}

/// What a worker keeps from one configuration to the next.
pub(super) struct Base {
    pub(super) upstream: Upstream,
    pub(super) drain: Drain,
    pub(super) timer: SweepTimer,
    pub(super) telemetry: Rc<Telemetry>,
    /// Clients at a time who are told that there is no room.
    pub(super) courtesies: usize,
}

impl Base {
    /// The front under `components`, with buckets in this store.
    pub(super) fn front(
        &self,
        components: &Components,
        buckets: Chosen,
    ) -> Front<
        impl Service<
            Request,
            Response = http::Response<stack::Body>,
            Error = std::convert::Infallible,
            Future: 'static,
        >
        + Clone
        + 'static
        + use<>,
    > {
        self.telemetry.renew(&components.registry);
        let seen = Seen::new(self.telemetry.clone(), components);
        let stack = stack::build(
            components,
            self.upstream.clone(),
            self.drain.clone(),
            self.timer.clone(),
            seen.wanted(),
            Rc::new(components.public_table().merging()),
            buckets,
        );
        let turn_away = courtesy(components, self.timer.clone(), &seen, self.courtesies);
        let edge = components.edge(self.timer.clone(), self.drain.clone(), seen);
        Front {
            stack,
            edge: Rc::new(edge),
            turn_away: Rc::new(turn_away),
        }
    }
}
