//! What is said when Postgres, or something in its place, does not answer as hoped.
//!
//! Postgres words its errors in the language of the server and puts values of the table into them, so its words are never
//! shown: its codes (SQLSTATE) are, which people can look up.

use std::error::Error as _;
use std::io;

use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use crate::Outcome;

/// Why a question was not answered.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// There is no connection, in words that say why.
    Unreachable(Outcome),
    /// The connection ended.
    Lost,
    /// It sent something that is no answer.
    NotPostgres,
    /// The start was refused because of an option; connection pools in between do that.
    Option,
    /// It answered with an error, or not with what was hoped for, in words of ours.
    Refused(String),
}

impl Trouble {
    pub(crate) fn outcome(self) -> Outcome {
        match self {
            Self::Unreachable(outcome) => outcome,
            Self::Lost => Outcome::unhealthy("it ended the connection"),
            Self::NotPostgres => Outcome::unhealthy("it does not speak Postgres"),
            Self::Option => Outcome::unhealthy(sentence(&SqlState::PROTOCOL_VIOLATION)),
            Self::Refused(why) => Outcome::unhealthy(why),
        }
    }

    pub(super) fn of(error: &Error) -> Self {
        if let Some(state) = error.code() {
            return match state.code() {
                // Said to whoever is connected when the server ends; the next connection shows what is the matter.
                "57P01" | "57P02" => Self::Lost,
                "08P01" => Self::Option,
                _ => Self::Refused(sentence(state)),
            };
        }
        if error.is_closed() {
            return Self::Lost;
        }
        let io = error.source().and_then(|source| source.downcast_ref());
        if io.is_some_and(|error: &io::Error| is_end(error.kind())) {
            return Self::Lost;
        }
        // The driver tells the rest apart in its words only; these are constant and hold nothing from the other side.
        let words = error.to_string();
        if words.starts_with("invalid configuration") {
            Self::Refused("it asks for a password".to_owned())
        } else if words.starts_with("authentication error") {
            Self::Refused(
                "it asks for a login that is not supported, or failed to prove itself".to_owned(),
            )
        } else {
            Self::NotPostgres
        }
    }
}

fn is_end(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::{
        BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, TimedOut, UnexpectedEof,
    };
    let ends = [
        BrokenPipe,
        ConnectionAborted,
        ConnectionReset,
        NotConnected,
        TimedOut,
        UnexpectedEof,
    ];
    ends.contains(&kind)
}

/// A sentence for a code.
fn sentence(state: &SqlState) -> String {
    let code = state.code();
    let words = match code {
        "28P01" => "it refuses the user or the password",
        "28000" => "it does not let this user in",
        "3D000" => "it has no database of that name",
        "53300" => "it has too many connections",
        "57P03" => "it is starting up or shutting down",
        "57014" => "the query took too long and was cancelled",
        "42P01" => "the query names a table that does not exist",
        "42601" => "the query is not valid SQL",
        "42501" => "its user may not do that",
        "25006" => "the query writes, and a check only reads",
        _ => "it answered with an error",
    };
    let is_code = code.len() == 5 && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if is_code {
        format!("{words} ({code})")
    } else {
        words.to_owned()
    }
}
