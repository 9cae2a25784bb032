//! A WebSocket client, for tests of upgrades and of close codes.

use anyhow::{Context as _, bail};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio_tungstenite::WebSocketStream;
pub use tokio_tungstenite::tungstenite::Message;

use super::Stream;
use crate::address::Address;
use crate::wait::{self, PATIENCE};

/// An open WebSocket.
#[derive(Debug)]
pub struct WebSocket {
    inner: WebSocketStream<Stream>,
}

/// Opens a WebSocket at `path`.
///
/// # Errors
/// When the server does not upgrade; the error holds its answer.
pub async fn open(address: impl Into<Address>, path: &str) -> crate::Result<WebSocket> {
    let stream = Stream::connect(&address.into()).await?;
    let handshake = tokio_tungstenite::client_async(format!("ws://localhost{path}"), stream);
    let open = async { handshake.await.context("WebSocket handshake") };
    let (inner, _) = wait::within("a WebSocket", PATIENCE, open).await?;
    Ok(WebSocket { inner })
}

impl WebSocket {
    /// Sends a text message.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn send(&mut self, text: &str) -> crate::Result<()> {
        Ok(self.inner.send(Message::text(text)).await?)
    }

    /// Sends any message.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn send_message(&mut self, message: Message) -> crate::Result<()> {
        Ok(self.inner.send(message).await?)
    }

    /// The next message.
    ///
    /// # Errors
    /// When the connection ends without a close frame, or nothing comes in time.
    pub async fn next(&mut self) -> crate::Result<Message> {
        let next = async {
            match self.inner.next().await {
                Some(message) => Ok(message?),
                None => bail!("the connection ended"),
            }
        };
        wait::within("a WebSocket message", PATIENCE, next).await
    }

    /// Sends `text` and demands it back.
    ///
    /// # Errors
    /// When something else comes.
    pub async fn echo(&mut self, text: &str) -> crate::Result<()> {
        self.send(text).await?;
        match self.next().await? {
            Message::Text(answer) if answer.as_str() == text => Ok(()),
            other => bail!("{text:?} was answered by {other:?}"),
        }
    }

    /// Reads until the server's close frame and returns its code (1005 when it has none), then completes the close.
    ///
    /// # Errors
    /// When the connection ends without one.
    pub async fn close_code(&mut self) -> crate::Result<u16> {
        loop {
            if let Message::Close(frame) = self.next().await? {
                // Flushes our answering close frame; the server may have closed already, which is as good.
                self.inner.close(None).await.ok();
                return Ok(frame.map_or(1005, |frame| frame.code.into()));
            }
        }
    }
}
