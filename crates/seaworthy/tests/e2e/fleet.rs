//! Instances that follow one registry.

use std::path::PathBuf;

use seaworthy_testkit::Result;
use seaworthy_testkit::process::{Ended, Seaworthy};
use seaworthy_testkit::server::{App, Server};
use seaworthy_testkit::wait::{self, PATIENCE};
use serde_json::{Value, json};
use tempfile::TempDir;

/// Instances in front of one app, the log that they follow, and who publishes into it.
pub(crate) struct Fleet {
    home: TempDir,
    pub(crate) place: String,
    pub(crate) public_key: String,
    pub(crate) instances: Vec<Seaworthy>,
    mock: Server,
}

impl Fleet {
    /// So many instances, which follow a folder.
    pub(crate) async fn of(count: usize, more: &str) -> Result<Self> {
        let home = tempfile::tempdir()?;
        let log = home.path().join("log");
        let place = format!("directory: {}", log.display());
        Self::following(home, place, count, more).await
    }

    /// So many instances, which follow the log at `place`, with `more` in their files.
    pub(crate) async fn following(
        home: TempDir,
        place: String,
        count: usize,
        more: &str,
    ) -> Result<Self> {
        let keys = Seaworthy::verb(["config", "keygen", "--json"]).await?;
        let keys: Value = serde_json::from_str(&keys.stdout)?;
        let text = |key: &str| keys[key].as_str().unwrap_or_default().to_owned();
        let publisher = format!(
            "registry: {{{place}, trust: ['{}'], key: '{}'}}\n",
            text("public"),
            text("private")
        );
        std::fs::write(home.path().join("publisher.yaml"), publisher)?;
        let mut fleet = Self {
            home,
            place,
            public_key: text("public"),
            instances: Vec::new(),
            mock: App::Mock.start().await?,
        };
        for number in 0..count {
            let instance = fleet.start(&format!("i{number}"), more).await?;
            fleet.instances.push(instance);
        }
        fleet.wait_members(count).await?;
        Ok(fleet)
    }

    /// Starts one more, whose state is kept under its name.
    pub(crate) async fn start(&self, name: &str, more: &str) -> Result<Seaworthy> {
        let folder = self.home.path().join(name);
        std::fs::create_dir_all(&folder)?;
        std::fs::write(
            folder.join("seaworthy.yaml"),
            format!(
                "registry: {{{}, trust: ['{}'], instance: {name}}}\n{more}",
                self.place, self.public_key
            ),
        )?;
        let builder = Seaworthy::build().current_dir(&folder);
        let builder = builder
            .state(folder.join("state"))
            .connect(self.mock.address);
        builder.ready().await
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    pub(crate) async fn verb(&self, words: &[&str]) -> Result<Ended> {
        let publisher = self.file("publisher.yaml").display().to_string();
        let words = ["-c", &publisher, "config"]
            .into_iter()
            .chain(words.iter().copied());
        Seaworthy::verb(words).await
    }

    /// Publishes what `set` says, with further words.
    pub(crate) async fn publish(&self, set: Value, words: &[&str]) -> Result<Ended> {
        let file = self.file("version.json");
        std::fs::write(&file, json!({"set": set}).to_string())?;
        let file = file.display().to_string();
        let all: Vec<&str> = ["publish", &file]
            .into_iter()
            .chain(words.iter().copied())
            .collect();
        self.verb(&all).await
    }

    pub(crate) async fn status(&self) -> Result<Value> {
        let ended = self.verb(&["rollout", "status", "--json"]).await?;
        Ok(serde_json::from_str(&ended.stdout)?)
    }

    pub(crate) async fn drift(&self) -> Result<Ended> {
        let publisher = self.file("publisher.yaml").display().to_string();
        Seaworthy::verb(["-c", &publisher, "fleet", "diff"]).await
    }

    pub(crate) async fn wait_members(&self, count: usize) -> Result<()> {
        wait::until("word of all instances", PATIENCE, || async {
            let status = self.status().await.ok()?;
            (status["instances"].as_array()?.len() == count).then_some(())
        })
        .await
    }
}
