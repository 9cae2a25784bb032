//! The kind `postgres` on real servers and on peers that are none.

mod looking;

use std::sync::Arc;

use looking::{check, faults, probe, says, survives_rude_peers};
use seaworthy_health::Check;
use seaworthy_health::probe::postgres::Postgres as Kind;
use seaworthy_testkit::server::{Manners, Rude};
use serde_json::json;

fn postgres(url: &str) -> Arc<dyn Check> {
    check::<Kind>(json!({ "url": url }))
}

#[tokio::test]
async fn whoever_does_not_play_along_is_told_in_one_sentence() {
    for mode in ["disable", "prefer", "require"] {
        let make = |peer| postgres(&format!("postgres://u:hunter2@{peer}/x?sslmode={mode}"));
        survives_rude_peers(make, "it does not speak Postgres").await;
    }
}

#[tokio::test]
async fn an_answer_without_end_is_no_postgres() {
    // A message of 4 GiB, one of 1 MiB and one more, and parameters for ever.
    let longest = [b"R\x00\x10\x00\x04".as_slice(), &[0; 1 << 20]].concat();
    let parameter = b"S\0\0\0\x08a\0b\0".repeat(1000);
    for (begin, more) in [
        (b"R\xff\xff\xff\xff".to_vec(), vec![0; 4096]),
        (longest.clone(), longest),
        (b"R\0\0\0\x08\0\0\0\0".to_vec(), parameter),
    ] {
        let endless = Rude::start(Manners::Endless(begin, more)).await.unwrap();
        let check = postgres(&format!(
            "postgres://u@{}?sslmode=disable",
            endless.address()
        ));
        says(&check, "it does not speak Postgres").await;
    }
}

#[tokio::test]
async fn of_errors_only_their_code_is_shown() {
    let error = |code: &str| {
        let fields = format!("SFATAL\0VFATAL\0C{code}\0Mhunter2\0\0");
        let length = u32::try_from(fields.len() + 4).unwrap().to_be_bytes();
        [b"E", length.as_slice(), fields.as_bytes()].concat()
    };
    for (code, message) in [
        ("57P03", "it is starting up or shutting down (57P03)"),
        ("53300", "it has too many connections (53300)"),
        ("XX000", "it answered with an error (XX000)"),
        ("hunter2", "it answered with an error"),
        ("08P01", "it answered with an error (08P01)"),
    ] {
        let refuses = Rude::start(Manners::Says(error(code))).await.unwrap();
        let check = postgres(&format!(
            "postgres://u@{}?sslmode=disable",
            refuses.address()
        ));
        says(&check, message).await;
    }
}

#[test]
fn what_cannot_work_is_refused_before_it_starts() {
    for (options, option) in [
        (json!({ "url": "mysql://db/x" }), "url"),
        (json!({ "url": "postgres://169.254.169.254/x" }), "url"),
        (json!({ "url": "postgres://db/x?sslmode=verify" }), "url"),
        (json!({ "url": "postgres://db/x", "query": " ; " }), "query"),
        (
            json!({ "url": "postgres://db/x", "query": "COMMIT; DROP TABLE t" }),
            "query",
        ),
        (
            json!({ "url": "postgres://db/x", "ensure": { "tables": ["a'b"] } }),
            "ensure",
        ),
        (
            json!({ "url": "postgres://db/x", "ensure": { "tables": ["a.b.c"] } }),
            "ensure",
        ),
    ] {
        let found = faults(&probe::<Kind>(options.clone()));
        assert_eq!(found, [option], "{options}");
    }
    let fine = json!({ "url": "postgresql+asyncpg://db/x", "query": "SELECT 1;" });
    assert_eq!(faults(&probe::<Kind>(fine)), [""; 0]);
}

mod real {
    use std::time::Duration;

    use seaworthy_core::health::State;
    use seaworthy_health::{Health, Spec};
    use seaworthy_testkit::Result;
    use seaworthy_testkit::certificate::Certificate;
    use seaworthy_testkit::server::{Gap, Mode, Postgres};
    use seaworthy_testkit::wait::{self, PATIENCE};

    use super::looking::{SOON, becomes, follows, hangs, is_well, look, look_for};
    use super::*;

    const FINE: &str = "it answers the query";

    #[tokio::test]
    async fn stopped_paused_and_back() -> Result<()> {
        let mut server = Postgres::start().await?;
        let check = postgres(&server.url());
        let outcome = is_well(&check, FINE).await;
        let version = outcome.metadata["server_version"].as_str();
        assert!(
            version.is_some_and(|version| version.contains('.')),
            "{outcome:?}"
        );
        follows(&check, &mut server).await;
        Ok(())
    }

    #[tokio::test]
    async fn logins_that_fail_are_told_apart_and_not_shown() -> Result<()> {
        let server =
            Postgres::start_with(&["max_connections=4", "superuser_reserved_connections=0"])
                .await?;
        let at = server.address();
        for (url, message) in [
            (
                format!("postgres://postgres:sesame@{at}/postgres"),
                "it refuses the user or the password (28P01)",
            ),
            (
                format!("postgres://eve:hunter2@{at}/postgres"),
                "it refuses the user or the password (28P01)",
            ),
            (
                format!("postgres://postgres@{at}/postgres"),
                "it asks for a password",
            ),
            (
                format!("postgres://postgres:hunter2@{at}/shop"),
                "it has no database of that name (3D000)",
            ),
            (
                format!("postgres://postgres:hunter2@{at}/postgres?sslmode=require"),
                "it does not offer TLS",
            ),
        ] {
            says(&postgres(&url), message).await;
        }
        let mut held = Vec::new();
        for _ in 0..4 {
            let check = postgres(&server.url());
            is_well(&check, FINE).await;
            held.push(check);
        }
        says(
            &postgres(&server.url()),
            "it has too many connections (53300)",
        )
        .await;
        for check in &held {
            is_well(check, FINE).await;
        }
        Ok(())
    }

    #[tokio::test]
    async fn the_schema_is_looked_at_and_never_made() -> Result<()> {
        let server = Postgres::start().await?;
        server.sql("CREATE TABLE orders(n int); CREATE SCHEMA shop; CREATE VIEW shop.\"Open\" AS SELECT 1").await?;
        let with = |tables: &[&str]| {
            check::<Kind>(json!({ "url": server.url(), "ensure": { "tables": tables } }))
        };
        is_well(&with(&["orders", "public.orders", "shop.\"Open\""]), FINE).await;
        let one = with(&["orders", "sagas"]);
        says(&one, "schema: missing table sagas").await;
        says(
            &with(&["shop.open", "orders_pkey", "gone.x"]),
            "schema: missing tables shop.open, orders_pkey, gone.x",
        )
        .await;
        server.sql("CREATE TABLE sagas(n int)").await?;
        is_well(&one, FINE).await;
        Ok(())
    }

    #[tokio::test]
    async fn a_query_is_held_to_what_is_expected_and_can_only_read() -> Result<()> {
        let server = Postgres::start().await?;
        server
            .sql("CREATE TABLE t(n int); INSERT INTO t VALUES (1),(2); CREATE SEQUENCE s")
            .await?;
        let ask = |query: &str, expect: serde_json::Value| {
            check::<Kind>(json!({ "url": server.url(), "query": query, "expect": expect }))
        };
        let none = || json!(null);
        is_well(&ask("SELECT n FROM t -- all", none()), FINE).await;
        let met = "the query returned what was expected";
        is_well(&ask("SELECT n FROM t", json!({ "rows": 2 })), met).await;
        is_well(&ask("SELECT count(*) FROM t", json!({ "value": "2" })), met).await;
        let other = "the query returned another value than expected";
        let seven = || json!({ "value": "7" });
        let one_row = json!({ "rows": 1 });
        let two = "the query returned 2 rows and not 1";
        says(&ask("SELECT n FROM t", one_row), two).await;
        says(&ask("SELECT n FROM t", seven()), other).await;
        says(&ask("SELECT NULL", seven()), other).await;
        says(&ask("SELECT 7 WHERE false", seven()), other).await;
        let writes = "the query writes, and a check only reads (25006)";
        let too_much = "the query returns too much";
        for (query, message) in [
            ("DELETE FROM t", writes),
            ("SELECT nextval('s')", writes),
            ("DROP TABLE t", writes),
            (
                "SELECT * FROM hunter2",
                "the query names a table that does not exist (42P01)",
            ),
            ("SELEKT", "the query is not valid SQL (42601)"),
            ("SELECT 1/0", "it answered with an error (22012)"),
            ("SELECT repeat('x', 3000000)", too_much),
            (
                "SELECT repeat('x', 300000) FROM generate_series(1, 100)",
                too_much,
            ),
        ] {
            let check = ask(query, none());
            says(&check, message).await;
            says(&check, message).await;
        }
        assert_eq!(server.sql("SELECT count(*) FROM t").await?, "2");
        Ok(())
    }

    #[tokio::test]
    async fn one_connection_and_no_query_that_runs_on() -> Result<()> {
        let server = Postgres::start().await?;
        let gap = Gap::before(server.address())?;
        let check = postgres(&server.url_at(gap.address()));
        for _ in 0..20 {
            is_well(&check, FINE).await;
        }
        assert_eq!((gap.opened(), gap.open()), (1, 1));
        let ours = "SELECT count(*) FROM pg_stat_activity WHERE application_name='seaworthy'";
        assert_eq!(server.sql(ours).await?, "1");
        let slow = check_slow(&server.url());
        hangs(&slow).await;
        let ended = wait::until("the end of given up queries", PATIENCE, || async {
            (server.sql(ours).await.ok()? == "1").then_some(())
        });
        ended.await
    }

    fn check_slow(url: &str) -> Arc<dyn Check> {
        check::<Kind>(json!({ "url": url, "query": "SELECT pg_sleep(600)" }))
    }

    #[tokio::test]
    async fn a_slow_network_degrades_and_a_silent_one_times_out() -> Result<()> {
        let server = Postgres::start().await?;
        let gap = Gap::before(server.address())?;
        let check = postgres(&server.url_at(gap.address()));
        let health = Health::default();
        let spec = Spec::new("database", check.clone())
            .degraded_after(Duration::from_millis(100))
            .timeout(Duration::from_secs(10))
            .steadiness(1, 1);
        gap.set(Mode::Delay(Duration::from_millis(75))).await?;
        health.register(spec);
        let shown = health.check_component("database").await?;
        assert_eq!(shown.state, State::Warn, "{shown:?}");
        assert!(
            shown.metadata["latency_ms"].as_f64() >= Some(150.0),
            "{shown:?}"
        );
        gap.set(Mode::Silent).await?;
        assert_eq!(look_for(&check, SOON).await.state, State::TimedOut);
        gap.set(Mode::Refuse).await?;
        let refused = look(&check).await;
        assert_eq!(refused.state, State::Fail, "{refused:?}");
        gap.set(Mode::Pass).await?;
        becomes(&check, State::Ok).await;
        Ok(())
    }

    #[tokio::test]
    async fn tls_is_as_strict_as_sslmode_says() -> Result<()> {
        let server = Postgres::start_tls().await?;
        let own = server.ca();
        let other = tempfile::NamedTempFile::new()?;
        std::fs::write(other.path(), Certificate::new()?.certificate)?;
        let encrypted = "SELECT 1 FROM pg_stat_ssl WHERE pid=pg_backend_pid() AND ssl";
        let with = |mode: &str, ca: Option<&std::path::Path>, rows: u64| {
            let url = format!("{}?sslmode={mode}", server.url());
            check::<Kind>(
                json!({ "url": url, "ca": ca, "query": encrypted, "expect": { "rows": rows } }),
            )
        };
        let met = "the query returned what was expected";
        is_well(&with("disable", None, 0), met).await;
        is_well(&with("prefer", None, 1), met).await;
        is_well(&with("require", None, 1), met).await;
        for mode in ["require", "verify-ca", "verify-full"] {
            is_well(&with(mode, Some(&own), 1), met).await;
            let unknown = "its certificate is signed by nobody known; name the file of its authority with `ca`";
            says(&with(mode, Some(other.path()), 1), unknown).await;
        }
        Ok(())
    }
}
