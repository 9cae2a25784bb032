//! `seaworthy ctl breakers [NAME ACTION]`: what breakers do, and telling them what to do.

use clap::{Args, ValueEnum};
use hyper::Method;
use serde_json::{Value, json};

use super::{TIMEOUT, percent_encoded, table};
use crate::cli::locate::{self, Which};
use crate::cli::{Global, output};

/// Which breaker, and what it shall do.
#[derive(Args, Clone, Debug)]
pub struct Breakers {
    /// Which instance is meant.
    #[command(flatten)]
    pub which: Which,
    /// One breaker; without it all are listed
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// What it shall do
    #[arg(value_name = "ACTION", requires = "name")]
    pub action: Option<Action>,
}

/// What a breaker can be told.
#[derive(Clone, Copy, Debug, ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum Action {
    /// Refuse every request
    ForceOpen,
    /// Let every request through, whatever comes of it
    ForceClosed,
    /// Forget everything and begin again, closed
    Reset,
}

impl Action {
    const fn word(self) -> &'static str {
        match self {
            Self::ForceOpen => "force_open",
            Self::ForceClosed => "force_closed",
            Self::Reset => "reset",
        }
    }
}

pub(super) async fn execute(global: &Global, args: &Breakers) -> anyhow::Result<()> {
    let found = locate::find(&args.which)?;
    let answer = match (&args.name, args.action) {
        (Some(name), Some(action)) => {
            let path = format!("/-/breakers/{}/{}", percent_encoded(name), action.word());
            found.ask(Method::POST, &path, TIMEOUT).await?
        }
        (Some(name), None) => {
            let all = found.ask(Method::GET, "/-/breakers", TIMEOUT).await?;
            let all = all.as_array().cloned().unwrap_or_default();
            let one = all.into_iter().find(|one| one["name"] == name.as_str());
            one.ok_or_else(|| anyhow::anyhow!("there is no breaker called `{name}`"))?
        }
        _ => found.ask(Method::GET, "/-/breakers", TIMEOUT).await?,
    };
    if global.json {
        output::json(&answer);
        return Ok(());
    }
    let columns = [
        "name",
        "state",
        "failure_count",
        "recovery_s",
        "seconds_left",
    ];
    let rows = match answer {
        Value::Array(_) => answer,
        one => json!([one]),
    };
    output::data(&table(&rows, &columns, "there are no breakers"));
    Ok(())
}
