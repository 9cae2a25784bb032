//! What of a wrong value is repeated: never a secret, never much.

use serde_json::Value;

/// A text is cut here.
const LONGEST: usize = 200;
const HIDDEN: &str = "[REDACTED]";

/// Words that the name of a secret has in it, in small letters and without what stands between words.
const SECRETS: [&str; 18] = [
    "apikey",
    "accesskey",
    "privatekey",
    "secret",
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "token",
    "authorization",
    "credential",
    "cookie",
    "session",
    "signature",
    "cardnumber",
    "cvv",
    "ssn",
    "iban",
];

/// The text, or its beginning.
pub(super) fn cut(text: &str) -> String {
    text.chars().take(LONGEST).collect()
}

/// What an answer may show of the value at `field`. Lists and objects may hold anything, so only their kind is named.
pub(super) fn shown(field: &str, value: Value, echo: bool) -> Value {
    if is_secret(field) {
        return HIDDEN.into();
    }
    match value {
        Value::Null => Value::Null,
        _ if !echo => HIDDEN.into(),
        Value::Array(_) => "[array]".into(),
        Value::Object(_) => "[object]".into(),
        Value::String(text) if looks_secret(&text) => HIDDEN.into(),
        Value::String(text) => cut(&text).into(),
        Value::Number(number) if number.to_string().len() > LONGEST => {
            cut(&number.to_string()).into()
        }
        other => other,
    }
}

fn is_secret(field: &str) -> bool {
    let plain: String = field
        .chars()
        .filter(char::is_ascii_alphanumeric)
        .map(|letter| letter.to_ascii_lowercase())
        .collect();
    SECRETS.iter().any(|secret| plain.contains(secret))
}

/// Whether a text begins as keys and tokens do, under whatever name.
fn looks_secret(text: &str) -> bool {
    let begins = [
        "sk-",
        "sk_",
        "pk_live",
        "AKIA",
        "ghp_",
        "gho_",
        "xoxb-",
        "xoxp-",
        "eyJ",
        "-----BEGIN",
    ];
    let text = text.trim_start();
    let lower = text.get(..7).map(str::to_ascii_lowercase);
    begins.iter().any(|begin| text.starts_with(begin)) || lower.as_deref() == Some("bearer ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_are_hidden_by_name_and_by_look() {
        for field in [
            "api_key",
            "user.API-Key",
            "items[3].password",
            "clientSecret",
            "accessToken",
        ] {
            assert_eq!(shown(field, json!("hunter2"), true), HIDDEN, "{field}");
            assert_eq!(shown(field, json!(7), true), HIDDEN, "{field}");
        }
        for text in ["sk-abc", "Bearer abc", "eyJhbGciOi", " AKIAIOSFODNN7"] {
            assert_eq!(shown("note", json!(text), true), HIDDEN, "{text}");
        }
        assert_eq!(shown("close", json!(9), true), 9);
        assert_eq!(shown("close", json!(9), false), HIDDEN);
        assert_eq!(shown("close", json!(null), false), Value::Null);
        assert_eq!(
            shown("user", json!({"password": "hunter2"}), true),
            "[object]"
        );
        assert_eq!(shown("text", json!("ü".repeat(500)), true), "ü".repeat(200));
    }
}
