//! What is said when Postgres, or something in its place, does not answer as hoped.
//!
//! Postgres words its errors in the language of the server and puts values of the table into them, so its words are never
//! shown: its codes (SQLSTATE) are, which people can look up.

use std::error::Error as _;
use std::io;

use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use crate::probe::trouble::Trouble;

pub(super) fn trouble(error: &Error) -> Trouble {
    if let Some(state) = error.code() {
        return match state.code() {
            // Said to whoever is connected when the server ends; the next connection shows what is the matter.
            "57P01" | "57P02" => Trouble::ended(),
            // The start was refused because of an option; connection pools in between do that.
            "08P01" => Trouble::Denied(sentence(state)),
            _ => Trouble::says(sentence(state)),
        };
    }
    let io = error.source().and_then(|source| source.downcast_ref());
    if error.is_closed() || io.is_some_and(|error: &io::Error| is_end(error.kind())) {
        return Trouble::ended();
    }
    // The driver tells the rest apart in its words only; these are constant and hold nothing from the other side.
    let words = error.to_string();
    if words.starts_with("invalid configuration") {
        Trouble::says("it asks for a password")
    } else if words.starts_with("authentication error") {
        Trouble::says("it asks for a login that is not supported, or failed to prove itself")
    } else {
        Trouble::Foreign
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
