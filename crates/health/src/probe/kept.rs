//! A check that asks a question over a connection, and keeps that until the next run.
//!
//! A run takes it out, uses it, and puts it back when it left nothing half done. A run that is cancelled in between drops it
//! with everything else, so that no later run can read an answer that was meant for an earlier one.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::trouble::Trouble;
use crate::{Check, Outcome, Running};

/// A place to connect to.
pub(crate) trait Place: Send + Sync + 'static {
    /// A connection to it.
    type Session: Send;

    /// What is spoken there, for messages.
    const TONGUE: &'static str;

    /// Connects.
    fn open(&self) -> impl Future<Output = Result<Self::Session, Trouble>> + Send;

    /// Readies a connection that was kept.
    fn renew(_: &mut Self::Session) {}

    /// Whether this, on a connection that was kept, says nothing about the server.
    fn is_stale(trouble: &Trouble) -> bool {
        matches!(trouble, Trouble::Io(_))
    }
}

/// What is asked over a connection.
pub(crate) trait Question<P: Place>: Send + Sync + 'static {
    fn ask(
        &self,
        session: &mut P::Session,
    ) -> impl Future<Output = Result<Outcome, Trouble>> + Send;
}

/// A place, what is asked there, and room for one connection.
pub(crate) struct Kept<P: Place, Q> {
    kind: &'static str,
    place: P,
    question: Q,
    slot: Mutex<Option<P::Session>>,
}

/// A check of this `kind`.
pub(crate) fn check<P: Place, Q: Question<P>>(
    kind: &'static str,
    place: P,
    question: Q,
) -> Arc<dyn Check> {
    Arc::new(Kept {
        kind,
        place,
        question,
        slot: Mutex::default(),
    })
}

impl<P: Place, Q: Question<P>> Kept<P, Q> {
    /// Asks over the connection that there is, or over a new one. One that was kept may have ended since the last run, which
    /// says nothing about the server: it is replaced once.
    async fn ask(&self) -> Result<Outcome, Trouble> {
        let kept = self.slot().take();
        if let Some(mut kept) = kept {
            P::renew(&mut kept);
            match self.question.ask(&mut kept).await {
                Err(trouble) if P::is_stale(&trouble) => {}
                asked => return self.keep(kept, asked),
            }
        }
        let mut fresh = self.place.open().await?;
        let asked = self.question.ask(&mut fresh).await;
        self.keep(fresh, asked)
    }

    fn keep(
        &self,
        session: P::Session,
        asked: Result<Outcome, Trouble>,
    ) -> Result<Outcome, Trouble> {
        if asked.is_ok() {
            *self.slot() = Some(session);
        }
        asked
    }

    fn slot(&self) -> MutexGuard<'_, Option<P::Session>> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<P: Place, Q: Question<P>> Check for Kept<P, Q> {
    fn kind(&self) -> &'static str {
        self.kind
    }

    fn run(&self) -> Running<'_> {
        Box::pin(async {
            let asked = self.ask().await;
            asked.unwrap_or_else(|trouble| trouble.outcome(P::TONGUE))
        })
    }
}
