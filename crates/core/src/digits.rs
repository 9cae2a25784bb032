//! Digits without a formatter, for what every request writes.

use std::net::Ipv4Addr;

/// The last three decimal digits of a number, with leading zeros.
pub fn three(number: u32) -> [u8; 3] {
    let digit = |value: u32| b"0123456789"[(value % 10) as usize];
    [digit(number / 100), digit(number / 10), digit(number)]
}

/// Both hexadecimal digits of every byte.
const PAIRS: [[u8; 2]; 256] = {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut pairs = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        pairs[byte] = [DIGITS[byte >> 4], DIGITS[byte & 15]];
        byte += 1;
    }
    pairs
};

/// Writes `bytes` in hexadecimal, two small digits each, as far as there is room.
pub(crate) fn hex(bytes: &[u8], out: &mut [u8]) {
    for (pair, byte) in out.as_chunks_mut::<2>().0.iter_mut().zip(bytes) {
        *pair = PAIRS[usize::from(*byte)];
    }
}

/// An octet, a dot behind it, and how many bytes that are.
const OCTETS: [([u8; 4], usize); 256] = {
    let mut octets = [([0; 4], 0); 256];
    let mut octet = 0_u8;
    loop {
        let [a, b, c] = [octet / 100, octet / 10 % 10, octet % 10];
        octets[octet as usize] = match octet {
            0..10 => ([b'0' + c, b'.', 0, 0], 2),
            10..100 => ([b'0' + b, b'0' + c, b'.', 0], 3),
            _ => ([b'0' + a, b'0' + b, b'0' + c, b'.'], 4),
        };
        if octet == u8::MAX {
            break octets;
        }
        octet += 1;
    }
};

/// An address of IPv4 as everybody writes it.
#[derive(Clone, Copy, Debug)]
pub struct Dotted {
    text: [u8; 16],
    length: usize,
}

impl Dotted {
    /// The text of `address`.
    pub fn new(address: Ipv4Addr) -> Self {
        let mut text = [0; 16];
        let mut length = 0;
        for octet in address.octets() {
            let (digits, used) = OCTETS[usize::from(octet)];
            // Always four bytes: what is behind the dot is written over by the next.
            text[length..length + 4].copy_from_slice(&digits);
            length += used;
        }
        Self {
            text,
            length: length - 1,
        }
    }

    /// The text.
    pub fn as_bytes(&self) -> &[u8] {
        &self.text[..self.length]
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn reads_as_the_formatter_writes_it(bits in any::<u32>(), number in 0..1000_u32) {
            let address = Ipv4Addr::from_bits(bits);
            let (ours, theirs) = (Dotted::new(address), address.to_string());
            prop_assert_eq!(ours.as_bytes(), theirs.as_bytes());
            let (ours, theirs) = (three(number), format!("{number:03}"));
            prop_assert_eq!(ours.as_slice(), theirs.as_bytes());
            let (mut ours, theirs) = ([0; 8], format!("{bits:08x}"));
            hex(&bits.to_be_bytes(), &mut ours);
            prop_assert_eq!(ours.as_slice(), theirs.as_bytes());
        }
    }
}
