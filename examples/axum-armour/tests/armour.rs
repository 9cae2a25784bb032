//! The example as it is run, over real sockets: all rules by one line, and one rule alone.

use std::net::SocketAddr;
use std::path::Path;

use seaworthy_testkit::Result;
use seaworthy_testkit::address::free;
use seaworthy_testkit::client::{self, Connection, Response};
use seaworthy_testkit::process::Group;
use seaworthy_testkit::wait::{self, PATIENCE};

const WHOLE: &str = env!("CARGO_BIN_EXE_axum-armour");
const ALONE: &str = env!("CARGO_BIN_EXE_axum-limit");

async fn start(binary: &str, env: &[(&str, &str)]) -> Result<(Group, SocketAddr)> {
    let address = free()?;
    let mut command = tokio::process::Command::new(binary);
    command
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")))
        .env("PORT", address.port().to_string())
        .envs(env.iter().copied());
    let group = Group::start("axum-armour", command)?;
    wait::until("somebody to listen", PATIENCE, async || {
        tokio::net::TcpStream::connect(address).await.ok().map(drop)
    })
    .await?;
    Ok((group, address))
}

/// So many requests over one connection.
async fn ask(address: SocketAddr, path: &str, times: usize) -> Result<Vec<Response>> {
    let mut connection = Connection::open(address).await?;
    let mut answers = Vec::new();
    for _ in 0..times {
        answers.push(
            connection
                .ask("GET", path, &[("Host", "shop")], b"")
                .await?,
        );
    }
    Ok(answers)
}

/// A hundred pass, five are refused, and all answers say how much is left.
async fn hundred_and_five(address: SocketAddr) -> Result<Vec<Response>> {
    let answers = ask(address, "/", 105).await?;
    for (place, answer) in answers.iter().enumerate() {
        let status = if place < 100 { 200 } else { 429 };
        assert_eq!(answer.status, status, "{place}");
        let left = 99_usize.saturating_sub(place).to_string();
        assert_eq!(answer.header("x-ratelimit-remaining"), Some(&*left));
        for field in [
            "x-ratelimit-limit",
            "x-ratelimit-reset",
            "ratelimit",
            "ratelimit-policy",
        ] {
            assert!(answer.header(field).is_some(), "{field} of {place}");
        }
    }
    assert_eq!(answers[0].text(), "hello\n");
    for answer in &answers[100..] {
        assert_eq!(answer.error_type().as_deref(), Some("RateLimitExceeded"));
        assert!(answer.header("retry-after").is_some());
    }
    Ok(answers)
}

#[tokio::test]
async fn one_line_adds_headers_limits_and_metrics() -> Result<()> {
    let (_group, address) = start(WHOLE, &[]).await?;
    for answer in hundred_and_five(address).await? {
        for (field, value) in [
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("x-xss-protection", "1; mode=block"),
            ("strict-transport-security", "max-age=31536000"),
            ("content-security-policy", "default-src 'self'"),
        ] {
            assert_eq!(answer.header(field), Some(value));
        }
        assert!(answer.header("x-request-id").is_some());
    }
    let page = client::get(address, "/metrics").await?.text();
    for line in [
        "http_requests_total{method=\"GET\",endpoint=\"unmatched\",status=\"200\"} 100",
        "http_requests_total{method=\"GET\",endpoint=\"unmatched\",status=\"429\"} 5",
        "rate_limiter_denials_total{tier=\"anonymous\",mode=\"reject\"} 5",
    ] {
        assert!(page.contains(line), "no {line} in\n{page}");
    }
    Ok(())
}

#[tokio::test]
async fn whoever_goes_on_is_shut_out() -> Result<()> {
    let (_group, address) = start(WHOLE, &[("SEAWORTHY__BANS__THRESHOLD", "20")]).await?;
    let answers = ask(address, "/items/7", 21).await?;
    assert_eq!(
        (answers[19].status, answers[19].text().as_str()),
        (200, "item 7\n")
    );
    let last = &answers[20];
    assert_eq!(
        last.error_type().as_deref(),
        Some("IpBlocked"),
        "{}",
        last.text()
    );
    let page = client::get(address, "/metrics").await?;
    assert_eq!(page.status, 200, "views are for whoever may see them");
    assert!(
        page.text()
            .contains("endpoint=\"/items/{id}\",status=\"200\"} 20")
    );
    Ok(())
}

#[tokio::test]
async fn sizes_and_paths_that_are_not_there_are_under_the_same_rules() -> Result<()> {
    let (_group, address) = start(WHOLE, &[]).await?;
    let large = vec![b'x'; 2_000];
    let host = [("Host", "shop")];
    let refused = client::send(address, "POST", "/upload", &host, &large).await?;
    assert_eq!(refused.error_type().as_deref(), Some("PayloadTooLarge"));
    let taken = client::send(address, "POST", "/upload", &host, b"small").await?;
    assert_eq!(taken.text(), "5 bytes\n");
    let nowhere = client::get(address, "/nowhere").await?;
    assert_eq!(nowhere.status, 404);
    assert!(nowhere.header("x-ratelimit-limit").is_some());
    let forwarded = [("Host", "shop"), ("X-Forwarded-For", "203.0.113.1")];
    let page = client::send(address, "GET", "/metrics", &forwarded, b"").await?;
    assert_eq!(page.status, 404, "metrics are for this machine");
    Ok(())
}

#[tokio::test]
async fn a_file_that_is_wrong_is_said_to_be() -> Result<()> {
    let address = free()?;
    let ended = tokio::process::Command::new(WHOLE)
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")))
        .env("PORT", address.port().to_string())
        .env("SEAWORTHY__LIMITS__STORE", "nowhere")
        .output()
        .await?;
    assert!(!ended.status.success());
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(said.contains("limits.store"), "{said}");
    Ok(())
}

#[tokio::test]
async fn the_limit_alone_is_a_layer_like_any_other() -> Result<()> {
    let (_group, address) = start(ALONE, &[]).await?;
    hundred_and_five(address).await?;
    Ok(())
}

mod real {
    use super::*;

    use seaworthy_testkit::server::Redis;

    #[tokio::test]
    async fn two_services_share_a_limit_in_redis() -> Result<()> {
        let redis = Redis::start().await?;
        let url = redis.url();
        let env = [
            ("SEAWORTHY__LIMITS__STORE", "redis"),
            ("SEAWORTHY__REDIS__URL", &*url),
            ("SEAWORTHY__REDIS__TIMEOUT", "1s"),
        ];
        let (_one, first) = start(WHOLE, &env).await?;
        let (_two, second) = start(WHOLE, &env).await?;
        for address in [first, second] {
            wait::until("Redis to be asked", PATIENCE, async || {
                let page = client::get(address, "/metrics").await.ok()?.text();
                page.contains("rate_limiter_fallback_active 0")
                    .then_some(())
            })
            .await?;
        }
        let passed = |answers: &[Response]| answers.iter().filter(|one| one.status == 200).count();
        assert_eq!(passed(&ask(first, "/", 60).await?), 60);
        assert_eq!(passed(&ask(second, "/", 60).await?), 40);
        Ok(())
    }
}
