//! Whether a process has been stopped without having ended: SIGSTOP, a debugger, a frozen terminal job.
//!
//! Such a process still accepts connections, because the kernel does that for it, and answers none.

/// Whether the process is stopped or traced; one that is gone is neither.
#[cfg(target_os = "linux")]
pub fn is_suspended(pid: i32) -> bool {
    let state = procfs::process::Process::new(pid)
        .and_then(|process| process.stat())
        .map(|stat| stat.state);
    matches!(state, Ok('T' | 't'))
}

/// Only Linux says so.
#[cfg(not(target_os = "linux"))]
pub fn is_suspended(_pid: i32) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_runs_and_process_0_is_none() {
        let own = i32::try_from(std::process::id()).expect("pids are small");
        assert!(!is_suspended(own));
        assert!(!is_suspended(0));
    }
}
