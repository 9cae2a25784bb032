//! The kinds `redis` on real servers and on peers that are none.

mod looking;

use std::sync::Arc;

use looking::{check, faults, look, probe, says, survives_rude_peers};
use seaworthy_core::health::State;
use seaworthy_health::Check;
use seaworthy_health::probe::redis::Redis as Kind;
use seaworthy_testkit::server::{Manners, Rude};
use serde_json::json;

fn redis(url: &str) -> Arc<dyn Check> {
    check::<Kind>(json!({ "url": url }))
}

#[tokio::test]
async fn whoever_does_not_play_along_is_told_in_one_sentence() {
    let make = |peer| redis(&format!("redis://:hunter2@{peer}/3"));
    survives_rude_peers(make, "it does not speak Redis").await;
}

#[tokio::test]
async fn an_answer_without_end_is_no_redis() {
    for begin in ["+", "$2000000000\r\n", "*2000000000\r\n", "-ERR "] {
        let manners = Manners::Endless(begin.into(), vec![b'a'; 64 * 1024]);
        let endless = Rude::start(manners).await.unwrap();
        let check = redis(&format!("redis://{}", endless.address()));
        says(&check, "it does not speak Redis").await;
    }
}

#[tokio::test]
async fn nothing_that_a_peer_says_is_repeated() {
    for (answer, message) in [
        ("-hunter2 is wrong\r\n", "it answered with an error"),
        ("-ERR hunter2\r\n", "it answered with an error (ERR)"),
        (
            "-LOADING hunter2\r\n",
            "it is still loading its data (LOADING)",
        ),
        (
            "-MASTERDOWN hunter2\r\n",
            "it is a replica without its primary (MASTERDOWN)",
        ),
        ("+hunter2\r\n", "it does not speak Redis"),
        (":12\r\n", "it does not speak Redis"),
    ] {
        let says_so = Rude::start(Manners::Says(answer.into())).await.unwrap();
        let check = redis(&format!("redis://{}", says_so.address()));
        says(&check, message).await;
    }
}

#[test]
fn what_is_no_redis_is_refused_before_it_starts() {
    for (url, option) in [
        ("http://cache", "url"),
        ("redis://cache/shop", "url"),
        ("redis://169.254.169.254", "url"),
    ] {
        let faults = faults(&probe::<Kind>(json!({ "url": url })));
        assert_eq!(faults.first(), Some(&option), "{url}");
    }
    assert_eq!(
        faults(&probe::<Kind>(json!({ "url": "redis://cache:6379/0" }))),
        [""; 0]
    );
}

mod real {
    use std::time::Duration;

    use seaworthy_health::{Health, Spec};
    use seaworthy_testkit::Result;
    use seaworthy_testkit::certificate::Certificate;
    use seaworthy_testkit::server::{Gap, Mode, Redis};
    use seaworthy_testkit::wait::{self, PATIENCE};

    use super::looking::{SOON, becomes, follows, hangs, is_well, look_for};
    use super::*;

    #[tokio::test]
    async fn tells_version_and_counts() -> Result<()> {
        let server = Redis::start().await?;
        let check = redis(&server.url());
        let outcome = is_well(&check, "it answers PING").await;
        let fact = |name: &str| outcome.metadata.get(name).cloned().unwrap_or_default();
        assert!(
            fact("redis_version")
                .as_str()
                .is_some_and(|version| version.contains('.'))
        );
        assert!(fact("uptime_in_seconds").is_u64());
        assert_eq!(fact("connected_clients"), 1);
        assert!(fact("used_memory").as_u64() > Some(100_000));
        let bare = super::check::<Kind>(json!({ "url": server.url(), "info": false }));
        assert!(look(&bare).await.metadata.is_empty());
        Ok(())
    }

    #[tokio::test]
    async fn stopped_paused_and_back() -> Result<()> {
        let mut server = Redis::start().await?;
        let check = redis(&server.url());
        follows(&check, &mut server).await;
        Ok(())
    }

    #[tokio::test]
    async fn one_connection_serves_all_runs() -> Result<()> {
        let server = Redis::start().await?;
        let gap = Gap::before(server.address())?;
        let check = redis(&server.url_at(gap.address()));
        for _ in 0..20 {
            is_well(&check, "it answers PING").await;
        }
        assert_eq!((gap.opened(), gap.open()), (1, 1));
        // What was cancelled leaves nothing open.
        gap.set(Mode::Silent).await?;
        hangs(&check).await;
        gap.set(Mode::Pass).await?;
        becomes(&check, State::Ok).await;
        wait::holds("one open connection", PATIENCE, || gap.open() == 1).await
    }

    #[tokio::test]
    async fn slow_refused_and_silent_networks_are_told_apart() -> Result<()> {
        let server = Redis::start().await?;
        let gap = Gap::before(server.address())?;
        let check = redis(&server.url_at(gap.address()));
        let health = Health::default();
        let spec = Spec::new("cache", check.clone())
            .degraded_after(Duration::from_millis(100))
            .timeout(Duration::from_secs(10))
            .steadiness(1, 1);
        health.register(spec);
        gap.set(Mode::Delay(Duration::from_millis(60))).await?;
        let shown = health.check_component("cache").await?;
        assert_eq!(shown.state, State::Warn, "{shown:?}");
        assert!(
            shown.metadata["latency_ms"].as_f64() >= Some(120.0),
            "{shown:?}"
        );
        gap.set(Mode::Refuse).await?;
        let shown = health.check_component("cache").await?;
        assert_eq!(shown.state, State::Fail, "{shown:?}");
        gap.set(Mode::Silent).await?;
        health.set_timeout("cache", Some(SOON), None)?;
        let shown = health.check_component("cache").await?;
        assert_eq!(shown.state, State::TimedOut, "{shown:?}");
        gap.set(Mode::Pass).await?;
        health.set_timeout("cache", None, None)?;
        let shown = health.check_component("cache").await?;
        assert!(shown.state.passes(), "{shown:?}");
        Ok(())
    }

    #[tokio::test]
    async fn passwords_are_used_and_never_shown() -> Result<()> {
        let server = Redis::build().password("hunter2").start().await?;
        is_well(&redis(&server.url()), "it answers PING").await;
        let at = server.address();
        let open = redis(&format!("redis://{at}"));
        says(&open, "it asks for a password (NOAUTH)").await;
        for wrong in [
            format!("redis://:sesame@{at}"),
            format!("redis://eve:hunter2@{at}"),
        ] {
            let check = redis(&wrong);
            says(&check, "it refuses the user or the password (WRONGPASS)").await;
        }
        let other = redis(&format!("redis://:hunter2@{at}/99"));
        says(&other, "it has no database of that number").await;
        server
            .command(&["ACL", "SETUSER", "probe", "on", ">sesame", "+ping"])
            .await?;
        let few_rights = redis(&format!("redis://probe:sesame@{at}"));
        is_well(&few_rights, "it answers PING, and refuses INFO").await;
        server
            .command(&["ACL", "SETUSER", "probe", "-ping"])
            .await?;
        says(&few_rights, "its user may not ask that (NOPERM)").await;
        Ok(())
    }

    #[tokio::test]
    async fn too_many_connections_are_told() -> Result<()> {
        let server = Redis::build().words(&["--maxclients", "1"]).start().await?;
        let first = redis(&server.url());
        is_well(&first, "it answers PING").await;
        says(&redis(&server.url()), "it has too many connections").await;
        is_well(&first, "it answers PING").await;
        Ok(())
    }

    #[tokio::test]
    async fn tls_is_judged() -> Result<()> {
        let server = Redis::build().tls().start().await?;
        let ca = server.ca();
        let trusting = super::check::<Kind>(json!({ "url": server.url(), "ca": ca }));
        is_well(&trusting, "it answers PING").await;
        is_well(&trusting, "it answers PING").await;
        let other = tempfile::NamedTempFile::new()?;
        std::fs::write(other.path(), Certificate::new()?.certificate)?;
        let doubting = super::check::<Kind>(json!({ "url": server.url(), "ca": other.path() }));
        says(
            &doubting,
            "its certificate is signed by nobody known; name the file of its authority with `ca`",
        )
        .await;
        let elsewhere = super::check::<Kind>(json!({ "url": server.url(), "ca": "/nowhere" }));
        let outcome = look(&elsewhere).await;
        assert_eq!(outcome.state, State::Unknown);
        assert_eq!(outcome.message, "the file of `ca` cannot be read");
        let plain = Redis::start().await?;
        let url = plain.url().replace("redis:", "rediss:");
        let mistaken = super::check::<Kind>(json!({ "url": url, "ca": ca }));
        // A Redis without TLS takes the first bytes for a command that is not complete yet.
        assert_eq!(look_for(&mistaken, SOON).await.state, State::TimedOut);
        Ok(())
    }
}
