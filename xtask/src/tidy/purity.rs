//! `core` decides and does nothing: no I/O, no clock, no runtime. Callers hand in the time and the bytes.

use super::{Breach, is_test, sources};
use crate::source;
use crate::tree::Tree;

const CORE: &str = "crates/core";

/// What only a program that acts would name.
const IMPURE: [&str; 10] = [
    "Instant::now",
    "SystemTime::now",
    "std::fs",
    "std::env",
    "std::thread",
    "std::process",
    "TcpStream",
    "UdpSocket",
    "tokio::",
    "rustix::",
];

pub(super) fn check(tree: &Tree) -> Vec<Breach> {
    let core = sources(tree).filter(|(folder, file, _, _)| *folder == CORE && !is_test(file));
    core.flat_map(|(_, _, path, text)| impure(path, text))
        .collect()
}

fn impure(path: &str, text: &str) -> Vec<Breach> {
    let code = source::code(text);
    let mut found = Vec::new();
    for (number, line) in code.lines().enumerate() {
        let named = IMPURE.iter().filter(|word| line.contains(**word));
        found.extend(named.map(|word| {
            Breach::line(path, number + 1, format!("core is pure: no `{word}` in it"))
        }));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::impure;

    #[test]
    fn refuses_clocks_outside_tests() {
        assert_eq!(
            impure("a.rs", "let now = Instant::now();")[0].place,
            "a.rs:1"
        );
        assert!(
            impure(
                "a.rs",
                "// Instant::now\n#[cfg(test)]\nmod tests { use std::fs; }"
            )
            .is_empty()
        );
    }
}
