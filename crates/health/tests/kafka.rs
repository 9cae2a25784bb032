//! The check `kafka` against Apache Kafka, and against what is none.

mod looking;

use looking::{becomes, check, faults, follows, look, probe, shows, survives_rude_peers};
use seaworthy_core::health::State;
use seaworthy_health::probe::kafka::Kafka;
use serde_json::json;

#[tokio::test]
async fn what_is_no_kafka_is_said_so() {
    survives_rude_peers(
        |address| check::<Kafka>(json!({ "bootstrap": [address.to_string()] })),
        "does not speak Kafka",
    )
    .await;
}

#[test]
fn options_that_cannot_be_meant_are_refused() {
    for (options, option) in [
        (json!({ "bootstrap": [] }), "bootstrap"),
        (json!({ "bootstrap": ["kafka"] }), "bootstrap"),
        (json!({ "bootstrap": ["a:9092,b"] }), "bootstrap"),
        (json!({ "bootstrap": ["169.254.169.254:80"] }), "bootstrap"),
        (
            json!({ "bootstrap": ["user:hunter2@kafka:9092"] }),
            "bootstrap",
        ),
        (json!({ "bootstrap": ["a:1"], "topics": [""] }), "topics"),
        (json!({ "bootstrap": ["a:1"], "group": "g" }), "topic"),
        (json!({ "bootstrap": ["a:1"], "topic": "t" }), "group"),
        (json!({ "bootstrap": ["a:1"], "user": "u" }), "password"),
        (
            json!({ "bootstrap": ["a:1"], "warn": 2, "fail": 1 }),
            "warn",
        ),
    ] {
        assert_eq!(faults(&probe::<Kafka>(options)), [option]);
    }
}

#[test]
fn a_password_is_never_shown() {
    let options = json!({ "bootstrap": ["a:1"], "user": "u", "password": "hunter2" });
    let kafka: Kafka = serde_json::from_value(options).unwrap();
    for shown in [format!("{kafka:?}"), serde_json::to_string(&kafka).unwrap()] {
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

mod real {
    use super::*;
    use seaworthy_testkit::server;
    use serde_json::Value;

    fn with(kafka: &server::Kafka, more: Value) -> std::sync::Arc<dyn seaworthy_health::Check> {
        let mut options = json!({ "bootstrap": [kafka.address().to_string()] });
        for (key, value) in more.as_object().expect("options") {
            options[key] = value.clone();
        }
        check::<Kafka>(options)
    }

    #[tokio::test]
    async fn it_tells_of_brokers_topics_and_lag() {
        let kafka = server::Kafka::start().await.unwrap();
        let nobody = seaworthy_testkit::address::free().unwrap();
        let listed = format!("{nobody}, {}", kafka.address());
        let up = check::<Kafka>(json!({ "bootstrap": [listed] }));
        for _ in 0..3 {
            let outcome = shows(&up, State::Ok, "it knows of 1 broker").await;
            assert_eq!(
                (
                    &outcome.metadata["brokers"],
                    &outcome.metadata["controller"]
                ),
                (&json!(1), &json!(1))
            );
        }
        topics(&kafka).await;
        lag(&kafka).await;
        login(&kafka).await;
        tls(&kafka).await;
    }

    async fn topics(kafka: &server::Kafka) {
        let wanted = with(kafka, json!({ "topics": ["config_updates"] }));
        for _ in 0..2 {
            let outcome = shows(
                &wanted,
                State::Fail,
                "there is no topic `config_updates` (3)",
            )
            .await;
            assert_eq!(outcome.metadata["brokers"], 1);
        }
        assert_eq!(
            kafka.topics().await.expect("Kafka"),
            [""; 0],
            "asking makes no topic"
        );
        kafka.create("config_updates", 3).await.expect("Kafka");
        becomes(&wanted, State::Ok).await;
    }

    async fn lag(kafka: &server::Kafka) {
        let judged = |warn: u32, fail: u32| {
            let more =
                json!({ "group": "shop", "topic": "config_updates", "warn": warn, "fail": fail });
            with(kafka, more)
        };
        kafka.produce("config_updates", 5).await.expect("Kafka");
        let unread = judged(1, 2);
        let outcome = becomes(&unread, State::Unknown).await;
        assert_eq!(
            outcome.message,
            "`shop` has read nothing of `config_updates` yet"
        );
        kafka
            .commit("shop", "config_updates", 2)
            .await
            .expect("Kafka");
        let outcome = shows(
            &unread,
            State::Fail,
            "`shop` is 3 messages behind on `config_updates`, the limit is 2",
        )
        .await;
        assert_eq!(
            (
                &outcome.metadata["lag"],
                &outcome.metadata["partitions_never_read"]
            ),
            (&json!(3), &json!(2))
        );
        assert_eq!(look(&judged(2, 3)).await.state, State::Warn);
        assert_eq!(look(&judged(3, 3)).await.state, State::Ok);
    }

    async fn login(kafka: &server::Kafka) {
        let at = json!([kafka.sasl.to_string()]);
        let outcome = look(&with(kafka, json!({ "bootstrap": at }))).await;
        assert_eq!(
            outcome.message,
            "it ended the connection; it may want a user and a password"
        );
        let with_password = |password: &str| {
            let more = json!({ "bootstrap": at, "user": "shop", "password": password });
            with(kafka, more)
        };
        shows(
            &with_password("wrong"),
            State::Fail,
            "it refuses the user or the password (58)",
        )
        .await;
        let outcome = look(&with_password("secret")).await;
        assert_eq!(outcome.state, State::Ok, "{outcome:?}");
        let plain = with(kafka, json!({ "user": "shop", "password": "secret" }));
        let outcome = look(&plain).await;
        assert_eq!(outcome.state, State::Fail, "{outcome:?}");
    }

    async fn tls(kafka: &server::Kafka) {
        let at = json!([kafka.tls.to_string()]);
        let trusting = with(
            kafka,
            json!({ "bootstrap": at, "tls": true, "ca": kafka.ca() }),
        );
        let outcome = look(&trusting).await;
        assert_eq!(outcome.state, State::Ok, "{outcome:?}");
        let outcome = look(&with(kafka, json!({ "bootstrap": at, "tls": true }))).await;
        assert_eq!(outcome.state, State::Fail);
        assert!(
            outcome
                .message
                .starts_with("its certificate is signed by nobody known"),
            "{outcome:?}"
        );
        let crossed = look(&with(kafka, json!({ "bootstrap": at }))).await;
        assert_eq!(crossed.state, State::Fail, "{crossed:?}");
    }

    #[tokio::test]
    async fn it_is_seen_to_hang_to_die_and_to_come_back() {
        let mut kafka = server::Kafka::start().await.unwrap();
        let check = with(&kafka, json!({}));
        follows(&check, &mut kafka).await;
    }
}
