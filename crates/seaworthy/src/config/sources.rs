//! Finds the texts that make up a configuration and adds them in their order.
//!
//! Nothing here reads the process's environment or folder: both are handed in, so that tests and the reload of a running
//! instance see what they are given.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use seaworthy_config::{Format, Layer, Loaded, Loader, MAX_FILE, Path as Setting, Problems};
use seaworthy_health::probe::Around;

use super::listen::Admin;
use super::{Config, Preset, found};

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
}

/// Loads the configuration.
pub(super) fn load(options: &Options) -> Result<Loaded<Config>, Problems> {
    let mut loader = Loader::<Config>::new();
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
    found(loader, options).load_with(|config| {
        let own = config.app.env.iter();
        let own = own.map(|(name, value)| (name.clone(), value.expose().to_owned()));
        config.variables = options.env.clone().into_iter().chain(own).collect();
    })
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

fn shown(file: &Path, cwd: &Path) -> String {
    file.strip_prefix(cwd).unwrap_or(file).display().to_string()
}

fn read(file: &Path) -> Result<String, Problems> {
    let limit = u64::try_from(MAX_FILE)
        .unwrap_or(u64::MAX)
        .saturating_add(1);
    let mut bytes = Vec::new();
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
