//! `seaworthy openapi`: which paths both listeners answer under this configuration, and how.

use clap::Args;

use super::{Global, RunArgs, config, output};
use crate::config::Config;
use crate::openapi;

/// Arguments of `openapi`.
#[derive(Args, Clone, Debug)]
pub struct OpenapiArgs {
    /// Begin with a preset
    #[arg(long, value_name = "NAME")]
    pub preset: Option<String>,
    /// Set any key, as in `shutdown.grace=20s`; may be repeated
    #[arg(long, value_name = "KEY=VALUE", value_parser = super::key_and_value)]
    pub set: Vec<(String, String)>,
}

/// Prints the document.
pub(super) fn execute(global: &Global, args: &OpenapiArgs) -> anyhow::Result<()> {
    let flags = RunArgs {
        preset: args.preset.clone(),
        set: args.set.clone(),
        ..RunArgs::default()
    };
    let loaded = Config::load(&config::options(global, &flags)?)?;
    config::warn(&loaded);
    output::json(&openapi::document(&loaded.value));
    Ok(())
}
