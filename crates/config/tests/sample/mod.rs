//! A small configuration type that has every shape the product's own has.
#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::BTreeMap;

use schemars::JsonSchema;
use seaworthy_config::{Findings, Format, Layer, Loaded, Loader, Problems, Secret, Validate};
use seaworthy_core::quantity::{Bound, Duration, Size};
use serde::{Deserialize, Serialize};

/// The sample.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Sample {
    /// Its name.
    pub name: Option<String>,
    /// A preset.
    pub preset: Option<String>,
    /// Limits.
    pub limits: Limits,
    /// Listeners.
    pub listen: Listen,
    /// Endpoints.
    #[schemars(extend("x-merge" = "path"))]
    pub endpoints: Vec<Endpoint>,
    /// Variables.
    pub env: BTreeMap<String, Secret>,
    /// A store.
    pub store: Option<Store>,
    /// Who is believed.
    pub believed: Option<Believed>,
}

/// Limits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct Limits {
    /// A time.
    pub total: Bound<Duration>,
    /// A time.
    pub idle: Duration,
    /// A size.
    pub body: Size,
    /// A count.
    #[schemars(extend("x-aliases" = ["max_connections"]))]
    pub connections: u16,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            total: Bound::None,
            idle: Duration::from_secs(75),
            body: Size::mib(1),
            connections: 100,
        }
    }
}

/// Listeners.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Listen {
    /// An address.
    #[schemars(extend("x-restart" = true))]
    pub public: Option<String>,
    /// A certificate.
    pub cert: Option<String>,
    /// Its key.
    pub key: Option<Secret>,
    /// HTTP/2.
    pub http2: bool,
    /// Peers.
    pub trusted: Vec<String>,
}

/// An endpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Endpoint {
    /// Its path.
    pub path: String,
    /// What it shows.
    pub view: View,
}

/// What an endpoint shows.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum View {
    /// Alive.
    Live,
    /// Ready.
    Ready,
    /// Everything.
    Detailed,
}

/// Who is believed.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("x-instead" = ["key", "keys"]))]
pub(crate) struct Believed {
    /// One key.
    pub key: Option<String>,
    /// A set of keys.
    #[serde(alias = "keys_file")]
    #[schemars(extend("x-aliases" = ["keys_file"]))]
    pub keys: Option<String>,
}

/// Where things are kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub(crate) enum Store {
    /// In memory.
    Memory {
        /// How much.
        #[serde(default, alias = "bytes")]
        #[schemars(extend("x-aliases" = ["bytes"]))]
        size: Size,
    },
    /// In a file.
    File {
        /// Which.
        path: String,
    },
}

impl Validate for Sample {
    fn validate(&self, findings: &mut Findings) {
        if self.listen.cert.is_some() && self.listen.key.is_none() {
            findings
                .error("listen.cert", "a certificate needs its key")
                .related("listen.key")
                .help("set `listen.key`");
        }
        if self.name.as_deref() == Some("") {
            findings.warning("name", "the name is empty");
        }
    }
}

pub(crate) fn yaml(text: &str) -> Result<Loaded<Sample>, Problems> {
    file("sample.yaml", text)
}

pub(crate) fn file(name: &str, text: &str) -> Result<Loaded<Sample>, Problems> {
    Loader::new()
        .text(Layer::File, name, text, Format::of(name.as_ref()))
        .load()
}
