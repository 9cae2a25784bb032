//! How much memory is left until the kernel kills somebody.
//!
//! In a container that is the limit of the control group, of either version, or of a group above it; elsewhere it is what the
//! machine has. Usage leaves out `inactive_file`: pages of files that nobody has read lately count towards the limit, but the
//! kernel takes them back before it kills. With them, every service that reads or writes files would sit at its limit all the
//! time and be well. Active file pages stay in, because taking them back makes everything slow first; so the number is that
//! of the kubelet (its working set) and of `kubectl top`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use schemars::JsonSchema;
use seaworthy_core::health::About;
use serde::{Deserialize, Serialize};
use serde_json::Number;

use super::{Around, Fault, Probe, tenths};
use crate::{Check, Outcome};

const MIB: f64 = (1_u64 << 20) as f64;

/// Looks at how much of the memory is in use that this container or machine has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Memory {
    /// Degraded when more than this percentage is in use. Default `85`.
    #[serde(default = "much")]
    #[schemars(range(min = 0, max = 100))]
    pub warn_percent: Number,
    /// Unhealthy when more than this percentage is in use. Default `95`.
    #[serde(default = "most")]
    #[schemars(range(min = 0, max = 100))]
    pub fail_percent: Number,
    /// The folder that holds `proc` and `sys`. Default `/`.
    #[serde(default = "root")]
    pub root: String,
}

fn much() -> Number {
    85.into()
}

fn most() -> Number {
    95.into()
}

fn root() -> String {
    "/".to_owned()
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            warn_percent: much(),
            fail_percent: most(),
            root: root(),
        }
    }
}

impl Probe for Memory {
    const KIND: &'static str = "memory";
    const ABOUT: About = About::App;

    fn faults(&self, _: &Around, faults: &mut Vec<Fault>) {
        if self.warn_percent.as_f64() > self.fail_percent.as_f64() {
            let message = "it would fail before it warns";
            let help = "warn first: make it at most as large as `fail_percent`";
            faults.push(Fault::new("warn_percent", message, help));
        }
    }

    fn check(&self, _: &Around) -> Arc<dyn Check> {
        let memory = self.clone();
        super::blocking(Self::KIND, move || {
            let root = Path::new(&memory.root);
            match Usage::of(root) {
                Some(usage) => memory.judge(usage),
                None => Outcome::unknown("the memory of this system cannot be read"),
            }
        })
    }
}

impl Memory {
    fn judge(&self, usage: Usage) -> Outcome {
        let percent = usage.percent();
        let above = |limit: &Number| limit.as_f64().is_some_and(|limit| percent > limit);
        let message = format!(
            "{} % of {} MiB in use",
            tenths(percent),
            tenths(usage.limit / MIB)
        );
        let outcome = if above(&self.fail_percent) {
            Outcome::unhealthy(message)
        } else if above(&self.warn_percent) {
            Outcome::degraded(message)
        } else {
            Outcome::healthy(message)
        };
        outcome
            .with("usage_mb", tenths(usage.used / MIB))
            .with("limit_mb", tenths(usage.limit / MIB))
            .with("usage_percent", tenths(percent))
    }
}

/// How much of the memory is in use that the tightest limit leaves, in percent; `None` where that cannot be read. `root` holds
/// `proc` and `sys`. It reads files, and may block.
pub fn percent_in_use(root: &Path) -> Option<f64> {
    Usage::of(root).map(Usage::percent)
}

/// What is in use of what there is, in bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Usage {
    used: f64,
    limit: f64,
}

impl Usage {
    fn percent(self) -> f64 {
        self.used / self.limit * 100.0
    }

    /// The tightest of all limits that hold here.
    fn of(root: &Path) -> Option<Self> {
        let host = Self::of_host(root);
        let is_real = |usage: &Self| {
            // Without a limit, version 1 tells the largest number that there is.
            usage.limit > 0.0 && host.map_or(usage.limit < 1e18, |host| usage.limit <= host.limit)
        };
        let groups = groups(root);
        let usages = groups.into_iter().filter_map(|group| group.usage());
        let tightest = usages
            .filter(is_real)
            .max_by(|one, other| one.percent().total_cmp(&other.percent()));
        tightest.or(host)
    }

    fn of_host(root: &Path) -> Option<Self> {
        let text = std::fs::read_to_string(root.join("proc/meminfo")).ok()?;
        let value = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            let kib = line.trim().strip_suffix("kB").unwrap_or(line).trim();
            Some(kib.parse::<f64>().ok()? * 1024.0)
        };
        let (limit, available) = (value("MemTotal:")?, value("MemAvailable:")?);
        let used = (limit - available).max(0.0);
        (limit > 0.0).then_some(Self { used, limit })
    }
}

/// A control group with a limit of its own.
struct Group {
    folder: PathBuf,
    usage: &'static str,
    limit: &'static str,
    inactive: &'static str,
}

impl Group {
    fn v2(folder: PathBuf) -> Self {
        Self {
            folder,
            usage: "memory.current",
            limit: "memory.max",
            inactive: "inactive_file ",
        }
    }

    fn v1(folder: PathBuf) -> Self {
        Self {
            folder,
            usage: "memory.usage_in_bytes",
            limit: "memory.limit_in_bytes",
            inactive: "total_inactive_file ",
        }
    }

    /// `None` without a limit.
    fn usage(&self) -> Option<Usage> {
        let number = |name: &str| -> Option<f64> {
            let text = std::fs::read_to_string(self.folder.join(name)).ok()?;
            text.trim().parse::<u64>().ok().map(|bytes| bytes as f64)
        };
        let (limit, usage) = (number(self.limit)?, number(self.usage)?);
        let stat = std::fs::read_to_string(self.folder.join("memory.stat")).unwrap_or_default();
        let inactive = stat
            .lines()
            .find_map(|line| line.strip_prefix(self.inactive)?.trim().parse::<f64>().ok());
        let used = (usage - inactive.unwrap_or(0.0)).max(0.0);
        Some(Usage { used, limit })
    }
}

/// The control groups that this process is in, with those above.
fn groups(root: &Path) -> Vec<Group> {
    let own = std::fs::read_to_string(root.join("proc/self/cgroup")).unwrap_or_default();
    let v2 = root.join("sys/fs/cgroup");
    let v1 = v2.join("memory");
    // A container sees its own group at the root of the mount, whatever path it is told.
    let mut groups = vec![Group::v2(v2.clone()), Group::v1(v1.clone())];
    for line in own.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else {
            continue;
        };
        let make: fn(PathBuf) -> Group = match controllers {
            "" => Group::v2,
            _ if controllers.split(',').any(|one| one == "memory") => Group::v1,
            _ => continue,
        };
        let base = if controllers.is_empty() { &v2 } else { &v1 };
        // `/../x` is a group outside of what this process sees.
        let path = Path::new(path.trim_start_matches('/'));
        let is_below = |path: &Path| {
            path.components()
                .all(|part| matches!(part, std::path::Component::Normal(_)))
        };
        if is_below(path) {
            let above = path.ancestors().filter(|path| *path != Path::new(""));
            groups.extend(above.map(|path| make(base.join(path))));
        }
    }
    groups
}

#[cfg(test)]
mod tests;
