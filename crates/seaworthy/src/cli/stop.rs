//! `seaworthy stop`: asks the running instance to shut down as on SIGTERM, and with `--wait` stays until it is gone.

use clap::Args;
use hyper::Method;
use seaworthy_core::quantity::Duration;
use serde_json::{Value, json};

use super::locate::{self, Found, Which};
use super::{Global, output};
use crate::failure::Failure;
use crate::instance::process::{self, Watched};

/// Arguments of `stop`.
#[derive(Args, Clone, Debug)]
pub struct StopArgs {
    /// Which instance is meant.
    #[command(flatten)]
    pub which: Which,
    /// Return only after the process is gone
    #[arg(long)]
    pub wait: bool,
    /// How long to wait at most; it goes on stopping after that
    #[arg(long, value_name = "DURATION", default_value = "30s")]
    pub timeout: Duration,
}

/// Asks for the shutdown.
pub(super) async fn execute(global: &Global, args: &StopArgs) -> anyhow::Result<()> {
    let found = locate::find(&args.which)?;
    let pid = found.instance.pid;
    // Watched from before the request on, so that the end cannot be missed.
    let watched = Watched::open(pid);
    let answer = ask(&found).await?;
    if !args.wait {
        report(
            global,
            pid,
            false,
            answer,
            &format!("pid {pid} is stopping; `seaworthy status` shows how far it is"),
        );
        return Ok(());
    }
    if let Some(watched) = watched {
        let Ok(gone) = tokio::time::timeout(args.timeout.get(), watched.gone()).await else {
            let how = "`seaworthy status` shows what it waits for; wait longer with --timeout, or shorten shutdown.grace";
            return Err(Failure::failed(format!(
                "pid {pid} is still stopping after {}; {how}",
                args.timeout
            ))
            .into());
        };
        gone?;
    }
    report(global, pid, true, answer, &format!("pid {pid} has stopped"));
    Ok(())
}

/// Without an admin listener the signal says the same.
async fn ask(found: &Found) -> anyhow::Result<Value> {
    if found.has_admin() {
        return found
            .ask(Method::POST, "/-/stop", std::time::Duration::from_secs(5))
            .await;
    }
    process::terminate(found.instance.pid)?;
    Ok(Value::Null)
}

fn report(global: &Global, pid: u32, gone: bool, answer: Value, words: &str) {
    if global.json {
        output::json(&json!({"pid": pid, "gone": gone, "answer": answer}));
    } else {
        output::data(words);
    }
}
