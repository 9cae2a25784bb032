//! The one connection of a check, kept between two runs.
//!
//! A run takes it out, uses it, and puts it back when it left nothing half done. A run that is cancelled in between drops it
//! with everything else, so that no later run can read an answer that was meant for an earlier one.

use std::sync::{Mutex, PoisonError};

use crate::Outcome;

/// A place to connect to.
pub(crate) trait Place: Send + Sync {
    /// A connection to it.
    type Session: Send;
    /// Why something did not work.
    type Trouble: Send;

    /// Connects.
    fn open(&self) -> impl Future<Output = Result<Self::Session, Self::Trouble>> + Send;

    /// Readies a connection that was kept.
    fn renew(session: &mut Self::Session);

    /// Whether it says no more than that a connection has ended.
    fn is_lost(trouble: &Self::Trouble) -> bool;

    /// Says what did not work.
    fn outcome(trouble: Self::Trouble) -> Outcome;
}

/// What is asked over a connection.
pub(crate) trait Question<P: Place>: Send + Sync {
    type Answer: Send;

    fn ask(
        &self,
        session: &mut P::Session,
    ) -> impl Future<Output = Result<Self::Answer, P::Trouble>> + Send;
}

/// A place with room for one connection.
#[derive(Debug)]
pub(crate) struct Kept<P: Place> {
    place: P,
    slot: Mutex<Option<P::Session>>,
}

impl<P: Place> Kept<P> {
    pub(crate) fn new(place: P) -> Self {
        let slot = Mutex::new(None);
        Self { place, slot }
    }

    /// Asks over the connection that there is, or over a new one. One that was kept may have ended since the last run, which
    /// says nothing about the server: it is replaced once.
    pub(crate) async fn ask<Q: Question<P>>(&self, question: &Q) -> Result<Q::Answer, P::Trouble> {
        let kept = self.slot().take();
        if let Some(mut kept) = kept {
            P::renew(&mut kept);
            match question.ask(&mut kept).await {
                Err(trouble) if P::is_lost(&trouble) => {}
                result => return self.keep(kept, result),
            }
        }
        let mut fresh = self.place.open().await?;
        let result = question.ask(&mut fresh).await;
        self.keep(fresh, result)
    }

    fn keep<T>(&self, session: P::Session, result: Result<T, P::Trouble>) -> Result<T, P::Trouble> {
        if result.is_ok() {
            *self.slot() = Some(session);
        }
        result
    }

    fn slot(&self) -> std::sync::MutexGuard<'_, Option<P::Session>> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
