//! WebSockets and other upgrades.

use seaworthy_testkit::Result;
use seaworthy_testkit::client::websocket::{self, Message};
use seaworthy_testkit::client::{self, Connection};
use seaworthy_testkit::process::Seaworthy;

use crate::front::Front;

#[tokio::test]
async fn frames_of_every_size_come_back() -> Result<()> {
    let front = Front::start().await?;
    let mut socket = websocket::open(front.seaworthy.public(), "/ws").await?;
    for size in [0, 1, 125, 126, 65_535, 65_536, 1 << 20] {
        socket.echo(&"x".repeat(size)).await?;
    }
    Ok(())
}

#[tokio::test]
async fn binary_frames_and_pings_pass_untouched() -> Result<()> {
    let front = Front::start().await?;
    let mut socket = websocket::open(front.seaworthy.public(), "/ws").await?;
    let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(300_000).collect();
    socket.send_message(Message::binary(bytes.clone())).await?;
    assert_eq!(socket.next().await?, Message::binary(bytes));
    socket
        .send_message(Message::Ping(b"beat".to_vec().into()))
        .await?;
    assert_eq!(socket.next().await?, Message::Pong(b"beat".to_vec().into()));
    Ok(())
}

#[tokio::test]
async fn a_refused_upgrade_is_an_ordinary_answer() -> Result<()> {
    let front = Front::start().await?;
    let mut connection = Connection::open(front.seaworthy.public()).await?;
    let headers = [("Connection", "Upgrade"), ("Upgrade", "websocket")];
    let refused = connection.ask("GET", "/status/403", &headers, b"").await?;
    assert_eq!(refused.status, 403);
    let next = connection.ask("GET", "/bytes/3", &[], b"").await?;
    assert_eq!(next.body.len(), 3);
    Ok(())
}

#[tokio::test]
async fn http2_is_never_reached_through_an_upgrade() -> Result<()> {
    let front = Front::start().await?;
    let headers = [
        ("Connection", "Upgrade, HTTP2-Settings"),
        ("Upgrade", "h2c"),
        ("HTTP2-Settings", "AAMAAABkAAQAAP__"),
    ];
    let answer = client::send(
        front.seaworthy.public(),
        "GET",
        "/echo?headers",
        &headers,
        b"",
    )
    .await?;
    assert_eq!(answer.status, 200);
    assert!(!answer.text().contains("h2c"), "{}", answer.text());
    Ok(())
}

#[tokio::test]
async fn a_silent_websocket_is_closed_after_its_own_limit() -> Result<()> {
    let builder = Seaworthy::build()
        .set("limits.websocket_idle", "300ms")
        .set("limits.stream_idle", "1h");
    let front = Front::with(builder).await?;
    let mut socket = websocket::open(front.seaworthy.public(), "/ws").await?;
    let start = std::time::Instant::now();
    socket.echo("awake").await?;
    // Without a close frame the end is an error of the same kind; what counts is that it comes.
    socket.close_code().await.ok();
    assert!(start.elapsed().as_millis() >= 300);
    Ok(())
}

/// Needs the Python servers and Node.
mod real {
    use super::{Result, Seaworthy, websocket};
    use seaworthy_testkit::server::App;

    #[tokio::test]
    async fn uvicorn_and_fastapi_echo_through_it() -> Result<()> {
        for app in App::ASGI {
            let server = app.start().await?;
            let seaworthy = Seaworthy::build().connect(server.address).ready().await?;
            let mut socket = websocket::open(seaworthy.public(), "/ws").await?;
            for size in [5, 70_000, 1 << 20] {
                socket.echo(&"ü".repeat(size / 2)).await?;
            }
        }
        Ok(())
    }
}
