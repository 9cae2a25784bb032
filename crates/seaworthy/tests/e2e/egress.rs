//! The app's own calls to other services, on the real binary.

use seaworthy_testkit::Result;
use seaworthy_testkit::certificate::Certificate;
use seaworthy_testkit::client;
use seaworthy_testkit::origin::{Origin, Script};
use seaworthy_testkit::process::{Builder, Seaworthy};
use seaworthy_testkit::server::{App, Server};
use seaworthy_testkit::wait::PATIENCE;
use serde_json::json;

use crate::breakers::{admin, first, get, one_worker, status, well};

/// The binary in front of a mock, with a way out to an origin that plays `script`, and where that way begins.
async fn way(
    builder: Builder,
    script: Script,
    keys: &str,
) -> Result<(Seaworthy, Origin, String, Server)> {
    let mock = App::Mock.start().await?;
    let origin = Origin::tcp(script).await?;
    let entry = format!(
        "[{{name: llm, listen: \"127.0.0.1:0\", target: \"http://{}\"{keys}}}]",
        origin.address()
    );
    let seaworthy = builder
        .set("egress", entry)
        .connect(mock.address)
        .ready()
        .await?;
    let opened = seaworthy.wait_event("egress.opened").await?;
    let address = opened["address"].as_str().unwrap_or_default().to_owned();
    Ok((seaworthy, origin, address, mock))
}

async fn call(address: &str, method: &str, path: &str, body: &[u8]) -> Result<client::Response> {
    let address: std::net::SocketAddr = address.parse()?;
    client::send(
        address,
        method,
        path,
        &[
            ("Host", "llm"),
            ("X-Own", "1"),
            ("Connection", "X-Hop"),
            ("X-Hop", "2"),
        ],
        body,
    )
    .await
}

#[tokio::test]
async fn the_sixth_call_to_a_service_that_fails_is_answered_without_it() -> Result<()> {
    let script = Script::always(status(500));
    let (seaworthy, origin, address, _mock) =
        way(one_worker(), script, ", breaker: default").await?;
    for _ in 0..5 {
        let answer = call(&address, "POST", "/v1/chat", b"hello").await?;
        assert_eq!(
            (answer.status, answer.body.as_slice()),
            (500, &b"trouble"[..])
        );
    }
    let refused = call(&address, "POST", "/v1/chat", b"hello").await?;
    assert_eq!(
        (refused.status, refused.error_type().as_deref()),
        (503, Some("CircuitOpen"))
    );
    assert_eq!(refused.header("retry-after"), Some("60"));
    assert_eq!(origin.requests().len(), 5);
    assert_eq!(
        get(&seaworthy, "/echo").await?.status,
        200,
        "the app's own traffic has no breaker"
    );
    let page = admin(&seaworthy, "/metrics").await?;
    let page = String::from_utf8_lossy(&page.body).into_owned();
    for line in [
        "circuit_breaker_failures_total{name=\"egress.llm\"} 5",
        "seaworthy_egress_requests_total{egress=\"llm\",status=\"500\"} 5",
        "seaworthy_egress_requests_total{egress=\"llm\",status=\"503\"} 1",
    ] {
        assert!(page.contains(line), "{page}");
    }
    Ok(())
}

#[tokio::test]
async fn the_tenth_failure_opens_houses_breaker_for_notifications() -> Result<()> {
    let origin = Origin::tcp(Script::always(status(500))).await?;
    let entry = format!(
        "[{{name: notifications, listen: \"127.0.0.1:0\", target: \"http://{}\"}}]",
        origin.address()
    );
    let mock = App::Mock.start().await?;
    let builder = Seaworthy::build()
        .flag("--preset")
        .flag("house")
        .set("egress", entry);
    let seaworthy = builder.connect(mock.address).start().await?;
    let opened = seaworthy.wait_event("egress.opened").await?;
    let address = opened["address"].as_str().unwrap_or_default().to_owned();
    let state = || async {
        let shown = get(&seaworthy, "/health/check").await?.json()?;
        Ok::<_, anyhow::Error>(shown["circuit_breakers"]["NOTIFICATION_CIRCUIT_BREAKER"].clone())
    };
    for _ in 0..9 {
        assert_eq!(call(&address, "POST", "/send", b"x").await?.status, 500);
    }
    let all = admin(&seaworthy, "/-/breakers").await?.json()?;
    let all = all.as_array().cloned().unwrap_or_default();
    let one = all
        .iter()
        .find(|one| one["name"] == "NOTIFICATION_CIRCUIT_BREAKER");
    let one = one.cloned().unwrap_or_default();
    assert_eq!(
        (&one["state"], &one["failure_count"]),
        (&"closed".into(), &9.into())
    );
    assert_eq!(call(&address, "POST", "/send", b"x").await?.status, 500);
    assert_eq!(call(&address, "POST", "/send", b"x").await?.status, 503);
    let shown =
        seaworthy_testkit::wait::until("an open breaker in /health/check", PATIENCE, || async {
            state().await.ok().filter(|one| one["state"] == "open")
        })
        .await?;
    assert_eq!(shown["recovery_s"], 120.0);
    Ok(())
}

#[tokio::test]
async fn a_call_is_passed_on_whole_and_sent_again_where_that_does_no_harm() -> Result<()> {
    let script = first(&[503, 503], well());
    let keys = ", retry: {max: 2, delays: [10ms]}";
    let (_seaworthy, origin, address, _mock) = way(one_worker(), script, keys).await?;
    let body = vec![b'z'; 20_000];
    let answer = call(&address, "PUT", "/v1/things?a=b", &body).await?;
    assert_eq!((answer.status, answer.body.as_slice()), (200, &b"well"[..]));
    assert_eq!(origin.requests().len(), 3);
    let sent = String::from_utf8_lossy(&origin.bytes()).to_lowercase();
    assert!(
        sent.starts_with("put /v1/things?a=b http/1.1\r\n"),
        "{}",
        &sent[..200]
    );
    assert!(sent.contains("x-own: 1") && !sent.contains("x-hop"));
    assert!(sent.contains(&format!("host: {}\r\n", origin.address())));
    assert_eq!(sent.bytes().filter(|byte| *byte == b'z').count(), 60_000);
    assert_eq!(origin.connections(), 1, "connections are kept");
    Ok(())
}

#[tokio::test]
async fn a_service_that_is_not_there_or_hangs_is_an_error_in_our_words() -> Result<()> {
    let keys = ", timeout: 300ms";
    let (_seaworthy, _origin, address, _mock) = way(one_worker(), Script::silent(), keys).await?;
    let late = call(&address, "GET", "/", b"").await?;
    assert_eq!(
        (late.status, late.error_type().as_deref()),
        (504, Some("UpstreamTimeout"))
    );
    let (_seaworthy, origin, address, _mock) = way(one_worker(), Script::silent(), "").await?;
    drop(origin);
    let gone = call(&address, "GET", "/", b"").await?;
    assert_eq!(gone.status, 502);
    Ok(())
}

#[tokio::test]
async fn what_nobody_means_to_call_is_refused() -> Result<()> {
    for (target, listen, says) in [
        ("http://169.254.169.254", "127.0.0.1:9911", "link-local"),
        ("file:///etc/passwd", "127.0.0.1:9911", "egress[0].target"),
        ("http://127.0.0.1:9900", "127.0.0.1:9911", "admin listener"),
        ("http://localhost:9911", "127.0.0.1:9911", "circles"),
        ("http://user:secret@api", "127.0.0.1:9911", "password"),
        (
            "https://api.example.com",
            "0.0.0.0:9911",
            "address of this machine",
        ),
    ] {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("seaworthy.yaml");
        let yaml = json!({"egress": [{"name": "x", "target": target, "listen": listen}]});
        std::fs::write(&file, yaml.to_string())?;
        let path = file.to_str().unwrap_or_default().to_owned();
        let ended = Seaworthy::verb(["config", "validate", "-c", &path]).await?;
        let said = format!("{}{}", ended.stdout, ended.stderr);
        assert_eq!(ended.code(), 2, "{target}: {said}");
        assert!(said.contains(says), "{target}: {said}");
    }
    Ok(())
}

#[tokio::test]
async fn a_service_is_called_no_more_often_than_it_may_be() -> Result<()> {
    let keys = ", limit: {capacity: 5, refill_per_sec: 0}";
    let (seaworthy, origin, address, _mock) =
        way(one_worker(), Script::always(status(200)), keys).await?;
    for _ in 0..5 {
        let answer = call(&address, "POST", "/v1/chat", b"hello").await?;
        assert_eq!(answer.status, 200);
        let field = answer.header("x-ratelimit-limit");
        assert_eq!(
            field, None,
            "what the service itself says is for the app to read"
        );
    }
    let refused = call(&address, "POST", "/v1/chat", b"hello").await?;
    assert_eq!(
        (refused.status, refused.error_type().as_deref()),
        (429, Some("RateLimitExceeded"))
    );
    let scopes = &refused.json()?["error"]["details"]["scopes"];
    assert_eq!(scopes, &json!(["egress.llm"]));
    assert_eq!(origin.requests().len(), 5);
    for _ in 0..10 {
        let own = get(&seaworthy, "/echo").await?;
        assert_eq!(own.status, 200, "requests to the app have no limit");
    }
    let shown = admin(&seaworthy, "/-/limits").await?.json()?;
    let shown = &shown["limits"][0];
    assert_eq!(
        (&shown["name"], &shown["requests"], &shown["rejected"]),
        (&json!("egress.llm"), &json!(6), &json!(1))
    );
    let page = admin(&seaworthy, "/metrics").await?.text();
    for line in [
        "rate_limiter_requests_total{tier=\"egress.llm\"} 6",
        "rate_limiter_denials_total{tier=\"egress.llm\",mode=\"reject\"} 1",
        "seaworthy_egress_requests_total{egress=\"llm\",status=\"429\"} 1",
    ] {
        assert!(page.contains(line), "{page}");
    }
    Ok(())
}

#[tokio::test]
async fn a_call_may_wait_for_its_turn_and_its_time_begins_then() -> Result<()> {
    let keys = ", limit: {capacity: 1, refill_per_sec: 2}, max_delay: 20s, timeout: 400ms";
    let (seaworthy, origin, address, _mock) =
        way(one_worker(), Script::always(status(200)), keys).await?;
    for _ in 0..3 {
        assert_eq!(call(&address, "GET", "/", b"").await?.status, 200);
    }
    assert_eq!(origin.requests().len(), 3);
    let page = admin(&seaworthy, "/metrics").await?.text();
    let delayed = "rate_limiter_denials_total{tier=\"egress.llm\",mode=\"delay\"} ";
    let delayed = page.lines().find_map(|line| line.strip_prefix(delayed));
    let delayed: u32 = delayed.unwrap_or_default().parse()?;
    assert!((1..=2).contains(&delayed), "{page}");
    Ok(())
}

#[tokio::test]
async fn a_trace_and_a_request_id_go_on_as_the_app_has_them() -> Result<()> {
    let keys = ", limit: {capacity: 1, refill_per_sec: 0}, retry: {max: 2, delays: [10ms]}";
    let (_seaworthy, origin, address, _mock) =
        way(one_worker(), first(&[503], well()), keys).await?;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let fields = [
        ("Host", "llm"),
        ("traceparent", trace),
        ("tracestate", "shop=1"),
        ("baggage", "user=7"),
        ("X-Request-ID", "order-17"),
    ];
    let to: std::net::SocketAddr = address.parse()?;
    let answer = client::send(to, "GET", "/", &fields, b"").await?;
    assert_eq!(answer.status, 200);
    let sent = origin.text().to_lowercase();
    for (name, value) in &fields[1..] {
        let line = format!("{}: {value}\r\n", name.to_lowercase());
        assert_eq!(sent.matches(&line).count(), 2, "each try has {line}");
    }
    // A refusal of ours has the app's name for the call.
    let refused = client::send(to, "GET", "/", &fields, b"").await?.json()?;
    assert_eq!(refused["error"]["request_id"], "order-17");
    Ok(())
}

#[tokio::test]
async fn a_service_behind_tls_is_believed_by_its_own_certificate_alone() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (cert, key) = Certificate::new()?.write(folder.path())?;
    let far = Seaworthy::build()
        .set("listen.tls.cert", cert.display())
        .set("listen.tls.key", key.display());
    let mock = App::Mock.start().await?;
    let far = far.connect(mock.address).start().await?;
    let port = far.public().port();
    let entry = |ca: &str| {
        format!(
            "[{{name: pay, listen: \"127.0.0.1:0\", target: \"https://localhost:{port}\"{ca}, breaker: default}}]"
        )
    };
    let near = |ca: String| {
        let builder = one_worker().set("egress", entry(&ca));
        let connected = builder.connect(mock.address);
        async move {
            let seaworthy = connected.start().await?;
            let opened = seaworthy.wait_event("egress.opened").await?;
            let address = opened["address"].as_str().unwrap_or_default().to_owned();
            Ok::<_, anyhow::Error>((seaworthy, address))
        }
    };
    let (_near, address) = near(format!(", ca: '{}'", cert.display())).await?;
    for _ in 0..3 {
        let answer = call(&address, "POST", "/echo", b"over TLS").await?;
        assert_eq!((answer.status, answer.text().as_str()), (200, "over TLS"));
    }
    // Those of the system do not know it.
    let (_near, address) = near(String::new()).await?;
    let refused = call(&address, "GET", "/echo", b"").await?;
    assert_eq!(
        (refused.status, refused.error_type().as_deref()),
        (502, Some("UpstreamUnreachable"))
    );
    Ok(())
}
