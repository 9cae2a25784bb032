//! hypercorn: `--bind unix:`.
//!
//! Seen with 0.18: it closes idle connections after 5 s and leaves its socket file behind. It has no setting that makes it
//! believe forwarding headers: an app that needs the client's address wraps itself in
//! `hypercorn.middleware.ProxyFixMiddleware(app, mode="legacy", trusted_hops=1)`. Its words beat its config file, which is
//! not read here.

use seaworthy_core::address::Address;

use super::call::Call;
use super::edit::Edit;
use super::named::Named;
use super::server::{Server, Told, Wish};
use super::{Refusal, options, refusal};

const BIND: &[&str] = &["-b", "--bind", "--insecure-bind", "--quic-bind"];

#[derive(Debug)]
pub(super) struct Hypercorn;

impl Server for Hypercorn {
    fn name(&self) -> &'static str {
        "hypercorn"
    }

    fn owns(&self, program: &str, _args: &[String]) -> bool {
        program == "hypercorn"
    }

    fn told(&self, call: &Call<'_>) -> Result<Told, Refusal> {
        refusal::tls(call, &["--certfile", "--keyfile"], &[])?;
        refusal::daemon(call)?;
        let mut named = Named::default();
        for bind in options::find(call.args, BIND) {
            let said = call.args[bind.at..bind.at + bind.words].join(" ");
            named.read_bind(call.server, &bind.value, &said, 8000)?;
        }
        let keep_alive = call.seconds(&["--keep-alive"], "", 5);
        Ok(Told {
            named,
            default_port: 8000,
            keep_alive,
            max_connections: None,
            unix: true,
        })
    }

    fn steer(&self, _call: &Call<'_>, edit: &mut Edit, told: &Told, wish: &Wish<'_>) {
        let bind = match wish.address {
            Address::Unix(path) => format!("unix:{}", path.display()),
            Address::Tcp(address) => address.to_string(),
        };
        edit.swap(BIND, &["--bind", &bind]);
        edit.say_moved(&told.named.words, &format!("--bind {bind}"));
    }
}
