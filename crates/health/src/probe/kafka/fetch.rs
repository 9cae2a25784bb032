//! Reads a piece of a partition.

use std::collections::BTreeSet;

use bytes::Buf as _;

use super::answer::Answer;
use super::answer::LONGEST;
use super::batch::{HEAD, Head, Record, Skipped};
use super::connection::{Connection, FETCH};
use super::wire::Writer;
use crate::probe::trouble::Trouble;

/// How much is asked for at once. A batch that is longer comes all the same, when it is the first.
const PIECE: i32 = 1 << 20;

/// The offset is not kept, or not written yet.
pub(super) const OUT_OF_RANGE: i16 = 1;

/// A piece of a partition.
#[derive(Debug)]
pub(super) struct Piece {
    /// The number of an error; there is nothing else then.
    pub(super) error: i16,
    pub(super) records: Vec<Record>,
    /// Where the next piece begins.
    pub(super) next: i64,
    /// Where the partition ends.
    pub(super) end: i64,
    /// What was left out last.
    pub(super) skipped: Option<Skipped>,
    /// The answer was not read to its end, so the connection is of no more use.
    pub(super) is_cut: bool,
}

/// Asks the leader of a partition for what begins at `offset`, and does not wait for more to come.
pub(super) async fn fetch(
    connection: &mut Connection,
    topic: &str,
    partition: i32,
    offset: i64,
) -> Result<Piece, Trouble> {
    // No replica asks; no wait; what a transaction has not committed does not count.
    let limits = Writer::default().int(-1).int(0).int(0).int(PIECE).octet(1);
    let request = limits.list(&[topic], |written, topic| {
        written.text(topic).list(&[partition], |written, number| {
            written.int(*number).long(offset).int(PIECE)
        })
    });
    let answer = connection.begin(FETCH, request).await?;
    piece(answer, partition, offset).await
}

/// Reads an answer.
async fn piece(mut answer: Answer<'_>, partition: i32, offset: i64) -> Result<Piece, Trouble> {
    let mut reader = Reader::begin(&mut answer, partition, offset).await?;
    if reader.piece.error == 0 {
        reader.read(&mut answer).await?;
    }
    let mut piece = reader.piece;
    if !piece.is_cut {
        answer.finish().await?;
    }
    piece.records.retain(|record| record.offset >= offset);
    Ok(piece)
}

struct Reader {
    piece: Piece,
    /// How much is left of the records.
    left: usize,
    /// Producers and where a transaction begins that they gave up, in order.
    given_up: Vec<(i64, i64)>,
    /// Producers inside of such a transaction.
    inside: BTreeSet<i64>,
}

impl Reader {
    /// Reads what stands before the records.
    async fn begin(answer: &mut Answer<'_>, partition: i32, offset: i64) -> Result<Self, Trouble> {
        let head = answer.take(10).await?;
        let mut head = &head[4..];
        let is_one = head.try_get_i32()? == 1;
        let name = usize::try_from(head.try_get_i16()?).map_err(|_| Trouble::Foreign)?;
        answer.take(name).await?;
        let head = answer.take(30).await?;
        let mut head = head.as_slice();
        if !is_one || head.try_get_i32()? != 1 || head.try_get_i32()? != partition {
            return Err(Trouble::Foreign);
        }
        let error = head.try_get_i16()?;
        head.try_get_i64()?;
        let (end, count) = (head.try_get_i64()?, head.try_get_i32()?);
        let length = usize::try_from(count.max(0)).ok();
        let length = length.and_then(|count| count.checked_mul(16));
        let list = answer.take(length.ok_or(Trouble::Foreign)?).await?;
        let mut list = list.as_slice();
        let mut given_up = Vec::new();
        while !list.is_empty() {
            given_up.push((list.try_get_i64()?, list.try_get_i64()?));
        }
        given_up.sort_by_key(|(_, first)| *first);
        let length = answer.take(4).await?.as_slice().try_get_i32()?;
        let left = usize::try_from(length.max(0)).unwrap_or(0);
        if left > answer.left() {
            return Err(Trouble::Foreign);
        }
        let piece = Piece {
            error,
            records: Vec::new(),
            next: offset,
            end,
            skipped: None,
            is_cut: false,
        };
        Ok(Self {
            piece,
            left,
            given_up,
            inside: BTreeSet::new(),
        })
    }

    async fn take(&mut self, answer: &mut Answer<'_>, length: usize) -> Result<Vec<u8>, Trouble> {
        self.left = self.left.checked_sub(length).ok_or(Trouble::Foreign)?;
        answer.take(length).await
    }

    /// Reads the batches. The last one may be cut off where the piece ends.
    async fn read(&mut self, answer: &mut Answer<'_>) -> Result<(), Trouble> {
        let start = self.piece.next;
        while self.left >= HEAD {
            let bytes = self.take(answer, HEAD).await?;
            let length = Head::length(&bytes).ok_or(Trouble::Foreign)?;
            if length > HEAD + self.left {
                break;
            }
            let bytes = bytes.first_chunk().ok_or(Trouble::Foreign)?;
            let head = Head::read(bytes)?;
            if head.next > self.piece.next {
                self.piece.next = head.next;
            }
            if length > LONGEST {
                self.piece.skipped = Some(head.too_long());
                self.piece.is_cut = true;
                return Ok(());
            }
            let mut whole = bytes.to_vec();
            whole.extend(self.take(answer, head.body).await?);
            self.keep(&head, &whole);
        }
        // A broker sends the first batch whole, however long it is.
        if self.left > 0 && self.piece.next == start {
            return Err(Trouble::Foreign);
        }
        Ok(())
    }

    fn keep(&mut self, head: &Head, whole: &[u8]) {
        let begun = self
            .given_up
            .partition_point(|(_, first)| *first < head.next);
        self.inside
            .extend(self.given_up.drain(..begun).map(|(producer, _)| producer));
        let is_given_up = head.is_transactional() && self.inside.contains(&head.producer);
        if is_given_up && !head.is_control() {
            return;
        }
        let (records, skipped) = head.records(whole);
        if head.is_control() {
            if records.iter().any(Record::is_abort) {
                self.inside.remove(&head.producer);
            }
            return;
        }
        self.piece.records.extend(records);
        self.piece.skipped = skipped.or(self.piece.skipped);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;
    use tokio::io::BufReader;

    use super::*;
    use crate::probe::kafka::batch::encode;
    use crate::probe::stream::Stream;

    /// What is made of this answer, for partition 0 from `offset` on.
    fn read(bytes: Vec<u8>, offset: i64) -> Result<Piece, Trouble> {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let length = bytes.len();
        let stream: Stream = Box::new(Cursor::new(bytes));
        let mut socket = BufReader::new(stream);
        let answer = Answer::new(&mut socket, length);
        runtime
            .expect("a runtime")
            .block_on(piece(answer, 0, offset))
    }

    fn answer(given_up: &[(i64, i64)], batches: &[u8]) -> Vec<u8> {
        let head = Writer::default().int(0).int(1).text("t").int(1);
        let head = head.int(0).short(0).long(9).long(9);
        let head = head.list(given_up, |written, (producer, first)| {
            written.long(*producer).long(*first)
        });
        head.bytes(batches).0
    }

    fn batch(offset: i64, value: &[u8]) -> Vec<u8> {
        let mut batch = encode(b"k", value, 0);
        batch[..8].copy_from_slice(&offset.to_be_bytes());
        batch
    }

    fn offsets(piece: &Piece) -> Vec<i64> {
        piece.records.iter().map(|record| record.offset).collect()
    }

    #[test]
    fn what_is_before_the_offset_or_cut_off_at_the_end_is_left() {
        let mut batches = [batch(3, b"a"), batch(4, b"b"), batch(7, b"c")].concat();
        batches.truncate(batches.len() - 1);
        let piece = read(answer(&[], &batches), 4).unwrap();
        assert_eq!((offsets(&piece), piece.next, piece.end), (vec![4], 5, 9));
        assert!(!piece.is_cut);
    }

    #[test]
    fn a_batch_that_is_too_long_ends_the_answer_and_is_passed() {
        let long = batch(4, &vec![0; LONGEST]);
        let piece = read(answer(&[], &[batch(3, b"a"), long].concat()), 3).unwrap();
        assert_eq!((offsets(&piece), piece.next), (vec![3], 5));
        assert!(piece.is_cut && piece.skipped.is_some());
    }

    #[test]
    fn a_first_batch_that_is_not_whole_is_no_answer_of_kafka() {
        let batches = batch(3, b"a");
        let cut = &batches[..batches.len() - 1];
        assert!(read(answer(&[], cut), 3).is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            read(bytes, 0).ok();
        }

        #[test]
        fn an_answer_with_errors_is_read_without_harm(
            changes in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 1..5),
        ) {
            let mut bytes = answer(&[(1, 0)], &[batch(3, b"a"), batch(4, b"b")].concat());
            for (at, byte) in changes {
                let at = at.index(bytes.len());
                bytes[at] = byte;
            }
            if let Ok(piece) = read(bytes, 3) {
                prop_assert!(piece.next >= 3);
            }
        }
    }
}
