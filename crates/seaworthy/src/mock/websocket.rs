//! `/ws`: a WebSocket (RFC 6455) that sends every frame back.
//!
//! Frame by frame rather than message by message, so that it holds one frame at most; it negotiates no extension. When the
//! mock stops, it closes with 1001 (going away).

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hyper_util::rt::TokioIo;
use sha1::{Digest, Sha1};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio_util::sync::CancellationToken;

use super::Shared;

const MAGIC: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
const LARGEST_FRAME: u64 = 16 << 20;

const FINAL: u8 = 0x80;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

const GOING_AWAY: u16 = 1001;
const PROTOCOL_ERROR: u16 = 1002;
const TOO_BIG: u16 = 1009;

pub(super) fn paths() -> Router<Shared> {
    Router::new().route("/ws", any(open))
}

async fn open(State(shared): State<Shared>, mut request: Request) -> Response {
    let headers = request.headers();
    let key = headers
        .get(SEC_WEBSOCKET_KEY)
        .filter(|_| asks_for_websocket(headers));
    let Some(accept) = key.and_then(|key| accept(key.as_bytes())) else {
        let wanted = [(UPGRADE, "websocket"), (SEC_WEBSOCKET_VERSION, "13")];
        return (
            StatusCode::UPGRADE_REQUIRED,
            wanted,
            "this path speaks WebSocket\n",
        )
            .into_response();
    };
    let upgrade = hyper::upgrade::on(&mut request);
    let stopping = shared.stopping.clone();
    shared.sockets.spawn(async move {
        if let Ok(stream) = upgrade.await {
            // An error is the peer going away, which ends the echo and nothing else.
            echo(TokioIo::new(stream), stopping).await.ok();
        }
    });
    let switched = [
        (CONNECTION, HeaderValue::from_static("upgrade")),
        (UPGRADE, HeaderValue::from_static("websocket")),
        (SEC_WEBSOCKET_ACCEPT, accept),
    ];
    (StatusCode::SWITCHING_PROTOCOLS, switched).into_response()
}

fn asks_for_websocket(headers: &HeaderMap) -> bool {
    headers
        .get(UPGRADE)
        .is_some_and(|upgrade| upgrade.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

fn accept(key: &[u8]) -> Option<HeaderValue> {
    let digest = Sha1::new().chain_update(key).chain_update(MAGIC).finalize();
    HeaderValue::try_from(STANDARD.encode(digest)).ok()
}

/// Sends frames back until either side closes.
async fn echo<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    stopping: CancellationToken,
) -> std::io::Result<()> {
    loop {
        // The head is read by one call of two bytes at most, so stopping cannot tear a frame that has begun.
        let mut head = [0; 2];
        let read = tokio::select! {
            read = stream.read(&mut head) => read?,
            () = stopping.cancelled() => return close(&mut stream, GOING_AWAY).await,
        };
        match read {
            0 => return Ok(()),
            1 => stream.read_exact(&mut head[1..]).await.map(|_| ())?,
            _ => {}
        }
        let (opcode, masked) = (head[0] & 0x0f, head[1] & 0x80 != 0);
        let size = match head[1] & 0x7f {
            126 => u64::from(stream.read_u16().await?),
            127 => stream.read_u64().await?,
            small => u64::from(small),
        };
        if size > LARGEST_FRAME {
            return close(&mut stream, TOO_BIG).await;
        }
        if !masked {
            return close(&mut stream, PROTOCOL_ERROR).await;
        }
        let payload = unmask(&mut stream, size).await?;
        match opcode {
            CLOSE => {
                send(&mut stream, FINAL | CLOSE, &payload).await?;
                return stream.shutdown().await;
            }
            PING => send(&mut stream, FINAL | PONG, &payload).await?,
            PONG => {}
            _ => send(&mut stream, head[0], &payload).await?,
        }
    }
}

async fn unmask<S: AsyncRead + Unpin>(stream: &mut S, size: u64) -> std::io::Result<Vec<u8>> {
    let mut mask = [0; 4];
    stream.read_exact(&mut mask).await?;
    let mut payload = vec![0; usize::try_from(size).map_err(std::io::Error::other)?];
    stream.read_exact(&mut payload).await?;
    for (byte, mask) in payload.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= mask;
    }
    Ok(payload)
}

async fn send<S: AsyncWrite + Unpin>(
    stream: &mut S,
    first: u8,
    payload: &[u8],
) -> std::io::Result<()> {
    let mut frame = vec![first];
    match (u8::try_from(payload.len()), u16::try_from(payload.len())) {
        (Ok(small @ ..126), _) => frame.push(small),
        (_, Ok(medium)) => {
            frame.push(126);
            frame.extend(medium.to_be_bytes());
        }
        _ => {
            frame.push(127);
            frame.extend((payload.len() as u64).to_be_bytes());
        }
    }
    frame.extend(payload);
    stream.write_all(&frame).await?;
    stream.flush().await
}

async fn close<S: AsyncWrite + Unpin>(stream: &mut S, code: u16) -> std::io::Result<()> {
    send(stream, FINAL | CLOSE, &code.to_be_bytes()).await?;
    stream.shutdown().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_handshake_answers_as_in_the_rfc() {
        assert_eq!(
            accept(b"dGhlIHNhbXBsZSBub25jZQ==").unwrap(),
            "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
        );
    }

    fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
        let mut frame = vec![
            first,
            0x80 | u8::try_from(payload.len()).unwrap(),
            1,
            2,
            3,
            4,
        ];
        frame.extend(
            payload
                .iter()
                .zip([1, 2, 3, 4].iter().cycle())
                .map(|(byte, mask)| byte ^ mask),
        );
        frame
    }

    #[tokio::test]
    async fn frames_come_back_pings_are_answered_and_a_close_ends_it() {
        let (mut client, server) = tokio::io::duplex(1024);
        let echo = tokio::spawn(echo(server, CancellationToken::new()));
        for frame in [
            masked(0x81, b"hello"),
            masked(0x89, b"p"),
            masked(0x88, &[3, 232]),
        ] {
            client.write_all(&frame).await.unwrap();
        }
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        assert_eq!(
            answer,
            [&b"\x81\x05hello\x8a\x01p\x88\x02\x03\xe8"[..]].concat()
        );
        echo.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_stopping_mock_says_that_it_goes_away() {
        let (mut client, server) = tokio::io::duplex(1024);
        let stopping = CancellationToken::new();
        stopping.cancel();
        echo(server, stopping).await.unwrap();
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer, [0x88, 2, 3, 233]);
    }
}
