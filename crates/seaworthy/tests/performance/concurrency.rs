//! Many clients at once, and what a burst of failures leaves behind.

use std::time::{Duration, Instant};

use seaworthy_testkit::client;
use seaworthy_testkit::load::Load;
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
async fn slow_requests_share_the_time() -> Result<()> {
    let _turn = alone().await;
    let seaworthy = mock().await?;
    let (connections, count) = (200, scale::count(1000));
    let begun = Instant::now();
    let load = Load::new(seaworthy.public())
        .path("/sleep/100")
        .connections(connections);
    let report = load.count(count).run().await?;
    let took = begun.elapsed();
    eprintln!(
        "{count} requests of 100 ms over {connections} connections: {took:.2?}, {} failed",
        report.failures()
    );
    assert_eq!(report.failures(), 0, "{report:?}");
    // One after the other they would take this long.
    assert!(
        took < Duration::from_millis(100) * u32::try_from(count)? / 10,
        "{took:?}"
    );
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
        .wait_status("100 hanging requests", PATIENCE, |status| {
            status["inflight"] == 100
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
