//! The thread that writes the buffers of all workers.

use std::io::Write;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::line::Prefix;

/// Lines of one worker, whole ones only.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) bytes: Vec<u8>,
    pub(super) lines: u32,
}

/// What the thread shares with its owner and the workers.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) dropped: AtomicU64,
    pub(super) closing: AtomicBool,
    prefix: Mutex<Arc<Prefix>>,
}

impl Shared {
    pub(super) fn new(prefix: Prefix) -> Self {
        Self {
            dropped: AtomicU64::new(0),
            closing: AtomicBool::new(false),
            prefix: Mutex::new(Arc::new(prefix)),
        }
    }

    /// What lines are begun with from now on; looked at when a worker starts or renews its own.
    pub(super) fn prefix(&self) -> MutexGuard<'_, Arc<Prefix>> {
        self.prefix.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) struct Thread {
    pub(super) batches: Receiver<Batch>,
    pub(super) destination: Box<dyn Write + Send>,
    /// The most bytes that one write may have, unless a single line is longer.
    pub(super) piece: usize,
    pub(super) shared: Arc<Shared>,
    /// Dropped at the end, which the owner notices.
    pub(super) alive: SyncSender<()>,
}

impl Thread {
    pub(super) fn run(mut self) {
        // Waits for the next batch, then takes all there are before it looks whether it should end.
        while let Ok(first) = self.batches.recv() {
            self.write(&first);
            while let Ok(next) = self.batches.try_recv() {
                self.write(&next);
            }
            if self.shared.closing.load(Ordering::Acquire) {
                break;
            }
        }
        // Whoever learns of the end may write again at once: by then the channel must refuse.
        let Self {
            batches,
            alive,
            shared,
            ..
        } = self;
        for late in batches.try_iter() {
            let lost = u64::from(late.lines);
            shared.dropped.fetch_add(lost, Ordering::Relaxed);
        }
        drop(batches);
        drop(alive);
    }

    fn write(&mut self, batch: &Batch) {
        for piece in pieces(&batch.bytes, self.piece) {
            // A log that cannot be written cannot be complained about in the log; the count says it.
            if self.destination.write_all(piece).is_err() {
                let lost = batch.lines;
                self.shared
                    .dropped
                    .fetch_add(u64::from(lost), Ordering::Relaxed);
                return;
            }
        }
    }
}

/// How much a single write may carry and still arrive in one piece.
///
/// The app has inherited our standard error and writes to it as well. A pipe keeps a write together only up to `PIPE_BUF`;
/// beyond that the kernel may put the app's lines into the middle of ours. Files append whole writes.
pub(super) fn atomic_piece(destination: &impl AsFd) -> usize {
    const PIPE_BUF: usize = 4096;
    let is_file = destination
        .as_fd()
        .try_clone_to_owned()
        .and_then(|fd| std::fs::File::from(fd).metadata())
        .is_ok_and(|metadata| metadata.is_file());
    if is_file { usize::MAX } else { PIPE_BUF }
}

/// Cuts after line ends, so that each piece has at most `limit` bytes; a longer line is a piece of its own.
fn pieces(mut bytes: &[u8], limit: usize) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        if bytes.is_empty() {
            return None;
        }
        let end = match bytes.get(..limit) {
            None => bytes.len(),
            Some(head) => match head.iter().rposition(|&byte| byte == b'\n') {
                Some(at) => at + 1,
                None => bytes
                    .iter()
                    .position(|&byte| byte == b'\n')
                    .map_or(bytes.len(), |at| at + 1),
            },
        };
        let (piece, rest) = bytes.split_at(end);
        bytes = rest;
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn pieces_are_whole_lines_and_lose_nothing(lines in proptest::collection::vec("[a-z]{0,30}\n", 0..40), limit in 1usize..60) {
            let all = lines.concat();
            let mut joined = Vec::new();
            for piece in pieces(all.as_bytes(), limit) {
                prop_assert_eq!(piece.last(), Some(&b'\n'));
                let single = piece.iter().filter(|&&byte| byte == b'\n').count() == 1;
                prop_assert!(piece.len() <= limit || single);
                joined.extend_from_slice(piece);
            }
            prop_assert_eq!(joined, all.as_bytes());
        }
    }
}
