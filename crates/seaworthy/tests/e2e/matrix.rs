//! Which dependency is critical where: every preset before real servers, each of which is stopped, frozen, slowed and brought
//! back in turn.

use std::collections::BTreeSet;
use std::time::Duration;

use seaworthy_testkit::Result;
use seaworthy_testkit::client;
use seaworthy_testkit::process::{Builder, Seaworthy};
use seaworthy_testkit::wait::{PATIENCE, until};
use serde_json::Value;

/// What readiness answers, its word, and that of the component.
type Fall = (u16, &'static str, &'static str);

/// A preset at work, with the path of its readiness.
struct Stage {
    seaworthy: Seaworthy,
    ready: &'static str,
}

impl Stage {
    /// Starts it and waits until all is well. It looks as often as it looks again when in doubt.
    async fn open(preset: &str, ready: &'static str, builder: Builder) -> Result<Self> {
        let builder = builder.flag("--preset").flag(preset);
        let builder = builder.set("health.interval", "1500ms");
        let seaworthy = builder.set("shutdown.propagation", "0s").start().await?;
        let stage = Self { seaworthy, ready };
        stage.stands(None, 200, "healthy").await?;
        Ok(stage)
    }

    async fn ask(&self, path: &str) -> Result<(u16, Value)> {
        let answer = client::get(self.seaworthy.public(), path).await?;
        Ok((answer.status, answer.json()?))
    }

    /// A component as the admin API shows it.
    async fn component(&self, path: &str) -> Result<Value> {
        let path = format!("/-/checks/{path}");
        self.seaworthy.look(&path).await?.json()
    }

    async fn names(&self) -> Result<BTreeSet<String>> {
        let all = self.seaworthy.look("/-/checks").await?.json()?;
        let all = all["checks"].as_array().cloned().unwrap_or_default();
        let names = all.iter().filter_map(|one| one["name"].as_str());
        Ok(names.map(str::to_owned).collect())
    }

    /// Waits until readiness answers so, with this word for a component.
    async fn stands(&self, component: Option<(&str, &str)>, code: u16, word: &str) -> Result<()> {
        let what = format!("{} to answer {code} {word} ({component:?})", self.ready);
        let stood = until(&what, PATIENCE, || async {
            if let Some((name, own)) = component {
                let shown = self.component(name).await.ok()?;
                (shown["status"] == own).then_some(())?;
            }
            let (found, document) = self.ask(self.ready).await.ok()?;
            (found == code && document["status"] == word).then_some(())
        });
        if let Err(error) = stood.await {
            let shown = self.seaworthy.look("/-/checks").await?.text();
            return Err(error.context(shown));
        }
        Ok(())
    }

    async fn falls(&self, name: &str, fall: Fall) -> Result<()> {
        self.stands(Some((name, fall.2)), fall.0, fall.1).await
    }

    async fn recovers(&self, name: &str) -> Result<()> {
        self.falls(name, (200, "healthy", "healthy")).await
    }

    /// Lets a check with other options take the place of one until `fall` is seen.
    async fn replaced(&self, name: &str, options: &str, fall: Fall) -> Result<()> {
        let path = format!("/-/checks/{name}");
        let put = self.seaworthy.steer_with("PUT", &path, options).await?;
        assert_eq!(put.status, 201, "{}", put.text());
        self.falls(name, fall).await
    }
}

#[tokio::test]
async fn kronos_needs_its_model_memory_and_disk() -> Result<()> {
    let mut command = seaworthy_testkit::server::App::Mock.command()?;
    command.extend(["--profile".to_owned(), "kronos".to_owned()]);
    // Whatever the machine of the test has left, it is enough; and failures count early.
    let yaml = "health: {checks: [{name: model, stale_after: 1s}, {name: memory, warn_percent: 100, fail_percent: 100}, \
                {name: disk, warn_percent: 0, fail_percent: 0}]}";
    let builder = Seaworthy::run(command).config(yaml);
    let stage = Stage::open("kronos", "/v1/readyz", builder).await?;
    let names = ["disk", "memory", "model"].map(str::to_owned);
    assert_eq!(stage.names().await?, BTreeSet::from(names));
    let to = stage.seaworthy.public();
    let predict = async |body: &'static str| {
        let headers = [("Content-Type", "application/json")];
        client::send(to, "POST", "/v1/predict", &headers, body.as_bytes()).await
    };
    until("the model to be down", PATIENCE, || async {
        predict("{").await.ok()?;
        (stage.ask("/v1/readyz").await.ok()?.0 == 503).then_some(())
    })
    .await?;
    stage
        .falls("model", (503, "unhealthy", "unhealthy"))
        .await?;
    until("a prediction", PATIENCE, || async {
        let answer = predict(r#"{"features": [1]}"#).await.ok()?;
        (answer.status == 200).then_some(())
    })
    .await?;
    stage.recovers("model").await?;
    let down = (503, "unhealthy", "unhealthy");
    stage
        .replaced(
            "memory",
            r#"{"kind": "memory", "warn_percent": 0, "fail_percent": 0}"#,
            down,
        )
        .await?;
    stage
        .replaced(
            "memory",
            r#"{"kind": "memory", "warn_percent": 100, "fail_percent": 100}"#,
            (200, "healthy", "healthy"),
        )
        .await?;
    stage
        .replaced(
            "disk",
            r#"{"kind": "disk", "warn_percent": 100, "fail_percent": 100}"#,
            down,
        )
        .await?;
    assert_eq!(stage.ask("/v1/healthz").await?.0, 200);
    Ok(())
}

mod real {
    use seaworthy_testkit::server::{App, Celery, Daemon, Gap, Kafka, Mode, Postgres, Redis};
    use tokio::try_join;

    use super::*;

    const DOWN: Fall = (503, "unhealthy", "unhealthy");
    const WORSE: Fall = (200, "degraded", "degraded");

    /// A Postgres behind a network: its backends go on while the rest of it is frozen.
    async fn database() -> Result<(Postgres, Gap, String)> {
        let postgres = Postgres::start().await?;
        let gap = Gap::before(postgres.address())?;
        let url = postgres.url_at(gap.address());
        Ok((postgres, gap, url))
    }

    fn mock() -> Result<Builder> {
        Ok(Seaworthy::run(App::Mock.command()?))
    }

    async fn stop_and_freeze(
        stage: &Stage,
        name: &str,
        daemon: &mut Daemon,
        fall: Fall,
    ) -> Result<()> {
        daemon.stop().await?;
        stage.falls(name, fall).await?;
        daemon.start().await?;
        stage.recovers(name).await?;
        daemon.pause().await?;
        stage.falls(name, fall).await?;
        daemon.resume()?;
        stage.recovers(name).await
    }

    async fn stop_and_silence(
        stage: &Stage,
        name: &str,
        (postgres, gap, _): &mut (Postgres, Gap, String),
        fall: Fall,
    ) -> Result<()> {
        postgres.stop().await?;
        stage.falls(name, fall).await?;
        postgres.start().await?;
        stage.recovers(name).await?;
        gap.set(Mode::Silent).await?;
        stage.falls(name, fall).await?;
        gap.set(Mode::Pass).await?;
        stage.recovers(name).await
    }

    async fn slow(stage: &Stage, name: &str, gap: &Gap, each_way: u64, fall: Fall) -> Result<()> {
        gap.set(Mode::Delay(Duration::from_millis(each_way)))
            .await?;
        stage.falls(name, fall).await?;
        gap.set(Mode::Pass).await?;
        stage.recovers(name).await
    }

    /// A second without it is seen by nobody but the check, which looks again.
    async fn blip(stage: &Stage, name: &str, gap: &Gap) -> Result<()> {
        let changes = |stage: &Stage| {
            let events = stage.seaworthy.output().events("check.changed");
            events.iter().filter(|event| event["check"] == name).count()
        };
        let before = changes(stage);
        let began = tokio::time::Instant::now();
        gap.set(Mode::Refuse).await?;
        let fresh = format!("{name}?fresh=1");
        assert_eq!(stage.component(&fresh).await?["status"], "healthy");
        assert_eq!(stage.ask(stage.ready).await?.0, 200);
        tokio::time::sleep_until(began + Duration::from_secs(1)).await;
        gap.set(Mode::Pass).await?;
        assert_eq!(stage.component(&fresh).await?["status"], "healthy");
        assert_eq!(changes(stage), before, "a blip was told");
        Ok(())
    }

    #[tokio::test]
    async fn scry_needs_all_of_its_four() -> Result<()> {
        let (mut database, mut redis, broker, mut kafka) =
            try_join!(database(), Redis::start(), Redis::start(), Kafka::start())?;
        let mut celery = Celery::start("one", &broker.url(), &[]).await?;
        let builder = mock()?
            .env("DATABASE_URL", &database.2)
            .env("REDIS_URL", redis.url())
            .env("CELERY_BROKER_URL", broker.url())
            .env("KAFKA_BOOTSTRAP_SERVERS", kafka.address())
            .set("health.timeout", "2s");
        let stage = Stage::open("scry", "/ready", builder).await?;
        let (_, detail) = stage.ask("/health/detailed").await?;
        let components = detail["components"].as_array().cloned().unwrap_or_default();
        let fact = |name: &str, key: &str| {
            let one = components.iter().find(|one| one["name"] == name);
            one.map(|one| one["metadata"][key].clone())
                .unwrap_or_default()
        };
        assert_eq!(components.len(), 5, "{detail}");
        assert!(fact("redis", "redis_version").is_string(), "{detail}");
        assert_eq!(
            (fact("kafka", "brokers"), fact("celery", "workers")),
            (1.into(), 1.into())
        );
        stop_and_silence(&stage, "database", &mut database, DOWN).await?;
        stop_and_freeze(&stage, "redis", &mut redis, DOWN).await?;
        stop_and_freeze(&stage, "celery", &mut celery, DOWN).await?;
        stop_and_freeze(&stage, "kafka", &mut kafka, DOWN).await?;
        blip(&stage, "database", &database.1).await?;
        redis.stop().await?;
        stage.falls("redis", DOWN).await?;
        assert_eq!(stage.ask("/health").await?.0, 200);
        let (code, detail) = stage.ask("/health/detailed").await?;
        let last = detail["components"]
            .as_array()
            .and_then(|all| all.last().cloned());
        let api = last.unwrap_or_default();
        assert_eq!(
            (code, &api["name"], &api["status"]),
            (503, &"api".into(), &"healthy".into())
        );
        Ok(())
    }

    #[tokio::test]
    async fn soma_needs_all_of_its_three() -> Result<()> {
        let (mut database, mut redis, mut kafka) =
            try_join!(database(), Redis::start(), Kafka::start())?;
        let builder = mock()?
            .env("DATABASE_URL", &database.2)
            .env("REDIS_URL", redis.url())
            .env("KAFKA_BOOTSTRAP_SERVERS", kafka.address());
        let stage = Stage::open("soma", "/ready", builder).await?;
        let names = ["kafka", "postgres", "redis"].map(str::to_owned);
        assert_eq!(
            stage.names().await?,
            BTreeSet::from(names),
            "one variable, one check"
        );
        stop_and_silence(&stage, "postgres", &mut database, DOWN).await?;
        stop_and_freeze(&stage, "kafka", &mut kafka, DOWN).await?;
        stop_and_freeze(&stage, "redis", &mut redis, DOWN).await?;
        blip(&stage, "postgres", &database.1).await?;
        assert_eq!(
            stage.ask("/live").await?,
            (200, serde_json::json!({"status": "alive"}))
        );
        Ok(())
    }

    #[tokio::test]
    async fn harvester_needs_its_database_and_disk_and_only_misses_the_rest() -> Result<()> {
        let (mut database, mut redis) = try_join!(database(), Redis::start())?;
        let yaml = "health: {checks: [{name: memory, warn_percent: 100, fail_percent: 100}, \
                    {name: disk, warn_percent: 0, fail_percent: 0}]}";
        let builder = mock()?
            .config(yaml)
            .env("DATABASE_URL", &database.2)
            .env("REDIS_URL", redis.url())
            .set("health.timeout", "3s");
        let stage = Stage::open("harvester", "/health/ready", builder).await?;
        let names = ["database", "disk", "memory", "redis"].map(str::to_owned);
        assert_eq!(stage.names().await?, BTreeSet::from(names));
        stop_and_silence(&stage, "database", &mut database, DOWN).await?;
        slow(&stage, "database", &database.1, 600, WORSE).await?;
        stop_and_freeze(&stage, "redis", &mut redis, WORSE).await?;
        blip(&stage, "database", &database.1).await?;
        let all = r#"{"kind": "memory", "critical": false, "warn_percent": 0, "fail_percent": 0}"#;
        stage.replaced("memory", all, WORSE).await?;
        let none = r#"{"kind": "disk", "warn_percent": 100, "fail_percent": 100}"#;
        stage.replaced("disk", none, DOWN).await?;
        assert_eq!(stage.ask("/health/startup").await?.0, 200);
        assert_eq!(stage.ask("/health/live").await?.0, 200);
        Ok(())
    }

    #[tokio::test]
    async fn house_words_its_database_gently_and_only_misses_the_rest() -> Result<()> {
        // A tenth of a second is all that its database has.
        let _alone = seaworthy_testkit::alone().await;
        let (mut database, mut redis) = try_join!(database(), Redis::start())?;
        let folder = tempfile::tempdir()?;
        let log = folder.path().join("audit.jsonl");
        let line = |minutes: i64| {
            let at = jiff::Timestamp::now() - jiff::SignedDuration::from_mins(minutes);
            format!("{{\"timestamp\": \"{at}\", \"action\": \"bet\"}}\n")
        };
        let old: String = [30, 20, 10].map(line).concat();
        let recent: String = [4, 3, 2, 1, 0].map(line).concat();
        std::fs::write(&log, old.clone() + &recent)?;
        let builder = mock()?
            .current_dir(folder.path())
            .env("DATABASE_URL", &database.2)
            .env("REDIS_URL", redis.url());
        let stage = Stage::open("house", "/health/ready", builder).await?;
        let (_, detail) = stage.ask("/health/check").await?;
        let components = &detail["components"];
        let names: Vec<_> = components
            .as_object()
            .into_iter()
            .flatten()
            .map(|(name, _)| name)
            .collect();
        assert_eq!(names.len(), 4, "{detail}");
        assert_eq!(
            components["audit"]["metadata"]["recent_log_count"], 5,
            "{detail}"
        );
        assert_eq!(components["algorithm"]["metadata"]["active"], "primary");
        let gently: Fall = (503, "degraded", "degraded");
        stop_and_silence(&stage, "database", &mut database, gently).await?;
        slow(&stage, "database", &database.1, 75, gently).await?;
        blip(&stage, "database", &database.1).await?;
        stop_and_freeze(&stage, "notification", &mut redis, WORSE).await?;
        let entries = vec!["x"; 1001];
        redis
            .command(&[&["rpush", "notifications"], &entries[..]].concat())
            .await?;
        stage.falls("notification", WORSE).await?;
        assert_eq!(
            stage.component("notification").await?["metadata"]["queue_depth"],
            1001
        );
        redis.command(&["del", "notifications"]).await?;
        stage.recovers("notification").await?;
        std::fs::write(&log, old)?;
        stage.falls("audit", WORSE).await?;
        assert_eq!(stage.ask("/health/live").await?.0, 200);
        Ok(())
    }
}
