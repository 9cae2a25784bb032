//! What can be checked.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::FutureExt as _;

use crate::Outcome;

/// A future that a check returns. Checks run seconds apart, so that a box costs nothing that counts.
pub type Running<'a> = Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;

/// Something whose health can be asked for. Implementations need no timeout and may panic: whoever runs them sees to both.
pub trait Check: Send + Sync + 'static {
    /// What kind of check it is, such as `postgres`.
    fn kind(&self) -> &'static str;

    /// Looks once. Dropping the future is the end of it, so it may hold nothing that outlives it.
    fn run(&self) -> Running<'_>;
}

impl<C: Check + ?Sized> Check for Arc<C> {
    fn kind(&self) -> &'static str {
        C::kind(self)
    }

    fn run(&self) -> Running<'_> {
        C::run(self)
    }
}

/// A check out of an async function.
pub fn from_fn<F, Fut>(look: F) -> impl Check
where
    F: Fn() -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Outcome> + Send + 'static,
{
    FromFn(look)
}

struct FromFn<F>(F);

impl<F, Fut> Check for FromFn<F>
where
    F: Fn() -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Outcome> + Send + 'static,
{
    fn kind(&self) -> &'static str {
        "function"
    }

    fn run(&self) -> Running<'_> {
        Box::pin((self.0)())
    }
}

/// A check out of a function that blocks. It runs on a thread of its own, and is not started again while it still runs: a
/// function that hangs costs one thread, once.
pub fn blocking<F>(look: F) -> impl Check
where
    F: Fn() -> Outcome + Send + Sync + 'static,
{
    Blocking {
        look: Arc::new(look),
        busy: Arc::default(),
    }
}

struct Blocking<F> {
    look: Arc<F>,
    busy: Arc<AtomicBool>,
}

impl<F> Check for Blocking<F>
where
    F: Fn() -> Outcome + Send + Sync + 'static,
{
    fn kind(&self) -> &'static str {
        "function"
    }

    fn run(&self) -> Running<'_> {
        let (look, busy) = (self.look.clone(), self.busy.clone());
        Box::pin(async move {
            if busy.swap(true, Ordering::AcqRel) {
                return Outcome::timed_out("the last run has not ended yet");
            }
            let done = tokio::task::spawn_blocking(move || {
                let outcome = std::panic::catch_unwind(AssertUnwindSafe(|| look()));
                busy.store(false, Ordering::Release);
                outcome.unwrap_or_else(|_| panicked())
            });
            done.await.unwrap_or_else(|_| panicked())
        })
    }
}

/// Runs a check, whatever it does.
pub(crate) async fn run_safely(check: &dyn Check) -> Outcome {
    let running = AssertUnwindSafe(async { check.run().await });
    running.catch_unwind().await.unwrap_or_else(|_| panicked())
}

fn panicked() -> Outcome {
    Outcome::unhealthy("the check panicked")
}
