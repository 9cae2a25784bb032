//! `seaworthy ctl features`: which features run on their fallback, and putting them there and back by hand.

use clap::{Args, Subcommand};
use hyper::Method;
use seaworthy_core::quantity::Duration;
use serde_json::json;

use super::{TIMEOUT, percent_encoded, table};
use crate::cli::locate::{self, Which};
use crate::cli::{Global, output};

/// What to do with features.
#[derive(Clone, Debug, Subcommand)]
pub enum Features {
    /// List them
    List(#[command(flatten)] Which),
    /// Say that one cannot be had as it should be
    Degrade {
        /// Which.
        #[command(flatten)]
        feature: Feature,
        /// Why, in one line
        #[arg(long, value_name = "WORDS")]
        reason: String,
        /// What is served instead [default: what the configuration says]
        #[arg(long, value_name = "NAME")]
        active: Option<String>,
        /// For how long [default: until it is undone]
        #[arg(long = "for", value_name = "DURATION")]
        time: Option<Duration>,
    },
    /// Say that one is as it should be again
    Recover(#[command(flatten)] Feature),
}

/// One feature.
#[derive(Args, Clone, Debug)]
pub struct Feature {
    /// Which instance is meant.
    #[command(flatten)]
    pub which: Which,
    /// Its name
    #[arg(value_name = "FEATURE")]
    pub name: String,
}

pub(super) async fn execute(global: &Global, features: &Features) -> anyhow::Result<()> {
    let (answer, said) = match features {
        Features::List(which) => {
            let found = locate::find(which)?;
            let answer = found.ask(Method::GET, "/-/features", TIMEOUT).await?;
            let columns = ["name", "degraded", "active", "seconds_left", "reason"];
            let said = table(&answer, &columns, "no feature is known");
            (answer, said)
        }
        Features::Degrade {
            feature,
            reason,
            active,
            time,
        } => {
            let wish = json!({
                "degraded": true,
                "reason": reason,
                "active": active,
                "for": time.map(|time| time.to_string()),
            });
            let found = locate::find(&feature.which)?;
            let path = path(feature);
            let answer = found
                .ask_with(Method::PUT, &path, Some(wish), TIMEOUT)
                .await?;
            (answer, format!("{} is degraded", feature.name))
        }
        Features::Recover(feature) => {
            let found = locate::find(&feature.which)?;
            let answer = found.ask(Method::DELETE, &path(feature), TIMEOUT).await?;
            (answer, format!("{} is as it should be", feature.name))
        }
    };
    if global.json {
        output::json(&answer);
    } else {
        output::data(&said);
    }
    Ok(())
}

fn path(feature: &Feature) -> String {
    format!("/-/features/{}", percent_encoded(&feature.name))
}
