//! Appends to a partition.

use std::time::SystemTime;

use bytes::Buf as _;

use super::batch;
use super::connection::{Connection, PRODUCE};
use super::wire::{Writer, list, text};
use crate::probe::trouble::Trouble;

/// How long the leader may wait for its replicas, in milliseconds.
const PATIENCE: i32 = 4000;

/// Appends a record; all replicas that are in step must have it. Returns the number of an error, 0 for none.
pub(super) async fn produce(
    connection: &mut Connection,
    topic: &str,
    partition: i32,
    key: &[u8],
    value: &[u8],
) -> Result<i16, Trouble> {
    // A topic keeps its records by their time.
    let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let time = time.ok().and_then(|time| time.as_millis().try_into().ok());
    let batch = batch::encode(key, value, time.unwrap_or(0));
    // No transaction; all replicas.
    let request = Writer::default().short(-1).short(-1).int(PATIENCE);
    let request = request.list(&[topic], |written, topic| {
        written.text(topic).list(&[partition], |written, number| {
            written.int(*number).bytes(&batch)
        })
    });
    let answer = connection.ask(PRODUCE, request).await?;
    let mut answer = answer.as_slice();
    let topics = list(&mut answer, |one| {
        text(one)?;
        list(one, |partition| {
            let (number, error) = (partition.try_get_i32()?, partition.try_get_i16()?);
            partition.try_get_i64()?;
            partition.try_get_i64()?;
            Ok((number, error))
        })
    })?;
    match topics.concat()[..] {
        [(number, error)] if number == partition => Ok(error),
        _ => Err(Trouble::Foreign),
    }
}
