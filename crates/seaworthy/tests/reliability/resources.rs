//! What runs out, or is held back on purpose, hurts only those who asked for it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use seaworthy_testkit::client::{self, Connection};
use seaworthy_testkit::load::Load;
use seaworthy_testkit::origin::{Origin, Script, ok};
use seaworthy_testkit::process::Seaworthy;
use seaworthy_testkit::server::App;
use seaworthy_testkit::wait::{PATIENCE, until};
use seaworthy_testkit::{Result, alone, scale};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinSet;

/// Processor time that `pid` has used, in hundredths of a second.
fn ticks(pid: u32) -> Result<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields: Vec<_> = stat
        .rsplit(") ")
        .next()
        .unwrap_or_default()
        .split(' ')
        .collect();
    Ok(fields[11].parse::<u64>()? + fields[12].parse::<u64>()?)
}

#[tokio::test]
async fn without_descriptors_it_waits_and_recovers() -> Result<()> {
    let _turn = alone().await;
    let origin = Origin::tcp(Script::always(ok("fine"))).await?;
    let seaworthy = Seaworthy::build()
        .under(["prlimit", "--nofile=64:64"])
        .connect(origin.address())
        .ready()
        .await?;
    let public = seaworthy.public();
    let mut clients = Vec::new();
    for _ in 0..500 {
        clients.push(Connection::open(public).await?);
    }
    // Measured over a time, because nothing is to happen in it.
    let (before, window) = (ticks(seaworthy.pid())?, Duration::from_secs(2));
    tokio::time::sleep(window).await;
    let used = ticks(seaworthy.pid())? - before;
    eprintln!(
        "64 descriptors, 500 clients: {used} of 200 hundredths of a second of processor time"
    );
    assert!(used < 40, "a busy loop: {used}");
    assert_eq!(seaworthy.status().await?["state"], "running");
    // Whoever was let in has a way to the app; the others know at once that they were not.
    let (mut served, mut turned_away, mut other) = (0, 0, Vec::new());
    for connection in &mut clients {
        match connection.ask("GET", "/", &[], b"").await {
            Ok(answer) if answer.status == 200 => served += 1,
            Ok(answer) => other.push(answer.text()),
            Err(_) => turned_away += 1,
        }
    }
    eprintln!(
        "{served} were served, {turned_away} turned away, {} answered otherwise",
        other.len()
    );
    assert!(other.is_empty(), "{other:?}");
    assert!((8..64).contains(&served), "{served} served");
    drop(clients);
    let recovered = || async {
        client::get(public, "/health/live")
            .await
            .ok()
            .filter(|answer| answer.status == 200)
    };
    until("an answer after the clients left", PATIENCE, recovered).await?;
    let report = Load::new(public).count(200).connections(4).run().await?;
    assert_eq!(report.failures(), 0, "{report:?}");
    Ok(())
}

/// Sends a head line by line, never its end, until it is thrown out; says how long that took and what it was told.
async fn dawdle(to: SocketAddr) -> Result<(Duration, String)> {
    let (stream, _) = Connection::open(to).await?.into_parts();
    let (mut reader, mut writer) = tokio::io::split(stream);
    let begun = Instant::now();
    writer
        .write_all(b"GET /echo HTTP/1.1\r\nHost: x\r\n")
        .await?;
    let mut told = Vec::new();
    let dripping = async {
        while writer.write_all(b"X-Slow: a\r\n").await.is_ok() {
            // The pace of the attack itself.
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        std::future::pending().await
    };
    tokio::select! {
        () = dripping => {}
        ended = reader.read_to_end(&mut told) => drop(ended),
    }
    Ok((begun.elapsed(), String::from_utf8_lossy(&told).into_owned()))
}

#[tokio::test]
async fn slow_clients_are_thrown_out_and_probes_never_wait() -> Result<()> {
    let _turn = alone().await;
    let deadline = Duration::from_secs(2);
    let seaworthy = Seaworthy::run(App::Mock.command()?)
        .set("limits.header_timeout", "2s")
        .ready()
        .await?;
    let public = seaworthy.public();
    let count = scale::count(200);
    let mut attackers = JoinSet::new();
    for _ in 0..count {
        attackers.spawn(dawdle(public));
    }
    let (mut probes, mut failed, mut slowest) = (0, 0, Duration::ZERO);
    let mut ends = Vec::new();
    while ends.len() < count {
        while let Some(end) = attackers.try_join_next() {
            ends.push(end??);
        }
        let begun = Instant::now();
        let answer = client::get(public, "/health/live").await;
        slowest = slowest.max(begun.elapsed());
        probes += 1;
        failed += usize::from(!answer.is_ok_and(|answer| answer.status == 200));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let early = ends.iter().filter(|(took, _)| *took < deadline).count();
    let told = ends
        .iter()
        .filter(|(_, told)| told.starts_with("HTTP/1.1 408 "))
        .count();
    eprintln!(
        "{count} slow clients: {failed} of {probes} probes failed, the slowest took {slowest:?}; {told} were told 408, {early} left early"
    );
    assert_eq!(failed, 0);
    assert_eq!(early, 0, "thrown out before the deadline");
    assert_eq!(told, count);
    assert_eq!(client::get(public, "/echo").await?.status, 200);
    Ok(())
}

#[tokio::test]
async fn more_connections_than_allowed_cost_the_others_nothing() -> Result<()> {
    let _turn = alone().await;
    let builder = Seaworthy::run(App::Mock.command()?).set("limits.max_connections", "50");
    let seaworthy = builder.set("threads", 1).ready().await?;
    let public = seaworthy.public();
    let mut kept = Vec::new();
    for _ in 0..40 {
        let mut connection = Connection::open(public).await?;
        assert_eq!(connection.ask("GET", "/echo", &[], b"").await?.status, 200);
        kept.push(connection);
    }
    let mut refused = 0;
    let mut more = Vec::new();
    for _ in 0..60 {
        let mut connection = Connection::open(public).await?;
        match connection.ask("GET", "/echo", &[], b"").await {
            Ok(answer) if answer.status == 200 => more.push(connection),
            _ => refused += 1,
        }
    }
    eprintln!(
        "limit 50: {} more were served beside 40, {refused} refused",
        more.len()
    );
    assert_eq!((more.len(), refused), (10, 50));
    for connection in &mut kept {
        assert_eq!(connection.ask("GET", "/echo", &[], b"").await?.status, 200);
    }
    drop((kept, more));
    seaworthy.ready(PATIENCE).await
}
