//! What an instance says and does on request: its admin API, as a client sees it.

use std::time::Duration;

use anyhow::Context as _;
use rustix::process::{Pid, Signal};
use serde_json::Value;

use super::Seaworthy;
use crate::client::{self, Response};
use crate::wait::{self, PATIENCE};

impl Seaworthy {
    /// Sends `GET path` to the admin listener, under a name that it takes for its own machine.
    ///
    /// # Errors
    /// When the admin listener is off or does not answer.
    pub async fn look(&self, path: &str) -> crate::Result<Response> {
        client::send(self.admin()?, "GET", path, &[("Host", "localhost")], b"").await
    }

    /// What `GET /-/status` answers.
    ///
    /// # Errors
    /// When the admin listener is off or does not answer.
    pub async fn status(&self) -> crate::Result<Value> {
        self.look("/-/status").await?.json()
    }

    /// Waits until the status satisfies `condition`.
    ///
    /// # Errors
    /// When it does not within `patience`.
    pub async fn wait_status(
        &self,
        what: &str,
        patience: Duration,
        condition: impl Fn(&Value) -> bool,
    ) -> crate::Result<Value> {
        let condition = &condition;
        wait::until(what, patience, || async move {
            self.status().await.ok().filter(condition)
        })
        .await
    }

    /// Waits until exactly `count` requests are being answered.
    ///
    /// # Errors
    /// When that does not happen in time.
    pub async fn wait_inflight(&self, count: usize) -> crate::Result<()> {
        let inside = |status: &Value| status["inflight"] == count;
        self.wait_status(&format!("{count} requests in flight"), PATIENCE, inside)
            .await
            .map(drop)
    }

    /// Sends `POST path` to the admin API with the instance's token.
    ///
    /// # Errors
    /// When the admin listener is off or does not answer.
    pub async fn steer(&self, path: &str) -> crate::Result<Response> {
        self.steer_with("POST", path, "").await
    }

    /// The same with any method and a JSON document.
    ///
    /// # Errors
    /// When the admin listener is off or does not answer.
    pub async fn steer_with(
        &self,
        method: &str,
        path: &str,
        json: &str,
    ) -> crate::Result<Response> {
        let token = self.instance().token.clone().unwrap_or_default();
        let bearer = format!("Bearer {token}");
        let mut headers = vec![("Host", "localhost"), ("Authorization", bearer.as_str())];
        if !json.is_empty() {
            headers.push(("Content-Type", "application/json"));
        }
        client::send(self.admin()?, method, path, &headers, json.as_bytes()).await
    }

    /// One metric without labels, as `/metrics` shows it.
    ///
    /// # Errors
    /// When the admin listener is off or does not answer, or there is no such metric.
    pub async fn metric(&self, name: &str) -> crate::Result<f64> {
        let page = self.look("/metrics").await?.text();
        let value = page.lines().find_map(|line| {
            let (found, value) = line.split_once(' ')?;
            (found == name).then(|| value.parse().ok()).flatten()
        });
        value.with_context(|| format!("no metric {name} in:\n{page}"))
    }

    /// The processes of the app's ready instances, in their order.
    ///
    /// # Errors
    /// When the admin listener is off or does not answer.
    pub async fn app_pids(&self) -> crate::Result<Vec<u32>> {
        let status = self.status().await?;
        let instances = status["app"]["instances"].as_array();
        let pids = instances.into_iter().flatten().filter_map(|instance| {
            let pid = instance["pid"]
                .as_u64()
                .filter(|_| instance["state"] == "ready")?;
            u32::try_from(pid).ok()
        });
        Ok(pids.collect())
    }

    /// Kills the process of one ready instance of the app with SIGKILL, and nothing of its group, and returns its id.
    ///
    /// # Errors
    /// When that instance is not ready.
    pub async fn kill_app(&self, instance: usize) -> crate::Result<u32> {
        let pids = self.app_pids().await?;
        let pid = *pids.get(instance).context("the app is not ready")?;
        kill(pid, Signal::KILL)?;
        Ok(pid)
    }
}

/// Sends `signal` to the process `pid`.
///
/// # Errors
/// When there is no such process.
pub fn kill(pid: u32, signal: Signal) -> crate::Result<()> {
    let pid = Pid::from_raw(pid.cast_signed()).context("0 is no process")?;
    rustix::process::kill_process(pid, signal)
        .with_context(|| format!("no process {}", pid.as_raw_nonzero()))
}
