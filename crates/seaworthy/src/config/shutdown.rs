//! The section `shutdown`: one grace period, and the phases within it.

use std::fmt;
use std::path::{Component, PathBuf};
use std::str::FromStr;

use schemars::JsonSchema;
use seaworthy_config::Findings;
use seaworthy_core::budget::{Budget, Wishes};
use seaworthy_core::quantity::Duration;
pub use seaworthy_lifecycle::signals::SecondInterrupt;
use serde::{Deserialize, Serialize};

use super::text::text_setting;

/// How the service stops. The user gives the grace period; what is not set of the phases is derived from it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Shutdown {
    /// The time from the signal until the platform kills everything. Default `30s`, that of Kubernetes.
    pub grace: Duration,
    /// How long requests are served as ever while load balancers learn that this instance is going. Default `5s` in
    /// Kubernetes, else none.
    pub propagation: Option<Duration>,
    /// How long requests in flight may take to finish. Default: derived from `grace`.
    pub drain: Option<Duration>,
    /// How long all hooks together may take. Default: derived from `grace`.
    pub hooks_timeout: Option<Duration>,
    /// How long the app may take to stop before it is killed. Default: derived from `grace`.
    pub app: Option<Duration>,
    /// During this part of the propagation a growing share of requests is refused. Default: none.
    pub ramp: Duration,
    /// What a second Ctrl+C does. Default `hurry`.
    pub second_interrupt: SecondInterrupt,
    /// The exit code when a hook failed and nothing else was wrong. Default 0.
    pub fail_exit: u8,
    /// The file that is told why the process ended, as JSON of at most 4096 bytes: an absolute path, or `off`. Kubernetes
    /// shows it with the state of the container. Default: `/dev/termination-log`, where that file exists.
    pub termination_log: Option<TerminationLog>,
    /// What is done between the drain and the end of the app, the last one first. Default: nothing.
    #[schemars(extend("x-merge" = "name"))]
    pub hooks: Vec<Hook>,
}

impl Default for Shutdown {
    fn default() -> Self {
        Self {
            grace: Duration::from_secs(30),
            propagation: None,
            drain: None,
            hooks_timeout: None,
            app: None,
            ramp: Duration::ZERO,
            second_interrupt: SecondInterrupt::Hurry,
            fail_exit: 0,
            termination_log: None,
            hooks: Vec::new(),
        }
    }
}

impl Shutdown {
    /// What the budget is derived from.
    #[must_use]
    pub fn wishes(&self) -> Wishes {
        Wishes {
            propagation: self.propagation.map(Duration::get),
            drain: self.drain.map(Duration::get),
            hooks: self.hooks_timeout.map(Duration::get),
            app: self.app.map(Duration::get),
            ..Wishes::new(self.grace.get())
        }
    }
}

/// Where the reason of the end is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TerminationLog {
    /// Nowhere.
    Off,
    /// Into this file.
    At(PathBuf),
}

impl fmt::Display for TerminationLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => f.write_str("off"),
            Self::At(path) => path.display().fmt(f),
        }
    }
}

/// A text that is no file for the reason of the end.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no place for the reason of the end: write an absolute path or `off`")]
pub struct BadTerminationLog(String);

impl FromStr for TerminationLog {
    type Err = BadTerminationLog;

    fn from_str(text: &str) -> Result<Self, BadTerminationLog> {
        match text {
            "off" => Ok(Self::Off),
            path if path.starts_with('/') => Ok(Self::At(path.into())),
            _ => Err(BadTerminationLog(text.to_owned())),
        }
    }
}

text_setting!(
    TerminationLog,
    "TerminationLog",
    "absolute path of a file, or `off`",
    "/dev/termination-log",
    "off"
);

/// The propagation where something routes by readiness, when none is set.
pub const USUAL_PROPAGATION: Duration = Duration::from_secs(5);

/// One thing to do when the service stops: exactly one of `exec`, `http` and `remove_tree`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Hook {
    /// The name of the hook in logs.
    pub name: String,
    /// How long it may take. Default: what is left for hooks.
    #[serde(default)]
    pub timeout: Option<Duration>,
    /// Runs a command, given as words.
    #[serde(default)]
    #[schemars(extend("x-verbatim" = true))]
    pub exec: Option<Vec<String>>,
    /// Makes a request.
    #[serde(default)]
    pub http: Option<HttpHook>,
    /// Removes a folder with all that is in it: an absolute path, at least two levels deep.
    #[serde(default)]
    pub remove_tree: Option<PathBuf>,
    /// Whether a failure counts for nothing. Default `false`.
    #[serde(default)]
    pub ignore_errors: bool,
}

/// A request that a hook makes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpHook {
    /// Where to: `http://HOST:PORT/PATH`, or `/PATH` alone for the app.
    pub url: String,
    /// The method. Default `POST`.
    #[serde(default = "post")]
    pub method: String,
}

fn post() -> String {
    "POST".into()
}

pub(super) fn validate(shutdown: &Shutdown, findings: &mut Findings) {
    if shutdown.grace.is_zero() {
        findings
            .error("shutdown.grace", "no time at all is not enough")
            .help("write the grace period of the platform, such as `30s`");
    }
    validate_budget(shutdown, findings);
    if let Some(propagation) = shutdown.propagation
        && shutdown.ramp > propagation
    {
        findings
            .error(
                "shutdown.ramp",
                format!(
                    "a ramp of {} does not fit into a propagation of {propagation}",
                    shutdown.ramp
                ),
            )
            .related("shutdown.propagation")
            .help("lower `shutdown.ramp` or raise `shutdown.propagation`");
    }
    for (index, hook) in shutdown.hooks.iter().enumerate() {
        let path = format!("shutdown.hooks[{index}]");
        if shutdown.hooks[..index]
            .iter()
            .any(|other| other.name == hook.name)
        {
            findings.error(
                format!("{path}.name"),
                format!("another hook is called `{}` too", hook.name),
            );
        }
        validate_hook(hook, &path, findings);
    }
}

fn validate_budget(shutdown: &Shutdown, findings: &mut Findings) {
    let wishes = shutdown.wishes();
    // Whether anything routes by readiness is known only where it runs; without a propagation of its own it has to fit
    // in the easier case, and is warned about in the other.
    let (severe, refused) = match Budget::derive(&wishes, std::time::Duration::ZERO) {
        Err(refused) => (true, refused),
        Ok(_) => match Budget::derive(&wishes, USUAL_PROPAGATION.get()) {
            Err(refused) => (false, refused),
            Ok(_) => return,
        },
    };
    let phases = [
        ("shutdown.propagation", shutdown.propagation),
        ("shutdown.drain", shutdown.drain),
        ("shutdown.hooks_timeout", shutdown.hooks_timeout),
        ("shutdown.app", shutdown.app),
    ];
    let largest = phases
        .iter()
        .filter(|(_, time)| time.is_some())
        .max_by_key(|(_, time)| *time);
    let path = largest.map_or("shutdown.grace", |(path, _)| *path);
    let finding = if severe {
        findings.error(path, refused.to_string())
    } else {
        findings.warning(path, format!("in Kubernetes {refused}"))
    };
    for (path, _) in phases {
        finding.related(path);
    }
    finding.related("shutdown.grace");
}

fn validate_hook(hook: &Hook, path: &str, findings: &mut Findings) {
    let actions = [
        hook.exec.is_some(),
        hook.http.is_some(),
        hook.remove_tree.is_some(),
    ];
    match actions.into_iter().filter(|given| *given).count() {
        1 => {}
        0 => {
            let message = format!("the hook `{}` does nothing", hook.name);
            findings
                .error(path, message)
                .help("give it one of `exec`, `http` and `remove_tree`");
        }
        _ => {
            let message = format!("the hook `{}` does several things", hook.name);
            findings
                .error(path, message)
                .help("write one hook for each of `exec`, `http` and `remove_tree`");
        }
    }
    if hook.timeout.is_some_and(Duration::is_zero) {
        findings.error(format!("{path}.timeout"), "no time at all is not enough");
    }
    if hook
        .exec
        .as_ref()
        .is_some_and(|words| words.first().is_none_or(String::is_empty))
    {
        findings.error(format!("{path}.exec"), "the command is empty");
    }
    if let Some(http) = &hook.http {
        validate_http(http, path, findings);
    }
    if let Some(tree) = &hook.remove_tree
        && !is_removable(tree)
    {
        findings
            .error(format!("{path}.remove_tree"), format!("`{}` will not be removed: too much could be lost", tree.display()))
            .help("write an absolute path at least two levels deep, without `..`, such as `/tmp/cache`");
    }
}

fn validate_http(http: &HttpHook, path: &str, findings: &mut Findings) {
    let host = http
        .url
        .strip_prefix("http://")
        .and_then(|rest| rest.split(['/', '?', '#']).next());
    let to_the_app = http.url.starts_with('/') && !http.url.starts_with("//");
    if !to_the_app && host.is_none_or(str::is_empty)
        || http
            .url
            .contains(|c: char| c.is_whitespace() || c.is_control())
    {
        findings
            .error(
                format!("{path}.http.url"),
                format!("`{}` is no address to call", http.url),
            )
            .help("write `http://HOST:PORT/PATH`, or `/PATH` for the app");
    }
    if http.method.is_empty() || !http.method.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        findings.error(
            format!("{path}.http.method"),
            format!("`{}` is no method", http.method),
        );
    }
}

/// Absolute, at least two levels deep, and with no step back: a slip must not cost a disk.
fn is_removable(tree: &std::path::Path) -> bool {
    let names = tree
        .components()
        .filter(|part| matches!(part, Component::Normal(_)))
        .count();
    let steps_back = tree.components().any(|part| part == Component::ParentDir);
    tree.is_absolute() && names >= 2 && !steps_back
}
