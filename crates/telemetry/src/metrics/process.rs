//! What the kernel knows of this process, read at the scrape.
//!
//! The names are those of every Prometheus client. They speak of Seaworthy alone, not of the app behind it. What cannot be
//! read is left out; other systems than Linux have none of it.

use super::expose::Page;

#[cfg(not(target_os = "linux"))]
pub(super) fn expose(_: &mut Page) {}

#[cfg(target_os = "linux")]
pub(super) fn expose(page: &mut Page) {
    use seaworthy_core::names::metric;

    let numbers = [
        (&metric::PROCESS_MEMORY, linux::memory()),
        (&metric::PROCESS_FDS, linux::open_fds()),
        (&metric::PROCESS_CPU, linux::cpu_seconds()),
        (&metric::PROCESS_START, linux::start_seconds()),
    ];
    for (metric, number) in numbers {
        if let Some(number) = number {
            page.family(metric);
            page.sample(metric, &[], number);
        }
    }
}

#[cfg(target_os = "linux")]
mod linux {
    use std::fs;

    /// `USER_HZ`, which Linux has fixed at 100 for what it tells programs, on every architecture we build for.
    const TICKS_PER_SECOND: f64 = 100.0;

    pub(super) fn memory() -> Option<f64> {
        field("/proc/self/status", "VmRSS:").map(|kilobytes| kilobytes * 1024.0)
    }

    pub(super) fn open_fds() -> Option<f64> {
        let count = fs::read_dir("/proc/self/fd").ok()?.count();
        // The listing itself is open while it is counted.
        u32::try_from(count.saturating_sub(1)).ok().map(f64::from)
    }

    pub(super) fn cpu_seconds() -> Option<f64> {
        Some((stat(14)? + stat(15)?) / TICKS_PER_SECOND)
    }

    pub(super) fn start_seconds() -> Option<f64> {
        Some(field("/proc/stat", "btime")? + stat(22)? / TICKS_PER_SECOND)
    }

    /// The number after a word at the beginning of a line.
    fn field(path: &str, word: &str) -> Option<f64> {
        let text = fs::read_to_string(path).ok()?;
        let rest = text.lines().find_map(|line| line.strip_prefix(word))?;
        rest.split_whitespace().next()?.parse().ok()
    }

    /// A field of `/proc/self/stat`, counted from 1 as proc(5) does. The second one may contain anything, so the count begins
    /// after its bracket.
    fn stat(number: usize) -> Option<f64> {
        let text = fs::read_to_string("/proc/self/stat").ok()?;
        let (_, rest) = text.rsplit_once(')')?;
        rest.split_whitespace().nth(number - 3)?.parse().ok()
    }
}
