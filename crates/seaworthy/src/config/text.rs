//! Settings that are written as one text: bind addresses and the like.

use std::net::SocketAddr;

use seaworthy_config::Findings;
use seaworthy_core::dsn::Dsn;

/// Gives a type that is parsed from and printed as text its place in a configuration.
///
/// A derive could not do it: the texts have a grammar of their own, and their errors should be ours.
macro_rules! text_setting {
    ($type:ty, $name:literal, $description:literal, $($example:literal),+) => {
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }

        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({
                    "type": "string",
                    "title": $description,
                    "examples": [$($example),+],
                })
            }
        }
    };
}

pub(super) use text_setting;

/// Says which of `methods` no request can have.
pub(super) fn methods(path: &str, methods: &[String], findings: &mut Findings) {
    for (at, method) in methods.iter().enumerate() {
        let is_letter = |byte: u8| byte.is_ascii_uppercase() || byte == b'-';
        if method.is_empty() || !method.bytes().all(is_letter) {
            findings
                .error(format!("{path}[{at}]"), format!("`{method}` is no method"))
                .help("write capital letters, such as `GET`");
        }
    }
}

/// Says what is wrong with a URL that is asked by us, again and again. `own` are addresses that it must not go to.
pub(super) fn web(path: &str, url: &Dsn, own: &[SocketAddr], findings: &mut Findings) {
    if !matches!(url.scheme(), "http" | "https") {
        findings
            .error(path, format!("`{}` is not spoken here", url.scheme()))
            .help("write an http:// or https:// URL");
    } else if let Some(why) = url.forbidden(own) {
        findings.error(path, why);
    }
}

/// Whether it is one word that may be shown everywhere: in labels, headers and paths.
pub(super) fn is_name(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    !text.is_empty() && text.len() <= 128 && text.bytes().all(fits)
}
