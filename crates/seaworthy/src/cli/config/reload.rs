//! `seaworthy config reload`: has the running instance take its configuration in anew.

use std::time::Duration;

use clap::Args;
use hyper::{Method, StatusCode};
use serde_json::{Value, json};

use crate::cli::locate::{self, Which};
use crate::cli::{Global, output};

/// Arguments of `config reload`.
#[derive(Args, Clone, Debug)]
pub struct ReloadArgs {
    /// Which instance is meant.
    #[command(flatten)]
    pub which: Which,
    /// Change nothing when something of it needs a restart
    #[arg(long)]
    pub strict: bool,
    /// Who is to be named in the history [default: the user]
    #[arg(long, value_name = "NAME")]
    pub author: Option<String>,
}

/// How long a reload may take: files can lie behind a slow network.
const PATIENCE: Duration = Duration::from_secs(30);

pub(super) async fn execute(global: &Global, args: &ReloadArgs) -> anyhow::Result<u8> {
    let author = args.author.clone().or_else(|| std::env::var("USER").ok());
    let document = json!({"strict": args.strict, "author": author});
    wish(global, &args.which, "/-/config/reload", document).await
}

/// Asks for something that ends with a report, and shows it. The exit code is 1 when nothing was changed.
pub(super) async fn wish(
    global: &Global,
    which: &Which,
    path: &str,
    document: Value,
) -> anyhow::Result<u8> {
    let found = locate::find(which)?;
    let answer = found
        .answer(Method::POST, path, Some(document), PATIENCE)
        .await?;
    if !matches!(answer.status.as_u16(), 200 | 422) {
        found.document(path, answer)?;
        return Ok(1);
    }
    let report: Value = serde_json::from_slice(&answer.body)?;
    match (global.json, answer.status == StatusCode::OK) {
        (true, _) => output::json(&report),
        (false, true) => told(&report),
        (false, false) => {
            let problems = report["problems"].as_array().into_iter().flatten();
            let lines: Vec<String> = problems.map(line).collect();
            let lines = lines.join("\n");
            output::talk(&format!("error: nothing was changed:\n{lines}"));
        }
    }
    Ok(u8::from(answer.status != StatusCode::OK))
}

/// One problem in one line.
fn line(problem: &Value) -> String {
    let text = |key: &str| problem[key].as_str().unwrap_or_default().to_owned();
    let place = &problem["place"];
    let name = place["name"].as_str().map(|name| match &place["line"] {
        Value::Null => format!("{name}: "),
        line => format!("{name}:{line}: "),
    });
    let path = Some(text("path")).filter(|path| !path.is_empty());
    let path = path.map_or_else(String::new, |path| format!("{path}: "));
    format!("  {}{path}{}", name.unwrap_or_default(), text("message"))
}

/// What became of it, for people.
fn told(report: &Value) {
    let changes = report["results"]["seaworthy"]["changes"].as_array();
    for one in changes.into_iter().flatten() {
        output::data(&change(one));
    }
    let ms = report["duration_ms"].as_f64().unwrap_or_default();
    output::data(&format!(
        "generation {} holds, after {ms:.0} ms",
        report["generation"]
    ));
}

/// One setting that differs, in one line.
pub(super) fn change(change: &Value) -> String {
    let value = |key: &str| match &change[key] {
        Value::Null => "unset".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let waits = match change["requires_restart"].as_bool() {
        Some(true) => "  (after a restart)",
        _ => "",
    };
    let path = change["path"].as_str().unwrap_or_default();
    format!("{path}: {} -> {}{waits}", value("from"), value("to"))
}
