//! A topic of Kafka as a log, against Apache Kafka.

use std::sync::Arc;

use seaworthy_health::probe::kafka::{Bootstrap, Log};
use seaworthy_testkit::server::Kafka;

fn log(kafka: &Kafka, topic: &str) -> Log {
    let list = [kafka.address().to_string()];
    Log::new(Arc::new(Bootstrap::new(&list, None, false, None)), topic)
}

async fn read(log: &mut Log) -> Vec<(String, usize)> {
    let records = log.read().await.expect("Kafka");
    let shown = records.into_iter().map(|record| {
        let key = String::from_utf8(record.key).expect("a text");
        (key, record.value.map_or(0, |value| value.len()))
    });
    shown.collect()
}

mod real {
    use super::*;

    #[tokio::test]
    async fn what_others_wrote_does_not_stop_a_reader() {
        let kafka = Kafka::start().await.expect("Kafka");
        what_is_too_long_or_compressed_is_left_out(&kafka).await;
        what_a_transaction_gave_up_is_not_read(&kafka).await;
        a_topic_of_more_partitions_is_refused(&kafka).await;
        a_topic_that_is_made_anew_is_read_anew(&kafka).await;
        a_pile_is_read_at_once(&kafka).await;
    }

    async fn what_is_too_long_or_compressed_is_left_out(kafka: &Kafka) {
        let settings = ["max.message.bytes=100000000"];
        kafka
            .create_with("mixed", 1, &settings)
            .await
            .expect("Kafka");
        let mut log = log(kafka, "mixed");
        for (key, length, compression) in [
            ("a", 1, "none"),
            ("two", 2 << 20, "none"),
            ("b", 1 << 20, "none"),
            ("fifty", 50 << 20, "none"),
            ("c", 3, "none"),
            ("zip", 1000, "gzip"),
        ] {
            let sent = kafka.send("mixed", key, length, compression).await;
            sent.expect("Kafka");
        }
        let all = [
            ("a".to_owned(), 1),
            ("b".to_owned(), 1 << 20),
            ("c".to_owned(), 3),
        ];
        assert_eq!(read(&mut log).await, all);
        let skipped = log.skipped().expect("something was left out");
        assert!(skipped.why.starts_with("it is compressed"), "{skipped:?}");
        assert_eq!(log.skipped(), None);
        log.append(b"d", b"4444").await.expect("Kafka");
        assert_eq!(read(&mut log).await, [("d".to_owned(), 4)]);
        assert_eq!(read(&mut log).await, []);
    }

    async fn what_a_transaction_gave_up_is_not_read(kafka: &Kafka) {
        kafka.create("undone", 1).await.expect("Kafka");
        kafka.undo("undone", "k").await.expect("Kafka");
        let mut log = log(kafka, "undone");
        log.append(b"after", b"").await.expect("Kafka");
        let all = [("k".to_owned(), 4), ("after".to_owned(), 0)];
        assert_eq!(read(&mut log).await, all);
    }

    async fn a_topic_of_more_partitions_is_refused(kafka: &Kafka) {
        kafka.create("wide", 3).await.expect("Kafka");
        let error = log(kafka, "wide").read().await.expect_err("it is refused");
        assert!(error.contains("has 3 partitions"), "{error}");
        let error = log(kafka, "no topic")
            .read()
            .await
            .expect_err("it is refused");
        assert!(error.contains("no name of a topic (17)"), "{error}");
    }

    async fn a_topic_that_is_made_anew_is_read_anew(kafka: &Kafka) {
        let mut log = log(kafka, "anew");
        assert_eq!(read(&mut log).await, []);
        let error = log.append(b"a", b"").await.expect_err("it is refused");
        assert!(error.starts_with("there is no topic `anew`"), "{error}");
        log.make().await.expect("Kafka");
        for key in [b"a", b"b"] {
            log.append(key, b"").await.expect("Kafka");
        }
        assert_eq!(read(&mut log).await.len(), 2);
        kafka.delete("anew").await.expect("Kafka");
        let gone = seaworthy_testkit::wait::until(
            "the topic to go",
            seaworthy_testkit::wait::PATIENCE,
            async || {
                kafka
                    .topics()
                    .await
                    .ok()
                    .filter(|topics| !topics.contains(&"anew".to_owned()))
            },
        );
        gone.await.expect("it goes");
        kafka.create("anew", 1).await.expect("Kafka");
        kafka.send("anew", "c", 1, "none").await.expect("Kafka");
        assert_eq!(read(&mut log).await, [("c".to_owned(), 1)]);
    }

    /// More than what one request asks for.
    async fn a_pile_is_read_at_once(kafka: &Kafka) {
        let (mut writer, mut reader) = (log(kafka, "pile"), log(kafka, "pile"));
        writer.make().await.expect("Kafka");
        let value = vec![b'x'; 100_000];
        for number in 0..50 {
            let key = format!("{number}");
            writer.append(key.as_bytes(), &value).await.expect("Kafka");
        }
        let all: Vec<_> = (0..50).map(|n| (n.to_string(), value.len())).collect();
        assert_eq!(read(&mut reader).await, all);
    }
}
