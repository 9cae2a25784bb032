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
mod documents;
mod egress;
mod endpoints;
mod environment;
mod errors;
mod fallbacks;
mod flags;
mod fleet;
mod framing;
mod front;
mod headers;
mod http2;
mod identity;
mod init;
mod kills;
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
mod registry;
mod reload;
mod retries;
mod schemas;
mod secrets;
mod stall;
mod starts;
mod stores;
mod terminal;
mod tiers;
mod tls;
mod uploads;
mod validation;
mod versions;
mod views;
mod watching;
mod websocket;
mod worker;
