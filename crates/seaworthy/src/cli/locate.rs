//! Finds the running instance that a verb is about, and asks its admin API.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use hyper::{Method, StatusCode};
use seaworthy_core::address::Address;
use serde_json::Value;

use crate::failure::Failure;
use crate::instance::client::{self, Answer, Question};
use crate::instance::{Instance, ReadError, folder};

/// Which instance is meant.
#[derive(Args, Clone, Debug, Default)]
pub struct Which {
    /// State folder of the instance [default: that of the instance started in this folder]
    #[arg(long, value_name = "DIR", env = "SEAWORTHY__STATE_DIR")]
    pub state_dir: Option<PathBuf>,
}

/// A running instance, ready to be asked.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) instance: Instance,
    admin: Option<Address>,
}

/// Finds the instance that is meant, and makes sure that it is alive.
pub(super) fn find(which: &Which) -> anyhow::Result<Found> {
    let runtime_dir = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let base = folder::base(runtime_dir.as_deref());
    let state = match &which.state_dir {
        Some(state) => state.clone(),
        None => folder::default_for(
            &base,
            &std::env::current_dir().context("there is no current folder")?,
        ),
    };
    find_in(&state, &base)
}

fn find_in(state: &Path, base: &Path) -> anyhow::Result<Found> {
    let instance = match Instance::read(state) {
        Ok(instance) if instance.is_alive() => instance,
        Ok(dead) => {
            let what = format!(
                "the instance of {} (pid {}) is not running any more",
                state.display(),
                dead.pid
            );
            return Err(Failure::failed(format!("{what}{}", others(base))).into());
        }
        Err(ReadError::Missing(_)) => {
            let what = format!(
                "no instance is known in {}; go to the folder where `seaworthy run` was started, or name its state folder with --state-dir",
                state.display()
            );
            return Err(Failure::failed(format!("{what}{}", others(base))).into());
        }
        Err(error) => {
            let how = match &error {
                ReadError::Unreadable { source, .. }
                    if source.kind() == io::ErrorKind::PermissionDenied =>
                {
                    "ask as the user who started it"
                }
                _ => {
                    "it is damaged: stop the instance with a signal, remove the file and start `seaworthy run` again"
                }
            };
            return Err(Failure::failed(format!("{error}; {how}")).into());
        }
    };
    let admin = instance
        .admin
        .as_deref()
        .map(str::parse)
        .transpose()
        .context("the instance names a strange admin address")?;
    Ok(Found { instance, admin })
}

/// What the envelope of an error says in words.
fn reason(body: &[u8]) -> Option<String> {
    let envelope: Value = serde_json::from_slice(body).ok()?;
    let error = envelope.get("error")?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let details = error
        .get("details")
        .and_then(|details| details.get("reason"));
    details
        .and_then(text)
        .or_else(|| error.get("message").and_then(text))
}

/// A line for each other instance of this user, so that nobody has to search.
fn others(base: &Path) -> String {
    let Ok(folders) = std::fs::read_dir(base) else {
        return String::new();
    };
    let running = folders
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter_map(|folder| {
            let instance = Instance::read(&folder).ok().filter(Instance::is_alive)?;
            Some(format!(
                "\n  pid {} serves {}: --state-dir {}",
                instance.pid,
                instance.public,
                folder.display()
            ))
        });
    let mut running: Vec<String> = running.collect();
    running.sort();
    if running.is_empty() {
        String::new()
    } else {
        format!("\nrunning elsewhere:{}", running.concat())
    }
}

impl Found {
    pub(super) fn has_admin(&self) -> bool {
        self.admin.is_some()
    }

    /// Asks the admin API and reads the JSON of its answer.
    pub(super) async fn ask(
        &self,
        method: Method,
        path: &str,
        timeout: Duration,
    ) -> anyhow::Result<Value> {
        self.ask_with(method, path, None, timeout).await
    }

    /// The same, with a JSON document to send along.
    pub(super) async fn ask_with(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        timeout: Duration,
    ) -> anyhow::Result<Value> {
        let answer = self.answer(method, path, body, timeout).await?;
        self.document(path, answer)
    }

    /// Asks the admin API, and leaves it to the caller to make something of the answer.
    pub(super) async fn answer(
        &self,
        method: Method,
        path: &str,
        body: Option<Value>,
        timeout: Duration,
    ) -> anyhow::Result<Answer> {
        let body = body.map(|body| body.to_string());
        let pid = self.instance.pid;
        let Some(admin) = &self.admin else {
            let how = format!(
                "its admin listener is off (listen.admin), so it can only be stopped: `seaworthy stop`, or kill -TERM {pid}"
            );
            return Err(Failure::failed(format!("pid {pid} cannot be asked: {how}")).into());
        };
        let question = Question {
            method: &method,
            token: Some(&self.instance.token),
            body: body.as_deref(),
            ..Question::get(path)
        };
        let answer = client::call(admin, question, timeout).await;
        answer.map_err(|error| Failure::unreachable(format!("pid {pid} lives but its admin API does not answer: {error}; kill -TERM {pid} stops it without")).into())
    }

    /// The document of an answer.
    pub(super) fn document(&self, path: &str, answer: Answer) -> anyhow::Result<Value> {
        let pid = self.instance.pid;
        if answer.status == StatusCode::NO_CONTENT {
            return Ok(Value::Null);
        }
        if !answer.status.is_success() {
            if let Some(said) = reason(&answer.body) {
                return Err(Failure::failed(format!("pid {pid}: {said}")).into());
            }
            let body = String::from_utf8_lossy(&answer.body);
            return Err(Failure::failed(format!(
                "pid {pid} refused {path} with {}: {}",
                answer.status,
                body.trim()
            ))
            .into());
        }
        serde_json::from_slice(&answer.body)
            .with_context(|| format!("pid {pid} answered {path} with something that is no JSON"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance(pid: u32, admin: Option<&str>) -> Instance {
        let admin = admin.map(str::to_owned);
        Instance {
            pid,
            public: "0.0.0.0:8000".into(),
            admin,
            token: "t".into(),
            started_at: "2026-01-01T00:00:00Z".into(),
        }
    }

    #[test]
    fn where_nothing_runs_the_others_are_named() {
        let base = tempfile::tempdir().unwrap();
        let nobody = find_in(&base.path().join("here"), base.path())
            .unwrap_err()
            .to_string();
        assert!(
            nobody.contains("--state-dir") && !nobody.contains("running elsewhere"),
            "{nobody}"
        );
        instance(std::process::id(), None)
            .write(&base.path().join("there"))
            .unwrap();
        let other = find_in(&base.path().join("here"), base.path())
            .unwrap_err()
            .to_string();
        assert!(
            other.contains("running elsewhere:") && other.ends_with("/there"),
            "{other}"
        );
    }

    #[test]
    fn a_file_that_outlived_its_process_is_said_to_be_that() {
        let base = tempfile::tempdir().unwrap();
        let state = base.path().join("here");
        instance(u32::MAX, None).write(&state).unwrap();
        let error = find_in(&state, base.path()).unwrap_err();
        assert!(error.to_string().contains("is not running any more"));
        assert_eq!(Failure::code_of(&error), 1);
    }

    #[tokio::test]
    async fn an_instance_that_cannot_be_asked_says_how_to_stop_it() {
        let base = tempfile::tempdir().unwrap();
        for (admin, part, code) in [
            (None, "listen.admin", 1),
            (Some("127.0.0.1:1"), "cannot connect to 127.0.0.1:1", 3),
        ] {
            instance(std::process::id(), admin)
                .write(base.path())
                .unwrap();
            let found = find_in(base.path(), base.path()).unwrap();
            let error = found
                .ask(Method::GET, "/-/status", Duration::from_secs(5))
                .await
                .unwrap_err();
            assert_eq!(Failure::code_of(&error), code);
            let error = error.to_string();
            assert!(
                error.contains(part) && error.contains("kill -TERM"),
                "{error}"
            );
        }
    }
}
