//! Both ends of a benchmark, an upstream that answers as cheaply as can be and a load generator that measures latency, and
//! the least that can stand between them.
//!
//! Each is one thread around one epoll, so that what a core spends is mostly spent in the proxy under test. Neither is a
//! general tool: they speak just the HTTP/1.1 that the other end and a proxy between them use.

mod histogram;
mod load;
mod relay;
mod reply;
mod upstream;

use std::collections::HashMap;
use std::error::Error;
use std::process::ExitCode;
use std::str::FromStr;

/// What either end reports when it cannot go on.
pub type Failure = Box<dyn Error>;

const USAGE: &str = "usage: bench-tools upstream --port N [--unix PATH]
       bench-tools relay --port N --upstream N
       bench-tools load --port N [--connections 64] [--seconds 2 | --requests N] [--warm 0.4] [--rate PER_SECOND] [--path / | --vary 1]";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench-tools: {error}\n{USAGE}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Failure> {
    let mut words = std::env::args().skip(1);
    let verb = words.next().ok_or("a verb is missing")?;
    let flags = Flags::read(words)?;
    match verb.as_str() {
        "upstream" => upstream::serve(flags.required("port")?, flags.text("unix")),
        "relay" => relay::serve(flags.required("port")?, flags.required("upstream")?),
        "load" => {
            let plan = load::Plan {
                port: flags.required("port")?,
                connections: flags.or("connections", 64)?,
                seconds: flags.or("seconds", 2.0)?,
                requests: flags.or("requests", 0)?,
                warm: flags.or("warm", 0.4)?,
                rate: flags.or("rate", 0.0)?,
                path: flags.text("path").unwrap_or("/").to_owned(),
                vary: flags.or("vary", 0)? != 0,
            };
            println!("{}", load::run(&plan)?);
            Ok(())
        }
        other => Err(format!("no such verb: {other}").into()),
    }
}

/// `--name value` pairs.
struct Flags(HashMap<String, String>);

impl Flags {
    fn read(mut words: impl Iterator<Item = String>) -> Result<Self, Failure> {
        let mut flags = HashMap::new();
        while let Some(word) = words.next() {
            let name = word
                .strip_prefix("--")
                .ok_or_else(|| format!("not a flag: {word}"))?;
            let value = words
                .next()
                .ok_or_else(|| format!("{word} needs a value"))?;
            flags.insert(name.to_owned(), value);
        }
        Ok(Self(flags))
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    fn required<T: FromStr>(&self, name: &str) -> Result<T, Failure> {
        let text = self
            .text(name)
            .ok_or_else(|| format!("--{name} is missing"))?;
        text.parse()
            .map_err(|_| format!("--{name} {text}: not a number of its kind").into())
    }

    fn or<T: FromStr>(&self, name: &str, default: T) -> Result<T, Failure> {
        if self.0.contains_key(name) {
            self.required(name)
        } else {
            Ok(default)
        }
    }
}
