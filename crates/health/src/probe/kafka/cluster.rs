//! What a broker tells about the cluster, and about what a group of consumers has not read yet.

use super::super::socket::Trouble;
use super::connection::{Connection, FIND_COORDINATOR, LIST_OFFSETS, METADATA, OFFSET_FETCH};
use super::wire::{Reader, Writer};

/// Where a broker is.
#[derive(Clone, Debug)]
pub(super) struct Broker {
    pub(super) id: i32,
    pub(super) host: String,
    pub(super) port: u16,
}

fn broker(reader: &mut Reader<'_>) -> Result<Broker, Trouble> {
    Ok(Broker {
        id: reader.int()?,
        host: reader.text()?.to_owned(),
        port: u16::try_from(reader.int()?).unwrap_or(0),
    })
}

/// A topic with its partitions and their leaders; a leader below 0 is none.
#[derive(Clone, Debug)]
pub(super) struct Topic {
    pub(super) error: i16,
    pub(super) name: String,
    pub(super) leaders: Vec<(i32, i32)>,
}

/// The cluster as one broker sees it.
#[derive(Clone, Debug)]
pub(super) struct Cluster {
    pub(super) brokers: Vec<Broker>,
    pub(super) controller: i32,
    pub(super) topics: Vec<Topic>,
}

impl Cluster {
    /// Asks for the brokers and for `topics`, and for no others.
    pub(super) async fn ask(connection: &mut Connection, topics: &[&str]) -> Result<Self, Trouble> {
        // The last byte forbids to make topics that do not exist.
        let request = Writer::default()
            .list(topics, |written, topic| written.text(topic))
            .octet(0);
        let answer = connection.ask(METADATA, request).await?;
        let mut answer = Reader(&answer);
        answer.int()?;
        let brokers = answer.list(|one| {
            let broker = broker(one)?;
            one.text()?;
            Ok(broker)
        })?;
        answer.text()?;
        let controller = answer.int()?;
        let topics = answer.list(|one| {
            let (error, name) = (one.short()?, one.text()?.to_owned());
            one.octet()?;
            let leaders = one.list(|partition| {
                partition.short()?;
                let leader = (partition.int()?, partition.int()?);
                partition.list(Reader::int)?;
                partition.list(Reader::int)?;
                Ok(leader)
            })?;
            Ok(Topic {
                error,
                name,
                leaders,
            })
        })?;
        Ok(Self {
            brokers,
            controller,
            topics,
        })
    }

    /// The broker with this number.
    pub(super) fn broker(&self, id: i32) -> Option<&Broker> {
        self.brokers.iter().find(|broker| broker.id == id)
    }
}

/// The broker that knows `group`.
pub(super) async fn coordinator(
    connection: &mut Connection,
    group: &str,
) -> Result<Broker, Trouble> {
    let request = Writer::default().text(group).octet(0);
    let answer = connection.ask(FIND_COORDINATOR, request).await?;
    let mut answer = Reader(&answer);
    answer.int()?;
    let error = answer.short()?;
    answer.text()?;
    if error != 0 {
        return Err(Trouble::Says(about_group(error)));
    }
    broker(&mut answer)
}

/// Up to where `group` has read each partition; one that it never read is left out.
pub(super) async fn committed(
    connection: &mut Connection,
    group: &str,
    topic: &Topic,
) -> Result<Vec<(i32, i64)>, Trouble> {
    let request = Writer::default()
        .text(group)
        .list(&[topic], |written, topic| {
            let named = written.text(&topic.name);
            named.list(&topic.leaders, |written, (partition, _)| {
                written.int(*partition)
            })
        });
    let answer = connection.ask(OFFSET_FETCH, request).await?;
    let mut answer = Reader(&answer);
    answer.int()?;
    let topics = answer.list(|one| {
        one.text()?;
        one.list(|partition| {
            let read = (partition.int()?, partition.long()?);
            partition.text()?;
            partition.short()?;
            Ok(read)
        })
    })?;
    let error = answer.short()?;
    if error != 0 {
        return Err(Trouble::Says(about_group(error)));
    }
    let read = topics.into_iter().flatten();
    Ok(read.filter(|(_, offset)| *offset >= 0).collect())
}

/// Where these partitions end, asked of their leader.
pub(super) async fn ends(
    connection: &mut Connection,
    topic: &str,
    partitions: &[i32],
) -> Result<Vec<(i32, i64)>, Trouble> {
    // No replica asks, and what is not committed yet does not count.
    let request = Writer::default()
        .int(-1)
        .octet(1)
        .list(&[topic], |written, topic| {
            let named = written.text(topic);
            named.list(partitions, |written, partition| {
                written.int(*partition).long(-1)
            })
        });
    let answer = connection.ask(LIST_OFFSETS, request).await?;
    let mut answer = Reader(&answer);
    answer.int()?;
    let topics = answer.list(|one| {
        one.text()?;
        one.list(|partition| {
            let (index, error) = (partition.int()?, partition.short()?);
            partition.long()?;
            Ok((index, error, partition.long()?))
        })
    })?;
    let found: Vec<_> = topics.into_iter().flatten().collect();
    if let Some((_, error, _)) = found.iter().find(|(_, error, _)| *error != 0) {
        return Err(Trouble::Says(format!(
            "the end of `{topic}` is not told ({error})"
        )));
    }
    Ok(found
        .into_iter()
        .map(|(index, _, end)| (index, end))
        .collect())
}

fn about_group(error: i16) -> String {
    match error {
        30 => "the user may not look at the group (30)".to_owned(),
        14..=16 => format!("the coordinator of the group is not ready ({error})"),
        _ => format!("the group is not told about ({error})"),
    }
}
