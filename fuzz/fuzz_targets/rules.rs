//! Conditions and bodies: whatever is compiled can be tried on any body, and comes back.

#![no_main]

use libfuzzer_sys::fuzz_target;
use seaworthy_http::validate::{Mode, Rule, Rules, compile};

fuzz_target!(|data: &[u8]| {
    // The first line is a place, the second a condition, the rest a body.
    let mut parts = data.splitn(3, |byte| *byte == b'\n');
    let (Some(place), Some(condition), Some(body)) = (parts.next(), parts.next(), parts.next()) else {
        return;
    };
    let (Ok(place), Ok(condition)) = (std::str::from_utf8(place), std::str::from_utf8(condition)) else {
        return;
    };
    let Ok(path) = place.parse() else {
        return;
    };
    let mut rules = vec![
        Rule::NotNull(place.parse().expect("it was one before")),
        Rule::Ascending {
            path: place.parse().expect("it was one before"),
            strict: true,
        },
    ];
    if let Ok(condition) = compile(condition) {
        rules.insert(
            0,
            Rule::Holds {
                each: Some(path),
                condition,
                name: "fuzzed".to_owned(),
            },
        );
    }
    let rules = Rules {
        mode: Mode::Enforce,
        max_body: 1 << 20,
        max_depth: 32,
        max_items: Vec::new(),
        schema: None,
        rules,
        echo: true,
    };
    drop(rules.check(body));
});
