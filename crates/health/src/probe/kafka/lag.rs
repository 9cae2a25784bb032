//! How many messages a group of consumers has not read yet.

use std::collections::BTreeMap;

use super::cluster::{self, Broker, Cluster};
use super::connection::Connection;
use super::{Answers, Trouble};
use crate::Outcome;

impl Answers {
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
        let coordinator = cluster::coordinator(connection, group).await?;
        let mut elsewhere = self.go(&coordinator).await?;
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
            let mut elsewhere = self.go(broker).await?;
            for (partition, end) in cluster::ends(&mut elsewhere, topic, &partitions).await? {
                let behind = read
                    .get(&partition)
                    .map_or(0, |read| end.saturating_sub(*read));
                lag = lag.saturating_add(u64::try_from(behind).unwrap_or(0));
            }
        }
        let outcome = self.judge(group, topic, lag);
        Ok(outcome
            .with("lag", lag)
            .with("partitions", partitions)
            .with(
                "partitions_never_read",
                partitions.saturating_sub(read.len()),
            ))
    }

    fn judge(&self, group: &str, topic: &str, lag: u64) -> Outcome {
        let (warn, fail) = (self.options.warn, self.options.fail);
        let message = format!("`{group}` is {lag} messages behind on `{topic}`");
        if lag > fail {
            Outcome::unhealthy(format!("{message}, the limit is {fail}"))
        } else if lag > warn {
            Outcome::degraded(format!("{message}, the limit is {warn}"))
        } else {
            Outcome::healthy(message)
        }
    }

    /// Connects to a broker that another one named. Nobody may send us to where no check may go.
    async fn go(&self, broker: &Broker) -> Result<Connection, Trouble> {
        let Broker { host, port, .. } = broker;
        let allowed = self.options.may_go(host, *port, &self.own);
        if !allowed {
            return Err(Trouble::Says(
                "a broker names an address where no check may go".to_owned(),
            ));
        }
        Connection::open(host, *port, &self.security, self.login.as_ref()).await
    }
}

fn nobody() -> Trouble {
    Trouble::Says("the leader of a partition is none of the brokers".to_owned())
}
