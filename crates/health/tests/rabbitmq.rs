//! The check `rabbitmq` against RabbitMQ, and against what is none.

mod looking;

use looking::{check, faults, follows, look, probe, says, shows, survives_rude_peers};
use seaworthy_core::health::State;
use seaworthy_health::probe::rabbitmq::RabbitMq;
use serde_json::json;

#[tokio::test]
async fn what_is_no_rabbitmq_is_said_so() {
    survives_rude_peers(
        |address| check::<RabbitMq>(json!({ "url": format!("amqp://{address}/") })),
        "does not speak AMQP",
    )
    .await;
}

#[test]
fn options_that_cannot_be_meant_are_refused() {
    let long = "q".repeat(256);
    for (options, option) in [
        (json!({ "url": "http://rabbit/" }), "url"),
        (json!({ "url": "amqp://169.254.169.254/" }), "url"),
        (json!({ "url": "amqp://rabbit/", "queue": long }), "queue"),
        (json!({ "url": "amqp://rabbit/", "queue": "" }), "queue"),
        (
            json!({ "url": "amqp://rabbit/", "warn": 5, "fail": 4 }),
            "warn",
        ),
    ] {
        assert_eq!(faults(&probe::<RabbitMq>(options)), [option]);
    }
}

mod real {
    use super::*;
    use seaworthy_testkit::server;

    fn to(url: &str) -> std::sync::Arc<dyn seaworthy_health::Check> {
        check::<RabbitMq>(json!({ "url": url }))
    }

    #[tokio::test]
    async fn it_logs_in_and_looks_at_queues() {
        let rabbit = server::RabbitMq::start().await.unwrap();
        let up = to(&rabbit.url());
        for _ in 0..3 {
            let outcome = shows(&up, State::Ok, "it opens the virtual host").await;
            let version = outcome.metadata["version"].as_str().unwrap().to_owned();
            assert!(
                version.starts_with(|c: char| c.is_ascii_digit()),
                "{version}"
            );
        }
        let connections = rabbit.ctl(&["list_connections", "user"]).await.unwrap();
        assert_eq!(connections.matches("shop").count(), 1, "{connections}");

        for (url, message) in [
            (
                rabbit.url().replace("secret", "wrong"),
                "it refuses the user or the password (403)",
            ),
            (
                format!("{}-other", rabbit.url()),
                "there is no such virtual host, or the user may not use it (530)",
            ),
        ] {
            says(&to(&url), message).await;
        }
        queues(&rabbit).await;
        tls(&rabbit).await;
    }

    async fn queues(rabbit: &server::RabbitMq) {
        let queue = |warn: u32, fail: u32| {
            let options =
                json!({ "url": rabbit.url(), "queue": "orders", "warn": warn, "fail": fail });
            check::<RabbitMq>(options)
        };
        let judged = queue(2, 3);
        shows(&judged, State::Fail, "there is no queue `orders` (404)").await;
        rabbit.fill("orders", 2).await.expect("RabbitMQ");
        let outcome = look(&judged).await;
        assert_eq!(outcome.state, State::Ok, "{outcome:?}");
        assert_eq!(outcome.metadata["queue_depth"], 2);
        assert_eq!(outcome.metadata["consumers"], 0);
        rabbit.fill("orders", 1).await.expect("RabbitMQ");
        shows(
            &judged,
            State::Warn,
            "3 messages wait in `orders`, the limit is 2",
        )
        .await;
        rabbit.fill("orders", 1).await.expect("RabbitMQ");
        assert_eq!(look(&judged).await.state, State::Fail);
        let list = rabbit
            .ctl(&["list_queues", "-p", "shop", "name", "messages"])
            .await
            .expect("RabbitMQ");
        assert!(list.contains("orders\t4"), "nothing is taken out: {list}");
    }

    async fn tls(rabbit: &server::RabbitMq) {
        let url = format!("amqps://shop:secret@{}/shop", rabbit.tls);
        let trusting = check::<RabbitMq>(json!({ "url": url, "ca": rabbit.ca() }));
        let outcome = look(&trusting).await;
        assert_eq!(outcome.state, State::Ok, "{outcome:?}");
        let outcome = look(&to(&url)).await;
        assert_eq!(outcome.state, State::Fail);
        assert!(
            outcome
                .message
                .starts_with("its certificate is signed by nobody known"),
            "{outcome:?}"
        );
        let crossed = look(&to(&format!("amqp://shop:secret@{}/shop", rabbit.tls))).await;
        assert_eq!(crossed.state, State::Fail, "{crossed:?}");
    }

    #[tokio::test]
    async fn it_is_seen_to_hang_to_die_and_to_come_back() {
        let mut rabbit = server::RabbitMq::start().await.unwrap();
        let check = to(&rabbit.url());
        follows(&check, &mut rabbit).await;
        let connections = rabbit.ctl(&["list_connections", "user"]).await.unwrap();
        assert_eq!(connections.matches("shop").count(), 1, "{connections}");
    }
}
