//! The example as it is run: what it promises about its stop.

use std::net::SocketAddr;
use std::path::Path;

use rustix::process::Signal;
use seaworthy_testkit::Result;
use seaworthy_testkit::address::free;
use seaworthy_testkit::client;
use seaworthy_testkit::process::Group;
use seaworthy_testkit::wait::{self, PATIENCE};

async fn start() -> Result<(Group, SocketAddr)> {
    let address = free()?;
    let mut command = tokio::process::Command::new(Path::new(env!("CARGO_BIN_EXE_axum-lifecycle")));
    command
        .env("PORT", address.port().to_string())
        .env_remove("KUBERNETES_SERVICE_HOST");
    let group = Group::start("axum-lifecycle", command)?;
    wait::until("the example to answer", PATIENCE, || async move {
        client::get(address, "/ready")
            .await
            .ok()
            .filter(|answer| answer.status == 200)
    })
    .await?;
    Ok((group, address))
}

async fn said(group: &Group, words: &str) -> Result<()> {
    wait::until(words, PATIENCE, || {
        let stderr = group.output().stderr();
        async move { stderr.contains(words).then_some(()) }
    })
    .await
}

#[tokio::test]
async fn requests_in_flight_are_answered_and_new_ones_refused() -> Result<()> {
    let (mut group, address) = start().await?;
    let mut slow = client::Connection::open(address).await?;
    slow.send(client::request("GET", "/slow", &[], b"")).await?;
    let mut probe = client::Connection::open(address).await?;
    let mut late = client::Connection::open(address).await?;
    assert_eq!(probe.ask("GET", "/live", &[], b"").await?.status, 200);
    assert_eq!(late.ask("GET", "/", &[], b"").await?.status, 200);
    said(&group, "a slow request has come in").await?;
    group.signal(Signal::TERM)?;
    said(&group, "draining").await?;
    assert_eq!(probe.ask("GET", "/ready", &[], b"").await?.status, 503);
    let refused = late.ask("GET", "/", &[], b"").await?;
    assert_eq!(refused.status, 503);
    assert!(
        refused.text().contains("ShuttingDown"),
        "{}",
        refused.text()
    );
    let answered = slow.response("GET").await?;
    assert_eq!((answered.status, answered.text().as_str()), (200, "done\n"));
    assert!(group.wait(PATIENCE).await?.success());
    let told = group.output().stderr();
    for words in ["completed=1", "the model is unloaded", "janitor"] {
        assert!(told.contains(words), "`{words}` is missing in {told}");
    }
    Ok(())
}
