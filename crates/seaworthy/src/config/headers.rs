//! The section `headers`: fields that every answer bears.

use std::collections::BTreeMap;

use http::{HeaderName, HeaderValue, header};
use schemars::JsonSchema;
use seaworthy_config::{Findings, Template};
use seaworthy_http::headers::{Action, Entry, Live, Set};
use serde::{Deserialize, Serialize};

/// Fields that every answer bears, refusals among them. Views have their own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Headers {
    /// Fields that make browsers careful. Default: none.
    pub security: Option<Security>,
    /// Fields by name, whatever the app says; an empty value takes the field away. They may name secrets. Default: none.
    pub set: BTreeMap<String, Template>,
}

/// Fields that make browsers careful.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Security {
    /// Which fields. Default `web`.
    pub fields: Fields,
    /// Who wins when the app sets one too. Default `if_absent`.
    pub mode: Mode,
    /// When `Strict-Transport-Security` is sent. Default `tls`.
    pub hsts: Hsts,
}

/// A set of fields.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fields {
    /// For pages: `X-Content-Type-Options: nosniff`, `X-Frame-Options: DENY`, `X-XSS-Protection: 1; mode=block`,
    /// `Strict-Transport-Security: max-age=31536000` and `Content-Security-Policy: default-src 'self'`.
    #[default]
    Web,
    /// For an API that no browser shows: `X-Content-Type-Options: nosniff`, `Referrer-Policy: no-referrer`,
    /// `Strict-Transport-Security: max-age=31536000` and `Content-Security-Policy: default-src 'none'; frame-ancestors 'none'`.
    Api,
}

/// Who wins.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// These fields.
    Set,
    /// The app's.
    #[default]
    IfAbsent,
}

/// When a browser is told to come by TLS only.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Hsts {
    /// When it came by TLS, to us or to a trusted proxy.
    #[default]
    Tls,
    /// Always; browsers ignore it over plain HTTP.
    Always,
    /// Never.
    Never,
}

const HSTS: (&str, &str) = ("strict-transport-security", "max-age=31536000");
const WEB: [(&str, &str); 4] = [
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("x-xss-protection", "1; mode=block"),
    ("content-security-policy", "default-src 'self'"),
];
const API: [(&str, &str); 3] = [
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    (
        "content-security-policy",
        "default-src 'none'; frame-ancestors 'none'",
    ),
];

impl Security {
    fn entries(&self) -> impl Iterator<Item = Entry> {
        let fields: &[(&'static str, &'static str)] = match self.fields {
            Fields::Web => &WEB,
            Fields::Api => &API,
        };
        let hsts = (self.hsts != Hsts::Never).then_some(&HSTS);
        fields.iter().chain(hsts).map(|(name, value)| {
            let value = HeaderValue::from_static(value);
            Entry {
                name: HeaderName::from_static(name),
                action: match self.mode {
                    Mode::Set => Action::Set(value),
                    Mode::IfAbsent => Action::Default(value),
                },
                secure_only: *name == HSTS.0 && self.hsts == Hsts::Tls,
            }
        })
    }
}

/// The fields of a route: those of all, and its own over them. What cannot be written was refused before.
pub fn set(
    headers: &Headers,
    own: Option<&BTreeMap<String, Template>>,
    living: &Living<'_>,
) -> Set {
    let security = headers.security.iter().flat_map(Security::entries);
    let written = headers.set.iter().chain(own.into_iter().flatten());
    security
        .chain(written.filter_map(|(name, value)| entry(name, value, living)))
        .collect()
}

/// The fields of calls.
pub fn calls(written: &BTreeMap<String, Template>, living: &Living<'_>) -> Set {
    let entries = written.iter();
    entries
        .filter_map(|(name, value)| entry(name, value, living))
        .collect()
}

/// Gives the value of a text that names secrets, and keeps it up to date.
pub type Living<'a> = dyn Fn(&Template) -> Option<Live> + 'a;

fn entry(name: &str, value: &Template, living: &Living<'_>) -> Option<Entry> {
    if value.names().next().is_some() {
        return Some(Entry {
            name: HeaderName::try_from(name).ok()?,
            action: Action::Live(living(value)?),
            secure_only: false,
        });
    }
    let value = value.with("");
    let action = match value.trim() {
        "" => Action::Remove,
        value => Action::Set(HeaderValue::from_str(value).ok()?),
    };
    Some(Entry {
        name: HeaderName::try_from(name).ok()?,
        action,
        secure_only: false,
    })
}

/// Fields that say where a message ends or what becomes of its connection are not for anybody to choose.
const FRAMING: [HeaderName; 6] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::TRAILER,
    header::TE,
];

pub(super) fn validate(path: &str, fields: &BTreeMap<String, Template>, findings: &mut Findings) {
    // What a secret is, is not known here.
    let with = |(name, value): (&String, &Template)| (name.clone(), value.with("secret"));
    plain(path, fields.iter().map(with), findings);
}

/// The same for values that are what they say.
pub(super) fn plain(
    path: &str,
    fields: impl IntoIterator<Item = (String, impl AsRef<str>)>,
    findings: &mut Findings,
) {
    for (name, value) in fields {
        let value = value.as_ref();
        let at = format!("{path}.{name}");
        match HeaderName::try_from(name.as_str()) {
            Err(_) => drop(findings.error(at, format!("`{name}` is not the name of a field"))),
            Ok(name) if FRAMING.contains(&name) => {
                findings
                    .error(
                        at,
                        format!(
                            "`{name}` says how the message is sent, which only the sender knows"
                        ),
                    )
                    .help("leave it out");
            }
            Ok(_) if HeaderValue::from_str(value.trim()).is_err() => {
                findings.error(at, "the value has a character that no field can have");
            }
            Ok(_) => {}
        }
    }
}
