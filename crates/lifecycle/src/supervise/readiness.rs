//! Does the app accept connections yet?
//!
//! The only sign that every server gives is that a connection to it succeeds. It is tried every 20 ms at first, so that a
//! fast start is noticed fast, and less often later, so that a slow one is not disturbed.

use std::time::Duration;

use seaworthy_core::address::Address;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Instant, sleep, timeout};

const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LAST_PAUSE: Duration = Duration::from_millis(100);
/// A connection within one machine that takes longer than this is no sign of readiness.
const CONNECT: Duration = Duration::from_secs(1);
/// After this time it is worth a look whether the app listens somewhere else.
const SUSPICIOUS: Duration = Duration::from_secs(5);

/// One that listens nowhere is taken to work when it has not ended within this time.
const MOMENT: Duration = Duration::from_secs(1);

/// What a start has come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Progress {
    /// It accepts connections, or has run for long enough if it has none to accept.
    Ready,
    /// It takes its time; this comes once.
    Slow,
    /// It took too long.
    TimedOut,
}

/// Follows one start.
#[derive(Debug)]
pub(super) struct Readiness {
    address: Option<Address>,
    deadline: Instant,
    suspicious: Option<Instant>,
    pause: Duration,
}

impl Readiness {
    pub(super) fn new(address: Option<Address>, limit: Duration) -> Readiness {
        let now = Instant::now();
        Readiness {
            address,
            deadline: now + limit,
            suspicious: Some(now + SUSPICIOUS),
            pause: FIRST_PAUSE,
        }
    }

    /// The next thing worth knowing. May be cancelled and asked again.
    pub(super) async fn next(&mut self) -> Progress {
        let Some(address) = &self.address else {
            sleep(MOMENT).await;
            return Progress::Ready;
        };
        loop {
            if accepts(address).await {
                return Progress::Ready;
            }
            let now = Instant::now();
            if now >= self.deadline {
                return Progress::TimedOut;
            }
            if self.suspicious.is_some_and(|at| now >= at) {
                self.suspicious = None;
                return Progress::Slow;
            }
            sleep(self.pause.min(self.deadline - now)).await;
            self.pause = (self.pause * 5 / 4).min(LAST_PAUSE);
        }
    }
}

/// Whether somebody accepts a connection there.
pub(super) async fn accepts(address: &Address) -> bool {
    let attempt = async {
        match address {
            Address::Tcp(addr) => match TcpStream::connect(addr).await {
                Ok(stream) => !is_own_echo(&stream),
                Err(_) => false,
            },
            Address::Unix(path) => UnixStream::connect(path).await.is_ok(),
        }
    };
    timeout(CONNECT, attempt).await.unwrap_or(false)
}

/// Connecting to a free port of one's own machine can, by chance, get that very port as its source and so reach itself.
fn is_own_echo(stream: &TcpStream) -> bool {
    matches!((stream.local_addr(), stream.peer_addr()), (Ok(local), Ok(peer)) if local == peer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpListener;

    #[tokio::test]
    async fn notices_the_moment_something_listens() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = Address::Tcp(listener.local_addr().unwrap());
        let mut readiness = Readiness::new(Some(address.clone()), Duration::from_secs(5));
        assert_eq!(readiness.next().await, Progress::Ready);
        drop(listener);
        let mut readiness = Readiness::new(Some(address), Duration::from_millis(50));
        assert_eq!(readiness.next().await, Progress::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn says_once_that_it_takes_long() {
        let nowhere = Address::Unix("/nonexistent/app.sock".into());
        let started = Instant::now();
        let mut readiness = Readiness::new(Some(nowhere), Duration::from_secs(60));
        assert_eq!(readiness.next().await, Progress::Slow);
        assert!(started.elapsed() >= SUSPICIOUS && started.elapsed() < SUSPICIOUS * 2);
        assert_eq!(readiness.next().await, Progress::TimedOut);
        assert!(started.elapsed() >= Duration::from_secs(60));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_listens_nowhere_is_ready_after_a_moment() {
        let started = Instant::now();
        let mut readiness = Readiness::new(None, Duration::ZERO);
        assert_eq!(readiness.next().await, Progress::Ready);
        assert!(started.elapsed() >= MOMENT);
    }

    #[tokio::test]
    async fn a_connection_to_itself_does_not_count() {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let addr = socket.local_addr().unwrap();
        let stream = socket.connect(addr).await.unwrap();
        assert!(is_own_echo(&stream));
    }
}
