//! granian: `--uds` from version 2.5 on, loopback TCP before that or where the installed version cannot be told.
//!
//! Seen with 2.8: it closes idle connections after its 30 s header timeout. It has no setting that makes it believe
//! forwarding headers: an app that needs the client's address wraps itself with
//! `granian.utils.proxies.wrap_asgi_with_proxy_headers(app, trusted_hosts="*")` (or the `wsgi` one).

use std::time::Duration;

use seaworthy_core::address::Address;

use super::call::Call;
use super::edit::Edit;
use super::named::Named;
use super::server::{Server, Told, Wish};
use super::{Refusal, refusal};

const BIND: &[&str] = &["--host", "--port", "--uds"];

#[derive(Debug)]
pub(super) struct Granian;

impl Server for Granian {
    fn name(&self) -> &'static str {
        "granian"
    }

    fn owns(&self, program: &str, _args: &[String]) -> bool {
        program == "granian"
    }

    fn unix_since(&self) -> Option<(u32, u32)> {
        Some((2, 5))
    }

    fn told(&self, call: &Call<'_>) -> Result<Told, Refusal> {
        refusal::tls(
            call,
            &["--ssl-certificate", "--ssl-keyfile"],
            &["GRANIAN_SSL_CERTIFICATE", "GRANIAN_SSL_KEYFILE"],
        )?;
        let mut named = Named::read(
            call,
            (&["--host"], "GRANIAN_HOST"),
            (&["--port"], "GRANIAN_PORT"),
        )?;
        named
            .words
            .extend(call.told(&["--uds"], "GRANIAN_UDS").map(|(_, words)| words));
        let header_timeout = call.told(
            &["--http1-header-read-timeout"],
            "GRANIAN_HTTP1_HEADER_READ_TIMEOUT",
        );
        let millis = header_timeout
            .and_then(|(value, _)| value.parse().ok())
            .unwrap_or(30_000);
        Ok(Told {
            named,
            default_port: 8000,
            keep_alive: Duration::from_millis(millis),
            max_connections: None,
            unix: true,
        })
    }

    fn steer(&self, call: &Call<'_>, edit: &mut Edit, told: &Told, wish: &Wish<'_>) {
        let with = match wish.address {
            Address::Unix(path) => vec!["--uds".to_owned(), path.display().to_string()],
            Address::Tcp(address) => {
                if call.env("GRANIAN_UDS").is_some() {
                    edit.set("GRANIAN_UDS", "");
                }
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
        if let Some((_, said)) = call
            .told(&["--http"], "GRANIAN_HTTP")
            .filter(|(value, _)| value == "2")
        {
            edit.swap(&["--http"], &["--http", "auto"]);
            edit.say(&format!(
                "{said} -> --http auto (Seaworthy speaks HTTP/1.1 to it, and HTTP/2 in front)"
            ));
        }
    }
}
