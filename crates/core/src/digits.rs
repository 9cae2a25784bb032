//! Decimal digits without a formatter, for what every request writes.

use std::net::Ipv4Addr;

/// The last three decimal digits of a number, with leading zeros.
pub fn three(number: u32) -> [u8; 3] {
    let digit = |value: u32| b"0123456789"[(value % 10) as usize];
    [digit(number / 100), digit(number / 10), digit(number)]
}

/// An address of IPv4 as everybody writes it.
#[derive(Clone, Copy, Debug)]
pub struct Dotted {
    text: [u8; 15],
    length: usize,
}

impl Dotted {
    /// The text of `address`.
    pub fn new(address: Ipv4Addr) -> Self {
        let mut text = [0; 15];
        let mut length = 0;
        for (at, octet) in address.octets().into_iter().enumerate() {
            if at > 0 {
                text[length] = b'.';
                length += 1;
            }
            let digits = three(u32::from(octet));
            let skipped = match octet {
                0..10 => 2,
                10..100 => 1,
                _ => 0,
            };
            for &digit in &digits[skipped..] {
                text[length] = digit;
                length += 1;
            }
        }
        Self { text, length }
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
        }
    }
}
