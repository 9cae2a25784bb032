//! What a broker tells about the cluster, and about what a group of consumers has not read yet.

use bytes::Buf as _;

use super::connection::{Connection, FIND_COORDINATOR, LIST_OFFSETS, METADATA, OFFSET_FETCH};
use super::wire::{Writer, list, text};
use crate::probe::trouble::Trouble;

/// Where a broker is.
#[derive(Clone, Debug)]
pub(super) struct Broker {
    pub(super) id: i32,
    pub(super) host: String,
    pub(super) port: u16,
}

fn broker(from: &mut &[u8]) -> Result<Broker, Trouble> {
    Ok(Broker {
        id: from.try_get_i32()?,
        host: text(from)?.to_owned(),
        port: u16::try_from(from.try_get_i32()?).unwrap_or(0),
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
    /// Asks for the brokers and for `topics`, and for no others. Topics that do not exist are made if `makes`, by brokers that
    /// make any for whoever asks.
    pub(super) async fn ask(
        connection: &mut Connection,
        topics: &[&str],
        makes: bool,
    ) -> Result<Self, Trouble> {
        let request = Writer::default()
            .list(topics, |written, topic| written.text(topic))
            .octet(makes.into());
        let answer = connection.ask(METADATA, request).await?;
        let mut answer = answer.as_slice();
        answer.try_get_i32()?;
        let brokers = list(&mut answer, |one| {
            let broker = broker(one)?;
            text(one)?;
            Ok(broker)
        })?;
        text(&mut answer)?;
        let controller = answer.try_get_i32()?;
        let topics = list(&mut answer, |one| {
            let (error, name) = (one.try_get_i16()?, text(one)?.to_owned());
            one.try_get_u8()?;
            let leaders = list(one, |partition| {
                partition.try_get_i16()?;
                let leader = (partition.try_get_i32()?, partition.try_get_i32()?);
                list(partition, |replica| Ok(replica.try_get_i32()?))?;
                list(partition, |replica| Ok(replica.try_get_i32()?))?;
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
    let mut answer = answer.as_slice();
    answer.try_get_i32()?;
    let error = answer.try_get_i16()?;
    text(&mut answer)?;
    if error != 0 {
        return Err(Trouble::says(about_group(error)));
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
    let mut answer = answer.as_slice();
    answer.try_get_i32()?;
    let topics = list(&mut answer, |one| {
        text(one)?;
        list(one, |partition| {
            let read = (partition.try_get_i32()?, partition.try_get_i64()?);
            text(partition)?;
            partition.try_get_i16()?;
            Ok(read)
        })
    })?;
    let error = answer.try_get_i16()?;
    if error != 0 {
        return Err(Trouble::says(about_group(error)));
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
    let found = offsets(connection, topic, partitions, END).await?;
    if let Some((_, error, _)) = found.iter().find(|(_, error, _)| *error != 0) {
        return Err(Trouble::says(format!(
            "the end of `{topic}` is not told ({error})"
        )));
    }
    Ok(found
        .into_iter()
        .map(|(index, _, end)| (index, end))
        .collect())
}

/// Where what is kept of a partition begins, asked of its leader, or the number of an error.
pub(super) async fn beginning(
    connection: &mut Connection,
    topic: &str,
    partition: i32,
) -> Result<Result<i64, i16>, Trouble> {
    match offsets(connection, topic, &[partition], BEGINNING).await?[..] {
        [(index, 0, offset)] if index == partition => Ok(Ok(offset)),
        [(index, error, _)] if index == partition => Ok(Err(error)),
        _ => Err(Trouble::Foreign),
    }
}

/// The times that stand for places.
const END: i64 = -1;
const BEGINNING: i64 = -2;

/// Partitions with the number of an error and an offset.
async fn offsets(
    connection: &mut Connection,
    topic: &str,
    partitions: &[i32],
    time: i64,
) -> Result<Vec<(i32, i16, i64)>, Trouble> {
    // No replica asks, and what is not committed yet does not count.
    let request = Writer::default()
        .int(-1)
        .octet(1)
        .list(&[topic], |written, topic| {
            let named = written.text(topic);
            named.list(partitions, |written, partition| {
                written.int(*partition).long(time)
            })
        });
    let answer = connection.ask(LIST_OFFSETS, request).await?;
    let mut answer = answer.as_slice();
    answer.try_get_i32()?;
    let topics = list(&mut answer, |one| {
        text(one)?;
        list(one, |partition| {
            let (index, error) = (partition.try_get_i32()?, partition.try_get_i16()?);
            partition.try_get_i64()?;
            Ok((index, error, partition.try_get_i64()?))
        })
    })?;
    Ok(topics.into_iter().flatten().collect())
}

fn about_group(error: i16) -> String {
    match error {
        30 => "the user may not look at the group (30)".to_owned(),
        14..=16 => format!("the coordinator of the group is not ready ({error})"),
        _ => format!("the group is not told about ({error})"),
    }
}
