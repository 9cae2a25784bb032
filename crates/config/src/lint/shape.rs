//! The shapes of secrets.

use std::collections::BTreeMap;

/// What issuers put in front of their tokens, how long the rest is at least, and what it is.
const PREFIXES: [(&str, usize, &str); 30] = [
    ("sk-ant-", 16, "an API key of Anthropic"),
    ("sk-proj-", 16, "an API key of OpenAI"),
    ("sk-", 20, "an API key of OpenAI"),
    ("sk_live_", 12, "a key of Stripe"),
    ("rk_live_", 12, "a key of Stripe"),
    ("sk_test_", 12, "a key of Stripe"),
    ("whsec_", 16, "a webhook secret of Stripe"),
    ("ghp_", 20, "a token of GitHub"),
    ("gho_", 20, "a token of GitHub"),
    ("ghs_", 20, "a token of GitHub"),
    ("ghu_", 20, "a token of GitHub"),
    ("github_pat_", 20, "a token of GitHub"),
    ("glpat-", 16, "a token of GitLab"),
    ("xoxb-", 10, "a token of Slack"),
    ("xoxp-", 10, "a token of Slack"),
    ("xoxa-", 10, "a token of Slack"),
    ("xapp-", 10, "a token of Slack"),
    ("AKIA", 16, "an access key of AWS"),
    ("ASIA", 16, "an access key of AWS"),
    ("AIza", 30, "an API key of Google"),
    ("ya29.", 20, "a token of Google"),
    ("SG.", 20, "an API key of SendGrid"),
    ("npm_", 30, "a token of npm"),
    ("pypi-", 30, "a token of PyPI"),
    ("dop_v1_", 30, "a token of DigitalOcean"),
    ("hf_", 30, "a token of Hugging Face"),
    ("hvs.", 20, "a token of Vault"),
    ("hvb.", 20, "a token of Vault"),
    ("AGE-SECRET-KEY-1", 30, "a key of age"),
    ("eyJ", 60, "a signed token (JWT)"),
];

/// The shortest text that can look random.
const SHORTEST: usize = 24;
/// The same where only sixteen letters are used.
const SHORTEST_HEX: usize = 32;
/// Bits of each letter from which on a text looks random.
const BITS: f64 = 4.0;
/// The same for hexadecimal text, which has no more than four.
const BITS_HEX: f64 = 3.2;

/// What a text is, when it has the shape of a secret.
pub(super) fn known(text: &str) -> Option<&'static str> {
    if text.contains("PRIVATE KEY-----") {
        return Some("a private key");
    }
    if has_password(text) {
        return Some("a URL with a password");
    }
    words(text).find_map(|word| {
        let fits = |(prefix, least, _): &&(&str, usize, &str)| {
            word.strip_prefix(prefix)
                .is_some_and(|rest| rest.len() >= *least)
        };
        PREFIXES.iter().find(fits).map(|(_, _, what)| *what)
    })
}

/// Whether a text begins as tokens of known issuers do, however short.
pub(super) fn has_prefix(text: &str) -> bool {
    PREFIXES
        .iter()
        .any(|(prefix, _, _)| text.starts_with(prefix))
}

/// Whether a part of a text looks as if a machine had made it.
pub(super) fn is_random(text: &str) -> bool {
    if text.contains("-----BEGIN ") || text.contains("sha256:") || text.contains("sha512-") {
        return false;
    }
    words(text).flat_map(|word| word.split('/')).any(|word| {
        let has = |test: fn(&u8) -> bool| word.as_bytes().iter().any(test);
        let hex = word.bytes().all(|byte| byte.is_ascii_hexdigit());
        if hex {
            return word.len() >= SHORTEST_HEX
                && has(u8::is_ascii_digit)
                && has(u8::is_ascii_alphabetic)
                && bits(word) >= BITS_HEX;
        }
        let mixed =
            has(u8::is_ascii_digit) && has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase);
        word.len() >= SHORTEST && mixed && bits(word) >= BITS
    })
}

/// The parts of a text that could be a token.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let part = |c: char| c.is_ascii_alphanumeric() || "_-./+=".contains(c);
    text.split(move |c: char| !part(c))
        .filter(|word| !word.is_empty())
}

fn has_password(text: &str) -> bool {
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        rest = &rest[at + 3..];
        let end = rest.find(|c: char| c.is_whitespace() || "/?#\"'".contains(c));
        let authority = &rest[..end.unwrap_or(rest.len())];
        let login = authority.rsplit_once('@').map(|(login, _)| login);
        let password = login
            .and_then(|login| login.split_once(':'))
            .map(|(_, password)| password);
        if password
            .is_some_and(|password| !password.is_empty() && password.chars().any(|c| c != '*'))
        {
            return true;
        }
    }
    false
}

/// Shannon's entropy of each letter.
fn bits(word: &str) -> f64 {
    let mut counts: BTreeMap<char, u32> = BTreeMap::new();
    for c in word.chars() {
        *counts.entry(c).or_default() += 1;
    }
    let all = f64::from(counts.values().sum::<u32>());
    let part = |count: &u32| {
        let share = f64::from(*count) / all;
        -share * share.log2()
    };
    counts.values().map(part).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_of_known_issuers_are_known() {
        for (text, what) in [
            (
                concat!("Bearer sk-ant-", "api03-0123456789abcdef"),
                "Anthropic",
            ),
            ("ghp_abcdefghijklmnopqrstuvwxyz0123456789", "GitHub"),
            ("AKIAIOSFODNN7EXAMPLE", "AWS"),
            ("-----BEGIN RSA PRIVATE KEY-----\nMIIE", "private key"),
            ("see amqp://guest:guest@mq:5672/x", "URL with a password"),
            ("hvs.CAESIJ2WtYxZ7Q0abcdEFGH", "Vault"),
        ] {
            assert!(
                known(text).is_some_and(|found| found.contains(what)),
                "{text}"
            );
        }
        for text in [
            "sk-abc",
            "postgres://u@db:5432/x",
            "redis://:***@cache",
            "http://[::1]:80/a:b@c",
            "eyJ",
            "Bearer",
        ] {
            assert_eq!(known(text), None, "{text}");
        }
    }

    #[test]
    fn what_a_machine_made_looks_random() {
        for text in [
            "9f86d081884c7d659a2feaa0c55ad015",
            "kZ7pQ2vX9mB4nR8tY1wL5cF3",
            "token=wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY",
        ] {
            assert!(is_random(text), "{text}");
        }
        for text in [
            "seaworthy-production-us-east-1-cluster-2024",
            "018f3c5e-7b1a-7c3d-9e2f-4a5b6c7d8e9f",
            "/v1/organizations/:organizationId/completions2024",
            "00000000000000000000000000000000",
            "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        ] {
            assert!(!is_random(text), "{text}");
        }
    }
}
