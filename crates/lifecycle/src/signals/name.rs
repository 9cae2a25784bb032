//! A signal by its name.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// A signal; written `TERM` or `SIGTERM`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(i32);

/// The text names no signal that may be sent.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a signal. Write one of TERM, INT, QUIT, HUP, USR1, USR2, WINCH, TTIN, TTOU, CONT, ALRM, KILL"
)]
pub struct NotASignal(String);

/// Those that can be written; the others only ever come from an exit status.
const SENDABLE: &[(&str, i32)] = &[
    ("TERM", libc::SIGTERM),
    ("INT", libc::SIGINT),
    ("QUIT", libc::SIGQUIT),
    ("HUP", libc::SIGHUP),
    ("USR1", libc::SIGUSR1),
    ("USR2", libc::SIGUSR2),
    ("WINCH", libc::SIGWINCH),
    ("TTIN", libc::SIGTTIN),
    ("TTOU", libc::SIGTTOU),
    ("CONT", libc::SIGCONT),
    ("ALRM", libc::SIGALRM),
    ("KILL", libc::SIGKILL),
];

/// Those that crashes are made of.
const FATAL: &[(&str, i32)] = &[
    ("SEGV", libc::SIGSEGV),
    ("ABRT", libc::SIGABRT),
    ("BUS", libc::SIGBUS),
    ("ILL", libc::SIGILL),
    ("FPE", libc::SIGFPE),
    ("TRAP", libc::SIGTRAP),
    ("SYS", libc::SIGSYS),
    ("PIPE", libc::SIGPIPE),
    ("XCPU", libc::SIGXCPU),
    ("XFSZ", libc::SIGXFSZ),
];

impl Name {
    /// SIGTERM.
    pub const TERM: Name = Name(libc::SIGTERM);
    /// SIGINT.
    pub const INT: Name = Name(libc::SIGINT);
    /// SIGHUP.
    pub const HUP: Name = Name(libc::SIGHUP);
    /// SIGABRT: many runtimes write their stacks before it ends them.
    pub const ABRT: Name = Name(libc::SIGABRT);
    /// SIGKILL.
    pub const KILL: Name = Name(libc::SIGKILL);
    /// SIGUSR1.
    pub const USR1: Name = Name(libc::SIGUSR1);
    /// SIGUSR2.
    pub const USR2: Name = Name(libc::SIGUSR2);
    /// Stop, by the habit of gunicorn and nginx.
    pub const QUIT: Name = Name(libc::SIGQUIT);
    /// The size of a terminal changed; for gunicorn and nginx: end the workers softly.
    pub const WINCH: Name = Name(libc::SIGWINCH);
    /// SIGCONT.
    pub const CONT: Name = Name(libc::SIGCONT);

    /// The signal with this number, which the system gave us.
    pub(crate) const fn from_number(number: i32) -> Name {
        Name(number)
    }

    /// Its number here.
    pub const fn number(self) -> i32 {
        self.0
    }

    /// For sending; only names that can be written or that are constants here are ever sent.
    pub(crate) fn for_rustix(self) -> rustix::process::Signal {
        rustix::process::Signal::from_named_raw(self.0).unwrap_or(rustix::process::Signal::TERM)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match SENDABLE
            .iter()
            .chain(FATAL)
            .find(|(_, number)| *number == self.0)
        {
            Some((name, _)) => write!(f, "SIG{name}"),
            None => write!(f, "signal {}", self.0),
        }
    }
}

impl FromStr for Name {
    type Err = NotASignal;

    fn from_str(text: &str) -> Result<Name, NotASignal> {
        let upper = text.to_ascii_uppercase();
        let short = upper.strip_prefix("SIG").unwrap_or(&upper);
        SENDABLE
            .iter()
            .find(|(name, _)| *name == short)
            .map(|(_, number)| Name(*number))
            .ok_or_else(|| NotASignal(text.to_owned()))
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let text = self.to_string();
        to.serialize_str(text.strip_prefix("SIG").unwrap_or(&text))
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Name, D::Error> {
        let text = Cow::<'de, str>::deserialize(from)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Name {
    fn schema_name() -> Cow<'static, str> {
        "Signal".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let names: Vec<&str> = SENDABLE.iter().map(|(name, _)| *name).collect();
        json_schema!({
            "type": "string",
            "description": "A signal by its name, with or without SIG.",
            "examples": names
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes_every_name() {
        for (name, number) in SENDABLE {
            let signal: Name = name.parse().unwrap();
            assert_eq!(signal.number(), *number);
            assert_eq!(signal.to_string(), format!("SIG{name}"));
            assert_eq!(signal.to_string().to_lowercase().parse(), Ok(signal));
            assert_eq!(signal.for_rustix().as_raw(), *number);
            assert_eq!(serde_json::to_value(signal).unwrap(), *name);
        }
        let error = "TREM".parse::<Name>().unwrap_err().to_string();
        assert!(
            error.contains("`TREM`") && error.contains("TERM, INT"),
            "{error}"
        );
        assert_eq!(Name::from_number(64).to_string(), "signal 64");
        assert_eq!(Name::from_number(11).to_string(), "SIGSEGV");
    }
}
