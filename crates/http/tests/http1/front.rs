//! An edge in front of a recording origin, in one process and on one thread, as a worker runs it.
//!
//! The stack is the smallest that can answer: identity, the rescue of errors, the way to the app.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use seaworthy_core::address::Address;
use seaworthy_core::exchange::{Finished, Observer};
use seaworthy_core::identity::TrustedProxies;
use seaworthy_core::route::RouteTable;
use seaworthy_http::drain::Drain;
use seaworthy_http::edge::{self, Edge, Limits, Peer};
use seaworthy_http::identify::{Config as Identity, IdentifyLayer};
use seaworthy_http::rescue::{Format, RescueLayer};
use seaworthy_http::timer::SweepTimer;
use seaworthy_http::upstream::{Config, Roster, Upstream};
use seaworthy_testkit::client::{Connection, End, Response};
use seaworthy_testkit::origin::{Origin, Script, ok};
use tokio::net::TcpListener;
use tokio::task::spawn_local;
use tower::ServiceBuilder;

/// Runs a test on a runtime like a worker's.
pub(crate) fn run(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())
        .expect("a runtime")
        .block_on(test);
}

/// What a test may want otherwise.
pub(crate) struct Setup {
    pub(crate) pool: Config,
    pub(crate) limits: Limits,
    pub(crate) header_timeout: Duration,
    pub(crate) stall: Duration,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            pool: Config::default(),
            limits: Limits {
                head: 64 * 1024,
                target: 16 * 1024,
                fields: 100,
            },
            header_timeout: Duration::from_secs(10),
            stall: Duration::from_secs(10),
        }
    }
}

/// Counts requests that never reached the stack, by status.
#[derive(Default)]
struct Refusals(RefCell<Vec<u16>>);

impl Observer for Refusals {
    fn started(&self) {}

    fn finished(&self, done: &Finished<'_>) {
        self.0.borrow_mut().push(done.status);
    }
}

/// The edge, and the origin behind it.
pub(crate) struct Front {
    pub(crate) address: SocketAddr,
    pub(crate) origin: Origin,
    pub(crate) upstream: Upstream,
    refusals: Rc<Refusals>,
}

/// How a connection was turned away.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    /// How many answers came before the end of the connection, this one included.
    pub(crate) answers: usize,
}

impl Front {
    /// In front of an origin on TCP that plays `script`.
    pub(crate) async fn of(script: Script) -> Self {
        Self::with(script, Setup::default()).await
    }

    /// In front of an origin that greets every request.
    pub(crate) async fn greeting() -> Self {
        Self::of(Script::always(ok("hello"))).await
    }

    pub(crate) async fn with(script: Script, setup: Setup) -> Self {
        let origin = Origin::tcp(script).await.expect("a port");
        Self::before(origin, setup).await
    }

    /// In front of `origin`.
    pub(crate) async fn before(origin: Origin, setup: Setup) -> Self {
        let address: Address = origin.address().to_string().parse().expect("an address");
        Self::start(origin, &Roster::remote(address), setup).await
    }

    /// In front of whatever `roster` says; `origin` is only kept.
    pub(crate) async fn start(origin: Origin, roster: &Roster, setup: Setup) -> Self {
        let timer = SweepTimer::default();
        spawn_local(timer.clone().drive());
        let upstream = Upstream::new(roster, setup.pool, timer.clone(), "seaworthy");
        let stack = ServiceBuilder::new()
            .layer(IdentifyLayer::new(Identity {
                trusted: TrustedProxies::default(),
                request_id: true,
                trace: true,
                routes: RouteTable::default().into(),
            }))
            .layer(RescueLayer::new(Format::Envelope))
            .service(upstream.clone());
        let refusals = Rc::new(Refusals::default());
        let edge = Rc::new(Edge {
            limits: setup.limits,
            header_timeout: setup.header_timeout,
            idle: Duration::from_secs(30),
            stall: setup.stall,
            http2: true,
            format: Format::Envelope,
            timer,
            drain: Drain::default(),
            observer: refusals.clone(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        spawn_local(async move {
            while let Ok((stream, peer)) = listener.accept().await {
                stream.set_nodelay(true).expect("a socket option");
                let peer = Peer {
                    address: Some(peer),
                    secure: false,
                };
                spawn_local(edge::serve(stream, peer, edge.clone(), stack.clone()));
            }
        });
        Self {
            address,
            origin,
            upstream,
            refusals,
        }
    }

    pub(crate) async fn open(&self) -> Connection {
        Connection::open(self.address)
            .await
            .expect("the edge listens")
    }

    /// Sends `bytes` on a connection of their own and reads one answer.
    pub(crate) async fn answer(&self, method: &str, bytes: impl AsRef<[u8]>) -> Response {
        let mut connection = self.open().await;
        connection.send(bytes).await.expect("the edge reads");
        connection.response(method).await.expect("an answer")
    }

    /// Sends `pieces` one after the other, and reads until the edge closes: one answer that says so, and nothing after it.
    pub(crate) async fn refusal(&self, pieces: &[&[u8]]) -> Refusal {
        let what = String::from_utf8_lossy(&pieces.concat()).into_owned();
        let mut connection = self.open().await;
        for piece in pieces {
            // The edge may have answered and closed before it read everything.
            if connection.send(piece).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
        let (bytes, end) = connection.rest().await.expect("an end");
        assert_eq!(end, End::Clean, "{what:?}");
        let text = String::from_utf8(bytes).expect("text");
        let (head, _) = text
            .split_once("\r\n\r\n")
            .unwrap_or_else(|| panic!("no answer to {what:?}"));
        let status = head.get(9..12).and_then(|status| status.parse().ok());
        assert!(
            text.contains("\r\nconnection: close\r\n"),
            "{what:?} got {head:?}"
        );
        Refusal {
            status: status.expect("a status"),
            answers: text.matches("\r\ndate: ").count(),
        }
    }

    /// Demands that `bytes` are answered by one 400 or 501 and a close, and that not a byte reaches the origin.
    pub(crate) async fn refuses(&self, bytes: impl AsRef<[u8]>) {
        let what = String::from_utf8_lossy(bytes.as_ref()).into_owned();
        let before = self.refusals.0.borrow().len();
        let refusal = self.refusal(&[bytes.as_ref()]).await;
        assert!(matches!(refusal.status, 400 | 501), "{what:?}: {refusal:?}");
        assert_eq!(refusal.answers, 1, "{what:?}: {refusal:?}");
        assert_eq!(
            self.refusals.0.borrow()[before..],
            [refusal.status],
            "{what:?}"
        );
        assert_eq!(self.origin.connections(), 0, "{what:?} reached the origin");
    }
}
