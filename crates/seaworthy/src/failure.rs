//! An error that knows how the program must end.

/// What went wrong, how to mend it, and the exit code that says so: 1 failure, 2 usage or configuration, 3 unreachable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Failure {
    /// The exit code.
    pub code: u8,
    /// One or more sentences, the way out among them.
    pub message: String,
}

impl Failure {
    /// Something failed, or was found to be wrong.
    pub fn failed(message: impl Into<String>) -> Self {
        Self {
            code: 1,
            message: message.into(),
        }
    }

    /// The user asked for something that there is not.
    pub fn usage(message: impl Into<String>) -> Self {
        Self {
            code: 2,
            message: message.into(),
        }
    }

    /// Something that is there by all accounts could not be reached.
    pub fn unreachable(message: impl Into<String>) -> Self {
        Self {
            code: 3,
            message: message.into(),
        }
    }

    /// The code for any error: its own where it has one, else 1.
    pub fn code_of(error: &anyhow::Error) -> u8 {
        error
            .downcast_ref::<Self>()
            .map_or(1, |failure| failure.code)
    }
}
