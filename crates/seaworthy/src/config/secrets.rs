//! The sections `secrets`, `vault` and `aws`: where secrets come from.

use std::path::{Component, PathBuf};

use schemars::JsonSchema;
use seaworthy_config::{Findings, Secret};
use seaworthy_core::dsn::Dsn;
use seaworthy_core::quantity::{Bound, Duration};
use serde::{Deserialize, Serialize};

use super::{Config, text};

/// Where one secret comes from: exactly one of `file`, `env`, `exec`, `vault` and `aws`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Definition {
    /// The file that holds it, such as `/run/secrets/openai`. Line ends behind it are no part of it.
    pub file: Option<PathBuf>,
    /// The variable that holds it, or, with `_FILE` behind its name, the path of a file that does.
    pub env: Option<String>,
    /// The command that prints it, such as `[sops, decrypt, --extract, '["openai"]', secrets.yaml]`. No shell reads the words. It has
    /// our environment and no input.
    #[schemars(extend("x-verbatim" = true))]
    pub exec: Option<Vec<String>>,
    /// A secret of the server that the section `vault` names.
    pub vault: Option<VaultSecret>,
    /// A secret of AWS Secrets Manager, as the section `aws` says.
    pub aws: Option<AwsSecret>,
    /// How long it may take to get it. Default `10s`.
    pub timeout: Duration,
    /// It is asked for again after so long, and used at once when it has changed; `none` for never. Default: `2s` for files, `5m`
    /// for others, and sooner where a lease or a token ends sooner.
    pub refresh: Option<Bound<Duration>>,
}

/// A field of a secret of HashiCorp Vault or OpenBao.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VaultSecret {
    /// The path of the secret below `mount`, such as `shop/openai`.
    pub path: String,
    /// Which field of it. Default `value`.
    #[serde(default = "value")]
    pub field: String,
    /// Where the engine is mounted. Default `secret`.
    #[serde(default = "mount")]
    pub mount: String,
    /// 2 for the KV engine with versions; 1 for the one without, and for engines that make a secret for us and lease it. Default 2.
    #[serde(default = "two")]
    #[schemars(range(min = 1, max = 2))]
    pub version: u8,
}

fn value() -> String {
    "value".to_owned()
}

fn mount() -> String {
    "secret".to_owned()
}

const fn two() -> u8 {
    2
}

/// A secret of AWS Secrets Manager.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AwsSecret {
    /// Its name or ARN.
    pub id: String,
    /// Which field of the JSON object that it is. Default: the whole text.
    #[serde(default)]
    pub field: Option<String>,
}

/// A HashiCorp Vault or an OpenBao. Exactly one of `token`, `token_file` and `kubernetes` logs in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Vault {
    /// Its address, such as `https://vault:8200`.
    pub address: Dsn,
    /// The namespace. Default: none.
    #[serde(default)]
    pub namespace: Option<String>,
    /// A file with the certificates (PEM) that are trusted. Default: those of the system.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// A token. It is renewed when half of its time is over.
    #[serde(default)]
    pub token: Option<Secret>,
    /// A file with a token, such as an agent writes it. It is read again when the token is refused.
    #[serde(default)]
    pub token_file: Option<PathBuf>,
    /// The account of this pod.
    #[serde(default)]
    pub kubernetes: Option<Kubernetes>,
}

/// A login with the account of a pod.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Kubernetes {
    /// The role.
    pub role: String,
    /// Where the method is mounted. Default `kubernetes`.
    #[serde(default = "kubernetes")]
    pub mount: String,
    /// The file with the token of the account. Default: where Kubernetes puts it.
    #[serde(default = "account")]
    pub jwt_file: PathBuf,
}

fn kubernetes() -> String {
    "kubernetes".to_owned()
}

fn account() -> PathBuf {
    "/var/run/secrets/kubernetes.io/serviceaccount/token".into()
}

/// How AWS is asked. Credentials are these, else those of the variables `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, else those that
/// an ECS task or an EKS pod is given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Aws {
    /// The region. Default: `AWS_REGION`, else `AWS_DEFAULT_REGION`.
    pub region: Option<String>,
    /// Where Secrets Manager is. Default: where AWS has it in the region.
    pub endpoint: Option<Dsn>,
    /// A file with the certificates (PEM) that are trusted. Default: those of the system.
    pub ca: Option<PathBuf>,
    /// The public part of an access key.
    pub access_key_id: Option<Secret>,
    /// The secret part of it.
    pub secret_access_key: Option<Secret>,
    /// The token of credentials that end.
    pub session_token: Option<Secret>,
}

impl Default for Definition {
    fn default() -> Self {
        Self {
            file: None,
            env: None,
            exec: None,
            vault: None,
            aws: None,
            timeout: Duration::from_secs(10),
            refresh: None,
        }
    }
}

impl Definition {
    /// How many places it comes from; one, in a configuration that was checked.
    fn places(&self) -> usize {
        let named = [
            self.file.is_some(),
            self.env.is_some(),
            self.exec.is_some(),
            self.vault.is_some(),
            self.aws.is_some(),
        ];
        named.into_iter().filter(|named| *named).count()
    }
}

pub(super) fn validate(config: &Config, findings: &mut Findings) {
    for (name, one) in &config.secrets {
        let path = |key: &str| format!("secrets.{name}.{key}");
        if !text::is_name(name) {
            findings
                .error(format!("secrets.{name}"), "it is not a name")
                .help("write letters, digits, `_`, `-` and `.`");
        }
        match one.places() {
            1 => {}
            0 => drop(
                findings
                    .error(
                        format!("secrets.{name}"),
                        "nothing says where it comes from",
                    )
                    .help(
                        "write `file: /run/secrets/NAME`, `env: NAME`, `exec: [program, word]`, `vault: {path: …}` or `aws: {id: …}`",
                    ),
            ),
            _ => drop(
                findings
                    .error(
                        format!("secrets.{name}"),
                        "it cannot come from more than one place",
                    )
                    .help("leave one of them"),
            ),
        }
        if let Some(file) = &one.file
            && file.components().any(|part| part == Component::ParentDir)
        {
            findings
                .error(path("file"), "`..` may lead anywhere")
                .help("write the whole path");
        }
        if let Some(name) = &one.env
            && (name.is_empty() || name.contains(['=', '\0']))
        {
            findings.error(path("env"), "this cannot be the name of a variable");
        }
        if let Some(words) = &one.exec
            && (words.first().is_none_or(String::is_empty)
                || words.iter().any(|word| word.contains('\0')))
        {
            findings
                .error(path("exec"), "there is no command")
                .help("write it as `[program, word]`");
        }
        stored(name, one, config, findings);
        let refresh = one.refresh.and_then(Bound::get);
        if one.timeout.is_zero() || refresh.is_some_and(Duration::is_zero) {
            findings
                .error(format!("secrets.{name}"), "no time at all is not enough")
                .help("write a time such as `10s`; `refresh: none` asks once only");
        }
    }
}

/// What is kept by a server needs that server.
fn stored(name: &str, one: &Definition, config: &Config, findings: &mut Findings) {
    let path = |key: &str| format!("secrets.{name}.{key}");
    if let Some(wanted) = &one.vault {
        if config.vault.is_none() {
            findings
                .error(path("vault"), "nothing says where the Vault is")
                .related("vault")
                .help("write `vault: {address: https://vault:8200, …}`");
        }
        for (key, text) in [("path", &wanted.path), ("mount", &wanted.mount)] {
            let odd = |part: &str| part.is_empty() || part == "." || part == "..";
            if text.trim_matches('/').split('/').any(odd) {
                findings
                    .error(path(&format!("vault.{key}")), "it is not a path")
                    .help("write words with `/` between, such as `shop/openai`");
            }
        }
    }
    if one.aws.is_some() && config.aws.region(config).is_none() {
        findings
            .error(path("aws"), "nothing says in which region it is")
            .related("aws")
            .help("write `aws: {region: eu-west-1}`, or set AWS_REGION");
    }
}

impl Aws {
    /// The region, if anything names one.
    pub fn region(&self, config: &Config) -> Option<String> {
        let set = |name: &str| config.variables.get(name).filter(|value| !value.is_empty());
        let named = self.region.as_deref();
        let region = named.or_else(|| set("AWS_REGION").or_else(|| set("AWS_DEFAULT_REGION")));
        region.map(str::to_owned)
    }
}

/// The servers themselves.
pub(super) fn validate_servers(config: &Config, findings: &mut Findings) {
    if let Some(vault) = &config.vault {
        let logins = [
            vault.token.is_some(),
            vault.token_file.is_some(),
            vault.kubernetes.is_some(),
        ];
        if logins.into_iter().filter(|named| *named).count() != 1 {
            findings
                .error(
                    "vault",
                    "it takes exactly one of `token`, `token_file` and `kubernetes` to get in",
                )
                .help("write `token: ${env:VAULT_TOKEN}` or `kubernetes: {role: shop}`");
        }
        server("vault.address", &vault.address, findings);
    }
    if let Some(endpoint) = &config.aws.endpoint {
        server("aws.endpoint", endpoint, findings);
    }
    if config.aws.access_key_id.is_some() != config.aws.secret_access_key.is_some() {
        findings
            .error("aws", "an access key has two parts")
            .help("write both `access_key_id` and `secret_access_key`, or none");
    }
}

/// Says what is wrong with the URL of a server that keeps secrets.
fn server(path: &str, url: &Dsn, findings: &mut Findings) {
    text::web(path, url, &[], findings);
    let is_local = ["localhost", "127.0.0.1", "::1"].contains(&url.host().as_str());
    if url.scheme() == "http" && !is_local {
        findings
            .warning(
                path,
                "secrets are sent without TLS, where others can read them",
            )
            .help("write `https://`");
    }
}
