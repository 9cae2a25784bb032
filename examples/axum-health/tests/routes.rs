//! The example as it is run: every route over a real socket.

use std::net::SocketAddr;
use std::path::Path;

use seaworthy_testkit::Result;
use seaworthy_testkit::address::free;
use seaworthy_testkit::client;
use seaworthy_testkit::process::Group;
use seaworthy_testkit::wait::{self, PATIENCE};

async fn start(uploads: &Path) -> Result<(Group, SocketAddr)> {
    let address = free()?;
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_axum-health"));
    command
        .env("PORT", address.port().to_string())
        .env("CACHE", "127.0.0.1:1")
        .env("UPLOADS", uploads);
    Ok((Group::start("axum-health", command)?, address))
}

async fn code(address: SocketAddr, path: &str) -> Option<u16> {
    Some(client::get(address, path).await.ok()?.status)
}

async fn becomes(address: SocketAddr, path: &str, wanted: u16) -> Result<()> {
    wait::until(&format!("{path} to answer {wanted}"), PATIENCE, || async {
        code(address, path).await.filter(|code| *code == wanted)
    })
    .await
    .map(drop)
}

#[tokio::test]
async fn six_routes_answer_and_the_others_are_the_apps() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (_group, address) = start(folder.path()).await?;
    becomes(address, "/health/ready", 200).await?;
    for path in [
        "/health/live",
        "/health/ready",
        "/health/startup",
        "/health",
        "/health/detailed",
        "/health/summary",
    ] {
        let answer = client::get(address, path).await?;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        assert_eq!(answer.json()?["service"], "shop", "{path}");
    }
    assert_eq!(client::get(address, "/").await?.text(), "hello\n");
    assert_eq!(code(address, "/health/nothing").await, Some(404));
    assert_eq!(code(address, "/nothing").await, Some(404));
    Ok(())
}

#[tokio::test]
async fn what_is_missing_closes_readiness_alone() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let uploads = folder.path().join("uploads");
    std::fs::create_dir(&uploads)?;
    let (_group, address) = start(&uploads).await?;
    becomes(address, "/health/ready", 200).await?;
    std::fs::remove_dir(&uploads)?;
    becomes(address, "/health/ready", 503).await?;
    let told = client::get(address, "/health").await?.json()?;
    assert_eq!(told["message"], "uploads: there is no such folder");
    for path in ["/health/live", "/health/startup", "/health/summary"] {
        assert_eq!(code(address, path).await, Some(200), "{path}");
    }
    std::fs::create_dir(&uploads)?;
    becomes(address, "/health/ready", 200).await
}
