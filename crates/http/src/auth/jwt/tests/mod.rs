//! What is refused, which is nearly everything.

use std::time::Instant;

use seaworthy_core::clock::Clock;
use seaworthy_testkit::issuer::{Issuer, encode, in_seconds, unsigned, with_secret};
use seaworthy_testkit::origin::{Origin, Script, Step};
use serde_json::{Value, json};

use super::*;
use crate::outbound::Client;

mod fetched;
mod wycheproof;

const SECRET: &[u8] = b"a secret of thirty-two bytes and more than that";
const ALL: [Algorithm; 12] = [
    Algorithm::HS256,
    Algorithm::HS384,
    Algorithm::HS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::EdDSA,
];

fn now() -> u64 {
    in_seconds(0).unsigned_abs()
}

fn verifier(issuer: &Issuer, algorithm: Algorithm) -> Verifier {
    let key = Key::from_pem(issuer.public_pem().as_bytes(), &[algorithm]).unwrap();
    let rules = Rules {
        issuers: vec!["https://issuer.test".to_owned()],
        audiences: vec!["shop".to_owned()],
        ..Rules::default()
    };
    let source = Source::Fixed(KeySet::of(key));
    Verifier::new(vec![algorithm], source, rules, 100).unwrap()
}

fn claims() -> Value {
    json!({
        "sub": "alice", "tier": "premium", "iss": "https://issuer.test", "aud": ["shop", "bank"],
        "exp": in_seconds(600), "nbf": in_seconds(-5), "iat": in_seconds(-5),
    })
}

fn but(member: &str, value: Value) -> Value {
    let mut claims = claims();
    claims[member] = value;
    claims
}

fn without(member: &str) -> Value {
    let mut claims = claims();
    claims.as_object_mut().unwrap().remove(member);
    claims
}

#[test]
fn a_token_that_is_as_it_should_be_speaks_for_somebody() {
    for (issuer, algorithm) in [
        (Issuer::rsa("r").unwrap(), Algorithm::RS256),
        (Issuer::ec("e").unwrap(), Algorithm::ES256),
    ] {
        let verifier = verifier(&issuer, algorithm);
        let token = issuer.token(&claims());
        for _ in 0..2 {
            let principal = verifier.verify(&token, now()).unwrap();
            let known = (&*principal.id, principal.tier.as_deref());
            assert_eq!(known, ("alice", Some("premium")));
        }
        assert_eq!(verifier.cache.len(), 1);
        // What is remembered ends with the token all the same.
        assert_eq!(verifier.verify(&token, now() + 700), Err(Refusal::Expired));
        let several = issuer.token(&but("aud", json!("shop")));
        assert!(verifier.verify(&several, now()).is_ok());
    }
}

#[test]
#[allow(clippy::too_many_lines)] // a table
fn forty_attacks_are_refused() {
    use Refusal::{
        Algorithm as Way, Audience, Critical, Early, Endless, Expired, Issuer as From, Malformed,
        Nobody, Signature,
    };
    let issuer = Issuer::rsa("r").unwrap();
    let other = Issuer::rsa("r").unwrap();
    let verifier = verifier(&issuer, Algorithm::RS256);
    let good = issuer.token(&claims());
    let (head, payload) = (json!({"alg": "RS256"}), claims());
    let signature = good.rsplit('.').next().unwrap();
    let parts = unsigned(&head, &payload);
    let alg = |alg: Value| json!({"alg": alg, "kid": "r"});
    let none = |name: &str| format!("{}.", unsigned(&alg(json!(name)), &payload));
    let pem = issuer.public_pem();
    let hs = alg(json!("HS256"));
    let header = |member: &str, value: Value| {
        let mut header = json!({"alg": "RS256", "kid": "r"});
        header[member] = value;
        issuer.with_header(&header, &payload)
    };
    let raw = |header: &str, payload: &str| {
        issuer.sign(&format!(
            "{}.{}",
            encode(header.as_bytes()),
            encode(payload.as_bytes())
        ))
    };
    let text = payload.to_string();
    let embedded = {
        let header = json!({"alg": "RS256", "jwk": other.jwk(), "jku": "http://127.0.0.1:1/", "x5u": "http://127.0.0.1:1/", "x5c": ["AA"]});
        other.with_header(&header, &payload)
    };
    let attacks: Vec<(&str, String, Refusal)> = vec![
        ("none", none("none"), Malformed),
        ("None", none("None"), Malformed),
        ("nOnE", none("nOnE"), Malformed),
        ("NONE", none("NONE"), Malformed),
        (
            "none with a signature",
            format!("{}.{signature}", unsigned(&alg(json!("none")), &payload)),
            Way,
        ),
        (
            "none without the last dot",
            unsigned(&alg(json!("none")), &payload),
            Malformed,
        ),
        (
            "an empty algorithm",
            issuer.with_header(&alg(json!("")), &payload),
            Way,
        ),
        (
            "no algorithm",
            issuer.with_header(&json!({"kid": "r"}), &payload),
            Malformed,
        ),
        (
            "an algorithm that is null",
            issuer.with_header(&alg(Value::Null), &payload),
            Malformed,
        ),
        (
            "an algorithm that is a list",
            issuer.with_header(&alg(json!(["RS256"])), &payload),
            Malformed,
        ),
        (
            "the algorithm in small letters",
            issuer.with_header(&alg(json!("rs256")), &payload),
            Way,
        ),
        (
            "an algorithm of the family that is not allowed",
            issuer.with_header(&alg(json!("RS512")), &payload),
            Way,
        ),
        (
            "the padding of PSS",
            issuer.with_header(&alg(json!("PS256")), &payload),
            Way,
        ),
        (
            "the public key as a secret",
            with_secret(&hs, &payload, pem.as_bytes()),
            Way,
        ),
        (
            "the public key as a secret, trimmed",
            with_secret(&hs, &payload, pem.trim().as_bytes()),
            Way,
        ),
        (
            "a secret behind RS256",
            with_secret(&head, &payload, pem.as_bytes()),
            Signature,
        ),
        ("an empty secret", with_secret(&hs, &payload, b""), Way),
        ("no signature", format!("{parts}."), Malformed),
        (
            "the signature of another token",
            format!(
                "{}.{signature}",
                unsigned(&head, &but("sub", json!("admin")))
            ),
            Signature,
        ),
        (
            "half a signature",
            good[..good.len() - 100].to_owned(),
            Signature,
        ),
        (
            "a signature that is no base64",
            format!("{parts}.!!!!"),
            Signature,
        ),
        ("a signature with padding", format!("{good}=="), Signature),
        (
            "another issuer's key of the same name",
            other.token(&payload),
            Signature,
        ),
        ("a key that the token brings", embedded, Signature),
        ("four parts", format!("{good}.AA"), Malformed),
        (
            "five parts, as if encrypted",
            format!("{good}.AA.AA"),
            Malformed,
        ),
        ("two parts", parts.clone(), Malformed),
        ("no parts", String::new(), Malformed),
        ("only dots", "..".to_owned(), Malformed),
        (
            "JSON instead of a token",
            json!({"payload": "Zm9v", "signatures": []}).to_string(),
            Malformed,
        ),
        (
            "a header that is no object",
            raw("[\"RS256\"]", &text),
            Malformed,
        ),
        (
            "a header with two algorithms",
            raw("{\"alg\":\"none\",\"alg\":\"RS256\"}", &text),
            Malformed,
        ),
        (
            "something critical",
            header("crit", json!(["exp"])),
            Critical,
        ),
        (
            "something critical that is null",
            header("crit", json!({})),
            Critical,
        ),
        (
            "a name of a key that is a path",
            issuer.with_header(&json!({"alg": "RS256", "kid": 7}), &payload),
            Malformed,
        ),
        ("spaces in it", good.replace('.', ". "), Malformed),
        ("a new line at its end", format!("{good}\n"), Signature),
        (
            "a huge token",
            issuer.token(&but("sub", json!("a".repeat(LONGEST)))),
            Malformed,
        ),
        (
            "a deep payload",
            raw("{\"alg\":\"RS256\"}", &"[".repeat(9_000)),
            Malformed,
        ),
        (
            "a payload that is no object",
            raw("{\"alg\":\"RS256\"}", "\"alice\""),
            Malformed,
        ),
        (
            "a payload with two ends",
            raw("{\"alg\":\"RS256\"}", &text.replacen('{', "{\"exp\":1,", 1)),
            Malformed,
        ),
        (
            "a payload with two names",
            raw(
                "{\"alg\":\"RS256\"}",
                &text.replacen('{', "{\"sub\":\"admin\",", 1),
            ),
            Malformed,
        ),
        (
            "over",
            issuer.token(&but("exp", json!(in_seconds(-31)))),
            Expired,
        ),
        (
            "over since long",
            issuer.token(&but("exp", json!(0))),
            Expired,
        ),
        ("no end", issuer.token(&without("exp")), Endless),
        (
            "an end in words",
            issuer.token(&but("exp", json!("9999999999"))),
            Malformed,
        ),
        (
            "an end before all time",
            issuer.token(&but("exp", json!(-1))),
            Malformed,
        ),
        (
            "an end beyond all time",
            raw(
                "{\"alg\":\"RS256\"}",
                &but("exp", json!(0))
                    .to_string()
                    .replace("\"exp\":0", "\"exp\":1e400"),
            ),
            Malformed,
        ),
        (
            "not yet",
            issuer.token(&but("nbf", json!(in_seconds(60)))),
            Early,
        ),
        (
            "a beginning in words",
            issuer.token(&but("nbf", json!("0"))),
            Malformed,
        ),
        (
            "another issuer",
            issuer.token(&but("iss", json!("https://issuer.test.evil"))),
            From,
        ),
        (
            "issuers in a list",
            issuer.token(&but("iss", json!(["https://issuer.test"]))),
            From,
        ),
        ("no issuer", issuer.token(&without("iss")), From),
        (
            "another audience",
            issuer.token(&but("aud", json!("bank"))),
            Audience,
        ),
        (
            "an audience that begins alike",
            issuer.token(&but("aud", json!(["shopping"]))),
            Audience,
        ),
        ("no audience", issuer.token(&without("aud")), Audience),
        (
            "an empty audience",
            issuer.token(&but("aud", json!([]))),
            Audience,
        ),
        ("nobody", issuer.token(&without("sub")), Nobody),
        (
            "somebody without a name",
            issuer.token(&but("sub", json!(""))),
            Nobody,
        ),
        (
            "a name that is a list",
            issuer.token(&but("sub", json!(["alice"]))),
            Malformed,
        ),
        (
            "a tier that is an object",
            issuer.token(&but("tier", json!({"is": "admin"}))),
            Malformed,
        ),
    ];
    println!("{} attacks", attacks.len());
    for (what, token, refusal) in attacks {
        assert_eq!(verifier.verify(&token, now()), Err(refusal), "{what}");
    }
    assert_eq!(verifier.cache.len(), 0);
    assert!(verifier.verify(&good, now()).is_ok());
}

#[test]
fn a_key_is_for_what_it_is() {
    let pem = Issuer::rsa("r").unwrap().public_pem();
    assert!(Key::from_secret(pem.as_bytes(), &[Algorithm::HS256]).is_err());
    assert!(Key::from_pem(pem.as_bytes(), &[Algorithm::HS256]).is_err());
    assert!(Key::from_pem(pem.as_bytes(), &[Algorithm::ES256]).is_err());
    assert!(Key::from_secret(&SECRET[..31], &[Algorithm::HS256]).is_err());
    assert!(Key::from_secret(&SECRET[..32], &[Algorithm::HS384]).is_err());
    assert!(Key::from_secret(SECRET, &[Algorithm::RS256]).is_err());
    assert!(Key::from_secret(SECRET, &[Algorithm::HS256]).is_ok());
    assert!(Key::from_pem(SECRET, &[Algorithm::RS256]).is_err());
    for name in ["none", "None", "", "HS257", "hs256"] {
        assert!(algorithm(name).is_err(), "{name}");
    }
    let keys = KeySet::default();
    assert!(Verifier::new(Vec::new(), Source::Fixed(keys), Rules::default(), 1).is_err());
}

#[test]
fn a_set_of_keys_is_read_with_suspicion() {
    let (rsa, ec) = (Issuer::rsa("r").unwrap(), Issuer::ec("e").unwrap());
    let read = |keys: Value| KeySet::from_jwks(json!({"keys": keys}).to_string().as_bytes(), &ALL);
    assert_eq!(
        read(json!([rsa.jwk(), ec.jwk()])).unwrap().names(),
        ["e", "r"]
    );
    let secret = json!({"kty": "oct", "kid": "s", "k": encode(SECRET)});
    assert_eq!(read(json!([secret])).unwrap().len(), 1);
    assert!(read(json!([secret, rsa.jwk()])).is_err());
    assert!(read(json!([rsa.jwk(), rsa.jwk()])).is_err());
    assert!(KeySet::from_jwks(b"<html>", &ALL).is_err());
    assert!(KeySet::from_jwks(b"{}", &ALL).is_err());
    let with = |member: &str, value: Value| {
        let mut jwk = rsa.jwk();
        jwk[member] = value;
        read(json!([jwk])).unwrap().len()
    };
    assert_eq!(with("use", json!("enc")), 0);
    assert_eq!(with("key_ops", json!(["encrypt"])), 0);
    assert_eq!(with("key_ops", json!(["verify"])), 1);
    assert_eq!(with("alg", json!("RS384")), 1);
    assert_eq!(with("alg", json!("RSA-OAEP")), 0);
    assert_eq!(with("alg", json!("ES256")), 0);
    assert_eq!(with("kty", json!("OKP")), 0);
}

#[test]
fn the_name_of_a_key_only_chooses_among_known_ones() {
    let (one, two) = (Issuer::rsa("one").unwrap(), Issuer::rsa("two").unwrap());
    let keys = json!({"keys": [one.jwk(), two.jwk()]}).to_string();
    let keys = KeySet::from_jwks(keys.as_bytes(), &[Algorithm::RS256]).unwrap();
    let rules = Rules::default();
    let verifier = Verifier::new(vec![Algorithm::RS256], Source::Fixed(keys), rules, 10).unwrap();
    let named = |name: Value| one.with_header(&json!({"alg": "RS256", "kid": name}), &claims());
    assert!(verifier.verify(&named(json!("one")), now()).is_ok());
    assert_eq!(
        verifier.verify(&named(json!("two")), now()),
        Err(Refusal::Signature)
    );
    for name in ["", "../../one", "one\0", "' OR 1=1 --", "/dev/null", "ONE"] {
        assert_eq!(
            verifier.verify(&named(json!(name)), now()),
            Err(Refusal::UnknownKey),
            "{name}"
        );
    }
    // Two keys suit it, and it names neither.
    let unnamed = one.with_header(&json!({"alg": "RS256"}), &claims());
    assert_eq!(verifier.verify(&unnamed, now()), Err(Refusal::UnknownKey));
}

/// Prints what stands in the documentation; it asserts nothing about the clock, which a busy machine would break.
#[test]
fn what_a_verification_costs() {
    for (what, issuer, algorithm) in [
        (
            "RS256, 2048 bits",
            Issuer::rsa("r").unwrap(),
            Algorithm::RS256,
        ),
        (
            "RS256, 4096 bits",
            Issuer::rsa_large("r").unwrap(),
            Algorithm::RS256,
        ),
        ("ES256", Issuer::ec("e").unwrap(), Algorithm::ES256),
    ] {
        let verifier = verifier(&issuer, algorithm);
        let tokens: Vec<String> = (0..100)
            .map(|at| issuer.token(&but("sub", json!(at.to_string()))))
            .collect();
        let time = |round: &str| {
            let began = Instant::now();
            for token in &tokens {
                verifier.verify(token, now()).unwrap();
            }
            println!("{what}, {round}: {:?} each", began.elapsed() / 100);
        };
        time("verified");
        time("remembered");
    }
}
