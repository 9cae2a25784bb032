//! How a process ended.

use std::fmt;

use crate::signals::Name;

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with this code.
    Code(u8),
    /// By this signal.
    Signal(Name),
    /// Somebody else asked for its status first, so it is lost.
    Unknown,
}

impl Exit {
    /// Whether it ended with code 0.
    pub fn success(self) -> bool {
        self == Exit::Code(0)
    }

    /// The code that shells show for it: 128 and the number of a signal.
    pub fn code(self) -> u8 {
        match self {
            Exit::Code(code) => code,
            Exit::Signal(name) => u8::try_from(name.number())
                .ok()
                .and_then(|number| number.checked_add(128))
                .unwrap_or(u8::MAX),
            Exit::Unknown => 1,
        }
    }
}

impl fmt::Display for Exit {
    /// Completes "the app …".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Exit::Code(code) => write!(f, "ended with exit code {code}"),
            Exit::Signal(name) => write!(f, "was killed by {name}"),
            Exit::Unknown => write!(
                f,
                "ended, and its exit code was taken by another part of the program"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_are_shown_as_shells_do() {
        assert_eq!(Exit::Code(7).code(), 7);
        assert_eq!(Exit::Signal(Name::TERM).code(), 143);
        assert_eq!(Exit::Signal(Name::KILL).code(), 137);
        assert_eq!(
            Exit::Signal(Name::KILL).to_string(),
            "was killed by SIGKILL"
        );
        assert!(Exit::Code(0).success() && !Exit::Signal(Name::TERM).success());
    }
}
