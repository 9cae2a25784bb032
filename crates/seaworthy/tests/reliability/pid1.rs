//! As the first process of a container: orphans are ours, signals are ours to pass on, and the exit code is the container's.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use rustix::process::Signal;
use seaworthy_testkit::client;
use seaworthy_testkit::process::{
    Builder, Process, Seaworthy, children, descendants, kill, zombies,
};
use seaworthy_testkit::server::App;
use seaworthy_testkit::wait::{PATIENCE, holds};
use seaworthy_testkit::{Result, alone, scale};

/// The binary as PID 1 of a new pid namespace.
fn contained(app: Vec<String>) -> Builder {
    let root = rustix::process::geteuid().is_root();
    let user: &[&str] = if root {
        &[]
    } else {
        &["--user", "--map-root-user"]
    };
    let words = ["unshare", "--pid", "--fork", "--mount-proc"]
        .iter()
        .chain(user);
    let builder = Seaworthy::run(app).under(words.copied());
    // Each is process 1 of its own world, and coverage would have all of them write into one file at once.
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    match std::env::var("LLVM_PROFILE_FILE") {
        Ok(file) => {
            let own = format!("{}-{number}-%p", std::process::id());
            builder.env("LLVM_PROFILE_FILE", file.replace("%p", &own))
        }
        Err(_) => builder,
    }
}

/// The process outside of which the instance calls itself 1.
fn inner(seaworthy: &Seaworthy) -> u32 {
    let below = children(seaworthy.pid());
    assert_eq!(below.len(), 1, "{below:?}");
    below[0].pid
}

fn shell(script: &str) -> Vec<String> {
    ["sh", "-c", script].map(str::to_owned).into()
}

/// A mock whose shell first leaves `count` sleepers without a parent.
fn with_orphans(count: usize) -> Result<Vec<String>> {
    let mock = App::Mock.command()?.join(" ");
    Ok(shell(&format!(
        "i=0; while [ $i -lt {count} ]; do (sleep 600 &); i=$((i + 1)); done; exec {mock}"
    )))
}

/// Kills all sleepers that `pid` has inherited, and waits until it has reaped them.
async fn reaps(pid: u32, count: usize) -> Result<()> {
    let sleepers = || {
        let mut below = children(pid);
        below.retain(|process| process.name == "sleep");
        below
    };
    holds("the orphans", PATIENCE, || sleepers().len() == count).await?;
    for sleeper in sleepers() {
        kill(sleeper.pid, Signal::KILL)?;
    }
    holds("the orphans to be reaped", PATIENCE, || {
        sleepers().is_empty()
    })
    .await?;
    let left = zombies(pid);
    eprintln!("{count} orphans: {} left unreaped", left.len());
    assert!(left.is_empty(), "{left:?}");
    Ok(())
}

#[tokio::test]
async fn pid_one_reaps_every_orphan_and_keeps_its_app() -> Result<()> {
    let _turn = alone().await;
    let count = scale::count(100);
    let seaworthy = contained(with_orphans(count)?).ready().await?;
    assert_eq!(seaworthy.instance().pid, 1);
    let pid = inner(&seaworthy);
    reaps(pid, count).await?;
    assert_eq!(client::get(seaworthy.public(), "/echo").await?.status, 200);
    let left = descendants(pid);
    assert_eq!(left.len(), 1, "{left:?}");
    kill(pid, Signal::TERM)?;
    let mut seaworthy = seaworthy;
    assert_eq!(seaworthy.code(PATIENCE).await?, 0);
    Ok(())
}

#[tokio::test]
async fn orphans_come_to_it_without_being_pid_one() -> Result<()> {
    let count = scale::count(20);
    let seaworthy = Seaworthy::run(with_orphans(count)?).ready().await?;
    reaps(seaworthy.pid(), count).await?;
    assert_eq!(client::get(seaworthy.public(), "/echo").await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn pid_one_passes_signals_on_and_waits_for_the_end() -> Result<()> {
    let trap =
        "trap 'echo bye; exit 0' TERM; trap 'echo usr1' USR1; echo up; while :; do sleep 0.1; done";
    for signal in [Signal::TERM, Signal::INT] {
        let mut seaworthy = contained(shell(trap)).start().await?;
        holds("the app", PATIENCE, || {
            seaworthy.output().stdout().contains("up")
        })
        .await?;
        let pid = inner(&seaworthy);
        kill(pid, Signal::USR1)?;
        holds("USR1 to arrive", PATIENCE, || {
            seaworthy.output().stdout().contains("usr1")
        })
        .await?;
        kill(pid, signal)?;
        assert_eq!(seaworthy.code(PATIENCE).await?, 0, "{signal:?}");
        assert_eq!(seaworthy.output().stdout(), "up\nusr1\nbye\n", "{signal:?}");
    }
    Ok(())
}

#[tokio::test]
async fn pid_one_ends_with_the_apps_code() -> Result<()> {
    for (script, code) in [("exit 7", 7), ("kill -9 $$", 137), ("kill -15 $$", 143)] {
        let builder = contained(shell(script)).set("app.restart.policy", "never");
        assert_eq!(builder.end(PATIENCE).await?.code(), code, "{script}");
    }
    Ok(())
}

#[tokio::test]
async fn nothing_of_the_apps_group_outlives_a_stop() -> Result<()> {
    let mock = App::Mock.command()?.join(" ");
    // One that dies on TERM and one that does not care.
    let script = format!("sleep 999 & (trap '' TERM; exec sleep 998) & exec {mock}");
    let builder = Seaworthy::run(shell(&script)).set("shutdown.app", "500ms");
    let mut seaworthy = builder.ready().await?;
    let below = seaworthy.group().descendants();
    assert_eq!(below.len(), 3, "{below:?}");
    let code = seaworthy.stop(Duration::from_secs(40)).await?;
    let gone = |pid| Process::read(pid).is_none_or(|process| process.state == 'Z');
    let left: Vec<_> = below.iter().filter(|process| !gone(process.pid)).collect();
    eprintln!(
        "{} of {} processes of the app outlived the stop",
        left.len(),
        below.len()
    );
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(code, 75, "one of them had to be killed");
    Ok(())
}
