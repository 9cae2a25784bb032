//! The section `app`: the service behind, how it is started and kept alive.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use seaworthy_config::{Findings, Secret};
use seaworthy_core::address::Address;
use seaworthy_core::quantity::Duration;
use serde::{Deserialize, Serialize};

use super::flags::Told;
use super::restart::Restart;

/// The service behind, how it is started and kept alive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct App {
    /// The command that starts the app: a list of words, or one text that is split like a shell would, without expanding
    /// anything. Default: what stands after `--` on the command line.
    #[schemars(extend("x-verbatim" = true))]
    pub command: Option<Command>,
    /// Where the app listens, when Seaworthy is not to choose: `127.0.0.1:8001`, `unix:/path`. Without a command, a
    /// service that something else runs. Default: chosen, and told to servers that are known.
    pub connect: Option<Address>,
    /// The folder in which the app is started. Default: the current one.
    pub cwd: Option<PathBuf>,
    /// Variables for the app, over those that Seaworthy has itself. Shown masked. Default: none.
    pub env: BTreeMap<String, Secret>,
    /// Variables that carry the app's port to it; Seaworthy's own port is never left in them. Default `[PORT, API_PORT]`.
    pub port_env: Vec<String>,
    /// How many copies of the app run behind the one port. Default 1.
    #[schemars(range(min = 1, max = 256))]
    pub instances: u16,
    /// How long an idle connection to the app is kept. Default: a little less than the server itself keeps it.
    pub idle_timeout: Option<Duration>,
    /// How the app is told of feature flags.
    pub flags: Told,
    /// What happens when the app ends by itself.
    pub restart: Restart,
    /// How long the app may take to start.
    pub startup: Startup,
    /// Signals that are passed on to the app unchanged. Default `[USR1, USR2]`.
    pub forward_signals: Vec<Signal>,
    /// The signal that asks the app to stop. Default `TERM`.
    pub stop_signal: Signal,
}

impl Default for App {
    fn default() -> Self {
        Self {
            command: None,
            connect: None,
            cwd: None,
            env: BTreeMap::new(),
            port_env: vec!["PORT".into(), "API_PORT".into()],
            instances: 1,
            idle_timeout: None,
            flags: Told::default(),
            restart: Restart::default(),
            startup: Startup::default(),
            forward_signals: vec![Signal::Usr1, Signal::Usr2],
            stop_signal: Signal::Term,
        }
    }
}

/// How long the app may take to start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Startup {
    /// How long until the app must listen. Default `60s`.
    pub timeout: Duration,
    /// How long a request waits for an app that is starting, before it is refused. Default `10s`.
    pub park: Duration,
}

impl Default for Startup {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(60),
            park: Duration::from_secs(10),
        }
    }
}

/// A command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Command {
    /// One word each: nothing is split or expanded.
    Words(Vec<String>),
    /// One text.
    Line(String),
}

impl Command {
    fn is_empty(&self) -> bool {
        match self {
            Self::Words(words) => words.first().is_none_or(|word| word.trim().is_empty()),
            Self::Line(line) => line.trim().is_empty(),
        }
    }
}

/// A signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Signal {
    /// The terminal is gone, or: read the configuration again.
    Hup,
    /// Ctrl+C.
    Int,
    /// Stop, by gunicorn's and nginx's habit.
    Quit,
    /// Stop.
    Term,
    /// The app's own meaning.
    Usr1,
    /// The app's own meaning.
    Usr2,
    /// The terminal's size changed; for gunicorn and nginx: end the workers softly.
    Winch,
}

impl From<Signal> for seaworthy_lifecycle::signals::Name {
    fn from(signal: Signal) -> Self {
        match signal {
            Signal::Hup => Self::HUP,
            Signal::Int => Self::INT,
            Signal::Quit => Self::QUIT,
            Signal::Term => Self::TERM,
            Signal::Usr1 => Self::USR1,
            Signal::Usr2 => Self::USR2,
            Signal::Winch => Self::WINCH,
        }
    }
}

pub(super) fn validate(app: &App, findings: &mut Findings) {
    if app.command.as_ref().is_some_and(Command::is_empty) {
        findings
            .error("app.command", "the command is empty")
            .help("write it as a list: `[uvicorn, app:app]`");
    }
    if app.connect.is_some() && app.instances > 1 {
        findings
            .error("app.instances", format!("{} copies cannot all listen where `app.connect` says", app.instances))
            .related("app.connect")
            .help("remove `app.connect`, so that each copy gets an address of its own, or run one copy");
    }
    for (key, what) in [
        ("startup.timeout", app.startup.timeout),
        (
            "idle_timeout",
            app.idle_timeout.unwrap_or(Duration::from_secs(1)),
        ),
    ] {
        if what.is_zero() {
            findings.error(format!("app.{key}"), "no time at all is not enough");
        }
    }
    let bad = |name: &str| name.is_empty() || name.contains(['=', '\0']);
    for (index, name) in app
        .port_env
        .iter()
        .enumerate()
        .filter(|(_, name)| bad(name))
    {
        findings.error(
            format!("app.port_env[{index}]"),
            format!("`{name}` cannot be the name of a variable"),
        );
    }
    for (name, value) in &app.env {
        if bad(name) || value.expose().contains('\0') {
            findings.error(
                format!("app.env.{name}"),
                "this cannot be the name or value of a variable",
            );
        }
        if app.port_env.contains(name) {
            findings
                .warning(
                    format!("app.env.{name}"),
                    "Seaworthy sets this variable to the app's own port",
                )
                .help("remove it, or take the name out of `app.port_env`");
        }
    }
}
