//! An answer that is read piece by piece.
//!
//! What a topic holds was written by others. A record may be longer than anybody wants to hold, and a broker sends it whole when it
//! is the first one asked for: the pieces let a reader see that in time.

use crate::probe::stream::{Socket, read_bytes};
use crate::probe::trouble::Trouble;

/// No answer that is held may be longer: it is enough for a topic of fifty thousand partitions.
pub(super) const LONGEST: usize = 4 * 1024 * 1024;

/// What has not been read yet of an answer. Dropped before its end it leaves the connection of no use.
pub(super) struct Answer<'a> {
    socket: &'a mut Socket,
    left: usize,
}

impl<'a> Answer<'a> {
    pub(super) fn new(socket: &'a mut Socket, length: usize) -> Self {
        Self {
            socket,
            left: length,
        }
    }

    /// How many bytes are left.
    pub(super) fn left(&self) -> usize {
        self.left
    }

    /// The next `length` bytes.
    pub(super) async fn take(&mut self, length: usize) -> Result<Vec<u8>, Trouble> {
        if length > self.left || length > LONGEST {
            return Err(Trouble::Foreign);
        }
        self.left -= length;
        read_bytes(self.socket, length).await
    }

    /// Reads over what is left, when that is little enough to be worth it.
    pub(super) async fn finish(mut self) -> Result<(), Trouble> {
        self.take(self.left).await.map(drop)
    }
}
