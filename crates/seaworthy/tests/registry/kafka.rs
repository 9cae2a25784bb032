use std::net::SocketAddr;
use std::time::{Duration, Instant};

use seaworthy::config::registry::KafkaRegistry;
use seaworthy::registry::{KafkaLog, Log};
use seaworthy_config::Secret;
use seaworthy_testkit::server::{Kafka, Mode};

use crate::contract;

fn section(address: SocketAddr) -> KafkaRegistry {
    KafkaRegistry {
        bootstrap: vec![address.to_string()],
        ..KafkaRegistry::default()
    }
}

#[tokio::test]
async fn nobody_listens_and_that_is_said() {
    let nobody = seaworthy_testkit::address::free().expect("a port");
    let mut log = KafkaLog::new(&section(nobody), "test");
    let error = log.news().await.unwrap_err();
    let wanted =
        format!("the registry in Kafka at {nobody}: nothing listens there (connection refused)");
    assert_eq!(error.to_string(), wanted);
}

mod real {
    use super::*;

    #[tokio::test]
    async fn it_keeps_the_contract_however_one_gets_in() {
        let kafka = Kafka::start().await.expect("Kafka");
        let plain = section(kafka.address());
        contract::holds(|environment| Log::Kafka(Box::new(KafkaLog::new(&plain, environment))))
            .await;

        let sasl = KafkaRegistry {
            user: Some("shop".to_owned()),
            password: Some(Secret::new("secret")),
            ..section(kafka.sasl)
        };
        let tls = KafkaRegistry {
            tls: true,
            ca: Some(kafka.ca()),
            ..section(kafka.tls)
        };
        for (name, section) in [("sasl", sasl), ("tls", tls)] {
            let mut log = KafkaLog::new(&section, name);
            log.append("in").await.expect("Kafka");
            assert_eq!(log.news().await.expect("Kafka"), ["in"]);
            log.acknowledge("a", "yes").await.expect("Kafka");
            assert_eq!(log.acks().await.expect("Kafka"), ["yes"]);
        }
        let mut nobody = KafkaLog::new(&section(kafka.sasl), "test");
        let error = nobody.news().await.unwrap_err();
        assert!(
            error.to_string().contains("a user and a password"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn followers_make_no_topics() {
        let kafka = Kafka::start().await.expect("Kafka");
        let mut follower = KafkaLog::new(&section(kafka.address()), "test");
        assert_eq!(follower.news().await.expect("Kafka"), [""; 0]);
        let error = follower.acknowledge("a", "yes").await.unwrap_err();
        assert!(
            error
                .to_string()
                .contains("there is no topic `config_acks`"),
            "{error}"
        );
        assert_eq!(kafka.topics().await.expect("Kafka"), [""; 0]);
        let mut publisher = KafkaLog::new(&section(kafka.address()), "test");
        publisher.append("one").await.expect("Kafka");
        follower.acknowledge("a", "yes").await.expect("Kafka");
        assert_eq!(follower.news().await.expect("Kafka"), ["one"]);
    }

    #[tokio::test]
    async fn it_goes_on_when_the_broker_is_back() {
        let kafka = Kafka::start().await.expect("Kafka");
        let mut log = KafkaLog::new(&section(kafka.gap.address()), "test");
        log.append("one").await.expect("Kafka");
        assert_eq!(log.news().await.expect("Kafka"), ["one"]);
        for (mode, word) in [(Mode::Refuse, "connection"), (Mode::Silent, "within 5 s")] {
            kafka.gap.set(mode).await.expect("a gap");
            // The first may find the connection ended that it had.
            for _ in 0..2 {
                let begun = Instant::now();
                let error = log.news().await.unwrap_err();
                assert!(error.to_string().contains(word), "{error}");
                assert!(begun.elapsed() < Duration::from_secs(8), "{error}");
            }
            log.append("lost").await.unwrap_err();
            kafka.gap.set(Mode::Pass).await.expect("a gap");
            log.append(word).await.expect("Kafka");
            // What was said into the silence may have arrived later.
            let mut news = log.news().await.expect("Kafka");
            news.retain(|text| text != "lost");
            assert_eq!(news, [word]);
        }
    }
}
