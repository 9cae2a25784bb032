//! Who asks and under which names: request ids, traces, forwarding headers, hop-by-hop fields.

use seaworthy_testkit::client::{self, Response};
use seaworthy_testkit::origin::{Origin, Script, ok};
use seaworthy_testkit::process::Seaworthy;
use seaworthy_testkit::{Result, fixtures};
use serde_json::Value;

use crate::front::{Front, before, before_with, fields, values};

/// What the fixtures say about inputs, which the tests of other languages share.
fn samples(pointer: &str) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(fixtures().join("sample_data.json"))?;
    let data: Value = serde_json::from_str(&text)?;
    let list = data
        .pointer(pointer)
        .and_then(Value::as_array)
        .cloned()
        .unwrap_or_default();
    assert!(!list.is_empty(), "{pointer}");
    Ok(list
        .iter()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect())
}

/// What the app received, and the answer that carried the report.
async fn seen(
    seaworthy: &Seaworthy,
    headers: &[(&str, &str)],
) -> Result<(Vec<(String, String)>, Response)> {
    let answer = client::send(seaworthy.public(), "GET", "/echo?headers", headers, b"").await?;
    Ok((fields(&answer.json()?), answer))
}

fn is_uuid_v7(id: &str) -> bool {
    let parts: Vec<_> = id.split('-').map(str::len).collect();
    parts == [8, 4, 4, 4, 12] && id.as_bytes()[14] == b'7'
}

#[tokio::test]
async fn a_harmless_request_id_is_taken_passed_on_and_sent_back() -> Result<()> {
    let front = Front::start().await?;
    for id in samples("/request_ids/accepted")? {
        let (fields, answer) = seen(&front.seaworthy, &[("X-Request-ID", &id)]).await?;
        assert_eq!(answer.head.all("x-request-id"), [&id]);
        assert_eq!(values(&fields, "x-request-id"), [&id]);
    }
    Ok(())
}

#[tokio::test]
async fn any_other_request_id_is_replaced() -> Result<()> {
    let front = Front::start().await?;
    let long = "x".repeat(129);
    let mut bad = samples("/request_ids/replaced")?;
    // A control byte is no header value at all, and refused elsewhere.
    bad.retain(|id| !id.contains('\0'));
    bad.push(long);
    for id in bad {
        let (fields, answer) = seen(&front.seaworthy, &[("X-Request-ID", &id)]).await?;
        let own = answer.header("x-request-id").unwrap_or_default();
        assert!(is_uuid_v7(own), "{id:?} became {own:?}");
        assert_eq!(values(&fields, "x-request-id"), [own]);
    }
    Ok(())
}

#[tokio::test]
async fn requests_without_an_id_get_one_of_their_own() -> Result<()> {
    let front = Front::start().await?;
    let mut ids = Vec::new();
    for _ in 0..20 {
        let (fields, answer) = seen(&front.seaworthy, &[]).await?;
        let own = answer.header("x-request-id").unwrap_or_default().to_owned();
        assert!(is_uuid_v7(&own), "{own}");
        assert_eq!(values(&fields, "x-request-id"), [&own]);
        ids.push(own);
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 20);
    Ok(())
}

#[tokio::test]
async fn the_answer_has_one_id_even_when_the_app_sets_another() -> Result<()> {
    let answer = "HTTP/1.1 200 OK\r\nX-Request-ID: the-apps\r\nContent-Length: 0\r\n\r\n";
    let (seaworthy, _origin) = before(Script::always(answer)).await?;
    let answer = client::send(
        seaworthy.public(),
        "GET",
        "/",
        &[("X-Request-ID", "abc123")],
        b"",
    )
    .await?;
    assert_eq!(answer.head.all("x-request-id"), ["abc123"]);
    Ok(())
}

#[tokio::test]
async fn a_correlation_id_is_an_alias() -> Result<()> {
    let front = Front::start().await?;
    let (fields, answer) = seen(&front.seaworthy, &[("X-Correlation-ID", "corr-1")]).await?;
    assert_eq!(answer.header("x-request-id"), Some("corr-1"));
    assert_eq!(answer.header("x-correlation-id"), Some("corr-1"));
    assert_eq!(values(&fields, "x-request-id"), ["corr-1"]);
    let both = [("X-Correlation-ID", "corr-2"), ("X-Request-ID", "req-2")];
    let (fields, answer) = seen(&front.seaworthy, &both).await?;
    assert_eq!(answer.header("x-request-id"), Some("req-2"));
    assert_eq!(values(&fields, "x-request-id"), ["req-2"]);
    Ok(())
}

#[tokio::test]
async fn a_trace_is_continued_with_a_span_of_its_own() -> Result<()> {
    let front = Front::start().await?;
    for parent in samples("/trace_parents/accepted")? {
        let (fields, _) = seen(
            &front.seaworthy,
            &[("traceparent", &parent), ("tracestate", "v=1")],
        )
        .await?;
        let [sent] = values(&fields, "traceparent")[..] else {
            panic!("{fields:?}")
        };
        assert_eq!((sent.len(), &sent[..36]), (55, &parent[..36]), "{sent}");
        assert_ne!(sent[36..52], parent[36..52]);
        assert_eq!(sent[53..], parent[53..]);
        assert_eq!(values(&fields, "tracestate"), ["v=1"]);
    }
    Ok(())
}

#[tokio::test]
async fn what_is_no_trace_is_begun_anew() -> Result<()> {
    let front = Front::start().await?;
    for parent in samples("/trace_parents/replaced")? {
        let (fields, _) = seen(&front.seaworthy, &[("traceparent", &parent)]).await?;
        let [sent] = values(&fields, "traceparent")[..] else {
            panic!("{fields:?}")
        };
        assert!(sent.starts_with("00-") && sent.len() == 55, "{sent}");
        assert_ne!(sent[3..35], "0".repeat(32));
        assert!(!parent.contains(&sent[3..35]), "{parent} became {sent}");
    }
    Ok(())
}

const CLAIMS: &[(&str, &str)] = &[
    ("X-Forwarded-For", "203.0.113.9"),
    ("X-Forwarded-Proto", "https"),
    ("X-Forwarded-Host", "shop.example"),
    ("X-Forwarded-Port", "443"),
    ("X-Real-IP", "203.0.113.9"),
    ("Forwarded", "for=203.0.113.9;proto=https"),
];

#[tokio::test]
async fn a_stranger_cannot_say_who_he_is() -> Result<()> {
    let front = Front::start().await?;
    let (fields, _) = seen(&front.seaworthy, CLAIMS).await?;
    assert_eq!(values(&fields, "x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(values(&fields, "x-forwarded-proto"), ["http"]);
    assert_eq!(values(&fields, "x-forwarded-host"), ["test"]);
    for name in ["x-forwarded-port", "x-real-ip", "forwarded"] {
        assert_eq!(values(&fields, name), [""; 0], "{name}");
    }
    Ok(())
}

#[tokio::test]
async fn a_trusted_proxy_can() -> Result<()> {
    let builder = Seaworthy::build().config("listen: {trusted_proxies: [loopback]}");
    let front = Front::with(builder).await?;
    let (fields, _) = seen(&front.seaworthy, CLAIMS).await?;
    assert_eq!(
        values(&fields, "x-forwarded-for"),
        ["203.0.113.9, 127.0.0.1"]
    );
    assert_eq!(values(&fields, "x-forwarded-proto"), ["https"]);
    assert_eq!(values(&fields, "x-forwarded-host"), ["shop.example"]);
    let forwarded = values(&fields, "forwarded").concat();
    assert!(
        forwarded.starts_with("for=203.0.113.9;proto=https, for="),
        "{forwarded}"
    );
    Ok(())
}

#[tokio::test]
async fn what_stands_left_of_the_client_is_a_claim() -> Result<()> {
    let yaml = "listen: {trusted_proxies: [loopback, 10.0.0.0/8]}";
    let front = Front::configured(yaml).await?;
    let lines = [
        ("X-Forwarded-For", "6.6.6.6, 203.0.113.9"),
        ("X-Forwarded-For", "10.1.2.3"),
    ];
    let (fields, _) = seen(&front.seaworthy, &lines).await?;
    assert_eq!(
        values(&fields, "x-forwarded-for"),
        ["203.0.113.9, 10.1.2.3, 127.0.0.1"]
    );
    Ok(())
}

#[tokio::test]
async fn twins_with_underscores_are_dropped() -> Result<()> {
    let front = Front::start().await?;
    let twins = [
        ("X_Forwarded_For", "6.6.6.6"),
        ("X-Forwarded_For", "6.6.6.6"),
        ("X_Forwarded_Proto", "https"),
        ("X_Real_IP", "6.6.6.6"),
        ("X_Request_ID", "forged"),
        ("Script_Name", "/admin"),
    ];
    let (fields, _) = seen(&front.seaworthy, &twins).await?;
    let left: Vec<_> = fields
        .iter()
        .filter(|(name, _)| name.contains('_'))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(values(&fields, "x-forwarded-for"), ["127.0.0.1"]);
    Ok(())
}

#[tokio::test]
async fn each_proxy_on_the_way_is_named() -> Result<()> {
    let front = Front::start().await?;
    let (fields, _) = seen(
        &front.seaworthy,
        &[("Via", "1.0 first"), ("Via", "1.1 second")],
    )
    .await?;
    let via = values(&fields, "via").join(", ");
    assert_eq!(via, "1.0 first, 1.1 second, 1.1 seaworthy");
    Ok(())
}

#[tokio::test]
async fn fields_named_by_connection_stay_here_and_ours_are_written_anew() -> Result<()> {
    let front = Front::start().await?;
    let headers = [
        (
            "Connection",
            "X-Forwarded-For, Authorization, X-Request-Id, X-Private, TE",
        ),
        ("X-Forwarded-For", "203.0.113.9"),
        ("Authorization", "Bearer secret"),
        ("X-Request-Id", "abc123"),
        ("X-Private", "for this hop"),
        ("Keep-Alive", "timeout=5"),
        ("Proxy-Connection", "keep-alive"),
        ("TE", "trailers, deflate"),
        ("X-Public", "for the app"),
    ];
    let (fields, _) = seen(&front.seaworthy, &headers).await?;
    for name in [
        "authorization",
        "x-private",
        "keep-alive",
        "proxy-connection",
    ] {
        assert_eq!(values(&fields, name), [""; 0], "{name}");
    }
    assert!(!values(&fields, "te").concat().contains("deflate"));
    assert_eq!(values(&fields, "x-public"), ["for the app"]);
    assert_eq!(values(&fields, "x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(values(&fields, "x-request-id").len(), 1);
    assert_eq!(values(&fields, "via"), ["1.1 seaworthy"]);
    Ok(())
}

#[tokio::test]
async fn both_can_be_switched_off() -> Result<()> {
    let builder = Seaworthy::build()
        .set("request_id", false)
        .set("traces.context", false);
    let (seaworthy, origin) = before_with(Script::always(ok("hello")), builder).await?;
    let given = [("X-Request-ID", "mine"), ("traceparent", "as it came")];
    let answer = client::send(seaworthy.public(), "GET", "/", &given, b"").await?;
    assert_eq!(answer.header("x-request-id"), None);
    let text = origin.text().to_lowercase();
    assert!(
        text.contains("x-request-id: mine\r\n") && text.contains("traceparent: as it came\r\n"),
        "{text}"
    );
    Ok(())
}

#[tokio::test]
async fn an_app_on_a_unix_socket_gets_the_same_fields() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let origin = Origin::unix(&folder.path().join("app.sock"), Script::always(ok("hello")))?;
    let seaworthy = Seaworthy::build().connect(origin.address()).ready().await?;
    let answer = client::send(seaworthy.public(), "GET", "/", CLAIMS, b"").await?;
    assert_eq!(answer.status, 200);
    assert!(
        origin.text().contains("x-forwarded-for: 127.0.0.1\r\n"),
        "{}",
        origin.text()
    );
    Ok(())
}
