//! The time of a line.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use serde_json::{Map, Value};

/// The usual names of the field, in the order in which they are looked for.
const FIELDS: [&str; 5] = ["timestamp", "time", "ts", "@timestamp", "created_at"];

/// A timestamp is not longer than this.
const LONGEST: usize = 40;

/// The time of a line: that of a field of a JSON object, else what it begins with.
pub(super) fn of(line: &[u8], field: Option<&str>) -> Option<SystemTime> {
    let line = line.trim_ascii();
    if line.first() == Some(&b'{') {
        let object: Map<String, Value> = serde_json::from_slice(line).ok()?;
        return match field {
            Some(field) => value(object.get(field)?),
            None => value(FIELDS.iter().find_map(|field| object.get(*field))?),
        };
    }
    leading(line)
}

fn value(value: &Value) -> Option<SystemTime> {
    match value {
        Value::String(text) => parsed(text),
        Value::Number(number) => {
            let number = number.as_f64()?;
            // Seconds will not have twelve digits for a few thousand years.
            let seconds = if number >= 1e11 { number / 1e3 } else { number };
            let since = Duration::try_from_secs_f64(seconds).ok()?;
            SystemTime::UNIX_EPOCH.checked_add(since)
        }
        _ => None,
    }
}

/// The first word, or the first two when date and time are apart.
fn leading(line: &[u8]) -> Option<SystemTime> {
    let line = line.strip_prefix(b"[").unwrap_or(line);
    let line = &line[..line.len().min(LONGEST)];
    let text = match std::str::from_utf8(line) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&line[..error.valid_up_to()]).ok()?,
    };
    let ends = |c: char| c.is_whitespace() || c == ']';
    let mut words = text.split(ends).filter(|word| !word.is_empty());
    let first = words.next()?;
    parsed(first).or_else(|| parsed(&format!("{first}T{}", words.next()?)))
}

fn parsed(text: &str) -> Option<SystemTime> {
    if text.len() > LONGEST {
        return None;
    }
    text.trim().parse::<Timestamp>().ok().map(Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(line: &str, field: Option<&str>) -> Option<u64> {
        let time = of(line.as_bytes(), field)?;
        Some(time.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs())
    }

    #[test]
    fn times_are_read_wherever_they_stand() {
        let at = 1_700_000_000;
        for line in [
            r#"{"timestamp":"2023-11-14T22:13:20Z","message":"x"}"#,
            r#"{"time":1700000000.5}"#,
            r#"{"ts":1700000000123}"#,
            r#"{"@timestamp":"2023-11-14T23:13:20.5+01:00"}"#,
            "2023-11-14T22:13:20Z INFO x",
            "2023-11-14T22:13:20.123456789+00:00",
            "[2023-11-14T22:13:20Z] x",
            "2023-11-14 22:13:20Z x",
            "2023-11-14 22:13:20.5+00:00 x",
        ] {
            assert_eq!(seconds(line, None), Some(at), "{line}");
        }
        let own = r#"{"time":1,"at":"2023-11-14T22:13:20Z"}"#;
        assert_eq!(seconds(own, Some("at")), Some(at));
        for line in [
            "",
            "{",
            "{}",
            r#"{"time":null}"#,
            r#"{"time":-1}"#,
            "INFO x",
            "12:00",
        ] {
            assert_eq!(seconds(line, None), None, "{line}");
        }
    }
}
