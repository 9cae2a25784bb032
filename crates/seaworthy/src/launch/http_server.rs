//! `python -m http.server`: the port is a bare word, and without `--bind` it listens on every interface.
//!
//! It speaks HTTP/1.0, one request per connection, unless told `--protocol HTTP/1.1`; then it never closes an idle
//! connection. It stops at once on SIGTERM and reads no forwarding header.

use std::time::Duration;

use seaworthy_core::address::Address;

use super::call::Call;
use super::edit::Edit;
use super::named::{self, Named};
use super::server::{Server, Told, Wish};
use super::{Refusal, options, refusal};

const VALUED: &[&str] = &[
    "-b",
    "--bind",
    "-d",
    "--directory",
    "-p",
    "--protocol",
    "--tls-cert",
    "--tls-key",
    "--tls-password-file",
];

#[derive(Debug)]
pub(super) struct HttpServer;

impl Server for HttpServer {
    fn name(&self) -> &'static str {
        "http.server"
    }

    fn owns(&self, program: &str, _args: &[String]) -> bool {
        program == "http.server"
    }

    fn told(&self, call: &Call<'_>) -> Result<Told, Refusal> {
        refusal::tls(call, &["--tls-cert"], &[])?;
        let mut told = Named::default();
        if let Some(at) = options::first_operand(call.args, VALUED) {
            let said = &call.args[at];
            told.port = Some(named::port(call.server, said, said)?);
            told.words.push(said.clone());
        }
        if let Some((host, said)) = call.told(&["-b", "--bind"], "") {
            told.host = Some(host);
            told.words.push(said);
        }
        Ok(Told {
            named: told,
            default_port: 8000,
            keep_alive: Duration::from_secs(5),
            max_connections: None,
            unix: false,
        })
    }

    fn steer(&self, call: &Call<'_>, edit: &mut Edit, told: &Told, wish: &Wish<'_>) {
        let Address::Tcp(address) = wish.address else {
            return;
        };
        if let Some(at) = options::first_operand(call.args, VALUED) {
            edit.args.remove(at);
        }
        let (port, host) = (address.port().to_string(), address.ip().to_string());
        edit.swap(&["-b", "--bind"], &[&port, "--bind", &host]);
        edit.say_moved(&told.named.words, &format!("{port} --bind {host}"));
    }
}
