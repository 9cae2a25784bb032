//! `seaworthy check SUBJECT`: looks for what would break in production and says how to mend it.
//!
//! Every subject gives results of one shape. The exit code is 1 when one of them fails, and with `--strict` when one of them warns.

mod endpoints;

use std::fmt::Write as _;
use std::time::Duration;

use clap::{Args, Subcommand};
use seaworthy_health::Metadata;
use serde::{Serialize, Serializer};
use serde_json::json;

use super::{FINDINGS, FINE, Global, output};

/// Arguments of `check`.
#[derive(Args, Clone, Debug)]
pub struct CheckArgs {
    /// What to look at
    #[command(subcommand)]
    pub subject: Subject,
    /// Take warnings for failures
    #[arg(long, global = true)]
    pub strict: bool,
}

/// What can be looked at.
#[derive(Clone, Debug, Subcommand)]
pub enum Subject {
    /// The health endpoints of a running service, in any of the known formats
    Endpoints(endpoints::EndpointsArgs),
}

/// How a result is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "UPPERCASE")]
enum Status {
    Pass,
    Warn,
    Fail,
}

/// What was found about one thing.
#[derive(Debug, Serialize)]
struct Finding {
    name: &'static str,
    status: Status,
    message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
    metadata: Metadata,
    #[serde(rename = "duration_ms", serialize_with = "milliseconds")]
    took: Duration,
}

fn milliseconds<S: Serializer>(took: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((took.as_secs_f64() * 1e6).round() / 1e3)
}

/// Looks, prints what was found, and gives the exit code.
pub(super) async fn execute(global: &Global, args: &CheckArgs) -> anyhow::Result<u8> {
    let Subject::Endpoints(subject) = &args.subject;
    let found = endpoints::look(subject).await?;
    let worst = found.iter().map(|one| one.status).max();
    let bad = if args.strict {
        Status::Warn
    } else {
        Status::Fail
    };
    let ok = worst.is_none_or(|worst| worst < bad);
    if global.json {
        output::json(&json!({"ok": ok, "results": found}));
    } else {
        output::data(&table(&found));
    }
    Ok(if ok { FINE } else { FINDINGS })
}

fn table(found: &[Finding]) -> String {
    let mut text = String::new();
    for one in found {
        let status = match one.status {
            Status::Pass => "PASS",
            Status::Warn => "WARN",
            Status::Fail => "FAIL",
        };
        let ms = one.took.as_millis();
        writeln!(text, "{status}  {:9} {} ({ms} ms)", one.name, one.message)
            .expect("a String takes everything");
        if let Some(fix) = &one.fix {
            writeln!(text, "      fix       {fix}").expect("a String takes everything");
        }
    }
    text
}
