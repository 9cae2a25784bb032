//! What an origin does on a connection.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

/// One thing that an origin does.
#[derive(Clone, Debug)]
pub enum Step {
    /// Waits for one complete request, head and body.
    Request,
    /// Waits for the head of a request alone; its body counts as read once the next step runs.
    Head,
    /// Waits until the peer ends its sending side.
    End,
    /// Sends these bytes.
    Send(Vec<u8>),
    /// Sends these bytes one by one with this pause after each.
    Drip(Vec<u8>, Duration),
    /// Sends so many bytes of `x` as fast as the peer takes them.
    Flood(u64),
    /// Does nothing for a while.
    Pause(Duration),
    /// Waits until the test opens the gate.
    Wait(Gate),
    /// Stops reading from the socket, so that its buffers fill.
    Deaf,
    /// Reads again.
    Listen,
    /// Ends the sending side with FIN and keeps reading.
    Finish,
    /// Closes with FIN, or with RST when unread bytes are left.
    Close,
    /// Closes with RST.
    Reset,
    /// Never does anything again, but keeps reading.
    Hang,
    /// Starts again from the first step.
    Repeat,
}

/// A door that steps wait at until the test opens it.
#[derive(Clone, Debug)]
pub struct Gate(Arc<watch::Sender<bool>>);

impl Gate {
    /// A closed gate.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(watch::Sender::new(false)))
    }

    /// Lets everything through, now and later.
    pub fn open(&self) {
        self.0.send_replace(true);
    }

    pub(super) async fn passed(&self) {
        // The sender lives in self, so the channel cannot close while waiting.
        self.0.subscribe().wait_for(|open| *open).await.ok();
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self::new()
    }
}

/// The steps of each connection.
#[derive(Clone)]
pub struct Script(Arc<dyn Fn(usize) -> Vec<Step> + Send + Sync>);

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Script")
    }
}

/// A 200 answer with `body` and its length.
#[must_use]
pub fn ok(body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

/// A 200 answer of these chunks.
#[must_use]
pub fn chunked(chunks: &[&str]) -> Vec<u8> {
    let mut text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".to_owned();
    for chunk in chunks {
        text.push_str(&format!("{:x}\r\n{chunk}\r\n", chunk.len()));
    }
    text.push_str("0\r\n\r\n");
    text.into_bytes()
}

impl Script {
    /// Steps chosen by the number of the connection, counted from 0.
    pub fn by_connection(steps: impl Fn(usize) -> Vec<Step> + Send + Sync + 'static) -> Self {
        Self(Arc::new(steps))
    }

    /// The same steps on every connection.
    #[must_use]
    pub fn steps_of(steps: Vec<Step>) -> Self {
        Self::by_connection(move |_| steps.clone())
    }

    pub(super) fn steps(&self, connection: usize) -> Vec<Step> {
        (self.0)(connection)
    }

    /// Answers every request with these bytes and keeps the connection.
    #[must_use]
    pub fn always(answer: impl Into<Vec<u8>>) -> Self {
        Self::steps_of(vec![Step::Request, Step::Send(answer.into()), Step::Repeat])
    }

    /// Answers one request with these bytes, then closes.
    #[must_use]
    pub fn once(answer: impl Into<Vec<u8>>) -> Self {
        Self::steps_of(vec![Step::Request, Step::Send(answer.into()), Step::Close])
    }

    /// Takes requests and never answers.
    #[must_use]
    pub fn silent() -> Self {
        Self::steps_of(vec![Step::Hang])
    }

    /// Sends these bytes after a request, then resets: a body cut in its middle.
    #[must_use]
    pub fn reset_after(sent: impl Into<Vec<u8>>) -> Self {
        Self::steps_of(vec![Step::Request, Step::Send(sent.into()), Step::Reset])
    }

    /// Answers one request, then closes the idle connection when `gate` opens.
    #[must_use]
    pub fn fin_on_idle(answer: impl Into<Vec<u8>>, gate: &Gate) -> Self {
        let answer = answer.into();
        let gate = gate.clone();
        Self::steps_of(vec![
            Step::Request,
            Step::Send(answer),
            Step::Wait(gate),
            Step::Close,
        ])
    }

    /// Closes a kept connection only when the next request has begun to arrive: the race of every pool.
    #[must_use]
    pub fn close_on_second(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        Self::by_connection(move |index| {
            let mut steps = vec![Step::Request, Step::Send(answer.clone())];
            steps.extend(if index == 0 {
                vec![Step::Head, Step::Close]
            } else {
                vec![Step::Repeat]
            });
            steps
        })
    }

    /// Sends `first` (1xx heads) as soon as a head is there and `last` after the whole request.
    #[must_use]
    pub fn informational(first: impl Into<Vec<u8>>, last: impl Into<Vec<u8>>) -> Self {
        Self::steps_of(vec![
            Step::Head,
            Step::Send(first.into()),
            Step::Request,
            Step::Send(last.into()),
            Step::Repeat,
        ])
    }

    /// Answers byte by byte.
    #[must_use]
    pub fn slow(answer: impl Into<Vec<u8>>, pause: Duration) -> Self {
        Self::steps_of(vec![
            Step::Request,
            Step::Drip(answer.into(), pause),
            Step::Repeat,
        ])
    }
}
