//! The harness around the real binary: that it starts, is watched, tells what it did, and leaves nothing behind.

use std::time::Duration;

use seaworthy_testkit::Result;
use seaworthy_testkit::address::free;
use seaworthy_testkit::client::{self, Connection};
use seaworthy_testkit::load::Load;
use seaworthy_testkit::origin::{Origin, Script, ok};
use seaworthy_testkit::process::{Process, Seaworthy};
use seaworthy_testkit::server::App;
use seaworthy_testkit::wait::{PATIENCE, holds};

#[tokio::test]
async fn runs_an_app_and_stops_it() -> Result<()> {
    let folder = tempfile::tempdir()?;
    std::fs::write(folder.path().join("a.txt"), "hello")?;
    let served = Seaworthy::run(App::HttpServer.command()?).current_dir(folder.path());
    let mut seaworthy = served.set("shutdown.propagation", "0s").ready().await?;
    let answer = client::get(seaworthy.public(), "/a.txt").await?;
    assert_eq!((answer.status, answer.text().as_str()), (200, "hello"));
    let health = seaworthy.look("/metrics").await?;
    assert!(
        health.text().contains("seaworthy_build_info"),
        "{}",
        health.text()
    );
    let usage = seaworthy.usage()?;
    assert!(usage.threads >= 1 && usage.rss > 1_000_000, "{usage:?}");
    let below = seaworthy.group().descendants();
    assert_eq!(below.len(), 1, "{below:?}");
    assert_eq!(seaworthy.stop(PATIENCE).await?, 0);
    let gone = Process::read(below[0].pid).is_none_or(|process| process.state == 'Z');
    assert!(gone, "the app outlived its front");
    Ok(())
}

#[tokio::test]
async fn stands_in_front_of_an_origin() -> Result<()> {
    let origin = Origin::tcp(Script::always(ok("from the origin"))).await?;
    let seaworthy = Seaworthy::build().connect(origin.address()).ready().await?;
    let mut connection = Connection::open(seaworthy.public()).await?;
    for _ in 0..3 {
        let answer = connection
            .ask("POST", "/p?q=1", &[("X-Mark", "m")], b"sent")
            .await?;
        assert_eq!(
            (answer.status, answer.text().as_str()),
            (200, "from the origin")
        );
    }
    let requests = origin.requests();
    let posts: Vec<_> = requests
        .iter()
        .filter(|request| request.starts_with("POST /p?q=1 "))
        .collect();
    assert_eq!(posts.len(), 3, "{requests:?}");
    assert!(posts[0].ends_with("\r\n\r\nsent"), "{posts:?}");
    Ok(())
}

#[tokio::test]
async fn carries_a_load_without_a_failure() -> Result<()> {
    let seaworthy = Seaworthy::run(App::Mock.command()?).ready().await?;
    let load = Load::new(seaworthy.public())
        .path("/bytes/1000")
        .connections(8)
        .count(400);
    let report = load.run().await?;
    assert_eq!(
        (report.status(200), report.failures()),
        (400, 0),
        "{report:?}"
    );
    Ok(())
}

#[tokio::test]
async fn an_end_before_listening_is_told_at_once() -> Result<()> {
    let taken = free()?;
    let _holder = std::net::TcpListener::bind(taken)?;
    let ended = Seaworthy::run(App::Mock.command()?)
        .listen(taken)
        .end(PATIENCE)
        .await?;
    assert_ne!(ended.code(), 0);
    assert!(
        ended.stderr.contains(&taken.port().to_string()),
        "{}",
        ended.stderr
    );
    let error = Seaworthy::run(App::Mock.command()?)
        .listen(taken)
        .start()
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("ended before it listened"),
        "{error}"
    );
    Ok(())
}

#[tokio::test]
async fn dropping_it_ends_its_app() -> Result<()> {
    let seaworthy = Seaworthy::run(App::Mock.command()?).ready().await?;
    let below = seaworthy.group().descendants();
    assert!(!below.is_empty());
    drop(seaworthy);
    let gone = |pid| Process::read(pid).is_none_or(|process| process.state == 'Z');
    holds("the app's end", Duration::from_secs(5), || {
        below.iter().all(|process| gone(process.pid))
    })
    .await
}
