//! How much room is left on a file system.
//!
//! It counts as `df` does: what is reserved for root is neither free nor used, so that 0 % is when the service cannot write any
//! more. A gigabyte is 2^30 bytes, as in `df -h`.

use std::path::Path;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Number;

use super::{Around, Fault, Probe};
use crate::{Check, Outcome};

const GIB: f64 = (1_u64 << 30) as f64;

/// Looks at the room that is left on a file system.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Disk {
    /// A path on the file system. Default `/`.
    #[serde(default = "root")]
    pub path: String,
    /// Degraded when less than this percentage is free. Default `10`.
    #[serde(default = "ten")]
    #[schemars(range(min = 0, max = 100))]
    pub warn_percent: Number,
    /// Unhealthy when less than this percentage is free. Default `5`.
    #[serde(default = "five")]
    #[schemars(range(min = 0, max = 100))]
    pub fail_percent: Number,
    /// Degraded when less than this many GiB are free. Default: only the percentage counts.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub warn_gb: Option<Number>,
    /// Unhealthy when less than this many GiB are free. Default: only the percentage counts.
    #[serde(default)]
    #[schemars(range(min = 0))]
    pub fail_gb: Option<Number>,
}

fn root() -> String {
    "/".to_owned()
}

fn ten() -> Number {
    10.into()
}

fn five() -> Number {
    5.into()
}

impl Default for Disk {
    fn default() -> Self {
        Self {
            path: root(),
            warn_percent: ten(),
            fail_percent: five(),
            warn_gb: None,
            fail_gb: None,
        }
    }
}

impl Probe for Disk {
    const KIND: &'static str = "disk";

    fn faults(&self, _: &Around, faults: &mut Vec<Fault>) {
        if !Path::new(&self.path).is_absolute() {
            let message = format!("`{}` is not an absolute path", self.path);
            faults.push(Fault::new("path", message, "write it as `/data`"));
        }
        let swapped = |warn: Option<f64>, fail: Option<f64>| matches!((warn, fail), (Some(w), Some(f)) if w < f);
        let help = "warn first: make it at least as large as the limit of failure";
        if swapped(self.warn_percent.as_f64(), self.fail_percent.as_f64()) {
            let message = "it would fail before it warns";
            faults.push(Fault::new("warn_percent", message, help));
        }
        let gb = |number: &Option<Number>| number.as_ref().and_then(Number::as_f64);
        if swapped(gb(&self.warn_gb), gb(&self.fail_gb)) {
            let message = "it would fail before it warns";
            faults.push(Fault::new("warn_gb", message, help));
        }
    }

    fn check(&self, _: &Around) -> Arc<dyn Check> {
        let disk = self.clone();
        // A network file system can hang.
        super::blocking(Self::KIND, move || match Room::of(&disk.path) {
            Ok(room) => disk.judge(room),
            Err(rustix::io::Errno::NOENT) => Outcome::unhealthy("the path does not exist"),
            Err(_) => Outcome::unknown("the file system cannot be looked at"),
        })
    }
}

/// The room of a file system, in bytes.
#[derive(Clone, Copy, Debug)]
struct Room {
    free: f64,
    usable: f64,
}

impl Room {
    fn of(path: &str) -> rustix::io::Result<Self> {
        let found = rustix::fs::statvfs(path)?;
        let used = found.f_blocks.saturating_sub(found.f_bfree);
        let usable = used.saturating_add(found.f_bavail);
        // Bytes of a disk fit into a double to within a few of them.
        let bytes = |blocks: u64| blocks as f64 * found.f_frsize as f64;
        Ok(Self {
            free: bytes(found.f_bavail),
            usable: bytes(usable),
        })
    }
}

impl Disk {
    fn judge(&self, room: Room) -> Outcome {
        if room.usable <= 0.0 {
            return Outcome::unknown("the file system has no size");
        }
        let percent = room.free / room.usable * 100.0;
        let gb = room.free / GIB;
        let below = |limit: Option<&Number>, value: f64| {
            limit
                .and_then(Number::as_f64)
                .is_some_and(|limit| value < limit)
        };
        let message = format!("{percent:.1} % free ({gb:.1} GiB)");
        let outcome =
            if below(Some(&self.fail_percent), percent) || below(self.fail_gb.as_ref(), gb) {
                Outcome::unhealthy(message)
            } else if below(Some(&self.warn_percent), percent) || below(self.warn_gb.as_ref(), gb) {
                Outcome::degraded(message)
            } else {
                Outcome::healthy(message)
            };
        let rounded = |number: f64| (number * 10.0).round() / 10.0;
        outcome
            .with("free_gb", rounded(gb))
            .with("free_percent", rounded(percent))
    }
}

#[cfg(test)]
mod tests {
    use seaworthy_core::health::State;

    use super::*;

    fn judged(disk: &Disk, percent: f64, gb: f64) -> Outcome {
        let free = gb * GIB;
        let usable = free / percent * 100.0;
        disk.judge(Room { free, usable })
    }

    #[test]
    fn a_limit_itself_is_not_below_it() {
        let disk = Disk::default();
        for (percent, state) in [
            (50.0, State::Ok),
            (10.0, State::Ok),
            (9.9, State::Warn),
            (7.0, State::Warn),
            (5.0, State::Warn),
            (4.9, State::Fail),
            (4.0, State::Fail),
        ] {
            let room = Room {
                free: percent,
                usable: 100.0,
            };
            assert_eq!(disk.judge(room).state, state, "{percent} %");
        }
        let full = Room {
            free: 0.0,
            usable: 100.0,
        };
        assert_eq!(disk.judge(full).state, State::Fail);
    }

    #[test]
    fn gigabytes_count_when_they_are_named() {
        let disk = Disk {
            warn_gb: Some(20.into()),
            fail_gb: Some(10.into()),
            ..Disk::default()
        };
        assert_eq!(judged(&disk, 50.0, 20.0).state, State::Ok);
        assert_eq!(judged(&disk, 50.0, 19.5).state, State::Warn);
        assert_eq!(judged(&disk, 50.0, 9.5).state, State::Fail);
        assert_eq!(judged(&disk, 4.0, 100.0).state, State::Fail);
    }

    #[test]
    fn numbers_have_one_decimal() {
        let outcome = judged(&Disk::default(), 41.0, 10.52);
        assert_eq!(outcome.metadata["free_gb"], 10.5);
        assert_eq!(outcome.metadata["free_percent"], 41.0);
        assert_eq!(outcome.message, "41.0 % free (10.5 GiB)");
    }
}
