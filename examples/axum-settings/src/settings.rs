//! What can be set, and where it comes from.

use std::path::PathBuf;

use schemars::JsonSchema;
use seaworthy_config::live::ConfigSource;
use seaworthy_config::{Findings, Format, Layer, Loader, Problems, Validate};
use serde::{Deserialize, Serialize};

/// The settings of the shop.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Shop {
    /// What customers are greeted with.
    pub greeting: String,
    /// So many items are sold at a time.
    pub most_items: u32,
    /// Who delivers.
    pub suppliers: Vec<Supplier>,
    /// Where the shop listens; a running one stays where it is.
    #[schemars(extend("x-restart" = true))]
    pub port: u16,
}

/// Somebody who delivers a share of all items.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Supplier {
    /// Who.
    pub name: String,
    /// How many of a hundred.
    pub share: u32,
}

impl Default for Shop {
    fn default() -> Self {
        Self {
            greeting: "hello".to_owned(),
            most_items: 10,
            suppliers: Vec::new(),
            port: 8000,
        }
    }
}

impl Validate for Shop {
    fn validate(&self, findings: &mut Findings) {
        let shares: u32 = self.suppliers.iter().map(|one| one.share).sum();
        if !self.suppliers.is_empty() && shares != 100 {
            findings
                .error("suppliers", format!("their shares add up to {shares}"))
                .help("make them add up to 100");
        }
    }
}

/// A file.
pub(crate) struct File(pub(crate) PathBuf);

impl ConfigSource<Shop> for File {
    fn add(&self, loader: Loader<Shop>) -> Result<Loader<Shop>, Problems> {
        let name = self.0.display().to_string();
        let help = "name the file of the shop's settings, as in `axum-settings shop.yaml`";
        let missing = |error| Problems::single(format!("{name}: {error}"), Some(help.to_owned()));
        let text = std::fs::read_to_string(&self.0).map_err(missing)?;
        Ok(loader.text(Layer::File, name, text, Format::of(&self.0)))
    }
}

/// Variables such as `SHOP__MOST_ITEMS`, and `PORT`.
pub(crate) fn variables(loader: Loader<Shop>) -> Result<Loader<Shop>, Problems> {
    let variables: Vec<(String, String)> = std::env::vars().collect();
    let named = variables.iter();
    let named = named.map(|(name, value)| (name.as_str(), value.as_str()));
    let loader = loader.environment("SHOP", named);
    Ok(match std::env::var("PORT") {
        Ok(port) => loader.variable("PORT", "port", &port),
        Err(_) => loader,
    })
}
