//! The check `exec` beside somebody who reaps all children of the process, as process 1 of a container has to.

mod looking;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use looking::once;
use rustix::process::{WaitId, WaitIdOptions, waitid};
use seaworthy_core::health::State;
use seaworthy_health::probe::exec::{Exec, exempt_with};

/// The children that are left alone.
type Exempt = Arc<Mutex<BTreeSet<u32>>>;

struct Guard(Exempt, u32);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.lock().expect("a set").remove(&self.1);
    }
}

/// Reaps whoever has ended and is not left alone.
fn reap(exempt: &Exempt) {
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG;
    let exempt = exempt.lock().expect("a set");
    for entry in std::fs::read_dir("/proc/self/task").expect("our threads") {
        let children = entry.expect("a thread").path().join("children");
        let children = std::fs::read_to_string(children).unwrap_or_default();
        for pid in children.split_whitespace() {
            let number: u32 = pid.parse().expect("a pid");
            let pid = rustix::process::Pid::from_raw(number.cast_signed()).expect("a pid");
            if !exempt.contains(&number) {
                waitid(WaitId::Pid(pid), look).ok();
            }
        }
    }
}

#[tokio::test]
async fn a_reaper_of_orphans_leaves_commands_alone() {
    let exempt = Exempt::default();
    let (set, ended) = (exempt.clone(), Arc::new(AtomicBool::new(false)));
    exempt_with(move |start| {
        // Held while the child is started, so that nobody sees it before it is known.
        let mut known = set.lock().expect("a set");
        let pid = start()?;
        known.insert(pid);
        Ok(Box::new(Guard(set.clone(), pid)))
    });
    let stop = ended.clone();
    let reaper = std::thread::spawn(move || {
        while !stop.load(Ordering::Relaxed) {
            reap(&exempt);
        }
        exempt
    });
    for _ in 0..50 {
        assert_eq!(once(&Exec::new(["true"])).await.state, State::Ok);
        let outcome = once(&Exec::new(["false"])).await;
        assert_eq!(outcome.metadata["exit_code"], 1);
    }
    ended.store(true, Ordering::Relaxed);
    let exempt = reaper.join().expect("the reaper");
    assert!(exempt.lock().expect("a set").is_empty());
}
