//! Keys that an issuer publishes.

use super::*;

fn serving(keys: &Value) -> Script {
    let body = keys.to_string();
    Script::always(format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ))
}

fn fetched(origin: &Origin, pace: Pace, scale: u32) -> (Arc<Jwks>, Verifier) {
    let url = format!("http://{}/keys", origin.address()).parse().unwrap();
    let client = Client::new(&url, None, LARGEST_KEY_SET);
    let clock = Clock::new(Instant::now(), scale);
    let allowed = vec![Algorithm::RS256];
    let jwks = Jwks::new(Place::Url(client), allowed.clone(), pace, clock);
    let source = Source::Fetched(jwks.clone());
    (
        jwks,
        Verifier::new(allowed, source, Rules::default(), 10).unwrap(),
    )
}

#[tokio::test]
async fn keys_are_fetched_and_unknown_names_do_not_make_more_fetches() {
    let issuer = Issuer::rsa("r").unwrap();
    let origin = Origin::tcp(serving(&json!({"keys": [issuer.jwk()]})))
        .await
        .unwrap();
    let (jwks, verifier) = fetched(&origin, Pace::default(), 1);
    let token = issuer.token(&claims());
    assert_eq!(verifier.verify(&token, now()), Err(Refusal::Unavailable));
    let task = tokio::spawn(jwks.keep());
    verifier.look_again().await;
    assert!(verifier.verify(&token, now()).is_ok());
    let stranger = Issuer::rsa("stranger").unwrap().token(&claims());
    for _ in 0..50 {
        assert_eq!(verifier.verify(&stranger, now()), Err(Refusal::UnknownKey));
        verifier.look_again().await;
    }
    assert_eq!(origin.requests().len(), 1);
    task.abort();
}

#[tokio::test]
async fn a_new_key_is_found_when_a_token_names_it() {
    let (old, new) = (Issuer::rsa("old").unwrap(), Issuer::rsa("new").unwrap());
    let first = json!({"keys": [old.jwk()]}).to_string();
    let both = json!({"keys": [new.jwk()]}).to_string();
    let answer = |body: &str| {
        let head = format!(
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        head + body
    };
    let (first, both) = (answer(&first), answer(&both));
    let script = Script::by_connection(move |at| {
        let answer = if at == 0 { &first } else { &both };
        vec![
            Step::Request,
            Step::Send(answer.clone().into_bytes()),
            Step::Close,
        ]
    });
    let origin = Origin::tcp(script).await.unwrap();
    let pace = Pace {
        least: std::time::Duration::ZERO,
        ..Pace::default()
    };
    let (jwks, verifier) = fetched(&origin, pace, 1);
    let task = tokio::spawn(jwks.keep());
    verifier.look_again().await;
    let before = old.token(&claims());
    assert!(verifier.verify(&before, now()).is_ok());
    let token = new.token(&claims());
    assert_eq!(verifier.verify(&token, now()), Err(Refusal::UnknownKey));
    verifier.look_again().await;
    assert!(verifier.verify(&token, now()).is_ok());
    // A key that is withdrawn takes its tokens along, even those that are remembered.
    assert_eq!(verifier.verify(&before, now()), Err(Refusal::UnknownKey));
    task.abort();
}

#[tokio::test]
async fn keys_that_are_too_old_count_for_nothing() {
    let issuer = Issuer::rsa("r").unwrap();
    let keys = serving(&json!({"keys": [issuer.jwk()]}));
    let origin = Origin::tcp(keys).await.unwrap();
    // An hour passes in a few milliseconds, and the next fetch is a day away.
    let pace = Pace {
        refresh: std::time::Duration::from_secs(86_400),
        max_stale: std::time::Duration::from_secs(3_600),
        ..Pace::default()
    };
    let (jwks, verifier) = fetched(&origin, pace, 10_000);
    let task = tokio::spawn(jwks.clone().keep());
    while *jwks.rounds.borrow() == (0, None) {
        tokio::task::yield_now().await;
    }
    task.abort();
    let token = issuer.token(&claims());
    while jwks.current().is_some() {
        tokio::task::yield_now().await;
    }
    assert_eq!(verifier.verify(&token, now()), Err(Refusal::Unavailable));
}
