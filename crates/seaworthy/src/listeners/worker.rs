//! One data-plane thread: a runtime, an upstream pool, a timer, and the connections it accepted.

use std::cell::Cell;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use seaworthy_http::drain::{Drain, Phase};
use seaworthy_http::edge::{self, Edge, Peer};
use seaworthy_http::timer::SweepTimer;
use seaworthy_http::upstream::Upstream;
use seaworthy_telemetry::access::Lines;
use tokio::net::TcpStream;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::spawn_local;

use super::balance::{Balance, Handed};
use super::front::Base;
use super::newest::{Current, Newest};
use super::observer::Telemetry;
use super::pause::Pause;
use super::room::Room;
use super::tls::Acceptor;
use crate::components::Components;
use crate::stack;

/// How often access lines that wait are handed to the writing thread.
const FLUSH: Duration = Duration::from_millis(250);
/// How often idle connections to the app are looked at.
const SWEEP: Duration = Duration::from_secs(1);
/// Without file descriptors, accepting again at once would only burn the processor.
const EXHAUSTED: Duration = Duration::from_millis(50);
/// Connections that are still there this long after the cut are dropped.
const LAST: Duration = Duration::from_millis(700);

/// Everything a worker is made of; it may be sent to the worker's thread.
pub(super) struct Parts {
    /// What to serve with, and each time that it changes.
    pub(super) components: watch::Receiver<Arc<Components>>,
    /// Is told which of them is served with.
    pub(super) serves: watch::Sender<u64>,
    pub(super) listener: TcpListener,
    pub(super) balance: Balance,
    pub(super) door: mpsc::Receiver<Handed>,
    pub(super) drain: Drain,
    pub(super) closing: watch::Receiver<bool>,
    pub(super) tls: Option<Acceptor>,
    pub(super) lines: Option<Lines>,
}

/// Runs until the listener is closed and the drain has been cut.
pub(super) fn run(parts: Parts) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build_local(tokio::runtime::LocalOptions::default())?;
    runtime.block_on(serve(parts))
}

async fn serve(parts: Parts) -> io::Result<()> {
    let Parts {
        components: mut newest,
        serves,
        listener,
        balance,
        door,
        drain,
        closing,
        tls,
        lines,
    } = parts;
    let components = newest.borrow().clone();
    let room = Room::of_worker(&components, tls.is_some());
    let base = base(&components, &drain, lines, room);
    let own = balance.own();
    let mut buckets = components.rules.limits.of_worker(own, None).await;
    let front = base.front(&components, buckets.clone());
    let stack = Current::new(front.stack.clone());
    let front = Current::new(front);
    serves.send_replace(components.number);
    let connections = Rc::new(Connections::new(balance));
    let admit = |(stream, address): Handed| {
        let guard = connections.clone().enter();
        let (edge, stack) = (front.get().edge, Newest::of(&stack));
        let talk = converse(stream, address, edge, stack, tls.clone());
        spawn_local(talk.map(move |()| drop(guard)));
    };
    let place = |stream, address| {
        if connections.balance.is_full(room.connections) {
            (front.get().turn_away)(stream, address);
        } else {
            place(&connections, stream, address, &admit);
        }
    };
    let follow = async {
        while let Some(components) = next(&mut newest).await {
            buckets = components.rules.limits.of_worker(own, Some(buckets)).await;
            let _pause = Pause::begin(&components);
            let next = base.front(&components, buckets.clone());
            stack.set(next.stack.clone());
            front.set(next);
            serves.send_replace(components.number);
        }
        std::future::pending().await
    };
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let serving = async {
        accept(listener, door, closing, &connections, &place, &admit).await?;
        finish(&connections, &drain).await;
        Ok(())
    };
    let served = tokio::select! {
        served = serving => served,
        never = follow => never,
    };
    base.telemetry.flush();
    served
}

/// The next configuration; none when there will be no more.
async fn next(newest: &mut watch::Receiver<Arc<Components>>) -> Option<Arc<Components>> {
    newest.changed().await.ok()?;
    Some(newest.borrow_and_update().clone())
}

/// What a worker keeps from its begin to its end.
fn base(components: &Components, drain: &Drain, lines: Option<Lines>, room: Room) -> Base {
    let timer = SweepTimer::default();
    spawn_local(timer.clone().drive());
    let (roster, pool) = (&components.roster, components.pool.clone());
    let upstream = Upstream::new(roster, pool, timer.clone(), "seaworthy");
    let metrics = components.metrics.then(|| components.registry.worker());
    let telemetry = Rc::new(Telemetry { metrics, lines });
    spawn_local(housekeeping(upstream.clone(), telemetry.clone()));
    Base {
        upstream,
        drain: drain.clone(),
        timer,
        telemetry,
        courtesies: room.courtesies,
    }
}

/// Accepts until told to close, and then what the kernel has already taken on our behalf: it is answered, not reset.
async fn accept(
    listener: tokio::net::TcpListener,
    mut door: mpsc::Receiver<Handed>,
    mut closing: watch::Receiver<bool>,
    connections: &Connections,
    place: &impl Fn(TcpStream, SocketAddr),
    admit: &impl Fn(Handed),
) -> io::Result<()> {
    loop {
        tokio::select! {
            biased;
            changed = closing.changed() => {
                if changed.is_err() || *closing.borrow() {
                    break;
                }
            }
            Some(handed) = door.recv() => admit(handed),
            accepted = listener.accept() => match accepted {
                Ok((stream, address)) => place(stream, address),
                Err(error) if is_exhausted(&error) => tokio::time::sleep(EXHAUSTED).await,
                // A client that left before it was accepted concerns nobody.
                Err(_) => {}
            },
        }
    }
    // Another worker that hands one over from now on gets it back, and keeps it.
    door.close();
    while let Ok(handed) = door.try_recv() {
        admit(handed);
    }
    let listener = listener.into_std()?;
    while let Ok((stream, address)) = listener.accept() {
        connections.balance.place_own();
        prepare(&stream);
        admit((stream, address));
    }
    Ok(())
}

/// Waits for the cut, and then a moment for the connections to notice.
async fn finish(connections: &Connections, drain: &Drain) {
    let mut listener = drain.listen();
    std::future::poll_fn(|cx| match listener.poll_phase(cx) {
        Phase::Cut => std::task::Poll::Ready(()),
        _ => std::task::Poll::Pending,
    })
    .await;
    let closed = async {
        while connections.open.get() > 0 {
            connections.all_closed.notified().await;
        }
    };
    // What is still there has a client that does not read; the process must not wait for it.
    tokio::time::timeout(LAST, closed).await.ok();
}

fn place(
    connections: &Connections,
    stream: TcpStream,
    address: SocketAddr,
    admit: &impl Fn(Handed),
) {
    let Ok(stream) = stream.into_std() else {
        return;
    };
    prepare(&stream);
    let worker = connections.balance.place();
    if connections.balance.is_own(worker) {
        admit((stream, address));
    } else if let Some(back) = connections.balance.hand(worker, (stream, address)) {
        admit(back);
    }
}

fn prepare(stream: &std::net::TcpStream) {
    // A socket that refuses these options works all the same, only slower.
    stream.set_nodelay(true).ok();
    stream.set_nonblocking(true).ok();
}

fn is_exhausted(error: &io::Error) -> bool {
    let code = error
        .raw_os_error()
        .and_then(|code| u32::try_from(code).ok());
    // EMFILE, ENFILE, ENOBUFS and ENOMEM: nothing about this connection, everything about the process.
    matches!(code, Some(24 | 23 | 105 | 12))
}

async fn converse<S>(
    stream: std::net::TcpStream,
    address: SocketAddr,
    edge: Rc<Edge>,
    stack: S,
    tls: Option<Acceptor>,
) where
    S: tower::Service<
            http::Request<seaworthy_http::body::RequestBody>,
            Response = http::Response<stack::Body>,
            Error = std::convert::Infallible,
            Future: 'static,
        > + Clone
        + 'static,
{
    // Fails only for a socket that this runtime cannot watch, and then nobody could be answered.
    let Ok(stream) = TcpStream::from_std(stream) else {
        return;
    };
    let peer = Peer {
        address: Some(address),
        secure: tls.is_some(),
    };
    match tls {
        None => edge::serve(stream, peer, edge, stack).await,
        Some(tls) => {
            let handshake = tokio::time::timeout(edge.header_timeout, tls.accept(stream)).await;
            let Ok(Ok(stream)) = handshake else {
                return;
            };
            // What was agreed on holds, whatever the first bytes look like.
            if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
                let stream = edge::Rewind::new(bytes::BytesMut::new(), stream);
                edge::serve_http2(stream, peer, edge, stack).await;
            } else {
                edge::serve(stream, peer, edge, stack).await;
            }
        }
    }
}

/// Timed work of a worker that belongs to no request.
async fn housekeeping(upstream: Upstream, telemetry: Rc<Telemetry>) {
    let mut since_sweep = Duration::ZERO;
    loop {
        tokio::time::sleep(FLUSH).await;
        telemetry.flush();
        since_sweep += FLUSH;
        if since_sweep >= SWEEP {
            since_sweep = Duration::ZERO;
            upstream.sweep();
        }
    }
}

struct Connections {
    balance: Balance,
    open: Cell<usize>,
    all_closed: Notify,
}

impl Connections {
    fn new(balance: Balance) -> Self {
        Self {
            balance,
            open: Cell::new(0),
            all_closed: Notify::new(),
        }
    }

    fn enter(self: Rc<Self>) -> Open {
        self.open.set(self.open.get() + 1);
        Open(self)
    }
}

/// An open connection; dropping it is its end.
struct Open(Rc<Connections>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.balance.closed();
        self.0.open.set(self.0.open.get() - 1);
        if self.0.open.get() == 0 {
            self.0.all_closed.notify_one();
        }
    }
}
