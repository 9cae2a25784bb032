//! The beginning of a connection: who we are, and which virtual host is meant.

use bytes::Buf as _;
use seaworthy_core::dsn::Dsn;
use tokio::io::AsyncWriteExt as _;

use super::wire::{self, Writer};
use super::{CHANNEL, Connection, MOST, Method};
use crate::probe;
use crate::probe::trouble::Trouble;

impl Connection {
    /// Logs in and opens the virtual host.
    pub(super) async fn log_in(&mut self, url: &Dsn) -> Result<(), Trouble> {
        self.socket.write_all(b"AMQP\x00\x00\x09\x01").await?;
        self.socket.flush().await?;
        let start = self.expect((10, 10)).await?;
        self.version = version(&start)?;
        let (user, password) = match url.user() {
            Some(user) => (user, url.password().unwrap_or_default()),
            None => ("guest".to_owned(), "guest".to_owned()),
        };
        self.method(0, start_ok(&user, &password)).await?;
        let tune = self.expect((10, 30)).await?;
        let mut tune = tune.arguments.as_slice();
        let (_, frame) = (tune.try_get_u16()?, tune.try_get_u32()?);
        let frame = if frame == 0 { MOST } else { frame.min(MOST) };
        let tune_ok = Writer::method(10, 31).short(CHANNEL).long(frame).short(0);
        self.method(0, tune_ok).await?;
        let name = url.name();
        let host = if name.is_empty() { "/" } else { &name };
        let open = Writer::method(10, 40).text(host).text("").octet(0);
        self.method(0, open).await?;
        self.expect((10, 41)).await?;
        Ok(())
    }
}

fn version(start: &Method) -> Result<Option<String>, Trouble> {
    let mut arguments = start.arguments.as_slice();
    let _protocol = arguments.try_get_u16()?;
    let properties = wire::bytes(&mut arguments)?;
    let mut mechanisms = wire::bytes(&mut arguments)?.split(|byte| *byte == b' ');
    if !mechanisms.any(|word| word == b"PLAIN") {
        return Err(Trouble::says("it does not offer to log in with a password"));
    }
    let version = wire::text_field(properties, "version")?;
    Ok(version.and_then(|version| probe::version(&version).map(str::to_owned)))
}

fn start_ok(user: &str, password: &str) -> Writer {
    // Without this a wrong password is a closed connection and no more.
    let capabilities = Writer::default().yes_field("authentication_failure_close");
    let properties = Writer::default()
        .text_field("product", "seaworthy")
        .text_field("connection_name", "seaworthy check")
        .table_field("capabilities", &capabilities);
    Writer::method(10, 11)
        .bytes(&properties.0)
        .text("PLAIN")
        .bytes(format!("\0{user}\0{password}").as_bytes())
        .text("en_US")
}

/// What the server means when it closes the connection.
pub(super) fn refusal(code: u16) -> Trouble {
    Trouble::says(match code {
        403 => "it refuses the user or the password (403)".to_owned(),
        530 => "there is no such virtual host, or the user may not use it (530)".to_owned(),
        320 => "it is shutting down (320)".to_owned(),
        _ => format!("it closed the connection ({code})"),
    })
}
