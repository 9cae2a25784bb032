//! gunicorn: `--bind unix:`, whatever worker class runs inside.
//!
//! Seen with 27.0: words on the command line beat `GUNICORN_CMD_ARGS`, and both beat `gunicorn.conf.py`, which is Python
//! and is not read here: an address or keep-alive named only there is replaced without being shown. It closes idle
//! connections after 2 s; the sync worker answers one request per connection. gunicorn never sets REMOTE_ADDR from
//! X-Forwarded-For and always believes a unix peer's X-Forwarded-Proto; uvicorn's worker does read X-Forwarded-For, by the
//! same option, so the option is always given. A believed peer may also send SCRIPT_NAME and PATH_INFO as headers:
//! Seaworthy must not pass on header names with underscores that it did not write.

use seaworthy_core::address::Address;

use super::call::Call;
use super::edit::Edit;
use super::named::Named;
use super::server::{Server, Told, Wish};
use super::{Refusal, options, refusal, trust, words};

const BIND: &[&str] = &["-b", "--bind"];
const ARGS: &str = "GUNICORN_CMD_ARGS";

#[derive(Debug)]
pub(super) struct Gunicorn;

impl Server for Gunicorn {
    fn name(&self) -> &'static str {
        "gunicorn"
    }

    fn owns(&self, program: &str, _args: &[String]) -> bool {
        matches!(program, "gunicorn" | "gunicorn3")
    }

    fn told(&self, call: &Call<'_>) -> Result<Told, Refusal> {
        let from_env = call.env(ARGS).and_then(words::split).unwrap_or_default();
        let variable = Call {
            args: &from_env,
            ..*call
        };
        for call in [call, &variable] {
            refusal::tls(call, &["--certfile", "--keyfile"], &[])?;
            refusal::daemon(call)?;
        }
        let mut named = Named::default();
        let (binds, source) = match options::find(call.args, BIND) {
            binds if binds.is_empty() => (options::find(&from_env, BIND), &from_env[..]),
            binds => (binds, call.args),
        };
        for bind in &binds {
            let said = source[bind.at..bind.at + bind.words].join(" ");
            named.read_bind(call.server, &bind.value, &said, 8000)?;
        }
        let said = if options::find(call.args, &["--keep-alive"]).is_empty() {
            &variable
        } else {
            call
        };
        Ok(Told {
            named,
            default_port: 8000,
            keep_alive: said.seconds(&["--keep-alive"], "", 2),
            max_connections: None,
            unix: true,
        })
    }

    fn steer(&self, call: &Call<'_>, edit: &mut Edit, told: &Told, wish: &Wish<'_>) {
        let bind = match wish.address {
            Address::Unix(path) => format!("unix:{}", path.display()),
            Address::Tcp(address) => address.to_string(),
        };
        edit.swap(BIND, &["--bind", &bind]);
        edit.say_moved(&told.named.words, &format!("--bind {bind}"));
        let from_env = call.env(ARGS).and_then(words::split).unwrap_or_default();
        let in_variable = options::find(call.args, &["--forwarded-allow-ips"]).is_empty()
            && !options::find(&from_env, &["--forwarded-allow-ips"]).is_empty();
        let trusting = if in_variable {
            Call {
                args: &from_env,
                ..*call
            }
        } else {
            *call
        };
        trust::forwarded(
            &trusting,
            edit,
            wish.address,
            wish.trusted_proxies,
            "",
            true,
        );
    }
}
