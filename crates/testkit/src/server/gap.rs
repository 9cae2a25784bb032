//! A TCP proxy between a test and a server, for what a network does: pass, delay, fall silent, refuse.
//!
//! A stopped server refuses and a paused one hangs, but a slow or a silent network is neither. What is on its way when the
//! network falls silent arrives when it is back, as it would over TCP. It cannot lose the first packet of a connection: that one
//! is opened, and silent.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use anyhow::Context as _;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

/// What the network does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Everything passes.
    Pass,
    /// Everything passes this much later, in each direction: an exchange takes twice as long.
    Delay(Duration),
    /// Nothing passes, and nobody is told.
    Silent,
    /// Connections are refused, and those that are open end.
    Refuse,
}

/// A network that can be told what to do. Dropping it ends all its connections.
#[derive(Debug)]
pub struct Gap {
    address: SocketAddr,
    orders: mpsc::Sender<(Mode, oneshot::Sender<()>)>,
    opened: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Gap {
    /// Puts one before `target`, passing everything.
    ///
    /// # Errors
    /// When no port is free.
    pub fn before(target: SocketAddr) -> crate::Result<Self> {
        let listener = reserve(SocketAddr::from(([127, 0, 0, 1], 0)))?.listen(BACKLOG)?;
        let address = listener.local_addr()?;
        let (orders, orders_in) = mpsc::channel(1);
        let (opened, open) = (Arc::default(), Arc::default());
        let network = Network {
            address,
            target,
            mode: watch::Sender::new(Mode::Pass),
            opened: Arc::clone(&opened),
            open: Arc::clone(&open),
        };
        Ok(Self {
            address,
            orders,
            opened,
            open,
            task: tokio::spawn(network.run(listener, orders_in)),
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes what it does, and returns when it does it.
    ///
    /// # Errors
    /// When its port was taken by somebody else.
    pub async fn set(&self, mode: Mode) -> crate::Result<()> {
        let (done, is_done) = oneshot::channel();
        self.orders.send((mode, done)).await.ok();
        is_done.await.context("the gap is gone")
    }

    /// How many connections it has taken so far.
    #[must_use]
    pub fn opened(&self) -> usize {
        self.opened.load(Ordering::SeqCst)
    }

    /// How many of them are open.
    #[must_use]
    pub fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }
}

impl Drop for Gap {
    fn drop(&mut self) {
        self.task.abort();
    }
}

const BACKLOG: u32 = 128;

/// A port that is ours and where nobody listens: the kernel refuses.
fn reserve(address: SocketAddr) -> crate::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}

struct Network {
    address: SocketAddr,
    target: SocketAddr,
    mode: watch::Sender<Mode>,
    opened: Arc<AtomicUsize>,
    open: Arc<AtomicUsize>,
}

impl Network {
    async fn run(
        self,
        listener: TcpListener,
        mut orders: mpsc::Receiver<(Mode, oneshot::Sender<()>)>,
    ) {
        let mut listener = Some(listener);
        let mut reserved = None;
        loop {
            let accepted = async {
                match &listener {
                    Some(listener) => listener.accept().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                order = orders.recv() => {
                    let Some((mode, done)) = order else { return };
                    if mode == Mode::Refuse && listener.take().is_some() {
                        let Ok(socket) = reserve(self.address) else { return };
                        reserved = Some(socket);
                    } else if mode != Mode::Refuse && let Some(socket) = reserved.take() {
                        let Ok(socket) = socket.listen(BACKLOG) else { return };
                        listener = Some(socket);
                    }
                    self.mode.send_replace(mode);
                    done.send(()).ok();
                }
                Ok((client, _)) = accepted => self.join(client),
            }
        }
    }

    fn join(&self, client: TcpStream) {
        self.opened.fetch_add(1, Ordering::SeqCst);
        self.open.fetch_add(1, Ordering::SeqCst);
        let (target, mode) = (self.target, self.mode.subscribe());
        let open = Arc::clone(&self.open);
        tokio::spawn(async move {
            pass_on(client, target, mode).await.ok();
            open.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

/// Passes on until either side ends or connections are refused.
async fn pass_on(
    mut client: TcpStream,
    target: SocketAddr,
    mode: watch::Receiver<Mode>,
) -> std::io::Result<()> {
    let mut refusal = mode.clone();
    let passing = async {
        let mut server = TcpStream::connect(target).await?;
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        tokio::select! {
            result = copy(from_client, to_server, mode.clone()) => result,
            result = copy(from_server, to_client, mode) => result,
        }
    };
    tokio::select! {
        result = passing => result,
        // The network is gone when its sender is.
        _ = refusal.wait_for(|mode| *mode == Mode::Refuse) => Ok(()),
    }
}

async fn copy(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    mut mode: watch::Receiver<Mode>,
) -> std::io::Result<()> {
    let mut buffer = [0; 16 * 1024];
    loop {
        let read = from.read(&mut buffer).await?;
        let now = *mode.borrow();
        if let Mode::Delay(time) = now {
            tokio::time::sleep(time).await;
        }
        if mode.wait_for(|mode| *mode != Mode::Silent).await.is_err() || read == 0 {
            return to.shutdown().await;
        }
        to.write_all(&buffer[..read]).await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = client.split();
                    tokio::io::copy(&mut from, &mut to).await.ok();
                });
            }
        });
        address
    }

    async fn ask(connection: &mut TcpStream) -> std::io::Result<u8> {
        connection.write_all(b"x").await?;
        connection.read_u8().await
    }

    #[tokio::test]
    async fn passes_and_delays() {
        let gap = Gap::before(echo().await).unwrap();
        let mut connection = TcpStream::connect(gap.address()).await.unwrap();
        assert_eq!(ask(&mut connection).await.unwrap(), b'x');
        let delay = Duration::from_millis(30);
        gap.set(Mode::Delay(delay)).await.unwrap();
        let start = Instant::now();
        assert_eq!(ask(&mut connection).await.unwrap(), b'x');
        assert!(start.elapsed() >= delay * 2, "{:?}", start.elapsed());
        assert_eq!((gap.opened(), gap.open()), (1, 1));
    }

    #[tokio::test]
    async fn what_was_silent_arrives_later() {
        let gap = Gap::before(echo().await).unwrap();
        let mut connection = TcpStream::connect(gap.address()).await.unwrap();
        assert_eq!(ask(&mut connection).await.unwrap(), b'x');
        gap.set(Mode::Silent).await.unwrap();
        let soon = Duration::from_millis(50);
        let mut asking = std::pin::pin!(ask(&mut connection));
        assert!(tokio::time::timeout(soon, &mut asking).await.is_err());
        gap.set(Mode::Pass).await.unwrap();
        assert_eq!(asking.await.unwrap(), b'x');
    }

    #[tokio::test]
    async fn refuses_and_comes_back_on_the_same_port() {
        let gap = Gap::before(echo().await).unwrap();
        let mut before = TcpStream::connect(gap.address()).await.unwrap();
        assert_eq!(ask(&mut before).await.unwrap(), b'x');
        gap.set(Mode::Refuse).await.unwrap();
        let refused = TcpStream::connect(gap.address()).await.unwrap_err();
        assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
        assert!(ask(&mut before).await.is_err());
        gap.set(Mode::Pass).await.unwrap();
        let mut after = TcpStream::connect(gap.address()).await.unwrap();
        assert_eq!(ask(&mut after).await.unwrap(), b'x');
    }
}
