//! The secrets of a configuration: asked for before it is used, and kept up to date while it is.
//!
//! A configuration is loaded once without them, which checks everything else and says which are named where. Those that need no
//! other are asked for, all at the same time, and it is loaded again with what came back, until none is missing. One that cannot
//! be had is told where it is named. Nothing is changed until what was [loaded](load) is committed.

mod command;
mod keeper;
mod stored;
mod wanted;

use std::collections::{BTreeMap, BTreeSet};

use http::HeaderValue;
use seaworthy_config::secrets::{Prepared, Refused, Secrets};
use seaworthy_config::{Loaded, Mention, Path, Problems, Reloaded, Secret, Segment, Template};

use crate::config::{Config, Options};
use stored::Servers;

pub use keeper::Keeper;

/// A configuration with all its secrets, which `secrets` does not have yet.
#[derive(Debug)]
pub struct Complete {
    /// The configuration.
    pub loaded: Loaded<Config>,
    /// What to commit once the configuration is used.
    pub prepared: Prepared,
}

/// A configuration for a service that runs, with all its secrets, which its keeper does not have yet.
#[derive(Debug)]
pub struct Renewed {
    /// The configuration, and what of it is different.
    pub reloaded: Reloaded<Config>,
    /// What to commit before anything is built of it.
    pub prepared: Prepared,
}

/// Loads the configuration and asks for the secrets that it names. Those that `secrets` knows already are not asked for again.
///
/// # Errors
/// All problems at once; secrets that cannot be had are told where they are named.
pub async fn load(options: &Options, secrets: &Secrets) -> Result<Complete, Problems> {
    load_by(options, secrets, |known| Config::load_with(options, known)).await
}

/// The same, loaded by `load` with the secrets that are known.
///
/// # Errors
/// All problems at once; secrets that cannot be had are told where they are named.
pub async fn load_by(
    options: &Options,
    secrets: &Secrets,
    load: impl Fn(BTreeMap<String, Secret>) -> Result<Loaded<Config>, Problems>,
) -> Result<Complete, Problems> {
    let (loaded, prepared) = ask(options, secrets, load, |loaded| loaded).await?;
    Ok(Complete { loaded, prepared })
}

/// The same for a service that runs: `again` loads what it is to have from now on, with the secrets that are known.
///
/// # Errors
/// All problems at once. Nothing has changed then.
pub async fn reload(
    options: &Options,
    secrets: &Secrets,
    again: impl Fn(BTreeMap<String, Secret>) -> Result<Reloaded<Config>, Problems>,
) -> Result<Renewed, Problems> {
    let asked = ask(options, secrets, again, |reloaded| &reloaded.loaded);
    let (reloaded, prepared) = asked.await?;
    Ok(Renewed { reloaded, prepared })
}

async fn ask<L>(
    options: &Options,
    secrets: &Secrets,
    load: impl Fn(BTreeMap<String, Secret>) -> Result<L, Problems>,
    config: impl Fn(&L) -> &Loaded<Config>,
) -> Result<(L, Prepared), Problems> {
    let mut prepared = Prepared::default();
    loop {
        let known = prepared.values();
        let whole = load(known.clone())?;
        let loaded = config(&whole);
        let named = named(loaded);
        if named.keys().all(|name| known.contains_key(name)) {
            fits(loaded, &known)?;
            return Ok((whole, prepared));
        }
        let ready = named.iter().filter(|(name, needs)| {
            !known.contains_key(*name) && needs.iter().all(|one| known.contains_key(one))
        });
        // What logs in to a server may be among what is known by now, so servers are made anew.
        let servers = Servers::default();
        let wanted: Vec<_> = ready
            .filter_map(|(name, _)| wanted::wanted(name, &loaded.value, options, &servers))
            .collect();
        if wanted.is_empty() {
            return Err(loaded.refuse(&stuck(&named, &known)));
        }
        let asked = secrets.prepare(wanted, prepared).await;
        prepared = asked.map_err(|refused| loaded.refuse(&told(refused)))?;
    }
}

/// Secrets of a server that only they themselves let one into.
fn stuck(
    named: &BTreeMap<String, BTreeSet<String>>,
    known: &BTreeMap<String, Secret>,
) -> Vec<(String, String, Option<String>)> {
    let left = named.keys().filter(|name| !known.contains_key(*name));
    let told = left.map(|name| {
        let what =
            format!("the secret `{name}` needs itself: it is kept by a server that it logs in to");
        let help = "let what logs in come from elsewhere".to_owned();
        (name.clone(), what, Some(help))
    });
    told.collect()
}

/// The secrets that are named by what is used, and those that each of them needs.
fn named(loaded: &Loaded<Config>) -> BTreeMap<String, BTreeSet<String>> {
    let section = Path::from("secrets");
    let servers = ["vault", "aws"].map(Path::from);
    let logs_in = |server: &Path| {
        let mentions = loaded.mentions.iter();
        mentions
            .filter(|mention| server.overlaps(&mention.path))
            .map(|mention| mention.name.clone())
            .collect::<BTreeSet<String>>()
    };
    let [vault, aws] = servers.each_ref().map(logs_in);
    let (inside, outside): (Vec<&Mention>, Vec<&Mention>) = loaded
        .mentions
        .iter()
        .filter(|mention| !servers.iter().any(|server| server.overlaps(&mention.path)))
        .partition(|mention| section.overlaps(&mention.path));
    let mut named: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut left: Vec<String> = outside.iter().map(|mention| mention.name.clone()).collect();
    while let Some(name) = left.pop() {
        if named.contains_key(&name) {
            continue;
        }
        let own = inside.iter().filter(|mention| {
            let definition = mention.path.segments().get(1);
            matches!(definition, Some(Segment::Key(key)) if *key == name)
        });
        let mut needs: BTreeSet<String> = own.map(|mention| mention.name.clone()).collect();
        let definition = loaded.value.secrets.get(&name);
        if definition.is_some_and(|one| one.vault.is_some()) {
            needs.extend(vault.iter().cloned());
        }
        if definition.is_some_and(|one| one.aws.is_some()) {
            needs.extend(aws.iter().cloned());
        }
        left.extend(needs.iter().cloned());
        named.insert(name, needs);
    }
    named
}

fn told(refused: Vec<Refused>) -> Vec<(String, String, Option<String>)> {
    let told = refused.into_iter().map(|refused| {
        let message = format!(
            "the secret `{}` cannot be had: {}",
            refused.name, refused.trouble
        );
        (refused.name, message, refused.trouble.help)
    });
    told.collect()
}

/// Fields are refused whose secret no field can have.
fn fits(loaded: &Loaded<Config>, values: &BTreeMap<String, Secret>) -> Result<(), Problems> {
    let fields = fields(&loaded.value);
    let odd = fields.filter(|template| field(template, |name| values.get(name).cloned()).is_none());
    let odd: BTreeSet<String> = odd
        .flat_map(|template| template.names().collect::<Vec<_>>())
        .collect();
    if odd.is_empty() {
        return Ok(());
    }
    let wrong = odd.into_iter().map(|name| {
        let what = format!(
            "the secret `{name}` has a character that no field can have, such as a line end"
        );
        (name, what, None)
    });
    Err(loaded.refuse(&wrong.collect::<Vec<_>>()))
}

/// All fields that may name secrets.
fn fields(config: &Config) -> impl Iterator<Item = &Template> {
    let routes = config
        .routes
        .iter()
        .flat_map(|route| route.headers.values());
    let calls = config.egress.iter().flat_map(|one| one.headers.values());
    config.headers.set.values().chain(routes).chain(calls)
}

/// The value of a field with its secrets in it.
fn field(template: &Template, value: impl Fn(&str) -> Option<Secret>) -> Option<HeaderValue> {
    let said = template.say(value)?;
    let mut field = HeaderValue::from_str(said.expose().trim()).ok()?;
    field.set_sensitive(true);
    Some(field)
}
