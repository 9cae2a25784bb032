//! HTTP/2 in front, over plain TCP.

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Full, StreamBody};
use hyper::body::Frame;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper::http::{HeaderMap, HeaderValue, Request, Response};
use hyper_util::rt::{TokioExecutor, TokioIo};
use seaworthy_testkit::Result;
use seaworthy_testkit::client::{Connection, Stream};
use seaworthy_testkit::origin::{Gate, Script, Step, chunked, ok};
use seaworthy_testkit::process::Seaworthy;

use crate::front::{Front, before, fields, values};

type Body = http_body_util::combinators::BoxBody<Bytes, std::convert::Infallible>;

/// A connection of HTTP/2 over `stream`.
pub(crate) async fn open(stream: Stream) -> Result<SendRequest<Body>> {
    let (sender, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await?;
    // It ends with its sender; why does not matter to a test that has its answer.
    tokio::spawn(async { connection.await.ok() });
    Ok(sender)
}

async fn plain(seaworthy: &Seaworthy) -> Result<SendRequest<Body>> {
    open(Stream::connect(&seaworthy.public().into()).await?).await
}

/// A request without a body.
pub(crate) fn bare(method: &str, path: &str) -> Result<Request<Body>> {
    let uri = format!("http://shop.test{path}");
    Ok(Request::builder()
        .method(method)
        .uri(uri)
        .body(Empty::new().boxed())?)
}

fn full(method: &str, path: &str, body: &str) -> Result<Request<Body>> {
    let body = Full::new(Bytes::copy_from_slice(body.as_bytes()));
    Ok(bare(method, path)?.map(|_| body.boxed()))
}

pub(crate) async fn text(response: Response<hyper::body::Incoming>) -> Result<String> {
    let whole = response.into_body().collect().await?.to_bytes();
    Ok(String::from_utf8(whole.to_vec())?)
}

#[tokio::test]
async fn many_streams_share_one_connection() -> Result<()> {
    let front = Front::start().await?;
    let sender = plain(&front.seaworthy).await?;
    let asked = (0..50).map(|number| {
        let mut sender = sender.clone();
        async move {
            let body = format!("{number} ").repeat(1000);
            let response = sender.send_request(full("POST", "/echo", &body)?).await?;
            assert_eq!(response.status(), 200);
            assert!(response.headers().contains_key("x-request-id"));
            assert_eq!(text(response).await?, body);
            Ok::<_, anyhow::Error>(())
        }
    });
    futures_util::future::try_join_all(asked).await?;
    Ok(())
}

#[tokio::test]
async fn a_slow_stream_holds_up_no_other() -> Result<()> {
    let front = Front::start().await?;
    let sender = plain(&front.seaworthy).await?;
    let mut slow = sender.clone();
    let hanging = tokio::spawn(async move {
        slow.send_request(bare("GET", "/hang")?)
            .await
            .map_err(anyhow::Error::from)
    });
    let mut quick = sender.clone();
    assert_eq!(
        quick.send_request(bare("GET", "/bytes/3")?).await?.status(),
        200
    );
    assert!(!hanging.is_finished());
    hanging.abort();
    Ok(())
}

#[tokio::test]
async fn the_app_sees_the_authority_as_host_and_cookies_in_one_line() -> Result<()> {
    let front = Front::start().await?;
    let mut request = bare("GET", "/echo?headers")?;
    for crumb in ["a=1", "b=2"] {
        request
            .headers_mut()
            .append("cookie", HeaderValue::from_static(crumb));
    }
    let answer = plain(&front.seaworthy).await?.send_request(request).await?;
    let fields = fields(&serde_json::from_str(&text(answer).await?)?);
    assert_eq!(values(&fields, "host"), ["shop.test"]);
    assert_eq!(values(&fields, "cookie"), ["a=1; b=2"]);
    assert_eq!(values(&fields, "via"), ["2 seaworthy"]);
    assert_eq!(values(&fields, "x-forwarded-host"), ["shop.test"]);
    Ok(())
}

#[tokio::test]
async fn fields_of_an_http1_connection_stay_behind() -> Result<()> {
    let answer = "HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Hop\r\nKeep-Alive: timeout=5\r\nX-Hop: 1\r\nX-End: 2\r\nContent-Length: 0\r\n\r\n";
    let (seaworthy, _origin) = before(Script::always(answer)).await?;
    let answer = plain(&seaworthy)
        .await?
        .send_request(bare("GET", "/")?)
        .await?;
    for name in ["connection", "keep-alive", "x-hop", "transfer-encoding"] {
        assert!(!answer.headers().contains_key(name), "{name}");
    }
    assert_eq!(answer.headers()["x-end"], "2");
    Ok(())
}

#[tokio::test]
async fn head_has_a_length_and_no_body() -> Result<()> {
    let front = Front::start().await?;
    let answer = plain(&front.seaworthy)
        .await?
        .send_request(bare("HEAD", "/bytes/1000")?)
        .await?;
    assert_eq!(answer.headers()["content-length"], "1000");
    assert_eq!(text(answer).await?, "");
    Ok(())
}

#[tokio::test]
async fn trailers_pass_both_ways() -> Result<()> {
    let answer = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-End\r\n\r\n3\r\nabc\r\n0\r\nX-End: reached\r\n\r\n";
    let (seaworthy, origin) = before(Script::always(answer)).await?;
    let mut trailers = HeaderMap::new();
    trailers.insert("x-sum", HeaderValue::from_static("42"));
    let frames = [Frame::data(Bytes::from("hi")), Frame::trailers(trailers)];
    let body = StreamBody::new(futures_util::stream::iter(frames.map(Ok)));
    let mut request = bare("POST", "/")?.map(|_| http_body_util::BodyExt::boxed(body));
    request
        .headers_mut()
        .insert("te", HeaderValue::from_static("trailers"));
    let answer = plain(&seaworthy).await?.send_request(request).await?;
    let whole = answer.into_body().collect().await?;
    assert_eq!(
        whole.trailers().map(|trailers| &trailers["x-end"]),
        Some(&HeaderValue::from_static("reached"))
    );
    assert_eq!(whole.to_bytes(), "abc");
    let text = origin.text().to_lowercase();
    assert!(text.contains("0\r\nx-sum: 42\r\n\r\n"), "{text}");
    Ok(())
}

#[tokio::test]
async fn an_event_arrives_before_the_next_one_is_sent() -> Result<()> {
    let gate = Gate::new();
    let head =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    let script = Script::steps_of(vec![
        Step::Request,
        Step::Send(format!("{head}9\r\ndata: 1\n\n\r\n").into()),
        Step::Wait(gate.clone()),
        Step::Send(b"9\r\ndata: 2\n\n\r\n0\r\n\r\n".to_vec()),
        Step::Repeat,
    ]);
    let (seaworthy, _origin) = before(script).await?;
    let mut body = plain(&seaworthy)
        .await?
        .send_request(bare("GET", "/")?)
        .await?
        .into_body();
    let mut next = async || match body.frame().await {
        Some(frame) => Ok::<_, anyhow::Error>(frame?.into_data().ok()),
        None => Ok(None),
    };
    assert_eq!(next().await?.as_deref(), Some(&b"data: 1\n\n"[..]));
    gate.open();
    assert_eq!(next().await?.as_deref(), Some(&b"data: 2\n\n"[..]));
    Ok(())
}

#[tokio::test]
async fn a_broken_answer_resets_its_stream_alone() -> Result<()> {
    let gate = Gate::new();
    let script = Script::steps_of(vec![
        Step::Request,
        Step::Send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart".to_vec()),
        Step::Wait(gate.clone()),
        Step::Reset,
    ]);
    let (seaworthy, _origin) = before(script).await?;
    let mut sender = plain(&seaworthy).await?;
    let answer = sender.send_request(bare("GET", "/")?).await?;
    gate.open();
    assert!(
        answer.into_body().collect().await.is_err(),
        "the cut looks like an end"
    );
    let probe = sender.send_request(bare("GET", "/health/live")?).await?;
    assert_eq!(probe.status(), 200);
    Ok(())
}

#[tokio::test]
async fn errors_have_the_same_envelope() -> Result<()> {
    let builder = Seaworthy::build().set("limits.max_body", "10");
    let front = Front::with(builder).await?;
    let answer = plain(&front.seaworthy)
        .await?
        .send_request(full("POST", "/echo", "more than ten")?)
        .await?;
    assert_eq!(answer.status(), 413);
    let document: serde_json::Value = serde_json::from_str(&text(answer).await?)?;
    assert_eq!(document["error"]["type"], "PayloadTooLarge");
    Ok(())
}

#[tokio::test]
async fn it_can_be_switched_off() -> Result<()> {
    let front = Front::with(Seaworthy::build().set("listen.http2", false)).await?;
    let mut connection = Connection::open(front.seaworthy.public()).await?;
    connection.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await?;
    let answer = connection.response("GET").await?;
    assert_eq!(answer.error_type().as_deref(), Some("UnsupportedVersion"));
    Ok(())
}

#[tokio::test]
async fn chunks_and_lengths_of_the_app_are_frames_here() -> Result<()> {
    for answer in [chunked(&["hel", "lo"]), ok("hello")] {
        let (seaworthy, _origin) = before(Script::always(answer)).await?;
        let answer = plain(&seaworthy)
            .await?
            .send_request(bare("GET", "/")?)
            .await?;
        assert_eq!(text(answer).await?, "hello");
    }
    Ok(())
}

/// Needs h2spec.
mod real {
    use super::{Front, Result, Seaworthy};
    use seaworthy_testkit::certificate::Certificate;
    use seaworthy_testkit::server::tool;
    use std::time::Duration;

    /// Runs the whole suite and demands that nothing failed and next to nothing was left out.
    async fn conforms(seaworthy: &Seaworthy, words: &[&str]) -> Result<()> {
        let port = seaworthy.public().port().to_string();
        let mut all = vec![
            "-h",
            "127.0.0.1",
            "-p",
            &port,
            "-P",
            "/echo?headers",
            "-o",
            "5",
        ];
        all.extend(words);
        let output = tool::run("h2spec", &all, Duration::from_secs(300)).await?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let summary = said.lines().rev().find(|line| line.contains(" tests, "));
        let summary = summary.unwrap_or(&said);
        let counts: Vec<u32> = summary
            .split(' ')
            .filter_map(|word| word.parse().ok())
            .collect();
        let [tests, passed, skipped, failed] = counts[..] else {
            anyhow::bail!("no summary in {said}");
        };
        assert!(
            tests >= 140 && failed == 0 && skipped <= 1 && passed + skipped == tests,
            "{said}"
        );
        Ok(())
    }

    #[tokio::test]
    async fn h2spec_finds_nothing_on_plain_tcp() -> Result<()> {
        let front = Front::start().await?;
        conforms(&front.seaworthy, &[]).await
    }

    #[tokio::test]
    async fn h2spec_finds_nothing_on_tls() -> Result<()> {
        let folder = tempfile::tempdir()?;
        let (cert, key) = Certificate::new()?.write(folder.path())?;
        let builder = Seaworthy::build()
            .set("listen.tls.cert", cert.display())
            .set("listen.tls.key", key.display());
        let mock = seaworthy_testkit::server::App::Mock.start().await?;
        let seaworthy = builder.connect(mock.address).start().await?;
        conforms(&seaworthy, &["-t", "-k"]).await
    }
}
