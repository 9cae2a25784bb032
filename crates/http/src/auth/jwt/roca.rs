//! Keys of the generator that made factors of one form only (CVE-2017-15361): whoever has the public key soon has the other.
//!
//! Such a modulus is a power of 65537 modulo every small prime, which another one hardly ever is.

const PRIMES: [u64; 37] = [
    11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103,
    107, 109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167, 5, 7,
];

/// Whether the modulus, its largest byte first, has the mark of it.
pub(super) fn is_marked(modulus: &[u8]) -> bool {
    PRIMES.iter().all(|&prime| {
        let rest = modulus
            .iter()
            .fold(0, |rest, byte| (rest << 8 | u64::from(*byte)) % prime);
        is_power(rest, 65_537 % prime, prime)
    })
}

/// Whether `number` is a power of `base` modulo `prime`.
fn is_power(number: u64, base: u64, prime: u64) -> bool {
    let mut power = 1;
    for _ in 0..prime {
        if power == number {
            return true;
        }
        power = power * base % prime;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_power_has_the_mark_and_other_numbers_have_not() {
        let power = 65_537_u128.pow(7).to_be_bytes();
        assert!(is_marked(&power));
        assert!(!is_marked(&(65_537_u128.pow(7) + 2).to_be_bytes()));
        assert!(!is_marked(&[0xc5; 256]));
    }
}
