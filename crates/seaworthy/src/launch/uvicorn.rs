//! uvicorn: `--uds`, and the variables that click derives for it (`UVICORN_PORT`, …).
//!
//! Seen with 0.54: it closes idle connections after 5 s; over `--uds` the peer has no address, so only
//! `FORWARDED_ALLOW_IPS=*` makes it believe X-Forwarded-For; `--fd` beats `--uds`, so it is taken away; after a graceful
//! stop one worker ends with SIGTERM as its status; `--limit-concurrency` counts connections, idle ones too.

use seaworthy_core::address::Address;

use super::call::Call;
use super::edit::Edit;
use super::named::Named;
use super::server::{Server, Told, Wish};
use super::{Refusal, refusal, trust};

const BIND: &[&str] = &["--host", "--port", "--uds", "--fd"];

#[derive(Debug)]
pub(super) struct Uvicorn;

impl Server for Uvicorn {
    fn name(&self) -> &'static str {
        "uvicorn"
    }

    fn owns(&self, program: &str, _args: &[String]) -> bool {
        program == "uvicorn"
    }

    fn told(&self, call: &Call<'_>) -> Result<Told, Refusal> {
        refusal::tls(
            call,
            &["--ssl-certfile", "--ssl-keyfile"],
            &["UVICORN_SSL_CERTFILE", "UVICORN_SSL_KEYFILE"],
        )?;
        let mut named = Named::read(
            call,
            (&["--host"], "UVICORN_HOST"),
            (&["--port"], "UVICORN_PORT"),
        )?;
        for (option, variable) in [("--uds", "UVICORN_UDS"), ("--fd", "UVICORN_FD")] {
            named
                .words
                .extend(call.told(&[option], variable).map(|(_, words)| words));
        }
        let limit = call.told(&["--limit-concurrency"], "UVICORN_LIMIT_CONCURRENCY");
        Ok(Told {
            named,
            default_port: 8000,
            keep_alive: call.seconds(&["--timeout-keep-alive"], "UVICORN_TIMEOUT_KEEP_ALIVE", 5),
            // It answers 503 on its own once this many connections are open, so the pool must stay below.
            max_connections: limit
                .and_then(|(value, _)| value.parse::<u32>().ok())
                .map(|limit| limit.saturating_sub(1).max(1)),
            unix: true,
        })
    }

    fn steer(&self, call: &Call<'_>, edit: &mut Edit, told: &Told, wish: &Wish<'_>) {
        for variable in ["UVICORN_FD", "UVICORN_UDS"] {
            if call.env(variable).is_some() {
                edit.set(variable, "");
            }
        }
        let with = match wish.address {
            Address::Unix(path) => vec!["--uds".to_owned(), path.display().to_string()],
            Address::Tcp(address) => {
                vec![
                    "--host".to_owned(),
                    address.ip().to_string(),
                    "--port".to_owned(),
                    address.port().to_string(),
                ]
            }
        };
        edit.swap(BIND, &with.iter().map(String::as_str).collect::<Vec<_>>());
        edit.say_moved(&told.named.words, &with.join(" "));
        trust::forwarded(
            call,
            edit,
            wish.address,
            wish.trusted_proxies,
            "UVICORN_FORWARDED_ALLOW_IPS",
            false,
        );
        trust::note_switched_off(call, edit, "UVICORN_PROXY_HEADERS");
    }
}
