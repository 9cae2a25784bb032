//! Why a question was not answered, in words that are safe to show.

use std::io;

use bytes::TryGetError;

use crate::Outcome;

/// Why a question was not answered.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// The connection failed. Of one that was kept, that says nothing about the server.
    Io(io::Error),
    /// What came is not the protocol that was expected.
    Foreign,
    /// It answers, and does not let us do that.
    #[cfg(any(feature = "redis", feature = "postgres"))]
    Denied(String),
    /// It is known what is wrong.
    Says(Outcome),
}

impl Trouble {
    /// The server is not well, and this is why.
    pub(crate) fn says(why: impl Into<String>) -> Self {
        Self::Says(Outcome::unhealthy(why))
    }

    /// The other side has ended the connection.
    pub(crate) fn ended() -> Self {
        Self::Io(io::ErrorKind::UnexpectedEof.into())
    }

    /// What it means for whoever asked for something that speaks `tongue`.
    pub(crate) fn outcome(self, tongue: &str) -> Outcome {
        match self {
            Self::Io(error) => unreachable(&error),
            Self::Foreign => Outcome::unhealthy(format!("it does not speak {tongue}")),
            #[cfg(any(feature = "redis", feature = "postgres"))]
            Self::Denied(why) => Outcome::unhealthy(why),
            Self::Says(outcome) => outcome,
        }
    }
}

impl From<Outcome> for Trouble {
    fn from(outcome: Outcome) -> Self {
        Self::Says(outcome)
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            // This is what rustls says of records that are none.
            io::ErrorKind::InvalidData => Self::Foreign,
            _ => Self::Io(error),
        }
    }
}

impl From<TryGetError> for Trouble {
    fn from(_: TryGetError) -> Self {
        Self::Foreign
    }
}

/// The outcome of a connection that did not come about.
pub(crate) fn unreachable(error: &io::Error) -> Outcome {
    use io::ErrorKind;
    Outcome::unhealthy(match error.kind() {
        ErrorKind::ConnectionRefused => "nothing listens there (connection refused)".to_owned(),
        ErrorKind::ConnectionReset | ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe => {
            "it ended the connection".to_owned()
        }
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable => {
            "there is no way to its network".to_owned()
        }
        ErrorKind::TimedOut => "it did not answer".to_owned(),
        // Resolving a name has no kind of its own.
        _ if error.raw_os_error().is_none() => "its name could not be resolved".to_owned(),
        kind => format!("the connection failed ({kind})"),
    })
}
