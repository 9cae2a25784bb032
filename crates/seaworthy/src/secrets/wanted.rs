//! Who gives a secret, as the section `secrets` says.

use std::sync::Arc;
use std::time::Duration;

use seaworthy_config::Secret;
use seaworthy_config::secrets::{File, Provider, Variable, Wanted};

use seaworthy_http::{aws, vault};

use super::command::Command;
use super::stored::{OfAws, OfVault, Servers};
use crate::config::{Config, Options, SecretDefinition};

/// How often files are looked at: that costs nothing.
const FILES: Duration = Duration::from_secs(2);
/// How often others are asked, unless they say themselves how long a secret is good for.
const OTHERS: Duration = Duration::from_secs(300);

/// The secret `name` with its provider.
pub(super) fn wanted(
    name: &str,
    config: &Config,
    options: &Options,
    servers: &Servers,
) -> Option<Wanted> {
    let definition = config.secrets.get(name)?;
    let (provider, usual, mark) =
        stored(definition, config, options, servers).or_else(|| provider(definition, options))?;
    let refresh = match definition.refresh {
        Some(refresh) => refresh.get().map(|time| time.get()),
        None => usual,
    };
    Some(Wanted {
        name: name.to_owned(),
        provider,
        mark: Secret::new(format!("{mark} {:?} {refresh:?}", definition.timeout)),
        timeout: definition.timeout.get(),
        refresh,
    })
}

/// The provider, how often it is asked when nobody says, and what tells it from others.
fn provider(
    definition: &SecretDefinition,
    options: &Options,
) -> Option<(Arc<dyn Provider>, Option<Duration>, String)> {
    if let Some(file) = &definition.file {
        let path = options.cwd.join(file);
        let mark = format!("file {}", path.display());
        return Some((Arc::new(File(path)), Some(FILES), mark));
    }
    if let Some(name) = &definition.env {
        let variable = Variable::new(name, &options.env);
        let usual = variable.is_file().then_some(FILES);
        return Some((Arc::new(variable), usual, format!("env {name}")));
    }
    let words = definition.exec.as_ref()?;
    let mark = format!("exec {words:?}");
    Some((Arc::new(Command(words.clone())), Some(OTHERS), mark))
}

/// The same for what a server keeps.
fn stored(
    definition: &SecretDefinition,
    config: &Config,
    options: &Options,
    servers: &Servers,
) -> Option<(Arc<dyn Provider>, Option<Duration>, String)> {
    if let (Some(wanted), Some(vault)) = (&definition.vault, &config.vault) {
        let token = vault.token.as_ref().map(Secret::expose);
        let mark = format!(
            "vault {wanted:?} {} {vault:?} {token:?}",
            vault.address.expose()
        );
        let secret = servers.vault(vault, options).secret(vault::Wanted {
            mount: wanted.mount.clone(),
            path: wanted.path.clone(),
            field: wanted.field.clone(),
            versions: wanted.version == 2,
        });
        return Some((Arc::new(OfVault(secret)), Some(OTHERS), mark));
    }
    let wanted = definition.aws.as_ref()?;
    let section = &config.aws;
    let keys = [
        &section.access_key_id,
        &section.secret_access_key,
        &section.session_token,
    ];
    let keys = keys.map(|key| key.as_ref().map(Secret::expose));
    let endpoint = section.endpoint.as_ref().map(|one| one.expose());
    let mark = format!(
        "aws {wanted:?} {endpoint:?} {:?} {:?} {keys:?}",
        section.region(config),
        section.ca
    );
    let provider = OfAws {
        store: servers.aws(config, options),
        wanted: aws::Wanted {
            id: wanted.id.clone(),
            field: wanted.field.clone(),
        },
    };
    Some((Arc::new(provider), Some(OTHERS), mark))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(aws: &str) -> Secret {
        let text = format!(
            r#"{{"secrets": {{"a": {{"aws": {{"id": "x"}}}}}}, "aws": {{"region": "eu-west-1"{aws}}}}}"#
        );
        let config: Config = serde_json::from_str(&text).unwrap();
        let wanted = wanted("a", &config, &Options::default(), &Servers::default());
        wanted.unwrap().mark
    }

    #[test]
    fn another_server_makes_another_secret() {
        let usual = mark("");
        assert_eq!(usual, mark(""));
        for other in [
            r#", "ca": "ca.pem""#,
            r#", "endpoint": "https://127.0.0.1:1""#,
            r#", "access_key_id": "a", "secret_access_key": "b""#,
        ] {
            assert_ne!(usual, mark(other), "{other}");
        }
    }
}
