//! Checks of real things, one file for each kind.
//!
//! A probe is what the configuration says ([`Probe`], with its options, defaults and limits) and becomes a [`Check`]. All of
//! them look and never change anything, keep at most one connection, and say what is wrong in one sentence without secrets:
//! what a driver or the other side sent is never shown raw.

pub mod address;
mod amqp;
#[cfg(any(feature = "redis", feature = "postgres"))]
mod bounded;
pub mod celery;
pub mod count;
pub mod disk;
pub mod exec;
pub mod feature;
pub mod grpc;
pub mod heartbeat;
pub mod http;
pub mod kafka;
mod kept;
pub mod limits;
pub mod memory;
#[cfg(feature = "mysql")]
pub mod mysql;
pub mod nats;
#[cfg(feature = "postgres")]
pub mod postgres;
pub mod process;
#[cfg(any(feature = "redis", feature = "postgres"))]
pub mod queue;
pub mod rabbitmq;
pub mod reading;
#[cfg(feature = "redis")]
pub mod redis;
#[cfg(feature = "postgres")]
pub mod rows;
#[cfg(any(feature = "mysql", feature = "postgres"))]
mod sql;
mod stream;
pub mod tcp;
mod tls;
pub mod traffic;
mod trouble;
pub mod upstream;
mod wire;

use std::net::SocketAddr;
use std::sync::Arc;

use schemars::JsonSchema;
use seaworthy_core::health::About;
use serde::de::DeserializeOwned;

use crate::Check;

pub use address::{Address, Variables};
pub use tls::client_config;

/// The options of a kind of check.
pub trait Probe: Clone + DeserializeOwned + JsonSchema {
    /// The word for the kind.
    const KIND: &'static str;
    /// What the kind looks at.
    const ABOUT: About = About::Dependency;

    /// The option that says where it goes, with its name; a variable may say it instead. Most of what is looked at here, such as
    /// a disk, goes nowhere.
    fn address(&mut self) -> Option<(&'static str, &mut dyn Address)> {
        None
    }

    /// Finds what the types cannot say. Opens nothing.
    fn faults(&self, around: &Around, faults: &mut Vec<Fault>);

    /// The check.
    fn check(&self, around: &Around) -> Arc<dyn Check>;
}

/// What probes know of the process around them.
#[derive(Clone, Debug, Default)]
pub struct Around {
    /// Where Seaworthy itself is administered; no check may go there.
    pub own: Vec<SocketAddr>,
    /// What addresses may be taken from.
    pub variables: Variables,
    /// The app, when it is supervised here.
    pub app: Option<process::App>,
}

/// Something wrong with an option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The option.
    pub option: &'static str,
    /// What is wrong with it.
    pub message: String,
    /// How to mend it.
    pub help: String,
}

impl Fault {
    /// A fault of `option`.
    pub fn new(option: &'static str, message: impl Into<String>, help: impl Into<String>) -> Self {
        Self {
            option,
            message: message.into(),
            help: help.into(),
        }
    }
}

/// What is wrong with a URL that a check goes to: its scheme, or whom it leads to.
pub(crate) fn judge_url(
    option: &'static str,
    url: &seaworthy_core::dsn::Dsn,
    schemes: &[&str],
    around: &Around,
    faults: &mut Vec<Fault>,
) {
    if !schemes.contains(&url.scheme()) {
        let message = format!("`{}` is no scheme for this kind of check", url.scheme());
        faults.push(Fault::new(
            option,
            message,
            format!("write `{}://…`", schemes[0]),
        ));
    }
    if let Some(why) = url.forbidden(&around.own) {
        faults.push(Fault::new(
            option,
            why,
            "name the address of the dependency",
        ));
    }
}

/// What is wrong with a name for metadata.
pub(crate) fn judge_key(option: &'static str, key: &str, faults: &mut Vec<Fault>) {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    if key.is_empty() || key.len() > 64 || !key.bytes().all(fits) {
        let message = "it is not a name for metadata";
        let help = "write one word, such as `workers`";
        faults.push(Fault::new(option, message, help));
    }
}

/// A check out of a function that may block, such as one that reads from a file system which hangs.
pub(crate) fn blocking<F>(kind: &'static str, look: F) -> Arc<dyn Check>
where
    F: Fn() -> crate::Outcome + Send + Sync + 'static,
{
    struct Named<C>(&'static str, C);

    impl<C: Check> Check for Named<C> {
        fn kind(&self) -> &'static str {
            self.0
        }

        fn run(&self) -> crate::Running<'_> {
            self.1.run()
        }
    }

    Arc::new(Named(kind, crate::blocking(look)))
}

/// A number for people: whole when it is, else with one decimal.
pub(crate) fn tenths(number: f64) -> serde_json::Value {
    let rounded = (number * 10.0).round() / 10.0;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "larger numbers stay as they are"
    )]
    if rounded.fract() == 0.0 && rounded.abs() < 9e15 {
        (rounded as i64).into()
    } else {
        rounded.into()
    }
}

/// A version as the other side says it, when it is one: nothing else that it sends is shown.
pub(crate) fn version(text: &str) -> Option<&str> {
    let word = text.split_whitespace().next()?;
    let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || b".-_+~:".contains(&byte);
    let is_version = word.len() <= 64 && word.starts_with(|c: char| c.is_ascii_digit());
    (is_version && word.bytes().all(is_fine)).then_some(word)
}
