//! `seaworthy status`: how the running instance is.

use std::fmt::Write;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use hyper::Method;

use super::locate::{self, Which};
use super::{Global, output};
use crate::instance::{Instance, Status};

const TIMEOUT: Duration = Duration::from_secs(5);

/// Arguments of `status`.
#[derive(Args, Clone, Debug)]
pub struct StatusArgs {
    /// Which instance is meant.
    #[command(flatten)]
    pub which: Which,
}

/// Prints the status.
pub(super) async fn execute(global: &Global, args: &StatusArgs) -> anyhow::Result<()> {
    let found = locate::find(&args.which)?;
    let answer = found.ask(Method::GET, "/-/status", TIMEOUT).await?;
    if global.json {
        output::json(&answer);
        return Ok(());
    }
    let status: Status = serde_json::from_value(answer)
        .context("the instance is of another version; `--json` shows its answer as it is")?;
    output::data(&words(&found.instance, &status));
    Ok(())
}

fn words(instance: &Instance, status: &Status) -> String {
    let blame = match status.verdict.as_str() {
        "well" => String::new(),
        verdict => format!(" ({})", verdict.replace('_', " ")),
    };
    let mut text = format!(
        "{}, {}{blame} · pid {} · up {}\n",
        status.state,
        status.health,
        status.pid,
        age(status.uptime_s)
    );
    let admin = instance.admin.as_deref().unwrap_or("off");
    let mut line =
        |words: std::fmt::Arguments<'_>| text.write_fmt(words).expect("a String takes everything");
    line(format_args!(
        "public {} · admin {admin} · {} in flight\n",
        instance.public, status.inflight
    ));
    for (at, app) in status.app.instances.iter().enumerate() {
        let pid = app
            .pid
            .map_or_else(|| "no process".to_owned(), |pid| format!("pid {pid}"));
        line(format_args!(
            "app {at}: {} · {pid} · start {} · restarts {}\n",
            app.state, app.generation, app.restarts
        ));
    }
    for event in &status.events {
        line(format_args!("{} {}\n", event.at, event.text));
    }
    for (name, part) in status.shutdown.as_object().into_iter().flatten() {
        // The budget is the shutdown's main fact and needs no name.
        let name = if name == "budget" { "" } else { name };
        let part = part
            .as_str()
            .map_or_else(|| part.to_string(), str::to_owned);
        line(format_args!(
            "{}\n",
            format!("shutdown {name} {part}").replace("  ", " ")
        ));
    }
    text
}

fn age(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds}s"),
        (0, 0, _) => format!("{minutes}m {}s", seconds % 60),
        (0, ..) => format!("{hours}h {minutes}m"),
        _ => format!("{days}d {hours}h"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ages_have_two_units_at_most() {
        let shown = [0, 59, 60, 3_599, 3_600, 90_061].map(age);
        assert_eq!(shown, ["0s", "59s", "1m 0s", "59m 59s", "1h 0m", "1d 1h"]);
    }

    #[test]
    fn the_words_say_what_the_answer_says() {
        let status = serde_json::from_value(json!({
            "state": "running", "health": "degraded", "verdict": "dependency_broken", "pid": 7, "uptime_s": 61, "inflight": 2,
            "app": {"instances": [
                {"pid": 8, "generation": 3, "state": "ready", "restarts": 2},
                {"pid": null, "generation": 1, "state": "backoff", "restarts": 0},
            ]},
            "events": [{"at": "2026-01-02T03:04:05Z", "event": "app.stalled", "text": "the app gets nowhere"}],
            "shutdown": {"budget": "5s propagation", "left_s": 3},
        }));
        let instance = Instance {
            pid: 7,
            public: "0.0.0.0:8000".into(),
            admin: None,
            token: String::new(),
            started_at: String::new(),
        };
        let expected = "running, degraded (dependency broken) · pid 7 · up 1m 1s\n\
                        public 0.0.0.0:8000 · admin off · 2 in flight\n\
                        app 0: ready · pid 8 · start 3 · restarts 2\n\
                        app 1: backoff · no process · start 1 · restarts 0\n\
                        2026-01-02T03:04:05Z the app gets nowhere\n\
                        shutdown 5s propagation\n\
                        shutdown left_s 3\n";
        assert_eq!(words(&instance, &status.unwrap()), expected);
    }
}
