//! `seaworthy ctl abuse`: who is flagged for what they cause.

use clap::{Args, Subcommand};
use hyper::Method;
use seaworthy_core::quantity::Duration;
use serde_json::json;

use super::{TIMEOUT, percent_encoded, table};
use crate::cli::locate::{self, Which};
use crate::cli::{Global, output};

/// What to do with flags.
#[derive(Clone, Debug, Subcommand)]
pub enum Abuse {
    /// List them
    List(#[command(flatten)] Which),
    /// Flag somebody by hand
    Flag {
        /// Whom.
        #[command(flatten)]
        who: Who,
        /// Why, in one line
        #[arg(long, value_name = "WORDS")]
        reason: String,
        /// For how long [default: the `keep` of the configuration]
        #[arg(long = "for", value_name = "DURATION")]
        time: Option<Duration>,
    },
    /// Take somebody's flag back, and forget what he caused
    Clear(#[command(flatten)] Who),
}

/// Somebody.
#[derive(Args, Clone, Debug)]
pub struct Who {
    /// Which instance is meant.
    #[command(flatten)]
    pub which: Which,
    /// The user, the subject of the token, or the address
    #[arg(value_name = "CALLER")]
    pub id: String,
}

pub(super) async fn execute(global: &Global, abuse: &Abuse) -> anyhow::Result<()> {
    let (answer, said) = match abuse {
        Abuse::List(which) => {
            let found = locate::find(which)?;
            let answer = found.ask(Method::GET, "/-/abuse", TIMEOUT).await?;
            let columns = ["caller", "kind", "count", "seconds_left", "reason"];
            let said = table(&answer["flags"], &columns, "nobody is flagged");
            (answer, said)
        }
        Abuse::Flag { who, reason, time } => {
            let wish = json!({"reason": reason, "for": time.map(|time| time.to_string())});
            let found = locate::find(&who.which)?;
            let path = path(who);
            let answer = found
                .ask_with(Method::PUT, &path, Some(wish), TIMEOUT)
                .await?;
            (answer, format!("{} is flagged", who.id))
        }
        Abuse::Clear(who) => {
            let found = locate::find(&who.which)?;
            let answer = found.ask(Method::DELETE, &path(who), TIMEOUT).await?;
            (answer, format!("{} is no longer flagged", who.id))
        }
    };
    if global.json {
        output::json(&answer);
    } else {
        output::data(&said);
    }
    Ok(())
}

fn path(who: &Who) -> String {
    format!("/-/abuse/{}", percent_encoded(&who.id))
}
