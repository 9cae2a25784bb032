//! Secrets that stand elsewhere: who gives them, which are known, and how they change while a service runs.
//!
//! A [`Provider`] gives one secret: a [`File`], a [`Variable`], or whatever implements the trait. [`Secrets`] holds
//! those that are known by name; what is read there is always the newest. New definitions are [prepared](Secrets::prepare), which asks
//! for whatever is new and changes nothing, and then [committed](Secrets::commit), which cannot fail. [`Secrets::keep`] asks again
//! when it is time. One that cannot be had any more keeps its old value, and somebody is told; one that was changed is told to all
//! who [listen](Secrets::listen).
//!
//! Every question has a deadline and every answer a bound, because a provider may hang or lie. What is said of a failure never
//! repeats what a provider has said.

mod file;
mod keep;
mod listen;
mod questions;
mod store;
mod variable;
mod wanted;

use std::fmt;
use std::pin::Pin;
use std::time::Duration;

use crate::secret::Secret;

pub use file::{File, too_open};
pub use keep::{News, Observer};
pub use listen::Changes;
pub use store::{Prepared, Refused, Secrets};
pub use variable::Variable;
pub use wanted::Wanted;

/// The longest secret.
pub const MAX_SECRET: usize = 64 << 10;

/// A secret as a provider gives it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// The secret.
    pub value: Secret,
    /// It is good for so long; nothing when nobody says.
    pub lease: Option<Duration>,
    /// What is odd about it although it can be used, such as a file that everybody may read.
    pub warning: Option<String>,
}

impl From<Secret> for Given {
    fn from(value: Secret) -> Self {
        Self {
            value,
            lease: None,
            warning: None,
        }
    }
}

/// Why a secret cannot be had, in words that hold none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what}")]
pub struct Trouble {
    /// What is wrong.
    pub what: String,
    /// How to mend it.
    pub help: Option<String>,
}

impl Trouble {
    /// Says what is wrong.
    pub fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            help: None,
        }
    }

    /// Says how to mend it.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// A question to a provider that is under way.
pub type Asking<'a> = Pin<Box<dyn Future<Output = Result<Given, Trouble>> + Send + 'a>>;

/// Gives one secret whenever it is asked.
pub trait Provider: fmt::Debug + Send + Sync {
    /// Asks for the secret as it is now. Whoever asks has a deadline, and drops the question when it has passed.
    fn ask(&self) -> Asking<'_>;
}

/// A secret out of what a file, a command or a store holds: the line ends behind it are not part of it.
///
/// # Errors
/// When it is empty, too long or no text.
pub fn read_secret(bytes: Vec<u8>) -> Result<Secret, Trouble> {
    if bytes.len() > MAX_SECRET {
        return Err(Trouble::new(format!(
            "it is longer than {} KiB, which no secret is",
            MAX_SECRET >> 10
        )));
    }
    let text = String::from_utf8(bytes)
        .map_err(|_| Trouble::new("it is not text (UTF-8)").help("keep it in base64"))?;
    let text = text.trim_end_matches(['\n', '\r']);
    if text.is_empty() {
        return Err(Trouble::new("it is empty"));
    }
    if text.contains('\0') {
        return Err(Trouble::new("it has a zero byte in it").help("keep it in base64"));
    }
    Ok(Secret::new(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_are_no_part_of_a_secret() {
        let read =
            |text: &[u8]| read_secret(text.to_vec()).map(|secret| secret.expose().to_owned());
        assert_eq!(read(b"hunter2\r\n").as_deref(), Ok("hunter2"));
        assert_eq!(read(b" a\nb \n").as_deref(), Ok(" a\nb "));
        for (bad, why) in [
            (&b"\n"[..], "empty"),
            (b"\xff", "UTF-8"),
            (b"a\0b", "zero byte"),
        ] {
            let error = read(bad).unwrap_err();
            assert!(error.what.contains(why), "{error}");
        }
        assert!(
            read(&vec![b'a'; MAX_SECRET + 1])
                .unwrap_err()
                .what
                .contains("64 KiB")
        );
    }
}
