//! The access log: one line for each request, and no request ever waits for it.
//!
//! A worker appends its lines to a buffer of its own; nothing is shared and nothing is woken. Full buffers, and on
//! [`Lines::flush`] the begun ones, go to one writing thread over a bounded channel. When that thread cannot keep up, whole
//! buffers are dropped and their lines counted, so that a stuck log can cost lines but never latency or memory.
//!
//! Probes that succeed are not logged: they are most of the lines of a quiet service and say nothing. Those that fail are.
//! Queries never are, because they carry secrets. There is no sampling and no rotation here: a file has `logrotate`, a
//! container its runtime.

mod line;
mod writer;

use std::cell::RefCell;
use std::io::{self, Write};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};
use std::time::Duration;

use seaworthy_core::exchange::Finished;

use crate::log::Format;
use crate::stamp::{self, Stamp};
use line::{Prefix, Shape};
use writer::Batch;

/// Bytes that a worker collects before it hands them over.
pub const BUFFER: usize = 64 * 1024;

/// How many buffers may wait for the writing thread: 4 MiB.
const QUEUE: usize = 64;

/// What [`Writer::close`] waits for a destination that takes nothing.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);

/// What every line needs to know.
#[derive(Debug, Clone)]
pub struct Config {
    /// JSON for machines, short text for a terminal.
    pub format: Format,
    /// The name in the field `service`.
    pub service: String,
    /// The templates of the routes by number, as `RouteTable::templates` gives them.
    pub routes: Vec<String>,
    /// How addresses of clients are written. Without it they are written whole, which is by far the fastest.
    pub shown: Option<Shown>,
}

/// How the address of a client is written where it is not written whole: at most 64 letters, digits, dots and colons.
#[derive(Clone, Copy)]
pub struct Shown(pub fn(IpAddr) -> String);

impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shown")
    }
}

/// The writing thread, from the side of whoever owns it.
#[derive(Debug)]
pub struct Writer {
    sender: SyncSender<Batch>,
    shared: Arc<writer::Shared>,
    /// Yields nothing; it is cut when the thread ends.
    ended: Receiver<()>,
}

impl Writer {
    /// Starts the thread; lines go to standard error.
    ///
    /// # Errors
    ///
    /// The system refused to start a thread.
    pub fn try_new(config: &Config) -> io::Result<Self> {
        let pieces = writer::atomic_piece(&io::stderr());
        Self::try_with(config, Box::new(io::stderr()), pieces)
    }

    /// Starts the thread; lines go to `destination`, whole buffers at a time.
    ///
    /// # Errors
    ///
    /// The system refused to start a thread.
    pub fn try_with_destination(
        config: &Config,
        destination: Box<dyn Write + Send>,
    ) -> io::Result<Self> {
        Self::try_with(config, destination, usize::MAX)
    }

    fn try_with(
        config: &Config,
        destination: Box<dyn Write + Send>,
        piece: usize,
    ) -> io::Result<Self> {
        let (sender, batches) = sync_channel(QUEUE);
        let (alive, ended) = sync_channel(0);
        let shape = Shape::new(config.format);
        let prefix = Prefix::new(shape, &config.service, &config.routes).showing(config.shown);
        let shared = Arc::new(writer::Shared::new(prefix));
        let thread = writer::Thread {
            batches,
            destination,
            piece,
            shared: Arc::clone(&shared),
            alive,
        };
        std::thread::Builder::new()
            .name("access-log".to_owned())
            .spawn(move || thread.run())?;
        Ok(Self {
            sender,
            shared,
            ended,
        })
    }

    /// The buffer for one worker.
    pub fn worker(&self) -> Lines {
        Lines {
            state: RefCell::new(State {
                buffer: Vec::with_capacity(BUFFER),
                lines: 0,
                stamp: Stamp::new(),
                prefix: self.prefix(),
            }),
            sender: self.sender.clone(),
            shared: Arc::clone(&self.shared),
        }
    }

    /// Takes in that there are more routes: the templates by number, those that were known before under the numbers that they
    /// had. Workers learn of it by [`Lines::renew`].
    pub fn renew(&self, routes: &[String]) {
        let mut prefix = self.shared.prefix();
        *prefix = Arc::new(prefix.with_routes(routes));
    }

    fn prefix(&self) -> Arc<Prefix> {
        Arc::clone(&self.shared.prefix())
    }

    /// How many lines were dropped so far.
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    /// A reader of [`Writer::dropped`] that outlives the writer, for the metrics.
    pub fn dropped_reader(&self) -> impl Fn() -> u64 + Send + Sync + 'static {
        let shared = Arc::clone(&self.shared);
        move || shared.dropped.load(Ordering::Relaxed)
    }

    /// Writes all that was handed over and ends the thread; gives up on a stuck destination after two seconds.
    pub fn close(self) -> bool {
        self.close_within(CLOSE_LIMIT)
    }

    /// Like [`Writer::close`] with another limit; says whether everything was written. Drop or flush the workers' [`Lines`]
    /// first: what comes later is dropped and counted.
    pub fn close_within(self, limit: Duration) -> bool {
        self.shared.closing.store(true, Ordering::Release);
        // Wakes the thread if it waits. If the channel is full it does not wait, and looks at `closing` by itself.
        if let Err(TrySendError::Disconnected(_)) = self.sender.try_send(Batch::default()) {
            return true;
        }
        matches!(
            self.ended.recv_timeout(limit),
            Err(RecvTimeoutError::Disconnected)
        )
    }
}

/// The lines of one worker; lives on the worker's thread.
#[derive(Debug)]
pub struct Lines {
    state: RefCell<State>,
    sender: SyncSender<Batch>,
    shared: Arc<writer::Shared>,
}

#[derive(Debug)]
struct State {
    buffer: Vec<u8>,
    lines: u32,
    stamp: Stamp,
    prefix: Arc<Prefix>,
}

impl Lines {
    /// Takes in what [`Writer::renew`] was told.
    pub fn renew(&self) {
        let prefix = Arc::clone(&self.shared.prefix());
        self.state.borrow_mut().prefix = prefix;
    }

    /// Adds the line of a finished request, stamped with the wall clock.
    pub fn line(&self, done: &Finished<'_>) {
        if worth_a_line(done) {
            self.append(done, stamp::now());
        }
    }

    /// Like [`Lines::line`] for a caller that has read the clock already.
    pub fn line_at(&self, done: &Finished<'_>, since_epoch: Duration) {
        if worth_a_line(done) {
            self.append(done, since_epoch);
        }
    }

    fn append(&self, done: &Finished<'_>, since_epoch: Duration) {
        let state = &mut *self.state.borrow_mut();
        if state.buffer.capacity() - state.buffer.len() < line::LONGEST {
            self.hand_over(state, true);
        }
        let stamp = state.stamp.at(since_epoch);
        line::write(&mut state.buffer, &state.prefix, stamp, done);
        state.lines += 1;
    }

    /// Hands over what was begun, if the writing thread has room; call it every 250 ms or so, and before the end.
    pub fn flush(&self) {
        let state = &mut *self.state.borrow_mut();
        if !state.buffer.is_empty() {
            self.hand_over(state, false);
        }
    }

    /// `must`: there is no room to keep the lines, so they are dropped if the channel is full.
    fn hand_over(&self, state: &mut State, must: bool) {
        // A small rest is copied, so that a quiet service does not turn over 64 KiB four times a second.
        let bytes = if state.buffer.len() < BUFFER / 4 {
            state.buffer.clone()
        } else {
            std::mem::replace(&mut state.buffer, Vec::with_capacity(BUFFER))
        };
        let lines = state.lines;
        match self.sender.try_send(Batch { bytes, lines }) {
            Ok(()) => {}
            Err(TrySendError::Full(batch)) if !must => {
                state.buffer = batch.bytes;
                state
                    .buffer
                    .reserve_exact(BUFFER.saturating_sub(state.buffer.len()));
                return;
            }
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.shared
                    .dropped
                    .fetch_add(u64::from(lines), Ordering::Relaxed);
            }
        }
        state.buffer.clear();
        state.lines = 0;
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        let state = self.state.get_mut();
        let (bytes, lines) = (std::mem::take(&mut state.buffer), state.lines);
        if bytes.is_empty() {
            return;
        }
        if self.sender.try_send(Batch { bytes, lines }).is_err() {
            self.shared
                .dropped
                .fetch_add(u64::from(lines), Ordering::Relaxed);
        }
    }
}

fn worth_a_line(done: &Finished<'_>) -> bool {
    !done.view || done.cut || done.status >= 400
}

#[cfg(test)]
mod tests;
