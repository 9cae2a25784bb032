//! What runs out, or is held back on purpose, hurts only those who asked for it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use seaworthy_testkit::certificate::Certificate;
use seaworthy_testkit::client::{self, Connection, End, Response};
use seaworthy_testkit::load::Load;
use seaworthy_testkit::origin::{Origin, Script, ok};
use seaworthy_testkit::process::{Builder, Seaworthy};
use seaworthy_testkit::server::App;
use seaworthy_testkit::wait::{PATIENCE, until};
use seaworthy_testkit::{Result, alone, scale};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinSet;

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
    let (before, window) = (seaworthy.usage()?.processor, Duration::from_secs(2));
    tokio::time::sleep(window).await;
    let used = seaworthy.usage()?.processor - before;
    eprintln!("64 descriptors, 500 clients: {used:?} of processor time in {window:?}");
    assert!(used < window / 5, "a busy loop: {used:?}");
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
    let (mut more, mut told, mut other) = (Vec::new(), 0, Vec::new());
    for _ in 0..60 {
        let mut connection = Connection::open(public).await?;
        let answer = connection.ask("GET", "/echo", &[], b"").await?;
        if answer.status == 200 {
            more.push(connection);
        } else if is_overloaded(&answer) {
            told += 1;
        } else {
            other.push(answer);
        }
    }
    eprintln!(
        "limit 50: {} more were served beside 40, {told} were told 503",
        more.len()
    );
    assert_eq!((more.len(), told), (10, 50), "{other:?}");
    let metrics = seaworthy.look("/metrics").await?.text();
    assert!(
        metrics.contains("seaworthy_errors_total{type=\"Overloaded\"} 50\n"),
        "{metrics}"
    );
    for connection in &mut kept {
        assert_eq!(connection.ask("GET", "/echo", &[], b"").await?.status, 200);
    }
    drop((kept, more));
    seaworthy.ready(PATIENCE).await
}

/// A whole 503 that says when to come back and that the connection closes.
fn is_overloaded(answer: &Response) -> bool {
    answer.status == 503
        && answer.error_type().as_deref() == Some("Overloaded")
        && answer.header("retry-after").is_some()
        && answer.header("x-request-id").is_some()
        && answer.closes()
}

/// An instance of one worker whose `count` connections are all taken.
async fn full(builder: Builder, count: usize) -> Result<(Seaworthy, Vec<Connection>)> {
    let builder = builder.set("limits.max_connections", count);
    let seaworthy = builder.set("threads", 1).ready().await?;
    let mut kept = Vec::new();
    let public = seaworthy.public();
    // The connection of the last probe may be counted for a moment after it was closed.
    let served = || async move {
        let mut connection = Connection::open(public).await.ok()?;
        let answer = connection.ask("GET", "/echo", &[], b"").await.ok()?;
        (answer.status == 200).then_some(connection)
    };
    while kept.len() < count {
        kept.push(until("a free place", PATIENCE, served).await?);
    }
    Ok((seaworthy, kept))
}

#[tokio::test]
async fn without_room_probes_are_answered_and_every_other_request_is_told() -> Result<()> {
    let _turn = alone().await;
    let builder = Seaworthy::run(App::Mock.command()?).set("headers.set.X-Own", "here");
    let (seaworthy, mut kept) = full(builder, 5).await?;
    let public = seaworthy.public();
    for path in ["/health/live", "/health/ready"] {
        let probe = client::get(public, path).await?;
        assert!(probe.status == 200 && probe.closes(), "{path}: {probe:?}");
    }
    let post = client::send(public, "POST", "/echo", &[], &vec![b'x'; 100_000]).await?;
    assert!(is_overloaded(&post), "{post:?}");
    assert_eq!(post.header("x-own"), Some("here"), "like any other refusal");
    let head = client::send(public, "HEAD", "/echo", &[], b"").await?;
    assert_eq!((head.status, head.body.len()), (503, 0), "{head:?}");
    // The answer is the last thing on the connection, and arrives whole.
    let mut told = Connection::open(public).await?;
    told.send(client::request("GET", "/echo", &[], b"")).await?;
    assert!(is_overloaded(&told.response("GET").await?));
    let (rest, end) = told.rest().await?;
    assert_eq!((rest.len(), end), (0, End::Clean));
    // A place that becomes free is taken.
    kept.pop();
    let served = || async {
        let answer = client::get(public, "/echo").await.ok()?;
        (answer.status == 200).then_some(())
    };
    until("the free place", PATIENCE, served).await
}

#[tokio::test]
async fn telling_that_there_is_no_room_has_bounds_of_its_own() -> Result<()> {
    let _turn = alone().await;
    let (seaworthy, mut kept) = full(Seaworthy::run(App::Mock.command()?), 5).await?;
    let before = seaworthy.usage()?.fds;
    let (count, at_once) = (scale::count(300), 64);
    // They say nothing, so each that is waited for takes all of its moment.
    let mut silent = JoinSet::new();
    for _ in 0..count {
        let mut connection = Connection::open(seaworthy.public()).await?;
        silent.spawn(async move { connection.rest().await });
    }
    let (mut most, mut answered) = (0, 0);
    while !silent.is_empty() {
        most = most.max(seaworthy.usage()?.fds);
        tokio::select! {
            ended = silent.join_next() => {
                let (bytes, _) = ended.context("one of those left")???;
                answered += usize::from(!bytes.is_empty());
            }
            () = tokio::time::sleep(Duration::from_millis(20)) => {}
        }
    }
    eprintln!(
        "{count} silent connections without room: {} descriptors at most",
        most - before
    );
    // One may have been accepted and not yet closed.
    assert!(most <= before + at_once + 2, "{before} -> {most}");
    assert_eq!(answered, 0, "whoever asks nothing is told nothing");
    for connection in &mut kept {
        assert_eq!(connection.ask("GET", "/echo", &[], b"").await?.status, 200);
    }
    let told = client::get(seaworthy.public(), "/echo").await?;
    assert!(is_overloaded(&told), "{told:?}");
    Ok(())
}

#[tokio::test]
async fn without_room_a_tls_connection_is_closed_upon() -> Result<()> {
    let (folder, certificate) = (tempfile::tempdir()?, Certificate::new()?);
    let (cert, key) = certificate.write(folder.path())?;
    let seaworthy = Seaworthy::run(App::Mock.command()?)
        .set("listen.tls.cert", cert.display())
        .set("listen.tls.key", key.display())
        .set("limits.max_connections", 1)
        .set("threads", 1)
        .start()
        .await?;
    let public = seaworthy.public();
    let mut kept = Connection::open_tls(public, certificate.client(&["http/1.1"])?).await?;
    assert_eq!(kept.ask("GET", "/echo", &[], b"").await?.status, 200);
    let (bytes, _) = Connection::open(public).await?.rest().await?;
    assert!(bytes.is_empty(), "{bytes:?}");
    assert_eq!(kept.ask("GET", "/echo", &[], b"").await?.status, 200);
    Ok(())
}
