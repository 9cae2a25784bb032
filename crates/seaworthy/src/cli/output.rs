//! Where words go: data to stdout, talk to stderr. A reader that has seen enough (`| head`) is no error.

use std::io::Write;

use serde::Serialize;

/// Prints data.
pub(crate) fn data(text: &str) {
    let mut out = anstream::stdout();
    writeln!(out, "{}", text.trim_end_matches('\n'))
        .and_then(|()| out.flush())
        .ok();
}

/// Prints data as JSON.
pub(crate) fn json(value: &impl Serialize) {
    match serde_json::to_string_pretty(value) {
        Ok(text) => data(&text),
        Err(error) => talk(&format!(
            "error: the answer cannot be written as JSON: {error}"
        )),
    }
}

/// Prints talk.
pub(crate) fn talk(text: &str) {
    writeln!(anstream::stderr(), "{text}").ok();
}
