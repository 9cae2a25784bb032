//! `seaworthy config validate|show|env|schema`: what the configuration is, where each value came from, and what may be in it.

mod explain;
mod migrate;
mod publish;
mod reload;
mod versions;

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use seaworthy_config::{
    Layer, Loaded, Path, Problem, Problems, closest_setting, is_known, schema_of,
};
use serde_json::{Value, json};

use super::locate::Which;
use super::{FINE, Global, RunArgs, environment, lint, output};
use crate::config::{Config, Options};
use crate::documents::Documents;
use crate::failure::Failure;

pub(super) use publish::open as open_registry;
pub(super) use publish::{PublishArgs, RolloutVerb};
pub(super) use reload::ReloadArgs;
pub(super) use versions::{DiffArgs, HistoryArgs, RollbackArgs};

/// Arguments of `config`.
#[derive(Args, Clone, Debug)]
pub struct ConfigArgs {
    /// What to do with it
    #[command(subcommand)]
    pub verb: ConfigVerb,
    /// Begin with a preset
    #[arg(long, global = true, value_name = "NAME")]
    pub preset: Option<String>,
    /// Set any key, as in `shutdown.grace=20s`; may be repeated
    #[arg(long, global = true, value_name = "KEY=VALUE", value_parser = super::key_and_value)]
    pub set: Vec<(String, String)>,
}

/// What to do with the configuration.
#[derive(Clone, Debug, Subcommand)]
pub enum ConfigVerb {
    /// Say everything that is wrong with it
    Validate {
        /// The file to check, instead of that of -c
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },
    /// Print it with all layers merged and secrets masked
    Show {
        /// Only this key, such as `listen.admin`
        #[arg(value_name = "KEY")]
        key: Option<String>,
        /// Print a hash that is equal for equal content
        #[arg(long, conflicts_with_all = ["key", "origin"])]
        hash: bool,
        /// Say where each value came from
        #[arg(long)]
        origin: bool,
        /// The one that holds in the running instance, with its hash and how many held before it
        #[arg(long, conflicts_with_all = ["key", "hash", "origin"])]
        running: bool,
        /// Which instance is meant.
        #[command(flatten)]
        which: Which,
    },
    /// Say what a setting means, what it may be, and what it is here
    Explain {
        /// The setting, such as `shutdown.grace`
        #[arg(value_name = "KEY")]
        key: String,
    },
    /// Write the names of today where settings have other names; without --write only say where, with the exit code 1
    Migrate {
        /// The files to look at [default: the configuration and those of its environments]
        #[arg(value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Write them; the old ones stay as `FILE.bak`
        #[arg(long)]
        write: bool,
    },
    /// Look for secrets that are written into files
    LintSecrets {
        /// The files to look at, of any kind that is YAML, TOML or JSON [default: the configuration and those of its environments]
        #[arg(value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Hold the app's variables against what the file expects of them
    Env,
    /// Print the JSON Schema of the file, for editors
    Schema,
    /// Have the running instance take it in
    Reload(ReloadArgs),
    /// List the configurations that held in the running instance
    History(HistoryArgs),
    /// Show what differs between two of them; the exit code is 1 when something does
    Diff(DiffArgs),
    /// Have one of them back
    Rollback(RollbackArgs),
    /// Publish a version of settings for all instances that follow the registry
    Publish(PublishArgs),
    /// Look at a version that was published, or take it back
    Rollout {
        /// What to do
        #[command(subcommand)]
        verb: RolloutVerb,
    },
    /// Make a pair of keys for those who publish
    Keygen,
}

/// Collects everything outside the files that says something about the configuration.
///
/// # Errors
/// The current folder is gone.
pub fn options(global: &Global, args: &RunArgs) -> anyhow::Result<Options> {
    let cwd = std::env::current_dir().map_err(|error| {
        Failure::usage(format!(
            "the current folder cannot be used: {error}; change to one that exists"
        ))
    })?;
    // What is not UTF-8 cannot be the value of a setting; the app gets it all the same.
    let env: BTreeMap<String, String> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let args = args.clone();
    Ok(Options {
        file: global.config.clone(),
        cwd,
        env,
        set: args
            .set
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect(),
        preset: args.preset,
        listen: args.listen,
        admin: args.admin,
        connect: args.connect,
        threads: args.threads,
        allow_time_scale: args.allow_time_scale,
        command: args.command,
        remote: None,
    })
}

/// Does what the verb says. The result is the exit code.
pub(super) async fn execute(global: &Global, args: &ConfigArgs) -> anyhow::Result<u8> {
    match &args.verb {
        ConfigVerb::Reload(args) => return reload::execute(global, args).await,
        ConfigVerb::History(args) => return versions::history(global, args).await,
        ConfigVerb::Diff(args) => return versions::diff(global, args).await,
        ConfigVerb::Rollback(args) => return versions::rollback(global, args).await,
        ConfigVerb::Show {
            running: true,
            which,
            ..
        } => return versions::running(global, which).await,
        _ => {}
    }
    let flags = RunArgs {
        preset: args.preset.clone(),
        set: args.set.clone(),
        ..RunArgs::default()
    };
    let mut options = options(global, &flags)?;
    match &args.verb {
        ConfigVerb::Publish(args) => return publish::publish(global, &options, args).await,
        ConfigVerb::Rollout { verb } => return publish::rollout(global, &options, verb).await,
        ConfigVerb::Keygen => return publish::keygen(global),
        ConfigVerb::Migrate { files, write } => {
            return migrate::migrate(global, &options, files, *write);
        }
        ConfigVerb::LintSecrets { files } => return lint::execute(global, &options, files),
        ConfigVerb::Reload(_)
        | ConfigVerb::History(_)
        | ConfigVerb::Diff(_)
        | ConfigVerb::Rollback(_) => {}
        ConfigVerb::Schema => output::json(&schema_of::<Config>()),
        ConfigVerb::Validate { file } => {
            if file.is_some() {
                options.file.clone_from(file);
            }
            validate(global, &options)?;
        }
        ConfigVerb::Show {
            key, hash, origin, ..
        } => {
            let loaded = Config::load(&options)?;
            warn(&loaded);
            show(global, &loaded, key.as_deref(), *hash, *origin)?;
        }
        ConfigVerb::Explain { key } => {
            let loaded = Config::load(&options)?;
            warn(&loaded);
            explain::explain(global, &loaded, key)?;
        }
        ConfigVerb::Env => {
            let loaded = Config::load(&options)?;
            warn(&loaded);
            return Ok(environment::execute(global, &loaded.value));
        }
    }
    Ok(FINE)
}

fn validate(global: &Global, options: &Options) -> anyhow::Result<()> {
    let loaded = Config::load(options)?;
    Documents::check(&loaded.value)?;
    warn(&loaded);
    if !loaded.raw.is_empty() {
        output::talk(&loaded.raw.render(true));
    }
    let problems: Vec<&Problem> = loaded
        .warnings
        .items()
        .iter()
        .chain(loaded.raw.items())
        .collect();
    match global.json {
        true => output::json(&json!({"ok": true, "problems": problems})),
        false => output::data(&format!("{}: fine", files(&loaded))),
    }
    Ok(())
}

/// The files that were read.
fn files(loaded: &Loaded<Config>) -> String {
    let files: Vec<&str> = loaded
        .sources
        .iter()
        .filter(|source| matches!(source.layer, Layer::File | Layer::Overlay))
        .map(|source| source.name.as_str())
        .collect();
    if files.is_empty() {
        "the defaults, without a file".to_owned()
    } else {
        files.join(", ")
    }
}

/// Says what is wrong with a configuration, and gives the exit code.
pub(super) fn report(global: &Global, problems: &Problems) -> u8 {
    if global.json {
        output::json(&json!({"ok": false, "problems": problems.to_json()}));
    } else {
        // Colours are taken out again where they are not wanted.
        output::talk(&problems.render(true));
    }
    2
}

pub(super) fn warn(loaded: &Loaded<Config>) {
    if !loaded.warnings.is_empty() {
        output::talk(&loaded.warnings.render(true));
    }
}

/// Says that there is no such setting, and which was probably meant.
fn unknown(path: &Path) -> Failure {
    let meant = closest_setting::<Config>(path).map_or_else(
        || ";".to_owned(),
        |meant| format!("; did you mean `{meant}`?"),
    );
    Failure::usage(format!(
        "there is no setting `{path}`{meant} `seaworthy config show` prints them all"
    ))
}

fn show(
    global: &Global,
    loaded: &Loaded<Config>,
    key: Option<&str>,
    hash: bool,
    origin: bool,
) -> Result<(), Failure> {
    let path = key.map(Path::from).unwrap_or_default();
    if !path.segments().is_empty() && !is_known::<Config>(&path) {
        return Err(unknown(&path));
    }
    if hash {
        match global.json {
            true => output::json(&json!({"hash": loaded.hash()})),
            false => output::data(&loaded.hash()),
        }
    } else if origin {
        origins(global, loaded, &path);
    } else {
        let value = part(&loaded.canonical(), &path);
        match (global.json, &value) {
            (true, value) => output::json(value),
            (false, Value::String(text)) => output::data(text),
            (false, Value::Object(_)) if path.segments().is_empty() => {
                output::data(&loaded.to_yaml())
            }
            (false, value) => output::data(&seaworthy_config::yaml(value)),
        }
    }
    Ok(())
}

fn origins(global: &Global, loaded: &Loaded<Config>, path: &Path) {
    let settings: Vec<_> = loaded
        .settings()
        .into_iter()
        .filter(|setting| Path::from(setting.path.as_str()).overlaps(path))
        .collect();
    if global.json {
        return output::json(&settings);
    }
    let said: Vec<(String, &str)> = settings
        .iter()
        .map(|setting| {
            (
                format!("{}: {}", setting.path, setting.value),
                setting.origin.as_str(),
            )
        })
        .collect();
    let width = said
        .iter()
        .map(|(value, _)| value.chars().count())
        .filter(|width| *width <= 60)
        .max()
        .unwrap_or(0);
    let lines: Vec<String> = said
        .iter()
        .map(|(value, origin)| format!("{value:width$}  # {origin}"))
        .collect();
    output::data(&lines.join("\n"));
}

/// The part of the canonical configuration at a path; `null` for what is not set.
fn part(canonical: &Value, path: &Path) -> Value {
    let pointer: String = path
        .segments()
        .iter()
        .map(|segment| {
            format!(
                "/{}",
                segment.to_string().replace('~', "~0").replace('/', "~1")
            )
        })
        .collect();
    canonical.pointer(&pointer).cloned().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_found_by_its_path() {
        let canonical = json!({"a": {"b": [{"c/d": 1}]}});
        assert_eq!(part(&canonical, &Path::from("a.b[0].c/d")), json!(1));
        assert_eq!(part(&canonical, &Path::from("a.x")), Value::Null);
        assert_eq!(part(&canonical, &Path::root()), canonical);
    }
}
