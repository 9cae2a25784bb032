//! What a process costs and which processes it has, read from `/proc`.

use std::fs;
use std::time::Duration;

use anyhow::Context as _;

/// What a process holds at this moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Resident memory in bytes.
    pub rss: u64,
    /// The most resident memory it ever had, in bytes.
    pub peak_rss: u64,
    /// Open file descriptors.
    pub fds: usize,
    /// Threads.
    pub threads: usize,
    /// Processor time of all threads so far, in steps of 10 ms: what a busy machine makes little longer, unlike any other
    /// time.
    pub processor: Duration,
}

impl Usage {
    /// Reads the usage of the process `pid`.
    ///
    /// # Errors
    /// When there is no such process.
    pub fn of(pid: u32) -> crate::Result<Self> {
        let status = fs::read_to_string(format!("/proc/{pid}/status"))
            .with_context(|| format!("no process {pid}"))?;
        let fds = fs::read_dir(format!("/proc/{pid}/fd"))?.count();
        let threads = field(&status, "Threads:").and_then(|text| text.parse().ok());
        Ok(Self {
            rss: kibibytes(&status, "VmRSS:"),
            peak_rss: kibibytes(&status, "VmHWM:"),
            fds,
            threads: threads.unwrap_or_default(),
            processor: processor(&fs::read_to_string(format!("/proc/{pid}/stat"))?),
        })
    }
}

fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    let rest = status.lines().find_map(|line| line.strip_prefix(name))?;
    rest.split_whitespace().next()
}

/// Fields 14 and 15 of `proc(5)`, in hundredths of a second; the name in field 2 may hold anything.
fn processor(stat: &str) -> Duration {
    let rest = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let used = rest.split(' ').skip(11).take(2);
    let ticks: u64 = used.filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(10 * ticks)
}

fn kibibytes(status: &str, name: &str) -> u64 {
    let number = field(status, name).and_then(|text| text.parse::<u64>().ok());
    number.unwrap_or_default() * 1024
}

/// One line of the process table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// Its parent's id.
    pub parent: u32,
    /// `R`, `S`, `Z` and so on, as in `proc(5)`.
    pub state: char,
    /// Its short name.
    pub name: String,
}

impl Process {
    /// Reads the process `pid`, if it exists.
    #[must_use]
    pub fn read(pid: u32) -> Option<Self> {
        parse(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }
}

fn parse(stat: &str) -> Option<Process> {
    // The name may hold spaces and parentheses, so the last one closes it.
    let (pid, rest) = stat.split_once(" (")?;
    let (name, rest) = rest.rsplit_once(") ")?;
    let mut rest = rest.split(' ');
    Some(Process {
        pid: pid.parse().ok()?,
        state: rest.next()?.chars().next()?,
        parent: rest.next()?.parse().ok()?,
        name: name.to_owned(),
    })
}

fn table() -> Vec<Process> {
    let Ok(folder) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    folder
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(Process::read)
        .collect()
}

/// The direct children of `pid`, zombies included.
#[must_use]
pub fn children(pid: u32) -> Vec<Process> {
    let mut table = table();
    table.retain(|process| process.parent == pid);
    table
}

/// Everything below `pid`, zombies included, parents before children.
#[must_use]
pub fn descendants(pid: u32) -> Vec<Process> {
    let mut table = table();
    let mut found: Vec<Process> = Vec::new();
    let mut next = 0;
    let mut parent = pid;
    loop {
        let (mut below, rest) = table
            .into_iter()
            .partition(|process| process.parent == parent);
        table = rest;
        found.append(&mut below);
        match found.get(next) {
            Some(process) => parent = process.pid,
            None => return found,
        }
        next += 1;
    }
}

/// The unreaped processes below `pid`.
#[must_use]
pub fn zombies(pid: u32) -> Vec<Process> {
    let mut below = descendants(pid);
    below.retain(|process| process.state == 'Z');
    below
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_itself() {
        let own = std::process::id();
        let usage = Usage::of(own).unwrap();
        assert!(
            usage.rss > 100_000 && usage.peak_rss >= usage.rss / 2,
            "{usage:?}"
        );
        let spent = processor("7 (a) b) S 3 7 7 0 -1 0 0 0 0 0 12 30 0 0");
        assert_eq!(spent, Duration::from_millis(420));
        assert!(usage.fds >= 3 && usage.threads >= 1, "{usage:?}");
        assert_eq!(Process::read(own).unwrap().pid, own);
        assert!(Usage::of(u32::MAX).is_err());
    }

    #[test]
    fn names_may_hold_anything() {
        let process = parse("7 (a) S (b) Z 3 7 7").unwrap();
        assert_eq!(
            (process.name.as_str(), process.state, process.parent),
            ("a) S (b", 'Z', 3)
        );
    }

    #[test]
    fn finds_children_that_have_children() {
        let mut child = std::process::Command::new("/bin/sh")
            .args(["-c", "sleep 60 & wait"])
            .spawn()
            .unwrap();
        let deadline = std::time::Instant::now() + crate::wait::PATIENCE;
        while descendants(child.id()).is_empty() {
            assert!(
                std::time::Instant::now() < deadline,
                "the shell never started its child"
            );
            std::thread::yield_now();
        }
        let below = descendants(child.id());
        assert_eq!(below.len(), 1);
        assert!(
            children(std::process::id())
                .iter()
                .any(|process| process.pid == child.id())
        );
        let sleeper = rustix::process::Pid::from_raw(below[0].pid.cast_signed()).unwrap();
        rustix::process::kill_process(sleeper, rustix::process::Signal::KILL).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
