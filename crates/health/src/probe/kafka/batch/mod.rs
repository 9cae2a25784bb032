//! How records are written in a topic: batches in the format that Kafka has had since 0.11 (magic 2).
//!
//! A batch that is compressed is left out, and so are the marks that transactions leave. To open a compressed one a few bytes
//! would have to be trusted to say how much memory they become.

mod varint;

#[cfg(test)]
mod tests;

use bytes::Buf as _;

use super::wire::Writer;
use crate::probe::trouble::Trouble;
use crate::probe::wire::take;
use varint::{put, varint};

/// The longest value that is read or written; longer ones are left out.
pub const LONGEST_VALUE: usize = 1 << 20;

/// What stands before the records of a batch.
pub(super) const HEAD: usize = 61;

/// What stands before the part of a batch that its length counts.
const UNCOUNTED: usize = 12;

const MAGIC: u8 = 2;
const COMPRESSION: i16 = 0b111;
const TRANSACTIONAL: i16 = 1 << 4;
const CONTROL: i16 = 1 << 5;

/// What somebody wrote into a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its place in the partition.
    pub offset: i64,
    /// What it is about.
    pub key: Vec<u8>,
    /// What it says; nothing when the key is to be forgotten.
    pub value: Option<Vec<u8>>,
}

/// What was left out of a topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skipped {
    /// Where it is.
    pub offset: i64,
    /// Why it was left out.
    pub why: &'static str,
}

const COMPRESSED: &str = "it is compressed; write without compression, and leave `compression.type` of the topic at `producer`";
const DAMAGED: &str = "it is damaged";
const LONG: &str = "it is longer than 1 MiB";
const OLD: &str = "it is in the format of a Kafka before 0.11";

/// What the head of a batch says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    base: i64,
    /// How much of the batch comes after its head.
    pub(super) body: usize,
    /// The offset after its last one.
    pub(super) next: i64,
    is_old: bool,
    checksum: u32,
    attributes: i16,
    pub(super) producer: i64,
}

impl Head {
    /// Reads a head; nothing that it announces is believed beyond what can be.
    pub(super) fn read(head: &[u8; HEAD]) -> Result<Self, Trouble> {
        let mut from = head.as_slice();
        let (base, length) = (from.try_get_i64()?, from.try_get_i32()?);
        from.try_get_i32()?;
        let is_old = from.try_get_u8()? != MAGIC;
        let checksum = from.try_get_u32()?;
        let attributes = from.try_get_i16()?;
        let last = if is_old { 0 } else { from.try_get_i32()? };
        let body = usize::try_from(length).ok();
        let body = body.and_then(|length| length.checked_sub(HEAD - UNCOUNTED));
        let next = i64::from(last)
            .checked_add(1)
            .and_then(|count| base.checked_add(count));
        let (Some(body), Some(next), true) = (body, next, base >= 0 && last >= 0) else {
            return Err(Trouble::Foreign);
        };
        let mut rest = &head[43..51];
        Ok(Self {
            base,
            body,
            next,
            is_old,
            checksum,
            attributes,
            producer: rest.try_get_i64()?,
        })
    }

    /// How long the batch is that begins with these bytes, if they tell.
    pub(super) fn length(start: &[u8]) -> Option<usize> {
        let mut length = start.get(8..UNCOUNTED)?;
        let length = usize::try_from(length.try_get_i32().ok()?).ok()?;
        length.checked_add(UNCOUNTED)
    }

    /// Whether it belongs to a transaction.
    pub(super) fn is_transactional(&self) -> bool {
        !self.is_old && self.attributes & TRANSACTIONAL != 0
    }

    /// Whether its records are marks of the broker.
    pub(super) fn is_control(&self) -> bool {
        !self.is_old && self.attributes & CONTROL != 0
    }

    /// That it is left out because it is too long.
    pub(super) fn too_long(&self) -> Skipped {
        self.skipped(LONG)
    }

    fn skipped(&self, why: &'static str) -> Skipped {
        Skipped {
            offset: self.base,
            why,
        }
    }

    /// Reads the records of the batch `whole`, which begins with this head.
    pub(super) fn records(&self, whole: &[u8]) -> (Vec<Record>, Option<Skipped>) {
        let why = if self.is_old {
            OLD
        } else if crc32c::crc32c(whole.get(21..).unwrap_or_default()) != self.checksum {
            DAMAGED
        } else if self.attributes & COMPRESSION != 0 {
            COMPRESSED
        } else {
            return self.plain(whole.get(HEAD..).unwrap_or_default());
        };
        (Vec::new(), Some(self.skipped(why)))
    }

    fn plain(&self, mut from: &[u8]) -> (Vec<Record>, Option<Skipped>) {
        let (mut records, mut skipped) = (Vec::new(), None);
        while !from.is_empty() {
            match self.record(&mut from) {
                Ok(record) if record.is_long() => {
                    let offset = record.offset;
                    skipped = Some(Skipped { offset, why: LONG });
                }
                Ok(record) => records.push(record),
                Err(_) => {
                    skipped = Some(self.skipped(DAMAGED));
                    break;
                }
            }
        }
        (records, skipped)
    }

    fn record(&self, from: &mut &[u8]) -> Result<Record, Trouble> {
        let length = usize::try_from(varint(from)?).map_err(|_| Trouble::Foreign)?;
        let mut from = take(from, length)?;
        from.try_get_u8()?;
        varint(&mut from)?;
        let offset = self.base.checked_add(varint(&mut from)?);
        let offset = offset.filter(|offset| (self.base..self.next).contains(offset));
        Ok(Record {
            offset: offset.ok_or(Trouble::Foreign)?,
            key: field(&mut from)?.unwrap_or_default().to_owned(),
            value: field(&mut from)?.map(<[u8]>::to_owned),
        })
    }
}

impl Record {
    fn is_long(&self) -> bool {
        let value = self.value.as_ref().map_or(0, Vec::len);
        value > LONGEST_VALUE || self.key.len() > LONGEST_VALUE
    }

    /// Whether it is the mark of a transaction that was given up.
    pub(super) fn is_abort(&self) -> bool {
        self.key.get(2..4) == Some(&[0, 0])
    }
}

/// A field with its length before it; none has a length below zero.
fn field<'a>(from: &mut &'a [u8]) -> Result<Option<&'a [u8]>, Trouble> {
    usize::try_from(varint(from)?)
        .ok()
        .map(|length| take(from, length))
        .transpose()
}

/// A batch of one record, written at `time` (milliseconds since 1970).
pub(super) fn encode(key: &[u8], value: &[u8], time: i64) -> Vec<u8> {
    let mut record = vec![0, 0, 0];
    for field in [key, value] {
        put(&mut record, i64::try_from(field.len()).unwrap_or(i64::MAX));
        record.extend(field);
    }
    record.push(0);
    let mut counted = Vec::with_capacity(record.len() + 8);
    put(
        &mut counted,
        i64::try_from(record.len()).unwrap_or(i64::MAX),
    );
    counted.extend(record);
    // Nothing special, one record, no transaction: attributes, last offset, times, producer, epoch, sequence, count.
    let mut checked = Writer::default().short(0).int(0).long(time).long(time);
    checked = checked.long(-1).short(-1).int(-1).int(1);
    checked.0.extend(counted);
    let length = i32::try_from(checked.0.len() + 9).unwrap_or(i32::MAX);
    let mut batch = Writer::default().long(0).int(length).int(-1).octet(MAGIC);
    batch.0.extend(crc32c::crc32c(&checked.0).to_be_bytes());
    batch.0.extend(checked.0);
    batch.0
}
