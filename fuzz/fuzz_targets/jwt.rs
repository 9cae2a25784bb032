//! Tokens and key sets as strangers send them: nobody without the key is ever let in, and nothing panics.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use seaworthy_http::auth::jwt::{Algorithm, Key, KeySet, Rules, Source, Verifier};

static VERIFIER: LazyLock<Verifier> = LazyLock::new(|| {
    let allowed = vec![Algorithm::HS256];
    let key = Key::from_secret(b"a secret that no fuzzer will find, ever", &allowed);
    let keys = KeySet::of(key.expect("it is long enough"));
    Verifier::new(allowed, Source::Fixed(keys), Rules::default(), 16).expect("an algorithm is allowed")
});

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        assert!(VERIFIER.verify(text, 1_700_000_000).is_err());
    }
    let allowed = [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA, Algorithm::HS256];
    if let Ok(keys) = KeySet::from_jwks(data, &allowed) {
        assert!(keys.len() <= 64);
    }
    drop(Key::from_pem(data, &allowed));
});
