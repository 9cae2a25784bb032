//! What is said when MySQL, or something in its place, does not answer as hoped.
//!
//! Its own words hold names of users and hosts, and pieces of the query, so they are never shown: its numbers are, which people
//! can look up.

use mysql_async::{DriverError, Error, IoError, ServerError};

use crate::Outcome;
use crate::probe::{tls, unreachable};

/// Why a question was not answered.
#[derive(Debug)]
pub(super) enum Trouble {
    /// There is no connection, in words that say why.
    Unreachable(Outcome),
    /// The connection ended.
    Lost,
    /// It sent something that is no answer.
    NotMysql,
    /// It answered with an error, in words of ours.
    Refused(String),
}

impl Trouble {
    pub(super) fn outcome(self) -> Outcome {
        match self {
            Self::Unreachable(outcome) => outcome,
            Self::Lost => Outcome::unhealthy("it ended the connection"),
            Self::NotMysql => Outcome::unhealthy("it does not speak MySQL"),
            Self::Refused(why) => Outcome::unhealthy(why),
        }
    }

    pub(super) fn of(error: &Error) -> Self {
        match error {
            Error::Server(error) => Self::of_server(error),
            Error::Driver(error) => Self::of_driver(error),
            Error::Io(IoError::Io(error)) => Self::of_io(error),
            Error::Io(IoError::Tls(_)) => {
                Self::Refused("TLS could not be set up; is `ca` a file of certificates?".to_owned())
            }
            _ => Self::NotMysql,
        }
    }

    /// The same of a connection that has logged in: a packet that is too long is then a row, and the driver has no kind for it.
    pub(super) fn of_query(error: &Error) -> Self {
        match Self::of(error) {
            Self::NotMysql if is_other(error) => {
                Self::Refused("the query returns too much".to_owned())
            }
            trouble => trouble,
        }
    }

    fn of_io(error: &std::io::Error) -> Self {
        use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
        if let Some(why) = tls::why(error) {
            return Self::Refused(why);
        }
        match error.kind() {
            BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof => Self::Lost,
            // The network has a number for what it says; the rest is the driver on what it read.
            _ if error.raw_os_error().is_some() => Self::Unreachable(unreachable(error)),
            _ => Self::NotMysql,
        }
    }

    fn of_driver(error: &DriverError) -> Self {
        match error {
            DriverError::ConnectionClosed => Self::Lost,
            DriverError::NoClientSslFlagFromServer => {
                Self::Refused("it does not offer TLS".to_owned())
            }
            DriverError::UnknownAuthPlugin { .. }
            | DriverError::MysqlOldPasswordDisabled
            | DriverError::CleartextPluginDisabled => {
                Self::Refused("it asks for a login that is not supported".to_owned())
            }
            _ => Self::NotMysql,
        }
    }

    fn of_server(error: &ServerError) -> Self {
        let words = match error.code {
            // Said when the server ends; the next connection shows what is the matter.
            1053 | 1927 | 4031 => return Self::Lost,
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
        Self::Refused(format!("{words} ({})", error.code))
    }
}

fn is_other(error: &Error) -> bool {
    matches!(error, Error::Io(IoError::Io(error)) if error.kind() == std::io::ErrorKind::Other)
}
