//! `seaworthy errors`: what went wrong lately, by service, and whether it becomes more.

use std::time::Duration;

use clap::{Args, Subcommand};
use hyper::Method;
use serde_json::{Map, Value, json};

use super::ctl::table;
use super::locate::{self, Which};
use super::{Global, output};

const TIMEOUT: Duration = Duration::from_secs(8);
const COLUMNS: [&str; 9] = [
    "service", "kind", "1m", "5m", "1h", "total", "trend", "last", "at",
];

/// Arguments of `errors`.
#[derive(Args, Clone, Debug)]
#[command(args_conflicts_with_subcommands = true)]
pub struct ErrorsArgs {
    /// Which instance is meant.
    #[command(flatten)]
    pub which: Which,
    /// What to show.
    #[command(subcommand)]
    pub what: Option<What>,
}

/// What to show.
#[derive(Clone, Debug, Subcommand)]
pub enum What {
    /// The errors of the service in one line, and a line for each part that has any
    Summary(#[command(flatten)] Which),
}

/// Prints them.
pub(super) async fn execute(global: &Global, args: &ErrorsArgs) -> anyhow::Result<()> {
    let which = match &args.what {
        Some(What::Summary(which)) => which,
        None => &args.which,
    };
    let found = locate::find(which)?;
    let answer = found.ask(Method::GET, "/-/errors", TIMEOUT).await?;
    match (global.json, &args.what) {
        (true, None) => output::json(&answer),
        (true, Some(What::Summary(_))) => output::json(&summary(&answer)),
        (false, None) => output::data(&rows(&answer["services"])),
        (false, Some(What::Summary(_))) => output::data(&lines(&summary(&answer))),
    }
    Ok(())
}

/// The same without services that have no errors.
fn summary(answer: &Value) -> Value {
    let services = answer["services"].as_array().into_iter().flatten();
    let failed: Vec<&Value> = services
        .filter(|one| one["total"] != 0 && one["kind"] != "app")
        .collect();
    let app = &answer["services"][0];
    let mut summary: Map<String, Value> = ["timestamp", "total", "counts", "trend"]
        .map(|key| (key.to_owned(), answer[key].clone()))
        .into_iter()
        .collect();
    if !app["last"].is_null() {
        summary.insert("last".to_owned(), app["last"].clone());
    }
    summary.insert("services".to_owned(), json!(failed));
    summary.into()
}

fn lines(summary: &Value) -> String {
    let line = |name: &str, one: &Value| {
        let counts = &one["counts"];
        let last = match (one["last"]["type"].as_str(), one["last"]["at"].as_str()) {
            (Some(kind), Some(at)) => format!("; last {kind} at {at}"),
            _ => String::new(),
        };
        let trend = one["trend"].as_str().unwrap_or_default();
        format!(
            "{name}: {} errors, {} in the last minute, {} in five, {} in an hour; trend {trend}{last}",
            one["total"], counts["1m"], counts["5m"], counts["1h"]
        )
    };
    let services = summary["services"].as_array().into_iter().flatten();
    let named = services.map(|one| {
        let text = |key: &str| one[key].as_str().unwrap_or_default();
        line(&format!("{} {}", text("kind"), text("service")), one)
    });
    let all: Vec<String> = std::iter::once(line("app", summary)).chain(named).collect();
    all.join("\n")
}

fn rows(services: &Value) -> String {
    let services = services.as_array().into_iter().flatten();
    let rows = services.map(|one| {
        json!({
            "service": one["service"],
            "kind": one["kind"],
            "1m": one["counts"]["1m"],
            "5m": one["counts"]["5m"],
            "1h": one["counts"]["1h"],
            "total": one["total"],
            "trend": one["trend"],
            "last": one["last"]["type"],
            "at": one["last"]["at"],
        })
    });
    table(&rows.collect(), &COLUMNS, "nothing is known of any service")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_names_only_what_has_errors() {
        let counts = json!({"1m": 50, "5m": 55, "1h": 55});
        let answer = json!({
            "timestamp": "t", "total": 55, "counts": counts, "trend": "up",
            "services": [
                {"service": "app", "kind": "app", "total": 55, "counts": counts, "trend": "up",
                 "last": {"type": "http_500", "at": "now"}},
                {"service": "redis", "kind": "check", "total": 0, "counts": counts, "trend": "flat"},
                {"service": "pay", "kind": "breaker", "total": 5, "counts": counts, "trend": "flat"},
            ],
        });
        let text = lines(&summary(&answer));
        let first = "app: 55 errors, 50 in the last minute, 55 in five, 55 in an hour; trend up; last http_500 at now";
        assert_eq!(text.lines().next(), Some(first));
        assert!(text.contains("\nbreaker pay: 5 errors"), "{text}");
        assert!(!text.contains("redis"), "{text}");
        assert!(rows(&answer["services"]).contains("redis"));
    }
}
