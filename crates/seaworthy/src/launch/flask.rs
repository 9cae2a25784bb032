//! `flask run`: werkzeug's development server, moved to a loopback port.
//!
//! Seen with Flask 3.1: it answers one request per connection and stops at once on SIGTERM, so only Seaworthy's drain lets
//! requests end. It has no setting that makes it believe forwarding headers: an app that needs the client's address wraps
//! itself in `werkzeug.middleware.proxy_fix.ProxyFix(app.wsgi_app, x_for=1, x_proto=1, x_host=1)`.

use std::time::Duration;

use super::call::Call;
use super::edit::Edit;
use super::named::Named;
use super::server::{self, Server, Told, Wish};
use super::{Refusal, options, refusal};

const VALUED: &[&str] = &["-A", "--app", "-e", "--env-file"];

#[derive(Debug)]
pub(super) struct Flask;

impl Server for Flask {
    fn name(&self) -> &'static str {
        "flask"
    }

    fn owns(&self, program: &str, args: &[String]) -> bool {
        program == "flask"
            && options::first_operand(args, VALUED).is_some_and(|at| args[at] == "run")
    }

    fn told(&self, call: &Call<'_>) -> Result<Told, Refusal> {
        refusal::tls(
            call,
            &["--cert", "--key"],
            &["FLASK_RUN_CERT", "FLASK_RUN_KEY"],
        )?;
        let named = Named::read(
            call,
            (&["-h", "--host"], "FLASK_RUN_HOST"),
            (&["-p", "--port"], "FLASK_RUN_PORT"),
        )?;
        Ok(Told {
            named,
            default_port: 5000,
            keep_alive: Duration::from_secs(5),
            max_connections: None,
            unix: false,
        })
    }

    fn steer(&self, _call: &Call<'_>, edit: &mut Edit, told: &Told, wish: &Wish<'_>) {
        server::host_and_port(edit, told, wish, &["-h", "--host", "-p", "--port"]);
    }
}
