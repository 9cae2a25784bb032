//! Finds the texts that make up a configuration and adds them in their order.
//!
//! Nothing here reads the process's environment or folder: both are handed in, so that tests and the reload of a running
//! instance see what they are given.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use seaworthy_config::registry::Content;
use seaworthy_config::{
    Format, Layer, Loaded, Loader, MAX_FILE, Path as Setting, Problems, References, Reloaded,
    Secret, Template,
};
use seaworthy_health::probe::Around;

use super::listen::Admin;
use super::{Config, Preset, env, found, redis};

/// The prefix of variables: `SEAWORTHY__LISTEN__PUBLIC`.
const PREFIX: &str = "SEAWORTHY";
/// The variable that names the environment.
const ENVIRONMENT: &str = "SEAWORTHY_ENV";
/// What the file may be called when nobody says, the first one first.
const NAMES: [&str; 4] = [
    "seaworthy.yaml",
    "seaworthy.yml",
    "seaworthy.toml",
    "seaworthy.json",
];

/// Everything outside the files that says something about the configuration.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The file of `-c`; without it one is looked for.
    pub file: Option<PathBuf>,
    /// The folder to begin the search in.
    pub cwd: PathBuf,
    /// The environment variables.
    pub env: BTreeMap<String, String>,
    /// `KEY=VALUE` of each `--set`.
    pub set: Vec<String>,
    /// `--preset`.
    pub preset: Option<String>,
    /// `--listen`.
    pub listen: Option<String>,
    /// `--admin`.
    pub admin: Option<String>,
    /// `--connect`.
    pub connect: Option<String>,
    /// `--threads`.
    pub threads: Option<String>,
    /// `--allow-time-scale`.
    pub allow_time_scale: bool,
    /// The words after `--`.
    pub command: Vec<String>,
    /// What a registry says.
    pub remote: Option<Arc<Content>>,
}

/// Loads the configuration.
pub(super) fn load(
    options: &Options,
    known: BTreeMap<String, Secret>,
) -> Result<Loaded<Config>, Problems> {
    let (loader, folder) = gather(options, known)?;
    loader.load_with(|config| complete(config, options, &folder))
}

/// Loads the configuration of a service that runs.
pub(super) fn reload(
    options: &Options,
    running: &Loaded<Config>,
    known: BTreeMap<String, Secret>,
) -> Result<Reloaded<Config>, Problems> {
    let (loader, folder) = gather(options, known)?;
    loader.reload_with(running, |config| complete(config, options, &folder))
}

impl Config {
    /// A version that there was, for a service that runs with `running`.
    ///
    /// # Errors
    /// All problems at once: a version may need a file or a secret that is gone.
    pub fn version(
        options: &Options,
        name: &str,
        record: &serde_json::Value,
        running: &Loaded<Self>,
        known: BTreeMap<String, Secret>,
    ) -> Result<Reloaded<Self>, Problems> {
        let loader = Loader::new().references(references(options, known));
        let loader = loader.version(name, record, running);
        let folder = &running.value.folder;
        loader.reload_with(running, |config| complete(config, options, folder))
    }

    /// The same for a start: what needs a restart is as the version has it, too. `loaded` lends the secrets that the version masks.
    ///
    /// # Errors
    /// All problems at once.
    pub fn first_version(
        options: &Options,
        name: &str,
        record: &serde_json::Value,
        loaded: &Loaded<Self>,
        known: BTreeMap<String, Secret>,
    ) -> Result<Loaded<Self>, Problems> {
        let loader = Loader::<Self>::new().references(references(options, known));
        let loader = loader.version(name, record, loaded);
        let folder = &loaded.value.folder;
        loader.load_with(|config| complete(config, options, folder))
    }
}

/// What no source can say.
fn complete(config: &mut Config, options: &Options, folder: &Path) {
    config.folder = folder.to_owned();
    let own = config.app.env.iter();
    // What waits for a secret says nothing yet.
    let own = own.filter(|(_, value)| Template::new(value.expose()).names().next().is_none());
    let own = own.map(|(name, value)| (name.clone(), value.expose().to_owned()));
    config.given = options.env.clone().into_iter().chain(own).collect();
    config.variables = env::with_defaults(config);
    redis::lend(config);
}

/// What references stand for.
fn references(options: &Options, known: BTreeMap<String, Secret>) -> References {
    References::new(options.env.clone())
        .defined_at("secrets")
        .secrets(known)
}

/// All that is said, in its order, and the folder that paths begin in.
fn gather(
    options: &Options,
    known: BTreeMap<String, Secret>,
) -> Result<(Loader<Config>, PathBuf), Problems> {
    let mut loader = Loader::<Config>::new().references(references(options, known));
    let file = match &options.file {
        Some(file) => Some(options.cwd.join(file)),
        None => find(&options.cwd)?,
    };
    if let Some(file) = &file {
        loader = loader.text(
            Layer::File,
            shown(file, &options.cwd),
            read(file)?,
            Format::of(file),
        );
    }
    loader = variables(loader, options);
    loader = flags(loader, options);
    if let (Some(file), Some(environment)) = (&file, loader.peek("environment")) {
        let overlay = beside(file, &environment)?;
        if overlay.exists() {
            loader = loader.text(
                Layer::Overlay,
                shown(&overlay, &options.cwd),
                read(&overlay)?,
                Format::of(&overlay),
            );
        }
    }
    // An unknown name is left to the schema, which knows where it stands.
    if let Some(preset) = loader.peek("preset").as_deref().and_then(Preset::find) {
        loader = loader.text(Layer::Preset, preset.name(), preset.text(), Format::Yaml);
    }
    if let Some(remote) = &options.remote {
        loader = told(loader, remote)?;
    }
    let folder = file.as_deref().and_then(Path::parent);
    let folder = folder.unwrap_or(&options.cwd).to_owned();
    Ok((found(loader, options), folder))
}

/// What the registry says. It adds no routes: whatever fits one of them would leave the route that it had, and what that asks of it.
fn told(loader: Loader<Config>, remote: &Content) -> Result<Loader<Config>, Problems> {
    let tree = remote.tree();
    let routes = tree["routes"].as_array().into_iter().flatten();
    let mut matches = routes.filter_map(|route| route["match"].as_str());
    if let Some(new) = matches.find(|said| !loader.has_item("routes", "match", said)) {
        return Err(Problems::single(
            format!("the registry says something of the route `{new}`, which nothing else names"),
            Some("write the route into the file of each instance first".to_owned()),
        ));
    }
    let name = format!("version {} of the registry", remote.version);
    let text = serde_json::to_string_pretty(&tree).unwrap_or_default();
    Ok(loader.text(Layer::Remote, name, text, Format::Json))
}

/// Checks for what the app is told of in its environment.
fn found(loader: Loader<Config>, options: &Options) -> Loader<Config> {
    if loader.peek("health.auto").as_deref() == Some("false") {
        return loader;
    }
    let admin = loader.peek("listen.admin");
    let admin: Admin = admin
        .and_then(|admin| admin.parse().ok())
        .unwrap_or_default();
    let around = Around {
        own: admin.own().into_iter().collect(),
        variables: found::usual()
            .filter_map(|name| {
                let own = loader.peek(Setting::from("app.env").key(name));
                Some((
                    name.to_owned(),
                    own.or_else(|| options.env.get(name).cloned())?,
                ))
            })
            .collect(),
        app: None,
    };
    let checks = "health.checks";
    found::look(&around).iter().fold(loader, |loader, found| {
        let is_said = loader.has_item(checks, "name", found.name)
            || loader.has_item(checks, "env", found.variable);
        match &found.check {
            Ok(check) if !is_said => loader.found(found.variable, checks, check),
            _ => loader,
        }
    })
}

fn variables(loader: Loader<Config>, options: &Options) -> Loader<Config> {
    let vars = options
        .env
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    let loader = loader.environment(PREFIX, vars);
    match options.env.get(ENVIRONMENT) {
        Some(value) if !value.is_empty() => loader.variable(ENVIRONMENT, "environment", value),
        _ => loader,
    }
}

fn flags(mut loader: Loader<Config>, options: &Options) -> Loader<Config> {
    for assignment in &options.set {
        loader = loader.set(assignment);
    }
    for (flag, path, value) in [
        ("--preset", "preset", &options.preset),
        ("--listen", "listen.public", &options.listen),
        ("--admin", "listen.admin", &options.admin),
        ("--connect", "app.connect", &options.connect),
        ("--threads", "threads", &options.threads),
    ] {
        if let Some(value) = value {
            loader = loader.flag(flag, path, value);
        }
    }
    if options.command.is_empty() {
        loader
    } else {
        loader.words("--", "app.command", &options.command)
    }
}

/// The files that say something while `environment` holds, and those that would if they were there.
pub(super) fn files(options: &Options, environment: Option<&str>) -> Vec<PathBuf> {
    let file = match &options.file {
        Some(file) => Some(options.cwd.join(file)),
        None => find(&options.cwd).ok().flatten(),
    };
    let Some(file) = file else {
        return NAMES.map(|name| options.cwd.join(name)).to_vec();
    };
    let overlay = environment.and_then(|environment| beside(&file, environment).ok());
    std::iter::once(file).chain(overlay).collect()
}

/// The file of a folder, by one of its usual names.
#[must_use]
pub fn inside(folder: &Path) -> Option<PathBuf> {
    let named = NAMES.iter().map(|name| folder.join(name));
    named.into_iter().find(|path| path.is_file())
}

/// Looks for the file here and in the folders above.
fn find(cwd: &Path) -> Result<Option<PathBuf>, Problems> {
    for folder in cwd.ancestors() {
        let mut found = NAMES
            .iter()
            .map(|name| folder.join(name))
            .filter(|path| path.is_file());
        if let Some(first) = found.next() {
            return match found.next() {
                None => Ok(Some(first)),
                Some(second) => Err(Problems::single(
                    format!(
                        "there are both {} and {}",
                        first.display(),
                        second.display()
                    ),
                    Some("remove one of them, or choose with `-c FILE`".into()),
                )),
            };
        }
    }
    Ok(None)
}

/// `seaworthy.yaml` and `production` give `seaworthy.production.yaml`.
fn beside(file: &Path, environment: &str) -> Result<PathBuf, Problems> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if environment.is_empty() || !environment.chars().all(plain) {
        return Err(Problems::single(
            format!("`{environment}` cannot be the name of an environment"),
            Some("use letters, digits, `-` and `_`".into()),
        ));
    }
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let extension = file.extension().unwrap_or_default().to_string_lossy();
    let dot = if extension.is_empty() { "" } else { "." };
    Ok(file.with_file_name(format!("{stem}.{environment}{dot}{extension}")))
}

/// A file as people call it from where they are.
#[must_use]
pub fn shown(file: &Path, cwd: &Path) -> String {
    file.strip_prefix(cwd).unwrap_or(file).display().to_string()
}

/// The files that a configuration is written in: its own, and those of all environments beside it.
///
/// # Errors
/// There is more than one that it could be.
pub fn written(options: &Options) -> Result<Vec<PathBuf>, Problems> {
    let file = match &options.file {
        Some(file) => Some(options.cwd.join(file)),
        None => find(&options.cwd)?,
    };
    let Some(file) = file else {
        return Ok(Vec::new());
    };
    let stem = file.file_stem().unwrap_or_default().to_string_lossy();
    let begins = format!("{stem}.");
    let beside = file
        .parent()
        .and_then(|folder| std::fs::read_dir(folder).ok());
    let mut overlays: Vec<PathBuf> = beside
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            *path != file
                && name.starts_with(&begins)
                && path.extension() == file.extension()
                && path.is_file()
        })
        .collect();
    overlays.sort();
    overlays.insert(0, file);
    Ok(overlays)
}

/// The text of a file of a configuration.
///
/// # Errors
/// It cannot be read, or is no text.
pub fn read(file: &Path) -> Result<String, Problems> {
    let limit = u64::try_from(MAX_FILE)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    let mut bytes = Vec::new();
    // Reading a pipe would wait for whoever writes into it, perhaps for ever.
    if std::fs::metadata(file).is_ok_and(|found| !found.is_file() && !found.is_dir()) {
        return Err(Problems::single(
            format!("{}: this is no file but a pipe or a device", file.display()),
            Some("name a file".to_owned()),
        ));
    }
    let outcome =
        std::fs::File::open(file).and_then(|opened| opened.take(limit).read_to_end(&mut bytes));
    let fail = |what: &str, help: &str| {
        Problems::single(format!("{}: {what}", file.display()), Some(help.to_owned()))
    };
    match outcome {
        // What was cut off in the middle is refused for its size, whatever its last bytes are.
        Ok(_) if bytes.len() > MAX_FILE => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Ok(_) => String::from_utf8(bytes).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            let line = error.as_bytes()[..at]
                .iter()
                .filter(|byte| **byte == b'\n')
                .count()
                + 1;
            fail(
                &format!("line {line} is not UTF-8"),
                "save the file as UTF-8",
            )
        }),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(fail(
            "there is no such file",
            "check the path of the configuration file",
        )),
        Err(error) if error.kind() == ErrorKind::IsADirectory => Err(fail(
            "this is a folder",
            "name the file in it, such as seaworthy.yaml",
        )),
        Err(error) => Err(fail(
            &format!("cannot be read: {error}"),
            "check who may read it and the folders above it",
        )),
    }
}
