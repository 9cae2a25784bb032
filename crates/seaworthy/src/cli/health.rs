//! `seaworthy health`: what the running instance depends on. The exit code is 0 when all that is asked about passes, 1 when not;
//! it follows what was found, as readiness does, and not the word for it.

use std::fmt::Write;
use std::time::Duration;

use clap::Args;
use hyper::Method;
use serde_json::Value;

use super::locate::{self, Which};
use super::{FINDINGS, FINE, Global, output};
use crate::failure::Failure;

/// Fresh checks take at most 5 s; the rest is for a busy machine.
const TIMEOUT: Duration = Duration::from_secs(8);

/// Arguments of `health`.
#[derive(Args, Clone, Debug)]
pub struct HealthArgs {
    /// Which instance is meant.
    #[command(flatten)]
    pub which: Which,
    /// Only this component
    #[arg(long, value_name = "NAME")]
    pub component: Option<String>,
    /// Check now instead of showing the last results
    #[arg(long)]
    pub fresh: bool,
}

/// Prints the components, and gives the exit code.
pub(super) async fn execute(global: &Global, args: &HealthArgs) -> anyhow::Result<u8> {
    let found = locate::find(&args.which)?;
    let path = if args.fresh {
        "/-/checks?fresh=1"
    } else {
        "/-/checks"
    };
    let mut answer = found.ask(Method::GET, path, TIMEOUT).await?;
    let shown = match &args.component {
        None => answer,
        Some(name) => {
            let checks = answer["checks"].as_array_mut().map(std::mem::take);
            let found = checks.unwrap_or_default().into_iter();
            found
                .into_iter()
                .find(|check| check["name"] == name.as_str())
                .ok_or_else(|| {
                    Failure::usage(format!(
                        "there is no check called `{name}`; `seaworthy health` lists them"
                    ))
                })?
        }
    };
    if global.json {
        output::json(&shown);
    } else {
        output::data(&table(&shown));
    }
    let key = if args.component.is_some() {
        "passes"
    } else {
        "ready"
    };
    if shown[key] == true {
        return Ok(FINE);
    }
    output::talk("not everything that the service needs works");
    Ok(FINDINGS)
}

/// One line for each component.
pub(super) fn table(answer: &Value) -> String {
    let one = std::slice::from_ref(answer);
    let checks = answer["checks"].as_array().map_or(one, Vec::as_slice);
    if checks.is_empty() {
        return "no checks; name what the service depends on in `health.checks`".to_owned();
    }
    let text = |check: &Value, key: &str| check[key].as_str().unwrap_or_default().to_owned();
    let width = checks
        .iter()
        .map(|check| text(check, "name").chars().count())
        .max()
        .unwrap_or_default();
    let mut table = String::new();
    for check in checks {
        let mut notes = Vec::new();
        if check["enabled"] == false {
            notes.push("disabled".to_owned());
        }
        if check["critical"] == false {
            notes.push("optional".to_owned());
        }
        if let Some(left) = check["seconds_left"].as_u64() {
            notes.push(format!("for {left} s"));
        }
        let notes = if notes.is_empty() {
            String::new()
        } else {
            format!(" [{}]", notes.join(", "))
        };
        writeln!(
            table,
            "{:<9} {:<width$}  {} ({} ms){notes}",
            text(check, "status"),
            text(check, "name"),
            text(check, "message"),
            check["duration_ms"],
        )
        .expect("a String takes everything");
    }
    table
}
