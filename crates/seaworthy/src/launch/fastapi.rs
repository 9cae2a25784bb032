//! `fastapi run` and `fastapi dev`: uvicorn behind a command of its own, which knows no unix socket.
//!
//! Seen with fastapi-cli 0.0.34: `--port` beats `PORT`, idle connections are closed after 5 s, and X-Forwarded-For is
//! believed by `FORWARDED_ALLOW_IPS` as in uvicorn.

use std::time::Duration;

use super::call::Call;
use super::edit::Edit;
use super::named::Named;
use super::server::{self, Server, Told, Wish};
use super::{Refusal, options, trust};

#[derive(Debug)]
pub(super) struct Fastapi;

impl Server for Fastapi {
    fn name(&self) -> &'static str {
        "fastapi"
    }

    fn owns(&self, program: &str, args: &[String]) -> bool {
        let verb = options::first_operand(args, &[]).map(|at| args[at].as_str());
        program == "fastapi" && matches!(verb, Some("run" | "dev"))
    }

    fn told(&self, call: &Call<'_>) -> Result<Told, Refusal> {
        let named = Named::read(call, (&["--host"], ""), (&["--port"], ""))?;
        Ok(Told {
            named,
            default_port: 8000,
            keep_alive: Duration::from_secs(5),
            max_connections: None,
            unix: false,
        })
    }

    fn steer(&self, call: &Call<'_>, edit: &mut Edit, told: &Told, wish: &Wish<'_>) {
        server::host_and_port(edit, told, wish, &["--host", "--port"]);
        trust::forwarded(call, edit, wish.address, wish.trusted_proxies, "", false);
        trust::note_switched_off(call, edit, "");
    }
}
