//! Seaworthy itself is killed, by SIGKILL or because memory ran out: nobody is left to stop the app, so the kernel does.

use seaworthy_testkit::process::{Process, Seaworthy, Signal};
use seaworthy_testkit::server::App;
use seaworthy_testkit::wait::{PATIENCE, holds};
use seaworthy_testkit::{Result, client, scale};
use serde_json::Value;

/// Whether it runs; a zombie whose new parent has not reaped it does not.
fn runs(pid: u32) -> bool {
    Process::read(pid).is_some_and(|process| process.state != 'Z')
}

/// Two copies of an app that no polite signal ends.
fn stubborn() -> Result<Vec<String>> {
    let mock = App::Mock.command()?.join(" ");
    let script = format!("trap '' TERM INT HUP; exec {mock}");
    Ok(["sh", "-c", &script].map(str::to_owned).into())
}

async fn two(address: &str) -> Result<Seaworthy> {
    let seaworthy = Seaworthy::run(stubborn()?)
        .listen(address)
        .set("app.instances", 2)
        .set("app.restart.stable_after", "1ms")
        .ready()
        .await?;
    both(&seaworthy, |_| true).await?;
    Ok(seaworthy)
}

/// Waits until both copies are ready, with processes that satisfy `wanted`.
async fn both(seaworthy: &Seaworthy, wanted: impl Fn(u64) -> bool) -> Result<()> {
    let ready = |status: &Value| {
        (0..2).all(|number| {
            let instance = &status["app"]["instances"][number];
            instance["state"] == "ready" && instance["pid"].as_u64().is_some_and(&wanted)
        })
    };
    seaworthy
        .wait_status("both copies", PATIENCE, ready)
        .await
        .map(drop)
}

#[tokio::test]
async fn the_app_dies_with_it_and_the_port_is_free_again() -> Result<()> {
    let times = scale::count(3);
    let mut address = "127.0.0.1:0".to_owned();
    let mut outlived = 0;
    for _ in 0..times {
        let mut seaworthy = two(&address).await?;
        address = seaworthy.public().to_string();
        // One of them has been started again: that start must be tied to us as the first one was.
        let killed = seaworthy.kill_app(0).await?;
        both(&seaworthy, |pid| pid != u64::from(killed)).await?;
        let pids = seaworthy.app_pids().await?;
        assert!(
            pids.len() == 2 && pids.iter().all(|pid| runs(*pid)),
            "{pids:?}"
        );

        seaworthy.signal(Signal::KILL)?;
        assert_eq!(seaworthy.code(PATIENCE).await?, 137);
        let gone = || !pids.iter().any(|pid| runs(*pid));
        outlived += usize::from(holds("the end of the app", PATIENCE, gone).await.is_err());
    }
    eprintln!("{outlived} of {times} apps outlived the SIGKILL of Seaworthy");
    assert_eq!(outlived, 0);
    // Nothing of those before is in the way.
    let next = two(&address).await?;
    assert_eq!(client::get(next.public(), "/echo").await?.status, 200);
    Ok(())
}
