//! Who makes a request, and whether he may: keys, tokens, headers of proxies, and policies.

use std::path::Path;
use std::time::Duration;

use seaworthy_testkit::Result;
use seaworthy_testkit::client::{self, Connection, Response};
use seaworthy_testkit::issuer::{Issuer, in_seconds, unsigned, with_secret};
use seaworthy_testkit::origin::{Origin, Script, Step, ok};
use seaworthy_testkit::process::Seaworthy;
use seaworthy_testkit::wait::PATIENCE;
use serde_json::{Value, json};

use crate::front::{Front, before_with};

// The SHA-256 of `k1`.
const K1: &str = "6ab9f1eb8f7d3388f4f9d586f66e99fd54080df2c446f0e58668b09c08a16dd0";

fn keys(folder: &Path) -> Result<String> {
    let file = folder.join("keys");
    std::fs::write(&file, format!("# who may\n{K1} premium the shop\n"))?;
    Ok(file.display().to_string())
}

async fn get(seaworthy: &Seaworthy, path: &str, headers: &[(&str, &str)]) -> Result<Response> {
    client::send(seaworthy.public(), "GET", path, headers, b"").await
}

async fn bearer(seaworthy: &Seaworthy, token: &str) -> Result<Response> {
    let value = format!("Bearer {token}");
    get(seaworthy, "/echo", &[("Authorization", &value)]).await
}

fn refused(answer: &Response, status: u16, kind: &str) {
    let got = (answer.status, answer.error_type());
    assert_eq!(got, (status, Some(kind.to_owned())), "{}", answer.text());
}

async fn metrics(seaworthy: &Seaworthy) -> Result<String> {
    Ok(seaworthy.look("/metrics").await?.text())
}

fn value(metrics: &str, series: &str) -> f64 {
    let line = metrics.lines().find(|line| line.starts_with(series));
    let value = line.and_then(|line| line.rsplit(' ').next()?.parse().ok());
    value.unwrap_or_else(|| panic!("{series} is not in\n{metrics}"))
}

fn claims() -> Value {
    json!({"sub": "alice", "tier": "premium", "iss": "https://issuer.test", "aud": "shop", "exp": in_seconds(600)})
}

#[tokio::test]
async fn a_key_is_known_by_its_hash_and_an_unknown_one_is_nobody() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = keys(folder.path())?;
    let front = Front::with(Seaworthy::build().set("limits.keys_file", &file)).await?;
    for headers in [
        &[][..],
        &[("X-API-Key", "k1")],
        &[("x-api-key", "nobody-knows-it")],
    ] {
        assert_eq!(get(&front.seaworthy, "/echo", headers).await?.status, 200);
    }
    let metrics = metrics(&front.seaworthy).await?;
    let outcome = |word: &str| {
        value(
            &metrics,
            &format!("seaworthy_authentications_total{{outcome=\"{word}\"}}"),
        )
    };
    assert_eq!((outcome("api_key"), outcome("anonymous")), (1.0, 2.0));
    let builder = Seaworthy::build().config(&format!(
        "auth: {{required: true, api_keys: {{file: {file}, header: X-Shop-Key}}}}\nroutes: [{{match: /echo/free, auth: none}}]\n"
    ));
    let front = Front::with(builder).await?;
    assert_eq!(
        get(&front.seaworthy, "/echo", &[("X-Shop-Key", "k1")])
            .await?
            .status,
        200
    );
    let unknown = get(
        &front.seaworthy,
        "/echo",
        &[("X-Shop-Key", "nobody-knows-it")],
    )
    .await?;
    refused(&unknown, 401, "Unauthorized");
    assert_eq!(
        unknown.json()?["error"]["details"]["reason"],
        "the API key is not known"
    );
    assert!(unknown.header("www-authenticate").is_some());
    refused(
        &get(&front.seaworthy, "/echo", &[("X-API-Key", "k1")]).await?,
        401,
        "Unauthorized",
    );
    // Probes never ask who it is.
    assert_eq!(
        get(&front.seaworthy, "/health/live", &[]).await?.status,
        200
    );
    assert!(!matches!(
        get(&front.seaworthy, "/echo/free", &[]).await?.status,
        401
    ));
    let told = front.seaworthy.output().stderr();
    assert!(!told.contains("nobody-knows-it"), "{told}");
    Ok(())
}

/// Tokens that `issuer` did not mean, some of them made from one that is good.
fn attacks(issuer: &Issuer, other: &Issuer, good: &str) -> Vec<String> {
    let but = |member: &str, value: Value| {
        let mut claims = claims();
        claims[member] = value;
        issuer.token(&claims)
    };
    let none = |name: &str| format!("{}.", unsigned(&json!({"alg": name}), &claims()));
    let hs = json!({"alg": "HS256"});
    vec![
        none("none"),
        none("None"),
        none("nOnE"),
        none(""),
        unsigned(&json!({"typ": "JWT"}), &claims()) + ".AA",
        with_secret(&hs, &claims(), issuer.public_pem().as_bytes()),
        with_secret(
            &json!({"alg": "RS256"}),
            &claims(),
            issuer.public_pem().as_bytes(),
        ),
        issuer.with_header(&json!({"alg": "RS512"}), &claims()),
        issuer.with_header(
            &json!({"alg": "RS256", "crit": ["b64"], "b64": false}),
            &claims(),
        ),
        other.with_header(
            &json!({"alg": "RS256", "jwk": other.jwk(), "jku": "http://127.0.0.1:1/"}),
            &claims(),
        ),
        other.token(&claims()),
        format!("{}.", good.rsplit_once('.').unwrap_or_default().0),
        but("exp", json!(in_seconds(-60))),
        but("nbf", json!(in_seconds(600))),
        but("iss", json!("https://issuer.test/")),
        but("aud", json!("bank")),
        but("sub", Value::Null),
        but("sub", json!("x".repeat(20_000))),
        "x.y.z".to_owned(),
    ]
}

#[tokio::test]
async fn tokens_are_held_against_one_algorithm_and_every_claim() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let (issuer, other) = (Issuer::rsa("k")?, Issuer::rsa("k")?);
    let pem = folder.path().join("issuer.pem");
    std::fs::write(&pem, issuer.public_pem())?;
    let front = Front::configured(&format!(
        "auth: {{jwt: {{algorithms: [RS256], key: {}, issuer: [\"https://issuer.test\"], audience: [shop]}}}}\n",
        pem.display()
    ))
    .await?;
    let seaworthy = &front.seaworthy;
    let good = issuer.token(&claims());
    assert_eq!(bearer(seaworthy, &good).await?.status, 200);
    assert_eq!(bearer(seaworthy, &good).await?.status, 200);
    assert_eq!(get(seaworthy, "/echo", &[]).await?.status, 200);
    let attacks = attacks(&issuer, &other, &good);
    for (at, token) in attacks.iter().enumerate() {
        let answer = bearer(seaworthy, token).await?;
        assert_eq!(answer.status, 401, "attack {at}");
        refused(&answer, 401, "Unauthorized");
        assert!(!answer.text().contains(token.as_str()));
    }
    for headers in [
        &[
            ("Authorization", good.as_str()),
            ("Authorization", "Bearer x"),
        ][..],
        &[("authorization", "bearer x")],
        &[("AUTHORIZATION", "BEARER x")],
    ] {
        refused(
            &get(seaworthy, "/echo", headers).await?,
            401,
            "Unauthorized",
        );
    }
    let told = seaworthy.output().stderr();
    assert!(
        !told.contains(good.rsplit('.').next().unwrap_or_default()),
        "a token is in the log"
    );
    Ok(())
}

#[tokio::test]
async fn a_field_that_connection_lists_counts_as_not_sent_for_us_and_for_the_app() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let yaml = |required: bool| -> Result<String> {
        let file = keys(folder.path())?;
        Ok(format!(
            "auth: {{required: {required}, api_keys: {{file: {file}}}}}\n"
        ))
    };
    let listed = [("Connection", "x-api-key"), ("X-API-Key", "k1")];
    let builder = Seaworthy::build().config(&yaml(true)?);
    let (seaworthy, origin) = before_with(Script::always(ok("taken")), builder).await?;
    refused(
        &get(&seaworthy, "/echo", &listed).await?,
        401,
        "Unauthorized",
    );
    assert_eq!(origin.requests().len(), 0);
    let builder = Seaworthy::build().config(&yaml(false)?);
    let (seaworthy, origin) = before_with(Script::always(ok("taken")), builder).await?;
    assert_eq!(get(&seaworthy, "/echo", &listed).await?.status, 200);
    assert!(
        !origin.text().to_lowercase().contains("x-api-key"),
        "{}",
        origin.text()
    );
    Ok(())
}

#[tokio::test]
async fn keys_of_an_issuer_are_fetched_and_found_again() -> Result<()> {
    let issuer = Issuer::ec("first")?;
    let keys = json!({"keys": [issuer.jwk()]}).to_string();
    let origin = Origin::tcp(Script::always(ok(&keys))).await?;
    let front = Front::configured(&format!(
        "auth: {{required: true, jwt: {{algorithms: [ES256], jwks: \"http://{}/keys\", audience: [shop]}}}}\n",
        origin.address()
    ))
    .await?;
    assert_eq!(
        bearer(&front.seaworthy, &issuer.token(&claims()))
            .await?
            .status,
        200
    );
    let stranger = Issuer::ec("second")?.token(&claims());
    for _ in 0..20 {
        refused(
            &bearer(&front.seaworthy, &stranger).await?,
            401,
            "Unauthorized",
        );
    }
    assert!(origin.requests().len() <= 2, "{}", origin.requests().len());
    let gone = seaworthy_testkit::address::free()?;
    let front = Front::configured(&format!(
        "auth: {{jwt: {{algorithms: [ES256], jwks: \"http://{gone}/keys\", audience: [shop]}}}}\n"
    ))
    .await?;
    refused(
        &bearer(&front.seaworthy, &issuer.token(&claims())).await?,
        503,
        "AuthUnavailable",
    );
    assert_eq!(get(&front.seaworthy, "/echo", &[]).await?.status, 200);
    Ok(())
}

/// Each of these sections ends the start with these words, and tells no secret.
async fn refuses_to_start(cases: &[(String, &str)], secrets: &[&str]) -> Result<()> {
    for (yaml, says) in cases {
        let builder = Seaworthy::build()
            .config(&format!("auth: {{{yaml}}}\n"))
            .connect(seaworthy_testkit::address::free()?);
        let ended = builder.end(PATIENCE).await?;
        assert_eq!(ended.code(), 2, "{yaml}\n{}", ended.stderr);
        assert!(ended.stderr.contains(says), "{yaml}\n{}", ended.stderr);
        for secret in secrets {
            assert!(!ended.stderr.contains(secret), "{yaml}\n{}", ended.stderr);
        }
    }
    Ok(())
}

#[tokio::test]
async fn what_would_let_anybody_in_is_refused_at_the_start() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("pem");
    std::fs::write(&file, Issuer::rsa("k")?.public_pem())?;
    let pem = file.display();
    let secret = "x".repeat(31);
    let cases = [
        (
            format!("jwt: {{algorithms: [], key: {pem}}}"),
            "no algorithm is allowed",
        ),
        (format!("jwt: {{key: {pem}}}"), "no algorithm is allowed"),
        (
            format!("jwt: {{algorithms: [none], key: {pem}}}"),
            "anybody may write tokens",
        ),
        (
            format!("jwt: {{algorithms: [None, RS256], key: {pem}}}"),
            "anybody may write tokens",
        ),
        (
            format!("jwt: {{algorithms: [RS255], key: {pem}}}"),
            "there is no such algorithm",
        ),
        (
            format!("jwt: {{algorithms: [HS256], key: {pem}}}"),
            "cannot be the secret",
        ),
        (
            format!("jwt: {{algorithms: [HS256, RS256], key: {pem}}}"),
            "do not mix",
        ),
        (
            format!("jwt: {{algorithms: [ES256], key: {pem}}}"),
            "the type of the key fits none",
        ),
        ("jwt: {algorithms: [RS256]}".to_owned(), "exactly one of"),
        (
            format!("jwt: {{algorithms: [HS256], secret: {secret}}}"),
            "at least 32 bytes",
        ),
        (
            "jwt: {algorithms: [RS256], jwks: \"ftp://keys.test/k\"}".to_owned(),
            "is not spoken here",
        ),
        (
            "jwt: {algorithms: [RS256], jwks: \"http://169.254.169.254/keys\"}".to_owned(),
            "link-local",
        ),
        (
            "jwt: {algorithms: [RS256], key: /nowhere/at/all}".to_owned(),
            "cannot be read",
        ),
    ];
    refuses_to_start(&cases, &[&secret]).await
}

#[tokio::test]
async fn keys_and_policies_that_are_none_are_refused_at_the_start() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let write = |name: &str, text: &str| -> Result<String> {
        let file = folder.path().join(name);
        std::fs::write(&file, text)?;
        Ok(file.display().to_string())
    };
    let keys = write("keys", "hunter2 premium\n")?;
    let policies = write(
        "policies",
        "permit(principal, action, resource)\nwhen { context.pathh == \"/\" };\n",
    )?;
    let cases = [
        (format!("api_keys: {{file: {keys}}}"), "line 1"),
        (
            format!("api_keys: {{file: {keys}, header: Authorization}}"),
            "cannot be that header",
        ),
        ("required: true".to_owned(), "nothing vouches for anybody"),
        ("policy: {timeout: 1s}".to_owned(), "exactly one of"),
        (
            format!("policy: {{cedar: {{policies: {policies}}}}}"),
            "policies:2:8",
        ),
    ];
    refuses_to_start(&cases, &["hunter2"]).await
}

#[tokio::test]
async fn a_header_names_somebody_only_when_a_trusted_proxy_sets_it() -> Result<()> {
    let user = [("X-User-ID", "alice")];
    let trusted = "listen: {trusted_proxies: [127.0.0.0/8]}\n";
    for (proxies, status) in [(trusted, 200), ("", 401)] {
        let yaml = format!("{proxies}auth: {{required: true, user_header: X-User-ID}}\n");
        let front = Front::configured(&yaml).await?;
        assert_eq!(get(&front.seaworthy, "/echo", &user).await?.status, status);
        assert_eq!(get(&front.seaworthy, "/echo", &[]).await?.status, 401);
    }
    Ok(())
}

/// A decision service that answers this after a while.
async fn decides(answer: &str, after: Duration) -> Result<Origin> {
    let steps = vec![
        Step::Request,
        Step::Pause(after),
        Step::Send(ok(answer)),
        Step::Repeat,
    ];
    Origin::tcp(Script::steps_of(steps)).await
}

#[tokio::test]
async fn a_decision_service_is_asked_timed_and_believed() -> Result<()> {
    let policy = decides(r#"{"result": true}"#, Duration::from_millis(50)).await?;
    let yaml = format!(
        "auth: {{policy: {{url: \"http://{}/v1/data/allow\", timeout: 5s}}}}\n",
        policy.address()
    );
    let front = Front::configured(&yaml).await?;
    assert_eq!(
        get(&front.seaworthy, "/echo?token=hunter2", &[])
            .await?
            .status,
        200
    );
    let text = policy.text();
    assert!(
        text.contains(r#""path":"/echo""#) && !text.contains("hunter2"),
        "{text}"
    );
    let metrics_text = metrics(&front.seaworthy).await?;
    let sum = value(&metrics_text, "policy_decision_latency_seconds_sum");
    assert!((0.05..4.0).contains(&sum), "{sum}");
    assert_eq!(
        value(&metrics_text, "policy_decisions_total{decision=\"allow\"}"),
        1.0
    );
    assert_eq!(
        value(&metrics_text, "policy_decision_latency_seconds_count"),
        1.0
    );
    let policy = decides(
        r#"{"allow": false, "reason": "closed on Sundays"}"#,
        Duration::ZERO,
    )
    .await?;
    let yaml = format!(
        "auth: {{policy: {{url: \"http://{}/\"}}}}\n",
        policy.address()
    );
    let front = Front::configured(&yaml).await?;
    let denied = get(&front.seaworthy, "/echo", &[]).await?;
    refused(&denied, 403, "Forbidden");
    assert_eq!(
        denied.json()?["error"]["details"]["reason"],
        "closed on Sundays"
    );
    assert_eq!(
        value(
            &metrics(&front.seaworthy).await?,
            "policy_decisions_total{decision=\"deny\"}"
        ),
        1.0
    );
    Ok(())
}

#[tokio::test]
async fn without_its_decision_service_a_service_is_closed_unless_told_otherwise() -> Result<()> {
    let gone = seaworthy_testkit::address::free()?;
    for (fail, status) in [("closed", 503), ("open", 200)] {
        let yaml = format!("auth: {{policy: {{url: \"http://{gone}/\", fail: {fail}}}}}\n");
        let front = Front::configured(&yaml).await?;
        assert_eq!(get(&front.seaworthy, "/echo", &[]).await?.status, status);
        assert_eq!(
            value(
                &metrics(&front.seaworthy).await?,
                "policy_decisions_total{decision=\"error\"}"
            ),
            1.0
        );
    }
    Ok(())
}

#[tokio::test]
async fn the_app_sees_the_path_that_the_policy_saw() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let policies = folder.path().join("policies.cedar");
    std::fs::write(
        &policies,
        "permit(principal, action, resource) when { context.path == \"/open\" };\n\
         permit(principal == ApiKey::\"the shop\", action == Action::\"GET\", resource == Route::\"/admin\");\n",
    )?;
    let yaml = format!(
        "auth: {{api_keys: {{file: {}}}, policy: {{cedar: {{policies: {}}}}}}}\nroutes: [{{match: /admin}}]\n",
        keys(folder.path())?,
        policies.display()
    );
    let builder = Seaworthy::build().config(&yaml);
    let (seaworthy, origin) = before_with(Script::always(ok("taken")), builder).await?;
    let key = [("X-API-Key", "k1")];
    assert_eq!(get(&seaworthy, "/open", &[]).await?.status, 200);
    assert_eq!(get(&seaworthy, "/admin", &key).await?.status, 200);
    refused(&get(&seaworthy, "/admin", &[]).await?, 403, "Forbidden");
    for path in [
        "//admin",
        "/./admin",
        "/x/../admin",
        "/%2e%2e/admin",
        "/%2E%2e/admin",
        "/ADMIN",
        "/admin/",
        "/%61dmin",
        "/admin%2f",
        "/admin;x",
        "/open/../admin",
        "/open%2f..%2fadmin",
        "/open;/../admin",
        "/open%00",
        "/open%zz",
    ] {
        let mut connection = Connection::open(seaworthy.public()).await?;
        connection
            .send(format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n"))
            .await?;
        let status = connection.response("GET").await?.status;
        assert!(matches!(status, 400 | 403), "{path}: {status}");
    }
    let seen: Vec<String> = origin.requests();
    let lines: Vec<&str> = seen
        .iter()
        .filter_map(|request| request.lines().next())
        .collect();
    let others = lines
        .iter()
        .filter(|line| !["GET /open HTTP/1.1", "GET /admin HTTP/1.1"].contains(line));
    assert_eq!(others.count(), 0, "{lines:?}");
    Ok(())
}
