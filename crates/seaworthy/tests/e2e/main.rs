//! End-to-end tests: the real binary, real sockets, real servers, seen from outside.
//!
//! One file for each subject. What needs an installed server or tool stands in a module called `real`, which
//! `scripts/test --fast` leaves out.

mod errors;
mod front;
mod http2;
mod identity;
mod limits;
mod protocols;
mod tls;
mod uploads;
mod websocket;
