//! A server that fails for a moment.

use seaworthy_testkit::origin::{Origin, Script, Step};

use super::*;

const WITHIN: Duration = Duration::from_secs(20);

/// A server that gives one answer for each question, in this order. Every question has a connection of its own.
async fn server(answers: &[(u16, &str)]) -> Origin {
    let answer = |(status, body): &(u16, &str)| {
        let length = body.len();
        format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n\r\n{body}").into_bytes()
    };
    let answers: Vec<Vec<u8>> = answers.iter().map(answer).collect();
    let steps = move |connection: usize| {
        let answer = answers.get(connection).cloned().unwrap_or_default();
        vec![Step::Request, Step::Send(answer), Step::Close]
    };
    Origin::tcp(Script::by_connection(steps)).await.unwrap()
}

fn secret(origin: &Origin, versions: bool) -> Secret {
    let vault = Vault::new(Settings {
        address: format!("http://{}", origin.address()).parse().unwrap(),
        namespace: None,
        ca: None,
        login: Login::Token("t".to_owned()),
    });
    vault.secret(Wanted {
        mount: "m".to_owned(),
        path: "p".to_owned(),
        field: "f".to_owned(),
        versions,
    })
}

fn paths(origin: &Origin) -> Vec<String> {
    let records = origin.records();
    let requests = records.iter().flat_map(|record| record.requests());
    let path = |request: String| request.split(' ').nth(1).unwrap().replace("/v1/", "");
    requests.map(path).collect()
}

const FOR_EVER: &str = r#"{"data":{"ttl":0,"renewable":false}}"#;
const AN_HOUR: &str = r#"{"data":{"ttl":3600,"renewable":true}}"#;
const KEPT: &str = r#"{"data":{"data":{"f":"v"}}}"#;
const MADE: &str = r#"{"data":{"f":"v"},"lease_id":"l","lease_duration":60,"renewable":true}"#;
const OTHER: &str = r#"{"data":{"f":"w"},"lease_id":"k","lease_duration":60,"renewable":true}"#;
const RENEWED: &str = r#"{"lease_id":"l","lease_duration":30,"renewable":true}"#;

#[tokio::test]
async fn a_token_is_not_taken_for_one_without_end_while_the_server_cannot_say() {
    let origin = server(&[(503, ""), (500, ""), (200, AN_HOUR), (200, KEPT)]).await;
    let secret = secret(&origin, true);
    for _ in 0..2 {
        let failure = secret.read(WITHIN).await.unwrap_err();
        assert!(failure.to_string().contains("lookup-self"), "{failure}");
    }
    let lease = secret.read(WITHIN).await.unwrap().lease.unwrap();
    assert!(lease > Duration::from_secs(3500), "{lease:?}");
}

#[tokio::test]
async fn a_token_that_may_not_look_itself_up_is_used() {
    let origin = server(&[(403, ""), (200, KEPT)]).await;
    let found = secret(&origin, true).read(WITHIN).await.unwrap();
    assert_eq!((found.value.as_str(), found.lease), ("v", None));
}

#[tokio::test]
async fn a_lease_is_given_up_only_when_the_server_refuses_to_renew_it() {
    let said = [
        (200, FOR_EVER),
        (200, MADE),
        (503, ""),
        (429, ""),
        (200, RENEWED),
        (400, ""),
        (200, OTHER),
    ];
    let origin = server(&said).await;
    let secret = secret(&origin, false);
    assert_eq!(secret.read(WITHIN).await.unwrap().value, "v");
    for status in ["503", "429"] {
        let failure = secret.read(WITHIN).await.unwrap_err();
        assert!(failure.to_string().contains(status), "{failure}");
    }
    let found = secret.read(WITHIN).await.unwrap();
    assert_eq!(found.lease, Some(Duration::from_secs(30)));
    assert_eq!(found.value, "v");
    assert_eq!(secret.read(WITHIN).await.unwrap().value, "w");
    let renew = "sys/leases/renew";
    assert_eq!(
        paths(&origin),
        [
            "auth/token/lookup-self",
            "m/p",
            renew,
            renew,
            renew,
            renew,
            "m/p"
        ]
    );
}

#[tokio::test]
async fn a_lease_that_is_over_is_read_anew() {
    let short = r#"{"data":{"f":"v"},"lease_id":"l","lease_duration":1,"renewable":true}"#;
    let origin = server(&[(200, FOR_EVER), (200, short), (200, OTHER)]).await;
    let secret = secret(&origin, false);
    assert_eq!(secret.read(WITHIN).await.unwrap().value, "v");
    if let Some(held) = &mut *secret.held.lock().await {
        held.ends = Some(Instant::now());
    }
    assert_eq!(secret.read(WITHIN).await.unwrap().value, "w");
}
