//! What it holds: idle, under many connections, and for readers that do not read.

use std::time::Duration;

use seaworthy_testkit::client::{self, Connection};
use seaworthy_testkit::load::Load;
use seaworthy_testkit::origin::{Origin, Script, Step, ok};
use seaworthy_testkit::process::Seaworthy;
use seaworthy_testkit::server::App;
use seaworthy_testkit::wait::until;
use seaworthy_testkit::{Result, alone, scale};

const MIB: u64 = 1 << 20;

fn mib(bytes: u64) -> f64 {
    bytes as f64 / MIB as f64
}

#[tokio::test]
async fn idle_it_is_small() -> Result<()> {
    let _turn = alone().await;
    let seaworthy = Seaworthy::run(App::Mock.command()?).ready().await?;
    let usage = seaworthy.usage()?;
    eprintln!(
        "idle: {:.1} MiB resident, {} threads, {} descriptors",
        mib(usage.rss),
        usage.threads,
        usage.fds
    );
    assert!(usage.rss < 25 * MIB, "{usage:?}");
    Ok(())
}

#[tokio::test]
async fn five_hundred_connections_fit_into_64_mib() -> Result<()> {
    let _turn = alone().await;
    let origin = Origin::tcp(Script::always(ok(&"x".repeat(1000)))).await?;
    let seaworthy = Seaworthy::build().connect(origin.address()).ready().await?;
    let count = scale::count(20_000);
    let load = Load::new(seaworthy.public()).connections(500).count(count);
    let begun = std::time::Instant::now();
    let report = load.run().await?;
    let took = begun.elapsed();
    let usage = seaworthy.usage()?;
    eprintln!(
        "500 connections: {} of {count} requests failed in {took:.1?}, {:.1} MiB at the peak",
        report.failures(),
        mib(usage.peak_rss)
    );
    assert_eq!(report.failures(), 0, "{report:?}");
    assert!(usage.peak_rss < 64 * MIB, "{usage:?}");
    Ok(())
}

#[tokio::test]
async fn a_slow_reader_costs_less_than_a_mebibyte() -> Result<()> {
    let _turn = alone().await;
    let size: u64 = 1 << 30;
    let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n").into_bytes();
    let steps = vec![
        Step::Request,
        Step::Send(answer),
        Step::Flood(size),
        Step::Repeat,
    ];
    let origin = Origin::tcp(Script::steps_of(steps)).await?;
    let seaworthy = Seaworthy::build().connect(origin.address()).ready().await?;
    // Buffers of the first exchange are not what a reader costs.
    let mut warm = Connection::open(seaworthy.public()).await?;
    warm.send(client::request("GET", "/", &[], b"")).await?;
    warm.head().await?;
    warm.exactly(8 << 20).await?;
    drop(warm);
    let before = seaworthy.usage()?.rss;
    let readers = 20;
    let mut slow = Vec::new();
    for _ in 0..readers {
        let mut connection = Connection::open(seaworthy.public()).await?;
        connection
            .send(client::request("GET", "/", &[], b""))
            .await?;
        connection.head().await?;
        slow.push(connection);
    }
    seaworthy.wait_inflight(readers).await?;
    // Read a little from time to time, so that every buffer on the way is full in between.
    for _ in 0..10 {
        for connection in &mut slow {
            connection.exactly(16 << 10).await?;
        }
        settled(&seaworthy).await?;
    }
    let after = seaworthy.usage()?.rss;
    let each = after.saturating_sub(before) / readers as u64;
    eprintln!("{readers} slow readers of 1 GiB: {:.2} MiB each", mib(each));
    assert!(each < MIB, "{before} -> {after}");
    Ok(())
}

/// Waits until its memory stays what it is.
async fn settled(seaworthy: &Seaworthy) -> Result<()> {
    let mut last = 0;
    let mut same = 0;
    until("memory to settle", Duration::from_secs(20), || {
        let now = seaworthy.usage().map_or(0, |usage| usage.rss);
        same = if now == last { same + 1 } else { 0 };
        last = now;
        std::future::ready((same >= 5).then_some(()))
    })
    .await
}
