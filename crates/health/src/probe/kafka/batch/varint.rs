//! Numbers inside of a batch: small ones are short, whatever their sign (zigzag, seven bits a byte, the lowest first).

use bytes::Buf as _;

use crate::probe::trouble::Trouble;

/// Reads a number.
pub(super) fn varint(from: &mut &[u8]) -> Result<i64, Trouble> {
    let mut bits: u64 = 0;
    for shift in (0..64).step_by(7) {
        let byte = from.try_get_u8()?;
        bits |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok((bits >> 1).cast_signed() ^ -(bits & 1).cast_signed());
        }
    }
    Err(Trouble::Foreign)
}

/// Writes a number.
pub(super) fn put(to: &mut Vec<u8>, number: i64) {
    let mut bits = ((number << 1) ^ (number >> 63)).cast_unsigned();
    loop {
        let [low, ..] = (bits & 0x7f).to_le_bytes();
        bits >>= 7;
        if bits == 0 {
            to.push(low);
            return;
        }
        to.push(low | 0x80);
    }
}
