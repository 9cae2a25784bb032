//! The check `http` against servers, good and bad.

mod looking;

use std::sync::Arc;

use looking::{Watch, faults, once, probe, said};
use seaworthy_core::health::{State, Status};
use seaworthy_health::probe::http::Http;
use seaworthy_testkit::address;
use seaworthy_testkit::certificate::Certificate;
use seaworthy_testkit::origin::{Origin, Script, Step, ok};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

fn http(url: impl std::fmt::Display, mut more: Value) -> Http {
    more["url"] = url.to_string().into();
    probe(more)
}

fn answer(status: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes()
}

async fn origin(script: Script) -> (Origin, String) {
    let origin = Origin::tcp(script).await.expect("an origin");
    let url = format!("http://{}/health", origin.address());
    (origin, url)
}

#[tokio::test]
async fn the_code_decides_and_its_word_can_be_chosen() {
    let (_origin, url) = origin(Script::once(answer("500 Oops", "x"))).await;
    let outcome = once(&http(&url, json!({"on_bad_status": "degraded"}))).await;
    assert_eq!(outcome.word, Some(Status::Degraded));
    assert_eq!(outcome.state, State::Fail);
    assert_eq!(outcome.message, "Status code: 500");
    assert_eq!(outcome.metadata["status_code"], 500);
    assert_eq!(once(&http(&url, json!({}))).await.word, None);
    let expected = http(&url, json!({"status": "500-599"}));
    assert_eq!(once(&expected).await.state, State::Ok);
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    let (elsewhere, there) = origin(Script::always(ok(""))).await;
    let moved = format!("HTTP/1.1 302 Found\r\nLocation: {there}\r\nContent-Length: 0\r\n\r\n");
    let (_origin, url) = origin(Script::once(moved)).await;
    assert_eq!(once(&http(&url, json!({}))).await.state, State::Ok);
    let strict = http(&url, json!({"status": 200}));
    assert_eq!(said(&strict).await.1, "Status code: 302");
    assert!(elsewhere.records().is_empty());
}

#[tokio::test]
async fn a_value_in_the_answer_is_judged() {
    let body = r#"{"queue": {"depth": 7}, "status": "ok"}"#;
    let (_origin, url) = origin(Script::once(ok(body))).await;
    let deep = http(&url, json!({"pointer": "/queue/depth", "max": 5}));
    let outcome = once(&deep).await;
    assert_eq!(outcome.state, State::Fail);
    assert_eq!(outcome.message, "7 depth");
    assert_eq!(outcome.metadata["depth"], 7);
    let equal = http(&url, json!({"pointer": "/status", "equals": "ok"}));
    assert_eq!(once(&equal).await.state, State::Ok);
    let missing = http(&url, json!({"pointer": "/no"}));
    assert_eq!(once(&missing).await.state, State::Fail);
}

#[tokio::test]
async fn what_is_sent_is_what_was_asked_for() {
    let (origin, _) = origin(Script::once(ok(""))).await;
    let address = origin.address().to_string();
    let url = format!("http://us%40er:pa%2Fss@{address}/a%20b?c=d");
    let options = json!({"method": "POST", "headers": {"X-Token": "hunter2"}});
    assert_eq!(once(&http(url, options)).await.state, State::Ok);
    let request = &origin.records()[0].requests()[0];
    assert!(
        request.starts_with("POST /a%20b?c=d HTTP/1.1\r\n"),
        "{request}"
    );
    let lower = request.to_ascii_lowercase();
    for field in [
        format!("host: {address}"),
        "x-token: hunter2".to_owned(),
        "connection: close".to_owned(),
        "authorization: basic dxnazxi6cgevc3m=".to_owned(),
        "content-length: 0".to_owned(),
    ] {
        assert!(lower.contains(&field), "{field} in {request}");
    }
}

#[tokio::test]
async fn peers_that_misbehave_are_told_apart() {
    let endless = vec![Step::Request, Step::Flood(1 << 20), Step::Close];
    let mut huge = b"HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n".to_vec();
    huge.extend([b'1'; 100_000]);
    for (script, options, message) in [
        (
            Script::steps_of(vec![Step::Close]),
            json!({}),
            "it ended the connection before its answer was complete",
        ),
        (
            Script::once("SSH-2.0-OpenSSH_9\r\n"),
            json!({}),
            "it does not speak HTTP",
        ),
        (
            Script::steps_of(endless),
            json!({}),
            "it does not speak HTTP",
        ),
        (
            Script::once("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"),
            json!({}),
            "it ended the connection before its answer was complete",
        ),
        (Script::once(huge.clone()), json!({}), "Status code: 200"),
        (
            Script::once(huge),
            json!({"pointer": ""}),
            "its answer is longer than 64 KiB",
        ),
        (
            Script::once(ok("<html>")),
            json!({"pointer": ""}),
            "its answer is not JSON",
        ),
    ] {
        let (_origin, url) = origin(script).await;
        assert_eq!(said(&http(&url, options)).await.1, message);
    }
    let nobody = format!("http://{}/", address::free().unwrap());
    assert_eq!(
        said(&http(nobody, json!({}))).await.1,
        "nothing listens there (connection refused)"
    );
}

#[tokio::test]
async fn silence_is_a_timeout_and_leaves_nothing_open() {
    let (origin, url) = origin(Script::silent()).await;
    let watch = Watch::new(&http(&url, json!({})));
    let component = watch.until(State::TimedOut).await;
    assert_eq!(component.message, "timed out after 0.5s");
    drop(watch);
    origin
        .wait(
            "the end of all connections",
            seaworthy_testkit::wait::PATIENCE,
            |records| records.iter().all(|record| record.ended),
        )
        .await
        .unwrap();
}

#[tokio::test]
async fn secrets_are_not_shown_and_wrong_options_are_told() {
    let bad = http(
        "ftp://u:hunter2@169.254.169.254/",
        json!({"headers": {"Host:": "x", "X-Token": "hunter2"}, "min": 3, "max": 1}),
    );
    assert!(!format!("{bad:?}").contains("hunter2"));
    assert!(!serde_json::to_string(&bad).unwrap().contains("hunter2"));
    assert_eq!(faults(&bad), ["url", "url", "headers", "max", "pointer"]);
    let head = http("http://a/", json!({"method": "HEAD", "pointer": "/a"}));
    assert_eq!(faults(&head), ["method"]);
}

/// Answers every connection over TLS with an empty 200.
async fn secure(certificate: &Certificate) -> std::net::SocketAddr {
    use tokio_rustls::rustls::pki_types::pem::PemObject as _;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let key = rustls::pki_types::PrivateKeyDer::from_pem_slice(certificate.key.as_bytes())
        .expect("a key");
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("a TLS server")
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .expect("a TLS server");
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a TLS server");
    let address = listener.local_addr().expect("a TLS server");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            let mut head = [0; 1024];
            if stream.read(&mut head).await.is_ok() {
                stream.write_all(&ok("")).await.ok();
                stream.shutdown().await.ok();
            }
        }
    });
    address
}

#[tokio::test]
async fn certificates_are_verified() {
    let folder = tempfile::tempdir().unwrap();
    let certificate = Certificate::new().unwrap();
    let (ca, _) = certificate.write(folder.path()).unwrap();
    let address = secure(&certificate).await;
    let url = format!("https://{address}/");
    let trusting = http(&url, json!({"ca": ca}));
    assert_eq!(
        said(&trusting).await,
        (State::Ok, "Status code: 200".to_owned())
    );
    let other = Certificate::new().unwrap();
    std::fs::write(folder.path().join("other.pem"), &other.certificate).unwrap();
    let doubting = http(&url, json!({"ca": folder.path().join("other.pem")}));
    let (state, message) = said(&doubting).await;
    assert_eq!(state, State::Fail);
    assert!(
        message.starts_with("its certificate is signed by nobody known"),
        "{message}"
    );
    let lost = http(&url, json!({"ca": "/no/such/file.pem"}));
    assert_eq!(said(&lost).await.0, State::Unknown);
    let greets = Script::steps_of(vec![Step::Send(b"SSH-2.0-x\r\n".to_vec())]);
    let (_origin, plain) = origin(greets).await;
    let plain = plain.replace("http:", "https:");
    let (_, message) = said(&http(plain, json!({"ca": ca}))).await;
    assert_eq!(message, "it does not speak TLS");
}

#[tokio::test]
async fn a_server_goes_and_comes_back() {
    use seaworthy_testkit::server::App;
    let folder = tempfile::tempdir().unwrap();
    let server = App::HttpServer.start_in(folder.path(), &[]).await.unwrap();
    let watch = Watch::new(&http(format!("http://{}/", server.address), json!({})));
    watch.until(State::Ok).await;
    server
        .group
        .signal_group(rustix::process::Signal::STOP)
        .unwrap();
    watch.until(State::TimedOut).await;
    server
        .group
        .signal_group(rustix::process::Signal::CONT)
        .unwrap();
    watch.until(State::Ok).await;
    drop(server);
    watch.until(State::Fail).await;
}
