//! End-to-end tests: the real binary, real sockets, real servers, seen from outside.
//!
//! One file for each subject. What needs an installed server or tool stands in a module called `real`, which
//! `scripts/test --fast` leaves out.

mod auth;
mod bans;
mod bench;
mod breakers;
mod checks;
mod concurrency;
mod configuration;
mod egress;
mod endpoints;
mod errors;
mod fallbacks;
mod framing;
mod front;
mod headers;
mod http2;
mod identity;
mod kronos;
mod launch;
mod ledger;
mod limits;
mod matrix;
mod openapi;
mod operations;
mod presets;
mod protocols;
mod rates;
mod retries;
mod schemas;
mod stall;
mod starts;
mod terminal;
mod tiers;
mod tls;
mod uploads;
mod validation;
mod views;
mod websocket;
mod worker;
