//! The check `celery` against real workers on Redis and on RabbitMQ, and against what is no broker.

mod looking;

use std::sync::Arc;
use std::time::Duration;

use looking::{NOBODY, becomes, check, faults, hangs, look, probe, shows, survives_rude_peers};
use seaworthy_core::health::State;
use seaworthy_health::Check;
use seaworthy_health::probe::celery::Celery;
use serde_json::json;

#[tokio::test]
async fn what_is_no_redis_is_said_so() {
    survives_rude_peers(
        |address| check::<Celery>(json!({ "broker": format!("redis://{address}/0") })),
        "does not speak Redis",
    )
    .await;
}

#[tokio::test]
async fn what_is_no_rabbitmq_is_said_so() {
    survives_rude_peers(
        |address| check::<Celery>(json!({ "broker": format!("amqp://{address}/") })),
        "does not speak AMQP",
    )
    .await;
}

#[test]
fn options_that_cannot_be_meant_are_refused() {
    for (options, option) in [
        (json!({ "broker": "sqs://queue/" }), "broker"),
        (json!({ "broker": "redis://169.254.169.254/0" }), "broker"),
        (json!({ "broker": "redis://cache/celery" }), "broker"),
        (json!({ "broker": "redis://cache/0", "wait": "0s" }), "wait"),
        (json!({ "broker": "redis://cache/0", "wait": "2m" }), "wait"),
        (
            json!({ "broker": "redis://cache/0", "control_exchange": "x".repeat(201) }),
            "control_exchange",
        ),
    ] {
        assert_eq!(faults(&probe::<Celery>(options)), [option]);
    }
}

/// Processor time of this thread, which drives the whole check.
fn processor() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    let spent = stat.split(' ').next().and_then(|field| field.parse().ok());
    Duration::from_nanos(spent.expect("a number"))
}

/// What a ping costs, on average.
async fn cost(check: &Arc<dyn Check>) -> Duration {
    const PINGS: u32 = 100;
    let before = processor();
    for _ in 0..PINGS {
        look(check).await;
    }
    (processor() - before) / PINGS
}

mod real {
    use super::*;
    use seaworthy_testkit::{server, wait};
    use serde_json::Value;

    fn pings(url: &str, more: Value) -> Arc<dyn Check> {
        let mut options = json!({ "broker": url });
        for (key, value) in more.as_object().expect("options") {
            options[key] = value.clone();
        }
        check::<Celery>(options)
    }

    async fn redis_with_password() -> server::Redis {
        let builder = server::Redis::build().password("secret");
        builder.start().await.expect("Redis")
    }

    /// The URL of a database that is not the first.
    fn database(redis: &server::Redis) -> String {
        format!("{}/3", redis.url())
    }

    /// The keys in Redis that have to do with replies.
    async fn replies(redis: &server::Redis) -> String {
        let keys = redis
            .command(&["-n", "3", "KEYS", "*"])
            .await
            .expect("keys");
        let left = keys.lines().filter(|key| key.contains("reply"));
        left.collect::<Vec<_>>().join("\n")
    }

    #[tokio::test]
    async fn workers_on_redis_are_counted() {
        let redis = redis_with_password().await;
        let one = pings(&database(&redis), json!({}));
        let outcome = shows(&one, State::Unknown, "no worker answered within 1s").await;
        assert_eq!(outcome.metadata["workers"], 0);

        let _first = server::Celery::start("w1", &database(&redis), &[])
            .await
            .unwrap();
        let outcome = becomes(&one, State::Ok).await;
        assert_eq!(outcome.message, "1 worker");
        assert_eq!(
            (&outcome.metadata["workers"], &outcome.metadata["names"]),
            (&json!(1), &json!(["w1@fixture"]))
        );
        let two = pings(&database(&redis), json!({ "min_workers": 2 }));
        let outcome = becomes(&two, State::Fail).await;
        assert_eq!(outcome.message, "1 worker, at least 2 are wanted");

        let second = server::Celery::start("w2", &database(&redis), &[("SERIALIZER", "pickle")])
            .await
            .unwrap();
        let outcome = becomes(&two, State::Ok).await;
        assert_eq!(
            outcome.message, "2 workers",
            "one of them replies in pickle"
        );
        let seen = wait::until("both in a check that wants one", wait::PATIENCE, || async {
            let outcome = look(&one).await;
            (outcome.metadata["workers"] == 2).then_some(outcome)
        });
        seen.await.unwrap();
        let cost = cost(&one).await;
        println!("a ping over Redis takes {cost:?} of processor time");
        assert!(cost < Duration::from_millis(5), "{cost:?}");
        drop(second);
        becomes(&two, State::Fail).await;
        assert_eq!(replies(&redis).await, "");
        let clients = redis.command(&["CLIENT", "LIST"]).await.unwrap();
        assert_eq!(
            clients.matches("cmd=del").count(),
            2,
            "one for each check: {clients}"
        );
    }

    #[tokio::test]
    async fn a_run_that_is_cut_short_leaves_no_key_and_late_replies_neither() {
        let redis = redis_with_password().await;
        let worker = server::Celery::start("w1", &database(&redis), &[])
            .await
            .unwrap();
        let check = pings(&database(&redis), json!({}));
        becomes(&check, State::Ok).await;
        worker.pause().await.unwrap();
        hangs(&check).await;
        wait::until("no key for replies", wait::PATIENCE, || async {
            replies(&redis).await.is_empty().then_some(())
        })
        .await
        .unwrap();
        let outcome = look(&check).await;
        assert_eq!(outcome.state, State::Unknown, "{outcome:?}");
        worker.resume().unwrap();
        // It answers the old questions before the new one.
        let outcome = becomes(&check, State::Ok).await;
        assert_eq!(outcome.metadata["workers"], 1);
        assert_eq!(replies(&redis).await, "");
    }

    #[tokio::test]
    async fn redis_is_seen_to_hang_to_die_and_to_come_back() {
        let mut redis = redis_with_password().await;
        let wrong = pings(&database(&redis).replace("secret", "wrong"), json!({}));
        shows(
            &wrong,
            State::Fail,
            "it refuses the user or the password (WRONGPASS)",
        )
        .await;
        let nobody = pings(&database(&redis).replace(":secret@", ""), json!({}));
        assert_eq!(look(&nobody).await.message, "it wants a password (NOAUTH)");

        let builder = server::Redis::build().password("secret").tls();
        let encrypted = builder.start().await.unwrap();
        let url = database(&encrypted);
        let secured = pings(&url, json!({ "wait": "50ms", "ca": encrypted.ca() }));
        assert_eq!(
            look(&secured).await.state,
            State::Unknown,
            "nobody is there"
        );
        let untrusting = look(&pings(&url, json!({}))).await;
        assert!(
            untrusting
                .message
                .starts_with("its certificate is signed by nobody known"),
            "{untrusting:?}"
        );

        let env = [("KEYPREFIX", "shop:")];
        let _worker = server::Celery::start("w1", &database(&redis), &env)
            .await
            .unwrap();
        let other = pings(&database(&redis), json!({ "wait": "200ms" }));
        assert_eq!(look(&other).await.state, State::Unknown);
        let check = pings(&database(&redis), json!({ "global_keyprefix": "shop:" }));
        becomes(&check, State::Ok).await;

        redis.pause().await.unwrap();
        hangs(&check).await;
        redis.resume().unwrap();
        becomes(&check, State::Ok).await;
        assert_eq!(replies(&redis).await, "");
        redis.stop().await.unwrap();
        shows(&check, State::Fail, NOBODY).await;
        redis.start().await.unwrap();
        becomes(&check, State::Ok).await;
    }

    /// The queues and exchanges on RabbitMQ.
    async fn listed(rabbit: &server::RabbitMq) -> Vec<String> {
        let mut names = Vec::new();
        for list in ["list_queues", "list_exchanges"] {
            let printed = rabbit.ctl(&[list, "-p", "shop", "name"]).await;
            let printed = printed.expect("a list");
            names.extend(printed.lines().map(|name| format!("{list} {name}")));
        }
        names.sort();
        names
    }

    #[tokio::test]
    async fn workers_on_rabbitmq_are_counted() {
        let mut rabbit = server::RabbitMq::start().await.unwrap();
        let check = pings(&rabbit.url(), json!({}));
        let outcome = look(&check).await;
        assert_eq!(outcome.state, State::Unknown, "{outcome:?}");
        let wrong = pings(&rabbit.url().replace("secret", "wrong"), json!({}));
        assert_eq!(
            look(&wrong).await.message,
            "it refuses the user or the password (403)"
        );

        let worker = server::Celery::start("w1", &rabbit.url(), &[])
            .await
            .unwrap();
        let before = listed(&rabbit).await;
        let outcome = becomes(&check, State::Ok).await;
        assert_eq!(
            (&outcome.metadata["workers"], &outcome.metadata["names"]),
            (&json!(1), &json!(["w1@fixture"]))
        );
        let cost = cost(&check).await;
        println!("a ping over RabbitMQ takes {cost:?} of processor time");
        assert!(cost < Duration::from_millis(5), "{cost:?}");
        assert_eq!(listed(&rabbit).await, before);
        worker.pause().await.unwrap();
        hangs(&check).await;
        assert_eq!(look(&check).await.state, State::Unknown);
        wait::until("the queues for replies to go", wait::PATIENCE, || async {
            (listed(&rabbit).await == before).then_some(())
        })
        .await
        .unwrap();
        worker.resume().unwrap();
        becomes(&check, State::Ok).await;
        hangs_and_dies(&mut rabbit, &check).await;
    }

    async fn hangs_and_dies(rabbit: &mut server::RabbitMq, check: &Arc<dyn Check>) {
        rabbit.pause().await.expect("a server");
        hangs(check).await;
        rabbit.resume().expect("a server");
        becomes(check, State::Ok).await;
        rabbit.stop().await.expect("a server");
        assert_eq!(look(check).await.message, NOBODY);
        rabbit.start().await.expect("a server");
        becomes(check, State::Ok).await;
    }
}
