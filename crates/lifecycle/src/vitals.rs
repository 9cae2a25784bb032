//! What the processes of a group are doing: the evidence for why one of them was put down.
//!
//! It is read from `/proc`, tells only what we may see, and is empty where there is no `/proc`. Nothing is decided by it but
//! which signal gets a stack out of the process.

use std::fmt;
use std::time::Duration;

/// What one process is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vitals {
    /// Its number.
    pub pid: i32,
    /// Its name.
    pub name: String,
    /// What the scheduler does with it, in a word such as `running` or `sleeping`.
    pub state: &'static str,
    /// CPU time that it has used so far.
    pub cpu: Duration,
    /// Its threads.
    pub threads: u64,
    /// The kernel function that it sleeps in, if the kernel says so.
    pub sleeps_in: Option<String>,
    /// It runs Python, whose `faulthandler` writes the stacks of all threads when SIGABRT comes.
    pub is_python: bool,
}

impl fmt::Display for Vitals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pid {} {}: {}", self.pid, self.name, self.state)?;
        if let Some(function) = &self.sleeps_in {
            write!(f, " in {function}")?;
        }
        match self.threads {
            1 => write!(f, ", 1 thread"),
            threads => write!(f, ", {threads} threads"),
        }
    }
}

/// The processes of the group `leader`, the leader first.
#[cfg(target_os = "linux")]
pub fn of_group(leader: i32) -> Vec<Vitals> {
    linux::of_group(leader)
}

/// The processes of the group `leader`: not known here.
#[cfg(not(target_os = "linux"))]
pub fn of_group(_: i32) -> Vec<Vitals> {
    Vec::new()
}

#[cfg(target_os = "linux")]
mod linux {
    use std::time::Duration;

    use procfs::process::{Process, Stat, all_processes};

    use super::Vitals;

    pub(super) fn of_group(leader: i32) -> Vec<Vitals> {
        let Ok(all) = all_processes() else {
            return Vec::new();
        };
        let mut group: Vec<Vitals> = all
            .flatten()
            .filter_map(|process| {
                let stat = process.stat().ok()?;
                (stat.pgrp == leader).then(|| vitals(&process, stat))
            })
            .collect();
        group.sort_by_key(|one| (one.pid != leader, one.pid));
        group
    }

    fn vitals(process: &Process, stat: Stat) -> Vitals {
        let ticks = (stat.utime + stat.stime) * 1000;
        let exe = process.exe().ok();
        let program = exe.as_deref().and_then(|exe| exe.file_name());
        Vitals {
            pid: stat.pid,
            state: word(stat.state),
            cpu: Duration::from_millis(ticks / procfs::ticks_per_second().max(1)),
            threads: u64::try_from(stat.num_threads).unwrap_or_default(),
            sleeps_in: process
                .wchan()
                .ok()
                .filter(|name| !name.is_empty() && name != "0"),
            is_python: program.is_some_and(|name| name.to_string_lossy().starts_with("python")),
            name: stat.comm,
        }
    }

    fn word(state: char) -> &'static str {
        match state {
            'R' => "running",
            'S' | 'I' => "sleeping",
            'D' => "waiting for a device",
            'T' => "stopped by a signal",
            't' => "stopped by a debugger",
            'Z' | 'X' => "dead",
            _ => "in an unknown state",
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_seen_at_work() {
        let group = rustix::process::getpgrp().as_raw_nonzero().get();
        let own = i32::try_from(std::process::id()).expect("pids are small");
        let all = of_group(group);
        let this = all.iter().find(|one| one.pid == own).expect("ourselves");
        assert!(this.threads >= 1 && !this.is_python, "{this}");
        assert!(
            this.to_string().starts_with(&format!("pid {own} ")),
            "{this}"
        );
        assert!(of_group(0).iter().all(|one| one.pid != own));
    }
}
