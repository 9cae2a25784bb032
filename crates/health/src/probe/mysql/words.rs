//! What is said when MySQL, or something in its place, does not answer as hoped.
//!
//! Its own words hold names of users and hosts, and pieces of the query, so they are never shown: its numbers are, which people
//! can look up.

use mysql_async::{DriverError, Error, IoError, ServerError};

use crate::probe::tls;
use crate::probe::trouble::{Trouble, unreachable};

pub(super) fn trouble(error: &Error) -> Trouble {
    match error {
        Error::Server(error) => of_server(error),
        Error::Driver(error) => of_driver(error),
        Error::Io(IoError::Io(error)) => of_io(error),
        Error::Io(IoError::Tls(_)) => {
            Trouble::says("TLS could not be set up; is `ca` a file of certificates?")
        }
        _ => Trouble::Foreign,
    }
}

/// The same of a connection that has logged in: a packet that is too long is then a row, and the driver has no kind for it.
pub(super) fn trouble_of_query(error: &Error) -> Trouble {
    match trouble(error) {
        Trouble::Foreign if is_other(error) => Trouble::says("the query returns too much"),
        trouble => trouble,
    }
}

fn of_io(error: &std::io::Error) -> Trouble {
    use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
    if let Some(why) = tls::why(error) {
        return Trouble::says(why);
    }
    match error.kind() {
        BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof => Trouble::ended(),
        // The network has a number for what it says; the rest is the driver on what it read.
        _ if error.raw_os_error().is_some() => unreachable(error).into(),
        _ => Trouble::Foreign,
    }
}

fn of_driver(error: &DriverError) -> Trouble {
    match error {
        DriverError::ConnectionClosed => Trouble::ended(),
        DriverError::NoClientSslFlagFromServer => Trouble::says("it does not offer TLS"),
        DriverError::UnknownAuthPlugin { .. }
        | DriverError::MysqlOldPasswordDisabled
        | DriverError::CleartextPluginDisabled => {
            Trouble::says("it asks for a login that is not supported")
        }
        _ => Trouble::Foreign,
    }
}

fn of_server(error: &ServerError) -> Trouble {
    let words = match error.code {
        // Said when the server ends; the next connection shows what is the matter.
        1053 | 1927 | 4031 => return Trouble::ended(),
        1040 | 1203 | 1226 => "it has too many connections",
        1044 => "its user may not use this database",
        1045 => "it refuses the user or the password",
        1049 => "it has no database of that name",
        1064 => "the query is not valid SQL",
        1129 | 1130 => "it does not let this host in",
        1142 | 1143 | 1227 => "its user may not do that",
        1146 => "the query names a table that does not exist",
        1205 | 1317 | 1969 | 3024 => "the query took too long and was cancelled",
        1792 => "the query writes, and a check only reads",
        _ => "it answered with an error",
    };
    Trouble::says(format!("{words} ({})", error.code))
}

fn is_other(error: &Error) -> bool {
    matches!(error, Error::Io(IoError::Io(error)) if error.kind() == std::io::ErrorKind::Other)
}
