//! Timestamps as text, formatted once a second.
//!
//! Turning a date into digits costs more than the rest of an access line. Between two seconds only three digits change.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use jiff::Timestamp;
use seaworthy_core::digits;

/// The last timestamp, ready to be patched.
#[derive(Debug)]
pub(crate) struct Stamp {
    second: Option<u64>,
    text: [u8; 24],
}

impl Stamp {
    pub(crate) const fn new() -> Self {
        Self {
            second: None,
            text: *b"1970-01-01T00:00:00.000Z",
        }
    }

    /// RFC 3339 in UTC with milliseconds.
    pub(crate) fn at(&mut self, since_epoch: Duration) -> &[u8; 24] {
        if self.second != Some(since_epoch.as_secs()) {
            self.second = Some(since_epoch.as_secs());
            // A clock beyond the year 9999 is broken; its lines keep the last date that made sense.
            if let Some(date) = i64::try_from(since_epoch.as_secs())
                .ok()
                .and_then(|second| Timestamp::from_second(second).ok())
            {
                self.text[..19].copy_from_slice(&date.to_string().as_bytes()[..19]);
            }
        }
        self.text[20..23].copy_from_slice(&digits::three(since_epoch.subsec_millis()));
        &self.text
    }
}

/// The wall clock; zero if it stands before 1970.
pub(crate) fn now() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn formats_a_known_date() {
        let mut stamp = Stamp::new();
        assert_eq!(stamp.at(Duration::ZERO), b"1970-01-01T00:00:00.000Z");
        assert_eq!(
            stamp.at(Duration::from_millis(1_705_312_800_042)),
            b"2024-01-15T10:00:00.042Z"
        );
        let last = *stamp.at(Duration::from_millis(1_705_312_800_999));
        assert_eq!(stamp.at(Duration::MAX)[..19], last[..19]);
    }

    proptest! {
        #[test]
        fn agrees_with_the_calendar_in_any_order(times in proptest::collection::vec(0u64..253_000_000_000_000, 1..20)) {
            let mut stamp = Stamp::new();
            for ms in times {
                let text = std::str::from_utf8(stamp.at(Duration::from_millis(ms))).unwrap().to_owned();
                let read: Timestamp = text.parse().unwrap();
                prop_assert_eq!(read.as_millisecond(), i64::try_from(ms).unwrap());
            }
        }
    }
}
