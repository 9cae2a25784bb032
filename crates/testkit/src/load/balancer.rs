//! A balancer in front of a few instances, as a Service is in front of pods.
//!
//! It asks each instance's `/health/ready` every 50 ms and gives new requests to open ones only, in turn. It never
//! retries: what an instance breaks, the client sees. An instance that closes loses its pooled connections at once, and
//! one that answers `Connection: close` is reconnected.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

use crate::client::{self, Connection, Response};
use crate::{origin, wait};

const POLL: Duration = Duration::from_millis(50);

/// A running balancer; it stops when dropped.
#[derive(Debug)]
pub struct Balancer {
    address: SocketAddr,
    shared: Arc<Shared>,
    tasks: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    slots: Vec<Slot>,
    turn: AtomicUsize,
    unavailable: AtomicU64,
    broken: AtomicU64,
}

#[derive(Debug, Default)]
struct Slot {
    target: Mutex<Option<SocketAddr>>,
    ready: AtomicBool,
    pool: Mutex<Vec<(SocketAddr, Connection)>>,
    served: AtomicU64,
}

/// What the balancer itself had to answer, and what each slot served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counts {
    /// 503: no instance was ready.
    pub unavailable: u64,
    /// 502: an instance broke off.
    pub broken: u64,
    /// Requests answered by each slot.
    pub served: Vec<u64>,
}

impl Balancer {
    /// Starts one with so many empty slots.
    ///
    /// # Errors
    /// When no port is free.
    pub async fn start(slots: usize) -> crate::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            slots: std::iter::repeat_with(Slot::default).take(slots).collect(),
            turn: AtomicUsize::new(0),
            unavailable: AtomicU64::new(0),
            broken: AtomicU64::new(0),
        });
        let mut tasks = vec![tokio::spawn(accept(listener, Arc::clone(&shared)))];
        tasks.extend((0..slots).map(|index| tokio::spawn(poll(Arc::clone(&shared), index))));
        Ok(Self {
            address,
            shared,
            tasks,
        })
    }

    /// Where clients connect.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Puts an instance into a slot, or none; it serves once it is ready.
    pub fn set(&self, slot: usize, instance: Option<SocketAddr>) {
        let slot = &self.shared.slots[slot];
        slot.close();
        *lock(&slot.target) = instance;
    }

    /// Whether the instance in `slot` gets new requests.
    #[must_use]
    pub fn is_ready(&self, slot: usize) -> bool {
        self.shared.slots[slot].ready.load(Ordering::Relaxed)
    }

    /// Waits until the instance in `slot` is ready, or is not.
    ///
    /// # Errors
    /// When that does not happen in time.
    pub async fn wait_ready(&self, slot: usize, ready: bool) -> crate::Result<()> {
        let what = format!(
            "slot {slot} to be {}",
            if ready { "ready" } else { "closed" }
        );
        wait::holds(&what, wait::PATIENCE, || self.is_ready(slot) == ready).await
    }

    /// What it had to answer itself and what each slot served.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let served = self
            .shared
            .slots
            .iter()
            .map(|slot| slot.served.load(Ordering::Relaxed));
        Counts {
            unavailable: self.shared.unavailable.load(Ordering::Relaxed),
            broken: self.shared.broken.load(Ordering::Relaxed),
            served: served.collect(),
        }
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Slot {
    fn target(&self) -> Option<SocketAddr> {
        *lock(&self.target)
    }

    fn close(&self) {
        self.ready.store(false, Ordering::Relaxed);
        lock(&self.pool).clear();
    }

    async fn forward(&self, method: &str, request: &[u8]) -> crate::Result<Response> {
        let target = self.target();
        let pooled = lock(&self.pool)
            .pop()
            .filter(|(address, _)| Some(*address) == target);
        let (address, mut connection) = match (pooled, target) {
            (Some(pooled), _) => pooled,
            (None, Some(address)) => (address, Connection::open(address).await?),
            (None, None) => anyhow::bail!("the slot was emptied"),
        };
        connection.send(request).await?;
        let answer = connection.response(method).await?;
        if !answer.closes() && self.ready.load(Ordering::Relaxed) {
            lock(&self.pool).push((address, connection));
        }
        Ok(answer)
    }
}

async fn poll(shared: Arc<Shared>, index: usize) {
    let slot = &shared.slots[index];
    let mut every = tokio::time::interval(POLL);
    loop {
        every.tick().await;
        let Some(target) = slot.target() else {
            continue;
        };
        let answer =
            tokio::time::timeout(Duration::from_secs(1), client::get(target, "/health/ready"))
                .await;
        let ready = matches!(answer, Ok(Ok(answer)) if answer.status == 200);
        // The slot may have got another instance while the old one was asked.
        if slot.target() != Some(target) {
            continue;
        }
        if ready {
            slot.ready.store(true, Ordering::Relaxed);
        } else {
            slot.close();
        }
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut clients = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        clients.spawn(serve(stream, Arc::clone(&shared)));
        while clients.try_join_next().is_some() {}
    }
}

async fn serve(mut stream: TcpStream, shared: Arc<Shared>) {
    if stream.set_nodelay(true).is_err() {
        return;
    }
    let mut buffer = Vec::new();
    loop {
        let length = loop {
            if let Some(length) = origin::message_length(&buffer) {
                break length;
            }
            match stream.read_buf(&mut buffer).await {
                Ok(count) if count > 0 => {}
                _ => return,
            }
        };
        let request: Vec<u8> = buffer.drain(..length).collect();
        let answer = shared.answer(&request).await;
        if stream.write_all(&answer).await.is_err() {
            return;
        }
    }
}

impl Shared {
    async fn answer(&self, request: &[u8]) -> Vec<u8> {
        let open: Vec<_> = self
            .slots
            .iter()
            .filter(|slot| slot.ready.load(Ordering::Relaxed))
            .collect();
        if open.is_empty() {
            self.unavailable.fetch_add(1, Ordering::Relaxed);
            return plain(503, "no instance is ready");
        }
        let slot = open[self.turn.fetch_add(1, Ordering::Relaxed) % open.len()];
        let method = String::from_utf8_lossy(request);
        let method = method.split(' ').next().unwrap_or_default();
        match slot.forward(method, request).await {
            Ok(answer) => {
                slot.served.fetch_add(1, Ordering::Relaxed);
                render(&answer)
            }
            Err(error) => {
                self.broken.fetch_add(1, Ordering::Relaxed);
                plain(502, &format!("{error:#}"))
            }
        }
    }
}

/// The answer as the client gets it: the client's connection outlives the instance's.
fn render(answer: &Response) -> Vec<u8> {
    let mut text = format!("{}\r\n", answer.head.start);
    let hop = [
        "connection",
        "transfer-encoding",
        "keep-alive",
        "content-length",
    ];
    for (name, value) in &answer.head.headers {
        if !hop.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    text.push_str(&format!("Content-Length: {}\r\n\r\n", answer.body.len()));
    let mut bytes = text.into_bytes();
    bytes.extend_from_slice(&answer.body);
    bytes
}

fn plain(status: u16, reason: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status} Balancer\r\nContent-Length: {}\r\n\r\n{reason}",
        reason.len()
    )
    .into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::Load;
    use crate::origin::{Origin, Script, ok};

    fn tcp(origin: &Origin) -> SocketAddr {
        match origin.address() {
            crate::address::Address::Tcp(address) => address,
            crate::address::Address::Unix(path) => panic!("{}", path.display()),
        }
    }

    #[tokio::test]
    async fn shares_requests_among_ready_instances() {
        let (first, second) = (Script::always(ok("1")), Script::always(ok("2")));
        let origins = [
            Origin::tcp(first).await.unwrap(),
            Origin::tcp(second).await.unwrap(),
        ];
        let balancer = Balancer::start(2).await.unwrap();
        for (slot, origin) in origins.iter().enumerate() {
            balancer.set(slot, Some(tcp(origin)));
            balancer.wait_ready(slot, true).await.unwrap();
        }
        let load = Load::new(balancer.address()).connections(2).count(100);
        let report = load.run().await.unwrap();
        assert_eq!((report.status(200), report.failures()), (100, 0));
        assert_eq!(balancer.counts().served, [50, 50]);
        balancer.set(0, None);
        balancer.wait_ready(0, false).await.unwrap();
        Load::new(balancer.address()).count(10).run().await.unwrap();
        assert_eq!(balancer.counts().served, [50, 60]);
    }

    #[tokio::test]
    async fn never_hides_a_broken_instance() {
        let balancer = Balancer::start(1).await.unwrap();
        let report = Load::new(balancer.address()).count(1).run().await.unwrap();
        assert_eq!(report.status(503), 1);
        let script = Script::by_connection(|index| {
            let answer = if index == 0 {
                ok("")
            } else {
                b"HTTP/1.1 200 OK\r\n".to_vec()
            };
            vec![
                crate::origin::Step::Request,
                crate::origin::Step::Send(answer),
                crate::origin::Step::Close,
            ]
        });
        let origin = Origin::tcp(script).await.unwrap();
        balancer.set(0, Some(tcp(&origin)));
        balancer.wait_ready(0, true).await.unwrap();
        let report = Load::new(balancer.address())
            .connections(1)
            .count(1)
            .run()
            .await
            .unwrap();
        assert_eq!(
            (report.status(502), balancer.counts().broken),
            (1, 1),
            "{report:?}"
        );
    }
}
