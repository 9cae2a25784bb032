//! How many documents are on their way to somebody, so that an end can wait for them a little.

use std::time::Duration;

use tokio::sync::watch;

/// See the [module documentation](self). Clones are the same one.
#[derive(Clone, Debug)]
pub struct Underway(watch::Sender<usize>);

impl Default for Underway {
    fn default() -> Self {
        Self(watch::Sender::new(0))
    }
}

impl Underway {
    /// One more sets out.
    pub(super) fn begin(&self) {
        self.0.send_modify(|count| *count += 1);
    }

    /// One was taken, or is given up.
    pub(super) fn end(&self) {
        self.0.send_modify(|count| *count = count.saturating_sub(1));
    }

    /// Waits until none is left, and says how many are after so long.
    pub async fn settle(&self, within: Duration) -> usize {
        let mut count = self.0.subscribe();
        // The sender is `self`, so nothing but time can end it early.
        let _over = tokio::time::timeout(within, count.wait_for(|count| *count == 0)).await;
        *self.0.borrow()
    }
}
