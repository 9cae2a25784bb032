//! The future of a layer that lets a request pass or refuses it at once.

use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use crate::error::Error;

pin_project! {
    /// Ends with what the inner future ends with, or at once with a refusal.
    #[derive(Debug)]
    pub struct Gated<F> {
        #[pin]
        state: State<F>,
    }
}

pin_project! {
    #[project = Projected]
    #[derive(Debug)]
    enum State<F> {
        // Boxed: it is rare, and would be the larger half of every future above.
        Refused { error: Option<Box<Error>> },
        Running { #[pin] future: F },
    }
}

impl<F> Gated<F> {
    /// Ends with `error`.
    pub fn refused(error: Error) -> Self {
        let error = Some(Box::new(error));
        Self {
            state: State::Refused { error },
        }
    }

    /// Ends as `future` does.
    pub fn running(future: F) -> Self {
        Self {
            state: State::Running { future },
        }
    }
}

impl<F, R> Future for Gated<F>
where
    F: Future<Output = Result<R, Error>>,
{
    type Output = Result<R, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            Projected::Refused { error } => error
                .take()
                .map_or(Poll::Pending, |error| Poll::Ready(Err(*error))),
            Projected::Running { future } => future.poll(cx),
        }
    }
}
