//! Awaiting what cannot announce itself.
//!
//! Files, `/proc` and ports of foreign programs have no event to await; they are asked again every few milliseconds
//! until a deadline, and the error says what never came.

use std::future::Future;
use std::time::{Duration, Instant};

use anyhow::bail;

/// How long the kit waits for anything that a healthy machine does at once.
pub const PATIENCE: Duration = Duration::from_secs(20);

const PAUSE: Duration = Duration::from_millis(5);

/// Asks `probe` until it answers something, at most for `patience`.
///
/// # Errors
/// When the time is over; `what` is named in the error.
pub async fn until<T, F, A>(what: &str, patience: Duration, mut probe: F) -> crate::Result<T>
where
    F: FnMut() -> A,
    A: Future<Output = Option<T>>,
{
    let deadline = Instant::now() + patience;
    loop {
        if let Some(found) = probe().await {
            return Ok(found);
        }
        if Instant::now() >= deadline {
            bail!("waited {patience:?} in vain for {what}");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

/// Like [`until`], for a condition that is computed at once.
///
/// # Errors
/// When the time is over.
pub async fn holds(
    what: &str,
    patience: Duration,
    mut condition: impl FnMut() -> bool,
) -> crate::Result<()> {
    until(what, patience, || {
        std::future::ready(condition().then_some(()))
    })
    .await
}

/// Bounds a future by `patience`.
///
/// # Errors
/// When the time is over, or when the future fails.
pub async fn within<T>(
    what: &str,
    patience: Duration,
    future: impl Future<Output = crate::Result<T>>,
) -> crate::Result<T> {
    match tokio::time::timeout(patience, future).await {
        Ok(result) => result,
        Err(_) => bail!("waited {patience:?} in vain for {what}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn names_what_never_came() {
        let error = holds("the moon", Duration::from_millis(10), || false)
            .await
            .unwrap_err();
        assert!(error.to_string().contains("the moon"), "{error}");
    }

    #[tokio::test]
    async fn returns_what_the_probe_found() {
        let mut asked = 0;
        let found = until("three", PATIENCE, || {
            asked += 1;
            std::future::ready((asked == 3).then_some(asked))
        });
        assert_eq!(found.await.unwrap(), 3);
    }
}
