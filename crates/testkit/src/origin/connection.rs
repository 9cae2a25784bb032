//! One connection of an origin: a reader that records and a player of steps, side by side on one socket.

use std::io;
use std::sync::Arc;

use rustix::net::Shutdown;
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::watch;

use super::{Log, Step, message};
use crate::client::linger_zero;

/// A socket that is read and written through a shared reference.
#[derive(Debug)]
pub(super) enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = match self {
                Self::Tcp(stream) => {
                    stream.readable().await?;
                    stream.try_read(buffer)
                }
                Self::Unix(stream) => {
                    stream.readable().await?;
                    stream.try_read(buffer)
                }
            };
            match read {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => return done,
            }
        }
    }

    async fn write(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = match self {
                Self::Tcp(stream) => {
                    stream.writable().await?;
                    stream.try_write(bytes)
                }
                Self::Unix(stream) => {
                    stream.writable().await?;
                    stream.try_write(bytes)
                }
            };
            match written {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                done => bytes = &bytes[done?..],
            }
        }
        Ok(())
    }

    fn finish(&self) -> io::Result<()> {
        Ok(match self {
            Self::Tcp(stream) => rustix::net::shutdown(stream, Shutdown::Write),
            Self::Unix(stream) => rustix::net::shutdown(stream, Shutdown::Write),
        }?)
    }

    /// Makes the coming close a reset; a unix socket has none and just closes.
    fn reset(&self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => linger_zero(stream),
            Self::Unix(_) => Ok(()),
        }
    }
}

/// Plays `steps` on `socket` until they end; records all the while.
pub(super) async fn serve(socket: Socket, index: usize, steps: Vec<Step>, log: Arc<Log>) {
    let listening = watch::Sender::new(!matches!(steps.first(), Some(Step::Deaf)));
    let recorded = record(&socket, index, &log, listening.subscribe());
    let mut player = Player {
        socket: &socket,
        index,
        log: &log,
        listening,
        read: 0,
    };
    let played = player.play(&steps);
    tokio::pin!(recorded, played);
    // A write to a peer that has gone fails; that ends the script as its last step would.
    tokio::select! {
        () = async { (&mut recorded).await; std::future::pending().await } => {}
        _ = &mut played => {}
    }
    log.change(index, |record| record.ended = true);
}

async fn record(socket: &Socket, index: usize, log: &Log, mut listening: watch::Receiver<bool>) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        if listening.wait_for(|on| *on).await.is_err() {
            return;
        }
        tokio::select! {
            read = socket.read(&mut buffer) => match read {
                Ok(count) if count > 0 => log.change(index, |record| record.bytes.extend_from_slice(&buffer[..count])),
                _ => return log.change(index, |record| record.ended = true),
            },
            _ = listening.wait_for(|on| !*on) => {}
        }
    }
}

struct Player<'a> {
    socket: &'a Socket,
    index: usize,
    log: &'a Log,
    listening: watch::Sender<bool>,
    /// How many of the recorded bytes earlier steps have used.
    read: usize,
}

impl Player<'_> {
    async fn play(&mut self, steps: &[Step]) -> io::Result<()> {
        let mut at = 0;
        while let Some(step) = steps.get(at) {
            at += 1;
            match step {
                Step::Repeat => at = 0,
                Step::Close => return Ok(()),
                Step::Reset => return self.socket.reset(),
                step => self.step(step).await?,
            }
        }
        Ok(())
    }

    async fn step(&mut self, step: &Step) -> io::Result<()> {
        match step {
            Step::Request => self.read += self.received(message::length).await?,
            Step::Head => {
                self.received(message::head).await?;
            }
            Step::End => self.ended().await,
            Step::Send(bytes) => self.socket.write(bytes).await?,
            Step::Drip(bytes, pause) => {
                for byte in bytes {
                    self.socket.write(&[*byte]).await?;
                    tokio::time::sleep(*pause).await;
                }
            }
            Step::Flood(count) => self.flood(*count).await?,
            Step::Pause(pause) => tokio::time::sleep(*pause).await,
            Step::Wait(gate) => gate.passed().await,
            Step::Deaf => drop(self.listening.send_replace(false)),
            Step::Listen => drop(self.listening.send_replace(true)),
            Step::Finish => self.socket.finish()?,
            Step::Hang => std::future::pending().await,
            Step::Close | Step::Reset | Step::Repeat => {}
        }
        Ok(())
    }

    async fn flood(&self, count: u64) -> io::Result<()> {
        let block = vec![b'x'; 64 * 1024];
        let mut left = count;
        while left > 0 {
            let size = usize::try_from(left).map_or(block.len(), |left| left.min(block.len()));
            self.socket.write(&block[..size]).await?;
            left -= size as u64;
        }
        Ok(())
    }

    /// Waits until `measure` finds its message after what earlier steps used; the peer's end ends the script.
    async fn received(&self, measure: impl Fn(&[u8]) -> Option<usize>) -> io::Result<usize> {
        loop {
            let changed = self.log.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let (found, ended) = self.log.with(|records| {
                let record = &records[self.index];
                (measure(&record.bytes[self.read..]), record.ended)
            });
            match found {
                Some(length) => return Ok(length),
                None if ended => return Err(io::ErrorKind::UnexpectedEof.into()),
                None => changed.await,
            }
        }
    }

    async fn ended(&self) {
        loop {
            let changed = self.log.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            if self.log.with(|records| records[self.index].ended) {
                return;
            }
            changed.await;
        }
    }
}
