//! How many messages a group of consumers has not read yet.

use std::collections::BTreeMap;

use super::Kafka;
use super::cluster::{self, Cluster};
use super::connection::Connection;
use crate::Outcome;
use crate::probe::trouble::Trouble;

impl Kafka {
    /// Judges the lag of `group` on `topic`.
    pub(super) async fn lag(
        &self,
        connection: &mut Connection,
        cluster: &Cluster,
        group: &str,
        topic: &str,
    ) -> Result<Outcome, Trouble> {
        let Some(asked) = cluster.topics.iter().find(|known| known.name == topic) else {
            return Err(Trouble::Foreign);
        };
        let access = connection.access.clone();
        let coordinator = cluster::coordinator(connection, group).await?;
        let mut elsewhere = access.follow(&coordinator.host, coordinator.port).await?;
        let read: BTreeMap<i32, i64> = cluster::committed(&mut elsewhere, group, asked)
            .await?
            .into_iter()
            .collect();
        drop(elsewhere);
        let partitions = asked.leaders.len();
        if read.is_empty() {
            let message = format!("`{group}` has read nothing of `{topic}` yet");
            return Ok(Outcome::unknown(message).with("partitions", partitions));
        }
        let mut leaders: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
        for (partition, leader) in &asked.leaders {
            if read.contains_key(partition) {
                leaders.entry(*leader).or_default().push(*partition);
            }
        }
        let mut lag: u64 = 0;
        for (leader, partitions) in leaders {
            let broker = cluster.broker(leader).ok_or_else(nobody)?;
            let mut elsewhere = access.follow(&broker.host, broker.port).await?;
            for (partition, end) in cluster::ends(&mut elsewhere, topic, &partitions).await? {
                let behind = read
                    .get(&partition)
                    .map_or(0, |read| end.saturating_sub(*read));
                lag = lag.saturating_add(u64::try_from(behind).unwrap_or(0));
            }
        }
        let message = format!("`{group}` is {lag} messages behind on `{topic}`");
        let outcome = self.limits.judge(lag, message);
        Ok(outcome
            .with("lag", lag)
            .with("partitions", partitions)
            .with(
                "partitions_never_read",
                partitions.saturating_sub(read.len()),
            ))
    }
}

fn nobody() -> Trouble {
    Trouble::says("the leader of a partition is none of the brokers")
}
