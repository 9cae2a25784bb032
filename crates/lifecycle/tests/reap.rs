//! Reaping with real processes. Each test is a program of its own for the system's list of children, so there is one.

#![allow(
    clippy::unwrap_used,
    reason = "a test that cannot go on should say where"
)]

use std::time::{Duration, Instant};

use rustix::process::{Pid, WaitId, WaitIdOptions};
use seaworthy_lifecycle::exit::Exit;
use seaworthy_lifecycle::reap::Reaper;
use seaworthy_lifecycle::signals::Name;
use seaworthy_lifecycle::spawn::Program;

fn shell(script: &str) -> Program {
    Program {
        program: "sh".into(),
        args: vec!["-c".into(), script.into()],
        ..Program::default()
    }
}

/// How many of our children are dead and not reaped, `besides` left out.
fn zombies(besides: i32) -> usize {
    let own = i32::try_from(std::process::id()).unwrap();
    let all = procfs::process::all_processes().unwrap();
    all.flatten()
        .filter_map(|process| process.stat().ok())
        .filter(|stat| stat.ppid == own && stat.state == 'Z' && stat.pid != besides)
        .count()
}

async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(30), "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn orphans_are_reaped_and_nobody_elses_children() {
    let reaper = Reaper::start(true).unwrap();

    // A child of somebody else that is dead and stands first in the list of children for as long as this test lasts.
    let start = || -> std::io::Result<_> {
        let child = std::process::Command::new("true").spawn()?;
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        Ok((child, pid))
    };
    let ((mut foreign, foreign_pid), guard) = reaper
        .exempt(|| start().map(|(child, pid)| ((child, pid), pid)))
        .unwrap();
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT;
    rustix::process::waitid(WaitId::Pid(foreign_pid), options).unwrap();

    // 1,000 processes whose parent dies at once; each holds the pipe until it ends.
    let begun = Instant::now();
    let before = reaper.orphans_total();
    let mut parent = reaper
        .spawn(&shell(
            "i=0; while [ $i -lt 1000 ]; do (setsid sh -c : &); i=$((i+1)); done; exit 5",
        ))
        .unwrap();
    assert_eq!(parent.wait().await, Exit::Code(5));
    eventually("1,000 orphans", || reaper.orphans_total() - before >= 1000).await;
    let foreign_number = foreign_pid.as_raw_nonzero().get();
    eventually("no zombies", || zombies(foreign_number) == 0).await;
    assert!(begun.elapsed() < Duration::from_secs(30));

    // The foreign child is still there for its owner.
    assert!(foreign.wait().unwrap().success());
    drop(guard);

    // A known child that dies while orphans die is told to its owner, and to nobody else.
    let mut known = reaper
        .spawn(&shell("(sleep 0.01 &) ; (sleep 0.01 &) ; kill -USR1 $$"))
        .unwrap();
    assert_eq!(known.wait().await, Exit::Signal(Name::USR1));
    assert_eq!(known.wait().await, Exit::Signal(Name::USR1));
    eventually("no zombies", || zombies(0) == 0).await;
}
