//! The check `celery` against real workers on Redis and on RabbitMQ, and against what is no broker.

mod broker;

use std::time::Duration;

use broker::{becomes, check, faults, look, misbehaving, run};
use seaworthy_core::health::State;
use seaworthy_health::probe::celery::Celery;
use serde_json::json;

#[tokio::test]
async fn what_is_no_redis_is_said_so() {
    misbehaving(|address| check::<Celery>(json!({ "broker": format!("redis://{address}/0") })))
        .await;
}

#[tokio::test]
async fn what_is_no_rabbitmq_is_said_so() {
    misbehaving(|address| check::<Celery>(json!({ "broker": format!("amqp://{address}/") }))).await;
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
        assert_eq!(faults::<Celery>(options), [option]);
    }
}

/// Processor time of this thread, which drives the whole check.
fn processor() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("Linux");
    let spent = stat.split(' ').next().and_then(|field| field.parse().ok());
    Duration::from_nanos(spent.expect("a number"))
}

/// What a ping costs, on average.
async fn cost(check: &dyn seaworthy_health::Check) -> Duration {
    const PINGS: u32 = 100;
    let before = processor();
    for _ in 0..PINGS {
        look(check).await;
    }
    (processor() - before) / PINGS
}

mod real {
    use super::*;
    use seaworthy_health::Check;
    use seaworthy_testkit::{server, wait};
    use serde_json::Value;
    use std::sync::Arc;

    fn pings(url: &str, more: Value) -> Arc<dyn Check> {
        let mut options = json!({ "broker": url });
        for (key, value) in more.as_object().expect("options") {
            options[key] = value.clone();
        }
        check::<Celery>(options)
    }

    /// The keys in Redis that have to do with replies.
    async fn replies(redis: &server::RedisBroker) -> String {
        let keys = redis.cli(&["KEYS", "*"]).await.expect("keys");
        let left = keys.lines().filter(|key| key.contains("reply"));
        left.collect::<Vec<_>>().join("\n")
    }

    #[tokio::test]
    async fn workers_on_redis_are_counted() {
        let redis = server::RedisBroker::start().await.unwrap();
        let one = pings(&redis.url(), json!({}));
        let outcome = look(&*one).await;
        assert_eq!(outcome.state, State::Unknown);
        assert_eq!(outcome.message, "no worker answered within 1s");
        assert_eq!(outcome.metadata["workers"], 0);

        let _first = server::Celery::start("w1", &redis.url(), &[])
            .await
            .unwrap();
        let outcome = becomes(&*one, State::Ok).await;
        assert_eq!(outcome.message, "1 worker");
        assert_eq!(
            (&outcome.metadata["workers"], &outcome.metadata["names"]),
            (&json!(1), &json!(["w1@fixture"]))
        );
        let two = pings(&redis.url(), json!({ "min_workers": 2 }));
        let outcome = becomes(&*two, State::Fail).await;
        assert_eq!(outcome.message, "1 worker, at least 2 are wanted");

        let second = server::Celery::start("w2", &redis.url(), &[("SERIALIZER", "pickle")])
            .await
            .unwrap();
        let outcome = becomes(&*two, State::Ok).await;
        assert_eq!(
            outcome.message, "2 workers",
            "one of them replies in pickle"
        );
        let seen = wait::until(
            "both in a check that wants one",
            broker::PATIENT,
            || async {
                let outcome = look(&*one).await;
                (outcome.metadata["workers"] == 2).then_some(outcome)
            },
        );
        seen.await.unwrap();
        let cost = cost(&*one).await;
        println!("a ping over Redis takes {cost:?} of processor time");
        assert!(cost < Duration::from_millis(5), "{cost:?}");
        drop(second);
        becomes(&*two, State::Fail).await;
        assert_eq!(replies(&redis).await, "");
        let clients = redis.cli(&["CLIENT", "LIST"]).await.unwrap();
        assert_eq!(
            clients.matches("cmd=del").count(),
            2,
            "one for each check: {clients}"
        );
    }

    #[tokio::test]
    async fn a_run_that_is_cut_short_leaves_no_key_and_late_replies_neither() {
        let redis = server::RedisBroker::start().await.unwrap();
        let worker = server::Celery::start("w1", &redis.url(), &[])
            .await
            .unwrap();
        let check = pings(&redis.url(), json!({}));
        becomes(&*check, State::Ok).await;
        worker.pause().await.unwrap();
        for _ in 0..3 {
            assert_eq!(
                run(&*check, Duration::from_millis(100)).await.state,
                State::TimedOut
            );
        }
        wait::until("no key for replies", broker::PATIENT, || async {
            replies(&redis).await.is_empty().then_some(())
        })
        .await
        .unwrap();
        let outcome = look(&*check).await;
        assert_eq!(outcome.state, State::Unknown, "{outcome:?}");
        worker.resume().unwrap();
        // It answers the old questions before the new one.
        let outcome = becomes(&*check, State::Ok).await;
        assert_eq!(outcome.metadata["workers"], 1);
        assert_eq!(replies(&redis).await, "");
    }

    #[tokio::test]
    async fn redis_is_seen_to_hang_to_die_and_to_come_back() {
        let mut redis = server::RedisBroker::start().await.unwrap();
        let wrong = pings(&redis.url().replace("secret", "wrong"), json!({}));
        let outcome = look(&*wrong).await;
        assert_eq!(outcome.state, State::Fail);
        assert_eq!(
            outcome.message,
            "it refuses the user or the password (WRONGPASS)"
        );
        let nobody = pings(&redis.url().replace(":secret@", ""), json!({}));
        assert_eq!(look(&*nobody).await.message, "it wants a password (NOAUTH)");

        let url = format!("rediss://:secret@{}/3", redis.tls);
        let secured = pings(&url, json!({ "wait": "50ms", "ca": redis.ca }));
        assert_eq!(
            look(&*secured).await.state,
            State::Unknown,
            "nobody is there"
        );
        let untrusting = look(&*pings(&url, json!({}))).await;
        assert!(
            untrusting
                .message
                .starts_with("its certificate is signed by nobody known"),
            "{untrusting:?}"
        );

        let env = [("KEYPREFIX", "shop:")];
        let _worker = server::Celery::start("w1", &redis.url(), &env)
            .await
            .unwrap();
        let other = pings(&redis.url(), json!({ "wait": "200ms" }));
        assert_eq!(look(&*other).await.state, State::Unknown);
        let check = pings(&redis.url(), json!({ "global_keyprefix": "shop:" }));
        becomes(&*check, State::Ok).await;

        redis.pause().await.unwrap();
        assert_eq!(run(&*check, broker::IMPATIENT).await.state, State::TimedOut);
        redis.resume().unwrap();
        becomes(&*check, State::Ok).await;
        assert_eq!(replies(&redis).await, "");
        redis.stop().await.unwrap();
        let outcome = look(&*check).await;
        assert_eq!(outcome.state, State::Fail);
        assert_eq!(
            outcome.message,
            "nothing listens there (connection refused)"
        );
        redis.restart().await.unwrap();
        becomes(&*check, State::Ok).await;
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
        let outcome = look(&*check).await;
        assert_eq!(outcome.state, State::Unknown, "{outcome:?}");
        let wrong = pings(&rabbit.url().replace("secret", "wrong"), json!({}));
        assert_eq!(
            look(&*wrong).await.message,
            "it refuses the user or the password (403)"
        );

        let worker = server::Celery::start("w1", &rabbit.url(), &[])
            .await
            .unwrap();
        let before = listed(&rabbit).await;
        let outcome = becomes(&*check, State::Ok).await;
        assert_eq!(
            (&outcome.metadata["workers"], &outcome.metadata["names"]),
            (&json!(1), &json!(["w1@fixture"]))
        );
        let cost = cost(&*check).await;
        println!("a ping over RabbitMQ takes {cost:?} of processor time");
        assert!(cost < Duration::from_millis(5), "{cost:?}");
        assert_eq!(listed(&rabbit).await, before);
        worker.pause().await.unwrap();
        for _ in 0..3 {
            assert_eq!(
                run(&*check, Duration::from_millis(100)).await.state,
                State::TimedOut
            );
        }
        assert_eq!(look(&*check).await.state, State::Unknown);
        wait::until("the queues for replies to go", broker::PATIENT, || async {
            (listed(&rabbit).await == before).then_some(())
        })
        .await
        .unwrap();
        worker.resume().unwrap();
        becomes(&*check, State::Ok).await;
        hangs_and_dies(&mut rabbit, &*check).await;
    }

    async fn hangs_and_dies(rabbit: &mut server::RabbitMq, check: &dyn Check) {
        rabbit.pause().await.expect("a server");
        assert_eq!(run(check, broker::IMPATIENT).await.state, State::TimedOut);
        rabbit.resume().expect("a server");
        becomes(check, State::Ok).await;
        rabbit.stop().await.expect("a server");
        assert_eq!(
            look(check).await.message,
            "nothing listens there (connection refused)"
        );
        rabbit.restart().await.expect("a server");
        becomes(check, State::Ok).await;
    }
}
