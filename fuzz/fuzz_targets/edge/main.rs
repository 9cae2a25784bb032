//! The whole edge over a connection in memory, in front of a service that answers in every way there is.
//!
//! Whatever a client sends: the edge ends when the client does, what reaches the service is well formed, and what comes
//! back is a sequence of well-formed answers, one for each request and perhaps one refusal at the end.

#![no_main]

mod answers;
mod service;
mod wire;

use std::future::Future;
use std::pin::pin;
use std::rc::Rc;
use std::task::{Context, Waker};
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use seaworthy_core::exchange::{Finished, Observer};
use seaworthy_http::drain::Drain;
use seaworthy_http::edge::{Edge, Limits, Peer, serve};
use seaworthy_http::rescue::Format;
use seaworthy_http::timer::SweepTimer;

use service::Service;
use wire::Wire;

/// More than any input can need: every poll moves at least a byte, or fails to do so once.
const POLLS: usize = 1 << 20;

struct Nobody;

impl Observer for Nobody {
    fn started(&self) {}
    fn finished(&self, _: &Finished<'_>) {}
}

fn edge() -> Edge {
    Edge {
        limits: Limits {
            head: 1024,
            target: 256,
            fields: 20,
        },
        // Nothing turns the timer: what waits for it never ends, and is found.
        header_timeout: Duration::from_secs(10),
        idle: Duration::from_secs(60),
        stall: Duration::from_secs(60),
        http2: false,
        format: Format::Envelope,
        timer: SweepTimer::default(),
        drain: Drain::default(),
        observer: Rc::new(Nobody),
    }
}

fuzz_target!(|input: &[u8]| {
    let [read, write, bytes @ ..] = input else {
        return;
    };
    let wire = Wire::new(bytes, *read, *write);
    let seen = wire.seen();
    let service = Service::default();
    let peer = Peer {
        address: None,
        secure: false,
    };
    let mut served = pin!(serve(wire, peer, Rc::new(edge()), service.clone()));
    let mut cx = Context::from_waker(Waker::noop());
    let ended = (0..POLLS).any(|_| served.as_mut().poll(&mut cx).is_ready());
    assert!(ended, "the client has left, and the edge has not");
    answers::check(&seen.written(), &service.calls(), seen.was_reset());
});
