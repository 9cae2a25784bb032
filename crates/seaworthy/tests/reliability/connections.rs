//! How open connections learn of a stop: they are asked to close, never torn.

use std::time::Duration;

use seaworthy_testkit::Result;
use seaworthy_testkit::client::{self, Connection, End};
use seaworthy_testkit::process::Seaworthy;
use seaworthy_testkit::server::App;
use seaworthy_testkit::wait::PATIENCE;

/// More than any stop of these tests may take.
const BUDGET: Duration = Duration::from_secs(40);

async fn stopping(propagation: &str) -> Result<(Seaworthy, Vec<Connection>)> {
    let builder = Seaworthy::run(App::Mock.command()?);
    let seaworthy = builder
        .set("shutdown.propagation", propagation)
        .ready()
        .await?;
    let mut connections = Vec::new();
    for _ in 0..4 {
        let mut connection = Connection::open(seaworthy.public()).await?;
        let answer = connection.ask("GET", "/echo", &[], b"").await?;
        assert!(!answer.closes(), "{answer:?}");
        connections.push(connection);
    }
    seaworthy.terminate()?;
    let over = |status: &serde_json::Value| status["state"] == "propagating";
    seaworthy
        .wait_status("the propagation", PATIENCE, over)
        .await?;
    Ok((seaworthy, connections))
}

#[tokio::test]
async fn kept_connections_are_served_and_asked_to_close() -> Result<()> {
    let (mut seaworthy, connections) = stopping("1s").await?;
    for mut connection in connections.into_iter().take(2) {
        let answer = connection.ask("POST", "/echo", &[], b"late").await?;
        assert_eq!((answer.status, answer.text().as_str()), (200, "late"));
        assert!(answer.closes(), "{answer:?}");
        assert_eq!(connection.closed().await?, End::Clean);
    }
    let new = client::get(seaworthy.public(), "/echo").await?;
    assert_eq!(new.status, 200, "new connections are still served");
    assert_eq!(seaworthy.code(BUDGET).await?, 0);
    Ok(())
}

#[tokio::test]
async fn idle_connections_end_without_a_reset() -> Result<()> {
    let (mut seaworthy, connections) = stopping("300ms").await?;
    let mut ends = Vec::new();
    for mut connection in connections {
        ends.push(connection.closed().await?);
    }
    assert_eq!(ends, [End::Clean; 4]);
    assert_eq!(seaworthy.code(BUDGET).await?, 0);
    Ok(())
}

/// One frame of HTTP/2: its type, its stream and its payload.
async fn frame(connection: &mut Connection) -> Result<(u8, u32, Vec<u8>)> {
    let head = connection.exactly(9).await?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
    let payload = connection.exactly(usize::try_from(length)?).await?;
    Ok((head[3], stream, payload))
}

#[tokio::test]
async fn http2_connections_get_goaway_and_finish_their_streams() -> Result<()> {
    const DATA: u8 = 0;
    const SETTINGS: u8 = 4;
    const GOAWAY: u8 = 7;
    let builder = Seaworthy::run(App::Mock.command()?);
    let mut seaworthy = builder.set("shutdown.propagation", "300ms").ready().await?;
    let mut connection = Connection::open(seaworthy.public()).await?;
    // Preface, empty SETTINGS, then GET /sleep/700 on stream 1: static and literal fields without indexing.
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    let mut fields = vec![0x82, 0x86, 0x04, 10];
    fields.extend_from_slice(b"/sleep/700");
    fields.extend_from_slice(&[0x01, 4]);
    fields.extend_from_slice(b"test");
    bytes.extend_from_slice(&[0, 0, u8::try_from(fields.len())?, 1, 0x05, 0, 0, 0, 1]);
    bytes.extend_from_slice(&fields);
    connection.send(&bytes).await?;
    seaworthy.wait_inflight(1).await?;
    seaworthy.terminate()?;
    let (mut goaway, mut body) = (None, Vec::new());
    loop {
        let (kind, stream, payload) = frame(&mut connection).await?;
        match kind {
            SETTINGS if payload.len() % 6 == 0 && stream == 0 => {}
            GOAWAY => {
                let code = u32::from_be_bytes([payload[4], payload[5], payload[6], payload[7]]);
                assert_eq!(code, 0, "GOAWAY with an error");
                goaway.get_or_insert(body.len());
            }
            DATA => {
                body.extend_from_slice(&payload);
                if body.ends_with(b"slept 700ms\n") {
                    break;
                }
            }
            _ => {}
        }
    }
    assert_eq!(
        goaway,
        Some(0),
        "GOAWAY must come before the answer that it announces"
    );
    assert_eq!(seaworthy.code(BUDGET).await?, 0);
    Ok(())
}
