//! A check that asks for a number and judges it.

use super::kept::{Kept, Place, Question};
use crate::{Check, Outcome, Running};

/// Asks a place for a number.
pub(crate) struct Counted<P: Place, Q> {
    pub(crate) kind: &'static str,
    pub(crate) place: Kept<P>,
    pub(crate) question: Q,
    pub(crate) judge: Box<dyn Fn(u64) -> Outcome + Send + Sync>,
}

impl<P, Q> Check for Counted<P, Q>
where
    P: Place + 'static,
    Q: Question<P, Answer = u64> + 'static,
{
    fn kind(&self) -> &'static str {
        self.kind
    }

    fn run(&self) -> Running<'_> {
        Box::pin(async {
            match self.place.ask(&self.question).await {
                Ok(count) => (self.judge)(count),
                Err(trouble) => P::outcome(trouble),
            }
        })
    }
}
