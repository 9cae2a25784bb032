//! The section `auth`: who makes a request, and whether he may.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use seaworthy_config::{Findings, Secret};
use seaworthy_core::dsn::Dsn;
use seaworthy_core::quantity::Duration;
use seaworthy_http::auth::jwt;
use serde::{Deserialize, Serialize};

use super::text::web;
use super::{Config, Limits, Preset};

/// The header that API keys come in unless another is named.
pub const USUAL_HEADER: &str = "X-API-Key";

/// Who makes a request, and whether he may. Nobody is asked for anything until something here says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Auth {
    /// Whether requests without a valid key, token or user are refused with 401. Default `false`: they are anonymous. A token that
    /// is not valid is refused either way; a key that nobody knows counts as none.
    pub required: bool,
    /// What vouches for somebody, the preferred first. Default `api_key`, `jwt`, `header`; without any of them it is the client's
    /// address that counts.
    pub identify: Vec<Identity>,
    /// API keys. Default: none; `limits.keys_file` is the short form.
    pub api_keys: Option<ApiKeys>,
    /// JSON Web Tokens, as `Authorization: Bearer TOKEN`. Default: none are read.
    pub jwt: Option<Jwt>,
    /// The header in which a proxy of `listen.trusted_proxies` names the user, such as `X-User-ID`. From anybody else it counts for
    /// nothing. Default: none.
    pub user_header: Option<String>,
    /// Who decides whether a request may pass. Default: nobody is asked.
    pub policy: Option<Policy>,
}

impl Default for Auth {
    fn default() -> Self {
        Self {
            required: false,
            identify: vec![Identity::ApiKey, Identity::Jwt, Identity::Header],
            api_keys: None,
            jwt: None,
            user_header: None,
            policy: None,
        }
    }
}

/// What vouches for somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Identity {
    /// A known API key.
    ApiKey,
    /// A valid token.
    Jwt,
    /// The header of a trusted proxy.
    Header,
}

/// What a route asks of its requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Demand {
    /// Nobody looks, and no policy is asked.
    None,
    /// Nobody has to say who he is.
    Optional,
    /// Everybody has to.
    Required,
}

/// API keys, of which only hashes are kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApiKeys {
    /// A file of lines `SHA256 TIER [NAME]`. `printf %s KEY | sha256sum` prints the first word.
    pub file: PathBuf,
    /// The header that keys come in. Default `X-API-Key`.
    #[serde(default = "usual_header")]
    pub header: String,
}

fn usual_header() -> String {
    USUAL_HEADER.to_owned()
}

/// Which tokens are believed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("x-instead" = ["key", "secret", "jwks"]))]
pub struct Jwt {
    /// The algorithms that are allowed: `RS256`, `RS384`, `RS512`, `PS256`, `PS384`, `PS512`, `ES256`, `ES384`, `EdDSA`, or `HS256`,
    /// `HS384`, `HS512` with a shared secret. Required.
    pub algorithms: Vec<String>,
    /// A file with the public key in PEM.
    pub key: Option<PathBuf>,
    /// A secret shared with the issuer, of at least 32 bytes; better given as `SEAWORTHY__AUTH__JWT__SECRET`.
    pub secret: Option<Secret>,
    /// The issuer's key set: an `https://` URL, or a file.
    #[serde(alias = "jwks_file")]
    #[schemars(extend("x-aliases" = ["jwks_file"]))]
    pub jwks: Option<String>,
    /// The file of certificates that are trusted for that URL instead of those of the system. Default: none.
    pub ca: Option<PathBuf>,
    /// How often the key set is read again. Default `5m`.
    pub refresh: Duration,
    /// How old a key set may become while it cannot be read; then no token is believed. Default `1h`.
    pub max_stale: Duration,
    /// Who may have issued a token. Default: whoever has the key.
    pub issuer: Vec<String>,
    /// Whom a token may be meant for. Default: anybody.
    pub audience: Vec<String>,
    /// How far clocks may differ. Default `30s`.
    pub leeway: Duration,
    /// Whether a token without an end is refused. Default `true`.
    pub require_exp: bool,
    /// Which claims are read.
    pub claims: Claims,
}

impl Default for Jwt {
    fn default() -> Self {
        Self {
            algorithms: Vec::new(),
            key: None,
            secret: None,
            jwks: None,
            ca: None,
            refresh: Duration::from_secs(300),
            max_stale: Duration::from_secs(3_600),
            issuer: Vec::new(),
            audience: Vec::new(),
            leeway: Duration::from_secs(30),
            require_exp: true,
            claims: Claims::default(),
        }
    }
}

/// Which claims of a token say what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Claims {
    /// Who it is. Default `sub`.
    pub id: String,
    /// The tier. Default `tier`.
    pub tier: String,
}

impl Default for Claims {
    fn default() -> Self {
        Self {
            id: "sub".to_owned(),
            tier: "tier".to_owned(),
        }
    }
}

/// Who decides whether a request may pass: a service (`url`) or policies in files (`cedar`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Policy {
    /// A decision service. It is sent `{method, path, route, host, client, principal}`, and the same as `input` for Open Policy
    /// Agent, and answers `{"allow": true}` or `{"result": true}`.
    pub url: Option<Dsn>,
    /// The file of certificates that are trusted for that URL instead of those of the system. Default: none.
    pub ca: Option<PathBuf>,
    /// How long a decision may take. Default `250ms`.
    pub timeout: Duration,
    /// What happens without a decision: `closed` refuses with 503, `open` lets pass. Default `closed`.
    pub fail: Fail,
    /// How long a decision is remembered. Default `0s`: each request is asked about.
    pub cache: Duration,
    /// Cedar policies, decided in this process.
    pub cedar: Option<Cedar>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            url: None,
            ca: None,
            timeout: Duration::from_millis(250),
            fail: Fail::Closed,
            cache: Duration::from_secs(0),
            cedar: None,
        }
    }
}

/// What happens without a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fail {
    /// Nobody passes.
    Closed,
    /// Everybody passes.
    Open,
}

/// Cedar policies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Cedar {
    /// The file of policies.
    pub policies: PathBuf,
    /// A file of entities as JSON, such as who is in which group. Default: none.
    #[serde(default)]
    pub entities: Option<PathBuf>,
    /// The file of the schema that both are checked against. Default: that of Seaworthy, which the page on authentication shows.
    #[serde(default)]
    pub schema: Option<PathBuf>,
}

impl Config {
    /// The file of API keys and the header they come in, from whichever section names them.
    pub fn api_keys(&self) -> Option<ApiKeys> {
        let short = self.limits.keys_file.as_ref().map(|file| ApiKeys {
            file: file.clone(),
            header: self.limits.keys_header.clone().unwrap_or_else(usual_header),
        });
        self.auth.api_keys.clone().or(short)
    }
}

/// The file that the preset `soma` names.
const AWAITED: &str = "jwks.json";

impl Jwt {
    /// Whether these are the tokens that the preset `soma` would read, and nobody has put the keys there yet.
    pub fn is_awaited(&self, preset: Option<Preset>) -> bool {
        preset == Some(Preset::Soma)
            && self.jwks.as_deref() == Some(AWAITED)
            && !Path::new(AWAITED).exists()
    }
}

pub(super) fn validate(config: &Config, findings: &mut Findings) {
    let auth = &config.auth;
    keys(auth, &config.limits, findings);
    if let Some(jwt) = &auth.jwt {
        tokens(jwt, findings);
        if jwt.audience.is_empty() && !jwt.is_awaited(config.preset) {
            findings
                .warning(
                    "auth.jwt.audience",
                    "tokens that the issuer made for other services are taken as well",
                )
                .help("name this service as the issuer does");
        }
    }
    if let Some(header) = &auth.user_header {
        field("auth.user_header", header, findings);
        if config.listen.trusted_proxies.is_empty() {
            findings
                .warning(
                    "auth.user_header",
                    "no proxy is trusted, so the header counts from nobody",
                )
                .related("listen.trusted_proxies")
                .help("list the proxy in `listen.trusted_proxies`");
        }
    }
    if let Some(policy) = &auth.policy {
        decider(policy, findings);
    }
    for (index, kind) in auth.identify.iter().enumerate() {
        if auth.identify[..index].contains(kind) {
            findings.error(format!("auth.identify[{index}]"), "it is listed twice");
        }
    }
    let knows = config.api_keys().is_some() || auth.jwt.is_some() || auth.user_header.is_some();
    let demands = config
        .routes
        .iter()
        .any(|route| route.auth == Some(Demand::Required));
    if (auth.required || demands) && !knows {
        let path = if auth.required {
            "auth.required"
        } else {
            "auth"
        };
        findings
            .error(
                path,
                "nothing vouches for anybody, so every request would be refused",
            )
            .help("set auth.api_keys, auth.jwt or auth.user_header");
    }
}

fn keys(auth: &Auth, limits: &Limits, findings: &mut Findings) {
    if auth.api_keys.is_some() && limits.keys_file.is_some() {
        findings
            .error("limits.keys_file", "the keys are named twice")
            .related("auth.api_keys")
            .help("keep one of the two");
    }
    if limits.keys_header.is_some() && limits.keys_file.is_none() {
        findings
            .error("limits.keys_header", "there is no file of keys")
            .help("set limits.keys_file, or use auth.api_keys");
    }
    let own = auth
        .api_keys
        .as_ref()
        .map(|keys| ("auth.api_keys.header", &keys.header));
    let short = limits
        .keys_header
        .as_ref()
        .map(|header| ("limits.keys_header", header));
    for (path, header) in own.into_iter().chain(short) {
        field(path, header, findings);
    }
}

/// A header that a credential may come in.
fn field(path: &str, name: &str, findings: &mut Findings) {
    const TAKEN: [&str; 6] = [
        "authorization",
        "connection",
        "host",
        "cookie",
        "content-length",
        "transfer-encoding",
    ];
    if http::HeaderName::try_from(name).is_err()
        || TAKEN.iter().any(|taken| name.eq_ignore_ascii_case(taken))
    {
        findings
            .error(path, format!("`{name}` cannot be that header"))
            .help("write a name of its own, such as `X-API-Key`");
    }
}

fn tokens(jwt: &Jwt, findings: &mut Findings) {
    let kinds = algorithms(jwt, findings);
    keys_of(jwt, kinds.first().copied(), findings);
    if let Some(url) = jwt.jwks.as_deref().filter(|jwks| jwks.contains("://")) {
        remote("auth.jwt.jwks", url, findings);
    }
    if jwt.refresh.is_zero() || jwt.max_stale < jwt.refresh {
        findings
            .error(
                "auth.jwt.max_stale",
                "keys would be too old before they are read again",
            )
            .related("auth.jwt.refresh")
            .help("write at least twice `refresh`");
    }
}

/// Whether each algorithm is one that needs a secret.
fn algorithms(jwt: &Jwt, findings: &mut Findings) -> Vec<bool> {
    if jwt.algorithms.is_empty() {
        findings
            .error(
                "auth.jwt.algorithms",
                "no algorithm is allowed, so every token would be refused",
            )
            .help("name the one that the issuer uses, such as `[RS256]`");
    }
    let mut kinds = Vec::new();
    for (index, name) in jwt.algorithms.iter().enumerate() {
        let path = format!("auth.jwt.algorithms[{index}]");
        match jwt::algorithm(name) {
            Ok(algorithm) => kinds.push(jwt::is_symmetric(algorithm)),
            Err(_) if name.eq_ignore_ascii_case("none") => {
                findings
                    .error(path, "`none` means that anybody may write tokens")
                    .help("leave it out");
            }
            Err(bad) => drop(findings.error(path, format!("`{name}`: {bad}"))),
        }
    }
    if kinds.contains(&true) && kinds.contains(&false) {
        findings
            .error(
                "auth.jwt.algorithms",
                "secrets and public keys do not mix: a public key could pass for a secret",
            )
            .help("allow the algorithms of one kind");
    }
    kinds
}

/// What tokens are verified with, by algorithms that need a secret or do not.
fn keys_of(jwt: &Jwt, needs_secret: Option<bool>, findings: &mut Findings) {
    let named = [jwt.key.is_some(), jwt.secret.is_some(), jwt.jwks.is_some()];
    if named.into_iter().filter(|is| *is).count() != 1 {
        findings
            .error(
                "auth.jwt",
                "tokens need exactly one of `key`, `secret` and `jwks` to be verified with",
            )
            .help("set `key` to a file with the issuer's public key, or `jwks` to its key set");
    }
    let is_secret = needs_secret == Some(true);
    if is_secret && jwt.secret.is_none() && (jwt.key.is_some() || jwt.jwks.is_some()) {
        let path = if jwt.key.is_some() {
            "auth.jwt.key"
        } else {
            "auth.jwt.jwks"
        };
        findings
            .error(
                path,
                "everybody may know a public key, so it cannot be the secret of HS256",
            )
            .related("auth.jwt.algorithms")
            .help("set `secret`, or allow the algorithm of the key");
    }
    if jwt.secret.is_some() && needs_secret == Some(false) {
        findings
            .error(
                "auth.jwt.secret",
                "these algorithms need a public key and not a secret",
            )
            .related("auth.jwt.algorithms")
            .help("set `key` or `jwks`");
    }
}

/// A key set that is fetched: whoever can change it on its way can write tokens.
fn remote(path: &str, url: &str, findings: &mut Findings) {
    match url.parse::<Dsn>() {
        Err(bad) => drop(findings.error(path, bad.to_string())),
        Ok(url) => {
            web(path, &url, &[], findings);
            if url.scheme() == "http" && !is_here(&url.host()) {
                findings
                    .warning(path, "whoever sits between can put keys of his own in")
                    .help("write an https:// URL");
            }
        }
    }
}

fn is_here(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    address.map_or(host == "localhost", |address| address.is_loopback())
}

fn decider(policy: &Policy, findings: &mut Findings) {
    if policy.url.is_some() == policy.cedar.is_some() {
        findings
            .error("auth.policy", "exactly one of `url` and `cedar` decides")
            .help("set `url` to a decision service, or `cedar.policies` to a file");
    }
    if let Some(url) = &policy.url {
        web("auth.policy.url", url, &[], findings);
    }
    if policy.timeout.is_zero() {
        findings.error(
            "auth.policy.timeout",
            "no time at all would refuse every request",
        );
    }
}
