//! Whether a command says that all is well.
//!
//! The command leads a process group of its own, and a run that is cancelled kills the whole group. It gets no stdin and of our
//! environment only what is named, because a check that works in one terminal and not in the service is worse than none.
//! What it prints is looked at when `parse` asks for it and never shown; up to 64 KiB are read.

mod group;

use std::io;
use std::path::Path;
use std::process::ExitStatus;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::process::Command;

use super::reading::Expected;
use super::{Around, Fault, Probe};
use crate::{Check, Outcome, Running};
pub use group::{Exempting, Group, exempt_with};

/// More output is not read.
const MOST: usize = 64 * 1024;

/// Runs a command. Exit code 0 is healthy, any other is not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Exec {
    /// The command and its words, such as `[sh, -c, "test -e /run/ready"]`. No shell reads them.
    #[schemars(length(min = 1), extend("x-verbatim" = true))]
    pub command: Vec<String>,
    /// The variables that the command gets from our environment, beside `PATH`. Default: none.
    #[serde(default)]
    pub pass_env: Vec<String>,
    /// The folder in which it runs. Default: ours.
    #[serde(default)]
    pub directory: Option<String>,
    /// What it prints, when that is to be looked at: `json_object_count` counts the entries of a JSON object or array, `json` finds a value
    /// with `pointer`, `number` is a number alone. Default: only the exit code counts.
    #[serde(default)]
    pub parse: Option<Parse>,
    /// What is expected of the value.
    #[serde(flatten)]
    pub expected: Expected,
}

/// What a command prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Parse {
    /// A JSON object or array, whose entries are counted.
    JsonObjectCount,
    /// A JSON document.
    Json,
    /// A number.
    Number,
}

impl Exec {
    /// A command of which only the exit code counts.
    pub fn new<W: Into<String>>(words: impl IntoIterator<Item = W>) -> Self {
        Self {
            command: words.into_iter().map(Into::into).collect(),
            pass_env: Vec::new(),
            directory: None,
            parse: None,
            expected: Expected::default(),
        }
    }
}

impl Probe for Exec {
    const KIND: &'static str = "exec";

    fn faults(&self, _: &Around, faults: &mut Vec<Fault>) {
        let has_nul = |word: &String| word.contains('\0');
        if self.command.first().is_none_or(String::is_empty) || self.command.iter().any(has_nul) {
            let message = "there is no command";
            faults.push(Fault::new(
                "command",
                message,
                "write it as `[program, word]`",
            ));
        }
        if self
            .pass_env
            .iter()
            .any(|n| n.is_empty() || n.contains(['=', '\0']))
        {
            let message = "it is a list of names of variables";
            faults.push(Fault::new(
                "pass_env",
                message,
                "write it as `[HOME, LANG]`",
            ));
        }
        if self.expected != Expected::default() && self.parse.is_none() {
            let message = "there is no value to look at";
            faults.push(Fault::new(
                "parse",
                message,
                "say what it prints: `json` or `number`",
            ));
        }
        self.expected.faults(faults);
    }

    fn check(&self, _: &Around) -> Arc<dyn Check> {
        Arc::new(Runs(self.clone()))
    }
}

struct Runs(Exec);

impl Check for Runs {
    fn kind(&self) -> &'static str {
        Exec::KIND
    }

    fn run(&self) -> Running<'_> {
        Box::pin(async {
            let program = self.0.command.first().map_or("", String::as_str);
            let ended = match Group::start(self.command(program)) {
                Ok(group) => group.end(MOST).await,
                Err(error) => return Outcome::unhealthy(self.cannot_start(program, &error)),
            };
            match ended {
                Ok((output, status)) => self.judge(&output, status),
                Err(_) => Outcome::unknown("how the command ended cannot be told"),
            }
        })
    }
}

impl Runs {
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.args(self.0.command.iter().skip(1)).env_clear();
        let passed = self.0.pass_env.iter().map(String::as_str).chain(["PATH"]);
        for name in passed {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        if let Some(directory) = &self.0.directory {
            command.current_dir(directory);
        }
        command
    }

    fn cannot_start(&self, program: &str, error: &io::Error) -> String {
        // The system does not say which of the two it has not found.
        if let Some(directory) = &self.0.directory
            && !Path::new(directory).is_dir()
        {
            return "the folder of the command does not exist".to_owned();
        }
        match error.kind() {
            io::ErrorKind::NotFound => format!("the command `{program}` does not exist"),
            io::ErrorKind::PermissionDenied => format!("the command `{program}` may not be run"),
            kind => format!("the command `{program}` cannot be started ({kind})"),
        }
    }

    fn judge(&self, output: &[u8], status: ExitStatus) -> Outcome {
        use std::os::unix::process::ExitStatusExt as _;
        if output.len() > MOST {
            return Outcome::unhealthy("the command prints more than 64 KiB");
        }
        match (status.code(), status.signal()) {
            (Some(0), _) => {}
            (Some(code), _) => {
                return Outcome::unhealthy(format!("the command ended with exit code {code}"))
                    .with("exit_code", code);
            }
            (None, signal) => {
                let signal = signal.unwrap_or_default();
                return Outcome::unhealthy(format!("the command was ended by signal {signal}"));
            }
        }
        match self.0.parse {
            None => Outcome::healthy("the command ended with exit code 0"),
            Some(parse) => self.judge_output(parse, output),
        }
    }

    fn judge_output(&self, parse: Parse, output: &[u8]) -> Outcome {
        let Ok(document) = serde_json::from_slice::<Value>(output) else {
            return Outcome::unhealthy(match parse {
                Parse::Number => "the command does not print a number",
                Parse::Json | Parse::JsonObjectCount => "the command does not print JSON",
            });
        };
        match parse {
            Parse::Json => self.0.expected.judge(&document),
            Parse::Number if document.is_number() => self.0.expected.judge_value(&document),
            Parse::Number => Outcome::unhealthy("the command does not print a number"),
            Parse::JsonObjectCount => {
                let pointer = self.0.expected.pointer.as_deref().unwrap_or_default();
                let count = match document.pointer(pointer) {
                    Some(Value::Object(entries)) => entries.len(),
                    Some(Value::Array(entries)) => entries.len(),
                    _ => return Outcome::unhealthy("the command prints nothing to count"),
                };
                self.0.expected.judge_value(&count.into())
            }
        }
    }
}
