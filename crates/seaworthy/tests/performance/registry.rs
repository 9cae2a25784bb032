//! How long a version of the registry takes to reach many instances.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use seaworthy::config::registry::KafkaRegistry;
use seaworthy::registry::{KafkaLog, Log, Publisher, Wish};
use seaworthy_config::registry::{Ack, Fold, Outcome, Trust};
use seaworthy_testkit::Result;
use seaworthy_testkit::server::Kafka;
use serde_json::json;
use tokio::task::JoinSet;

const INSTANCES: usize = 50;
/// How often an instance looks, as `registry.interval` has it.
const LOOK: Duration = Duration::from_millis(250);

fn log(kafka: &Kafka) -> Log {
    let section = KafkaRegistry {
        bootstrap: vec![kafka.address().to_string()],
        ..KafkaRegistry::default()
    };
    Log::Kafka(Box::new(KafkaLog::new(&section, "production")))
}

/// What an instance does with its log; taking a version in is left out, because it has a figure of its own.
async fn follow(mut log: Log, name: String) {
    let mut fold = Fold::new("production", Trust::default());
    let mut said = None;
    loop {
        for text in log.news().await.unwrap_or_default() {
            fold.take(&text);
        }
        if said != Some(fold.sequence()) {
            let ack = Ack {
                instance: name.clone(),
                environment: "production".to_owned(),
                sequence: fold.sequence(),
                version: fold.latest().map(|latest| latest.content.version),
                result: Outcome::Success,
                error: None,
                at: jiff::Timestamp::now().to_string(),
                hash: String::new(),
                generation: 1,
                requests: 0,
                failed: 0,
                total_ms: 0.0,
            };
            let text = serde_json::to_string(&ack).unwrap_or_default();
            if log.acknowledge(&name, &text).await.is_ok() {
                said = Some(fold.sequence());
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_reaches_fifty_instances_over_kafka() -> Result<()> {
    let kafka = Kafka::start().await?;
    for topic in ["config_updates", "config_acks"] {
        kafka.create(topic, 1).await?;
    }
    let mut instances = JoinSet::new();
    for number in 0..INSTANCES {
        instances.spawn(follow(log(&kafka), format!("i{number}")));
    }
    let fold = Fold::new("production", Trust::default());
    let mut publisher = Publisher::new(log(&kafka), fold, None, |_| {});
    while publisher.members().await?.len() < INSTANCES {
        tokio::time::sleep(LOOK).await;
    }
    let mut times = Vec::new();
    for round in 0..10 {
        let wish = Wish {
            set: BTreeMap::from([(
                "limits.response_timeout".to_owned(),
                json!(format!("{}s", round + 1)),
            )]),
            ack_timeout: Duration::from_secs(30),
            waits: true,
            ..Wish::default()
        };
        let began = Instant::now();
        let record = publisher.publish(&wish).await?;
        times.push(began.elapsed().as_secs_f64());
        assert_eq!(record.rollout.version, round + 1);
    }
    times.sort_by(f64::total_cmp);
    eprintln!(
        "{INSTANCES} instances over Kafka, 10 versions: published, taken and acknowledged by all after {:.2} s (median), {:.2} s (slowest)",
        times[times.len() / 2],
        times[times.len() - 1],
    );
    instances.shutdown().await;
    Ok(())
}
