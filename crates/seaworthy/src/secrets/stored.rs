//! Secrets that a server keeps: HashiCorp Vault, OpenBao, AWS Secrets Manager.

use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use seaworthy_config::Secret;
use seaworthy_config::secrets::{Asking, Given, Provider, Trouble, read_secret};
use seaworthy_http::{aws, vault};

use crate::config::{Config, Options, Vault};

/// The time that a question has when the one who asks has none: whoever asks has one of his own.
const LONGEST: Duration = Duration::from_secs(3600);

/// The servers of a configuration, each made when the first secret needs it.
#[derive(Debug, Default)]
pub(super) struct Servers {
    vault: OnceLock<vault::Vault>,
    aws: OnceLock<Result<aws::Store, String>>,
}

impl Servers {
    /// The server of the section `vault`.
    pub(super) fn vault(&self, vault: &Vault, options: &Options) -> vault::Vault {
        let made = || {
            let login = match (&vault.token, &vault.token_file, &vault.kubernetes) {
                (_, Some(file), _) => vault::Login::File(options.cwd.join(file)),
                (_, _, Some(pod)) => vault::Login::Kubernetes {
                    role: pod.role.clone(),
                    mount: pod.mount.clone(),
                    jwt: options.cwd.join(&pod.jwt_file),
                },
                (token, ..) => {
                    let token = token.as_ref().map(|token| token.expose().to_owned());
                    vault::Login::Token(token.unwrap_or_default())
                }
            };
            vault::Vault::new(vault::Settings {
                address: vault.address.clone(),
                namespace: vault.namespace.clone(),
                ca: vault.ca.as_ref().map(|ca| options.cwd.join(ca)),
                login,
            })
        };
        self.vault.get_or_init(made).clone()
    }

    /// Secrets Manager, or why there is none.
    pub(super) fn aws(&self, config: &Config, options: &Options) -> Result<aws::Store, String> {
        let made = || {
            let section = &config.aws;
            let settings = aws::Settings {
                region: section.region(config).unwrap_or_default(),
                endpoint: section.endpoint.clone(),
                ca: section.ca.as_ref().map(|ca| options.cwd.join(ca)),
                source: source(config, options)?,
            };
            aws::Store::try_new(settings).map_err(|failure| failure.to_string())
        };
        self.aws.get_or_init(made).clone()
    }
}

/// The tail of the address that an ECS task is given.
const ECS: &str = "http://169.254.170.2";

fn source(config: &Config, options: &Options) -> Result<aws::Source, String> {
    let set = |name: &str| {
        options
            .env
            .get(name)
            .filter(|value| !value.is_empty())
            .cloned()
    };
    let said = |secret: &Option<Secret>| secret.as_ref().map(|secret| secret.expose().to_owned());
    let section = &config.aws;
    let known = |id, secret, token| aws::Source::Known(aws::Credentials { id, secret, token });
    if let (Some(id), Some(secret)) = (
        said(&section.access_key_id),
        said(&section.secret_access_key),
    ) {
        return Ok(known(id, secret, said(&section.session_token)));
    }
    if let (Some(id), Some(secret)) = (set("AWS_ACCESS_KEY_ID"), set("AWS_SECRET_ACCESS_KEY")) {
        return Ok(known(id, secret, set("AWS_SESSION_TOKEN")));
    }
    let relative = set("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI").map(|path| format!("{ECS}{path}"));
    let Some(url) = relative.or_else(|| set("AWS_CONTAINER_CREDENTIALS_FULL_URI")) else {
        return Err("there are no credentials: write `aws.access_key_id` and `aws.secret_access_key`, or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY".to_owned());
    };
    let token = set("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    Ok(aws::Source::Container {
        url,
        token: token.map(|path| Path::new(&path).to_owned()),
    })
}

/// A secret of a Vault.
#[derive(Debug)]
pub(super) struct OfVault(pub(super) vault::Secret);

impl Provider for OfVault {
    fn ask(&self) -> Asking<'_> {
        Box::pin(async {
            let found = self.0.read(LONGEST).await;
            let found = found.map_err(|failure| Trouble::new(failure.to_string()))?;
            Ok(Given {
                lease: found.lease,
                ..Given::from(read_secret(found.value.into_bytes())?)
            })
        })
    }
}

/// A secret of AWS.
#[derive(Debug)]
pub(super) struct OfAws {
    pub(super) store: Result<aws::Store, String>,
    pub(super) wanted: aws::Wanted,
}

impl Provider for OfAws {
    fn ask(&self) -> Asking<'_> {
        Box::pin(async {
            let store = self.store.as_ref().map_err(Trouble::new)?;
            let read = store.read(&self.wanted, LONGEST).await;
            let value = read.map_err(|failure| Trouble::new(failure.to_string()))?;
            read_secret(value.into_bytes()).map(Given::from)
        })
    }
}
