//! Heavy tests take turns.
//!
//! Tests of one program run side by side; one that fills the machine or measures time must not meet another of its
//! kind, or each would see the other's load as a fault of the product.

use tokio::sync::{Mutex, MutexGuard};

/// Waits until no other test of this program holds the turn, and holds it until dropped.
pub async fn alone() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::const_new(());
    TURN.lock().await
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::alone;

    #[tokio::test]
    async fn the_second_waits_for_the_first() {
        let first = alone().await;
        let soon = Duration::from_millis(20);
        assert!(tokio::time::timeout(soon, alone()).await.is_err());
        drop(first);
        assert!(tokio::time::timeout(soon * 100, alone()).await.is_ok());
    }
}
