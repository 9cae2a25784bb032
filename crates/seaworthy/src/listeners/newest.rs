//! The newest stack for each request of a connection that lives longer than a configuration.
//!
//! A request keeps the stack that it began with. The look for a newer one is a comparison of two numbers.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::{Context, Poll};

use tower::Service;

/// What a worker serves with now.
#[derive(Debug)]
pub(super) struct Current<T> {
    number: Cell<u64>,
    value: RefCell<T>,
}

impl<T: Clone> Current<T> {
    pub(super) fn new(value: T) -> Rc<Self> {
        Rc::new(Self {
            number: Cell::new(0),
            value: RefCell::new(value),
        })
    }

    /// Replaces it.
    pub(super) fn set(&self, value: T) {
        self.value.replace(value);
        self.number.set(self.number.get() + 1);
    }

    /// What holds now.
    pub(super) fn get(&self) -> T {
        self.value.borrow().clone()
    }
}

/// See the [module documentation](self).
#[derive(Debug)]
pub(super) struct Newest<S> {
    current: Rc<Current<S>>,
    number: u64,
    stack: S,
}

impl<S: Clone> Newest<S> {
    pub(super) fn of(current: &Rc<Current<S>>) -> Self {
        Self {
            number: current.number.get(),
            stack: current.get(),
            current: current.clone(),
        }
    }
}

impl<S: Clone> Clone for Newest<S> {
    fn clone(&self) -> Self {
        Self {
            current: self.current.clone(),
            number: self.number,
            stack: self.stack.clone(),
        }
    }
}

impl<S: Service<R> + Clone, R> Service<R> for Newest<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        // Here and not in the call: what is called has to be what was ready.
        if self.number != self.current.number.get() {
            self.number = self.current.number.get();
            self.stack = self.current.get();
        }
        self.stack.poll_ready(cx)
    }

    fn call(&mut self, request: R) -> S::Future {
        self.stack.call(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;
    use std::future::{Ready, ready};
    use tower::ServiceExt as _;

    #[derive(Clone)]
    struct Says(&'static str);

    impl Service<()> for Says {
        type Response = &'static str;
        type Error = Infallible;
        type Future = Ready<Result<&'static str, Infallible>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, (): ()) -> Self::Future {
            ready(Ok(self.0))
        }
    }

    #[tokio::test]
    async fn the_next_request_has_the_newest_and_the_one_under_way_its_own() {
        let current = Current::new(Says("old"));
        let mut connection = Newest::of(&current);
        let ready = connection.ready().await.unwrap();
        current.set(Says("new"));
        assert_eq!(ready.call(()).await, Ok("old"), "it was ready before");
        let mut other = connection.clone();
        assert_eq!(connection.ready().await.unwrap().call(()).await, Ok("new"));
        assert_eq!(other.ready().await.unwrap().call(()).await, Ok("new"));
    }
}
