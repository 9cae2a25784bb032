//! Bodies before they are parsed, and schemas: what the scan lets through a parser takes, and a schema comes back with a
//! verdict.

#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use seaworthy_http::validate::schema::{Schema, Source};
use seaworthy_http::validate::{Mode, Rules, scan};
use serde_json::Value;

fuzz_target!(|data: &[u8]| {
    // The first line is a schema, the rest a body.
    let split = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (schema, body) = data.split_at(split);
    let body = body.strip_prefix(b"\n").unwrap_or(body);
    if scan(body, 100).is_ok()
        && let Err(error) = serde_json::from_slice::<Value>(body)
    {
        // Two things are left to the parser: numbers that are too large, and halves of characters.
        let said = error.to_string();
        assert!(said.contains("out of range") || said.contains("surrogate") || said.contains("escape"), "{said}");
    }
    let Ok(document) = serde_json::from_slice::<Value>(schema) else {
        return;
    };
    let Ok(schema) = Schema::new(&document) else {
        return;
    };
    let rules = Rules {
        mode: Mode::Enforce,
        max_body: 1 << 20,
        max_depth: 32,
        max_items: Vec::new(),
        schema: Some(Source::Fixed(Arc::new(schema))),
        rules: Vec::new(),
        echo: true,
    };
    drop(rules.check(body));
});
