//! The section `documents`: the application's own settings, which are checked, kept and laid out for it.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::path::{Component, Path, PathBuf};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use seaworthy_config::Findings;
use seaworthy_config::documents::{Glob, Set};
use serde::{Deserialize, Serialize};

use super::app::Signal;
use super::service::Kind;
use super::{Config, text};

/// A set of documents of the application's own. Relative paths begin in the folder of the configuration file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DocumentSet {
    /// What the set is called.
    pub name: String,
    /// Which files belong to it, such as `configs/adapters/*.yaml`: YAML, JSON or TOML by their extension. A document is called
    /// what its file is called without the extension. No link may lead out of the folder.
    pub glob: Glob,
    /// A file with the JSON Schema that each of them must satisfy. Default: any content will do.
    #[serde(default)]
    pub schema: Option<PathBuf>,
    /// A folder that they are laid out in for the app, all of them at once, as they were checked. Default: none.
    #[serde(default)]
    pub render: Option<PathBuf>,
    /// How the app is told once others hold: `none`, `{signal: HUP}`, or `{http: /PATH}` for a POST to it. Default `none`.
    #[serde(default)]
    pub notify: Notify,
}

/// How the app is told.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Notify {
    /// Not at all: it looks for itself.
    #[default]
    None,
    /// By a signal.
    Signal(Signal),
    /// By a POST to this path of the app.
    Http(String),
}

// By hand, so that each of the two keys bears its description.
impl JsonSchema for Notify {
    fn schema_name() -> Cow<'static, str> {
        "Notify".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let one = |key: &str, schema: Schema, about: &str| {
            let mut schema = schema;
            schema.insert("description".to_owned(), about.into());
            json_schema!({
                "type": "object",
                "properties": { key: schema },
                "required": [key],
                "additionalProperties": false,
            })
        };
        let signal = generator.subschema_for::<Signal>();
        let path = json_schema!({ "type": "string" });
        json_schema!({
            "description": "How the app is told.",
            "anyOf": [
                { "type": "string", "const": "none", "description": "Not at all: it looks for itself." },
                one("signal", signal, "By this signal."),
                one("http", path, "By a POST to this path of the app."),
            ],
        })
    }
}

impl Config {
    /// The sets as the crate `config` reads them.
    #[must_use]
    pub fn document_sets(&self) -> Vec<Set> {
        let set = |set: &DocumentSet| Set {
            name: set.name.clone(),
            glob: set.glob.clone(),
            schema: set.schema.clone(),
            render: set.render.clone(),
        };
        self.documents.iter().map(set).collect()
    }
}

pub(super) fn validate(config: &Config, findings: &mut Findings) {
    let (mut names, mut folders) = (BTreeSet::new(), BTreeSet::new());
    for (index, set) in config.documents.iter().enumerate() {
        let at = |key: &str| format!("documents[{index}].{key}");
        if !text::is_name(&set.name) {
            findings
                .error(
                    at("name"),
                    format!("`{}` cannot be the name of a set", set.name),
                )
                .help("use letters, digits, `_`, `-` and `.`");
        }
        if !names.insert(&set.name) {
            findings.error(
                at("name"),
                format!("another set is called `{}` too", set.name),
            );
        }
        for (key, path) in [("schema", &set.schema), ("render", &set.render)] {
            if path.as_deref().is_some_and(climbs) {
                findings
                    .error(at(key), "it leads out of the folder of the configuration")
                    .help("leave `..` out, or write the whole path");
            }
        }
        if let Some(folder) = &set.render
            && !folders.insert(plain(&config.folder.join(folder)))
        {
            findings
                .error(at("render"), "another set is laid out there already")
                .help("give each set a folder of its own");
        }
        notify(config, set, at("notify"), findings);
    }
}

fn notify(config: &Config, set: &DocumentSet, at: String, findings: &mut Findings) {
    let Notify::Http(path) = &set.notify else {
        return;
    };
    if !path.starts_with('/') || !path.bytes().all(|byte| byte.is_ascii_graphic()) {
        findings
            .error(at.as_str(), format!("`{path}` is no path of the app"))
            .help("write it as `/internal/reload`");
    }
    if config.service.kind == Kind::Worker {
        findings
            .error(at.as_str(), "a worker listens nowhere")
            .related("service.kind")
            .help("write `{signal: HUP}`");
    }
}

/// The path without steps that stay where they are.
fn plain(path: &Path) -> PathBuf {
    let parts = path.components();
    parts.filter(|part| *part != Component::CurDir).collect()
}

fn climbs(path: &Path) -> bool {
    path.components().any(|part| part == Component::ParentDir)
}
