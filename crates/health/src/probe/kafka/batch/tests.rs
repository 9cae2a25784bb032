use proptest::prelude::*;

use super::*;

fn decode(whole: &[u8]) -> Option<(Vec<Record>, Option<Skipped>)> {
    let head = Head::read(whole.first_chunk()?).ok()?;
    Some(head.records(whole))
}

fn one(key: &[u8], value: &[u8]) -> Record {
    Record {
        offset: 0,
        key: key.to_owned(),
        value: Some(value.to_owned()),
    }
}

#[test]
fn a_value_that_is_too_long_is_left_out() {
    let longest = vec![b'x'; LONGEST_VALUE];
    let batch = encode(b"k", &longest, 0);
    assert_eq!(decode(&batch).unwrap(), (vec![one(b"k", &longest)], None));
    let batch = encode(b"k", &[longest.as_slice(), b"x"].concat(), 0);
    let skipped = Skipped {
        offset: 0,
        why: LONG,
    };
    assert_eq!(decode(&batch).unwrap(), (Vec::new(), Some(skipped)));
}

#[test]
fn what_is_compressed_is_said_so() {
    let mut batch = encode(b"k", b"v", 0);
    batch[22] |= 1;
    let checksum = crc32c::crc32c(&batch[21..]);
    batch[17..21].copy_from_slice(&checksum.to_be_bytes());
    let (records, skipped) = decode(&batch).unwrap();
    assert_eq!(records, []);
    assert_eq!(skipped.unwrap().why, COMPRESSED);
}

#[test]
fn a_batch_of_an_old_format_is_left_out() {
    let mut batch = encode(b"k", b"v", 0);
    batch[16] = 1;
    assert_eq!(decode(&batch).unwrap().1.unwrap().why, OLD);
}

#[test]
fn what_the_head_cannot_mean_is_refused() {
    let batch = encode(b"k", b"v", 0);
    let with = |at: usize, bytes: &[u8]| {
        let mut batch = batch.clone();
        batch[at..at + bytes.len()].copy_from_slice(bytes);
        decode(&batch)
    };
    assert_eq!(with(0, &i64::MAX.to_be_bytes()), None);
    assert_eq!(with(0, &(-1i64).to_be_bytes()), None);
    assert_eq!(with(8, &48i32.to_be_bytes()), None);
    assert_eq!(with(8, &(-1i32).to_be_bytes()), None);
    assert_eq!(with(23, &(-1i32).to_be_bytes()), None);
}

proptest! {
    #[test]
    fn what_is_written_is_read(key: Vec<u8>, value: Vec<u8>, time: i64) {
        let batch = encode(&key, &value, time);
        prop_assert_eq!(Head::length(&batch), Some(batch.len()));
        prop_assert_eq!(decode(&batch).unwrap(), (vec![one(&key, &value)], None));
    }

    #[test]
    fn numbers_come_back(number: i64) {
        let mut bytes = Vec::new();
        put(&mut bytes, number);
        let mut from = bytes.as_slice();
        prop_assert_eq!(varint(&mut from).unwrap(), number);
        prop_assert!(from.is_empty());
    }

    #[test]
    fn any_bytes_are_read_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        decode(&bytes);
    }

    /// Bytes whose checksum fits get as far as records do.
    #[test]
    fn any_records_are_read_without_harm(records in proptest::collection::vec(any::<u8>(), 0..300), last in 0i32..3) {
        let mut batch = encode(b"", b"", 0);
        batch.truncate(HEAD);
        batch[23..27].copy_from_slice(&last.to_be_bytes());
        batch.extend(&records);
        let checksum = crc32c::crc32c(&batch[21..]);
        batch[17..21].copy_from_slice(&checksum.to_be_bytes());
        let (read, _) = decode(&batch).unwrap();
        prop_assert!(read.iter().all(|record| (0..=i64::from(last)).contains(&record.offset)));
    }

    #[test]
    fn a_bit_that_turned_is_noticed(value: Vec<u8>, at: proptest::sample::Index) {
        let mut batch = encode(b"k", &value, 0);
        let at = 21 * 8 + at.index((batch.len() - 21) * 8);
        batch[at / 8] ^= 1 << (at % 8);
        let (records, skipped) = decode(&batch).unwrap_or_default();
        prop_assert_eq!(records, []);
        prop_assert!(skipped.is_none_or(|skipped| skipped.why == DAMAGED));
    }
}
