//! Who asks, and under which names the request is known: client address, request id, trace context.
//!
//! The client is whoever trusted proxies vouch for, never a claim. The request id is the client's when it is harmless text,
//! a new one otherwise, and goes back in `X-Request-ID`. The trace is continued when there is one. What is found is noted
//! in the [`Exchange`](crate::exchange::Exchange); the fields for the app are written where its request is written.

mod layer;

pub use layer::{Config, Identify, IdentifyLayer, ResponseFuture};

use std::cell::RefCell;
use std::time::{Duration, Instant, SystemTime};

use seaworthy_core::request_id::RequestId;

/// A new request id: a UUID of version 7 of this moment, whose wall clock is read from the system about once a second.
pub(crate) fn fresh_request_id(now: Instant) -> RequestId {
    let [first, second] = [random(), random()];
    let mut bytes = [0_u8; 10];
    bytes[..8].copy_from_slice(&first.to_le_bytes());
    bytes[8..].copy_from_slice(&second.to_le_bytes()[..2]);
    RequestId::new(bytes, unix_ms(now))
}

fn unix_ms(now: Instant) -> u64 {
    thread_local! {
        static BASE: RefCell<Option<(Instant, u64)>> = const { RefCell::new(None) };
    }
    BASE.with_borrow_mut(|base| {
        let since = base.map(|(at, ms)| (now.saturating_duration_since(at), ms));
        match since {
            // The wall clock is asked again every second, so that a step of it is followed.
            Some((since, ms)) if since < Duration::from_secs(1) => {
                ms + u64::from(since.subsec_millis())
            }
            _ => {
                let since = SystemTime::now()
                    .duration_since(SystemTime::UNIX_EPOCH)
                    .unwrap_or_default();
                let ms = u64::try_from(since.as_millis()).unwrap_or_default();
                *base = Some((now, ms));
                ms
            }
        }
    })
}

/// 64 random bits from the thread's own generator: a system call per request would cost more than the rest of this layer.
fn random() -> u64 {
    thread_local! {
        static GENERATOR: RefCell<fastrand::Rng> = RefCell::new(fastrand::Rng::new());
    }
    GENERATOR.with_borrow_mut(|generator| generator.u64(..))
}
