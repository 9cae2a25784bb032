//! Many clients at once, and what a burst of failures leaves behind.

use seaworthy_testkit::client;
use seaworthy_testkit::load::Load;
use seaworthy_testkit::origin::{Gate, Origin, Script, Step, ok};
use seaworthy_testkit::process::Seaworthy;
use seaworthy_testkit::server::App;
use seaworthy_testkit::wait::PATIENCE;
use seaworthy_testkit::{Result, alone, scale};

async fn mock() -> Result<Seaworthy> {
    let quiet = App::Mock
        .command()?
        .into_iter()
        .chain(["--quiet".to_owned()]);
    Seaworthy::run(quiet).ready().await
}

#[tokio::test]
async fn five_hundred_slow_requests_are_inside_at_once() -> Result<()> {
    let _turn = alone().await;
    let gate = Gate::new();
    let steps = vec![
        Step::Request,
        Step::Wait(gate.clone()),
        Step::Send(ok("late")),
        Step::Repeat,
    ];
    let origin = Origin::tcp(Script::steps_of(steps)).await?;
    let seaworthy = Seaworthy::build().connect(origin.address()).ready().await?;
    let count = 500;
    let load = Load::new(seaworthy.public())
        .connections(count)
        .count(count)
        .start();
    // The app answers none before it has them all, so any that waited for another would never come in.
    seaworthy.wait_inflight(count).await?;
    let live = client::get(seaworthy.public(), "/health/live").await?;
    assert_eq!(live.status, 200);
    let usage = seaworthy.usage()?;
    gate.open();
    let report = load.stop().await?;
    eprintln!(
        "{count} requests inside at once: {} KiB resident, {} failed",
        usage.rss >> 10,
        report.failures()
    );
    assert_eq!(
        (report.failures(), report.total()),
        (0, count as u64),
        "{report:?}"
    );
    assert!(usage.rss < 64 << 20, "{usage:?}");
    Ok(())
}

#[tokio::test]
async fn a_burst_of_failures_leaves_nothing_behind() -> Result<()> {
    let _turn = alone().await;
    let seaworthy = mock().await?;
    let public = seaworthy.public();
    let count = scale::count(2000);
    let burst = Load::new(public)
        .path("/status/500")
        .connections(50)
        .count(count)
        .run()
        .await?;
    assert_eq!(burst.status(500), count as u64, "{burst:?}");
    seaworthy.wait_inflight(0).await?;
    let after = Load::new(public)
        .path("/echo")
        .connections(50)
        .count(count)
        .run()
        .await?;
    eprintln!(
        "after {count} answers 500: {} of {count} requests failed",
        after.failures()
    );
    assert_eq!(after.failures(), 0, "{after:?}");
    Ok(())
}

#[tokio::test]
async fn timeouts_under_load_hold_up_no_other() -> Result<()> {
    let _turn = alone().await;
    let yaml = "routes: [{match: \"GET /hang\", timeout: 1s}]";
    let quiet = App::Mock
        .command()?
        .into_iter()
        .chain(["--quiet".to_owned()]);
    let seaworthy = Seaworthy::run(quiet).config(yaml).ready().await?;
    let public = seaworthy.public();
    let hanging = Load::new(public)
        .path("/hang")
        .connections(100)
        .count(200)
        .start();
    seaworthy
        .wait_status("hanging requests", PATIENCE, |status| {
            status["inflight"].as_u64() >= Some(50)
        })
        .await?;
    let others = Load::new(public)
        .path("/echo")
        .connections(10)
        .count(1000)
        .run()
        .await?;
    assert_eq!(others.failures(), 0, "{others:?}");
    let report = hanging.stop().await?;
    eprintln!(
        "{} of {} hanging requests were answered 504",
        report.status(504),
        report.total()
    );
    assert_eq!(report.status(504), report.total(), "{report:?}");
    let live = client::get(public, "/health/live").await?;
    assert_eq!(live.status, 200);
    Ok(())
}
