//! `seaworthy config history|diff|rollback`: the configurations that held, what differs between them, and having one back.

use std::time::Duration;

use clap::Args;
use hyper::Method;
use serde_json::json;

use super::reload;
use crate::cli::locate::{self, Which};
use crate::cli::{FINE, Global, output};
use crate::failure::Failure;

/// A question about versions takes at most this long.
const PATIENCE: Duration = Duration::from_secs(10);
const HISTORY: &str = "/-/config/history";

/// Arguments of `config history`.
#[derive(Args, Clone, Debug)]
pub struct HistoryArgs {
    /// Which instance is meant.
    #[command(flatten)]
    pub which: Which,
}

/// Arguments of `config diff`.
#[derive(Args, Clone, Debug)]
pub struct DiffArgs {
    /// The older version
    #[arg(value_name = "OLD")]
    pub old: u64,
    /// The newer version
    #[arg(value_name = "NEW")]
    pub new: u64,
    /// Which instance is meant.
    #[command(flatten)]
    pub which: Which,
}

/// Arguments of `config rollback`.
#[derive(Args, Clone, Debug)]
pub struct RollbackArgs {
    /// The version to have back [default: the one before that was not taken back]
    #[arg(value_name = "VERSION")]
    pub version: Option<u64>,
    /// Why
    #[arg(long, value_name = "TEXT")]
    pub reason: Option<String>,
    /// Which instance is meant.
    #[command(flatten)]
    pub which: Which,
}

/// Shows the configuration that holds in an instance.
pub(super) async fn running(global: &Global, which: &Which) -> anyhow::Result<u8> {
    let found = locate::find(which)?;
    let document = found.ask(Method::GET, "/-/config", PATIENCE).await?;
    match global.json {
        true => output::json(&document),
        false => output::data(&format!(
            "# generation {}, hash {}\n{}",
            document["generation"],
            document["hash"].as_str().unwrap_or_default(),
            seaworthy_config::yaml(&document["config"])
        )),
    }
    Ok(FINE)
}

pub(super) async fn history(global: &Global, args: &HistoryArgs) -> anyhow::Result<u8> {
    let found = locate::find(&args.which)?;
    let versions = found.ask(Method::GET, HISTORY, PATIENCE).await?;
    if global.json {
        output::json(&versions);
        return Ok(FINE);
    }
    for version in versions.as_array().into_iter().flatten() {
        let text = |key: &str| version[key].as_str().unwrap_or_default().to_owned();
        let author = version["author"].as_str();
        let by = author.map_or_else(String::new, |author| format!(" by {author}"));
        let why = version["reason"].as_str();
        let why = why.map_or_else(String::new, |why| format!(": {why}"));
        output::data(&format!(
            "{:>4}  {}  {}{by}, {} changes, {}{why}",
            version["number"],
            text("at"),
            text("source"),
            version["change_count"],
            text("verdict")
        ));
    }
    Ok(FINE)
}

pub(super) async fn diff(global: &Global, args: &DiffArgs) -> anyhow::Result<u8> {
    let found = locate::find(&args.which)?;
    let mut both = Vec::new();
    for number in [args.old, args.new] {
        let path = format!("{HISTORY}/{number}");
        let answer = found.answer(Method::GET, &path, None, PATIENCE).await?;
        if answer.status.as_u16() == 404 {
            return Err(Failure::failed(format!(
                "there is no version {number}; `seaworthy config history` lists them"
            ))
            .into());
        }
        let version = found.document(&path, answer)?;
        both.push(version["record"].clone());
    }
    let differ = json!(seaworthy_config::differ(&both[0], &both[1]));
    let differ = differ.as_array().cloned().unwrap_or_default();
    if global.json {
        output::json(&differ);
    } else {
        for change in &differ {
            output::data(&reload::change(change));
        }
    }
    // As `diff` does it: 0 when nothing differs.
    Ok(u8::from(!differ.is_empty()))
}

pub(super) async fn rollback(global: &Global, args: &RollbackArgs) -> anyhow::Result<u8> {
    let wish = json!({
        "version": args.version,
        "reason": args.reason,
        "author": std::env::var("USER").ok(),
    });
    reload::wish(global, &args.which, "/-/config/rollback", wish).await
}
