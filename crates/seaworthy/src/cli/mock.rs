//! `seaworthy mock`: serves the built-in upstream.

use clap::Args;
use seaworthy_core::address::Address;

use crate::failure::Failure;
use crate::mock::{self, Options, Profile};

/// Arguments of `mock`.
#[derive(Args, Clone, Debug)]
#[command(
    after_help = "Paths: /echo /sleep/MS /status/CODE /fail/N /stream/N /bytes/N /crash /hang"
)]
pub struct MockArgs {
    /// `HOST:PORT` or `unix:PATH` [default: 127.0.0.1 and $PORT, else 127.0.0.1:8001]
    #[arg(long, value_name = "ADDR", value_parser = place)]
    pub listen: Option<Address>,
    /// Play a whole service
    #[arg(long)]
    pub profile: Option<Profile>,
    /// No line per request
    #[arg(long, short)]
    pub quiet: bool,
}

/// An address to listen on: unlike one to connect to, its port may be 0.
fn place(text: &str) -> Result<Address, seaworthy_core::address::NotAnAddress> {
    match text.parse() {
        Ok(address) => Ok(Address::Tcp(address)),
        Err(_) => text.parse(),
    }
}

/// Serves until told to stop.
pub(super) async fn execute(args: MockArgs) -> anyhow::Result<()> {
    let port = std::env::var("PORT").ok();
    let listen = address(args.listen, port.as_deref())?;
    mock::serve(Options {
        listen,
        profile: args.profile,
        quiet: args.quiet,
    })
    .await
}

fn address(listen: Option<Address>, port: Option<&str>) -> Result<Address, Failure> {
    if let Some(listen) = listen {
        return Ok(listen);
    }
    let port = match port {
        None | Some("") => 8001,
        Some(port) => port.parse().map_err(|_| {
            Failure::usage(format!(
                "PORT={port} is no port; write a number from 0 to 65535, or use --listen"
            ))
        })?,
    };
    Ok(Address::Tcp(([127, 0, 0, 1], port).into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_may_be_left_to_the_system() {
        assert_eq!(place("127.0.0.1:0").unwrap().to_string(), "127.0.0.1:0");
        assert_eq!(place("unix:/a").unwrap(), Address::Unix("/a".into()));
        assert!(place("nowhere").is_err());
    }

    #[test]
    fn the_flag_beats_the_variable_and_both_beat_the_default() {
        let flag = Address::Unix("/run/mock.sock".into());
        assert_eq!(address(Some(flag.clone()), Some("9000")), Ok(flag));
        assert_eq!(
            address(None, Some("9000")).unwrap().to_string(),
            "127.0.0.1:9000"
        );
        assert_eq!(
            address(None, Some("")).unwrap().to_string(),
            "127.0.0.1:8001"
        );
        assert_eq!(address(None, Some("http")).unwrap_err().code, 2);
    }
}
