//! `seaworthy ctl checks`: the checks of what the service depends on.

use clap::{Args, Subcommand, ValueEnum};
use hyper::Method;
use seaworthy_core::quantity::Duration;
use serde_json::{Value, json};

use super::{TIMEOUT, percent_encoded};
use crate::cli::locate::{self, Which};
use crate::cli::{Global, health, output};

/// What to do with checks.
#[derive(Clone, Debug, Subcommand)]
pub enum Checks {
    /// List them
    List(#[command(flatten)] Which),
    /// Stop a check and leave it out of readiness
    Disable(Named),
    /// Undo `disable` and `force`
    Enable(Named),
    /// Let a check show a status, whatever it finds
    Force {
        /// Which check.
        #[command(flatten)]
        named: Named,
        /// What it shows
        status: Word,
    },
    /// Change the timeout of a check: `timeout=250ms`, or `timeout=default`
    Set {
        /// Which check.
        #[command(flatten)]
        named: Named,
        /// The setting
        #[arg(value_name = "timeout=DURATION", value_parser = timeout)]
        timeout: Timeout,
    },
}

/// One check.
#[derive(Args, Clone, Debug)]
pub struct Named {
    /// Which instance is meant.
    #[command(flatten)]
    pub which: Which,
    /// The name of the check
    pub name: String,
    /// Only for this long
    #[arg(long = "for", value_name = "DURATION")]
    pub time: Option<Duration>,
}

/// A status to show.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum Word {
    /// All is well.
    Healthy,
    /// Somebody should look.
    Degraded,
    /// It does not work.
    Unhealthy,
}

/// A timeout; `None` is that of the configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeout(Option<Duration>);

fn timeout(text: &str) -> Result<Timeout, String> {
    match text.strip_prefix("timeout=") {
        Some("default") => Ok(Timeout(None)),
        Some(duration) => match duration.parse() {
            Ok(duration) => Ok(Timeout(Some(duration))),
            Err(error) => Err(format!("{error}")),
        },
        None => Err("only `timeout` can be set: write timeout=250ms".to_owned()),
    }
}

/// Does it, and prints how the check is shown from now on.
pub(super) async fn execute(global: &Global, checks: &Checks) -> anyhow::Result<()> {
    let answer = match checks {
        Checks::List(which) => {
            let found = locate::find(which)?;
            found.ask(Method::GET, "/-/checks", TIMEOUT).await?
        }
        Checks::Disable(named) => post(named, "disable", json!({})).await?,
        Checks::Enable(named) => post(named, "enable", json!({})).await?,
        Checks::Force { named, status } => {
            let status = format!("{status:?}").to_lowercase();
            post(named, "force", json!({"status": status})).await?
        }
        Checks::Set { named, timeout } => {
            let timeout = timeout.0.map(|timeout| timeout.to_string());
            post(named, "timeout", json!({"timeout": timeout})).await?
        }
    };
    if global.json {
        output::json(&answer);
    } else {
        output::data(&health::table(&answer));
    }
    Ok(())
}

async fn post(named: &Named, action: &str, mut body: Value) -> anyhow::Result<Value> {
    if let Some(time) = named.time {
        body["for"] = time.to_string().into();
    }
    let found = locate::find(&named.which)?;
    let path = format!("/-/checks/{}/{action}", percent_encoded(&named.name));
    found
        .ask_with(Method::POST, &path, Some(body), TIMEOUT)
        .await
}
