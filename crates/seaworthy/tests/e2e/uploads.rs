//! Large bodies: byte for byte, within bounded memory, at the pace of the slower side.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use seaworthy_testkit::client::{self, Connection, Response};
use seaworthy_testkit::origin::{Gate, Script, Step, ok};
use seaworthy_testkit::process::Seaworthy;
use seaworthy_testkit::wait::{self, PATIENCE};
use seaworthy_testkit::{Result, scale};

use crate::front::{Front, before, before_with};

const MIB: u64 = 1 << 20;

/// 64 MiB every day, 1 GiB in a full run.
fn large() -> u64 {
    if scale::factor() > 1 {
        1024 * MIB
    } else {
        64 * MIB
    }
}

/// How long a large body may take on a busy machine.
const LONG: Duration = Duration::from_secs(300);

fn within_bounds(seaworthy: &Seaworthy) -> Result<()> {
    let peak = seaworthy.usage()?.peak_rss;
    assert!(peak < 64 * MIB, "{} MiB", peak / MIB);
    Ok(())
}

#[tokio::test]
async fn a_large_answer_arrives_byte_for_byte() -> Result<()> {
    let front = Front::start().await?;
    let size = large();
    for query in ["", "?chunked"] {
        let mut connection = Connection::open(front.seaworthy.public()).await?;
        let path = format!("/bytes/{size}{query}");
        connection
            .send(client::request("GET", &path, &[], b""))
            .await?;
        let head = connection.head().await?;
        let chunked = head.has_token("transfer-encoding", "chunked");
        assert_eq!(chunked, !query.is_empty());
        let mut at: u64 = 0;
        while at < size {
            let part = if chunked {
                connection.chunk().await?
            } else {
                connection.some().await?
            };
            assert!(!part.is_empty(), "ended after {at} of {size} bytes");
            // The mock's pattern: 251 is prime, so that no lost block goes unseen.
            let expected = (at..).map(|at| u8::try_from(at % 251).unwrap_or_default());
            assert!(
                part.iter()
                    .copied()
                    .zip(expected)
                    .all(|(got, want)| got == want),
                "near byte {at}"
            );
            at += part.len() as u64;
        }
        assert_eq!(at, size);
    }
    within_bounds(&front.seaworthy)
}

#[tokio::test]
async fn a_large_upload_arrives_whole() -> Result<()> {
    let front = Front::start().await?;
    let mut connection = Connection::open(front.seaworthy.public())
        .await?
        .patience(LONG);
    let size = large();
    connection
        .send(format!(
            "POST /echo?headers HTTP/1.1\r\nHost: test\r\nContent-Length: {size}\r\n\r\n"
        ))
        .await?;
    connection.send_bulk(size).await?;
    let answer: Response = connection.response("POST").await?;
    assert_eq!(answer.json()?["bytes"], size);
    within_bounds(&front.seaworthy)
}

#[tokio::test]
async fn an_app_that_does_not_read_stops_the_client() -> Result<()> {
    let gate = Gate::new();
    let total = 128 * MIB;
    let script = Script::steps_of(vec![
        Step::Head,
        Step::Deaf,
        Step::Wait(gate.clone()),
        Step::Listen,
        Step::Request,
        Step::Send(ok("all of it")),
        Step::Repeat,
    ]);
    let (seaworthy, _origin) = before(script).await?;
    let before = seaworthy.usage()?.rss;
    let mut connection = Connection::open(seaworthy.public()).await?.patience(LONG);
    let head = format!("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: {total}\r\n\r\n");
    connection.send(head).await?;
    let sent = Arc::new(AtomicU64::new(0));
    let counter = sent.clone();
    let client = tokio::spawn(async move {
        let block = vec![b'x'; 64 * 1024];
        while counter.load(Ordering::Relaxed) < total {
            connection.send(&block).await?;
            counter.fetch_add(block.len() as u64, Ordering::Relaxed);
        }
        connection.response("POST").await
    });
    let stopped = settled(|| sent.load(Ordering::Relaxed)).await?;
    // What lies between the two is in the sockets' buffers, not in ours.
    assert!(stopped < total / 2, "{} MiB were taken", stopped / MIB);
    let held = seaworthy.usage()?.rss.saturating_sub(before);
    assert!(held < 2 * MIB, "{} KiB are held", held / 1024);
    gate.open();
    assert_eq!(client.await??.text(), "all of it");
    Ok(())
}

#[tokio::test]
async fn a_slow_reader_of_a_large_answer_costs_next_to_nothing() -> Result<()> {
    let readers: u64 = 20;
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", 1024 * MIB);
    let script = Script::steps_of(vec![
        Step::Request,
        Step::Send(head.into()),
        Step::Flood(1024 * MIB),
    ]);
    let (seaworthy, _origin) = before_with(script, Seaworthy::build().set("threads", 1)).await?;
    // The first one pays for what all share.
    let mut slow = vec![open_slowly(&seaworthy).await?];
    let before = settled(|| seaworthy.usage().map_or(0, |usage| usage.rss)).await?;
    for _ in 0..readers {
        slow.push(open_slowly(&seaworthy).await?);
    }
    let after = settled(|| seaworthy.usage().map_or(0, |usage| usage.rss)).await?;
    let each = after.saturating_sub(before) / readers;
    assert!(each < MIB, "{} KiB each", each / 1024);
    Ok(())
}

/// Asks for everything and reads no more than the head.
async fn open_slowly(seaworthy: &Seaworthy) -> Result<Connection> {
    let mut connection = Connection::open(seaworthy.public()).await?;
    connection
        .send(client::request("GET", "/", &[], b""))
        .await?;
    assert_eq!(connection.head().await?.status()?, 200);
    Ok(connection)
}

/// Waits until `value` has not changed for half a second.
async fn settled(value: impl Fn() -> u64) -> Result<u64> {
    let mut last = (u64::MAX, std::time::Instant::now());
    wait::until("something to stand still", PATIENCE, || {
        let now = value();
        if now != last.0 {
            last = (now, std::time::Instant::now());
        }
        let still = last.1.elapsed() >= Duration::from_millis(500);
        std::future::ready(still.then_some(now))
    })
    .await
}

/// Needs the Python servers and Node.
mod real {
    use super::{Connection, LONG, Result, Seaworthy, client, large, within_bounds};
    use seaworthy_testkit::alone;
    use seaworthy_testkit::client::download_sha256;
    use seaworthy_testkit::server::App;

    #[tokio::test]
    async fn what_is_uploaded_is_what_the_app_gets() -> Result<()> {
        let _turn = alone().await;
        let size = large();
        for app in [App::Uvicorn, App::Node] {
            let server = app.start().await?;
            let seaworthy = Seaworthy::build().connect(server.address).ready().await?;
            let mut connection = Connection::open(seaworthy.public()).await?.patience(LONG);
            let head =
                format!("POST /upload HTTP/1.1\r\nHost: test\r\nContent-Length: {size}\r\n\r\n");
            connection.send(head).await?;
            let sent = connection.send_bulk(size).await?;
            let got = connection.response("POST").await?.json()?;
            assert_eq!(
                (got["bytes"].as_u64(), got["sha256"].as_str()),
                (Some(size), Some(sent.as_str())),
                "{app:?}"
            );
            within_bounds(&seaworthy)?;
        }
        Ok(())
    }

    #[tokio::test]
    async fn what_the_app_sends_is_what_is_downloaded() -> Result<()> {
        let _turn = alone().await;
        let size = large();
        for app in [App::Uvicorn, App::Node] {
            let server = app.start().await?;
            let seaworthy = Seaworthy::build().connect(server.address).ready().await?;
            let mut connection = Connection::open(seaworthy.public()).await?.patience(LONG);
            connection
                .send(client::request(
                    "GET",
                    &format!("/download/{size}"),
                    &[],
                    b"",
                ))
                .await?;
            assert_eq!(
                connection.head().await?.header("content-length"),
                Some(size.to_string().as_str())
            );
            assert_eq!(
                connection.receive_bulk(size).await?,
                download_sha256(size),
                "{app:?}"
            );
            within_bounds(&seaworthy)?;
        }
        Ok(())
    }
}
