//! Fields that every answer bears.

use seaworthy_testkit::Result;
use seaworthy_testkit::client::{self, Response};
use seaworthy_testkit::origin::Script;
use seaworthy_testkit::process::Seaworthy;

use crate::front::{Front, before_with};

const HOUSE: [(&str, &str); 5] = [
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("x-xss-protection", "1; mode=block"),
    ("strict-transport-security", "max-age=31536000"),
    ("content-security-policy", "default-src 'self'"),
];

fn bears(answer: &Response, fields: &[(&str, &str)]) {
    for (name, value) in fields {
        assert_eq!(
            answer.head.all(name),
            [*value],
            "{name} of {}",
            answer.status
        );
    }
}

#[tokio::test]
async fn the_house_has_its_five_on_answers_and_on_refusals() -> Result<()> {
    let house = Seaworthy::build().flag("--preset").flag("house");
    let front = Front::lonely(house.set("bans.threshold", 2)).await?;
    let public = front.seaworthy.public();
    bears(&client::get(public, "/echo").await?, &HOUSE);
    client::get(public, "/echo").await?;
    let refused = client::get(public, "/echo").await?;
    assert_eq!(refused.status, 429);
    bears(&refused, &HOUSE);
    let nobody = seaworthy_testkit::address::free()?;
    let lonely = Seaworthy::build().flag("--preset").flag("house");
    let lonely = lonely.connect(nobody).start().await?;
    let unreachable = client::get(lonely.public(), "/echo").await?;
    assert_eq!(unreachable.status, 502);
    bears(&unreachable, &HOUSE);
    Ok(())
}

#[tokio::test]
async fn the_app_wins_unless_told_otherwise_and_routes_win_over_all() -> Result<()> {
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Frame-Options: SAMEORIGIN\r\nServer: uvicorn\r\n\r\n";
    let script = || Script::always(answer);
    let yaml = "
headers:
  security: {fields: web}
  set: {Server: '', X-Team: blue}
routes:
  - {match: /docs, headers: {Content-Security-Policy: \"default-src 'self' cdn.example\"}}
";
    let (seaworthy, _origin) = before_with(script(), Seaworthy::build().config(yaml)).await?;
    let answer = client::get(seaworthy.public(), "/").await?;
    bears(
        &answer,
        &[
            ("x-frame-options", "SAMEORIGIN"),
            ("x-content-type-options", "nosniff"),
            ("x-team", "blue"),
            ("content-security-policy", "default-src 'self'"),
        ],
    );
    assert_eq!(answer.header("server"), None);
    assert_eq!(
        answer.header("strict-transport-security"),
        None,
        "it came without TLS"
    );
    let docs = client::get(seaworthy.public(), "/docs").await?;
    bears(
        &docs,
        &[("content-security-policy", "default-src 'self' cdn.example")],
    );
    Ok(())
}

#[tokio::test]
async fn browsers_are_told_to_come_by_tls_when_they_did() -> Result<()> {
    let yaml = "listen: {trusted_proxies: [loopback]}\nheaders: {security: {fields: api}}\n";
    let front = Front::configured(yaml).await?;
    let public = front.seaworthy.public();
    let fields = [("Host", "test"), ("X-Forwarded-Proto", "https")];
    let secure = client::send(public, "GET", "/echo", &fields, b"").await?;
    bears(
        &secure,
        &[
            HOUSE[0],
            HOUSE[3],
            ("referrer-policy", "no-referrer"),
            (
                "content-security-policy",
                "default-src 'none'; frame-ancestors 'none'",
            ),
        ],
    );
    let plain = client::get(public, "/echo").await?;
    assert_eq!(plain.header("strict-transport-security"), None);
    Ok(())
}

#[tokio::test]
async fn fields_that_cannot_be_are_refused_with_their_place() -> Result<()> {
    let yaml = "headers:\n  set:\n    Content-Length: '3'\n    'bad name': x\n";
    let ended = Seaworthy::build()
        .config(yaml)
        .connect(seaworthy_testkit::address::free()?);
    let ended = ended.end(seaworthy_testkit::wait::PATIENCE).await?;
    assert_eq!(ended.code(), 2);
    for words in [
        "only the sender knows",
        "is not the name of a field",
        "seaworthy.yaml:3",
    ] {
        assert!(
            ended.stderr.contains(words),
            "`{words}` is missing in {}",
            ended.stderr
        );
    }
    Ok(())
}
