//! `seaworthy ctl limits`: how the rate limits stand.

use clap::{Args, Subcommand};
use hyper::Method;

use super::{TIMEOUT, percent_encoded, table};
use crate::cli::locate::{self, Which};
use crate::cli::{Global, output};

/// Rate limits.
#[derive(Args, Clone, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Limits {
    /// Which instance is meant.
    #[command(flatten)]
    pub which: Which,
    /// What to do; without it, list them.
    #[command(subcommand)]
    pub what: Option<What>,
}

/// What to do with limits.
#[derive(Clone, Debug, Subcommand)]
pub enum What {
    /// Fill all buckets of a caller, so that his limits begin anew
    Reset {
        /// Which instance is meant.
        #[command(flatten)]
        which: Which,
        /// An address, `jwt:SUBJECT`, `api_key:HASH`, or what a header names
        #[arg(value_name = "CALLER")]
        caller: String,
    },
}

pub(super) async fn execute(global: &Global, limits: &Limits) -> anyhow::Result<()> {
    let (answer, said) = match &limits.what {
        None => {
            let found = locate::find(&limits.which)?;
            let answer = found.ask(Method::GET, "/-/limits", TIMEOUT).await?;
            let columns = [
                "name",
                "capacity",
                "refill_per_sec",
                "action",
                "buckets",
                "requests",
                "rejected",
            ];
            let mut said = table(&answer["limits"], &columns, "nobody is limited");
            if answer["fallback_active"] == true {
                said.push_str("Redis cannot be asked: limits are counted by this instance alone\n");
            }
            (answer, said)
        }
        Some(What::Reset { which, caller }) => {
            let found = locate::find(which)?;
            let path = format!("/-/limits/{}", percent_encoded(caller));
            let answer = found.ask(Method::DELETE, &path, TIMEOUT).await?;
            (answer, format!("the limits of {caller} begin anew"))
        }
    };
    if global.json {
        output::json(&answer);
    } else {
        output::data(&said);
    }
    Ok(())
}
