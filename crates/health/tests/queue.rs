//! The kinds `queue` and `rows` on real servers.

mod looking;

use std::sync::Arc;

use looking::{check, faults, probe, survives_rude_peers};
use seaworthy_health::Check;
use seaworthy_health::probe::queue::Queue;
use seaworthy_health::probe::rows::Rows;
use serde_json::{Value, json};

fn queue(options: Value) -> Arc<dyn Check> {
    check::<Queue>(options)
}

#[tokio::test]
async fn whoever_does_not_play_along_is_told_in_one_sentence() {
    let in_redis = |peer| queue(json!({ "url": format!("redis://{peer}"), "queue": "q" }));
    survives_rude_peers(in_redis, "it does not speak Redis").await;
    let url = |peer| format!("postgres://u@{peer}/x");
    let in_sql = |peer| queue(json!({ "url": url(peer), "query": "SELECT 1" }));
    survives_rude_peers(in_sql, "it does not speak Postgres").await;
    let rows = |peer| check::<Rows>(json!({ "url": url(peer), "query": "SELECT 1" }));
    survives_rude_peers(rows, "it does not speak Postgres").await;
}

#[test]
fn what_cannot_work_is_refused_before_it_starts() {
    let found = |options| faults(&probe::<Queue>(options));
    assert_eq!(found(json!({ "url": "redis://db" })), ["queue"]);
    assert_eq!(
        found(json!({ "url": "redis://db", "query": "SELECT 1" })),
        ["queue"]
    );
    assert_eq!(
        found(json!({ "url": "postgres://db", "queue": "q" })),
        ["query"]
    );
    assert_eq!(found(json!({ "url": "http://db", "queue": "q" })), ["url"]);
    assert_eq!(found(json!({ "url": "amqp://mq" })), ["queue"]);
    assert_eq!(
        found(json!({ "url": "redis://db", "queue": "q", "warn": 20_000 })),
        ["warn"]
    );
    let query = "SELECT 1; DROP TABLE t";
    assert_eq!(
        found(json!({ "url": "postgres://db", "query": query })),
        ["query"]
    );
    let rows = json!({ "url": "postgres://db", "query": query, "fail_below": 2, "as": "A b" });
    let options = faults(&probe::<Rows>(rows));
    assert_eq!(options, ["query", "fail_below", "as"]);
}

mod real {
    use seaworthy_core::health::State;
    use seaworthy_testkit::Result;
    use seaworthy_testkit::server::{Postgres, RabbitMq, Redis};

    use super::looking::{NOBODY, hangs, look, says};
    use super::*;

    async fn shows(check: &Arc<dyn Check>, state: State, message: &str, key: &str, count: u64) {
        let outcome = looking::shows(check, state, message).await;
        assert_eq!(outcome.metadata[key], count);
    }

    #[tokio::test]
    async fn depths_in_redis() -> Result<()> {
        let mut server = Redis::start().await?;
        let of = |key: &str| queue(json!({ "url": server.url(), "queue": key }));
        let depth = "queue_depth";
        let list = of("notifications");
        shows(&list, State::Ok, "0 waiting", depth, 0).await;
        let script = "for i = 1, ARGV[1] do redis.call('rpush', KEYS[1], i) end";
        let push = async |count| {
            let words = ["eval", script, "1", "notifications", count];
            server.command(&words).await
        };
        push("1000").await?;
        shows(&list, State::Ok, "1000 waiting", depth, 1000).await;
        push("1").await?;
        shows(
            &list,
            State::Warn,
            "1001 waiting, the limit is 1000",
            depth,
            1001,
        )
        .await;
        push("9000").await?;
        shows(
            &list,
            State::Fail,
            "10001 waiting, the limit is 10000",
            depth,
            10_001,
        )
        .await;
        server.command(&["xadd", "stream", "*", "a", "b"]).await?;
        server
            .command(&["zadd", "delayed", "1", "a", "2", "b"])
            .await?;
        server.command(&["sadd", "set", "a", "b", "c"]).await?;
        server.command(&["set", "text", "a"]).await?;
        shows(&of("stream"), State::Ok, "1 waiting", depth, 1).await;
        shows(&of("delayed"), State::Ok, "2 waiting", depth, 2).await;
        shows(&of("set"), State::Ok, "3 waiting", depth, 3).await;
        says(&of("text"), "what is under the key is no queue").await;
        server.pause().await?;
        hangs(&list).await;
        server.resume()?;
        assert_eq!(look(&list).await.metadata[depth], 10_001);
        server.stop().await?;
        says(&list, NOBODY).await;
        server.start().await?;
        shows(
            &list,
            State::Fail,
            "10001 waiting, the limit is 10000",
            depth,
            10_001,
        )
        .await;
        Ok(())
    }

    #[tokio::test]
    async fn depths_in_postgres() -> Result<()> {
        let mut server = Postgres::start().await?;
        server.sql("CREATE TABLE jobs(done bool)").await?;
        let query = "SELECT count(*) FROM jobs WHERE NOT done";
        let jobs = queue(json!({ "url": server.url(), "query": query, "warn": 1, "fail": 2 }));
        let depth = "queue_depth";
        shows(&jobs, State::Ok, "0 waiting", depth, 0).await;
        let insert = "INSERT INTO jobs VALUES (false),(false),(true)";
        server.sql(insert).await?;
        shows(&jobs, State::Warn, "2 waiting, the limit is 1", depth, 2).await;
        server.sql("INSERT INTO jobs VALUES (false)").await?;
        let full = "3 waiting, the limit is 2";
        shows(&jobs, State::Fail, full, depth, 3).await;
        server.pause().await?;
        hangs(&jobs).await;
        server.resume()?;
        shows(&jobs, State::Fail, full, depth, 3).await;
        server.stop().await?;
        says(&jobs, NOBODY).await;
        server.start().await?;
        shows(&jobs, State::Fail, full, depth, 3).await;
        Ok(())
    }

    #[tokio::test]
    async fn recent_rows_in_postgres() -> Result<()> {
        let mut server = Postgres::start().await?;
        server.sql("CREATE TABLE log(at timestamptz)").await?;
        let query = "SELECT count(*) FROM log WHERE at > now() - interval '5 minutes'";
        let options =
            json!({ "url": server.url(), "query": query, "warn_below": 2, "fail_below": 1 });
        let recent = check::<Rows>(options);
        let count = "recent_log_count";
        let (none, few) = (
            "0 counted, at least 1 are expected",
            "1 counted, at least 2 are expected",
        );
        shows(&recent, State::Fail, none, count, 0).await;
        let insert = "INSERT INTO log VALUES (now()),(now() - interval '1 hour')";
        server.sql(insert).await?;
        shows(&recent, State::Warn, few, count, 1).await;
        let insert = "INSERT INTO log SELECT now() FROM generate_series(1, 4)";
        server.sql(insert).await?;
        shows(&recent, State::Ok, "5 counted", count, 5).await;
        server.stop().await?;
        says(&recent, NOBODY).await;
        server.start().await?;
        shows(&recent, State::Ok, "5 counted", count, 5).await;
        Ok(())
    }

    #[tokio::test]
    async fn counts_have_a_name_and_are_numbers() -> Result<()> {
        let server = Postgres::start().await?;
        server.sql("CREATE TABLE jobs(done bool)").await?;
        let named =
            check::<Rows>(json!({ "url": server.url(), "query": "SELECT 0", "as": "entries" }));
        shows(
            &named,
            State::Warn,
            "0 counted, at least 1 are expected",
            "entries",
            0,
        )
        .await;
        for query in [
            "SELECT 'a'",
            "SELECT -1",
            "SELECT NULL",
            "SELECT 1 WHERE false",
        ] {
            let odd = check::<Rows>(json!({ "url": server.url(), "query": query }));
            says(&odd, "the query does not return a count").await;
        }
        let writes = check::<Rows>(json!({ "url": server.url(), "query": "DELETE FROM jobs" }));
        says(&writes, "the query writes, and a check only reads (25006)").await;
        Ok(())
    }

    #[tokio::test]
    async fn depths_in_rabbitmq() -> Result<()> {
        let rabbit = RabbitMq::start().await?;
        rabbit.fill("jobs", 3).await?;
        let at =
            |name: &str| queue(json!({ "url": rabbit.url(), "queue": name, "warn": 2, "fail": 5 }));
        let waiting = look(&at("jobs")).await;
        assert_eq!(waiting.state, State::Warn, "{waiting:?}");
        assert_eq!(waiting.metadata["queue_depth"], 3);
        let none = look(&at("nothing")).await;
        assert_eq!(
            (none.state, none.message.as_str()),
            (State::Fail, "there is no queue `nothing` (404)")
        );
        Ok(())
    }
}
