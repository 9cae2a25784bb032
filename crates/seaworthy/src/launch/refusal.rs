//! Commands that tell a server something that cannot work behind Seaworthy, each with the way out.

use super::call::Call;
use super::options;

/// Why a command cannot be put behind Seaworthy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no command.
    #[error(
        "there is no command to run; write one behind `--` or in app.command, or name a running app in app.connect"
    )]
    Empty,
    /// A port that is no number from 0 to 65535.
    #[error("{server}: `{words}` names no port; {}", port_hint(*dollar))]
    BadPort {
        /// The server that was told.
        server: &'static str,
        /// The words that say it.
        words: String,
        /// It looks like a variable that a shell would have replaced.
        dollar: bool,
    },
    /// The server is to serve TLS itself, which would hide requests from Seaworthy.
    #[error(
        "{server}: `{words}` makes the app serve TLS itself, but Seaworthy speaks plain HTTP to it; move certificate and key to listen.tls (cert, key)"
    )]
    ServesTls {
        /// The server that was told.
        server: &'static str,
        /// The words that say it.
        words: String,
    },
    /// The server is to leave the foreground, where nobody could watch it.
    #[error(
        "{server}: `{words}` sends the app to the background, where Seaworthy cannot watch it; remove it"
    )]
    Daemon {
        /// The server that was told.
        server: &'static str,
        /// The words that say it.
        words: String,
    },
}

fn port_hint(dollar: bool) -> &'static str {
    if dollar {
        "no shell replaces variables in a list of words; leave the option away, Seaworthy reads PORT itself"
    } else {
        "write a number from 0 to 65535"
    }
}

/// Refuses a server that is to serve TLS itself.
pub(super) fn tls(call: &Call<'_>, options: &[&str], variables: &[&str]) -> Result<(), Refusal> {
    let option = call.told(options, "").map(|(_, words)| words);
    let variable = || {
        variables
            .iter()
            .find_map(|name| call.told(&[], name))
            .map(|(_, words)| words)
    };
    match option.or_else(variable) {
        Some(words) => Err(Refusal::ServesTls {
            server: call.server,
            words,
        }),
        None => Ok(()),
    }
}

/// Refuses a server that is to leave the foreground.
pub(super) fn daemon(call: &Call<'_>) -> Result<(), Refusal> {
    match options::switch(call.args, &["-D", "--daemon"]) {
        Some(words) => Err(Refusal::Daemon {
            server: call.server,
            words: words.to_owned(),
        }),
        None => Ok(()),
    }
}
